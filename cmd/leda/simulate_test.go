package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// object is a ScaledObject with target 1 whose metadata and spec get more fields.
func object(annotations, spec string) string {
	return `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: orders, namespace: shop, annotations: {` + annotations + `}}
spec:
  scaleTargetRef: {name: orders}
` + spec
}

const oneQueue = `  triggers:
  - {type: aws-sqs-queue, metadata: {queueURL: orders, awsRegion: eu-west-1, queueLength: "5"}}
`

// leda runs the command line with one file and a series on standard input.
func leda(t *testing.T, manifest, series string, flags ...string) (code int, out, problems string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "orders.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	args := append(append([]string{"simulate", "-f", file}, flags...), "-")
	code = run(args, strings.NewReader(series), &stdout, &stderr)
	return code, stdout.String(), strings.ReplaceAll(stderr.String(), file, "orders.yaml")
}

// replayed is the sizes after each row, as "1 2 3".
func replayed(t *testing.T, manifest, series string, flags ...string) string {
	t.Helper()
	code, out, problems := leda(t, manifest, series, append(flags, "-o", "json")...)
	if code != exitFine {
		t.Fatalf("exit %d: %s", code, problems)
	}
	var sizes []string
	decoder := json.NewDecoder(strings.NewReader(out))
	for decoder.More() {
		var row struct{ To int }
		if err := decoder.Decode(&row); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, fmt.Sprint(row.To))
	}
	return strings.Join(sizes, " ")
}

func TestSimulateJSONIsToTheLetter(t *testing.T) {
	two := object("", `  triggers:
  - {type: aws-sqs-queue, metadata: {queueURL: orders, awsRegion: eu-west-1, queueLength: "5"}}
  - {type: aws-sqs-queue, name: slow, metadata: {queueURL: slow, awsRegion: eu-west-1}}
`)
	code, out, problems := leda(t, two, "slow,time,s0\n,15s,11\n", "-o", "json")
	want := `{"time":"2026-01-05T00:00:15Z","from":1,"to":3,"reason":"DesiredWithinRange","active":true,"readings":[{"trigger":"s0","value":11,"target":5},{"trigger":"slow","error":"no value at this time"}]}` + "\n"
	if code != exitFine || out != want || problems != "" {
		t.Errorf("exit %d, %s\n got %s\nwant %s", code, problems, out, want)
	}
}

