package scaling

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Status is the status of a ScaledObject in a cluster, as KEDA writes it
// (apis/keda/v1alpha1/scaledobject_types.go ScaledObjectStatus, v2.20), without what only an HPA has.
type Status struct {
	ScaleTargetKind      string              `json:"scaleTargetKind,omitempty"` // apps/v1.Deployment
	ScaleTargetGVKR      *GVKR               `json:"scaleTargetGVKR,omitempty"`
	OriginalReplicaCount *int32              `json:"originalReplicaCount,omitempty"` // before the first look
	LastActiveTime       time.Time           `json:"lastActiveTime,omitzero"`
	ExternalMetricNames  []string            `json:"externalMetricNames,omitempty"`
	CompositeScalerName  string              `json:"compositeScalerName,omitempty"`
	Conditions           []Condition         `json:"conditions,omitempty"`
	Health               map[string]Health   `json:"health,omitempty"`           // by metric name; with a fallback
	TriggersActivity     map[string]IsActive `json:"triggersActivity,omitempty"` // by metric name
	PausedReplicaCount   *int32              `json:"pausedReplicaCount,omitempty"`
	TriggersTypes        string              `json:"triggersTypes,omitempty"`
	AuthenticationsTypes string              `json:"authenticationsTypes,omitempty"`
}

// GVKR names the workload's kind and its resource.
type GVKR struct {
	Group    string `json:"group"`
	Version  string `json:"version"`
	Kind     string `json:"kind"`
	Resource string `json:"resource"`
}

// Condition is one of a ScaledObject's.
type Condition struct {
	Type    string          `json:"type"`
	Status  ConditionStatus `json:"status"`
	Reason  string          `json:"reason,omitempty"`
	Message string          `json:"message,omitempty"`
}

// ConditionStatus is what a condition says.
type ConditionStatus string

// What a condition may say.
const (
	True    ConditionStatus = "True"
	False   ConditionStatus = "False"
	Unknown ConditionStatus = "Unknown"
)

// The types of conditions that KEDA's users know, in KEDA's order (condition_types.go, v2.20).
const (
	ConditionReady    = "Ready"
	ConditionActive   = "Active"
	ConditionFallback = "Fallback"
	ConditionPaused   = "Paused"
)

// Health is how often in a row a trigger could not be read.
type Health struct {
	NumberOfFailures int32  `json:"numberOfFailures"`
	Status           string `json:"status"` // Happy or Failing
}

// IsActive says whether a trigger is.
type IsActive struct {
	IsActive bool `json:"isActive"`
}

// KEDA's sentences (condition_types.go, scale_scaledobjects.go, scaledobject_controller.go and fallback.go, v2.20).
const (
	readyMessage    = "ScaledObject is defined correctly and is ready for scaling"
	pausedMessage   = "ScaledObject is paused"
	unpausedReason  = "ScaledObjectUnpaused"
	unpausedMessage = "pause annotation removed for ScaledObject"
	compositeMetric = "composite-metric"
)

// StatusOf is the status after a look that came to d. What is wrong with the ScaledObject is problems; then there was no
// look, and d is not asked. original is the workload's size before the first look, nil when it is not known.
func StatusOf(o *ScaledObject, d Decision, problems Problems, original *int32) Status {
	s := Status{OriginalReplicaCount: original, PausedReplicaCount: o.Pause.Replicas}
	if o.Target.Name != "" {
		group, version, resource := o.Target.Resource()
		s.ScaleTargetGVKR = &GVKR{group, version, o.Target.Kind, resource}
		s.ScaleTargetKind = group + "/" + version + "." + o.Target.Kind
	}
	var types, authentications []string
	for i := range o.Triggers {
		t := &o.Triggers[i]
		s.ExternalMetricNames = append(s.ExternalMetricNames, t.MetricName(i))
		types, authentications = addOnce(types, t.Type), addOnce(authentications, t.AuthenticationRef)
	}
	s.TriggersTypes, s.AuthenticationsTypes = strings.Join(types, ","), strings.Join(authentications, ",")
	if o.Modifiers != nil {
		s.CompositeScalerName = compositeMetric
	}
	if len(problems) > 0 {
		s.Conditions = []Condition{
			{ConditionReady, False, "ScaledObjectCheckFailed", "ScaledObject check failed: " + problems.sentence()},
			{ConditionActive, Unknown, "UnknownState", "ScaledObject check failed"},
			fallbackCondition(false),
			o.pausedCondition(),
		}
		return s
	}
	s.readings(o, d)
	if at := d.Memory.LastActive; !at.IsZero() {
		if at.After(d.At) { // stored memory is written late, never early
			at = d.At
		}
		s.LastActiveTime = at.UTC().Truncate(time.Second)
	}
	fellBack := slices.ContainsFunc(d.Memory.Failures, func(f Failure) bool { return o.fellBack(f.Trigger, &d.Memory) })
	s.Conditions = []Condition{o.readyCondition(d), o.activeCondition(d), fallbackCondition(fellBack), o.pausedCondition()}
	return s
}

