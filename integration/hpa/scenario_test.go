package hpa

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	"github.com/robfig/cron/v3"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/leda-autoscaler/leda/scaling"
)

// A scenario is a ScaledObject and what its workload goes through. The scenarios that the tests play are
// made out of bytes, random ones or a fuzzer's.
type scenario struct {
	Min, Idle                          *int32 `json:",omitempty"` // not written
	Max                                int32
	Polling, Cooldown, InitialCooldown int32
	Annotations                        map[string]string `json:",omitempty"`
	Behavior                           *behavior
	Fallback                           *kedav1alpha1.Fallback         `json:",omitempty"`
	Modifiers                          *kedav1alpha1.ScalingModifiers `json:",omitempty"`
	Triggers                           []trigger
	Epoch                              time.Duration // since 2000 began, until the ScaledObject is made
	Start                              int32         // replicas before the first look
	Stored                             bool          // memory goes through its stored form between two looks
	Looks                              []look
}

type trigger struct {
	Name               string `json:",omitempty"`
	Type               string
	MetricType         autoscalingv2.MetricTargetType
	Target, Activation float64 `json:",omitempty"`
	Cron               *window `json:",omitempty"` // of a cron trigger
}

// window is when a cron trigger asks for so many replicas.
type window struct {
	Zone, Start, End string
	Replicas         int64
}

// change is what somebody writes into the ScaledObject.
type change struct {
	Min, Max *int32   `json:",omitempty"`
	Target   *float64 `json:",omitempty"` // of the first trigger that has one, or of scalingModifiers
	Cooldown *int32   `json:",omitempty"`
	Pauses   []string `json:",omitempty"` // the annotations there are from now on, each with = and its value
}

func (c *change) String() string {
	if c == nil {
		return ""
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err.Error()
	}
	return "changed to " + string(text) + ", "
}

// look is the world at one look.
type look struct {
	After  time.Duration // since the look before; of the first, since the ScaledObject was made
	Change *change       `json:",omitempty"` // somebody else changed the ScaledObject
	Set    *int32        `json:",omitempty"` // and spec.replicas
	Status *int32        `json:",omitempty"` // status.replicas, where it is not spec.replicas
	Ready  *int32        `json:",omitempty"` // ready pods, where it is not all
	Values []*float64    // one for each trigger; nil when it could not be read
}

// The annotations that pause one direction.
const (
	inwards  = kedav1alpha1.PausedScaleInAnnotation
	outwards = kedav1alpha1.PausedScaleOutAnnotation
)

var pauses = []string{inwards, outwards, kedav1alpha1.PausedAnnotation, kedav1alpha1.PausedReplicasAnnotation}