func TestSimulateTableAndCSV(t *testing.T) {
	const series = "time,s0\n0s,3\n2026-01-05T00:00:01.5Z,11\n30s,\n"
	_, out, _ := leda(t, object("", oneQueue), series, "-o", "csv")
	if want := "time,from,to,reason,active,s0\n2026-01-05T00:00:00Z,1,1,DesiredWithinRange,true,3\n2026-01-05T00:00:01.5Z,1,3,DesiredWithinRange,true,11\n2026-01-05T00:00:30Z,3,3,FailedGetExternalMetric,false,\n"; out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	_, out, _ = leda(t, object("", oneQueue), series)
	lines := strings.Split(out, "\n")
	if len(lines) != 6 || !strings.HasPrefix(lines[0], "TIME") || !strings.HasSuffix(lines[2], "  3  s0: 11 / 5 a replica = 2.2 → 3; within 1…100: 1 → 3") {
		t.Errorf("got\n%s", out)
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > 82 { // with a fraction of a second, 2 more
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestSimulateFollowsThePolicy(t *testing.T) {
	const minMax = "  minReplicaCount: 1\n  maxReplicaCount: 5\n"
	keda := object("leda.dev/policy: keda", minMax+oneQueue)
	for _, row := range []struct {
		rule, manifest, series string
		flags                  []string
		want                   string
	}{
		{"direct is the default", object("", minMax+oneQueue), "time,s0\n0s,6\n15s,11\n30s,1000\n", nil, "2 3 5"},
		{"the annotation decides", keda, "time,s0\n0s,6\n15s,11\n30s,1000\n", nil, "2 2 4"},
		{"-policy overrules it", keda, "time,s0\n0s,6\n15s,11\n30s,1000\n", []string{"-policy", "direct"}, "2 3 5"},
		{"a behavior of one direction brings the other along in policy keda only", object("", "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: 0}}}}\n"+oneQueue), "time,s0\n0s,500\n", nil, "100"},
		{"as KEDA, +4", object("", "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: 0}}}}\n"+oneQueue), "time,s0\n0s,500\n", []string{"-policy", "keda"}, "5"},
		{"paused-scale-in is a behavior too: +4, not ×2", object("autoscaling.keda.sh/paused-scale-in: 'true'", oneQueue), "time,s0\n0s,500\n", []string{"-policy", "keda"}, "5"},
		{"0→1 and the HPA's step in one row", object("", oneQueue), "time,s0\n0s,11\n", []string{"-policy", "keda", "-replicas", "0"}, "3"},
		{"one jump to zero at the first poll after creation", object("", oneQueue), "time,s0\n0s,0\n15s,0\n30s,0\n", []string{"-policy", "keda", "-replicas", "4"}, "4 4 0"},
		{"someone else sets the size", keda, "time,s0,replicas\n0s,5,\n5s,5,9\n15s,5,\n", nil, "1 9 5"},
		{"the first row may be later, and counts from -from", object("", "  initialCooldownPeriod: 3600\n"+oneQueue), "time,s0\n2h,0\n", []string{"-policy", "keda", "-from", "2026-03-01T00:00:00+02:00"}, "0"},
		{"paused-replicas comes before the first row", object("autoscaling.keda.sh/paused-replicas: '7'", oneQueue), "time,s0\n0s,0\n", nil, "7"},
		{"ready pods, for Value", object("", "  triggers:\n  - {type: aws-cloudwatch, metricType: Value, metadata: {awsRegion: eu-west-1, expression: x, targetMetricValue: '4.4', minMetricValue: '0'}}\n"), "time,s0,ready\n0s,8.6,1\n15s,4.4,\n", []string{"-policy", "keda", "-replicas", "3"}, "3 3"},
		{"cron needs no column, and s<i> counts it", object("", `  minReplicaCount: 1
  triggers:
  - {type: cron, metadata: {timezone: Europe/Berlin, start: 0 8 * * *, end: 0 18 * * *, desiredReplicas: "3"}}
  - {type: aws-sqs-queue, metadata: {queueURL: orders, awsRegion: eu-west-1}}
`), "time,s1\n2026-01-05T06:59:59Z,0\n2026-01-05T07:00:00Z,0\n", nil, "1 3"},
		{"CloudWatch may be below 0, and tiny", object("", "  triggers:\n  - {type: aws-cloudwatch, metadata: {awsRegion: eu-west-1, expression: x, targetMetricValue: '1', minMetricValue: '0'}}\n"), "time,s0\n0s,-3.5\n30s,1e-9\n", []string{"-policy", "keda", "-replicas", "0"}, "0 1"},
	} {
		if got := replayed(t, row.manifest, row.series, row.flags...); got != row.want {
			t.Errorf("%s: got %s, want %s", row.rule, got, row.want)
		}
	}
}

func TestSimulateRefusesBadSeries(t *testing.T) {
	for _, row := range []struct{ rule, series, want string }{
		{"nothing", "", "is empty"},
		{"no rows", "time,s0\n", "has no row"},
		{"no time", "s0\n1\n", "needs a column time"},
		{"no trigger", "time\n0s\n", "needs a column s0 for trigger 0"},
		{"an unknown column", "time,s0,s1\n0s,1,1\n", `column "s1" is neither`},
		{"a column twice", "time,s0,s0\n0s,1,1\n", `column "s0" is there twice`},
		{"a cell too few", "time,s0\n0s\n", "line 2: must have 2 cells"},
		{"no number", "time,s0\n0s,many\n", `line 2: s0 must be a number`},
		{"not a number", "time,s0\n0s,NaN\n", `line 2: s0 must be a number`},
		{"infinite", "time,s0\n0s,Inf\n", `line 2: s0 must be a number`},
		{"beyond a float", "time,s0\n0s,1e400\n", `line 2: s0 must be a number`},
		{"hexadecimal", "time,s0\n0s,0x10\n", `line 2: s0 must be a number`},
		{"fewer than no messages", "time,s0\n0s,-1\n", `line 2: s0 must be at least 0`},
		{"no time of day", "time,s0\nnoon,1\n", `line 2: time must be RFC 3339`},
		{"before the beginning", "time,s0\n-1s,1\n", `line 2: time must not be before -from`},
		{"backwards", "time,s0\n30s,1\n15s,1\n", `line 3: time must not be before the row above`},
		{"beyond what can be added up", "time,s0\n0s,1e308\n", `line 2: s0 must be within ±2^360`},
		{"beyond what a duration holds", "time,s0\n0s,1\n9000-01-01T00:00:00Z,1\n", `line 3: time must be within 100 years of -from (2026-01-05T00:00:00Z)`},
		{"no size", "time,s0,replicas\n0s,1,-1\n", `line 2: replicas must be a whole number`},
		{"beyond an int32", "time,s0,ready\n0s,1,2147483648\n", `line 2: ready must be a whole number`},
		{"a stray quote", "time,s0\n0s,\"1\n", `is no CSV`},
	} {
		code, out, problems := leda(t, object("", oneQueue), row.series)
		if code != exitBadInput || out != "" || !strings.HasPrefix(problems, "standard input: "+row.want) || strings.Count(problems, "\n") != 1 {
			t.Errorf("%s: exit %d, out %q, problems %q, want %q", row.rule, code, out, problems, row.want)
		}
	}
	const late = "time,s0\n9999-12-31T23:59:59-23:59,1\n" // the year 10000 in UTC, which RFC 3339 cannot say
	if code, out, problems := leda(t, object("", oneQueue), late, "-from", "9990-01-01T00:00:00Z", "-o", "json"); code != exitBadInput || out != "" || !strings.Contains(problems, "in a year of four digits") {
		t.Errorf("the year 10000: exit %d, out %q, problems %q", code, out, problems)
	}
	if _, _, problems := leda(t, object("", oneQueue), "time,s0\nx,y\n0s,-1\n"); strings.Count(problems, "\n") != 3 {
		t.Errorf("every problem is told: %q", problems)
	}
}

func TestSimulateRefusesBadUsage(t *testing.T) {
	for _, row := range []struct {
		flags []string
		want  string
	}{
		{[]string{"-policy", "hpa"}, "leda simulate: -policy must be direct or keda"},
		{[]string{"-o", "xml"}, "leda simulate: -o must be table, json, csv or html"},
		{[]string{"-o", "json", "-vs", "keda"}, "leda simulate: -vs needs -o html or table"},
		{[]string{"-rate", "-1"}, "leda simulate: -rate must be messages a second"},
		{[]string{"-rate", "NaN"}, "leda simulate: -rate must be messages a second"},
		{[]string{"-every", "-1s"}, "leda simulate: -every must be a duration"},
		{[]string{"-vs", "-"}, "leda simulate: only one of -f"},
		{[]string{"-from", "yesterday"}, "leda simulate: -from must be RFC 3339"},
		{[]string{"-replicas", "-2"}, "leda simulate: -replicas must be from 0"},
		{[]string{"-replicas", "2147483648"}, "leda simulate: -replicas must be from 0"},
		{[]string{"one.csv"}, "leda simulate: must be given one series"},
		{[]string{"-f", ""}, "leda simulate: -f is required"},
		{[]string{"-f", "-"}, "leda simulate: only one of -f"},
	} {
		if code, out, problems := leda(t, object("", oneQueue), "", row.flags...); code != exitBadInput || out != "" || !strings.HasPrefix(problems, row.want) {
			t.Errorf("%q: exit %d, out %q, problems %q, want %q", row.flags, code, out, problems, row.want)
		}
	}
}

// What nobody should hand to either verb: a clear word, exit 2, and nothing on standard output.
func TestBadManifests(t *testing.T) {
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	cron := func(zone, start string) string {
		return "  triggers:\n  - {type: cron, metadata: {timezone: " + zone + ", start: " + start + ", end: 0 18 * * *, desiredReplicas: '3'}}\n"
	}
	for _, row := range []struct{ rule, manifest, want string }{
		{"no YAML", "a: [", "orders.yaml: is not valid YAML"},
		{"no ScaledObject", "apiVersion: v1\nkind: Pod\n", "orders.yaml: kind: must be ScaledObject"},
		{"10 MB", object("", oneQueue) + strings.Repeat("# a comment that says nothing\n", 350_000), "orders.yaml: must have at most 8 MiB"},
		{"anchors that explode", bomb, "orders.yaml: is not valid YAML"},
		{"a key twice", object("", oneQueue) + "  triggers: []\n", "orders.yaml: is not valid YAML"},
		{"not a number", object("", "  maxReplicaCount: .nan\n"+oneQueue), "orders.yaml: is not valid YAML"},
		{"below 0", object("", "  minReplicaCount: -1\n"+oneQueue), "orders.yaml: ScaledObject shop/orders: spec.minReplicaCount: must be a whole number of at least 0, got -1"},
		{"beyond an int32", object("", "  maxReplicaCount: 99999999999\n"+oneQueue), "orders.yaml: ScaledObject shop/orders: spec.maxReplicaCount: must be a whole number of at least 1, got 99999999999"},
		{"beyond an int64", object("", strings.Replace(oneQueue, `"5"`, `"9223372036854775808"`, 1)), "orders.yaml: ScaledObject shop/orders: spec.triggers[0].metadata.queueLength: must be a whole number"},
		{"beyond the HPA's numbers", object("", strings.Replace(oneQueue, `"5"`, `"9223372036854775807"`, 1)), "orders.yaml: ScaledObject shop/orders: spec.triggers[0].metadata.queueLength: must be at most 9223372036854775"},
		{"an impossible cron line", object("", cron("UTC", "99 8 * * *")), "orders.yaml: ScaledObject shop/orders: spec.triggers[0].metadata.start: must be a cron line"},
		{"an unknown time zone", object("", cron("Mars/Olympus", "0 8 * * *")), "orders.yaml: ScaledObject shop/orders: spec.triggers[0].metadata.timezone: must be an IANA time zone"},
		{"one workload twice", object("", oneQueue) + "---\n" + strings.Replace(object("", oneQueue), "name: orders, namespace", "name: again, namespace", 1), "orders.yaml: ScaledObject shop/again: spec.scaleTargetRef: Deployment orders is scaled by ScaledObject shop/orders already"},
	} {
		file := filepath.Join(t.TempDir(), "orders.yaml")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(row.manifest, "awsRegion", "identityOwner: operator, awsRegion")), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"validate", file}, {"simulate", "-f", file, "-"}} {
			var out, problems bytes.Buffer
			began := time.Now()
			code := run(args, strings.NewReader("time,s0\n0s,1\n"), &out, &problems)
			said := strings.ReplaceAll(problems.String(), file, "orders.yaml")
			if code != exitBadInput || out.Len() > 0 || !strings.HasPrefix(said, row.want) || strings.Count(said, "\n") != 1 {
				t.Errorf("%s, %s: exit %d, out %q, problems %.300q, want %q", args[0], row.rule, code, out.String(), said, row.want)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%s, %s: took %v", args[0], row.rule, took)
			}
		}
	}
}

