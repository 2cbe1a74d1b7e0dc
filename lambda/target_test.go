package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

func TestInterval(t *testing.T) {
	idle := int32(0)
	target := &target{ScaledObject: &scaling.ScaledObject{PollingInterval: 30 * time.Second, MaxReplicaCount: 5, IdleReplicaCount: &idle}}
	quick := &scaling.ScaledObject{PollingInterval: 2 * time.Second, MaxReplicaCount: 5}
	for _, row := range []struct {
		rule     string
		decision scaling.Decision
		want     time.Duration
	}{
		{"with work and below its maximum", scaling.Decision{At: time.Unix(1, 0), Active: true, To: 4}, 5 * time.Second},
		{"with work at its maximum", scaling.Decision{At: time.Unix(1, 0), Active: true, To: 5}, 15 * time.Second},
		{"without work, above its floor", scaling.Decision{At: time.Unix(1, 0), To: 2}, 15 * time.Second},
		{"idle", scaling.Decision{At: time.Unix(1, 0)}, 30 * time.Second},
		{"nothing could be decided", scaling.Decision{}, 15 * time.Second},
	} {
		slow := *target
		slow.looks = scaling.Looks{GrowingSeconds: 10, ShrinkingSeconds: 20}
		if got, want := slow.interval(row.decision), map[time.Duration]time.Duration{5 * time.Second: 10 * time.Second, 15 * time.Second: 20 * time.Second}[row.want]; want > 0 && got != want {
			t.Errorf("%s, with looks of 10 s and 20 s: got %s, want %s", row.rule, got, want)
		}
		if got := target.interval(row.decision); got != row.want {
			t.Errorf("%s: got %s, want %s", row.rule, got, row.want)
		}
		target := *target
		target.ScaledObject = quick
		if got := target.interval(row.decision); got != 2*time.Second {
			t.Errorf("%s, pollingInterval 2: got %s, want never more than that", row.rule, got)
		}
	}
}

func fleetOf(n int) []*target {
	fleet := make([]*target, n)
	for i := range fleet {
		fleet[i] = &target{ScaledObject: &scaling.ScaledObject{Cluster: "demo", Namespace: fmt.Sprintf("ns%d", i/10), Name: fmt.Sprintf("t%d", i)}}
	}
	return fleet
}

func TestShardsTakeEachTargetOnceAndBucketsWhole(t *testing.T) {
	fleet := fleetOf(1000)
	seen := map[string]int{}
	place := map[string]int{} // of each bucket
	for shard := range 8 {
		targets, err := wake{all: true, shard: shard, shards: 8}.of(fleet)
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range targets {
			seen[target.ID()]++
			if before, ok := place[target.Namespace]; ok && before != shard {
				t.Errorf("bucket of %s is in shards %d and %d", target.Namespace, before, shard)
			}
			place[target.Namespace] = shard
		}
	}
	for _, target := range fleet {
		if seen[target.ID()] != 1 {
			t.Errorf("%s is in %d shards, want 1", target.ID(), seen[target.ID()])
		}
	}
}

func TestTargetsByName(t *testing.T) {
	fleet := append(fleetOf(3), &target{ScaledObject: &scaling.ScaledObject{Cluster: "blue", Namespace: "ns0", Name: "t0"}})
	for _, row := range []struct {
		rule  string
		names []string
		want  []string
		err   string
	}{
		{"namespace/name where only one cluster has it", []string{"ns0/t1"}, []string{"demo/ns0/t1"}, ""},
		{"cluster/namespace/name", []string{"blue/ns0/t0"}, []string{"blue/ns0/t0"}, ""},
		{"twice is once", []string{"ns0/t1", "demo/ns0/t1"}, []string{"demo/ns0/t1"}, ""},
		{"in several clusters", []string{"ns0/t0"}, nil, "name it as CLUSTER/ns0/t0"},
		{"one that is not there does not stop the others", []string{"ns0/none", "ns0/t2"}, []string{"demo/ns0/t2"}, `there is no target "ns0/none"`},
	} {
		var rings []ring
		for _, name := range row.names {
			rings = append(rings, ring{target: name})
		}
		targets, err := wake{rings: rings}.of(fleet)
		var got []string
		for _, target := range targets {
			got = append(got, target.ID())
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.rule, got, row.want)
		}
		if (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
			t.Errorf("%s: got error %v, want %q", row.rule, err, row.err)
		}
	}
}

