package scaling

import (
	"testing"
	"time"
)

// after failing n looks already, and the memory is old.
func failedBefore(n int32) Memory {
	m := Memory{Since: noon().Add(-time.Hour), Created: noon().Add(-time.Hour), LastSync: noon().Add(-time.Hour), LastPoll: noon().Add(-time.Hour), LastActive: noon()}
	if n > 0 {
		m.Failures = []Failure{{"s0", n, noon().Add(-time.Hour)}}
	}
	return m
}

func fallback(threshold, replicas int32, behavior FallbackBehavior) func(*ScaledObject) {
	return func(o *ScaledObject) {
		o.Fallback = &Fallback{FailureThreshold: threshold, Replicas: replicas, Behavior: behavior}
	}
}

func target10(o *ScaledObject) { o.Triggers[0].SQS.QueueLength = 10 }
func directly(o *ScaledObject) { o.Policy = PolicyDirect }
func ofValue(o *ScaledObject)  { o.Triggers[0].MetricType = Value }

// §9: KEDA's own vectors have target 10 and threshold 3, with 3 failures before.
func TestFallback(t *testing.T) {
	for _, row := range []struct {
		rule     string
		o        *ScaledObject
		from     int32
		failures int32
		proposal int32
		want     int32
		reason   Reason
	}{
		{"static 10", keda(target10, fallback(3, 10, FallbackStatic)), 8, 3, 10, 10, DesiredWithinRange},
		{"currentReplicas 6", keda(target10, fallback(3, 10, FallbackCurrent)), 6, 3, 6, 6, DesiredWithinRange},
		{"currentReplicasIfHigher: 10 over 4", keda(target10, fallback(3, 10, FallbackCurrentIfHigher)), 4, 3, 10, 8, ScaleUpLimit},
		{"currentReplicasIfHigher: 20 stays", keda(target10, fallback(3, 10, FallbackCurrentIfHigher)), 20, 3, 20, 20, DesiredWithinRange},
		{"currentReplicasIfLower: 4 stays", keda(target10, fallback(3, 10, FallbackCurrentIfLower)), 4, 3, 4, 4, DesiredWithinRange},
		{"currentReplicasIfLower: 20 comes down", keda(target10, fallback(3, 10, FallbackCurrentIfLower)), 20, 3, 10, 10, DesiredWithinRange},
		{"not before more failures than the threshold", keda(target10, fallback(3, 10, FallbackStatic)), 8, 2, -1, 8, FailedGetExternalMetric},
		{"threshold 0: at the first failure", keda(target10, fallback(0, 10, FallbackStatic)), 8, 0, 10, 10, DesiredWithinRange},
		{"the tolerance applies: 10 at 11 stays", keda(target10, fallback(3, 10, FallbackStatic)), 11, 3, 11, 11, DesiredWithinRange},
		{"10 at 12 comes down", keda(target10, fallback(3, 10, FallbackStatic)), 12, 3, 10, 10, DesiredWithinRange},
		{"it wakes from 0", keda(toZero, target10, fallback(3, 10, FallbackStatic)), 0, 3, 10, 4, ScaleUpLimit},
		{"0 replicas before the threshold, and never active for long: to zero on errors", keda(toZero, target10, fallback(3, 0, FallbackStatic)), 5, 0, -1, 5, FailedGetExternalMetric},
		{"Value: the size over the ready pods", keda(target10, ofValue, fallback(3, 10, FallbackStatic)), 8, 3, 10, 10, DesiredWithinRange},
		{"void: never", keda(target10, fallback(0, 10, FallbackStatic), func(o *ScaledObject) { o.Fallback.Void = true }), 8, 9, -1, 8, FailedGetExternalMetric},
		{"direct: the size, without tolerance", keda(directly, target10, fallback(3, 10, FallbackStatic)), 11, 3, 10, 10, DesiredWithinRange},
		{"direct: straight from 0", keda(directly, toZero, target10, fallback(3, 10, FallbackStatic)), 0, 3, 10, 10, ScalerActive},
		{"direct: never 0", keda(directly, toZero, target10, fallback(3, 0, FallbackStatic)), 5, 3, 1, 1, DesiredWithinRange},
		{"direct: not before the threshold", keda(directly, target10, fallback(3, 10, FallbackStatic)), 8, 2, -1, 8, FailedGetExternalMetric},
		{"direct: within max", keda(directly, target10, fallback(3, 1000, FallbackStatic)), 8, 3, 1000, 100, TooManyReplicas},
	} {
		seen := Observed{Replicas: row.from, Current: row.from, Ready: row.from, Readings: []Reading{row.o.Triggers[0].Failed(errTest)}, Memory: failedBefore(row.failures)}
		if d := Decide(row.o, seen, noon()); d.To != row.want || d.Reason != row.reason || d.Proposal != row.proposal {
			t.Errorf("%s: got %d %s of %d, want %d %s of %d (%s)", row.rule, d.To, d.Reason, d.Proposal, row.want, row.reason, row.proposal, d.Record().Why)
		}
	}
}

// A fallback of 0 replicas lets errors take the target to zero in KEDA, before its threshold.
func TestAFallbackOfNoReplicas(t *testing.T) {
	o := keda(toZero, fallback(3, 0, FallbackStatic))
	m := failedBefore(0)
	m.LastActive = noon().Add(-time.Hour)
	d := Decide(o, Observed{Replicas: 5, Current: 5, Readings: []Reading{o.Triggers[0].Failed(errTest)}, Memory: m}, noon())
	if d.To != 0 || d.Reason != ScalerNotActive {
		t.Errorf("got %d %s, want 0", d.To, d.Reason)
	}
}

// Failures count once a run of KEDA's loop; in policy direct at most once a pollingInterval.
func TestFailuresAreCounted(t *testing.T) {
	for _, row := range []struct {
		rule  string
		o     *ScaledObject
		looks []time.Duration
		want  int32
	}{
		{"keda: once a poll, not once a sync", keda(fallback(9, 1, FallbackStatic)), []time.Duration{0, 15, 30, 45, 60}, 3},
		{"direct: not at every look", keda(directly, fallback(9, 1, FallbackStatic)), []time.Duration{0, 5, 10, 29, 30, 59}, 2},
	} {
		m := failedBefore(0)
		for _, after := range row.looks {
			m = Decide(row.o, Observed{Replicas: 1, Current: 1, Readings: []Reading{row.o.Triggers[0].Failed(errTest)}, Memory: m}, noon().Add(after*time.Second)).MemoryAfter()
		}
		if len(m.Failures) != 1 || m.Failures[0].Count != row.want {
			t.Errorf("%s: got %+v, want %d", row.rule, m.Failures, row.want)
		}
		m = Decide(row.o, Observed{Replicas: 1, Current: 1, Readings: []Reading{row.o.Triggers[0].Reading(1)}, Memory: m}, noon().Add(time.Hour)).MemoryAfter()
		if len(m.Failures) > 0 {
			t.Errorf("%s: a good reading ends the row of failures, got %+v", row.rule, m.Failures)
		}
	}
	if m := Decide(keda(), Observed{Replicas: 1, Readings: []Reading{failing(0)}}, noon()).Memory; m.Failures != nil {
		t.Error("without a fallback nobody counts")
	}
}
