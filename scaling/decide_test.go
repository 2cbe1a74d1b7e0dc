package scaling

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// noon is when every test begins.
func noon() time.Time { return time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC) }

// orders is the README's ScaledObject: queueLength 5, min 1, max 5, KEDA's defaults.
func orders() *ScaledObject {
	one := int32(1)
	return &ScaledObject{
		Cluster: "demo", Namespace: "shop", Name: "orders", Policy: PolicyDirect,
		Target:          TargetRef{"apps/v1", "Deployment", "orders"},
		PollingInterval: 30 * time.Second, CooldownPeriod: 300 * time.Second,
		MinReplicaCount: &one, MaxReplicaCount: 5,
		Triggers: []Trigger{{ID: "s0", Type: TypeSQS, SQS: SQSTrigger{QueueURL: "orders", QueueName: "orders", QueueLength: 5}}},
	}
}

func with(o *ScaledObject, change func(*ScaledObject)) *ScaledObject {
	change(o)
	return o
}

func toZero(o *ScaledObject)   { o.MinReplicaCount = nil }
func max100(o *ScaledObject)   { o.MaxReplicaCount = 100 }
func number32(n int32) *int32  { return &n }
func float(f float64) *float64 { return &f }
func depth(n float64) []Reading {
	return []Reading{{Trigger: "s0", Value: n, Target: 5, Active: n > 0}}
}

func failing(n float64) Reading {
	return Reading{Trigger: fmt.Sprint(n), Err: errors.New("no such queue")}
}

// known is o with a memory that is old and empty.
func (o Observed) known() Observed { o.Memory = Memory{Since: noon().Add(-24 * time.Hour)}; return o }

func proposed(value, target float64, current int32, tolerance float64) int32 {
	rules := &ScalingRules{Tolerance: &tolerance}
	o := ScaledObject{Policy: PolicyKEDA, ScaleUp: rules, ScaleDown: rules}
	size, _ := o.propose(AverageValue, milli(value), milli(target), current, &Observed{Current: current}, rules, rules)
	return size
}

func TestProposalIsTheHPAs(t *testing.T) {
	// §15.1: Kubernetes 1.36 replica_calculator.go, run: target 5, messages by current pods; tolerance 0.1.
	for _, row := range []struct {
		from, to float64 // messages
		want     [6]int32
	}{
		{0, 0, [6]int32{0, 0, 0, 0, 0, 0}},
		{1, 5, [6]int32{1, 1, 1, 1, 1, 1}},
		{6, 10, [6]int32{2, 2, 2, 2, 2, 2}},
		{11, 11, [6]int32{3, 2, 3, 3, 3, 3}},
		{12, 15, [6]int32{3, 3, 3, 3, 3, 3}},
		{16, 16, [6]int32{4, 4, 3, 4, 4, 4}},
		{17, 20, [6]int32{4, 4, 4, 4, 4, 4}},
		{21, 22, [6]int32{5, 5, 5, 4, 5, 5}},
		{23, 25, [6]int32{5, 5, 5, 5, 5, 5}},
		{26, 27, [6]int32{6, 6, 6, 6, 5, 6}},
		{28, 30, [6]int32{6, 6, 6, 6, 6, 6}},
	} {
		for messages := row.from; messages <= row.to; messages++ {
			for i, want := range row.want {
				if got := proposed(messages, 5, int32(i)+1, 0.1); got != want {
					t.Errorf("%v messages at %d pods: got %d, want %d", messages, i+1, got, want)
				}
			}
		}
	}
	for _, row := range []struct {
		rule          string
		value, target float64
		current       int32
		tolerance     float64
		want          int32
	}{
		{"11.001 at 2 is outside 0.1", 11.001, 5, 2, 0.1, 3},
		{"scale-in tolerance matters from 10 replicas", 45, 5, 10, 0.1, 10},
		{"55 at 10 is on the boundary, inside", 55, 5, 10, 0.1, 10},
		{"55.001 at 10 is outside", 55.001, 5, 10, 0.1, 12},
		{"9 at 2 is on the lower boundary, inside", 9, 5, 2, 0.1, 2},
		{"no pods: never within", 11, 5, 0, 0.1, 3},
		{"no pods and a few messages", 3, 5, 0, 0.1, 1},
		{"no pods and no messages", 0, 5, 0, 0.1, 0},
		{"tolerance 0: 11 at 2", 11, 5, 2, 0, 3},
		{"tolerance .09: 11 at 2", 11, 5, 2, 0.09, 3},
		{"tolerance 0: 16 at 3", 16, 5, 3, 0, 4},
		{"tolerance 0: 21 at 4", 21, 5, 4, 0, 5},
		{"tolerance 0: 26 at 5", 26, 5, 5, 0, 6},
		{"tolerance 0: 10 at 2 is exact", 10, 5, 2, 0, 2},
		{"target 2.5: 8.25 at 3 is ratio 1.1", 8.25, 2.5, 3, 0.1, 3},
		{"target 2.5: 8.251 at 3", 8.251, 2.5, 3, 0.1, 4},
		{"a negative value counts as 0", -3, 5, 2, 0.1, 0},
		{"more than an int32", 1e12, 1, 2, 0, 2147483647},
	} {
		if got := proposed(row.value, row.target, row.current, row.tolerance); got != row.want {
			t.Errorf("%s: got %d, want %d", row.rule, got, row.want)
		}
	}
}

