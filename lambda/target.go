package main

import (
	"hash/fnv"
	"strconv"
	"sync"
	"time"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

// target is one ScaledObject at work, with what this process knows of it.
type target struct {
	*scaling.ScaledObject
	cluster *kube.Cluster
	memory  *kube.Bucket

	member   *member // what it is in its cluster; nil for one from a file
	original *int32  // the size from before it was scaled, where that is kept

	owner  owner
	looks  scaling.Looks
	due    time.Time      // when to look next; zero means at once
	told   time.Time      // when its last line was logged
	active bool           // what that line said
	reason scaling.Reason // the one in that line
	failed bool           // whether that line told of a failure, of the memory's too
}

// newTargets places every target with its cluster and its memory.
func newTargets(objects []scaling.ScaledObject, looks scaling.Looks, clusters map[string]*kube.Cluster, memories *memories) []*target {
	targets := make([]*target, len(objects))
	for i := range objects {
		o := &objects[i]
		targets[i] = &target{ScaledObject: o, looks: looks, cluster: clusters[o.Cluster], memory: memories.of(clusters[o.Cluster], o)}
	}
	return targets
}

// memories are the buckets of all clusters.
type memories struct {
	mu  sync.Mutex
	all map[bucketID]*kube.Bucket
}

type bucketID struct {
	cluster, namespace string
	n                  int
}

// of is the bucket of one target.
func (m *memories) of(c *kube.Cluster, o *scaling.ScaledObject) *kube.Bucket {
	bucket := m.bucket(c, o.Namespace, o.Bucket)
	bucket.Own(o.Name)
	return bucket
}

func (m *memories) bucket(c *kube.Cluster, namespace string, n int) *kube.Bucket {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := bucketID{c.Name, namespace, n}
	if m.all[id] == nil {
		if m.all == nil {
			m.all = map[bucketID]*kube.Bucket{}
		}
		m.all[id] = kube.NewBucket(c, namespace, n)
	}
	return m.all[id]
}

// shard is the target's, of so many.
func (t *target) shard(shards int) int { return shardOf(t.Cluster, t.Namespace, t.Bucket, shards) }

// shardOf is the shard of a memory bucket, of so many. It is in one shard as a whole, so that two shards never write the
// same ConfigMap.
func shardOf(cluster, namespace string, bucket, shards int) int {
	h := fnv.New32a()
	h.Write([]byte(cluster + "/" + namespace + "/" + strconv.Itoa(bucket)))
	return int(h.Sum32() % uint32(shards))
}

// turn is when to look at the target in an invocation whose last moment for a look is known. A look due between
// that and the next tick comes at it; not so in policy keda, where nothing would be due yet.
func (t *target) turn(last time.Time) time.Time {
	if t.Policy != scaling.PolicyKEDA && t.due.After(last) && t.due.Sub(last) <= early {
		return last
	}
	return t.due
}

// firstTurn is the target's first turn in a tick's invocation that began then, if it has one. A tick that looks once
// takes what is due a moment later along, at once: it would else wait for the next tick. Policy keda's it waits for.
func (t *target) firstTurn(began time.Time, oncePerTick bool) (at time.Time, ok bool) {
	last := began.Add(lastLook)
	if !oncePerTick {
		at = t.turn(last)
		return at, !at.After(last)
	}
	at = t.turn(began)
	return at, !at.After(began.Add(early))
}

// turnAfter is the turn after a look that began then, if the invocation has one left for the target.
func (t *target) turnAfter(began, last time.Time) (at time.Time, ok bool) {
	at = t.turn(last)
	return at, at.After(began)
}

// next is when a target that was looked at is due again. Policy keda says so itself, to the instant: a
// look before its time would leave the turn to the one after.
func (t *target) next(d scaling.Decision, began time.Time) time.Time {
	if !d.Next.IsZero() {
		return d.Next
	}
	return began.Add(t.interval(d))
}

// interval is how long after a look the next one is due. What may have to grow is looked at often, what
// may have to shrink now and then, the rest as its pollingInterval says.
func (t *target) interval(d scaling.Decision) time.Duration {
	growing, shrinking := t.looks.Growing(), t.looks.Shrinking()
	switch {
	case d.At.IsZero(): // nothing could be decided
		return min(t.PollingInterval, shrinking)
	case d.Active && d.To < t.MaxReplicaCount:
		return min(t.PollingInterval, growing)
	case d.Active, d.To > t.Floor():
		return min(t.PollingInterval, shrinking)
	}
	return t.PollingInterval
}

// worthALine says whether a decision is logged: when it changes something, begins or ceases to fail, gives
// another reason than before, finds the target newly active or inactive or someone else's size, and once
// a minute while it is active or fails.
func (t *target) worthALine(o outcome, now time.Time) bool {
	d := o.decision
	return o.Changed || o.Outside != "" || o.failed() != t.failed || d.Reason != t.reason || d.Active != t.active ||
		(d.Active || o.failed()) && now.Sub(t.told) >= time.Minute
}
