package scaling

import (
	"math"
	"time"
)

// limitDoubling holds d.To to what the HPA allows without a behavior in one look: twice the size, or 4
// (horizontal.go calculateScaleUpLimit, Kubernetes 1.37).
func (d *Decision) limitDoubling(spec int32) {
	if limit := max(2*int64(spec), 4); int64(d.To) > limit {
		d.To, d.Reason = int32(limit), ScaleUpLimit
	}
}

// limitGrowth holds d.To to what scaleUp's policies allow from start
// (horizontal.go calculateScaleUpLimitWithScalingRules, Kubernetes 1.37).
func (d *Decision) limitGrowth(rules *ScalingRules, policy Policy, start int32, now time.Time) {
	limit := start
	if rules.Select != SelectDisabled {
		least := rules.Select == SelectMin
		for i, p := range rules.Policies {
			at := d.Memory.sizeBefore(start, now, p.Period)
			proposed := at + float64(p.Value)
			if p.Percent {
				proposed = math.Ceil(at * (1 + float64(p.Value)/100))
			}
			n := int32(min(proposed, math.MaxInt32))
			if policy == PolicyKEDA && !p.Percent {
				n = int32(at) + p.Value // wraps around as the HPA's sum does: 2147483647 pods are none
			}
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
func (d *Decision) limitShrinking(rules *ScalingRules, start int32, now time.Time) {
	limit := start
	if rules.Select != SelectDisabled {
		least := rules.Select == SelectMin
		for i, p := range rules.Policies {
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
