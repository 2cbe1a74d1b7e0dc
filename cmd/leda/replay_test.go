package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// depths is what the triggers said at each look, as "12 8 -"; with several triggers "12,3 8,2".
func depths(t *testing.T, manifest, series string, flags ...string) string {
	t.Helper()
	code, out, problems := leda(t, manifest, series, append(flags, "-o", "json")...)
	if code != exitFine {
		t.Fatalf("exit %d: %s", code, problems)
	}
	var looks []string
	decoder := json.NewDecoder(strings.NewReader(out))
	for decoder.More() {
		var row struct{ Readings []struct{ Value *float64 } }
		if err := decoder.Decode(&row); err != nil {
			t.Fatal(err)
		}
		var values []string
		for _, r := range row.Readings {
			if r.Value == nil {
				values = append(values, "-")
			} else {
				values = append(values, fmt.Sprint(*r.Value))
			}
		}
		looks = append(looks, strings.Join(values, ","))
	}
	return strings.Join(looks, " ")
}

func TestRateClosesTheLoop(t *testing.T) {
	fixed := object("", "  minReplicaCount: 2\n  maxReplicaCount: 2\n"+oneQueue)
	growing := object("", "  minReplicaCount: 1\n  maxReplicaCount: 5\n"+oneQueue)
	two := object("", `  minReplicaCount: 2
  maxReplicaCount: 2
  triggers:
  - {type: aws-sqs-queue, metadata: {queueURL: a, awsRegion: eu-west-1}}
  - {type: aws-sqs-queue, metadata: {queueURL: b, awsRegion: eu-west-1}}
  - {type: aws-cloudwatch, metadata: {awsRegion: eu-west-1, expression: x, targetMetricValue: '1', minMetricValue: '0'}}
`)
	for _, row := range []struct {
		rule, manifest, series string
		flags                  []string
		want                   string
	}{
		{"without -rate the column is the depth", fixed, "time,s0\n0s,30\n10s,0\n20s,7\n", nil, "30 0 7"},
		{"the first row's messages are there; 2 replicas finish 1 a second each", fixed, "time,s0\n0s,30\n10s,0\n20s,0\n", []string{"-rate", "1"}, "30 10 0"},
		{"what arrives is added", fixed, "time,s0\n0s,30\n10s,25\n20s,0\n", []string{"-rate", "1"}, "30 35 15"},
		{"a queue is never below 0, and what comes later is not finished in advance", fixed, "time,s0\n0s,0\n100s,0\n110s,25\n", []string{"-rate", "1"}, "0 0 5"},
		{"half a message is one", fixed, "time,s0\n0s,3\n1s,0\n2s,0\n", []string{"-rate", "0.75"}, "3 2 0"},
		{"an arithmetic that rounds leaves nothing behind", fixed, "time,s0\n0s,3\n5s,0\n", []string{"-rate", "0.3"}, "3 0"},
		{"replicas that were added work", growing, "time,s0\n0s,25\n10s,0\n20s,0\n", []string{"-rate", "0.2", "-replicas", "1"}, "25 15 5"},
		{"a size that someone else sets works from then on", fixed, "time,s0,replicas\n0s,100,\n10s,0,\n20s,0,10\n30s,0,\n", []string{"-rate", "1", "-policy", "keda"}, "100 80 60 40"},
		{"at a failed reading nothing is known to arrive, and work goes on", fixed, "time,s0\n0s,30\n10s,\n20s,0\n", []string{"-rate", "1"}, "30 - 0"},
		{"two queues share by what is in them; a CloudWatch metric is not drained", two, "time,s0,s1,s2\n0s,30,10,4\n10s,0,0,5\n", []string{"-rate", "1"}, "30,10,4 15,5,5"},
		{"-every looks between rows: at what the row said", fixed, "time,s0\n0s,30\n10s,7\n", []string{"-every", "4s"}, "30 30 30 7"},
		{"with -rate messages arrive evenly over the time before their row", fixed, "time,s0\n0s,0\n40s,120\n", []string{"-rate", "1", "-every", "10s"}, "0 10 20 30 40"},
		{"a failed reading lasts until the next row", fixed, "time,s0\n0s,\n10s,7\n", []string{"-every", "5s"}, "- - 7"},
		{"a gap that -every divides has no look twice", fixed, "time,s0\n0s,1\n30s,2\n", []string{"-every", "15s"}, "1 1 2"},
	} {
		if got := depths(t, row.manifest, row.series, row.flags...); got != row.want {
			t.Errorf("%s: got %s, want %s", row.rule, got, row.want)
		}
	}
}

