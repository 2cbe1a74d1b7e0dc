package scaling

import "time"

// Decide is the whole policy: each reading proposes a size, the largest proposal is taken and held within
// the limits, and then cooldown, stabilization, scaling policies and failed readings may say "not yet".
//
// It is a pure function: the clock is an argument, and seen is not changed.
func Decide(o *ScaledObject, seen Observed, now time.Time) Decision {
	d := Decision{
		At: now, From: seen.Replicas, To: seen.Replicas, Proposal: -1, Fallback: -1,
		Min: o.Min(), Max: o.MaxReplicaCount, Readings: seen.Readings, Memory: seen.Memory,
	}
	d.up, d.down = o.rules()
	d.begin(o)
	switch {
	case o.Pause.Paused || o.Pause.Replicas != nil:
		d.pause(o)
	case o.Policy == PolicyKEDA:
		d.follow(o, &seen, now)
	default:
		d.direct(o, &seen, now)
	}
	if d.resized < 0 {
		d.Memory.ScaleDowns = recordEvent(d.Memory.ScaleDowns, ScaleEvent{-d.resized, now}, d.down.longestPeriod())
	}
	return d
}

// begin makes the memory ready for use.
func (d *Decision) begin(o *ScaledObject) {
	m := &d.Memory
	switch {
	case !m.Known():
		// Nothing is known of the time before now. The size there is counts as recommended now, as in a
		// fresh HPA, so that losing memory delays shrinking.
		*m = Memory{Since: d.At, Latest: Recommendation{d.From, d.At}}
	case m.Paused && !o.Pause.Paused && o.Pause.Replicas == nil:
		// KEDA deletes the HPA for a pause and makes a new one after it, which knows only the size that it finds;
		// what KEDA itself counts stays. In policy keda the HPA's first sync remembers that size.
		*m = Memory{Since: m.Since, Created: m.Created, LastActive: m.LastActive, Failures: m.Failures}
		if o.Policy != PolicyKEDA {
			m.Latest = Recommendation{d.From, d.At}
		}
	}
}

// pause leaves the size alone, or sets the one that paused-replicas names. KEDA sets it once, so that
// someone else may change it afterwards; policy direct keeps it.
func (d *Decision) pause(o *ScaledObject) {
	m := &d.Memory
	d.Reason = ScaledObjectPaused
	set := int32(-1)
	if n := o.Pause.Replicas; n != nil {
		if set = *n; o.Policy != PolicyKEDA || !m.Paused || m.PausedReplicas != set {
			d.To = set
		}
	}
	m.Paused, m.PausedReplicas = true, set
}

// direct is policy direct: every look decides, straight to the size that the readings ask for.
func (d *Decision) direct(o *ScaledObject, seen *Observed, now time.Time) {
	m := &d.Memory
	if o.Fallback != nil {
		m.countFailures(seen.Readings, now, o.PollingInterval)
	}
	s := o.assess(seen, d.From, m)
	d.Proposal, d.Fallback, d.Composite, d.Active = s.proposal, s.fallback, s.composite, s.active || o.ForceActivation
	failed := s.failed > 0 || s.blocked
	inFlightBefore := m.InFlightOnly
	m.InFlightOnly = !failed && inFlightOnly(seen.Readings, o.Modifiers != nil)
	if d.Active {
		m.LastActive = now
	}

	switch asleep := seen.Replicas == 0 || o.IdleReplicaCount != nil && seen.Replicas <= *o.IdleReplicaCount; {
	case asleep && d.Active:
		d.wake(o, inFlightBefore, now)
	case asleep:
		d.rest(o, failed)
	case !d.Active && !failed && o.Floor() < o.Min() && d.cooledDown(o, now):
		d.To, d.Reason = min(o.Floor(), seen.Replicas), ScalerNotActive
		if o.Pause.ScaleIn {
			d.To, d.Reason = seen.Replicas, ScaledObjectPaused
		}
	default:
		cooldownEnd := d.heldUntil
		d.size(o, d.From, failed, now)
		if !cooldownEnd.IsZero() && d.To == d.Min {
			d.Reason, d.heldUntil = ScalerCooldown, cooldownEnd
		}
	}
	d.resized = d.To - d.From
}

// inFlightOnly says whether messages in flight are all that makes the target active. With a formula
// that is any value at all.
func inFlightOnly(readings []Reading, formula bool) bool {
	found := false
	for i := range readings {
		r := &readings[i]
		active := r.Active || formula && r.Value > 0
		if active && !r.InFlightOnly {
			return false
		}
		found = found || active
	}
	return found
}

// wake brings a sleeping target to the size that the readings ask for, in one step.
func (d *Decision) wake(o *ScaledObject, inFlightBefore bool, now time.Time) {
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
	if d.up != nil {
		d.limitGrowth(d.up, o.Policy, d.Min, now)
	}
	if d.Proposal >= 0 {
		d.Memory.recommend(d.Proposal, now, d.downWindow(), d.upWindow())
	}
}

// rest keeps a sleeping target asleep, or lifts it to a minReplicaCount that was raised.
func (d *Decision) rest(o *ScaledObject, failed bool) {
	switch {
	case failed:
		d.Reason = FailedGetExternalMetric
	case o.IdleReplicaCount == nil && o.Floor() > d.From:
		d.To, d.Reason = o.Floor(), TooFewReplicas
	default:
		d.Reason = ScalerNotActive
	}
}
