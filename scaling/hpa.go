package scaling

import (
	"math"
	"strconv"
	"time"
)

// The HPA's tolerance where none is written (--horizontal-pod-autoscaler-tolerance, fixed on EKS). Policy
// direct uses 0 for AverageValue, so that 11 messages at 5 a replica are 3 replicas from 2 as well as from 1.
const hpaTolerance = 0.1

func (o *ScaledObject) tolerance(rules *ScalingRules, metricType MetricType) float64 {
	switch {
	case rules != nil && rules.Tolerance != nil:
		return *rules.Tolerance
	case o.Policy != PolicyKEDA && metricType != Value:
		return 0
	}
	return hpaTolerance
}

// propose is the size that one metric asks for: GetExternalPerPodMetricReplicas and GetExternalMetricReplicas
// of the HPA's replica_calculator.go (Kubernetes 1.37). usage and target are in whole thousandths. ok is false
// where the HPA finds no pods.
func (o *ScaledObject) propose(metricType MetricType, usage, target float64, spec int32, seen *Observed, up, down *ScalingRules) (size int32, ok bool) {
	low, high := 1-o.tolerance(down, metricType), 1+o.tolerance(up, metricType)
	if metricType != Value {
		ratio := usage / (target * float64(seen.Current)) // NaN or infinite without pods, which is never within
		if low <= ratio && ratio <= high {
			return seen.Current, true
		}
		return ceil(usage / target), true
	}
	ratio := usage / target
	switch {
	case spec == 0:
		return ceil(ratio), true
	case low <= ratio && ratio <= high:
		return spec, true
	case seen.Current == 0:
		return 0, false
	}
	return ceil(ratio * float64(seen.Ready)), true
}

// ceil is the HPA's rounding; a size below 0 counts as 0.
func ceil(v float64) int32 {
	return int32(max(0, min(math.MaxInt32, math.Ceil(v))))
}

// milli is a value in whole thousandths as the HPA gets it: KEDA prints three decimals, and counts
// what is negative or no number as 0 (pkg/scalers/scaler.go quantityFromFloat64, v2.20).
func milli(v float64) float64 {
	switch {
	case !(v > 0) || math.IsInf(v, 0):
		return 0
	case v > maxTarget:
		return math.MaxInt64
	case v == math.Trunc(v):
		return v * 1000
	}
	// Only printing rounds as printing does: 1.0005 is a little less than it says, and 1.000.
	var digits [32]byte
	var n int64
	for _, digit := range strconv.AppendFloat(digits[:0], v, 'f', 3, 64) {
		if digit != '.' {
			n = n*10 + int64(digit-'0')
		}
	}
	return float64(n)
}

// sync is one run of the HPA (horizontal.go reconcileAutoscaler, Kubernetes 1.37), from the size that
// KEDA's loop has left.
func (d *Decision) sync(o *ScaledObject, seen *Observed, now time.Time) {
	m, spec := &d.Memory, d.To
	if m.LastSync.IsZero() {
		m.recommend(spec, now, d.downWindow(), d.upWindow())
	}
	polled := d.Reason
	cooldownEnd := d.heldUntil
	switch {
	case spec == 0:
		if polled == NotDue {
			d.Reason = ScalingDisabled
		}
		return
	case spec > d.Max: // without metrics, windows or policies
		d.To, d.Reason = d.Max, TooManyReplicas
	case spec < d.Min:
		d.To, d.Reason = d.Min, TooFewReplicas
	default:
		s := o.assess(seen, spec, m)
		d.Proposal, d.Fallback, d.Composite = s.proposal, s.fallback, s.composite
		d.size(o, spec, s.blocked || s.failed > 0 && s.composite == nil, now)
	}
	d.resized = d.To - spec
	switch {
	case d.resized != 0:
	case spec != d.From: // what was done is KEDA's
		d.Reason = polled
	case polled == ScalerCooldown && d.To == d.Min:
		d.Reason, d.heldUntil = polled, cooldownEnd
	}
}

// size is the HPA's way from a size above zero to another one: the largest proposal, held by
// windows (horizontal.go stabilizeRecommendation…, Kubernetes 1.37) and by scaling policies.
func (d *Decision) size(o *ScaledObject, spec int32, failed bool, now time.Time) {
	m, p := &d.Memory, d.Proposal
	if p < 0 || failed && p < spec {
		// The HPA draws the same line: growing on partial readings is fine, shrinking is not.
		d.To, _ = clamp(spec, d.Min, d.Max)
		d.Reason = FailedGetExternalMetric
		return
	}
	above := spec > d.Max
	spec = min(spec, d.Max) // neither windows nor policies hold what is above it

	up, down, downWindow, upWindow := d.up, d.down, d.downWindow(), d.upWindow()
	doubling := o.Policy == PolicyKEDA && up == nil // the HPA's way without a behavior
	high, low := m.highest(p, now, downWindow), m.lowest(p, now, upWindow)
	hold := high // which pulls up as well
	if !doubling {
		hold = min(max(spec, low), high)
	}
	if hold > p { // of what is above maxReplicaCount only the part that counts
		d.heldUntil = m.lastAbove(min(hold, d.Max) - 1).Add(downWindow)
	}
	if settled := m.Since.Add(max(downWindow, down.longestPeriod())); m.Created.IsZero() && now.Before(settled) && hold <= spec {
		hold = spec // nothing is known of the time before this memory
		if settled.After(d.heldUntil) {
			d.heldUntil = settled
		}
	}
	m.recommend(p, now, downWindow, upWindow)

	d.To, d.Reason = clamp(hold, d.Min, d.Max)
	switch grows, shrinks := d.To > spec, d.To < spec; {
	case grows && o.Pause.ScaleOut:
		d.To, d.Reason = max(spec, d.Min), ScaledObjectPaused
	case grows && doubling:
		d.limitDoubling(spec)
	case grows && up != nil:
		d.limitGrowth(up, o.Policy, max(spec, d.Min), now) // what is below min is lifted there first
	case shrinks && o.Pause.ScaleIn:
		d.To, d.Reason = spec, ScaledObjectPaused
	case shrinks && down != nil:
		d.limitShrinking(down, spec, now)
	}
	switch {
	case above && d.To == spec:
		d.Reason = TooManyReplicas
	case d.Reason == DesiredWithinRange || hold > p && p <= d.To && d.To < hold:
		d.Reason = stabilized(p, hold)
	}
}

// stabilized is the reason of a size that no limit stands in the way of, or only one that the
// proposal itself would not have met: the window, if it made something else of the proposal.
func stabilized(proposal, hold int32) Reason {
	switch {
	case hold > proposal:
		return ScaleDownStabilized
	case hold < proposal:
		return ScaleUpStabilized
	}
	return DesiredWithinRange
}

func (d *Decision) downWindow() time.Duration { return windowOf(d.down, stabilizationWindow) }

func (d *Decision) upWindow() time.Duration { return windowOf(d.up, 0) }

func clamp(n, low, high int32) (int32, Reason) {
	switch {
	case n > high:
		return high, TooManyReplicas
	case n < low:
		return low, TooFewReplicas
	}
	return n, DesiredWithinRange
}