func TestDecide(t *testing.T) {
	type verdict struct {
		To     int32
		Reason Reason
	}
	long := noon().Add(-time.Hour)
	for _, row := range []struct {
		rule string
		o    *ScaledObject
		seen Observed
		want verdict
	}{
		{"3 messages at 5 a replica: 1", orders(), Observed{Replicas: 1, Current: 1, Readings: depth(3)}.known(), verdict{1, DesiredWithinRange}},
		{"6 from 1: 2", orders(), Observed{Replicas: 1, Current: 1, Readings: depth(6)}.known(), verdict{2, DesiredWithinRange}},
		{"11 from 1: 3", orders(), Observed{Replicas: 1, Current: 1, Readings: depth(11)}.known(), verdict{3, DesiredWithinRange}},
		{"11 from 2: 3, where the HPA's tolerance stays at 2", orders(), Observed{Replicas: 2, Current: 2, Readings: depth(11)}.known(), verdict{3, DesiredWithinRange}},
		{"a written tolerance is honoured: 11 from 2 stays", with(orders(), func(o *ScaledObject) {
			o.ScaleUp = &ScalingRules{Select: SelectMax, Tolerance: float(0.1), Policies: []ScalingPolicy{{Value: 4, Period: 15 * time.Second}}}
		}), Observed{Replicas: 2, Current: 2, Readings: depth(11)}.known(), verdict{2, DesiredWithinRange}},
		{"1000: max", orders(), Observed{Replicas: 1, Current: 1, Readings: depth(1000)}.known(), verdict{5, TooManyReplicas}},
		{"0→40 in one decision", with(with(orders(), toZero), max100), Observed{Readings: depth(200)}.known(), verdict{40, ScalerActive}},
		{"0→40 in one decision with only scaleDown written", with(with(with(orders(), toZero), max100), func(o *ScaledObject) {
			o.ScaleDown = &ScalingRules{Select: SelectMax, Policies: []ScalingPolicy{{Percent: true, Value: 100, Period: 15 * time.Second}}}
		}), Observed{Readings: depth(200)}.known(), verdict{40, ScalerActive}},
		{"waking with scaleUp written: max(1, min), then its policies from there", with(with(with(orders(), toZero), max100), func(o *ScaledObject) {
			o.ScaleUp = &ScalingRules{Select: SelectMax, Policies: []ScalingPolicy{{Value: 4, Period: 15 * time.Second}, {Percent: true, Value: 100, Period: 15 * time.Second}}}
		}), Observed{Readings: depth(200)}.known(), verdict{5, ScaleUpLimit}},
		{"below min: repaired", with(orders(), func(o *ScaledObject) { o.MinReplicaCount = number32(3) }), Observed{Replicas: 1, Current: 1, Readings: depth(0)}.known(), verdict{3, TooFewReplicas}},
		{"at 0 with min 1: lifted to min without any message", orders(), Observed{Readings: depth(0)}.known(), verdict{1, TooFewReplicas}},
		{"above max: repaired, whatever the readings", orders(), Observed{Replicas: 9, Current: 9, Readings: []Reading{failing(0)}}.known(), verdict{5, FailedGetExternalMetric}},
		{"above max, and the readings ask for less: in one decision", orders(), Observed{Replicas: 9, Current: 9, Readings: depth(6)}.known(), verdict{2, DesiredWithinRange}},
		{"above max, and nothing is known of before: no further than max", orders(), Observed{Replicas: 9, Current: 9, Readings: depth(6)}, verdict{5, TooManyReplicas}},
		{"a failed reading never shrinks", orders(), Observed{Replicas: 4, Current: 4, Readings: []Reading{failing(0)}}.known(), verdict{4, FailedGetExternalMetric}},
		{"one of two fails, the other asks for less: held", orders(), Observed{Replicas: 4, Current: 4, Readings: append(depth(3), failing(1))}.known(), verdict{4, FailedGetExternalMetric}},
		{"one of two fails, the other asks for more: grows", orders(), Observed{Replicas: 2, Current: 2, Readings: append(depth(20), failing(1))}.known(), verdict{4, DesiredWithinRange}},
		{"the larger of two proposals", orders(), Observed{Replicas: 1, Current: 1, Readings: append(depth(3), depth(14)...)}.known(), verdict{3, DesiredWithinRange}},
		{"asleep on a failed reading", with(orders(), toZero), Observed{Readings: []Reading{failing(0)}}.known(), verdict{0, FailedGetExternalMetric}},
		{"at 0 with min 1, unread: nothing on an error", orders(), Observed{Readings: []Reading{failing(0)}}.known(), verdict{0, FailedGetExternalMetric}},
		{"no memory: held for a window, whatever was before", orders(), Observed{Replicas: 4, Current: 4, Readings: depth(0)}, verdict{4, ScaleDownStabilized}},
		{"no memory: not to zero either", with(orders(), toZero), Observed{Replicas: 1, Current: 1, Readings: depth(0)}, verdict{1, ScalerCooldown}},
		{"no memory is no reason not to grow", orders(), Observed{Replicas: 1, Current: 1, Readings: depth(11)}, verdict{3, DesiredWithinRange}},
		{"to zero from any size once cooldownPeriod is over", with(orders(), toZero), Observed{Replicas: 5, Current: 5, Readings: depth(0), Memory: Memory{Since: long, LastActive: noon().Add(-301 * time.Second)}}, verdict{0, ScalerNotActive}},
		{"cooldownPeriod is over only after it: exactly 300 s is not", with(orders(), toZero), Observed{Replicas: 1, Current: 1, Readings: depth(0), Memory: Memory{Since: long, LastActive: noon().Add(-300 * time.Second)}}, verdict{1, ScalerCooldown}},
		{"initialCooldownPeriod holds what was never seen active", with(with(orders(), toZero), func(o *ScaledObject) { o.InitialCooldownPeriod = 2 * time.Hour }), Observed{Replicas: 1, Current: 1, Readings: depth(0), Memory: Memory{Since: long}}, verdict{1, ScalerCooldown}},
		{"to idleReplicaCount", with(orders(), func(o *ScaledObject) { o.MinReplicaCount, o.IdleReplicaCount = number32(2), number32(0) }), Observed{Replicas: 3, Current: 3, Readings: depth(0), Memory: Memory{Since: long, LastActive: long}}, verdict{0, ScalerNotActive}},
		{"from idle to min", with(orders(), func(o *ScaledObject) { o.MinReplicaCount, o.IdleReplicaCount = number32(2), number32(0) }), Observed{Readings: depth(1)}.known(), verdict{2, TooFewReplicas}},
		{"not active below activationQueueLength: asleep", with(orders(), toZero), Observed{Readings: []Reading{{Trigger: "s0", Value: 4, Target: 5}}}.known(), verdict{0, ScalerNotActive}},
		{"only messages in flight: the first look does not wake", with(orders(), toZero), Observed{Readings: []Reading{{Trigger: "s0", Value: 2, Target: 5, Active: true, InFlightOnly: true}}}.known(), verdict{0, ScalerNotActive}},
		{"only messages in flight: the second look does", with(orders(), toZero), Observed{Readings: []Reading{{Trigger: "s0", Value: 2, Target: 5, Active: true, InFlightOnly: true}}, Memory: Memory{Since: long, InFlightOnly: true}}, verdict{1, ScalerActive}},
		{"paused", with(orders(), func(o *ScaledObject) { o.Pause.Paused = true }), Observed{Replicas: 1, Current: 1, Readings: depth(50)}.known(), verdict{1, ScaledObjectPaused}},
		{"paused-replicas", with(orders(), func(o *ScaledObject) { o.Pause.Replicas = number32(9) }), Observed{Replicas: 1, Current: 1, Readings: depth(50)}.known(), verdict{9, ScaledObjectPaused}},
		{"paused-scale-out does not wake", with(with(orders(), toZero), func(o *ScaledObject) { o.Pause.ScaleOut = true }), Observed{Readings: depth(50)}.known(), verdict{0, ScaledObjectPaused}},
		{"paused-scale-out does not grow", with(orders(), func(o *ScaledObject) { o.Pause.ScaleOut = true }), Observed{Replicas: 1, Current: 1, Readings: depth(50)}.known(), verdict{1, ScaledObjectPaused}},
		{"paused-scale-in does not shrink", with(orders(), func(o *ScaledObject) { o.Pause.ScaleIn = true }), Observed{Replicas: 4, Current: 4, Readings: depth(3)}.known(), verdict{4, ScaledObjectPaused}},
		{"paused-scale-in does not sleep", with(with(orders(), toZero), func(o *ScaledObject) { o.Pause.ScaleIn = true }), Observed{Replicas: 4, Current: 4, Readings: depth(0), Memory: Memory{Since: long, LastActive: long}}, verdict{4, ScaledObjectPaused}},
		{"force-activation wakes without a message", with(with(orders(), toZero), func(o *ScaledObject) { o.ForceActivation = true }), Observed{Readings: depth(0)}.known(), verdict{1, TooFewReplicas}},
	} {
		d := Decide(row.o, row.seen, noon())
		if got := (verdict{d.To, d.Reason}); got != row.want {
			t.Errorf("%s: got %v, want %v (%s)", row.rule, got, row.want, d.Record().Why)
		}
	}
}