// readings says of each trigger whether it is active and how often it failed.
func (s *Status) readings(o *ScaledObject, d Decision) {
	for i := range d.Readings {
		at := slices.IndexFunc(o.Triggers, func(t Trigger) bool { return t.ID == d.Readings[i].Trigger })
		if at < 0 {
			continue
		}
		metric := o.Triggers[at].MetricName(at)
		if s.TriggersActivity == nil {
			s.TriggersActivity = map[string]IsActive{}
		}
		s.TriggersActivity[metric] = IsActive{d.Readings[i].Err == nil && d.Readings[i].Active}
		if o.Fallback == nil || o.Fallback.Void {
			continue
		}
		if s.Health == nil {
			s.Health = map[string]Health{}
		}
		s.Health[metric] = Health{Status: "Happy"}
		for _, f := range d.Memory.Failures {
			if f.Trigger == d.Readings[i].Trigger {
				s.Health[metric] = Health{f.Count, "Failing"}
			}
		}
	}
}

// readyCondition has the errors of the readings behind KEDA's sentence: they name what is missing.
func (o *ScaledObject) readyCondition(d Decision) Condition {
	if o.Pause.stops() {
		return Condition{ConditionReady, True, "ScaledObjectReady", pausedMessage}
	}
	var failed []string
	for _, r := range d.Readings {
		if r.Err != nil {
			failed = append(failed, r.Trigger+": "+steady(r.Err.Error()))
		}
	}
	switch {
	case len(failed) > 0 && d.Active:
		return Condition{ConditionReady, Unknown, string(PartialTriggerError), "Some triggers defined in ScaledObject are not working correctly: " + strings.Join(failed, "; ")}
	case len(failed) > 0 && o.Fallback == nil:
		return Condition{ConditionReady, False, string(TriggerError), "Triggers defined in ScaledObject are not working correctly: " + strings.Join(failed, "; ")}
	}
	return Condition{ConditionReady, True, "ScaledObjectReady", readyMessage}
}

func (o *ScaledObject) activeCondition(d Decision) Condition {
	failed := slices.ContainsFunc(d.Readings, func(r Reading) bool { return r.Err != nil })
	switch {
	case o.Pause.stops():
		return Condition{Type: ConditionActive, Status: Unknown}
	case o.ForceActivation:
		return Condition{ConditionActive, True, string(ScalerActive), "Scaling is performed because activation is being forced by annotation"}
	case d.Active:
		return Condition{ConditionActive, True, string(ScalerActive), "Scaling is performed because triggers are active"}
	case o.Floor() < o.Min() && d.To > o.Floor() && !failed && !o.Pause.ScaleIn:
		return Condition{ConditionActive, False, string(ScalerCooldown), "Scaler cooling down because triggers are not active"}
	}
	return Condition{ConditionActive, False, string(ScalerNotActive), "Scaling is not performed because triggers are not active"}
}

func fallbackCondition(inForce bool) Condition {
	if inForce {
		return Condition{ConditionFallback, True, "FallbackExists", "At least one trigger is falling back on this scaled object"}
	}
	return Condition{ConditionFallback, False, "NoFallbackFound", "No fallbacks are active on this scaled object"}
}

func (o *ScaledObject) pausedCondition() Condition {
	if o.Pause.stops() || o.Pause.ScaleIn || o.Pause.ScaleOut {
		return Condition{ConditionPaused, True, string(ScaledObjectPaused), pausedMessage}
	}
	return Condition{Type: ConditionPaused, Status: False}
}

// stops says whether nothing is decided.
func (p Pause) stops() bool { return p.Paused || p.Replicas != nil }

// Condition is the condition of a type; its zero value when there is none.
func (s Status) Condition(ofType string) Condition {
	for _, c := range s.Conditions {
		if c.Type == ofType {
			return c
		}
	}
	return Condition{}
}

// After is s with what outlives a look: it says of s what only the status before it knows.
func (s Status) After(before Status) Status {
	if before.OriginalReplicaCount != nil {
		s.OriginalReplicaCount = before.OriginalReplicaCount
	}
	if s.LastActiveTime.IsZero() {
		s.LastActiveTime = before.LastActiveTime
	}
	s.Conditions = slices.Clone(s.Conditions)
	for i := range s.Conditions {
		c := &s.Conditions[i]
		was := before.Condition(c.Type)
		switch {
		case c.Type == ConditionActive && c.Status == Unknown && c.Reason == "" && was.Type != "": // paused
			*c = was
		case c.Type == ConditionPaused && c.Status == False && (was.Status == True || was.Reason == unpausedReason):
			c.Reason, c.Message = unpausedReason, unpausedMessage
		}
	}
	return s
}

