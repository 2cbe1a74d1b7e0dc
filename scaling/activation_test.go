package scaling

import (
	"errors"
	"testing"
	"time"
)

var errTest = errors.New("no such queue")

// step is one look of a timeline in policy keda.
type step struct {
	after   time.Duration
	value   float64 // below 0 the reading fails
	outside int32   // above 0: someone else has set this size
	want    int32
	why     Reason
}

func follow(t *testing.T, rule string, o *ScaledObject, replicas int32, m Memory, steps []step) {
	t.Helper()
	for _, s := range steps {
		if s.outside > 0 {
			replicas = s.outside
		}
		reading := o.Triggers[0].Reading(s.value)
		if s.value < 0 {
			reading = o.Triggers[0].Failed(errTest)
		}
		d := Decide(o, Observed{Replicas: replicas, Current: replicas, Ready: replicas, Readings: []Reading{reading}, Memory: m}, noon().Add(s.after*time.Second))
		if d.To != s.want || d.Reason != s.why {
			t.Errorf("%s: %d s after noon, value %v, %d replicas: got %d %s, want %d %s (%s)", rule, s.after, s.value, replicas, d.To, d.Reason, s.want, s.why, d.Record().Why)
			return
		}
		replicas, m = d.To, d.MemoryAfter()
	}
}

func fives(o *ScaledObject)    { o.Triggers[0].SQS.QueueLength = 5 }
func idleZero(o *ScaledObject) { o.IdleReplicaCount, o.MinReplicaCount = number32(0), number32(2) }
func activationOf(n int64) func(*ScaledObject) {
	return func(o *ScaledObject) { o.Triggers[0].SQS.ActivationQueueLength = n }
}

