package scaling

// Memory of a cluster's targets is kept in ConfigMaps of their own namespace, each for at most
// targetsPerBucket targets: every write of one is a new revision of all of it in etcd.
const targetsPerBucket = 50

// assignBuckets gives each target the number of its memory ConfigMap. It hashes names, so that adding
// and removing a target moves no other one, until a namespace outgrows its number of ConfigMaps and
// that number doubles; a target that moves starts with new memory, which can only delay shrinking.
func assignBuckets(objects []ScaledObject) {
	type place struct{ cluster, namespace string }
	members := map[place][]*ScaledObject{}
	for i := range objects {
		p := place{objects[i].Cluster, objects[i].Namespace}
		members[p] = append(members[p], &objects[i])
	}
	for _, targets := range members {
		for buckets := uint32(1); !fit(targets, buckets); buckets *= 2 {
		}
	}
}

// fit spreads targets over n buckets and says whether none holds too many.
func fit(targets []*ScaledObject, n uint32) bool {
	count := make([]int, n)
	for _, o := range targets {
		o.Bucket = int(hash(o.Name) % n)
		if count[o.Bucket]++; count[o.Bucket] > targetsPerBucket {
			return false
		}
	}
	return true
}
