package scaling

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestWhereAClustersScaledObjectsAre(t *testing.T) {
	for _, row := range []struct {
		rule    string
		cluster Cluster
		reads   bool
		want    []string // problems
	}{
		{"in files, when nothing is written", Cluster{}, false, nil},
		{"in files", Cluster{Source: SourceFiles}, false, nil},
		{"in the cluster", Cluster{Source: SourceCluster, Namespaces: []string{"shop"}}, true, nil},
		{"in both", Cluster{Source: SourceBoth, Namespaces: []string{"shop", "bank"}, Buckets: 200}, true, nil},
		{"a source that is none", Cluster{Source: "git", Buckets: 999}, false, []string{`source: must be files, cluster or both, got "git"`}},
		{"without namespaces, and all other problems with it", Cluster{Source: SourceCluster, Buckets: 201}, true, []string{"buckets: must be from 1 to 200, each for 50 targets of a namespace, got 201", "namespaces: are required with source cluster"}},
		{"namespaces that are none", Cluster{Source: SourceBoth, Namespaces: []string{"Shop", "a", "a"}}, true, []string{`namespaces: must be names of namespaces`, "namespaces: a is there twice"}},
		{"namespaces that nobody reads", Cluster{Namespaces: []string{"shop"}}, false, []string{"namespaces: go with source cluster or both"}},
		{"buckets that nobody needs", Cluster{Buckets: 1}, false, []string{"buckets: go with source cluster or both"}},
	} {
		row.cluster.Name = "blue"
		problems := row.cluster.Problems()
		fits := len(problems) == len(row.want)
		for i := range min(len(row.want), len(problems)) {
			fits = fits && strings.HasPrefix(problems[i].String(), "cluster blue: "+row.want[i])
		}
		if !fits || row.cluster.ReadsObjects() != row.reads {
			t.Errorf("%s: reads objects: %t, want %t; problems:\n%v\nwant %q", row.rule, row.cluster.ReadsObjects(), row.reads, problems, row.want)
		}
	}
}

func TestTheMemoryOfAClustersTargets(t *testing.T) {
	blue := Cluster{Name: "blue", Region: "eu-west-1", Source: SourceBoth, Namespaces: []string{"shop"}}
	parsed := ParseEach(inCluster("orders", "", "orders", "aws", ""), authenticationInCluster("aws", `{"podIdentity":{"provider":"aws"}}`))[0]
	blue.Place(&parsed)
	if parsed.Cluster != "blue" || len(parsed.Problems) != 0 || parsed.ID() != "blue/shop/orders" {
		t.Errorf("got %s, %v; what a cluster has is its own", parsed.ID(), parsed.Problems)
	}
	fleet := Fleet{Clusters: []Cluster{blue}, Objects: []json.RawMessage{inCluster("orders", "", "orders", "aws", ""), authenticationInCluster("aws", `{"podIdentity":{"provider":"aws"}}`)}}
	all, err := fleet.Targets()
	if err != nil {
		t.Fatal(err)
	}
	if file := all.ScaledObjects[0]; file.Bucket != parsed.Bucket || file.Bucket != int(hash("orders")%8) {
		t.Errorf("ConfigMap %d when it is in a file and %d when it is in the cluster, want %d: moving it would lose its memory", file.Bucket, parsed.Bucket, hash("orders")%8)
	}
	if blue.MemoryTargets() != 400 {
		t.Errorf("room for %d targets in a namespace, want 400", blue.MemoryTargets())
	}

	parsed.Cluster = "green"
	if blue.Place(&parsed); len(parsed.Problems) != 1 || !strings.Contains(parsed.Problems[0].String(), `must be "blue" or left out`) {
		t.Errorf("an annotation that names another cluster: got %v", parsed.Problems)
	}
	fleet.Clusters[0].Source = SourceCluster
	if _, err := fleet.Targets(); err == nil || !strings.Contains(err.Error(), "apply this one there, or give blue source both") {
		t.Errorf("a file for a cluster that is read alone: got %v", err)
	}
	fleet.Clusters[0].Namespaces = nil
	if _, err := fleet.Targets(); err == nil || !strings.Contains(err.Error(), "cluster blue: namespaces: are required") {
		t.Errorf("a cluster that is not well described: got %v", err)
	}
}