// changed is the scenario with another ScaledObject.
func (n scenario) changed(c change) scenario {
	if c.Min != nil {
		n.Min = c.Min
	}
	if c.Max != nil {
		n.Max = *c.Max
	}
	if c.Cooldown != nil {
		n.Cooldown = *c.Cooldown
	}
	if m := n.Modifiers; c.Target != nil && m != nil {
		modifiers := *m
		modifiers.Target = number(*c.Target)
		n.Modifiers = &modifiers
	} else if c.Target != nil {
		n.Triggers = slices.Clone(n.Triggers)
		if i := slices.IndexFunc(n.Triggers, func(t trigger) bool { return t.Cron == nil }); i >= 0 {
			n.Triggers[i].Target = *c.Target
		}
	}
	n.Annotations = maps.Clone(n.Annotations)
	for _, annotation := range pauses {
		delete(n.Annotations, annotation)
	}
	for _, p := range c.Pauses {
		annotation, value, _ := strings.Cut(p, "=")
		n.Annotations[annotation] = value
	}
	return n
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func (n scenario) pauses(direction string) bool { return n.Annotations[direction] == "true" }

// numbers gives the numbers that a scenario is made of: the bytes while there are any, then zeros.
type numbers struct{ data []byte }

// upTo is a number from 0 to n.
func (s *numbers) upTo(n int) int {
	var b [8]byte
	switch {
	case n <= math.MaxUint8:
		s.data = s.data[copy(b[:1], s.data):]
	default:
		s.data = s.data[copy(b[:4], s.data):]
	}
	return int(binary.LittleEndian.Uint64(b[:]) % uint64(n+1))
}

func (s *numbers) oneIn(n int) bool { return s.upTo(n-1) == n-1 } // never once the bytes are used up

func one[T any](s *numbers, of ...T) T { return of[s.upTo(len(of)-1)] }

func (s *numbers) replicas(limit int32) int32 {
	if s.oneIn(4) {
		return int32(s.upTo(int(limit)))
	}
	return int32(s.upTo(int(min(limit, 12))))
}

// rules is one direction of behavior, everything in it written or not. No policy is so large that the HPA's
// sum overflows: TestSequences shows what becomes of that, and policy keda does the same; direct takes it for no limit.
func (s *numbers) rules() *autoscalingv2.HPAScalingRules {
	r := &autoscalingv2.HPAScalingRules{}
	if s.oneIn(2) {
		r.StabilizationWindowSeconds = seconds(one(s, int32(0), 15, 30, 60, 90, 300, 3600))
	}
	if s.oneIn(3) {
		choose := one(s, autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect, autoscalingv2.DisabledPolicySelect)
		r.SelectPolicy = &choose
	}
	if s.oneIn(2) {
		for range 1 + s.upTo(2) {
			period := one(s, int32(1), 15, 30, 45, 60, 61, 180, 600, 1800)
			if s.oneIn(2) {
				r.Policies = append(r.Policies, percent(one(s, int32(1), 10, 25, 33, 50, 90, 99, 100, 150, 900), period))
			} else {
				r.Policies = append(r.Policies, pods(one(s, int32(1), 2, 3, 4, 7, 20, 1e6), period))
			}
		}
	}
	if s.oneIn(2) {
		q := resource.MustParse(one(s, "0", "0.01", "0.05", "50m", "0.1", "0.15", "0.29", "0.35", "0.5", "1", "1e-3", "2"))
		r.Tolerance = &q
	}
	return r
}

// looks are as many as the bytes are enough for. A change stays for a minute at least: an HPA that is made anew
// before the controller has missed the old one is the old one to it.
func (s *numbers) looks(n scenario, changes bool) []look {
	var looks []look
	for len(s.data) > 0 && len(looks) < 200 {
		l := look{After: 15 * time.Second}
		if s.oneIn(4) {
			l.After = one(s, time.Millisecond, time.Second, 5*time.Second, 30*time.Second, 45*time.Second, time.Minute, 5*time.Minute,
				299*time.Second, 301*time.Second, time.Hour)
		}
		if changes && len(looks) > 0 && s.oneIn(20) {
			l.Change, l.After = s.change(n), max(l.After, time.Minute)
			n = n.changed(*l.Change)
		}
		if s.oneIn(12) {
			set := s.replicas(n.Max + 10)
			l.Set = &set
		}
		if s.oneIn(8) {
			status := s.replicas(n.Max + 10)
			l.Status = &status
		}
		if s.oneIn(8) {
			ready := s.replicas(n.Max)
			l.Ready = &ready
		}
		if len(looks) > 0 && s.oneIn(3) { // a queue seldom changes wholly
			l.Values = looks[len(looks)-1].Values
		} else {
			for _, t := range n.Triggers {
				if n.Modifiers != nil {
					t.Target, _ = strconv.ParseFloat(n.Modifiers.Target, 64) // that is where the edges are
				}
				l.Values = append(l.Values, s.value(t, n.Max))
			}
		}
		looks = append(looks, l)
	}
	return looks
}

// value is what a trigger's source says, likely something at the edge of what a number of replicas is for.
func (s *numbers) value(t trigger, limit int32) *float64 {
	at := float64(s.replicas(limit)) * t.Target
	if t.MetricType == autoscalingv2.ValueMetricType {
		at = t.Target * float64(s.upTo(30)) / 10
	}
	switch s.upTo(8) {
	case 0:
		at = 0
	case 1:
		return nil
	case 2:
		at *= 1.1
	case 3:
		at *= 0.9
	case 4:
		at++
	case 5:
		at = float64(s.upTo(2*int(at) + 1))
	case 6:
		at = one(s, t.Activation, t.Activation+1, 1e6, 1e9, 1e12)
	case 7:
		at += one(s, 0.0004, 0.0005, 0.001, 0.0015, -0.001, -1)
	}
	if t.Type == scaling.TypeSQS {
		at = math.Round(max(0, at))
	}
	return &at
}

func (s *numbers) triggers() []trigger {
	var triggers []trigger
	for range 1 + s.upTo(5)/3 + s.upTo(5)/4 {
		t := trigger{Type: scaling.TypeSQS, MetricType: autoscalingv2.AverageValueMetricType, Target: one(s, 5.0, 1, 2, 3, 7, 10, 100, 1000)}
		if s.oneIn(3) {
			t.Type, t.Target = scaling.TypeCloudWatch, one(s, 2.5, 0.001, 0.1, 0.0015, 1.0005, 4.4, 14.334, 1e6)
		}
		if s.oneIn(5) {
			lines := one(s, [2]string{"*/10 * * * *", "5-59/10 * * * *"}, [2]string{"0 * * * *", "30 * * * *"}, [2]string{"0 8 * * *", "0 18 * * *"},
				[2]string{"0 22 * * 1-5", "0 6 * * *"}, [2]string{"30 2 * * *", "30 4 * * *"}, [2]string{"0 0 30 2 *", "0 18 * * *"}, [2]string{"*/2 * * * *", "*/3 * * * *"})
			t.Type, t.Target = scaling.TypeCron, 1
			t.Cron = &window{one(s, "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"), lines[0], lines[1], int64(1 + s.upTo(20))}
		}
		if s.oneIn(4) {
			t.MetricType = autoscalingv2.ValueMetricType
		}
		if s.oneIn(3) {
			t.Activation = float64(s.upTo(20)) - 1
		}
		triggers = append(triggers, t)
	}
	return triggers
}

// modifiers are over the triggers, which get names. No formula leaves what an int64 holds: what KEDA makes of that is up to the
// processor. Leda takes it for a reading that failed.
func (s *numbers) modifiers(triggers []trigger) *kedav1alpha1.ScalingModifiers {
	for i := range triggers {
		triggers[i].Name = string(rune('a' + i))
	}
	formulas := []string{"a", "a - 5", "a > 2 ? 5 : 0", "float(a) > 1 ? 2 : 3", "float(a)", "a / 3", "a ?? 8", "let x = a; x * 2"}
	if len(triggers) > 1 {
		formulas = append(formulas, "a + b", "max(a, b)", "(a + b) / 2", "a ?? b", "a ?? b ?? 8", "b ?? a", "count([a, b], {# > 1}) > 1 ? 5 : 0", "a > b ? a : b + 1")
	}
	m := &kedav1alpha1.ScalingModifiers{Formula: one(s, formulas...), Target: one(s, "2", "1", "5", "100", "2.5", "0.1", "1.0005")}
	if s.oneIn(3) {
		m.MetricType = autoscalingv2.ValueMetricType
	}
	if s.oneIn(3) {
		m.ActivationTarget = one(s, "0", "2", "5.5", "-1")
	}
	return m
}

func (s *numbers) fallback(n scenario) *kedav1alpha1.Fallback {
	f := &kedav1alpha1.Fallback{
		FailureThreshold: one(s, int32(0), 1, 3), Replicas: s.replicas(n.Max + 3),
		Behavior: one(s, kedav1alpha1.FallbackBehaviorStatic, kedav1alpha1.FallbackBehaviorCurrentReplicas,
			kedav1alpha1.FallbackBehaviorCurrentReplicasIfHigher, kedav1alpha1.FallbackBehaviorCurrentReplicasIfLower),
	}
	if n.Modifiers != nil && s.oneIn(2) {
		f.Behavior = kedav1alpha1.FallbackBehaviorScalingModifiers
	}
	return f
}

// change is one that the ScaledObject may have; n is as it is before.
func (s *numbers) change(n scenario) *change {
	c := &change{}
	for _, annotation := range pauses {
		switch {
		case !s.oneIn(4):
		case annotation == kedav1alpha1.PausedReplicasAnnotation:
			c.Pauses = append(c.Pauses, fmt.Sprintf("%s=%d", annotation, s.replicas(n.Max+3)))
		default:
			c.Pauses = append(c.Pauses, annotation+"=true")
		}
	}
	low, high := int32(1), n.Max
	if n.Idle != nil {
		low = *n.Idle + 1
	}
	if n.Min != nil {
		low = max(low, *n.Min)
		if s.oneIn(3) {
			c.Min = number32(low + int32(s.upTo(5)))
			low = *c.Min
		}
	}
	if s.oneIn(2) {
		high = s.replicas(n.Max + 10)
	}
	c.Max = number32(max(low, high))
	if s.oneIn(2) {
		target := one(s, 5.0, 1, 2, 3, 7, 10, 100)
		c.Target = &target
	}
	if s.oneIn(4) {
		c.Cooldown = number32(one(s, int32(300), 0, 30, 60))
	}
	return c
}

func number32(n int32) *int32 { return &n }

// sources is what the triggers' sources say at now.
func (n scenario) sources(l look, now time.Time) []Source {
	all := make([]Source, len(n.Triggers))
	for i, t := range n.Triggers {
		switch v := l.Values[i]; {
		case t.Cron != nil:
			all[i] = t.Cron.source(now)
		case v == nil:
			all[i].Err = errors.New("no such queue")
		default:
			all[i] = Source{Value: quantity(*v), Active: *v > t.Activation}
		}
	}
	return all
}

// source is what KEDA's cron scaler says (pkg/scalers/cron_scaler.go GetMetricsAndActivity, v2.21), written out for
// the same reason as the rest of [Handler].
func (w *window) source(now time.Time) Source {
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		return Source{Err: err}
	}
	now = now.In(zone)
	next := func(line string) time.Time {
		schedule, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(line)
		if err != nil {
			panic(err) // one of triggers'
		}
		return schedule.Next(now)
	}
	start, end := next(w.Start), next(w.End)
	within := now.After(start) || now.Before(end)
	if start.Before(end) {
		within = now.After(start) && now.Before(end)
	}
	if !within {
		return Source{}
	}
	return Source{Value: quantity(float64(w.Replicas)), Active: true}
}