// look is one line of a timeline.
type look struct {
	after time.Duration // since the beginning
	depth float64
	want  int32
	why   Reason
}

func play(t *testing.T, o *ScaledObject, replicas int32, looks []look) {
	t.Helper()
	var m Memory
	for _, l := range looks {
		d := Decide(o, Observed{Replicas: replicas, Current: replicas, Readings: depth(l.depth), Memory: m}, noon().Add(l.after))
		if d.To != l.want || d.Reason != l.why {
			t.Fatalf("%v after noon, %v messages, %d replicas: got %d %s, want %d %s (%s)", l.after, l.depth, replicas, d.To, d.Reason, l.want, l.why, d.Record().Why)
		}
		replicas, m = d.To, d.MemoryAfter()
	}
}

func TestTimelineOfTheWalkThrough(t *testing.T) {
	play(t, orders(), 1, []look{
		{0, 3, 1, DesiredWithinRange},
		{1 * time.Minute, 6, 2, DesiredWithinRange},
		{2 * time.Minute, 11, 3, DesiredWithinRange},
		{3 * time.Minute, 1000, 5, TooManyReplicas},
		{4 * time.Minute, 0, 5, ScaleDownStabilized}, // drained, but the burst is in the window
		{7*time.Minute + 59*time.Second, 0, 5, ScaleDownStabilized},
		{8 * time.Minute, 0, 1, TooFewReplicas}, // 300 s after the last look that needed more
		{8*time.Minute + 5*time.Second, 12, 3, DesiredWithinRange},
	})
}

