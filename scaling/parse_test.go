package scaling

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// manifest is a ScaledObject whose spec's last lines are given, with a TriggerAuthentication for the function's role.
func manifest(spec string) string {
	return `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: orders, namespace: shop}
spec:
  scaleTargetRef: {name: orders}
` + spec + `
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: leda, namespace: shop}
spec: {podIdentity: {provider: aws}}
`
}

const sqsTrigger = `
  triggers:
  - type: aws-sqs-queue
    authenticationRef: {name: leda}
    metadata: {queueURL: orders, awsRegion: eu-west-1}
`

func sqsWith(metadata string) string {
	return `
  triggers:
  - type: aws-sqs-queue
    authenticationRef: {name: leda}
    metadata: {` + metadata + `}
`
}

func TestParseFillsInKEDAsDefaults(t *testing.T) {
	got, err := Parse(File{"orders.yaml", []byte(manifest(sqsTrigger))})
	if err != nil {
		t.Fatal(err)
	}
	want := []ScaledObject{{
		Namespace: "shop", Name: "orders", Policy: PolicyDirect,
		Target:          TargetRef{"apps/v1", "Deployment", "orders"},
		PollingInterval: 30 * time.Second, CooldownPeriod: 300 * time.Second, MaxReplicaCount: 100,
		HPAName: "keda-hpa-orders",
		Triggers: []Trigger{{
			ID: "s0", Type: TypeSQS, MetricType: AverageValue, AuthenticationRef: "leda",
			SQS: SQSTrigger{QueueURL: "orders", QueueName: "orders", Region: "eu-west-1", QueueLength: 5, ScaleOnInFlight: true},
		}},
	}}
	if diff := cmp.Diff(want, got.ScaledObjects); diff != "" {
		t.Error(diff)
	}
}

func TestParseReadsEveryField(t *testing.T) {
	got, err := Parse(File{"full.yaml", []byte(`
apiVersion: v1
kind: List
items:
- apiVersion: keda.sh/v1alpha1
  kind: ScaledObject
  metadata:
    name: orders
    namespace: shop
    annotations: {leda.dev/policy: direct, leda.dev/cluster: blue, leda.dev/beside-keda: "true", "leda.dev/doorbell": "arn:aws:sns:eu-west-1:123456789012:orders", autoscaling.keda.sh/paused-scale-in: "yes", other: thing}
  spec:
    scaleTargetRef: {apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: web}
    pollingInterval: 10
    cooldownPeriod: 60
    initialCooldownPeriod: 20
    idleReplicaCount: 0
    minReplicaCount: 2
    maxReplicaCount: 40
    advanced:
      restoreToOriginalReplicaCount: true
      horizontalPodAutoscalerConfig:
        name: orders-hpa
        behavior:
          scaleUp: {tolerance: 50m}
          scaleDown:
            stabilizationWindowSeconds: 15
            selectPolicy: Min
            policies: [{type: Percent, value: 10, periodSeconds: 60}]
    triggers:
    - type: aws-sqs-queue
      name: fast
      authenticationRef: {name: keys}
      metadata:
        queueURL: https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo
        awsRegion: eu-west-1
        awsEndpoint: https://sqs.example
        queueLength: " 7 "
        activationQueueLength: "-1"
        scaleOnInFlight: "F"
        scaleOnDelayed: "true"
- apiVersion: keda.sh/v1alpha1
  kind: TriggerAuthentication
  metadata: {name: keys, namespace: shop}
  spec:
    secretTargetRef:
    - {parameter: awsAccessKeyID, name: aws, key: id}
    - {parameter: awsSecretAccessKey, name: aws, key: secret}
`)})
	if err != nil {
		t.Fatal(err)
	}
	want := []ScaledObject{{
		Cluster: "blue", Namespace: "shop", Name: "orders", Policy: PolicyDirect,
		Target:          TargetRef{"argoproj.io/v1alpha1", "Rollout", "web"},
		PollingInterval: 10 * time.Second, CooldownPeriod: time.Minute, InitialCooldownPeriod: 20 * time.Second,
		IdleReplicaCount: number32(0), MinReplicaCount: number32(2), MaxReplicaCount: 40,
		ScaleUp: &ScalingRules{Select: SelectMax, Tolerance: float(0.05), Policies: []ScalingPolicy{
			{Percent: true, Value: 100, Period: 15 * time.Second}, {Value: 4, Period: 15 * time.Second},
		}},
		ScaleDown:  &ScalingRules{Window: 15 * time.Second, Select: SelectMin, Policies: []ScalingPolicy{{Percent: true, Value: 10, Period: time.Minute}}},
		Pause:      Pause{ScaleIn: true},
		Doorbell:   "arn:aws:sns:eu-west-1:123456789012:orders",
		BesideKEDA: true, HPAName: "orders-hpa", RestoreOriginal: true,
		Triggers: []Trigger{{
			ID: "fast", Name: "fast", Type: TypeSQS, MetricType: AverageValue, AuthenticationRef: "keys",
			SQS: SQSTrigger{
				QueueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo", QueueName: "orders.fifo", AccountID: "123456789012",
				Region: "eu-west-1", Endpoint: "https://sqs.example", QueueLength: 7, ActivationQueueLength: -1, ScaleOnDelayed: true,
			},
			Authentication: Authentication{Keys: &KeyReferences{AccessKeyID: Source{FromSecret, "aws", "id"}, SecretAccessKey: Source{FromSecret, "aws", "secret"}}},
		}},
	}}
	if diff := cmp.Diff(want, got.ScaledObjects); diff != "" {
		t.Error(diff)
	}
}

