package scaling

import (
	"math"
	"time"
)

// limitGrowth holds d.To to what scaleUp's policies allow from start
// (horizontal.go calculateScaleUpLimitWithScalingRules, Kubernetes 1.37).
func limitGrowth(d *Decision, o *ScaledObject, start int32, now time.Time) {
	limit := start
	if o.ScaleUp.Select != SelectDisabled {
		least := o.ScaleUp.Select == SelectMin
		for i, p := range o.ScaleUp.Policies {
			at := d.Memory.sizeBefore(start, now, p.Period)
			proposed := at + float64(p.Value)
			if p.Percent {
				proposed = math.Ceil(at * (1 + float64(p.Value)/100))
			}
			n := int32(min(proposed, math.MaxInt32))
			if i == 0 || least == (n < limit) {
				limit = n
			}
		}
	}
	if limit = max(limit, start); d.To > limit {
		d.To, d.Reason = max(limit, d.From), ScaleUpLimit
	}
}

// limitShrinking holds d.To to what scaleDown's policies allow from start
// (horizontal.go calculateScaleDownLimitWithBehaviors, Kubernetes 1.37).
func limitShrinking(d *Decision, o *ScaledObject, start int32, now time.Time) {
	limit := start
	if o.ScaleDown.Select != SelectDisabled {
		least := o.ScaleDown.Select == SelectMin
		for i, p := range o.ScaleDown.Policies {
			at := d.Memory.sizeBefore(start, now, p.Period)
			proposed := at - float64(p.Value)
			if p.Percent {
				proposed = math.Trunc(at * (1 - float64(p.Value)/100))
			}
			n := int32(max(proposed, math.MinInt32))
			if i == 0 || least == (n > limit) {
				limit = n
			}
		}
	}
	if limit = min(limit, start); d.To < limit {
		d.To, d.Reason = limit, ScaleDownLimit
	}
}

// sizeBefore is the size at the start of a policy's period, by the changes made since.
func (m *Memory) sizeBefore(size int32, now time.Time, period time.Duration) float64 {
	return float64(size - changed(m.ScaleUps, now, period) + changed(m.ScaleDowns, now, period))
}