func TestTimelineToZeroAndBack(t *testing.T) {
	play(t, with(orders(), toZero), 0, []look{
		{0, 0, 0, ScalerNotActive},
		{30 * time.Second, 14, 3, ScalerActive},
		{60 * time.Second, 14, 3, DesiredWithinRange},
		{90 * time.Second, 0, 3, ScaleDownStabilized},
		{359 * time.Second, 0, 3, ScaleDownStabilized},
		{360 * time.Second, 0, 1, ScalerCooldown},  // the window is over, cooldownPeriod not
		{361 * time.Second, 0, 0, ScalerNotActive}, // 301 s after the last active look
	})
}

func TestTimelineOfPolicies(t *testing.T) {
	// Kubernetes 1.36 horizontal.go, run: scaleDown window 0, Pods 1 per 60 s, from 10, a look each 15 s.
	slow := with(with(orders(), max100), func(o *ScaledObject) {
		o.ScaleDown = &ScalingRules{Select: SelectMax, Policies: []ScalingPolicy{{Value: 1, Period: 60 * time.Second}}}
	})
	m := Memory{Since: noon().Add(-time.Hour)}
	replicas := int32(10)
	for i, want := range []int32{9, 9, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7, 6} {
		d := Decide(slow, Observed{Replicas: replicas, Current: replicas, Readings: depth(0), Memory: m}, noon().Add(time.Duration(i)*15*time.Second))
		if d.To != want {
			t.Fatalf("look %d: got %d, want %d (%s)", i, d.To, want, d.Record().Why)
		}
		replicas, m = d.To, d.MemoryAfter()
	}

	// scaleUp Pods 2 per 60 s from 1, proposal 50.
	steps := with(with(orders(), max100), func(o *ScaledObject) {
		o.ScaleUp = &ScalingRules{Select: SelectMax, Policies: []ScalingPolicy{{Value: 2, Period: 60 * time.Second}}}
	})
	m, replicas = Memory{Since: noon().Add(-time.Hour)}, 1
	for i, want := range []int32{3, 3, 3, 3, 5, 5, 5, 5, 7} {
		d := Decide(steps, Observed{Replicas: replicas, Current: replicas, Readings: depth(250), Memory: m}, noon().Add(time.Duration(i)*15*time.Second))
		if d.To != want {
			t.Fatalf("look %d: got %d, want %d (%s)", i, d.To, want, d.Record().Why)
		}
		replicas, m = d.To, d.MemoryAfter()
	}
}

