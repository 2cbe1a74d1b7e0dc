package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// simulated are ScaledObjects that need different columns.
func simulated(f *testing.F) []scaling.ScaledObject {
	f.Helper()
	var all []scaling.ScaledObject
	for _, manifest := range []string{
		object("", oneQueue),
		object("", `  idleReplicaCount: 0
  minReplicaCount: 2
  maxReplicaCount: 9
  fallback: {failureThreshold: 1, replicas: 4}
  triggers:
  - {type: aws-sqs-queue, metadata: {queueURL: orders, awsRegion: eu-west-1, queueLength: "5"}}
  - {type: aws-sqs-queue, name: ready, metadata: {queueURL: slow, awsRegion: eu-west-1}}
  - {type: cron, metadata: {timezone: Europe/Berlin, start: 0 8 * * *, end: 0 18 * * *, desiredReplicas: "3"}}
`),
		object("", "  triggers:\n  - {type: aws-cloudwatch, metricType: Value, metadata: {awsRegion: eu-west-1, expression: x, targetMetricValue: '4.4', minMetricValue: '0'}}\n"),
	} {
		parsed, err := scaling.ParseWithoutCredentials(scaling.File{Name: "fuzz", Data: []byte(manifest)})
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, parsed.ScaledObjects...)
	}
	return all
}

// Whatever a series holds, each problem is told in one line, or it is simulated and printed in every form: each look is
// within bounds, each line can be read again, and no total is infinite.
func FuzzSeries(f *testing.F) {
	for _, seed := range []struct {
		series string
		object uint8
		rate   float64
		every  uint16
	}{
		{"time,s0\n0s,3\n15s,6\n30s,11\n", 0, 0, 0},
		{"\ufefftime , s0,replicas,ready\r\n2026-01-05T00:00:00Z,3,,\r\n2026-01-05T02:00:01.5+02:00,,9,1\r\n", 0, 0, 15},
		{"time,s1,s0\n0s,1e9,11\n2h,,0\n9h,0,0\n", 1, 0.5, 15},
		{"s0,time\n-3.5,0s\n8.6,1ms\n1e-9,1h\n", 2, 0, 600},
		{"time,s0\n0s,1e108\n1s,1e108\n2s,1e108\n", 0, 0.1, 0},
		{"time,s0\n9999-12-31T23:59:59-23:59,1\n", 0, 0, 0},
		{"time,s0\n0s,1\n9999-12-31T23:59:59Z,1\n", 0, 0, 65535},
		{"time,\"s0\n\"\n0s,1\n", 0, 0, 0},
	} {
		f.Add(seed.series, seed.object, seed.rate, seed.every)
	}
	objects, from := simulated(f), time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string, which uint8, rate float64, every uint16) {
		direct := objects[int(which)%len(objects)]
		keda := direct
		keda.Policy = scaling.PolicyKEDA
		asked := simulateFlags{file: "orders.yaml", from: "2026-01-05T00:00:00Z", rate: rate, every: time.Duration(every) * time.Second, replicas: int(which/4) - 1}
		if asked.format = "table"; asked.problem([]string{"-"}) != "" {
			return
		}
		runs := []labelled{{simulation{object: &direct}, "direct"}, {simulation{object: &keda}, "keda"}}
		for i := range runs {
			s := series{name: "series.csv", from: from, object: runs[i].object, other: runs[1-i].object}
			runs[i].rows, runs[i].created = s.read(strings.NewReader(text)), from
			for _, p := range s.problems {
				if strings.ContainsAny(p, "\n\r") {
					t.Fatalf("a problem of two lines: %q", p)
				}
			}
			if len(s.problems) > 0 {
				return
			}
			runs[i].replicas, runs[i].every, runs[i].rate = int32(asked.replicas), asked.every, rate
		}
		looks := runs[0].looks()
		if looks > 300 { // more of the same
			return
		}
		for _, run := range runs {
			counted, last := 0, from
			run.run(func(d scaling.Decision) {
				counted++
				if d.To != d.From && (d.To > run.object.MaxReplicaCount || d.To < run.object.Floor()) {
					t.Fatalf("set to %d, outside %d…%d", d.To, run.object.Floor(), run.object.MaxReplicaCount)
				}
				if d.At.Before(last) || counted > looks {
					t.Fatalf("look %d of %d, at %s, after %s", counted, looks, d.At, last)
				}
				last = d.At
			})
			if counted != looks {
				t.Fatalf("%d looks, %d were foretold", counted, looks)
			}
			for _, total := range run.totals().lines() {
				if !(total.number >= 0) || math.IsInf(total.number, 0) || strings.HasPrefix(total.Text, "-") {
					t.Fatalf("%s is %v: %s", total.Label, total.number, total.Text)
				}
			}
		}
		for _, asked.format = range []string{"table", "json", "csv"} {
			var out bytes.Buffer
			if err := asked.print("series.csv", runs[:1], &out, false); err != nil {
				t.Fatalf("%s: %v", asked.format, err)
			}
			readAgain(t, asked.format, looks, &out)
		}
		if err := compare(io.Discard, runs); err != nil {
			t.Fatal(err)
		}
		if _, err := newReport("series.csv", &asked, runs); err != nil {
			t.Fatalf("the page's data: %v", err)
		}
	})
}

// readAgain reads what was printed for programs.
func readAgain(t *testing.T, format string, looks int, out *bytes.Buffer) {
	t.Helper()
	read := 0
	switch format {
	case "json":
		for decoder := json.NewDecoder(out); decoder.More(); read++ {
			var look struct{ Time time.Time }
			if err := decoder.Decode(&look); err != nil {
				t.Fatal(err)
			}
		}
	case "csv":
		records, err := csv.NewReader(out).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		read = len(records) - 1
	default:
		return
	}
	if read != looks {
		t.Fatalf("%s: %d lines of %d looks", format, read, looks)
	}
}
