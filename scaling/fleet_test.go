package scaling

import (
	"encoding/json"
	"strings"
	"testing"
)

// A fleet with anything that the function cannot read yet is refused as a whole, at synth and at start.
func TestAFleetIsDeployable(t *testing.T) {
	fleet := func(spec string) Fleet {
		objects, err := Documents(File{"f.yaml", []byte(manifest(spec))})
		if err != nil {
			t.Fatal(err)
		}
		return Fleet{Clusters: []Cluster{{Name: "blue"}}, Objects: append([]json.RawMessage(nil), objects...)}
	}
	all, err := fleet("  fallback: {failureThreshold: 3, replicas: 2}" + formula("formula: a + b, target: '5'")).Targets()
	if err != nil || len(all.ScaledObjects) != 1 || all.ScaledObjects[0].Cluster != "blue" {
		t.Errorf("queues, a formula and a fallback can be deployed: %v", err)
	}
	_, err = fleet(strings.Replace(sqsTrigger, "  - type", "  - metricType: Value\n    type", 1)).Targets()
	if want := "ScaledObject shop/orders: spec.triggers[0].metricType: Value (it needs the number of ready pods) cannot be deployed with this version yet"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
