package scaling

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// accepted parses one ScaledObject of the given spec, with more documents behind it.
func accepted(t *testing.T, spec string, more ...string) (ScaledObject, Problems) {
	t.Helper()
	got, err := Parse(File{"f.yaml", []byte(manifest(spec) + strings.Join(append([]string{""}, more...), "---\n"))})
	if err != nil {
		t.Fatalf("%s\n%v", spec, err)
	}
	return got.ScaledObjects[0], got.Notes
}

// refused says what is wrong with a spec, without the file's and the object's name.
func refused(spec string, more ...string) []string {
	_, err := Parse(File{"f.yaml", []byte(manifest(spec) + strings.Join(append([]string{""}, more...), "---\n"))})
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "f.yaml: ScaledObject shop/orders: ")
	}
	return lines
}

func expect(t *testing.T, rule string, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: got %d problems, want %d: %q", rule, len(got), len(want), got)
		return
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%s:\n got %s\nwant %s", rule, got[i], want[i])
		}
	}
}

func cloudWatch(metadata string) string {
	return "  triggers:\n  - type: aws-cloudwatch\n    authenticationRef: {name: leda}\n    metadata: {" + metadata + "}\n"
}

const metricOfQueue = `awsRegion: eu-west-1, namespace: AWS/SQS, metricName: Age, dimensionName: QueueName, dimensionValue: orders, targetMetricValue: "2.5", minMetricValue: "0"`

// §4.
func TestParseCloudWatch(t *testing.T) {
	defaults := CloudWatchTrigger{
		Namespace: "AWS/SQS", MetricName: "Age", Dimensions: []Dimension{{"QueueName", "orders"}}, Stat: "Average", Region: "eu-west-1",
		Period: 300 * time.Second, Collection: 300 * time.Second, TargetMetricValue: 2.5, IgnoreNullValues: true,
	}
	o, _ := accepted(t, cloudWatch(metricOfQueue))
	if diff := cmp.Diff(defaults, o.Triggers[0].CloudWatch); diff != "" {
		t.Error(diff)
	}
	o, _ = accepted(t, cloudWatch(strings.NewReplacer("QueueName", `"A; B"`, "orders", `"a;b "`).Replace(metricOfQueue)+`, metricStat: p99, metricUnit: Count, metricStatPeriod: "30",
      metricCollectionTime: "120", metricEndTimeOffset: "60", activationTargetMetricValue: "-1e1", ignoreNullValues: "f", awsAccountId: "123456789012", awsEndpoint: "https://cw.example"`))
	want := defaults
	want.Stat, want.Unit, want.Period, want.Collection, want.EndOffset = "p99", "Count", 30*time.Second, 2*time.Minute, time.Minute
	want.Dimensions = []Dimension{{"A", "a"}, {"B", "b"}}
	want.ActivationTargetMetricValue, want.IgnoreNullValues, want.SourceAccount, want.Endpoint = -10, false, "123456789012", "https://cw.example"
	if diff := cmp.Diff(want, o.Triggers[0].CloudWatch); diff != "" {
		t.Error(diff)
	}
	o, notes := accepted(t, cloudWatch(`awsRegion: eu-west-1, expression: "SELECT MAX(x)", metricName: ignored, metricUnit: Hour, targetMetricValue: "1", minMetricValue: "1"`))
	if c := o.Triggers[0].CloudWatch; c.Expression != "SELECT MAX(x)" || c.MetricName != "" || c.Unit != "" || len(notes) != 1 {
		t.Errorf("an expression takes the place of the metric: %+v, notes %v", c, notes)
	}

	const at = "spec.triggers[0].metadata."
	for _, row := range []struct {
		rule, metadata string
		want           []string
	}{
		{"everything that is required", "a: b", []string{at + "awsRegion: is required", at + "targetMetricValue: is required", at + "minMetricValue: is required", at + "namespace: is required", at + "metricName: is required", at + "dimensionName: is required", at + "dimensionValue: is required"}},
		{"an expression still needs its numbers", "awsRegion: eu-west-1, expression: x", []string{at + "targetMetricValue: is required", at + "minMetricValue: is required"}},
		{"dimensions of two lengths", strings.Replace(metricOfQueue, "dimensionValue: orders", `dimensionValue: "a;b"`, 1), []string{at + "dimensionValue: must have as many parts between ; as dimensionName (1), got 2"}},
		{"no unit of CloudWatch's", metricOfQueue + ", metricUnit: Hour", []string{at + `metricUnit: must be one of CloudWatch's units`}},
		{"period 250", metricOfQueue + `, metricStatPeriod: "250"`, []string{at + "metricStatPeriod: must be 1, 5, 10, 30 or a multiple of 60, got 250"}},
		{"period 25", metricOfQueue + `, metricStatPeriod: "25"`, []string{at + "metricStatPeriod: must be 1, 5, 10, 30 or a multiple of 60, got 25"}},
		{"collection 100 with period 300", metricOfQueue + `, metricCollectionTime: "100"`, []string{at + "metricCollectionTime: must be a multiple of metricStatPeriod (300), got 100"}},
		{"collection below 0", metricOfQueue + `, metricCollectionTime: "-300"`, []string{at + "metricCollectionTime: must be a whole number from 0"}},
		{"no boolean", metricOfQueue + `, ignoreNullValues: maybe`, []string{at + `ignoreNullValues: must be true or false, got "maybe"`}},
		{"target 0", strings.Replace(metricOfQueue, `"2.5"`, `"0"`, 1), []string{at + "targetMetricValue: must be above 0"}},
		{"a target that rounds to 0", strings.Replace(metricOfQueue, `"2.5"`, `"0.0004"`, 1), []string{at + "targetMetricValue: must be above 0"}},
		{"a target below 0", strings.Replace(metricOfQueue, `"2.5"`, `"-1"`, 1), []string{at + "targetMetricValue: must be above 0"}},
		{"not a number", strings.Replace(metricOfQueue, `"2.5"`, `"NaN"`, 1), []string{at + `targetMetricValue: must be a number, got "NaN"`}},
		{"beyond a float", strings.Replace(metricOfQueue, `"2.5"`, `"1e400"`, 1), []string{at + `targetMetricValue: must be a number, got "1e400"`}},
		{"beyond the HPA's numbers", strings.Replace(metricOfQueue, `"2.5"`, `"1e17"`, 1), []string{at + `targetMetricValue: must be at most`}},
	} {
		expect(t, row.rule, refused(cloudWatch(row.metadata)), row.want...)
	}
}

