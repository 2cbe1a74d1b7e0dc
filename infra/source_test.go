package infra

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/leda-autoscaler/leda/scaling"
)

func TestScaledObjectsInTheClusterNeedNoFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	settings := Settings{
		Name: "Leda", Cluster: "prod", Source: scaling.SourceCluster, Namespaces: []string{"shop", "bank"}, Buckets: 3, Secrets: true,
		ReadableQueues: []string{"shop-*"}, ReadableMetrics: true,
	}.withDefaults()
	missing, err := newPlan(settings, nearby)
	if err != nil {
		t.Fatalf("the folder is missing: %v", err)
	}
	if err := os.Mkdir("scaledobjects", 0o755); err != nil {
		t.Fatal(err)
	}
	plan, err := newPlan(settings, nearby)
	if err != nil {
		t.Fatalf("the folder is empty: %v", err)
	}
	if len(missing.notes) != len(plan.notes) {
		t.Errorf("notes differ: %q without the folder, %q with an empty one", missing.notes, plan.notes)
	}
	document, err := json.Marshal(plan.fleet)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"source":"cluster","namespaces":["shop","bank"],"buckets":3`; !strings.Contains(string(document), want) {
		t.Errorf("leda.json has no %s: %s", want, document)
	}
	if len(plan.waking) > 0 && len(plan.waking[0].queues) > 0 {
		t.Errorf("alarms for objects that nobody knows: %v", plan.waking)
	}
	if note := strings.Join(plan.notes, "\n"); !strings.Contains(note, "cluster prod: ScaledObjects in namespaces shop, bank are read at run time; there is no alarm for them") {
		t.Errorf("synth does not say that there are no alarms: %s", note)
	}
	if !plan.rights.metrics || len(plan.rights.queues) != 1 || plan.memory != 512 { // 300 targets have room
		t.Errorf("metrics %t, queues %v, %d MB; want what the context allows, and 512 MB", plan.rights.metrics, plan.rights.queues, plan.memory)
	}
	files, err := writeRBAC(".", "leda", plan)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(files["prod"])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"- scaledobjects/status", "namespace: bank", "name: leda-memory-2", "- secrets"} {
		if !strings.Contains(string(manifest), want) {
			t.Errorf("the rights lack %q", want)
		}
	}
}

func TestAClusterWithoutItsOwnNeedsFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := newPlan(Settings{Name: "Leda", Clusters: []Cluster{
		{Name: "own", Source: scaling.SourceCluster, Namespaces: []string{"shop"}}, {Name: "files"},
	}}.withDefaults(), nearby)
	if err == nil || !strings.Contains(err.Error(), "context scaledObjects: read the ScaledObjects in scaledobjects") {
		t.Errorf("got %v, want that the folder is missing", err)
	}
}

func TestAFileForAClusterThatIsReadAloneIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("scaledobjects", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("scaledobjects/a.yaml", []byte(scaledObject("orders", "orders", "eu-north-1")+role), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := newPlan(Settings{Name: "Leda", Cluster: "prod", Source: scaling.SourceCluster, Namespaces: []string{"shop"}}.withDefaults(), nearby)
	if err == nil || !strings.Contains(err.Error(), "apply this one there, or give prod source both") {
		t.Errorf("got %v", err)
	}
}
