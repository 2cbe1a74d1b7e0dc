package scaling

import (
	"math"
	"time"
)

// The HPA's default tolerance is 0.1 (--horizontal-pod-autoscaler-tolerance). Policy direct uses 0 for
// AverageValue, so that 11 messages at 5 a replica are 3 replicas from 2 as well as from 1.
const directTolerance = 0

// Decide is the whole policy: each reading proposes a size, the largest proposal is taken and held within
// the limits, and then cooldown, stabilization, scaling policies and failed readings may say "not yet".
//
// It is a pure function: the clock is an argument, and seen is not changed.
func Decide(o *ScaledObject, seen Observed, now time.Time) Decision {
	d := Decision{
		At: now, From: seen.Replicas, To: seen.Replicas, Proposal: -1,
		Min: o.Min(), Max: o.MaxReplicaCount, Readings: seen.Readings, Memory: seen.Memory,
		ups: o.ScaleUp.longestPeriod(),
	}
	m := &d.Memory
	if !m.Known() {
		// Nothing is known of the time before now. The size there is counts as recommended now, as in a
		// fresh HPA, so that losing memory delays shrinking.
		*m = Memory{Since: now, Latest: Recommendation{seen.Replicas, now}}
	}

	if o.Pause.Paused || o.Pause.Replicas != nil {
		d.Reason = ScaledObjectPaused
		if o.Pause.Replicas != nil {
			d.To = *o.Pause.Replicas
		}
		return d
	}

	failed := assess(&d, o, seen)
	inFlightBefore := m.InFlightOnly
	m.InFlightOnly = failed == 0 && inFlightOnly(seen.Readings)
	if d.Active {
		m.LastActive = now
	}

	switch asleep := seen.Replicas == 0 || o.IdleReplicaCount != nil && seen.Replicas <= *o.IdleReplicaCount; {
	case asleep && d.Active:
		wake(&d, o, inFlightBefore, now)
	case asleep:
		rest(&d, o, failed)
	case !d.Active && failed == 0 && o.Floor() < o.Min() && cooledDown(&d, o, now):
		d.To, d.Reason = min(o.Floor(), seen.Replicas), ScalerNotActive
		if o.Pause.ScaleIn {
			d.To, d.Reason = seen.Replicas, ScaledObjectPaused
		}
	default:
		resize(&d, o, failed, now)
	}

	if d.Shrinks() {
		m.ScaleDowns = recordEvent(m.ScaleDowns, ScaleEvent{d.From - d.To, now}, o.ScaleDown.longestPeriod())
	}
	return d
}

// assess takes the largest proposal and whether any trigger is active, and counts the failed readings.
func assess(d *Decision, o *ScaledObject, seen Observed) (failed int) {
	d.Active = o.ForceActivation
	for _, r := range seen.Readings {
		if r.Err != nil {
			failed++
			continue
		}
		d.Active = d.Active || r.Active
		d.Proposal = max(d.Proposal, propose(r, seen.Current, tolerance(o.ScaleUp), tolerance(o.ScaleDown)))
	}
	return failed
}

func tolerance(rules *ScalingRules) float64 {
	if rules != nil && rules.Tolerance != nil {
		return *rules.Tolerance
	}
	return directTolerance
}

// propose is GetExternalPerPodMetricReplicas of the HPA's replica_calculator.go (Kubernetes 1.37): a
// ceiling, unless the load per present pod is within the tolerance. Like the HPA it counts in
// thousandths; a negative value counts as 0.
func propose(r Reading, current int32, up, down float64) int32 {
	usage, target := milli(r.Value), milli(r.Target)
	ratio := usage / (target * float64(current)) // NaN or infinite without pods, which is never within
	if 1-down <= ratio && ratio <= 1+up {
		return current
	}
	return ceil(usage / target)
}

func milli(v float64) float64 {
	if v > 0 {
		return math.Round(v * 1000)
	}
	return 0 // negative or not a number
}

func ceil(v float64) int32 {
	return int32(min(math.MaxInt32, math.Ceil(v)))
}

// inFlightOnly says whether messages in flight are all that makes the target active.
func inFlightOnly(readings []Reading) bool {
	found := false
	for _, r := range readings {
		if r.Active && !r.InFlightOnly {
			return false
		}
		found = found || r.Active
	}
	return found
}