// §2.
func TestMetadataNumbersAreJSONs(t *testing.T) {
	for text, want := range map[string]bool{"5.5": true, "1e2": true, "-1": true, ".5": false, "5.": false, "NaN": false, "Inf": false, "0x10": false, "null": false} {
		check := &checker{}
		newMetadata(map[string]string{"n": text}, "metadata", check).number("n", 1)
		if got := len(check.problems) == 0; got != want {
			t.Errorf("%q: accepted is %t, want %t", text, got, want)
		}
	}
}

// §4's windows; 420 s divide no day, so those do not begin where the epoch's do.
func TestCloudWatchWindow(t *testing.T) {
	at := time.Date(2026, 1, 5, 15, 4, 5, 999_000_000, time.UTC)
	for _, row := range []struct {
		period, offset time.Duration
		start, end     string
	}{
		{time.Minute, 0, "15:03:00", "15:04:00"},
		{time.Minute, 30 * time.Second, "15:02:00", "15:03:00"},
		{420 * time.Second, 0, "14:56:00", "15:03:00"},
	} {
		c := CloudWatchTrigger{Period: row.period, Collection: row.period, EndOffset: row.offset}
		start, end := c.Window(at)
		if start.Format(time.TimeOnly) != row.start || end.Format(time.TimeOnly) != row.end {
			t.Errorf("period %v, offset %v: got %v to %v, want %s to %s", row.period, row.offset, start, end, row.start, row.end)
		}
	}
}