// manifest is the ScaledObject as a person would write it.
func (n scenario) manifest(t testing.TB) []byte {
	t.Helper()
	spec := map[string]any{
		"scaleTargetRef": map[string]any{"name": "orders"}, "maxReplicaCount": n.Max,
		"pollingInterval": n.Polling, "cooldownPeriod": n.Cooldown, "initialCooldownPeriod": n.InitialCooldown,
	}
	if n.Min != nil {
		spec["minReplicaCount"] = *n.Min
	}
	if n.Idle != nil {
		spec["idleReplicaCount"] = *n.Idle
	}
	advanced := map[string]any{}
	if n.Behavior != nil {
		advanced["horizontalPodAutoscalerConfig"] = map[string]any{"behavior": n.Behavior}
	}
	if n.Modifiers != nil {
		advanced["scalingModifiers"] = n.Modifiers
	}
	spec["advanced"] = advanced
	var triggers []any
	for _, t := range n.Triggers {
		metadata := map[string]string{"awsRegion": "eu-west-1", "identityOwner": "operator"}
		target, activation := number(t.Target), number(t.Activation)
		switch t.Type {
		case scaling.TypeCron:
			metadata = map[string]string{
				"timezone": t.Cron.Zone, "start": t.Cron.Start, "end": t.Cron.End, "desiredReplicas": strconv.FormatInt(t.Cron.Replicas, 10),
			}
		case scaling.TypeSQS:
			metadata["queueURL"], metadata["queueLength"], metadata["activationQueueLength"] = "orders", target, activation
		case scaling.TypeCloudWatch:
			metadata["expression"], metadata["minMetricValue"] = "m1", "0"
			metadata["targetMetricValue"], metadata["activationTargetMetricValue"] = target, activation
		}
		triggers = append(triggers, map[string]any{"name": t.Name, "type": t.Type, "metricType": t.MetricType, "metadata": metadata})
	}
	if n.Fallback != nil {
		spec["fallback"] = n.Fallback
	}
	spec["triggers"] = triggers
	text, err := json.Marshal(map[string]any{
		"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "spec": spec,
		"metadata": map[string]any{"name": "orders", "namespace": "shop", "annotations": n.Annotations},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// parse reads the manifest as Leda does and as KEDA does, and makes KEDA's HorizontalPodAutoscaler of it.
func (n scenario) parse(t testing.TB) (*scaling.ScaledObject, *kedav1alpha1.ScaledObject, Spec) {
	t.Helper()
	manifest := n.manifest(t)
	parsed, err := scaling.Parse(scaling.File{Name: "scenario", Data: manifest})
	if err != nil || len(parsed.ScaledObjects) != 1 {
		t.Fatalf("%v, from\n%s", err, manifest)
	}
	var keda kedav1alpha1.ScaledObject
	if err := json.Unmarshal(manifest, &keda); err != nil {
		t.Fatal(err)
	}
	s := Spec{Min: *keda.GetHPAMinReplicas(), Max: keda.GetHPAMaxReplicas(), Behavior: n.Behavior.DeepCopy()}
	for _, t := range n.Triggers {
		target := quantity(t.Target)
		s.Targets = append(s.Targets, Target{target.MilliValue(), t.MetricType == autoscalingv2.ValueMetricType})
	}
	// controllers/keda/hpa.go newHPAForScaledObject and getScaledObjectMetricSpecs, v2.21.
	if m := n.Modifiers; m != nil {
		target, err := strconv.ParseFloat(m.Target, 64)
		if err != nil {
			t.Fatal(err)
		}
		s.Targets = []Target{{Milli: int64(target * 1000), IsValue: m.MetricType == autoscalingv2.ValueMetricType}}
	}
	disabled := autoscalingv2.DisabledPolicySelect
	if s.Behavior == nil && (keda.NeedToPauseScaleIn() || keda.NeedToPauseScaleOut()) {
		s.Behavior = &behavior{}
	}
	if keda.NeedToPauseScaleIn() {
		if s.Behavior.ScaleDown == nil {
			s.Behavior.ScaleDown = &autoscalingv2.HPAScalingRules{}
		}
		s.Behavior.ScaleDown.SelectPolicy = &disabled
	}
	if keda.NeedToPauseScaleOut() {
		if s.Behavior.ScaleUp == nil {
			s.Behavior.ScaleUp = &autoscalingv2.HPAScalingRules{}
		}
		s.Behavior.ScaleUp.SelectPolicy = &disabled
	}
	return &parsed.ScaledObjects[0], &keda, s
}

// metrics are those of the triggers, as KEDA's scalers write them.
func (n scenario) metrics() []autoscalingv2.MetricSpec {
	all := make([]autoscalingv2.MetricSpec, len(n.Triggers))
	for i, t := range n.Triggers {
		target := *resource.NewQuantity(int64(t.Target), resource.DecimalSI)
		if t.Type == scaling.TypeCloudWatch {
			target = quantity(t.Target)
		}
		all[i] = metricSpec(i, target, t.MetricType == autoscalingv2.ValueMetricType)
	}
	return all
}

// quantity is what KEDA makes of a value: pkg/scalers/scaler.go quantityFromFloat64, v2.21.
func quantity(v float64) resource.Quantity {
	if !(v >= 0) || math.IsInf(v, 0) {
		return resource.Quantity{}
	}
	return resource.MustParse(fmt.Sprintf("%.3f", v))
}

// String is the scenario as it can be pasted into a test.
func (n scenario) String() string {
	text, err := json.Marshal(n)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
