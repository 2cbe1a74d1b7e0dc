package scaling

import (
	"fmt"
	"hash/fnv"
	"slices"
)

// Where a cluster's ScaledObjects are ([Cluster.Source]).
const (
	SourceFiles   = "files"   // deployed with the function; the same as nothing written
	SourceCluster = "cluster" // in the cluster, as KEDA's are
	SourceBoth    = "both"    // in either; of two with one name the file's is taken
)

// Sources are the values of [Cluster.Source], the default first.
func Sources() []string { return []string{SourceFiles, SourceCluster, SourceBoth} }

// How many memory ConfigMaps a namespace of a cluster that is read has. Nobody knows at synth how many targets there
// will be, and a right names each of them.
const (
	DefaultBuckets = 8
	MaxBuckets     = 200
)

// ReadsObjects says whether ScaledObjects are read from the cluster.
func (c Cluster) ReadsObjects() bool { return c.Source == SourceCluster || c.Source == SourceBoth }

// ReadsFiles says whether ScaledObjects that are deployed with the function may be the cluster's.
func (c Cluster) ReadsFiles() bool { return c.Source != SourceCluster }

// MemoryBuckets is how many memory ConfigMaps each of the cluster's Namespaces has.
func (c Cluster) MemoryBuckets() int {
	if c.Buckets == 0 {
		return DefaultBuckets
	}
	return c.Buckets
}

// MemoryTargets is how many targets a namespace's memory has room for.
func (c Cluster) MemoryTargets() int { return c.MemoryBuckets() * targetsPerBucket }

// bucketOf is the number of the ConfigMap that keeps the memory of one of Namespaces' targets.
func (c Cluster) bucketOf(name string) int { return int(hash(name) % uint32(c.MemoryBuckets())) }

func hash(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32()
}

// Problems is what is wrong with where the cluster's ScaledObjects are said to be.
func (c Cluster) Problems() Problems {
	var problems Problems
	add := func(path, format string, args ...any) {
		problems = append(problems, Problem{Object: "cluster " + c.Name, Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if c.Source != "" && !slices.Contains(Sources(), c.Source) {
		add("source", "must be files, cluster or both, got %q", c.Source)
		return problems
	}
	seen := map[string]bool{}
	for _, namespace := range c.Namespaces {
		switch {
		case !isLabel(namespace):
			add("namespaces", "must be names of namespaces (a-z, 0-9 and -, at most 63), got %q", namespace)
		case seen[namespace]:
			add("namespaces", "%s is there twice; remove one", namespace)
		}
		seen[namespace] = true
	}
	if c.Buckets != 0 && (c.Buckets < 1 || c.Buckets > MaxBuckets) {
		add("buckets", "must be from 1 to %d, each for %d targets of a namespace, got %d", MaxBuckets, targetsPerBucket, c.Buckets)
	}
	switch {
	case c.ReadsObjects() && len(c.Namespaces) == 0:
		add("namespaces", "are required with source %s: those whose ScaledObjects are read", c.Source)
	case !c.ReadsObjects() && len(c.Namespaces) > 0:
		add("namespaces", "go with source cluster or both; write one of them, or remove namespaces")
	case !c.ReadsObjects() && c.Buckets != 0:
		add("buckets", "go with source cluster or both; write one of them, or remove buckets")
	}
	return problems
}

// Place makes a parsed ScaledObject one of the cluster that it was read from.
func (c Cluster) Place(p *Parsed) {
	o := &p.ScaledObject
	if o.Cluster != "" && o.Cluster != c.Name {
		p.Problems = append(p.Problems, Problem{
			Object: "ScaledObject " + o.Namespace + "/" + o.Name, Path: "metadata.annotations[leda.dev/cluster]",
			Message: fmt.Sprintf("must be %q or left out, since it is in that cluster, got %q", c.Name, o.Cluster),
		})
	}
	o.Cluster, o.Bucket = c.Name, c.bucketOf(o.Name)
}