func TestParseNamesEveryProblem(t *testing.T) {
	for _, row := range []struct {
		rule, yaml string
		want       []string // each a problem: file, object, path, message, or its beginning
	}{
		{"not YAML", "a: [", []string{"f.yaml: is not valid YAML"}},
		{"not an object", "- a", []string{"f.yaml: is not a Kubernetes object"}},
		{"nothing", "# nothing\n", []string{"f.yaml: holds no object"}},
		{"a key twice", "a: 1\na: 2\n", []string{"f.yaml: is not valid YAML"}},
		{"another kind", "{apiVersion: v1, kind: Pod}", []string{`f.yaml: kind: must be ScaledObject, TriggerAuthentication or ClusterTriggerAuthentication of keda.sh/v1alpha1, got kind Pod of apiVersion "v1"`}},
		{"no spec", "{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: orders}}", []string{"f.yaml: ScaledObject default/orders: spec: is required"}},
		{"all at once", manifest("  minReplicaCount: 7\n  maxReplicaCount: 5\n  pollingInterval: 0\n" + sqsTrigger), []string{
			"f.yaml: ScaledObject shop/orders: spec.pollingInterval: must be a whole number of at least 1, got 0",
			"f.yaml: ScaledObject shop/orders: spec.minReplicaCount: must be at most maxReplicaCount (5), got 7",
		}},
		{"names that lead to other paths", `{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: a/../b, namespace: shop/../kube-system}, spec: {
			scaleTargetRef: {name: "..", kind: Kind/../secrets, apiVersion: ../v1}, triggers: [{type: cron, metadata: {timezone: Etc/UTC, start: 0 8 * * *, end: 0 9 * * *, desiredReplicas: "1"}}]}}`, []string{
			`f.yaml: ScaledObject shop/../kube-system/a/../b: metadata.namespace: must be a namespace's name`,
			`f.yaml: ScaledObject shop/../kube-system/a/../b: metadata.name: must be a name`,
			`f.yaml: ScaledObject shop/../kube-system/a/../b: spec.scaleTargetRef.name: must be a name as Kubernetes allows them (a-z, 0-9, - and .), got ".."`,
			`f.yaml: ScaledObject shop/../kube-system/a/../b: spec.scaleTargetRef.kind: must be letters and digits`,
			`f.yaml: ScaledObject shop/../kube-system/a/../b: spec.scaleTargetRef.apiVersion: must be GROUP/VERSION`,
		}},
		{"idle not below min", manifest("  idleReplicaCount: 0\n" + sqsTrigger), []string{"f.yaml: ScaledObject shop/orders: spec.idleReplicaCount: must be less than minReplicaCount (0), got 0"}},
		{"a misspelt field", manifest("  maxReplicas: 5\n" + sqsTrigger), []string{"f.yaml: ScaledObject shop/orders: spec.maxReplicas: unknown field"}},
		{"a number where text is wanted", manifest(sqsWith("queueURL: orders, awsRegion: eu-west-1, queueLength: 5")), []string{
			`f.yaml: ScaledObject shop/orders: spec.triggers[0].metadata.queueLength: must be a string, got a number; write queueLength: "5"`,
		}},
		{"text where a number is wanted", manifest("  maxReplicaCount: many\n" + sqsTrigger), []string{`f.yaml: ScaledObject shop/orders: spec.maxReplicaCount: must be a whole number, got "many"`}},
		{"beyond an int32", manifest("  maxReplicaCount: 2147483648\n" + sqsTrigger), []string{"f.yaml: ScaledObject shop/orders: spec.maxReplicaCount: must be a whole number of at least 1, got 2147483648"}},
		{"no whole number", manifest("  maxReplicaCount: 2.5\n" + sqsTrigger), []string{"f.yaml: ScaledObject shop/orders: spec.maxReplicaCount: must be a whole number of at least 1, got 2.5"}},
		{"no triggers", manifest("  triggers: []\n"), []string{"f.yaml: ScaledObject shop/orders: spec.triggers: must have at least one trigger"}},
		{"another trigger", manifest("  triggers: [{type: kafka, metadata: {}}]\n"), []string{`f.yaml: ScaledObject shop/orders: spec.triggers[0].type: "kafka" is not supported`}},
		{"what SQS needs", manifest(sqsWith("queueLength: \"0\"")), []string{
			"f.yaml: ScaledObject shop/orders: spec.triggers[0].metadata.queueURL: is required",
			"f.yaml: ScaledObject shop/orders: spec.triggers[0].metadata.awsRegion: is required",
			"f.yaml: ScaledObject shop/orders: spec.triggers[0].metadata.queueLength: must be at least 1, got 0",
		}},
		{"a queue that SQS cannot have", manifest(sqsWith(`queueURL: "orders-*", awsRegion: "*"`)), []string{
			`f.yaml: ScaledObject shop/orders: spec.triggers[0].metadata.queueURL: must have a name that SQS allows (letters, digits, - and _, at most 80, with .fifo for a FIFO queue), got "orders-*"`,
			`f.yaml: ScaledObject shop/orders: spec.triggers[0].metadata.awsRegion: must be a region's name such as eu-west-1, got "*"`,
		}},
		{"no account", manifest(sqsWith("queueURL: https://sqs.eu-west-1.amazonaws.com/*/orders, awsRegion: eu-west-1")), []string{
			`f.yaml: ScaledObject shop/orders: spec.triggers[0].metadata.queueURL: must have an account of 12 digits, got "*"`,
		}},
		{"no credentials", manifest("  triggers: [{type: aws-sqs-queue, metadata: {queueURL: orders, awsRegion: eu-west-1}}]"), []string{"f.yaml: ScaledObject shop/orders: spec.triggers[0].authenticationRef: no credentials"}},
		{"an authentication that is not there", manifest("  triggers: [{type: aws-sqs-queue, authenticationRef: {name: other}, metadata: {queueURL: orders, awsRegion: eu-west-1}}]"), []string{"f.yaml: ScaledObject shop/orders: spec.triggers[0].authenticationRef.name: TriggerAuthentication shop/other is not there"}},
		{"Leda's annotations", strings.Replace(manifest(sqsTrigger), "namespace: shop", `namespace: shop, annotations: {leda.dev/policy: fast, leda.dev/doorbell: orders}`, 1), []string{
			`f.yaml: ScaledObject shop/orders: metadata.annotations[leda.dev/doorbell]: must be the ARN of an SNS topic, arn:aws:sns:REGION:ACCOUNT:NAME, got "orders"`,
			`f.yaml: ScaledObject shop/orders: metadata.annotations[leda.dev/policy]: must be direct or keda, got "fast"`,
		}},
		{"one workload twice", manifest(sqsTrigger) + "---" + strings.Replace(manifest(sqsTrigger), "name: orders, namespace", "name: again, namespace", 1), []string{
			"f.yaml: TriggerAuthentication shop/leda: is there twice",
			"f.yaml: ScaledObject shop/again: spec.scaleTargetRef: Deployment orders is scaled by ScaledObject shop/orders already",
		}},
		{"the HPA API's bounds on behavior", manifest(`
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleDown: {stabilizationWindowSeconds: 3601, selectPolicy: Most, policies: [], tolerance: "-1"}
        scaleUp: {policies: [{type: Cores, value: 0, periodSeconds: 1801}]}
` + sqsTrigger), []string{
			"f.yaml: ScaledObject shop/orders: spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies[0].type: must be Pods or Percent",
			"f.yaml: ScaledObject shop/orders: spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies[0].value: must be a whole number of at least 1, got 0",
			"f.yaml: ScaledObject shop/orders: spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies[0].periodSeconds: must be a whole number from 1 to 1800, got 1801",
			"f.yaml: ScaledObject shop/orders: spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds: must be a whole number from 0 to 3600, got 3601",
			"f.yaml: ScaledObject shop/orders: spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.selectPolicy: must be Max, Min or Disabled",
			"f.yaml: ScaledObject shop/orders: spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.policies: must not be empty",
			"f.yaml: ScaledObject shop/orders: spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.tolerance: must be a quantity of at least 0",
		}},
	} {
		_, err := Parse(File{"f.yaml", []byte(row.yaml)})
		var got Problems
		if !errors.As(err, &got) {
			t.Errorf("%s: got %v, want problems", row.rule, err)
			continue
		}
		if len(got) != len(row.want) {
			t.Errorf("%s: got %d problems, want %d:\n%v", row.rule, len(got), len(row.want), got)
			continue
		}
		for i, want := range row.want {
			if !strings.HasPrefix(got[i].String(), want) {
				t.Errorf("%s: problem %d\n got %s\nwant %s", row.rule, i, got[i], want)
			}
		}
	}
}

