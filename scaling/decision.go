package scaling

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Reading is what one trigger said at one look.
type Reading struct {
	Trigger    string     // the trigger's ID
	Value      float64    // in the trigger's own unit: messages for aws-sqs-queue
	Target     float64    // what the value is compared with
	MetricType MetricType // how; the zero value is AverageValue
	Active     bool       // the value is above the activation value
	Err        error      // the reading failed; Value means nothing then, and is never taken for 0

	// InFlightOnly says that the value counts messages that are being worked on and no other.
	InFlightOnly bool
}

// Observed is everything that Decide may know about the world.
type Observed struct {
	Replicas int32     // spec.replicas: the size that was asked for
	Current  int32     // status.replicas: the pods there are
	Ready    int32     // those of them that are running and ready; asked for metricType Value only
	Readings []Reading // one for each trigger, failed ones included
	Memory   Memory    // what the last Decision asked to remember; the zero value when nothing is known
}

// Reason is why a decision came out as it did, in the words of the HPA's conditions and of KEDA. Of the HPA's it is
// ScalingLimited's where a limit stands between what the readings ask for and the size, else AbleToScale's
// where a window made something else of it.
type Reason string

// The HPA's reasons (pkg/controller/podautoscaler/horizontal.go, Kubernetes 1.37).
const (
	DesiredWithinRange      Reason = "DesiredWithinRange"      // the size that the readings ask for
	TooFewReplicas          Reason = "TooFewReplicas"          // they ask for less than minReplicaCount
	TooManyReplicas         Reason = "TooManyReplicas"         // they ask for more than maxReplicaCount
	ScaleUpStabilized       Reason = "ScaleUpStabilized"       // scaleUp's window holds growth back, all or some of it
	ScaleDownStabilized     Reason = "ScaleDownStabilized"     // a higher recommendation within the window holds shrinking back
	ScaleUpLimit            Reason = "ScaleUpLimit"            // scaleUp's policies allow less growth
	ScaleDownLimit          Reason = "ScaleDownLimit"          // scaleDown's policies allow less shrinking
	FailedGetExternalMetric Reason = "FailedGetExternalMetric" // a reading failed, so nothing shrinks
	ScalingDisabled         Reason = "ScalingDisabled"         // policy keda: the HPA leaves size 0 alone
)

// KEDA's reasons (pkg/scaling/executor and its conditions, v2.20).
const (
	ScalerActive        Reason = "ScalerActive"        // woken from zero or idle; policy keda: active
	ScalerNotActive     Reason = "ScalerNotActive"     // inactive, and at or going to zero or idle
	ScalerCooldown      Reason = "ScalerCooldown"      // inactive, and cooldownPeriod has not passed
	ScaledObjectPaused  Reason = "ScaledObjectPaused"  // an annotation says so
	TriggerError        Reason = "TriggerError"        // policy keda: a reading failed and none is active
	PartialTriggerError Reason = "PartialTriggerError" // policy keda: a reading failed and another is active
)

// NotDue is Leda's word for a look of policy keda between the turns of both its loops.
const NotDue Reason = "NotDue"

// A Decision says what to do, why, and what it rests on.
type Decision struct {
	At       time.Time
	From, To int32
	Reason   Reason
	Proposal int32 // the largest size that a reading asked for; -1 when none could be read
	Fallback int32 // the size that a fallback stood in with; -1 when none did
	Active   bool  // a trigger is active
	Min, Max int32
	Readings []Reading

	Composite *Composite // what scalingModifiers made of the readings; nil without

	// Next is when policy keda has something to do again; zero in policy direct, which decides at any look.
	Next time.Time

	// Memory is to be stored before To is written.
	Memory Memory

	resized   int32         // by how much the HPA's part changed the size, KEDA's steps apart
	up, down  *ScalingRules // the ones that the policy follows
	heldUntil time.Time     // when what holds shrinking back ends, if the reason is a hold
}

// Changed says whether the size is to change.
func (d Decision) Changed() bool { return d.From != d.To }

// Shrinks says whether the size is to go down.
func (d Decision) Shrinks() bool { return d.To < d.From }

// MemoryAfter is what to remember once To has been written. Growth is counted only then: a growth that
// did not happen would later permit a deeper step down.
func (d Decision) MemoryAfter() Memory {
	m := d.Memory
	if d.resized > 0 {
		m.ScaleUps = recordEvent(m.ScaleUps, ScaleEvent{d.resized, d.At}, d.up.longestPeriod())
	}
	return m
}

// Record is a decision as it is logged and reported: everything it was made from.
type Record struct {
	From     int32           `json:"from"`
	To       int32           `json:"to"`
	Reason   Reason          `json:"reason"`
	Why      string          `json:"why"` // the arithmetic, as a person would write it
	Active   bool            `json:"active"`
	Readings []RecordReading `json:"readings"`
}

