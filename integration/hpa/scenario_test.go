package hpa

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
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
	Triggers                           []trigger
	Start                              int32 // replicas before the first look
	Stored                             bool  // memory goes through its stored form between two looks
	Looks                              []look
}

type trigger struct {
	Type               string
	MetricType         autoscalingv2.MetricTargetType
	Target, Activation float64
}

// look is the world at one look.
type look struct {
	After  time.Duration // since the look before; of the first, since the ScaledObject was made
	Set    *int32        `json:",omitempty"` // somebody else set spec.replicas
	Status *int32        `json:",omitempty"` // status.replicas, where it is not spec.replicas
	Ready  *int32        `json:",omitempty"` // ready pods, where it is not all
	Values []*float64    // one for each trigger; nil when it could not be read
}

// The annotations that pause one direction.
const (
	inwards  = kedav1alpha1.PausedScaleInAnnotation
	outwards = kedav1alpha1.PausedScaleOutAnnotation
)

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

func (s *numbers) looks(n scenario) []look {
	var looks []look
	for len(s.data) > 0 && len(looks) < 200 {
		l := look{After: 15 * time.Second}
		if s.oneIn(4) {
			l.After = one(s, time.Millisecond, time.Second, 5*time.Second, 30*time.Second, 45*time.Second, time.Minute, 5*time.Minute,
				299*time.Second, 301*time.Second, time.Hour)
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
	if n.Behavior != nil {
		spec["advanced"] = map[string]any{"horizontalPodAutoscalerConfig": map[string]any{"behavior": n.Behavior}}
	}
	var triggers []any
	for _, t := range n.Triggers {
		metadata := map[string]string{"awsRegion": "eu-west-1", "identityOwner": "operator"}
		target, activation := strconv.FormatFloat(t.Target, 'f', -1, 64), strconv.FormatFloat(t.Activation, 'f', -1, 64)
		switch t.Type {
		case scaling.TypeSQS:
			metadata["queueURL"], metadata["queueLength"], metadata["activationQueueLength"] = "orders", target, activation
		case scaling.TypeCloudWatch:
			metadata["expression"], metadata["minMetricValue"] = "m1", "0"
			metadata["targetMetricValue"], metadata["activationTargetMetricValue"] = target, activation
		}
		triggers = append(triggers, map[string]any{"type": t.Type, "metricType": t.MetricType, "metadata": metadata})
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
		s.Targets = append(s.Targets, Target{Milli: milli(t.Target), IsValue: t.MetricType == autoscalingv2.ValueMetricType})
	}
	// controllers/keda/hpa.go newHPAForScaledObject, v2.21.
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

// milli is what the HPA gets of a value: KEDA's pkg/scalers/scaler.go quantityFromFloat64, v2.21.
func milli(v float64) int64 {
	if !(v >= 0) || math.IsInf(v, 0) {
		return 0
	}
	q := resource.MustParse(fmt.Sprintf("%.3f", v))
	return q.MilliValue()
}

// String is the scenario as it can be pasted into a test.
func (n scenario) String() string {
	text, err := json.Marshal(n)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