func TestQueueName(t *testing.T) {
	for _, row := range []struct {
		queueURL, name string
		ok             bool
	}{
		{"https://sqs.eu-west-1.amazonaws.com/123/q", "q", true},
		{"http://localhost:4566/000000000000/q", "q", true},
		{"https://sqs.eu-west-1.amazonaws.com:443/123/q.fifo", "q.fifo", true},
		{"https://sqs.eu-west-1.amazonaws.com/123/q?x=1", "q", true},
		{"/123/q", "q", true},
		{"my-queue", "my-queue", true},
		{"my-queue.fifo", "my-queue.fifo", true},
		{"123456789012/my-queue", "123456789012/my-queue", true},
		{"sqs.eu-west-1.amazonaws.com/123/q", "sqs.eu-west-1.amazonaws.com/123/q", true},
		{"my queue", "my queue", true},
		{"https://sqs.eu-west-1.amazonaws.com/123/", "", false},
		{"https://sqs.eu-west-1.amazonaws.com/123/q/", "", false},
		{"https://sqs.eu-west-1.amazonaws.com/q", "", false},
		{"https://sqs.eu-west-1.amazonaws.com", "", false},
		{"/my-queue", "", false},
		{"arn:aws:sqs:r:1:q", "", false},
		{"http://localhost:4566/queue/us-east-1/000000000000/q", "", false},
	} {
		if name, _, ok := queueName(row.queueURL); name != row.name || ok != row.ok {
			t.Errorf("%s: got %q, %t, want %q, %t", row.queueURL, name, ok, row.name, row.ok)
		}
	}
}

