package hpa

import (
	"fmt"

	"github.com/leda-autoscaler/leda/scaling"
)

// answer is what the real code makes of one look, with the reason that Leda should give for it.
type answer struct {
	replicas int32
	reason   scaling.Reason
	told     string
}

// reason is the one of the HPA's reasons that Leda gives, for a sync that found so many replicas.
//
// A size that is outside the limits is brought within them without another word. Else the HPA gives a reason in each of
// two conditions: in ScalingLimited the limit that was met, in AbleToScale the window that made something
// else of the proposal. Leda gives the limit where one stands between the proposal and the size, else the window.
// Where the size changed, AbleToScale says that and no more, but then the sizes tell what the window did.
func (o Outcome) reason(found int32, s Spec) scaling.Reason {
	limit := scaling.Reason(o.ScalingLimited)
	switch upper := limit == scaling.TooManyReplicas || limit == scaling.ScaleUpLimit; {
	case found > s.Max:
		return scaling.TooManyReplicas
	case found > 0 && found < s.Min:
		return scaling.TooFewReplicas
	case o.ScalingActive != "ValidMetricFound":
		return scaling.Reason(o.ScalingActive)
	case limit != scaling.DesiredWithinRange && (!upper || o.Proposal > o.Replicas):
		return limit
	case o.AbleToScale == "ReadyForNewScale", o.AbleToScale == "SucceededRescale" && o.Replicas == o.Proposal && !upper:
		return scaling.DesiredWithinRange
	case o.AbleToScale != "SucceededRescale":
		return scaling.Reason(o.AbleToScale)
	case o.Replicas < o.Proposal:
		return scaling.ScaleUpStabilized
	}
	return scaling.ScaleDownStabilized
}

// loops is what KEDA's loop and the HPA's did at one look, where they were due.
type loops struct {
	from   int32 // the size that KEDA's found
	synced int32 // the size that the HPA's found
	keda   *Verdict
	hpa    *Outcome
}

// reason is that of the loop that set the size, of the HPA's last. Where neither set one, it is the HPA's, unless there is
// nothing that it could do: at zero, and at min while KEDA's cools down.
func (l loops) reason(n scenario, s Spec) scaling.Reason {
	if l.keda == nil && l.hpa == nil {
		return scaling.NotDue
	}
	if l.keda == nil {
		return l.pausedOr(l.hpa.reason(l.synced, s), n)
	}
	polled := l.keda.reason(l.from, n)
	switch {
	case l.hpa == nil, l.synced == 0:
		return polled
	case l.hpa.Replicas == l.synced && (l.synced != l.from || polled == scaling.ScalerCooldown && l.synced == s.Min):
		return polled
	}
	return l.pausedOr(l.hpa.reason(l.synced, s), n)
}

// pausedOr is the annotation's reason where KEDA's way to pause one direction is what limits: a disabled policy.
func (l loops) pausedOr(r scaling.Reason, n scenario) scaling.Reason {
	if n.pauses(outwards) && r == scaling.ScaleUpLimit || n.pauses(inwards) && r == scaling.ScaleDownLimit {
		return scaling.ScaledObjectPaused
	}
	return r
}

// reason is the one of KEDA's reasons that Leda gives, for a run that found so many replicas. KEDA only logs some of what
// it does: that an annotation held it, that it waits for a fallback, and that it repaired a size below min.
func (v Verdict) reason(found int32, n scenario) scaling.Reason {
	active, low, idle := scaling.Reason(v.Active), int32(0), n.Idle != nil
	if n.Min != nil {
		low = *n.Min
	}
	switch {
	case v.Ready == "TriggerError", v.Ready == "PartialTriggerError":
		return scaling.Reason(v.Ready)
	case active == scaling.ScalerNotActive && v.Failed && n.Fallback != nil && n.Fallback.Replicas != 0:
		return scaling.TriggerError
	case active == scaling.ScalerActive && n.pauses(outwards) && (found == 0 || idle && found < low):
		return scaling.ScaledObjectPaused
	case active == scaling.ScalerNotActive && n.pauses(inwards) && (idle && found > *n.Idle || !idle && found > 0 && low == 0):
		return scaling.ScaledObjectPaused
	case active == scaling.ScalerNotActive && v.Replicas > found:
		return scaling.TooFewReplicas
	}
	return active
}

func (l loops) String() string {
	told := ""
	if l.keda != nil {
		told += fmt.Sprintf("KEDA %+v ", *l.keda)
	}
	if l.hpa != nil {
		told += fmt.Sprintf("HPA %+v", *l.hpa)
	}
	return told
}
