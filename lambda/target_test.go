package main

import (
	"testing"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

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