func TestScalingPolicies(t *testing.T) {
	// Kubernetes TestScalingWithRules (horizontal_test.go) and float quirks of §7.6's formulas, run on 1.36.
	ago := func(change int32) []ScaleEvent { return []ScaleEvent{{change, noon().Add(-10 * time.Second)}} }
	pods := func(v int32, period time.Duration) ScalingPolicy {
		return ScalingPolicy{Value: v, Period: period * time.Second}
	}
	percent := func(v int32, period time.Duration) ScalingPolicy {
		return ScalingPolicy{Percent: true, Value: v, Period: period * time.Second}
	}
	for _, row := range []struct {
		rule     string
		from     int32
		ups      []ScaleEvent
		downs    []ScaleEvent
		sel      SelectPolicy
		policies []ScalingPolicy
		want     int32
	}{
		{"up: the API's defaults", 10, nil, nil, SelectMax, []ScalingPolicy{pods(4, 15), percent(100, 15)}, 20},
		{"up: Pods 100 or Percent 100, the larger", 10, nil, nil, SelectMax, []ScalingPolicy{pods(100, 60), percent(100, 60)}, 110},
		{"up: Pods 150 counts what was added", 100, ago(15), nil, SelectMax, []ScalingPolicy{pods(150, 120)}, 235},
		{"up: Percent 200 counts what was added", 100, ago(15), nil, SelectMax, []ScalingPolicy{percent(200, 120)}, 255},
		{"up: Pods 5 with 15 added is held", 100, ago(15), nil, SelectMax, []ScalingPolicy{pods(5, 120)}, 100},
		{"up: Percent 300 with 4 added and 2 removed", 6, ago(4), ago(2), SelectMax, []ScalingPolicy{percent(300, 300)}, 16},
		{"up: Percent 10 of 50 is 56", 50, nil, nil, SelectMax, []ScalingPolicy{percent(10, 15)}, 56},
		{"up: Percent 10 of 100 is 111", 100, nil, nil, SelectMax, []ScalingPolicy{percent(10, 15)}, 111},
		{"up: Min of Pods 4 and Percent 100", 1, nil, nil, SelectMin, []ScalingPolicy{pods(4, 15), percent(100, 15)}, 2},
		{"up: Disabled", 7, nil, nil, SelectDisabled, []ScalingPolicy{pods(4, 15)}, 7},
	} {
		o := with(orders(), func(o *ScaledObject) {
			o.MaxReplicaCount, o.ScaleUp = 100000, &ScalingRules{Select: row.sel, Policies: row.policies}
		})
		m := Memory{Since: noon().Add(-time.Hour), ScaleUps: row.ups, ScaleDowns: row.downs}
		d := Decide(o, Observed{Replicas: row.from, Current: row.from, Readings: depth(1e6), Memory: m}, noon())
		if d.To != row.want {
			t.Errorf("%s: got %d, want %d", row.rule, d.To, row.want)
		}
	}
	for _, row := range []struct {
		rule     string
		from     int32
		ups      []ScaleEvent
		downs    []ScaleEvent
		sel      SelectPolicy
		policies []ScalingPolicy
		want     int32
	}{
		{"down: Pods 20 or Percent 1, the deeper", 100, nil, nil, SelectMax, []ScalingPolicy{pods(20, 60), percent(1, 60)}, 80},
		{"down: Pods 5 with 15 removed is held", 100, nil, ago(15), SelectMax, []ScalingPolicy{pods(5, 120)}, 100},
		{"down: Percent 50 counts what was removed", 100, nil, ago(12), SelectMax, []ScalingPolicy{percent(50, 120)}, 56},
		{"down: Percent 50 with 2 added and 4 removed", 10, ago(2), ago(4), SelectMax, []ScalingPolicy{percent(50, 180)}, 6},
		{"down: Percent 10 with 30 removed is held", 100, nil, ago(30), SelectMax, []ScalingPolicy{percent(10, 120)}, 100},
		{"down: Percent 90 of 30 is 2, not 3", 30, nil, nil, SelectMax, []ScalingPolicy{percent(90, 15)}, 2},
		{"down: Percent 90 of 50 is 4", 50, nil, nil, SelectMax, []ScalingPolicy{percent(90, 15)}, 4},
		{"down: Percent 90 of 70 is 6", 70, nil, nil, SelectMax, []ScalingPolicy{percent(90, 15)}, 6},
		{"down: Percent 90 of 100 is 9", 100, nil, nil, SelectMax, []ScalingPolicy{percent(90, 15)}, 9},
		{"down: Min of Pods 4 and Percent 10", 80, nil, nil, SelectMin, []ScalingPolicy{pods(4, 60), percent(10, 60)}, 76},
		{"down: Disabled", 7, nil, nil, SelectDisabled, []ScalingPolicy{pods(4, 15)}, 7},
	} {
		o := with(orders(), func(o *ScaledObject) {
			o.MaxReplicaCount, o.ScaleDown = 100000, &ScalingRules{Select: row.sel, Policies: row.policies}
		})
		m := Memory{Since: noon().Add(-time.Hour), ScaleUps: row.ups, ScaleDowns: row.downs}
		d := Decide(o, Observed{Replicas: row.from, Current: row.from, Readings: depth(0), Memory: m}, noon())
		if d.To != row.want {
			t.Errorf("%s: got %d, want %d", row.rule, d.To, row.want)
		}
	}
}