func TestParseFallback(t *testing.T) {
	o, _ := accepted(t, "  fallback: {failureThreshold: 3, replicas: 6}\n"+sqsTrigger)
	if want := (Fallback{FailureThreshold: 3, Replicas: 6, Behavior: FallbackStatic}); *o.Fallback != want {
		t.Errorf("got %+v, want %+v", *o.Fallback, want)
	}
	for _, row := range []struct {
		rule, spec string
		want       []string
	}{
		{"both are required", "  fallback: {behavior: static}\n" + sqsTrigger, []string{"spec.fallback.failureThreshold: is required", "spec.fallback.replicas: is required"}},
		{"below 0", "  fallback: {failureThreshold: -1, replicas: -1}\n" + sqsTrigger, []string{"spec.fallback.failureThreshold: must be a whole number of at least 0", "spec.fallback.replicas: must be a whole number of at least 0"}},
		{"another behavior", "  fallback: {failureThreshold: 1, replicas: 1, behavior: most}\n" + sqsTrigger, []string{"spec.fallback.behavior: must be static, currentReplicas"}},
		{"scalingModifiers without a formula", "  fallback: {failureThreshold: 1, replicas: 1, behavior: scalingModifiers}\n" + sqsTrigger, []string{"spec.fallback.behavior: scalingModifiers needs a formula"}},
	} {
		expect(t, row.rule, refused(row.spec), row.want...)
	}
}

// formula is a spec with triggers a and b and the given scalingModifiers.
func formula(modifiers string) string {
	return `
  advanced: {scalingModifiers: {` + modifiers + `}}
  triggers:
  - {type: aws-sqs-queue, name: a, authenticationRef: {name: leda}, metadata: {queueURL: a, awsRegion: eu-west-1}}
  - {type: aws-sqs-queue, name: b, authenticationRef: {name: leda}, metadata: {queueURL: b, awsRegion: eu-west-1}}
`
}

// §10, §14.
func TestParseModifiers(t *testing.T) {
	const at = "spec.advanced.scalingModifiers."
	for _, row := range []struct {
		rule, spec string
		want       []string
	}{
		{"formula and target are required", formula("activationTarget: '2'"), []string{at + "target: is required", at + "formula: is required"}},
		{"an unknown name", formula("formula: a + c, target: '2'"), []string{at + "formula: must be an expression over the triggers' names that gives a number: unknown name c"}},
		{"no expression", formula("formula: a +, target: '2'"), []string{at + "formula: must be an expression"}},
		{"no number", formula("formula: a > b, target: '2'"), []string{at + "formula: must be an expression"}},
		{"the clock", formula("formula: 'float(now().Hour()) + a', target: '2'"), []string{at + "formula: must be an expression"}},
		{"target 0", formula("formula: a, target: '0'"), []string{at + "target: must be a number above 0"}},
		{"a target below a thousandth", formula("formula: a, target: '0.0009'"), []string{at + "target: must be a number above 0"}},
		{"no target", formula("formula: a, target: many"), []string{at + "target: must be a number above 0"}},
		{"NaN", formula("formula: a, target: NaN, activationTarget: NaN"), []string{at + "target: must be a number above 0", at + "activationTarget: must be a number"}},
		{"Utilization", formula("formula: a, target: '2', metricType: Utilization"), []string{at + "metricType: must be AverageValue or Value"}},
		{"too long", formula("formula: '" + strings.Repeat("(", 20000) + "', target: '2'"), []string{at + "formula: must have at most 10000 characters"}},
		{"triggers without names", "  advanced: {scalingModifiers: {formula: a, target: '1'}}\n" + sqsTrigger, []string{at + "formula: must be an expression over the triggers' names that gives a number: unknown name a"}},
	} {
		expect(t, row.rule, refused(row.spec), row.want...)
	}
	o, _ := accepted(t, formula("formula: a + b, target: '2.5009', activationTarget: '2'"))
	if m := o.Modifiers; m.Target != 2.5 || m.ActivationTarget != 2 || m.MetricType != AverageValue {
		t.Errorf("got %+v", m)
	}
	if _, notes := accepted(t, strings.Replace(formula("formula: a, target: '2'"), "name: b, ", "", 1)); len(notes) != 1 || notes[0].Path != "spec.triggers[1].name" {
		t.Errorf("a trigger the formula cannot use: %v", notes)
	}
	if o, _ := accepted(t, formula("")); o.Modifiers != nil {
		t.Error("an empty object counts as none")
	}
	o, notes := accepted(t, "  fallback: {failureThreshold: 1, replicas: 1}"+formula("formula: a, target: '2.5'"))
	if !o.Fallback.Void || len(notes) != 1 || notes[0].Path != "spec.fallback" {
		t.Errorf("a fallback that KEDA would not honour: %+v, %v", o.Fallback, notes)
	}
}