// Same says whether s need not be written over other: nothing differs but the last active time by less than a minute,
// and the addresses of connections within a sentence.
func (s Status) Same(other Status) bool {
	if drift := s.LastActiveTime.Sub(other.LastActiveTime); drift <= -time.Minute || drift >= time.Minute {
		return false
	}
	return slices.EqualFunc(s.Conditions, other.Conditions, func(a, b Condition) bool {
		return a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason && sameWords(a.Message, b.Message)
	}) &&
		s.ScaleTargetKind == other.ScaleTargetKind &&
		equal(s.ScaleTargetGVKR, other.ScaleTargetGVKR) &&
		equal(s.OriginalReplicaCount, other.OriginalReplicaCount) &&
		equal(s.PausedReplicaCount, other.PausedReplicaCount) &&
		slices.Equal(s.ExternalMetricNames, other.ExternalMetricNames) &&
		s.CompositeScalerName == other.CompositeScalerName &&
		maps.Equal(s.Health, other.Health) &&
		maps.Equal(s.TriggersActivity, other.TriggersActivity) &&
		s.TriggersTypes == other.TriggersTypes &&
		s.AuthenticationsTypes == other.AuthenticationsTypes
}

func equal[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Patch is the JSON merge patch that makes a status of before one of s. What s no longer has is taken away; what neither
// knows, such as KEDA's hpaName, stays.
func (s Status) Patch(before Status) ([]byte, error) {
	next, err := asMap(s)
	if err != nil {
		return nil, err
	}
	last, err := asMap(before)
	if err != nil {
		return nil, err
	}
	forget(next, last)
	return json.Marshal(map[string]any{"status": next})
}

func asMap(s Status) (m map[string]any, err error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return m, json.Unmarshal(text, &m)
}

// forget adds a null for each key that only last has.
func forget(next, last map[string]any) {
	for key, was := range last {
		is, there := next[key]
		if !there {
			next[key] = nil
			continue
		}
		inner, isMap := is.(map[string]any)
		if innerWas, wasMap := was.(map[string]any); isMap && wasMap {
			forget(inner, innerWas)
		}
	}
}

// MetricName is what KEDA calls the metric of the trigger at a position (the scalers' GetMetricSpecForScaling, v2.20). A
// queue that only the workload's environment names is left out.
func (t *Trigger) MetricName(position int) string {
	name := t.Type
	switch t.Type {
	case TypeSQS:
		name = "aws-sqs"
		if t.SQS.QueueName != "" {
			name += "-" + t.SQS.QueueName
		}
	case TypeCron:
		if t.Cron != nil {
			spoken := strings.NewReplacer(" ", "", "*", "x", "/", "Sl", "?", "Qm", ",", "Cm")
			name = "cron-" + t.Cron.Timezone + "-" + spoken.Replace(t.Cron.Start) + "-" + spoken.Replace(t.Cron.End)
		}
	}
	plain := strings.NewReplacer("/", "-", ".", "-", ":", "-", "%", "-", "(", "-", ")", "-")
	return "s" + strconv.Itoa(position) + "-" + plain.Replace(name)
}

// Resource names the kind as the API server's paths have it, by the rule that Kubernetes follows where it knows no
// better (apimachinery's UnsafeGuessKindToResource): right for its own kinds and for nearly every other.
func (t TargetRef) Resource() (group, version, resource string) {
	group, version, found := strings.Cut(t.APIVersion, "/")
	if !found {
		group, version = "", t.APIVersion
	}
	resource = strings.ToLower(t.Kind)
	switch {
	case strings.HasSuffix(resource, "endpoints"):
	case strings.HasSuffix(resource, "s"):
		resource += "es"
	case strings.HasSuffix(resource, "y"):
		resource = strings.TrimSuffix(resource, "y") + "ies"
	default:
		resource += "s"
	}
	return group, version, resource
}

func addOnce(all []string, text string) []string {
	if text == "" || slices.Contains(all, text) {
		return all
	}
	return append(all, text)
}

// sentence is all problems of one object on one line.
func (ps Problems) sentence() string {
	parts := make([]string, len(ps))
	for i, p := range ps {
		if strings.HasPrefix(p.Object, "ScaledObject ") { // the reader is looking at it
			p.Object = ""
		}
		parts[i] = p.String()
	}
	return strings.Join(parts, "; ")
}

// requestID is what AWS tells each answer apart by, and would make each look's status another.
const requestID = `,? ?Request ?ID: [0-9A-Za-z-]+`

func steady(text string) string { return regexp.MustCompile(requestID).ReplaceAllString(text, "") }

// connection is how Go's errors name one: its port is another each time.
const connection = `(\d{1,3}(\.\d{1,3}){3}|\[[0-9A-Fa-f:]+\]):\d+`

// sameWords says whether two sentences differ in nothing but the addresses of connections.
func sameWords(a, b string) bool {
	if a == b {
		return true
	}
	addresses := regexp.MustCompile(connection)
	return addresses.ReplaceAllString(a, "") == addresses.ReplaceAllString(b, "")
}