func TestValidateNotes(t *testing.T) {
	manifest := object("scaledobject.keda.sh/transfer-hpa-ownership: 'true'", "  minReplicaCount: 1\n  cooldownPeriod: 5\n  triggers:\n  - {type: aws-cloudwatch, useCachedMetrics: true, metadata: {awsRegion: eu-west-1, identityOwner: operator, expression: x, targetMetricValue: '1', minMetricValue: '0'}}\n")
	var out, problems bytes.Buffer
	if code := run([]string{"validate", "-"}, strings.NewReader(manifest), &out, &problems); code != exitFine || problems.Len() > 0 {
		t.Fatalf("exit %d: %s", code, problems.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{
		"note: standard input: ScaledObject shop/orders: metadata.annotations[scaledobject.keda.sh/transfer-hpa-ownership]: has no effect",
		"note: standard input: ScaledObject shop/orders: spec.cooldownPeriod: has no effect",
		"note: standard input: ScaledObject shop/orders: spec.triggers[0].useCachedMetrics: has no effect",
		"ScaledObject shop/orders: fine",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("line %d: got %q, want %q", i, lines, want)
		}
	}
}

// A hundred thousand rows take less than two seconds.
func BenchmarkSimulate(b *testing.B) {
	file := filepath.Join(b.TempDir(), "orders.yaml")
	if err := os.WriteFile(file, []byte(object("", oneQueue)), 0o600); err != nil {
		b.Fatal(err)
	}
	var series strings.Builder
	series.WriteString("time,s0\n")
	for i := range 100_000 {
		fmt.Fprintf(&series, "%ds,%d\n", i*15, i*7%60)
	}
	for b.Loop() {
		var problems bytes.Buffer
		if code := run([]string{"simulate", "-f", file, "-o", "json", "-"}, strings.NewReader(series.String()), &bytes.Buffer{}, &problems); code != exitFine {
			b.Fatal(problems.String())
		}
	}
}