// §7.6: 90 % off 10 leaves 0, where exact arithmetic leaves 1. No decision shows it: min is at least 1.
func TestNinetyPercentOffTen(t *testing.T) {
	d := Decision{At: noon()}
	d.limitShrinking(&ScalingRules{Select: SelectMax, Policies: []ScalingPolicy{percentOf(90, 15)}}, 10, noon())
	if d.To != 0 || d.Reason == ScaleDownLimit {
		t.Errorf("got %d %s, want 0", d.To, d.Reason)
	}
}

func TestRecordShowsTheArithmetic(t *testing.T) {
	d := Decide(orders(), Observed{Replicas: 2, Current: 2, Readings: append(depth(11), Reading{Trigger: "s1", Err: errors.New("no such queue")})}.known(), noon())
	eleven, five := 11.0, 5.0
	want := Record{
		From: 2, To: 3, Reason: DesiredWithinRange, Active: true,
		Why:      "s0: 11 / 5 a replica = 2.2 → 3; s1 could not be read; within 1…5: 2 → 3",
		Readings: []RecordReading{{Trigger: "s0", Value: &eleven, Target: &five}, {Trigger: "s1", Error: "no such queue"}},
	}
	if diff := cmp.Diff(want, d.Record()); diff != "" {
		t.Error(diff)
	}
}

func TestWhySaysWhatTheToleranceDid(t *testing.T) {
	o := with(orders(), func(o *ScaledObject) { o.Policy = PolicyKEDA })
	d := Decide(o, Observed{Replicas: 2, Current: 2, Ready: 2, Readings: depth(11)}.known(), noon())
	if got, want := d.Record().Why, "s0: 11 / 5 a replica = 2.2 → 3; 2 is within the tolerance; within 1…5: stays 2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func BenchmarkDecide(b *testing.B) {
	o := orders()
	m := Memory{Since: noon().Add(-time.Hour), LastActive: noon()}
	now := noon()
	for i := range 20 { // a full window at a look each 15 s, falling, so that all are kept
		now = now.Add(15 * time.Second)
		m.recommend(int32(22-i), now, 300*time.Second, 0)
	}
	seen := Observed{Replicas: 5, Current: 5, Readings: depth(11), Memory: m}
	b.ReportAllocs()
	for b.Loop() {
		Decide(o, seen, now.Add(time.Second))
	}
}
