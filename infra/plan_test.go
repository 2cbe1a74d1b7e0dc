package infra

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leda-autoscaler/leda/scaling"
)

var nearby = place{"aws", "eu-north-1", "111111111111"}

// scaledObject has one trigger, read with the function's role.
func scaledObject(name, queueURL, region string) string {
	return fmt.Sprintf(`---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: %[1]s, namespace: shop}
spec:
  scaleTargetRef: {name: %[1]s}
  triggers:
    - type: aws-sqs-queue
      authenticationRef: {name: role}
      metadata: {queueURL: %[2]q, awsRegion: %[3]q}
`, name, queueURL, region)
}

const role = `---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: role, namespace: shop}
spec: {podIdentity: {provider: aws}}
`

// planOf is the plan for a folder of files.
func planOf(t *testing.T, files map[string]string) (plan, error) {
	t.Helper()
	t.Chdir(t.TempDir()) // messages then name the files as people do
	if err := os.Mkdir("scaledobjects", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join("scaledobjects", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return newPlan(Settings{Name: "Leda", Cluster: "prod"}.withDefaults(), nearby)
}

func TestEveryMistakeInScaledObjectsIsNamedWithItsFile(t *testing.T) {
	_, err := planOf(t, map[string]string{
		"a.yaml": scaledObject("orders", "orders", "eu-north-1") + strings.Replace(role, "provider: aws", "provider: gcp", 1),
		"b.yaml": strings.Replace(scaledObject("returns", "returns", "eu-north-1"), "aws-sqs-queue", "kafka", 1),
	})
	var problems scaling.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got error %v, want scaling.Problems", err)
	}
	var got []string
	for _, p := range problems {
		got = append(got, strings.Join([]string{p.File, p.Object, p.Path}, " "))
	}
	want := []string{
		"scaledobjects/a.yaml TriggerAuthentication shop/role spec.podIdentity.provider",
		"scaledobjects/a.yaml ScaledObject shop/orders spec.triggers[0].authenticationRef",
		"scaledobjects/b.yaml ScaledObject shop/returns spec.triggers[0].type",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != len(want) {
		t.Errorf("got %d lines, want one a problem:\n%v", lines, err)
	}
}

func TestMistakesInScaledObjectsFailSynth(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no manifest in the folder", nil, "context scaledObjects: read the ScaledObjects in scaledobjects: there is no .yaml, .yml or .json file"},
		{
			"a cluster that is not there",
			map[string]string{"a.yaml": strings.Replace(scaledObject("orders", "orders", "eu-north-1"), "{name: orders,", "{annotations: {leda.dev/cluster: other}, name: orders,", 1) + role},
			`ScaledObject shop/orders: metadata.annotations[leda.dev/cluster]: must be one of the fleet's clusters ["prod"], got "other"`,
		},
		{
			"a text that would be more than one queue in a policy",
			map[string]string{"a.yaml": scaledObject("all", "orders-*", "eu-north-1") + scaledObject("any", "https://sqs.eu-north-1.amazonaws.com/*/orders", "*") + role},
			`scaledobjects/a.yaml: ScaledObject shop/all: spec.triggers[0].metadata.queueURL: must have a name that SQS allows (letters, digits, - and _, at most 80, with .fifo for a FIFO queue), got "orders-*"; write the queue's whole URL or its bare name
scaledobjects/a.yaml: ScaledObject shop/any: spec.triggers[0].metadata.queueURL: must have an account of 12 digits, got "*"
scaledobjects/a.yaml: ScaledObject shop/any: spec.triggers[0].metadata.awsRegion: must be a region's name such as eu-west-1, got "*"`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := planOf(t, test.files)
			if err == nil {
				t.Fatal("got no error")
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAlarmsAreForAHundredTriggersUnlessAskedFor(t *testing.T) {
	triggers := func(n int) []queue {
		queues := make([]queue, n)
		for i := range queues {
			queues[i] = queue{scaling.Trigger{SQS: scaling.SQSTrigger{QueueName: "orders"}}, scaling.ScaledObject{Cluster: "prod", Namespace: "shop", Name: fmt.Sprint("o", i)}, 0, nearby}
		}
		return queues
	}
	long := triggers(1)
	long[0].object.Name = strings.Repeat("o", 240)
	for _, test := range []struct {
		name   string
		queues []queue
		wanted *bool
		groups map[string]int // alarms by the beginning of their names
		notes  []string
		err    string
	}{
		{name: "100 have them", queues: triggers(100), groups: map[string]int{"Leda": 100}},
		{name: "101 have not, and the note gives the price", queues: triggers(101), notes: []string{"no alarms: 101 would cost about $10.10 a month; set alarms to true to have them"}},
		{name: "101 have them when asked for, in a nested stack", queues: triggers(101), wanted: new(true), groups: map[string]int{"Leda-1": 101}},
		{name: "none when not wanted", queues: triggers(1), wanted: new(false)},
		{name: "a nested stack has room for 400", queues: triggers(1000), wanted: new(true), groups: map[string]int{"Leda-1": 400, "Leda-2": 400, "Leda-3": 200}},
		{
			name: "a name longer than CloudWatch takes", queues: long, groups: map[string]int{"Leda": 1},
			err: "context alarms: an alarm's name holds 255 characters, got 258 in Leda/prod/shop/" + strings.Repeat("o", 240) + "/s0; shorten the ScaledObject's name or set alarms to false",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			groups, notes, problems := wakingAlarms(test.queues, nearby, "Leda", test.wanted)
			if err := joined(problems); (err != nil || test.err != "") && fmt.Sprint(err) != test.err {
				t.Errorf("got error %v, want %s", err, test.err)
			}
			var got map[string]int
			for _, g := range groups {
				if got == nil {
					got = map[string]int{}
				}
				got[g.prefix] = len(g.queues)
			}
			if diff := cmp.Diff(test.groups, got); diff != "" {
				t.Errorf("alarms (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.notes, notes); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFunctionReadsTheScaledObjectsThatSynthChecked(t *testing.T) {
	plan, err := planOf(t, map[string]string{"a.yaml": scaledObject("orders", "orders", "eu-north-1"), "role.yaml": role})
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(plan.fleet) // as it is in the code asset
	if err != nil {
		t.Fatal(err)
	}
	var fleet scaling.Fleet
	if err := json.Unmarshal(document, &fleet); err != nil {
		t.Fatal(err)
	}
	got, err := fleet.Targets()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plan.objects, got.ScaledObjects); diff != "" {
		t.Errorf("ScaledObjects (-checked +read):\n%s", diff)
	}
	if diff := cmp.Diff([]scaling.Cluster{{Name: "prod", Region: "eu-north-1"}}, fleet.Clusters); diff != "" {
		t.Errorf("clusters (-want +got):\n%s", diff)
	}
	if len(got.ScaledObjects) != 1 || got.ScaledObjects[0].ID() != "prod/shop/orders" {
		t.Errorf("got %v, want the one target prod/shop/orders", got.ScaledObjects)
	}
}

func TestPeopleAreToldWhatHasNoEffect(t *testing.T) {
	plan, err := planOf(t, map[string]string{"a.yaml": role +
		strings.Replace(scaledObject("orders", "orders", "eu-north-1"), "    - type:", "    - useCachedMetrics: true\n      type:", 1)})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.notes) != 1 || !strings.HasPrefix(plan.notes[0], "scaledobjects/a.yaml: ScaledObject shop/orders: spec.triggers[0].useCachedMetrics: ") {
		t.Errorf("got notes %q, want one on useCachedMetrics with its file", plan.notes)
	}
}

func TestPeopleAreToldWhatHasNoAlarm(t *testing.T) {
	plan, err := planOf(t, map[string]string{"a.yaml": role +
		scaledObject("near", "near", "eu-north-1") +
		scaledObject("far", "far", "eu-west-1") +
		scaledObject("other", "https://sqs.eu-north-1.amazonaws.com/222222222222/other", "eu-north-1")})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"prod/shop/far/s0: no alarm, since queue far is in account 111111111111, region eu-west-1; the schedule alone wakes its target",
		"prod/shop/other/s0: no alarm, since queue other is in account 222222222222, region eu-north-1; the schedule alone wakes its target",
	}
	if diff := cmp.Diff(want, plan.notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}