func TestMetadataIntegersAreJSONs(t *testing.T) {
	for text, want := range map[string]bool{"5": true, "-1": true, "0": true, "5.0": false, "5.5": false, "1e2": false, "+5": false, "05": false, "5k": false, "null": false} {
		check := &checker{}
		newMetadata(map[string]string{"n": text}, "metadata", check).integer("n", 1)
		if got := len(check.problems) == 0; got != want {
			t.Errorf("%q: accepted is %t, want %t", text, got, want)
		}
	}
}

func TestNotesWhatHasNoEffect(t *testing.T) {
	got, err := Parse(File{"f.yaml", []byte(manifest("  advanced: {horizontalPodAutoscalerConfig: {name: mine}}\n" + sqsWith("queueURL: orders, awsRegion: eu-west-1, queueLenght: \"7\"")))})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, n := range got.Notes {
		paths = append(paths, n.Path)
	}
	if want := []string{"spec.triggers[0].metadata.queueLenght", "spec.advanced.horizontalPodAutoscalerConfig.name"}; !slices.Equal(paths, want) {
		t.Errorf("got notes at %q, want %q", paths, want)
	}
}

func TestTheShippedScaledObjects(t *testing.T) {
	files, err := ReadFolder(os.DirFS(".."), "scaledobjects")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(files...); err != nil {
		t.Fatal(err)
	}
}