// §12.
func TestCredentials(t *testing.T) {
	sqs := func(reference, more string) string {
		return "  triggers: [{type: aws-sqs-queue, authenticationRef: " + reference + ", metadata: {queueURL: orders, awsRegion: eu-west-1" + more + "}}]\n"
	}
	authentication := func(kind, spec string) string {
		namespace := ""
		if kind == namespacedKind {
			namespace = ", namespace: shop"
		}
		return "{apiVersion: keda.sh/v1alpha1, kind: " + kind + ", metadata: {name: mine" + namespace + "}, spec: " + spec + "}\n"
	}
	const keys = "{secretTargetRef: [{parameter: awsAccessKeyID, name: aws, key: id}, {parameter: awsSecretAccessKey, name: aws, key: secret}]}"
	for _, row := range []struct {
		rule, kind, spec, metadata string
		want                       Authentication
	}{
		{"the function's own role", namespacedKind, "{podIdentity: {provider: aws}}", "", Authentication{}},
		{"a role", namespacedKind, "{podIdentity: {provider: aws, roleArn: 'arn:aws:iam::123456789012:role/read', externalID: x}}", "", Authentication{Role: Role{ARN: "arn:aws:iam::123456789012:role/read", ExternalID: "x"}}},
		{"a key", namespacedKind, keys, "", Authentication{Keys: &KeyReferences{AccessKeyID: Source{FromSecret, "aws", "id"}, SecretAccessKey: Source{FromSecret, "aws", "secret"}}}},
		{"identityOwner pod is the default", namespacedKind, keys, ", identityOwner: pod", Authentication{Keys: &KeyReferences{AccessKeyID: Source{FromSecret, "aws", "id"}, SecretAccessKey: Source{FromSecret, "aws", "secret"}}}},
		{"identityOwner operator overrules keys", namespacedKind, keys, ", identityOwner: operator", Authentication{}},
		{"any other owner is the operator too", namespacedKind, keys, ", identityOwner: me", Authentication{}},
		{"a cluster's key", clusterKind, keys, "", Authentication{Cluster: true, Keys: &KeyReferences{AccessKeyID: Source{FromSecret, "aws", "id"}, SecretAccessKey: Source{FromSecret, "aws", "secret"}}}},
		{"a role from a ConfigMap, before keys", namespacedKind, strings.TrimSuffix(keys, "}") + ", configMapTargetRef: [{parameter: awsRoleArn, name: c, key: k}]}", "", Authentication{Role: Role{ARNFrom: Source{FromConfigMap, "c", "k"}}}},
		{"a Secret overrules a ConfigMap, and that the environment", namespacedKind, `{
			env: [{parameter: awsAccessKeyID, name: E}, {parameter: awsSecretAccessKey, name: E, containerName: c}, {parameter: awsSessionToken, name: E}],
			configMapTargetRef: [{parameter: awsAccessKeyID, name: c, key: k}, {parameter: awsSecretAccessKey, name: c, key: k}],
			secretTargetRef: [{parameter: awsSecretAccessKey, name: s, key: k}]}`, "", Authentication{Keys: &KeyReferences{AccessKeyID: Source{FromConfigMap, "c", "k"}, SecretAccessKey: Source{FromSecret, "s", "k"}, SessionToken: Source{FromEnv, "E", ""}}}},
	} {
		o, _ := accepted(t, sqs("{name: mine, kind: "+row.kind+"}", row.metadata), authentication(row.kind, strings.ReplaceAll(row.spec, "\t", " ")))
		if diff := cmp.Diff(row.want, o.Triggers[0].Authentication); diff != "" {
			t.Errorf("%s: %s", row.rule, diff)
		}
	}
	const at = "f.yaml: TriggerAuthentication shop/mine: spec."
	for _, row := range []struct {
		rule, spec, metadata string
		want                 []string
	}{
		{"externalID alone", "{podIdentity: {provider: aws, externalID: x}}", "", []string{at + "podIdentity.externalID: goes with roleArn only"}},
		{"no role", "{podIdentity: {provider: aws, roleArn: me}}", "", []string{at + "podIdentity.roleArn: must be arn:aws:iam::ACCOUNT:role/NAME"}},
		{"the workload's role", "{podIdentity: {provider: aws, identityOwner: workload}}", "", []string{at + `podIdentity.identityOwner: "workload" is not supported`}},
		{"another provider", "{podIdentity: {provider: azure-workload}}", "", []string{at + "podIdentity.provider: must be aws", "spec.triggers[0].authenticationRef: no credentials"}},
		{"another store", "{hashiCorpVault: {address: x}, podIdentity: {provider: aws}}", "", []string{at + "hashiCorpVault: is not supported; put the access key into a Kubernetes Secret"}},
		{"half a key", "{secretTargetRef: [{parameter: awsAccessKeyID, name: aws, key: id}]}", "", []string{"spec.triggers[0].authenticationRef: awsSecretAccessKey is required"}},
		{"keys from the workload's environment", "{podIdentity: {provider: aws}}", ", awsAccessKeyIDFromEnv: ID, awsSecretAccessKeyFromEnv: KEY", []string{
			"spec.triggers[0].metadata.awsAccessKeyIDFromEnv: is not supported", "spec.triggers[0].metadata.awsSecretAccessKeyFromEnv: is not supported: an access key belongs into a Secret",
		}},
	} {
		expect(t, row.rule, refused(sqs("{name: mine}", row.metadata), authentication(namespacedKind, row.spec)), row.want...)
	}
	expect(t, "a cluster's that is not there", refused(sqs("{name: mine, kind: ClusterTriggerAuthentication}", "")), "spec.triggers[0].authenticationRef.name: ClusterTriggerAuthentication mine is not there")
}