func TestTargetsByTopic(t *testing.T) {
	const topic = "arn:aws:sns:eu-west-1:123456789012:orders"
	fleet := fleetOf(3)
	fleet[0].Doorbell, fleet[2].Doorbell = topic, topic
	got, err := wake{rings: []ring{{topic: topic, target: "demo/ns0/t1"}, {topic: topic}}}.of(fleet)
	if want := []*target{fleet[0], fleet[2], fleet[1]}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want all that the topic feeds, and the one named", got, err)
	}
	if _, err := (wake{rings: []ring{{topic: topic + "2"}}}).of(fleet); err == nil || !strings.Contains(err.Error(), "no target has topic "+topic+"2") {
		t.Errorf("a topic that nobody has: got %v", err)
	}
}

// Policy keda's two loops are due to the instant; a look just before would leave the turn to the one after.
func TestWhenATargetIsDue(t *testing.T) {
	noon := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	one := int32(1)
	trigger := scaling.Trigger{ID: "s0", Type: scaling.TypeSQS, SQS: scaling.SQSTrigger{QueueLength: 5}}
	for _, row := range []struct {
		policy scaling.Policy
		value  float64
		want   time.Duration // after the look began; it decided two seconds later
	}{
		{scaling.PolicyDirect, 3, 5 * time.Second},
		{scaling.PolicyDirect, 0, 30 * time.Second},
		{scaling.PolicyKEDA, 3, 17 * time.Second},
	} {
		o := scaling.ScaledObject{Policy: row.policy, PollingInterval: 30 * time.Second, MinReplicaCount: &one, MaxReplicaCount: 5}
		d := scaling.Decide(&o, scaling.Observed{Replicas: 1, Current: 1, Readings: []scaling.Reading{trigger.Reading(row.value)}}, noon.Add(2*time.Second))
		if got := (&target{ScaledObject: &o}).next(d, noon).Sub(noon); got != row.want {
			t.Errorf("%s, value %v: got %v, want %v", row.policy, row.value, got, row.want)
		}
	}
}

// A cron trigger needs no source: its reading comes from the clock.
func TestCronIsReadFromTheClock(t *testing.T) {
	parsed, err := scaling.Parse(scaling.File{Name: "f.yaml", Data: []byte(`
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: orders, namespace: shop}
spec:
  scaleTargetRef: {name: orders}
  triggers: [{type: cron, metadata: {timezone: Europe/Berlin, start: 0 8 * * *, end: 0 18 * * *, desiredReplicas: "3"}}]
`)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 5, 7, 0, 0, 0, time.UTC)
	m := &meter{now: func() time.Time { return now }}
	got := m.read(t.Context(), &target{ScaledObject: &parsed.ScaledObjects[0]})
	if want := (scaling.Reading{Trigger: "s0", Value: 3, Target: 1, MetricType: scaling.AverageValue, Active: true}); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWhatIsWorthALine(t *testing.T) {
	noon := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	idle := scaling.Decision{Reason: scaling.ScalerNotActive}
	busy := scaling.Decision{Reason: scaling.DesiredWithinRange, Active: true}
	for _, row := range []struct {
		rule   string
		before target
		now    outcome
		after  time.Duration // since the last line
		want   bool
	}{
		{"idle and unchanged", target{reason: idle.Reason}, outcome{decision: idle}, time.Hour, false},
		{"a change of size", target{reason: idle.Reason}, outcome{decision: idle, Changed: true}, time.Second, true},
		{"another reason", target{reason: scaling.ScalerCooldown}, outcome{decision: idle}, time.Second, true},
		{"newly active", target{reason: busy.Reason}, outcome{decision: busy}, time.Second, true},
		{"active, told just now", target{reason: busy.Reason, active: true}, outcome{decision: busy}, 59 * time.Second, false},
		{"active, told a minute ago", target{reason: busy.Reason, active: true}, outcome{decision: busy}, time.Minute, true},
		{"someone else's size", target{reason: idle.Reason}, outcome{decision: idle, Outside: "yes"}, time.Second, true},
		{"it begins to fail", target{reason: idle.Reason}, outcome{decision: idle, Error: "timeout"}, time.Second, true},
		{"it keeps failing, told just now", target{failed: true}, outcome{Error: "timeout"}, 5 * time.Second, false},
		{"it keeps failing, told a minute ago", target{failed: true}, outcome{Error: "timeout"}, time.Minute, true},
		{"it ceases to fail", target{reason: idle.Reason, failed: true}, outcome{decision: idle}, time.Second, true},
		{"its memory begins to fail", target{reason: idle.Reason}, outcome{decision: idle, Memory: "403"}, time.Second, true},
	} {
		row.before.told = noon
		if got := row.before.worthALine(row.now, noon.Add(row.after)); got != row.want {
			t.Errorf("%s: got %t, want %t", row.rule, got, row.want)
		}
	}
}