// wake brings a sleeping target to the size that the readings ask for, in one step.
func wake(d *Decision, o *ScaledObject, inFlightBefore bool, now time.Time) {
	switch {
	case o.Pause.ScaleOut:
		d.Reason = ScaledObjectPaused
		return
	case d.Memory.InFlightOnly && !inFlightBefore && !o.ForceActivation:
		// SQS counts are approximate, and nobody is here to work on a message: one such count is no
		// reason to start pods (KEDA #7845). The next look decides.
		d.Reason = ScalerNotActive
		return
	}
	d.To, d.Reason = clamp(d.Proposal, d.Min, d.Max)
	if d.Reason == DesiredWithinRange {
		d.Reason = ScalerActive
	}
	if o.ScaleUp != nil {
		limitGrowth(d, o, d.Min, now)
	}
	if d.Proposal >= 0 {
		d.Memory.recommend(d.Proposal, now, o.DownWindow(), o.upWindow())
	}
}

// rest keeps a sleeping target asleep, or lifts it to a minReplicaCount that was raised.
func rest(d *Decision, o *ScaledObject, failed int) {
	switch {
	case failed > 0:
		d.Reason = FailedGetExternalMetric
	case o.IdleReplicaCount == nil && o.Floor() > d.From:
		d.To, d.Reason = o.Floor(), TooFewReplicas
	default:
		d.Reason = ScalerNotActive
	}
}

// cooledDown says whether the step to zero or idle may be taken: cooldownPeriod after the last active
// look, or, for a target never seen active, after its memory began (KEDA: strictly more than).
func cooledDown(d *Decision, o *ScaledObject, now time.Time) bool {
	since, period := d.Memory.LastActive, o.CooldownPeriod
	if since.Before(d.Memory.Since) {
		since, period = d.Memory.Since, max(o.CooldownPeriod, o.InitialCooldownPeriod)
	}
	if now.Sub(since) > period {
		return true
	}
	d.heldUntil = since.Add(period)
	return false
}

// resize is the HPA's part: from a size above zero to another one.
func resize(d *Decision, o *ScaledObject, failed int, now time.Time) {
	spec := d.From
	cooldownEnd := d.heldUntil
	switch {
	case d.Proposal < 0 || failed > 0 && d.Proposal < spec:
		// The HPA draws the same line: growing on partial readings is fine, shrinking is not.
		d.To, _ = clamp(spec, d.Min, d.Max)
		d.Reason = FailedGetExternalMetric
		return
	case spec > d.Max: // as the HPA: no window, no policies
		d.To, d.Reason = d.Max, TooManyReplicas
		d.Memory.recommend(d.Proposal, now, o.DownWindow(), o.upWindow())
		return
	}

	down := d.Memory.highest(d.Proposal, now, o.DownWindow())
	up := d.Memory.lowest(d.Proposal, now, o.upWindow())
	stabilized := spec
	stabilized = max(stabilized, up)
	stabilized = min(stabilized, down)
	hold := stabilized
	if settled := d.Memory.Since.Add(max(o.DownWindow(), o.ScaleDown.longestPeriod())); now.Before(settled) {
		hold = max(stabilized, spec) // nothing is known of the time before this memory
		d.heldUntil = settled
	} else if stabilized > d.Proposal {
		d.heldUntil = d.Memory.lastAbove(stabilized - 1).Add(o.DownWindow())
	}
	d.Memory.recommend(d.Proposal, now, o.DownWindow(), o.upWindow())

	d.To, d.Reason = clamp(hold, d.Min, d.Max)
	switch {
	case d.To > spec:
		if hold < d.Proposal {
			d.Reason = ScaleUpStabilized
		}
		if o.ScaleUp != nil {
			limitGrowth(d, o, max(spec, d.Min), now) // what is below min is lifted there first
		}
		if o.Pause.ScaleOut && spec >= d.Min {
			d.To, d.Reason = spec, ScaledObjectPaused
		}
	case d.To < spec:
		if o.ScaleDown != nil {
			limitShrinking(d, o, spec, now)
		}
		if o.Pause.ScaleIn {
			d.To, d.Reason = spec, ScaledObjectPaused
		}
	case hold > d.Proposal && hold > d.Min:
		d.Reason = ScaleDownStabilized
	case d.Proposal < d.Min:
		d.Reason = TooFewReplicas
	case hold < d.Proposal && hold < d.Max:
		d.Reason = ScaleUpStabilized
	}
	if !cooldownEnd.IsZero() && d.To == d.Min {
		d.Reason, d.heldUntil = ScalerCooldown, cooldownEnd
	}
}

// lastAbove is when a recommendation above n was made last.
func (m *Memory) lastAbove(n int32) time.Time {
	var last time.Time
	if m.Latest.Replicas > n {
		last = m.Latest.At
	}
	for _, r := range m.Higher {
		if r.Replicas > n && r.At.After(last) {
			last = r.At
		}
	}
	return last
}

func clamp(n, low, high int32) (int32, Reason) {
	switch {
	case n > high:
		return high, TooManyReplicas
	case n < low:
		return low, TooFewReplicas
	}
	return n, DesiredWithinRange
}
