package scaling

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"
)

// Fleet is what one function looks after: the document that synth writes into the function's code
// asset (leda.json), and the function reads when it starts.
type Fleet struct {
	Clusters []Cluster `json:"clusters"`
	// Objects are the ScaledObjects and TriggerAuthentications as they were written, as JSON.
	Objects []json.RawMessage `json:"objects"`
	// ClusterObjectNamespace is where what a ClusterTriggerAuthentication refers to is kept; KEDA's own
	// namespace unless written.
	ClusterObjectNamespace string `json:"clusterObjectNamespace,omitempty"`
	Looks                  Looks  `json:"looks,omitzero"`
}

// ClusterObjects is the namespace of what a ClusterTriggerAuthentication refers to.
func (f Fleet) ClusterObjects() string {
	if f.ClusterObjectNamespace == "" {
		return DefaultClusterObjectNamespace
	}
	return f.ClusterObjectNamespace
}

// DefaultClusterObjectNamespace is where KEDA keeps its own, unless it is told otherwise.
const DefaultClusterObjectNamespace = "keda"

// Looks says how often the function looks at its targets.
type Looks struct {
	// OncePerTick makes a tick look once and return: cheapest, and half a minute late on average.
	OncePerTick bool `json:"oncePerTick,omitempty"`
	// GrowingSeconds and ShrinkingSeconds are the longest a target waits for its next look while it has work
	// and may grow, and while it is at its maximum or may shrink. 1 to 60; 0 means 5 and 15.
	GrowingSeconds   int `json:"growingSeconds,omitempty"`
	ShrinkingSeconds int `json:"shrinkingSeconds,omitempty"`
}

// Growing is how long a target with work that may grow waits at most.
func (l Looks) Growing() time.Duration { return secondsOr(l.GrowingSeconds, 5) }

// Shrinking is how long a target at its maximum, or one that may shrink, waits at most.
func (l Looks) Shrinking() time.Duration { return secondsOr(l.ShrinkingSeconds, 15) }

func secondsOr(n, otherwise int) time.Duration {
	if n == 0 {
		n = otherwise
	}
	return time.Duration(n) * time.Second
}

func (l Looks) problems() Problems {
	var problems Problems
	for _, s := range []struct {
		path    string
		seconds int
	}{{"growingSeconds", l.GrowingSeconds}, {"shrinkingSeconds", l.ShrinkingSeconds}} {
		if s.seconds < 0 || s.seconds > 60 {
			problems = append(problems, Problem{Object: "looks", Path: s.path, Message: fmt.Sprintf("must be from 1 to 60, got %d", s.seconds)})
		}
	}
	return problems
}

// Cluster is an EKS cluster whose workloads are scaled.
type Cluster struct {
	Name   string `json:"name"`
	Region string `json:"region"`

	// RoleARN is the role that the cluster knows the function by, assumed by the function's own one; empty
	// for the function's own. A cluster in another account needs it.
	RoleARN string `json:"roleArn,omitempty"`

	// Endpoint and CertificateAuthority (base64 of PEM) may be given; then DescribeCluster is not asked.
	Endpoint             string `json:"endpoint,omitempty"`
	CertificateAuthority string `json:"certificateAuthority,omitempty"`

	// Source says where the cluster's ScaledObjects are: SourceFiles (also when empty), SourceCluster or SourceBoth.
	Source string `json:"source,omitempty"`
	// Namespaces are where ScaledObjects and TriggerAuthentications are read from the cluster; at least one with
	// SourceCluster and SourceBoth.
	Namespaces []string `json:"namespaces,omitempty"`
	// Buckets is how many memory ConfigMaps (leda-memory-0 …) each of Namespaces has; 0 means DefaultBuckets.
	Buckets int `json:"buckets,omitempty"`
}

// Targets parses the fleet's objects. A ScaledObject that names no cluster is given the only one.
// The error is [Problems], one for everything that the function cannot read yet and for every ScaledObject
// that names a cluster the fleet has not.
func (f Fleet) Targets() (Manifests, error) {
	all, err := ParseJSON(f.Objects...)
	if err != nil {
		return Manifests{}, err
	}
	problems := f.Looks.problems()
	for _, c := range f.Clusters {
		problems = append(problems, c.Problems()...)
	}
	if len(problems) > 0 {
		return Manifests{}, problems
	}
	return all, f.place(all.ScaledObjects)
}

func (f Fleet) place(objects []ScaledObject) error {
	var problems Problems
	known := make([]string, len(f.Clusters))
	clusters := make(map[string]Cluster, len(f.Clusters))
	for i, c := range f.Clusters {
		known[i] = c.Name
		clusters[c.Name] = c
	}
	for i := range objects {
		o := &objects[i]
		if o.Cluster == "" && len(known) == 1 {
			o.Cluster = known[0]
		}
		message := ""
		switch c, found := clusters[o.Cluster]; {
		case !found:
			message = fmt.Sprintf("must be one of the fleet's clusters %q, got %q", known, o.Cluster)
		case !c.ReadsFiles():
			message = fmt.Sprintf("must be a cluster whose ScaledObjects are in files, and those of %s are in the cluster; apply this one there, or give %s source both", c.Name, c.Name)
		}
		if message != "" {
			problems = append(problems, Problem{
				Object: "ScaledObject " + o.Namespace + "/" + o.Name, Path: "metadata.annotations[leda.dev/cluster]", Message: message,
			})
		}
	}
	if len(problems) > 0 {
		return problems
	}
	assignBuckets(objects)
	for i := range objects { // beside those that the cluster has, whose ConfigMaps the rights name
		if c := clusters[objects[i].Cluster]; c.ReadsObjects() && slices.Contains(c.Namespaces, objects[i].Namespace) {
			objects[i].Bucket = c.bucketOf(objects[i].Name)
		}
	}
	return nil
}

// ID names a target everywhere: in the log, in memory, in its alarm's name.
func (o *ScaledObject) ID() string {
	return o.Cluster + "/" + o.Namespace + "/" + o.Name
}

// ReadFolder returns the manifests (.yaml, .yml, .json) below dir, in the order of their names.
func ReadFolder(fsys fs.FS, dir string) ([]File, error) {
	var files []File
	err := fs.WalkDir(fsys, dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name)) {
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		files = append(files, File{name, data})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the ScaledObjects in %s: %w", dir, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("read the ScaledObjects in %s: there is no .yaml, .yml or .json file", dir)
	}
	return files, nil
}