// Cron is computed for the looks between rows too.
func TestEveryAsksCron(t *testing.T) {
	cron := object("", "  minReplicaCount: 1\n  triggers:\n  - {type: cron, metadata: {timezone: UTC, start: 0 8 * * *, end: 0 18 * * *, desiredReplicas: '3'}}\n")
	if got, want := replayed(t, cron, "time\n2026-01-05T07:00:00Z\n2026-01-05T09:00:00Z\n", "-every", "30m"), "1 1 3 3 3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTooManyLooksAreRefused(t *testing.T) {
	code, out, problems := leda(t, object("", oneQueue), "time,s0\n0s,1\n240h,1\n", "-every", "100ms")
	if code != exitBadInput || out != "" || !strings.HasPrefix(problems, "leda simulate: -every 100ms makes 8640001 looks") {
		t.Errorf("exit %d, out %q, problems %q", code, out, problems)
	}
}

func TestTotals(t *testing.T) {
	manifest := object("", "  minReplicaCount: 1\n  maxReplicaCount: 3\n"+oneQueue)
	o, ok := console{in: strings.NewReader(manifest)}.oneObject("-")
	if !ok {
		t.Fatal("the ScaledObject is not read")
	}
	for _, row := range []struct {
		rule, series string
		rate         float64
		want         map[string]string
	}{
		{"each look counts until the next; the last for nothing", "time,s0\n0s,5\n60s,11\n120s,500\n", 0, map[string]string{
			"Replica-minutes": "4", "Messages waited": "16", "Changes": "1 up, 0 down", "Most replicas": "3", "Deepest backlog": "500", "Beyond target": "0", "Longest backlog": "0s",
		}},
		{"beyond the target is what is above 5 × 3", "time,s0\n0s,20\n60s,25\n120s,0\n180s,16\n240s,0\n", 0, map[string]string{
			"Beyond target": "16", "Longest backlog": "2m 0s", "Messages waited": "61",
		}},
		{"held back is while a smaller size is asked for", "time,s0\n0s,15\n60s,0\n120s,0\n360s,0\n", 0, map[string]string{
			"Shrinking held back": "5m 0s", "Changes": "1 up, 1 down",
		}},
		{"a failed reading is not 0 messages, nor any", "time,s0\n0s,\n60s,10\n120s,0\n", 0, map[string]string{"Messages waited": "10"}},
		{"with a rate, the mean wait", "time,s0\n0s,10\n10s,0\n20s,0\n", 0.5, map[string]string{"Messages waited": "1.7", "Mean wait": "10s", "Messages left": "0"}},
	} {
		s := series{name: "series", from: time.Unix(0, 0).UTC(), object: o}
		rows := s.read(strings.NewReader(row.series))
		if len(s.problems) > 0 {
			t.Fatal(s.problems)
		}
		got := map[string]string{}
		for _, line := range (simulation{object: o, rows: rows, replicas: 1, rate: row.rate}).totals().lines() {
			got[line.Label] = line.Text
		}
		for label, want := range row.want {
			if got[label] != want {
				t.Errorf("%s: %s is %q, want %q", row.rule, label, got[label], want)
			}
		}
	}
}

func TestNumbersAndDurationsAsText(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 12.34: "12.3", 100.4: "100", 1234: "1\u00a0234", -1234567: "-1\u00a0234\u00a0567", 0.04: "0"} {
		if got := grouped(v); got != want {
			t.Errorf("grouped(%v) is %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0s", 1.26: "1.3s", 61: "1m 1s", 3660: "1h 1m", 90000: "1d 1h", -15: "-15s"} {
		if got := duration(v); got != want {
			t.Errorf("duration(%v) is %q, want %q", v, got, want)
		}
	}
}

func TestVersus(t *testing.T) {
	manifest := object("", "  minReplicaCount: 1\n  maxReplicaCount: 50\n"+oneQueue)
	code, out, problems := leda(t, manifest, "time,s0\n0s,100\n60s,0\n", "-vs", "keda")
	if code != exitFine || problems != "" {
		t.Fatalf("exit %d: %s", code, problems)
	}
	for _, want := range []string{"policy direct         policy keda      DIFFERENCE\n", "Replica-minutes                         20                   4             -16\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("got\n%swant %q in it", out, want)
		}
	}
}

// Two files may have triggers of different names; the series has the columns of both.
func TestVersusAnotherFile(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other.yaml")
	manifest := object("", strings.Replace(oneQueue, `type: aws-sqs-queue,`, `type: aws-sqs-queue, name: orders,`, 1))
	if err := os.WriteFile(other, []byte(strings.Replace(manifest, `"5"`, `"10"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, problems := leda(t, object("", oneQueue), "time,s0,orders\n0s,100,100\n60s,0,0\n", "-vs", other)
	if want := "Replica-minutes                         20                  10             -10\n"; code != exitFine || !strings.Contains(out, want) {
		t.Errorf("exit %d, %s, got\n%swant %q in it", code, problems, out, want)
	}
	if code, _, problems := leda(t, object("", oneQueue), "time,s0,slow\n0s,100,100\n", "-vs", other); code != exitBadInput || !strings.Contains(problems, `column "slow" is neither`) {
		t.Errorf("a column of neither: exit %d, %q", code, problems)
	}
}
