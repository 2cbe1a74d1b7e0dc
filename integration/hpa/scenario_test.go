package hpa

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/leda-autoscaler/leda/scaling"
)

// A scenario is a ScaledObject and what its workload goes through. The scenarios that the tests run are
// made out of bytes, random ones or a fuzzer's.
type scenario struct {
	Min, Max int32
	Behavior *behavior
	Targets  []int64 // queueLength of each trigger
	Start    int32   // replicas before the first look
	Stored   bool    // memory goes through its stored form between two looks
	Looks    []look
}

// look is the world at one look.
type look struct {
	After  time.Duration // since the look before
	Set    *int32        `json:",omitempty"` // somebody else set spec.replicas
	Status *int32        `json:",omitempty"` // status.replicas, where it is not spec.replicas
	Values []float64     // one for each trigger; negative: it could not be read
}

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

// rules is one direction of behavior, everything in it written or not.
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
		if len(looks) > 0 && s.oneIn(3) { // a queue seldom changes wholly
			l.Values = looks[len(looks)-1].Values
		} else {
			for _, target := range n.Targets {
				l.Values = append(l.Values, s.value(target, n.Max))
			}
		}
		looks = append(looks, l)
	}
	return looks
}

// value is a number of messages, likely one at the edge of what a number of replicas is for.
func (s *numbers) value(target int64, limit int32) float64 {
	replicas := float64(s.replicas(limit))
	at := replicas * float64(target)
	switch s.upTo(7) {
	case 0:
		return 0
	case 1:
		return -1
	case 2:
		return math.Round(at * 1.1)
	case 3:
		return math.Floor(at * 0.9)
	case 4:
		return at + 1
	case 5:
		return float64(s.upTo(2 * int(at)))
	case 6:
		return one(s, 1e6, 1e9, 1e12)
	default:
		return at
	}
}

func (s *numbers) targets() []int64 {
	var targets []int64
	for range 1 + s.upTo(5)/3 + s.upTo(5)/4 {
		targets = append(targets, one(s, int64(5), 1, 2, 3, 7, 10, 100, 1000))
	}
	return targets
}

// manifest is the ScaledObject as a person would write it.
func (n scenario) manifest(t *testing.T, policy string) string {
	t.Helper()
	behavior, err := json.Marshal(n.Behavior)
	if err != nil {
		t.Fatal(err)
	}
	var triggers []string
	for _, target := range n.Targets {
		triggers = append(triggers, fmt.Sprintf(`{type: aws-sqs-queue, metadata: {queueURL: orders, awsRegion: eu-west-1, identityOwner: operator, queueLength: "%d"}}`, target))
	}
	return fmt.Sprintf(`apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: orders, namespace: shop, annotations: {leda.dev/policy: %s}}
spec:
  scaleTargetRef: {name: orders}
  minReplicaCount: %d
  maxReplicaCount: %d
  advanced: {horizontalPodAutoscalerConfig: {behavior: %s}}
  triggers: [%s]
`, policy, n.Min, n.Max, behavior, strings.Join(triggers, ", "))
}

func (n scenario) parse(t *testing.T, policy string) *scaling.ScaledObject {
	t.Helper()
	manifest := n.manifest(t, policy)
	parsed, err := scaling.Parse(scaling.File{Name: "scenario", Data: []byte(manifest)})
	if err != nil || len(parsed.ScaledObjects) != 1 {
		t.Fatalf("%v, from\n%s", err, manifest)
	}
	return &parsed.ScaledObjects[0]
}

func (n scenario) spec() Spec {
	s := Spec{Min: n.Min, Max: n.Max, Behavior: n.Behavior}
	for _, target := range n.Targets {
		s.Targets = append(s.Targets, Target{Milli: target * 1000})
	}
	return s
}

// String is the scenario as it can be pasted into a test.
func (n scenario) String() string {
	text, err := json.Marshal(n)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