func TestQueueFromTheEnvironment(t *testing.T) {
	spec := func(target, metadata string) string {
		return strings.Replace(manifest("  triggers: [{type: aws-sqs-queue, authenticationRef: {name: leda}, metadata: {awsRegion: eu-west-1"+metadata+"}}]"),
			"{name: orders}", "{name: orders"+target+"}", 1)
	}
	for _, row := range []struct {
		rule, target, metadata string
		want                   Source
		notes                  int
	}{
		{"of the first container", "", ", queueURLFromEnv: QUEUE", Source{FromEnv, "QUEUE", ""}, 0},
		{"of the container that is named", ", envSourceContainerName: main", ", queueURLFromEnv: QUEUE", Source{FromEnv, "QUEUE", "main"}, 0},
		{"queueURL comes first", "", ", queueURL: orders, queueURLFromEnv: QUEUE", Source{}, 1},
		{"a blank queueURL is none", "", ", queueURL: ' ', queueURLFromEnv: QUEUE", Source{FromEnv, "QUEUE", ""}, 0},
	} {
		parsed, err := Parse(File{"f.yaml", []byte(spec(row.target, row.metadata))})
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.ScaledObjects[0].Triggers[0].SQS.QueueURLFrom; got != row.want || len(parsed.Notes) != row.notes {
			t.Errorf("%s: got %+v and %v", row.rule, got, parsed.Notes)
		}
	}
	expect(t, "neither", refused(sqsWith("awsRegion: eu-west-1")), "spec.triggers[0].metadata.queueURL: is required")

	for _, row := range []struct {
		rule, value, name, account string
	}{
		{"a URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo", "orders.fifo", "123456789012"},
		{"a bare name", " orders ", "orders", ""},
		{"no path of SQS's", "https://example.com/secret", "", ""},
		{"no name that SQS allows", "postgres://user:secret", "", ""},
		{"nothing", "", "", ""},
	} {
		got, err := SQSTrigger{Region: "eu-west-1"}.At(row.value)
		switch {
		case row.name == "" && err == nil:
			t.Errorf("%s: got %+v", row.rule, got)
		case row.name == "" && strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: the error shows the variable: %v", row.rule, err)
		case row.name != "" && (err != nil || got.QueueName != row.name || got.AccountID != row.account || got.Region != "eu-west-1"):
			t.Errorf("%s: got %+v, %v", row.rule, got, err)
		}
	}
}

