package scaling

import (
	"math"
	"slices"
	"time"
)

// A Failure is how often in a row a trigger could not be read.
type Failure struct {
	Trigger string    `json:"trigger"`
	Count   int32     `json:"count"`
	At      time.Time `json:"at"` // when it was counted last
}

// countFailures counts each failed reading, at most once within spacing, and forgets the triggers that were
// read. Both of Leda's loops share one reading, and so one count, where KEDA counts in either.
func (m *Memory) countFailures(readings []Reading, now time.Time, spacing time.Duration) {
	for i := range readings {
		r := &readings[i]
		at := slices.IndexFunc(m.Failures, func(f Failure) bool { return f.Trigger == r.Trigger })
		switch {
		case r.Err == nil && at < 0:
		case r.Err == nil:
			m.Failures = slices.Delete(slices.Clone(m.Failures), at, at+1)
		case at < 0:
			m.Failures = append(slices.Clip(m.Failures), Failure{r.Trigger, 1, now})
		case now.Sub(m.Failures[at].At) >= spacing:
			m.Failures = slices.Clone(m.Failures)
			m.Failures[at].Count += min(1, math.MaxInt32-m.Failures[at].Count)
			m.Failures[at].At = now
		}
	}
}

// fellBack says whether the fallback is in force for a trigger: after more failures than its threshold.
func (o *ScaledObject) fellBack(trigger string, m *Memory) bool {
	if o.Fallback == nil || o.Fallback.Void {
		return false
	}
	for _, f := range m.Failures {
		if f.Trigger == trigger {
			return f.Count > o.Fallback.FailureThreshold
		}
	}
	return false
}

// standIn is the size that the fallback gives for a trigger that failed (pkg/fallback/fallback.go
// doFallback, v2.20); ok is false while it is not in force. In policy direct it is never 0.
func (o *ScaledObject) standIn(trigger string, metricType MetricType, spec int32, seen *Observed, m *Memory) (size float64, ok bool) {
	if !o.fellBack(trigger, m) {
		return 0, false
	}
	n := o.Fallback.Replicas
	switch o.Fallback.Behavior {
	case FallbackCurrent:
		n = spec
	case FallbackCurrentIfHigher:
		n = max(n, spec)
	case FallbackCurrentIfLower:
		n = min(n, spec)
	}
	if o.Policy != PolicyKEDA {
		return float64(max(1, n)), true
	}
	return float64(n), metricType != Value || seen.Ready > 0
}

// normalized is the value, in thousandths, that makes the HPA come to size.
func (o *ScaledObject) normalized(target float64, metricType MetricType, size float64, seen *Observed) float64 {
	if metricType == Value {
		size /= float64(seen.Ready)
	}
	return min(asQuantity(target)*1000*size, math.MaxInt64)
}