// §8 and its consequences.
func TestKEDAsLoop(t *testing.T) {
	for _, row := range []struct {
		rule   string
		o      *ScaledObject
		from   int32
		memory Memory
		steps  []step
	}{
		{"0→1, and the HPA's first step in the same look, which sees no pods", keda(toZero, fives), 0, fresh(), []step{
			{0, 0, 0, 0, ScalerNotActive},
			{15, 11, 0, 0, ScalingDisabled}, // not KEDA's turn
			{30, 11, 0, 3, DesiredWithinRange},
			{40, 11, 0, 3, NotDue},
		}},
		{"0→1→4→8 with many", keda(toZero), 0, fresh(), []step{{0, 100, 0, 4, ScaleUpLimit}, {15, 100, 0, 8, ScaleUpLimit}}},
		{"to zero in one step from any size, strictly after cooldownPeriod since the last active poll", keda(toZero), 0, fresh(), []step{
			{0, 4, 0, 4, DesiredWithinRange},
			{15, 4, 0, 4, DesiredWithinRange},
			{30, 0, 0, 4, ScaleDownStabilized},
			{60, 0, 4, 4, ScaleDownStabilized},
			{300, 0, 0, 4, ScaleDownStabilized}, // the last sync to see 4 was at 15
			{330, 0, 0, 0, ScalerNotActive},
		}},
		{"exactly cooldownPeriod is not over", keda(toZero), 1, Memory{Since: noon(), Created: noon(), LastActive: noon()}, []step{{300, 0, 0, 1, ScalerCooldown}, {330, 0, 0, 0, ScalerNotActive}}},
		{"a new one with nothing to do goes to zero at its first poll after it was made", keda(toZero), 3, fresh(), []step{{0, 0, 0, 3, ScaleDownStabilized}, {30, 0, 0, 0, ScalerNotActive}}},
		{"unless initialCooldownPeriod is set", keda(toZero, func(o *ScaledObject) { o.InitialCooldownPeriod = 2 * time.Minute }), 1, fresh(), []step{
			{90, 0, 0, 1, ScalerCooldown}, {120, 0, 0, 1, ScalerCooldown}, {150, 0, 0, 0, ScalerNotActive},
		}},
		{"nothing known of it: held for cooldownPeriod, whatever KEDA would do", keda(toZero), 1, Memory{}, []step{{0, 0, 0, 1, ScalerCooldown}, {300, 0, 0, 1, ScalerCooldown}, {330, 0, 0, 0, ScalerNotActive}}},
		{"40 messages, activation 50: stays at 0", keda(toZero, fives, activationOf(50)), 0, fresh(), []step{{0, 40, 0, 0, ScalerNotActive}, {30, 51, 0, 4, ScaleUpLimit}}},
		{"40 messages, activation 50: goes to 0", keda(toZero, fives, activationOf(50)), 8, fresh(), []step{{30, 40, 0, 0, ScalerNotActive}}},
		{"with min 1 the activation value means nothing", keda(fives, activationOf(50)), 1, fresh(), []step{{0, 40, 0, 4, ScaleUpLimit}}},
		{"idle 0, min 2: 10→0 and 0→2", keda(idleZero), 10, Memory{Since: noon(), Created: noon(), LastActive: noon().Add(-time.Hour)}, []step{{0, 0, 0, 0, ScalerNotActive}, {30, 1, 0, 2, ScalerActive}}},
		{"idle above 0 flaps: the HPA lifts it to min again", keda(func(o *ScaledObject) { o.IdleReplicaCount, o.MinReplicaCount = number32(1), number32(3) }), 5, Memory{Since: noon(), Created: noon(), LastActive: noon().Add(-time.Hour)}, []step{
			{0, 0, 0, 3, TooFewReplicas},
		}},
		{"below min is repaired, at 0 too", keda(func(o *ScaledObject) { o.MinReplicaCount = number32(5) }), 0, fresh(), []step{{0, 0, 0, 5, TooFewReplicas}, {30, 0, 1, 5, TooFewReplicas}}},
		{"below min between the polls: the HPA repairs to min, no further", keda(func(o *ScaledObject) { o.MinReplicaCount = number32(3) }), 3, fresh(), []step{{0, 3, 0, 3, DesiredWithinRange}, {15, 9, 1, 3, TooFewReplicas}, {30, 9, 0, 6, ScaleUpLimit}}},
		{"0→1 does not look at max", keda(idleZero, func(o *ScaledObject) { o.MinReplicaCount, o.MaxReplicaCount = number32(5), 5 }), 0, fresh(), []step{{0, 1, 0, 5, ScalerActive}}},
		{"an error holds, and never goes to zero", keda(toZero), 3, Memory{Since: noon(), Created: noon(), LastActive: noon().Add(-time.Hour)}, []step{{0, -1, 0, 3, FailedGetExternalMetric}, {600, -1, 0, 3, FailedGetExternalMetric}, {630, 0, 0, 0, ScalerNotActive}}},
		{"an error at 0", keda(toZero), 0, fresh(), []step{{0, -1, 0, 0, TriggerError}}},
		{"above max is corrected by the HPA's next turn", keda(), 1, fresh(), []step{{0, 1, 0, 1, DesiredWithinRange}, {5, 1, 200, 200, NotDue}, {15, 1, 0, 100, TooManyReplicas}}},
		{"paused-scale-in does not go to zero", keda(toZero, behavior(ScalingRules{}, ScalingRules{}), func(o *ScaledObject) { o.Pause.ScaleIn = true }), 3, fresh(), []step{{30, 0, 0, 3, ScaledObjectPaused}, {630, 0, 0, 3, ScaledObjectPaused}, {660, 0, 200, 100, TooManyReplicas}}},
		{"paused-scale-out does not wake, nor grow, but repairs", keda(toZero, behavior(ScalingRules{}, ScalingRules{}), func(o *ScaledObject) { o.Pause.ScaleOut = true }), 0, fresh(), []step{{0, 9, 0, 0, ScaledObjectPaused}, {30, 9, 2, 2, ScaledObjectPaused}}},
		{"force-activation keeps one, and the HPA sizes", keda(toZero, func(o *ScaledObject) { o.ForceActivation = true }), 0, fresh(), []step{{0, 0, 0, 1, ScalerActive}, {30, 3, 0, 3, DesiredWithinRange}}},
		{"paused", keda(func(o *ScaledObject) { o.Pause.Paused = true }), 3, fresh(), []step{{0, 50, 0, 3, ScaledObjectPaused}}},
		{"paused-replicas is set once", keda(func(o *ScaledObject) { o.Pause.Replicas = number32(7) }), 3, fresh(), []step{{0, 50, 0, 7, ScaledObjectPaused}, {30, 50, 2, 2, ScaledObjectPaused}}},
	} {
		follow(t, row.rule, row.o, row.from, row.memory, row.steps)
	}
}

// §7.9, §11: a pause deletes the HPA, and a new one knows the present size only.
func TestAPauseForgets(t *testing.T) {
	for _, policy := range []Policy{PolicyDirect, PolicyKEDA} {
		o := keda(func(o *ScaledObject) { o.Policy, o.Pause.Paused = policy, true })
		m := fresh()
		m.LastActive = noon()
		d := Decide(o, Observed{Replicas: 9, Current: 9, Readings: []Reading{o.Triggers[0].Reading(0)}, Memory: m}, noon().Add(time.Hour))
		o.Pause.Paused = false
		if o.Covers(m, d.Memory, noon()) {
			t.Errorf("%s: a pause is stored", policy)
		}
		follow(t, "after the pause", o, 9, d.MemoryAfter(), []step{{7200, 0, 0, 9, ScaleDownStabilized}, {7485, 0, 0, 9, ScaleDownStabilized}, {7500, 0, 0, 1, TooFewReplicas}})
	}
}

