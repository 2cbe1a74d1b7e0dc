package scaling

import (
	"math"
	"strings"
	"testing"
	"time"
)

// The vectors of this file were run with the real HPA controller, Kubernetes 1.36.3.

// keda is a ScaledObject of policy keda with target 1, so that a value is the size it asks for.
func keda(changes ...func(*ScaledObject)) *ScaledObject {
	one := int32(1)
	o := &ScaledObject{
		Namespace: "shop", Name: "orders", Policy: PolicyKEDA,
		PollingInterval: 30 * time.Second, CooldownPeriod: 300 * time.Second, MinReplicaCount: &one, MaxReplicaCount: 100,
		Triggers: []Trigger{{ID: "s0", Type: TypeSQS, MetricType: AverageValue, SQS: SQSTrigger{QueueLength: 1}}},
	}
	for _, change := range changes {
		change(o)
	}
	return o
}

// behavior is one as the API fills it in, with tolerance 0, so that a value is the size it asks for near the present one too.
func behavior(up, down ScalingRules) func(*ScaledObject) {
	return func(o *ScaledObject) {
		if up.Policies == nil {
			up.Policies = []ScalingPolicy{{Value: 4, Period: 15 * time.Second}, {Percent: true, Value: 100, Period: 15 * time.Second}}
		}
		if down.Policies == nil {
			down.Policies = []ScalingPolicy{{Percent: true, Value: 100, Period: 15 * time.Second}}
		}
		up.Tolerance, down.Tolerance = float(0), float(0)
		o.ScaleUp, o.ScaleDown = &up, &down
	}
}

func fiveMinutes() ScalingRules { return ScalingRules{Window: 300 * time.Second} }

func podsOf(v int32, seconds time.Duration) ScalingPolicy {
	return ScalingPolicy{Value: v, Period: seconds * time.Second}
}

func percentOf(v int32, seconds time.Duration) ScalingPolicy {
	return ScalingPolicy{Percent: true, Value: v, Period: seconds * time.Second}
}

// fresh is the memory of a ScaledObject made at noon.
func fresh() Memory { return Memory{Since: noon(), Created: noon()} }

// sizes replays values, every so often, and returns the size after each.
func sizes(o *ScaledObject, replicas int32, m Memory, every time.Duration, values []float64) []int32 {
	var all []int32
	for i, v := range values {
		reading := o.Triggers[0].Reading(v)
		d := Decide(o, Observed{Replicas: replicas, Current: replicas, Ready: replicas, Readings: []Reading{reading}, Memory: m}, noon().Add(time.Duration(i)*every))
		replicas, m = d.To, d.MemoryAfter()
		all = append(all, replicas)
	}
	return all
}

func repeat[T any](n int, v T) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = v
	}
	return all
}