func TestBucketsHoldFiftyAndStay(t *testing.T) {
	buckets := func(n int) map[string]int {
		objects := make([]ScaledObject, n)
		for i := range objects {
			objects[i].Namespace, objects[i].Name = "shop", "queue-"+string(rune('a'+i%26))+strings.Repeat("x", i/26)
		}
		assignBuckets(objects)
		placed, count := map[string]int{}, map[int]int{}
		for _, o := range objects {
			placed[o.Name] = o.Bucket
			if count[o.Bucket]++; count[o.Bucket] > targetsPerBucket {
				t.Errorf("%d targets: bucket %d holds more than %d", n, o.Bucket, targetsPerBucket)
			}
		}
		return placed
	}
	fewer, more := buckets(120), buckets(121)
	moved := 0
	for name, bucket := range fewer {
		if more[name] != bucket {
			moved++
		}
	}
	if moved > 0 {
		t.Errorf("adding one target moved %d others", moved)
	}
	buckets(1000)
}

// What SQS allows in a queue's name, where KEDA takes any text.
func TestQueueNamesOfSQS(t *testing.T) {
	for name, want := range map[string]bool{
		"orders": true, "Orders_2-b": true, "orders.fifo": true, strings.Repeat("a", 80): true, strings.Repeat("a", 75) + ".fifo": true,
		"my queue": false, "123456789012/my-queue": false, "orders-*": false, "orders.fifo.fifo": false, "orders.x": false, ".fifo": false, "größe": false,
		strings.Repeat("a", 81): false, strings.Repeat("a", 76) + ".fifo": false,
	} {
		var c checker
		newMetadata(nil, "", &c).checkQueue("queueURL", name, "")
		if got := len(c.problems) == 0; got != want {
			t.Errorf("%q: got %t, want %t", name, got, want)
		}
	}
}

func TestRegions(t *testing.T) {
	for region, want := range map[string]bool{
		"eu-west-1": true, "us-gov-west-1": true, "eusc-de-east-1": true, "eu-west-*": false, "EU-WEST-1": false, "eu west 1": false, "europe": false,
	} {
		var c checker
		newMetadata(nil, "", &c).checkRegion("awsRegion", region)
		if got := len(c.problems) == 0; got != want {
			t.Errorf("%q: got %t, want %t", region, got, want)
		}
	}
}