func TestTriggerRules(t *testing.T) {
	sqs := func(more string) string {
		return "  triggers: [{type: aws-sqs-queue, authenticationRef: {name: leda}, metadata: {queueURL: orders, awsRegion: eu-west-1}" + more + "}]\n"
	}
	const cron = `  triggers: [{type: cron, metadata: {timezone: UTC, start: 0 8 * * *, end: 0 18 * * *, desiredReplicas: "3"}`
	expect(t, "metricType Utilization", refused(sqs(", metricType: Utilization")), "spec.triggers[0].metricType: must be AverageValue or Value")
	expect(t, "cron from a cache", refused(cron+", useCachedMetrics: true}]"), "spec.triggers[0].useCachedMetrics: must not be true for cron")
	expect(t, "a name that is another's position", refused(strings.TrimSuffix(sqs(""), "]\n")+", {type: aws-sqs-queue, name: s0, authenticationRef: {name: leda}, metadata: {queueURL: b, awsRegion: eu-west-1}}]"), "spec.triggers[1].name: must not be s0")
	if o, _ := accepted(t, sqs(", metricType: Value")); o.Triggers[0].MetricType != Value {
		t.Errorf("got %q", o.Triggers[0].MetricType)
	}
	if _, notes := accepted(t, cron+", metricType: Value, authenticationRef: {name: leda}}]"); len(notes) != 2 {
		t.Errorf("notes on what cron makes of them: %v", notes)
	}
	if _, notes := accepted(t, "  minReplicaCount: 1\n  cooldownPeriod: 10\n  advanced: {restoreToOriginalReplicaCount: true}\n"+sqsTrigger); len(notes) != 2 {
		t.Errorf("notes on what has no effect: %v", notes)
	}
}

func TestBehaviorFillsInTheOtherDirection(t *testing.T) {
	const behavior = "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: 10}}}}\n"
	o, _ := accepted(t, behavior+sqsTrigger)
	if up, down := o.rules(); up != nil || down == nil {
		t.Errorf("policy direct follows the direction that is written: %+v, %+v", up, down)
	}
	o.Policy = PolicyKEDA
	if up, down := o.rules(); up == nil || len(up.Policies) != 2 || down == nil {
		t.Errorf("policy keda follows both: %+v, %+v", up, down)
	}
	if o, _ = accepted(t, "  advanced: {horizontalPodAutoscalerConfig: {behavior: {}}}\n"+sqsTrigger); o.ScaleUp == nil || !o.ScaleUp.Implied || o.ScaleDown.Window != 300*time.Second {
		t.Errorf("an empty behavior has the API's defaults: %+v, %+v", o.ScaleUp, o.ScaleDown)
	}
	if o, _ = accepted(t, sqsTrigger); o.ScaleUp != nil || o.ScaleDown != nil {
		t.Error("no behavior has none")
	}
}

func TestReadyPodsCountForValueOnly(t *testing.T) {
	for _, row := range []struct {
		rule, spec string
		want       bool
	}{
		{"AverageValue", sqsTrigger, false},
		{"Value", strings.Replace(sqsTrigger, "  - type", "  - metricType: Value\n    type", 1), true},
		{"a formula of AverageValue", formula("formula: a, target: '1'"), false},
		{"a formula of Value", formula("formula: a, target: '1', metricType: Value"), true},
	} {
		o, _ := accepted(t, row.spec)
		if got := o.NeedsReady(); got != row.want {
			t.Errorf("%s: got %t, want %t", row.rule, got, row.want)
		}
	}
}