func join[T any](parts ...[]T) []T {
	var all []T
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// §15.3.
func TestSequencesOfTheHPA(t *testing.T) {
	zero := func(n int) []float64 { return repeat(n, 0.0) }
	down0 := func(policies ...ScalingPolicy) ScalingRules { return ScalingRules{Policies: policies} }
	old := fresh()
	old.LastSync, old.Latest = noon().Add(-time.Minute), Recommendation{10, noon().Add(-time.Minute)}
	for _, row := range []struct {
		rule   string
		o      *ScaledObject
		from   int32
		memory Memory
		every  time.Duration
		values []float64
		want   []int32
	}{
		{"A: doubles, or to 4", keda(), 1, fresh(), 15, repeat(6, 100.0), []int32{4, 8, 16, 32, 64, 100}},
		{"B: +4 or ×2", keda(behavior(ScalingRules{}, fiveMinutes())), 1, fresh(), 15, repeat(6, 100.0), []int32{5, 10, 20, 40, 80, 100}},
		{"A: one spike goes on growing, and holds 300 s", keda(), 1, fresh(), 15, join([]float64{100}, zero(21)), join([]int32{4, 8, 16, 32, 64}, repeat(15, int32(100)), []int32{1, 1})},
		{"B: one spike grows once, and holds 300 s", keda(behavior(ScalingRules{}, fiveMinutes())), 1, fresh(), 15, join([]float64{100}, zero(21)), join(repeat(20, int32(5)), []int32{1, 1})},
		{"A: a fresh HPA holds 300 s", keda(), 5, fresh(), 15, zero(22), join(repeat(20, int32(5)), []int32{1, 1})},
		{"A: a minute between looks", keda(), 1, fresh(), 60, repeat(6, 200.0), []int32{4, 8, 16, 32, 64, 100}},
		{"B: a minute between looks", keda(behavior(ScalingRules{}, fiveMinutes())), 1, fresh(), 60, repeat(6, 200.0), []int32{5, 10, 20, 40, 80, 100}},
		{"A: an old recommendation pulls up", keda(func(o *ScaledObject) { o.MaxReplicaCount = 20 }), 1, old, 15, repeat(17, 1.0), join([]int32{4, 8}, repeat(14, int32(10)), []int32{1})},
		{"B: it does not", keda(behavior(ScalingRules{}, fiveMinutes())), 1, old, 15, repeat(4, 1.0), repeat(4, int32(1))},
		{"B: scaleDown window 60", keda(behavior(ScalingRules{}, ScalingRules{Window: time.Minute})), 5, fresh(), 15, join([]float64{5, 5}, zero(4)), []int32{5, 5, 5, 5, 5, 1}},
		{"B: scaleDown Pods 1/60", keda(behavior(ScalingRules{}, down0(podsOf(1, 60)))), 10, fresh(), 15, zero(13), []int32{9, 9, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7, 6}},
		{"B: scaleDown Percent 10/60", keda(behavior(ScalingRules{}, down0(percentOf(10, 60)))), 100, fresh(), 15, zero(13), []int32{90, 90, 90, 90, 81, 81, 81, 81, 72, 72, 72, 72, 64}},
		{"B: scaleDown Percent 50/60", keda(behavior(ScalingRules{}, down0(percentOf(50, 60)))), 7, fresh(), 15, zero(5), []int32{3, 3, 3, 3, 1}},
		{"B: the larger of Pods 4/60 and Percent 10/60", keda(behavior(ScalingRules{}, down0(podsOf(4, 60), percentOf(10, 60)))), 80, fresh(), 15, zero(9), []int32{72, 72, 72, 72, 64, 64, 64, 64, 57}},
		{"B: the smaller", keda(behavior(ScalingRules{}, ScalingRules{Select: SelectMin, Policies: []ScalingPolicy{podsOf(4, 60), percentOf(10, 60)}})), 80, fresh(), 15, zero(9), []int32{76, 76, 76, 76, 72, 72, 72, 72, 68}},
		{"B: scaleUp Pods 2/60", keda(behavior(down0(podsOf(2, 60)), fiveMinutes())), 1, fresh(), 15, repeat(9, 50.0), []int32{3, 3, 3, 3, 5, 5, 5, 5, 7}},
		{"B: scaleUp Percent 10/15 from 50", keda(behavior(down0(percentOf(10, 15)), fiveMinutes())), 50, fresh(), 15, repeat(6, 100.0), []int32{56, 62, 69, 76, 84, 93}},
		{"B: scaleUp Percent 10/15 from 1", keda(behavior(down0(percentOf(10, 15)), fiveMinutes())), 1, fresh(), 15, repeat(8, 100.0), []int32{2, 3, 4, 5, 6, 7, 8, 9}},
		{"B: scaleUp the smaller of Pods 4/15 and Percent 100/15", keda(behavior(ScalingRules{Select: SelectMin, Policies: []ScalingPolicy{podsOf(4, 15), percentOf(100, 15)}}, fiveMinutes())), 1, fresh(), 15, repeat(8, 50.0), []int32{2, 4, 8, 12, 16, 20, 24, 28}},
		{"B: scaleUp window 60", keda(behavior(ScalingRules{Window: time.Minute, Policies: []ScalingPolicy{podsOf(100, 15)}}, fiveMinutes())), 1, fresh(), 15, repeat(5, 20.0), []int32{1, 1, 1, 1, 20}},
		{"B: scaleUp window 60, the lowest proposal within it", keda(behavior(ScalingRules{Window: time.Minute, Policies: []ScalingPolicy{podsOf(100, 15)}}, fiveMinutes())), 1, fresh(), 15, []float64{20, 30, 5, 40, 40, 40, 40}, []int32{1, 1, 1, 1, 5, 5, 40}},
		{"B: what was taken away may come back", keda(behavior(down0(podsOf(3, 60)), down0(podsOf(3, 60)))), 5, fresh(), 15, []float64{10, 10, 2, 2, 10, 10}, []int32{8, 8, 2, 2, 10, 10}},
		{"above max: at once, scaleDown Disabled", keda(behavior(ScalingRules{}, ScalingRules{Select: SelectDisabled}), func(o *ScaledObject) { o.MaxReplicaCount = 5 }), 9, fresh(), 15, []float64{0}, []int32{5}},
		{"below min: at once, scaleUp Disabled", keda(behavior(ScalingRules{Select: SelectDisabled}, fiveMinutes()), func(o *ScaledObject) { o.MinReplicaCount = number32(3) }), 1, fresh(), 15, []float64{1}, []int32{3}},
	} {
		got := sizes(row.o, row.from, row.memory, row.every*time.Second, row.values)
		if len(got) != len(row.want) {
			t.Fatalf("%s: %d sizes for %d", row.rule, len(got), len(row.want))
		}
		for i := range got {
			if got[i] != row.want[i] {
				t.Errorf("%s: look %d: got %v, want %v", row.rule, i, got, row.want)
				break
			}
		}
	}
}

// §15.2, with the README's ScaledObject: queueLength 5, min 1, max 5, no behavior.
func TestTheWorkedExampleAsKEDA(t *testing.T) {
	example := func() *ScaledObject {
		return keda(func(o *ScaledObject) { o.MaxReplicaCount, o.Triggers[0].SQS.QueueLength = 5, 5 })
	}
	for _, row := range []struct {
		step     string
		messages []float64
		from     int32
		want     []int32
	}{
		{"1", []float64{3}, 1, []int32{1}},
		{"2", []float64{6}, 1, []int32{2}},
		{"3", []float64{10}, 2, []int32{2}},
		{"4a: within the tolerance", []float64{11}, 2, []int32{2}},
		{"4b", []float64{11}, 1, []int32{3}},
		{"4c", []float64{11}, 3, []int32{3}},
		{"5", []float64{12}, 2, []int32{3}},
		{"6: 25", []float64{25}, 3, []int32{5}},
		{"6: 26", []float64{26}, 3, []int32{5}},
		{"6: 1000", []float64{1000}, 3, []int32{5}},
		{"7", []float64{1000, 1000}, 1, []int32{4, 5}},
		{"8", join([]float64{12}, repeat(20, 0.0)), 3, join(repeat(20, int32(3)), []int32{1})},
		{"the time line", join([]float64{3, 6, 10, 11, 11}, repeat(20, 0.0)), 1, join([]int32{1, 2, 2, 2, 2}, repeat(19, int32(2)), []int32{1})},
	} {
		got := sizes(example(), row.from, fresh(), 15*time.Second, row.messages)
		for i := range got {
			if got[i] != row.want[i] {
				t.Errorf("step %s: got %v, want %v", row.step, got, row.want)
				break
			}
		}
	}
	for _, row := range []struct {
		messages float64
		at, want int32
	}{{11, 2, 3}, {16, 3, 4}, {21, 4, 5}, {26, 5, 6}, {10, 2, 2}} {
		o := example()
		behavior(ScalingRules{}, fiveMinutes())(o) // with tolerance 0
		o.MaxReplicaCount = 10
		if got := sizes(o, row.at, fresh(), 15*time.Second, []float64{row.messages}); got[0] != row.want {
			t.Errorf("tolerance 0: %v at %d: got %d, want %d", row.messages, row.at, got[0], row.want)
		}
	}
}

// §15.4 and §15.5, and the external metrics of replica_calculator_test.go (Kubernetes 1.37).
func TestProposalsOfOtherTriggers(t *testing.T) {
	for _, row := range []struct {
		section       string
		value, target float64
		current, want int32
		tolerance     float64
	}{
		{"15.4", 10, 1, 9, 10, 0.1},
		{"15.4", 11, 1, 10, 10, 0.1},
		{"15.4", 12, 1, 10, 12, 0.1},
		{"15.4", 10, 1, 11, 11, 0.1},
		{"15.4", 9, 1, 10, 10, 0.1},
		{"15.4", 8, 1, 10, 8, 0.1},
		{"15.4", 105, 1, 100, 100, 0.1},
		{"15.4", 110, 1, 100, 100, 0.1},
		{"15.4", 111, 1, 100, 111, 0.1},
		{"15.4", 90, 1, 100, 100, 0.1},
		{"15.4", 89, 1, 100, 89, 0.1},
		{"15.4", 20, 1, 22, 22, 0.1},
		{"15.4", 20, 1, 23, 20, 0.1},
		{"15.5", 7.4, 2.5, 1, 3, 0.1},
		{"15.5", 7.4, 2.5, 3, 3, 0.1},
		{"15.5", 8.25, 2.5, 3, 3, 0.1},
		{"15.5", 8.251, 2.5, 3, 4, 0.1},
		{"16, per pod, up", 8.6, 2.15, 3, 4, 0.1},
		{"16, per pod, down", 8.6, 2.867, 5, 3, 0.1},
		{"16, per pod, tolerance", 8.6, 2.9, 3, 3, 0.1},
		{"16, per pod, tolerance .01", 8.6, 2.8, 3, 4, 0.01},
	} {
		if got := proposed(row.value, row.target, row.current, row.tolerance); got != row.want {
			t.Errorf("§%s: %v / %v at %d: got %d, want %d", row.section, row.value, row.target, row.current, got, row.want)
		}
	}
	o := keda()
	if size, _ := o.propose(AverageValue, 11000, 5000, 3, &Observed{Current: 2}, nil, nil); size != 2 {
		t.Errorf("§7.3: within the tolerance it is status, not spec: got %d, want 2", size)
	}
	// The edges of every tolerance are inside (§7.3).
	for _, tolerance := range []float64{0, .01, .05, .1, .15, .2, .3, .5, 1} {
		for target := int64(1); target <= 200; target++ {
			for replicas := int64(1); replicas <= 200; replicas++ {
				edge := float64(target*replicas) * math.Round((1+tolerance)*100) / 100
				if got := proposed(edge, float64(target), int32(replicas), tolerance); got != int32(replicas) {
					t.Fatalf("%v at target %d and %d replicas, tolerance %v: got %d", edge, target, replicas, tolerance, got)
				}
			}
		}
	}
}

// §7.3 and §16: metricType Value.
func TestProposalsOfTypeValue(t *testing.T) {
	for _, row := range []struct {
		rule             string
		value, target    float64
		spec, pods, rdy  int32
		tolerance        float64
		want             int32
		noPods, sleeping bool
	}{
		{"8600m of 4400m, 1 of 3 ready", 8.6, 4.4, 3, 3, 1, 0.1, 2, false, false},
		{"all ready", 8.6, 4.4, 3, 3, 3, 0.1, 6, false, false},
		{"down", 8.6, 14.334, 5, 5, 5, 0.1, 3, false, false},
		{"within: spec, not ready", 11, 10, 3, 3, 1, 0.1, 3, false, false},
		{"just outside", 11.001, 10, 3, 3, 3, 0.1, 4, false, false},
		{"8600 of 8888 is within", 8.6, 8.888, 3, 3, 3, 0.1, 3, false, false},
		{"tolerance .01", 8.9, 8.8, 3, 3, 3, 0.01, 4, false, false},
		{"it multiplies", 30, 1, 2, 2, 2, 0.1, 60, false, false},
		{"none ready asks for none", 30, 1, 2, 2, 0, 0.1, 0, false, false},
		{"no pods at all is an error", 30, 1, 2, 0, 0, 0.1, 0, true, false},
		{"from 0 the ratio is the size", 30, 7, 0, 0, 0, 0.1, 5, false, false},
	} {
		rules := &ScalingRules{Tolerance: &row.tolerance}
		o := ScaledObject{Policy: PolicyKEDA}
		got, ok := o.propose(Value, milli(row.value), milli(row.target), row.spec, &Observed{Current: row.pods, Ready: row.rdy}, rules, rules)
		if got != row.want || ok == row.noPods {
			t.Errorf("%s: got %d, %t, want %d", row.rule, got, ok, row.want)
		}
	}
}

// §6.
func TestMilliRoundsAsPrintingDoes(t *testing.T) {
	for v, want := range map[float64]float64{
		0.0004: 0, 0.0005: 1, 0.0015: 2, 1.0005: 1000, -3: 0, 7: 7000, 1e-9: 0, 2.5: 2500, 1e300: math.MaxInt64, 123456789.0625: 123456789062,
	} {
		if got := milli(v); got != want {
			t.Errorf("%v: got %v, want %v", v, got, want)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got := milli(v); got != 0 {
			t.Errorf("%v: got %v, want 0", v, got)
		}
	}
}

// §7.4, §7.2: what a failed reading blocks, and what it does not.
func TestFailedReadingsAsTheHPA(t *testing.T) {
	two := func() *ScaledObject {
		return keda(func(o *ScaledObject) {
			o.Triggers = append(o.Triggers, Trigger{ID: "s1", Type: TypeSQS, SQS: SQSTrigger{QueueLength: 1}})
		})
	}
	old := Memory{Since: noon().Add(-time.Hour), LastSync: noon().Add(-time.Hour), LastPoll: noon().Add(-time.Hour)}
	for _, row := range []struct {
		rule   string
		from   int32
		value  float64
		want   int32
		reason Reason
	}{
		{"the other asks for less: held", 4, 2, 4, FailedGetExternalMetric},
		{"the other asks for as much", 4, 4, 4, DesiredWithinRange},
		{"the other asks for more", 4, 8, 8, DesiredWithinRange},
		{"above max all the same", 200, 2, 100, TooManyReplicas},
	} {
		o := two()
		seen := Observed{Replicas: row.from, Current: row.from, Readings: []Reading{o.Triggers[0].Reading(row.value), o.Triggers[1].Failed(errTest)}, Memory: old}
		if d := Decide(o, seen, noon()); d.To != row.want || d.Reason != row.reason {
			t.Errorf("%s: got %d %s, want %d %s", row.rule, d.To, d.Reason, row.want, row.reason)
		}
	}
	o := two()
	d := Decide(o, Observed{Replicas: 4, Current: 4, Readings: []Reading{o.Triggers[0].Failed(errTest), o.Triggers[1].Failed(errTest)}, Memory: old}, noon())
	if d.To != 4 || d.Reason != FailedGetExternalMetric || d.Memory.Latest != old.Latest {
		t.Errorf("nothing is recommended when nothing could be read: %d %s, %+v", d.To, d.Reason, d.Memory.Latest)
	}
	if why := d.Record().Why; !strings.Contains(why, "s0 could not be read; s1 could not be read; nothing shrinks") {
		t.Error(why)
	}
}

// §7.3: Value without any pod is an error to the HPA, which blocks shrinking as any other does.
func TestValueWithoutPodsBlocks(t *testing.T) {
	for _, policy := range []Policy{PolicyKEDA, PolicyDirect} {
		o := keda(ofValue, func(o *ScaledObject) {
			o.Policy = policy
			o.Triggers = append(o.Triggers, Trigger{ID: "s1", Type: TypeSQS, SQS: SQSTrigger{QueueLength: 1}})
		})
		m := fresh()
		m.LastSync = noon().Add(-time.Hour)
		m.Since, m.Created = m.LastSync, m.LastSync
		seen := Observed{Replicas: 5, Readings: []Reading{o.Triggers[0].Reading(9), o.Triggers[1].Reading(2)}, Memory: m}
		if d := Decide(o, seen, noon()); d.To != 5 || d.Reason != FailedGetExternalMetric {
			t.Errorf("%s: got %d %s, want 5", policy, d.To, d.Reason)
		}
	}
}

// Without memory nothing shrinks until the window and the longest period have passed, however short the window is.
func TestNothingKnownHoldsForTheLongestPeriod(t *testing.T) {
	for _, policy := range []Policy{PolicyKEDA, PolicyDirect} {
		o := keda(behavior(ScalingRules{}, ScalingRules{Policies: []ScalingPolicy{podsOf(1, 60)}}), func(o *ScaledObject) { o.Policy = policy })
		if got := sizes(o, 5, Memory{}, 15*time.Second, repeat(6, 0.0)); got[3] != 5 || got[4] != 4 {
			t.Errorf("%s: got %v, want 4 after 60 s", policy, got)
		}
	}
}

func BenchmarkDecideAsKEDA(b *testing.B) {
	o := keda()
	m := fresh()
	m.LastActive, m.LastPoll = noon(), noon()
	now := noon()
	for i := range 20 { // a full window, falling
		now = now.Add(15 * time.Second)
		m.recommend(int32(22-i), now, 300*time.Second, 0)
	}
	seen := Observed{Replicas: 5, Current: 5, Readings: []Reading{o.Triggers[0].Reading(5)}, Memory: m}
	b.ReportAllocs()
	for b.Loop() { // a poll and a sync
		Decide(o, seen, now.Add(time.Second))
	}
}

// A policy that is meant as no limit stops the HPA for good: its sum leaves int32. Found by comparing
// random histories with the real controller (Kubernetes 1.37).
func TestAPolicyBeyondInt32(t *testing.T) {
	for policy, want := range map[Policy]int32{PolicyKEDA: 1, PolicyDirect: 50} {
		o := with(with(orders(), max100), func(o *ScaledObject) {
			o.Policy, o.ScaleUp = policy, &ScalingRules{Select: SelectMax, Policies: []ScalingPolicy{{Value: 2147483647, Period: 15 * time.Second}}}
		})
		d := Decide(o, Observed{Replicas: 1, Current: 1, Ready: 1, Readings: depth(250)}.known(), noon())
		if d.To != want {
			t.Errorf("policy %s: got %d, want %d (%s)", policy, d.To, want, d.Record().Why)
		}
	}
}

// §7.8: the HPA gives two reasons, ScalingLimited's for a limit and AbleToScale's for a window. The limit counts where one
// stands between what the readings ask for and the size, else the window.
func TestReasonIsWhatStandsBetweenProposalAndSize(t *testing.T) {
	ago := func(seconds time.Duration, replicas int32) Recommendation {
		return Recommendation{replicas, noon().Add(-seconds * time.Second)}
	}
	bounds := func(low, high int32) func(*ScaledObject) {
		return func(o *ScaledObject) { o.MinReplicaCount, o.MaxReplicaCount = &low, high }
	}
	both := behavior(ScalingRules{Window: time.Minute, Policies: []ScalingPolicy{podsOf(100, 15)}}, ScalingRules{Window: 300 * time.Second})
	policies := behavior(ScalingRules{}, ScalingRules{Window: 300 * time.Second, Policies: []ScalingPolicy{podsOf(1, 60)}})
	for _, row := range []struct {
		rule   string
		o      *ScaledObject
		from   int32
		latest Recommendation
		value  float64
		want   int32
		reason Reason
		why    string
	}{
		{"A: at min, a window holds it there", keda(bounds(2, 9)), 2, ago(299, 2), 0, 2, ScaleDownStabilized, "until 12:00:01: stays 2"},
		{"A: at min, and the window is over", keda(bounds(2, 9)), 2, ago(300, 2), 0, 2, TooFewReplicas, ""},
		{"A: to min, where the window would have it less too", keda(bounds(3, 9)), 5, ago(60, 2), 0, 3, TooFewReplicas, ""},
		{"A: at max, drained: the window", keda(bounds(1, 5)), 5, ago(60, 100), 0, 5, ScaleDownStabilized, "until 12:04:00: stays 5"},
		{"A: at max, the readings still ask for more: the limit", keda(bounds(1, 5)), 5, ago(60, 100), 90, 5, TooManyReplicas, ""},
		{"A: the window pulls up, no further than doubling", keda(), 4, ago(60, 100), 1, 8, ScaleDownStabilized, "until 12:04:00: 4 → 8"},
		{"A: the readings ask for it: doubling", keda(), 4, ago(60, 100), 90, 8, ScaleUpLimit, ""},
		{"A: down to what the window leaves", keda(), 9, ago(60, 6), 2, 6, ScaleDownStabilized, "9 → 6"},
		{"B: at min, a window holds it there", keda(both, bounds(2, 9)), 2, ago(60, 2), 0, 2, ScaleDownStabilized, ""},
		{"B: at max, scaleUp's window holds it there", keda(both, bounds(1, 9)), 9, ago(30, 9), 50, 9, ScaleUpStabilized, ""},
		{"B: at max, scaleUp's window would let it grow", keda(both, bounds(1, 9)), 9, ago(30, 20), 50, 9, TooManyReplicas, ""},
		{"B: up to what scaleUp's window leaves", keda(both), 2, ago(30, 6), 50, 6, ScaleUpStabilized, "2 → 6"},
		{"B: down to what the window leaves", keda(both), 9, ago(60, 6), 2, 6, ScaleDownStabilized, "9 → 6"},
		{"B: the window would let more go than the policies", keda(policies), 9, ago(60, 6), 2, 8, ScaleDownLimit, ""},
		{"B: at max, drained: the window", keda(both, bounds(1, 5)), 5, ago(60, 100), 0, 5, ScaleDownStabilized, ""},
	} {
		for _, policy := range []Policy{PolicyKEDA, PolicyDirect} {
			o := *row.o
			if o.Policy = policy; policy == PolicyDirect && o.ScaleUp == nil {
				continue // A is the HPA's own way
			}
			m := Memory{Since: noon().Add(-time.Hour), LastPoll: noon(), LastSync: noon().Add(-time.Minute), Latest: row.latest}
			d := Decide(&o, Observed{Replicas: row.from, Current: row.from, Readings: []Reading{o.Triggers[0].Reading(row.value)}, Memory: m}, noon())
			if d.To != row.want || d.Reason != row.reason || !strings.Contains(d.Record().Why, row.why) {
				t.Errorf("%s, policy %s: got %d %s, want %d %s (%s)", row.rule, policy, d.To, d.Reason, row.want, row.reason, d.Record().Why)
			}
		}
	}
	// At max the hold ends with the last recommendation of at least max, not with the highest.
	o := keda(bounds(1, 5))
	m := Memory{Since: noon().Add(-time.Hour), LastPoll: noon(), LastSync: noon().Add(-time.Minute), Latest: ago(30, 7), Higher: []Recommendation{ago(60, 100)}}
	d := Decide(o, Observed{Replicas: 5, Current: 5, Readings: []Reading{o.Triggers[0].Reading(0)}, Memory: m}, noon())
	if why := d.Record().Why; !strings.Contains(why, "until 12:04:30: stays 5") {
		t.Error(why)
	}
}
