package scaling

import "time"

// hpaPeriod is how often the HPA looks: kube-controller-manager's --horizontal-pod-autoscaler-sync-period, fixed on EKS.
const hpaPeriod = 15 * time.Second

// follow is policy keda: the two loops, KEDA's and the HPA's, each when it is due, on the same readings.
func (d *Decision) follow(o *ScaledObject, seen *Observed, now time.Time) {
	m := &d.Memory
	d.Reason = NotDue
	if m.LastPoll.IsZero() || now.Sub(m.LastPoll) >= o.PollingInterval {
		m.LastPoll = now
		if o.Fallback != nil {
			m.countFailures(seen.Readings, now, 0)
		}
		d.poll(o, seen, now)
	}
	if m.LastSync.IsZero() || now.Sub(m.LastSync) >= hpaPeriod {
		d.sync(o, seen, now)
		m.LastSync = now
	}
	d.Active = m.Active
	d.Next = m.LastPoll.Add(o.PollingInterval)
	if next := m.LastSync.Add(hpaPeriod); d.To > 0 && next.Before(d.Next) {
		d.Next = next
	}
}

// poll is one run of KEDA's loop: between zero (or idle) and the size the HPA starts from
// (pkg/scaling/executor/scale_scaledobjects.go RequestScale, v2.20).
func (d *Decision) poll(o *ScaledObject, seen *Observed, now time.Time) {
	m := &d.Memory
	s := o.assess(seen, d.To, m)
	d.Proposal, d.Fallback, d.Composite = s.proposal, s.fallback, s.composite
	m.Active = s.active || o.ForceActivation
	minimum := int32(0)
	if o.MinReplicaCount != nil {
		minimum = *o.MinReplicaCount
	}
	idle := o.IdleReplicaCount != nil
	failed := s.failed > 0

	switch {
	case m.Active && (idle && d.To < minimum || d.To == 0):
		if o.Pause.ScaleOut {
			d.Reason = ScaledObjectPaused // and lastActive stays as it was
			return
		}
		d.To, d.Reason, m.LastActive = d.Min, ScalerActive, now // maxReplicaCount is not asked
	case m.Active && failed:
		d.Reason = PartialTriggerError // here too
	case m.Active:
		d.Reason, m.LastActive = ScalerActive, now
	case failed && (o.Fallback == nil || o.Fallback.Replicas != 0):
		d.Reason = TriggerError
	case idle && d.To > *o.IdleReplicaCount, d.To > 0 && minimum == 0:
		d.retire(o, now)
	case !idle && d.To < minimum:
		d.To, d.Reason = minimum, TooFewReplicas // paused-scale-out does not hold this back
	default:
		d.Reason = ScalerNotActive
	}
}

// retire takes an inactive target to zero or idle, in one step from any size, when it has cooled down.
func (d *Decision) retire(o *ScaledObject, now time.Time) {
	switch {
	case o.Pause.ScaleIn:
		d.Reason = ScaledObjectPaused
	case d.cooledDown(o, now):
		d.To, d.Reason = o.Floor(), ScalerNotActive
	default:
		d.Reason = ScalerCooldown
	}
}

// cooledDown says whether the step to zero or idle may be taken: cooldownPeriod after the last active
// look, or, for a target never seen active, after its memory began (KEDA: strictly more than). Of a
// target whose beginning is known KEDA asks initialCooldownPeriod alone.
func (d *Decision) cooledDown(o *ScaledObject, now time.Time) bool {
	m := &d.Memory
	since, period := m.LastActive, o.CooldownPeriod
	switch born := !m.Created.IsZero(); {
	case born && since.IsZero():
		since, period = m.Created, o.InitialCooldownPeriod
	case !born && since.Before(m.Since):
		since, period = m.Since, max(o.CooldownPeriod, o.InitialCooldownPeriod)
	}
	if now.Sub(since) > period {
		return true
	}
	d.heldUntil = since.Add(period)
	return false
}