// §9: after an error spell the first clean look may take the target to zero, since time went on.
func TestErrorsNeitherRefreshNorStopTheCooldown(t *testing.T) {
	o := keda(toZero)
	o.Triggers = append(o.Triggers, Trigger{ID: "s1", Type: TypeSQS, SQS: SQSTrigger{QueueLength: 1}})
	m := fresh()
	look := func(after time.Duration, a, b Reading) Decision {
		d := Decide(o, Observed{Replicas: 1, Current: 1, Readings: []Reading{a, b}, Memory: m}, noon().Add(after*time.Second))
		m = d.MemoryAfter()
		return d
	}
	look(0, o.Triggers[0].Reading(1), o.Triggers[1].Reading(0))
	if d := look(200, o.Triggers[0].Reading(1), o.Triggers[1].Failed(errTest)); !d.Active || !d.Memory.LastActive.Equal(noon()) {
		t.Errorf("active with an error does not move lastActive: %+v", d.Memory.LastActive)
	}
	if d := look(305, o.Triggers[0].Reading(0), o.Triggers[1].Reading(0)); d.To != 0 {
		t.Errorf("got %d %s, want 0", d.To, d.Reason)
	}
}

func TestNextIsWhenALoopIsDue(t *testing.T) {
	o := keda(toZero)
	d := Decide(o, Observed{Readings: []Reading{o.Triggers[0].Reading(0)}, Memory: fresh()}, noon())
	if want := noon().Add(30 * time.Second); !d.Next.Equal(want) {
		t.Errorf("at 0 KEDA's loop alone matters: got %v, want %v", d.Next, want)
	}
	d = Decide(o, Observed{Replicas: 1, Current: 1, Readings: []Reading{o.Triggers[0].Reading(1)}, Memory: fresh()}, noon())
	if want := noon().Add(15 * time.Second); !d.Next.Equal(want) {
		t.Errorf("above it the HPA's does too: got %v, want %v", d.Next, want)
	}
}

// §9, §11: the HPA is made anew after a pause, KEDA's own state stays. Found by comparing random histories with KEDA.
func TestAfterAPauseAsKEDA(t *testing.T) {
	paused := func(replicas *int32) func(*ScaledObject) {
		return func(o *ScaledObject) { o.Pause = Pause{Paused: replicas == nil, Replicas: replicas} }
	}
	look := func(o *ScaledObject, m Memory, replicas int32, after time.Duration, r Reading) Decision {
		return Decide(o, Observed{Replicas: replicas, Current: replicas, Ready: replicas, Readings: []Reading{r}, Memory: m}, noon().Add(after*time.Second))
	}
	some, none := keda().Triggers[0].Reading(1), keda().Triggers[0].Reading(0)
	none.Active = false

	m := look(keda(toZero, paused(nil)), fresh(), 4, 0, none).MemoryAfter()
	if d := look(keda(toZero, paused(number32(0))), m, 4, 30, none); d.To != 0 {
		t.Errorf("paused, then paused-replicas 0: got %d, want 0", d.To)
	}
	d := look(keda(toZero), m, 4, 60, none)
	if d.To != 0 {
		t.Fatalf("the first poll after the pause: got %d %s, want 0", d.To, d.Reason)
	}
	m = look(keda(toZero), d.MemoryAfter(), 0, 90, some).MemoryAfter()
	if d := look(keda(toZero, func(o *ScaledObject) { o.ForceActivation = true }), m, 1, 120, none); d.Reason != ScaleDownStabilized || d.heldUntil != noon().Add(390*time.Second) {
		t.Errorf("the size before the pause is no recommendation: got %s until %v, want the one of 90 s", d.Reason, d.heldUntil)
	}

	falling := keda(fallback(1, 9, FallbackStatic))
	m = failedBefore(2)
	m = look(keda(fallback(1, 9, FallbackStatic), paused(nil)), m, 4, 0, falling.Triggers[0].Failed(errTest)).MemoryAfter()
	if d := look(falling, m, 4, 60, falling.Triggers[0].Failed(errTest)); d.Fallback != 9 {
		t.Errorf("failures before a pause count after it: got fallback %d %s, want 9", d.Fallback, d.Reason)
	}
}

// §4, §6: what is active is the value as it is read, minMetricValue too, and not what the HPA gets of it.
func TestActivityIsOfTheRawValue(t *testing.T) {
	for _, row := range []struct {
		value, activation float64
		active            bool
		want              int32 // from 0, with target 1
	}{
		{0.0004, 0, true, 1}, // 0 to the HPA, so no more than the one
		{1, 0, true, 1},      // minMetricValue 1 without data
		{3, 0, true, 3},
		{0, 0, false, 0},
		{5, 5, false, 0},
		{0, -1, true, 1},
	} {
		o := keda(toZero, func(o *ScaledObject) {
			o.Triggers[0] = Trigger{ID: "s0", Type: TypeCloudWatch, CloudWatch: CloudWatchTrigger{TargetMetricValue: 1, ActivationTargetMetricValue: row.activation}}
		})
		r := o.Triggers[0].Reading(row.value)
		d := Decide(o, Observed{Readings: []Reading{r}, Memory: fresh()}, noon())
		if r.Active != row.active || d.To != row.want {
			t.Errorf("%v over %v: got %t and %d, want %t and %d", row.value, row.activation, r.Active, d.To, row.active, row.want)
		}
	}
}