// RecordReading is a reading as it is logged and reported: a value with its target, or an error.
type RecordReading struct {
	Trigger string   `json:"trigger"`
	Value   *float64 `json:"value,omitempty"`
	Target  *float64 `json:"target,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// Record returns what there is to say of the decision.
func (d Decision) Record() Record {
	readings := make([]RecordReading, len(d.Readings))
	for i, r := range d.Readings {
		readings[i] = RecordReading{Trigger: r.Trigger}
		if r.Err != nil {
			readings[i].Error = r.Err.Error()
			continue
		}
		readings[i].Value, readings[i].Target = &r.Value, &r.Target
	}
	return Record{d.From, d.To, d.Reason, d.why(), d.Active, readings}
}

// LogValue makes the record a group of log attributes.
func (r Record) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("from", int(r.From)),
		slog.Int("to", int(r.To)),
		slog.String("reason", string(r.Reason)),
		slog.String("why", r.Why),
		slog.Bool("active", r.Active),
		slog.Any("readings", r.Readings),
	)
}

// why is the arithmetic of the decision.
func (d Decision) why() string {
	var parts []string
	largest := int32(-1) // size that a quotient alone would ask for
	for _, r := range d.Readings {
		if r.Err != nil {
			parts = append(parts, r.Trigger+" could not be read")
			continue
		}
		quotient := r.Value / r.Target
		share := "a replica"
		if r.MetricType == Value {
			share = "in all"
		}
		if d.Composite != nil || r.Target == 0 {
			parts = append(parts, r.Trigger+": "+number(r.Value))
			continue
		}
		part := fmt.Sprintf("%s: %s / %s %s = %s", r.Trigger, number(r.Value), number(r.Target), share, number(quotient))
		if r.MetricType == Value {
			largest = math.MaxInt32 // its size depends on the pods that are ready
			parts = append(parts, part)
			continue
		}
		ceiling := ceil(quotient)
		if float64(ceiling) != quotient {
			part += " → " + strconv.Itoa(int(ceiling))
		}
		largest = max(largest, ceiling)
		parts = append(parts, part)
	}
	if d.Proposal >= 0 && largest >= 0 && largest < math.MaxInt32 && d.Proposal != largest && d.Fallback < 0 {
		parts = append(parts, fmt.Sprintf("%d is within the tolerance", d.Proposal))
	}
	if c := d.Composite; c != nil {
		parts = append(parts, fmt.Sprintf("formula: %s / %s a replica", number(c.Value), number(c.Target)))
	}
	if d.Fallback >= 0 {
		parts = append(parts, fmt.Sprintf("fallback: %d", d.Fallback))
	}
	return strings.Join(append(parts, d.verdict()), "; ")
}

// verdict says what became of the proposal.
func (d Decision) verdict() string {
	switch d.Reason {
	case DesiredWithinRange:
		return fmt.Sprintf("within %d…%d: %s", d.Min, d.Max, d.step())
	case TooFewReplicas:
		return fmt.Sprintf("minReplicaCount is %d: %s", d.Min, d.step())
	case TooManyReplicas:
		return fmt.Sprintf("maxReplicaCount is %d: %s", d.Max, d.step())
	case ScaleUpStabilized:
		return fmt.Sprintf("a lower recommendation within the scale-up window: %s", d.step())
	case ScaleDownStabilized:
		return fmt.Sprintf("held by a higher recommendation within the scale-down window%s: %s", d.until(), d.step())
	case ScaleUpLimit:
		return fmt.Sprintf("scaleUp policies allow no more: %s", d.step())
	case ScaleDownLimit:
		return fmt.Sprintf("scaleDown policies allow no more: %s", d.step())
	case FailedGetExternalMetric:
		return fmt.Sprintf("nothing shrinks on a failed reading: %s", d.step())
	case ScalerActive:
		if !d.Changed() {
			return fmt.Sprintf("active: %s", d.step())
		}
		return fmt.Sprintf("woken, within %d…%d: %s", d.Min, d.Max, d.step())
	case ScalerNotActive:
		return fmt.Sprintf("not active: %s", d.step())
	case ScalerCooldown:
		return fmt.Sprintf("not active, cooldownPeriod not over%s: %s", d.until(), d.step())
	case ScalingDisabled:
		return fmt.Sprintf("the HPA leaves 0 alone: %s", d.step())
	case TriggerError:
		return fmt.Sprintf("not active, but a reading failed: %s", d.step())
	case PartialTriggerError:
		return fmt.Sprintf("active, but another reading failed: %s", d.step())
	case NotDue:
		return fmt.Sprintf("neither KEDA's poll nor the HPA's sync is due: %s", d.step())
	case ScaledObjectPaused:
		return fmt.Sprintf("paused by annotation: %s", d.step())
	}
	return d.step()
}

func (d Decision) step() string {
	if d.Changed() {
		return fmt.Sprintf("%d → %d", d.From, d.To)
	}
	return fmt.Sprintf("stays %d", d.To)
}

func (d Decision) until() string {
	if d.heldUntil.IsZero() {
		return ""
	}
	return " until " + d.heldUntil.UTC().Format(time.TimeOnly)
}

// number prints a value with as many decimals as it needs, at most three.
func number(v float64) string {
	s := strconv.FormatFloat(v, 'f', 3, 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}
