package scaling

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestTheTargetsOfAFleet(t *testing.T) {
	objects, err := Documents(File{"f.yaml", []byte(manifest("  fallback: {failureThreshold: 3, replicas: 2}" + formula("formula: a + b, target: '5'")))})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		rule     string
		clusters []Cluster
		looks    Looks
		want     string // the error; empty for none
	}{
		{"a ScaledObject that names no cluster is in the only one", []Cluster{{Name: "blue"}}, Looks{}, ""},
		{"of several it must name one", []Cluster{{Name: "blue"}, {Name: "green"}}, Looks{}, `ScaledObject shop/orders: metadata.annotations[leda.dev/cluster]: must be one of the fleet's clusters ["blue" "green"], got ""`},
		{"looks at least once a minute", []Cluster{{Name: "blue"}}, Looks{GrowingSeconds: 61, ShrinkingSeconds: -1}, "looks: growingSeconds: must be from 1 to 60, got 61\nlooks: shrinkingSeconds: must be from 1 to 60, got -1"},
	} {
		all, err := Fleet{Clusters: row.clusters, Objects: append([]json.RawMessage(nil), objects...), Looks: row.looks}.Targets()
		switch {
		case row.want != "":
			if err == nil || !strings.HasPrefix(err.Error(), row.want) {
				t.Errorf("%s: got %v, want %s", row.rule, err, row.want)
			}
		case err != nil || len(all.ScaledObjects) != 1 || all.ScaledObjects[0].Cluster != "blue":
			t.Errorf("%s: got %v, %v", row.rule, all.ScaledObjects, err)
		}
	}
	for namespace, want := range map[string]string{"": "keda", "own": "own"} {
		if got := (Fleet{ClusterObjectNamespace: namespace}).ClusterObjects(); got != want {
			t.Errorf("the namespace of cluster objects is %q, want %q", got, want)
		}
	}
	if got := (Looks{GrowingSeconds: 2}); got.Growing() != 2*time.Second || got.Shrinking() != 15*time.Second {
		t.Errorf("got looks each %s and %s, want 2s as written and 15s", got.Growing(), got.Shrinking())
	}
}
