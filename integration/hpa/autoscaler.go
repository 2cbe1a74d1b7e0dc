// Package hpa runs the real HorizontalPodAutoscaler controller of Kubernetes, and KEDA's real scale
// executor beside it, on made-up workloads, so that Leda's sizes and reasons can be compared with theirs.
//
// The controller is the one that kube-controller-manager starts: NewHorizontalController and Run, its
// queue, its worker and everything below them. Only what it speaks to is made up (edges.go). Both read
// the clock themselves, so they run inside a testing/synctest bubble, where a day passes in no time and
// always in the same way.
//
// The module is its own because k8s.io/kubernetes and KEDA are none of the product's business. To
// fuzz, which first builds both anew, for ten minutes or so:
//
//	CGO_ENABLED=0 go test -trimpath -run '^$' -fuzz FuzzKEDAIsKEDA -fuzztime 10m -fuzzminimizetime 10x .
package hpa

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install" // the API server's defaults
	"k8s.io/kubernetes/pkg/apis/autoscaling/validation"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
)

// kube-controller-manager's defaults, which EKS does not let anyone change.
const (
	downscaleStabilization  = 5 * time.Minute
	tolerance               = 0.1
	cpuInitializationPeriod = 5 * time.Minute
	initialReadinessDelay   = 30 * time.Second
)

// onlyWhenAsked is the controller's own period, out of the way: every sync is one that [Autoscaler.Sync] asked for.
const onlyWhenAsked = 100 * 365 * 24 * time.Hour

// Spec is what KEDA writes into the HorizontalPodAutoscaler of a ScaledObject.
type Spec struct {
	Min, Max int32
	Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior // nil when the ScaledObject has none
	Targets  []Target                                       // one for each trigger
}

// Target is the target of one external metric.
type Target struct {
	Milli   int64 // in thousandths, as the HPA counts
	IsValue bool  // metricType Value instead of AverageValue
}

// Metric is what the external metrics API says of one metric.
type Metric struct {
	Milli int64
	Err   error
}

// Step is the world as one sync of the HPA finds it.
type Step struct {
	At       time.Duration // since the Autoscaler was made
	Replicas int32         // the workload's spec.replicas
	Status   int32         // the workload's status.replicas: its pods
	Ready    int32         // those of them that are ready
	Metrics  []Metric      // one for each of the Spec's targets
}

// Outcome is what one sync of the HPA came to.
type Outcome struct {
	Replicas int32 // spec.replicas afterwards
	Proposal int32 // what the metrics asked for, by the controller's own log; -1 when it asked none or could not tell

	// The reasons of the HPA's conditions; empty when the condition has never been set.
	AbleToScale, ScalingActive, ScalingLimited string
}

// Autoscaler is the real controller with one HorizontalPodAutoscaler.
type Autoscaler struct {
	*edges
	start time.Time
	syncs time.Duration
}

// Admit is the HorizontalPodAutoscaler as the API server would store it, or its refusal.
func Admit(s Spec) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	h := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "keda-hpa-orders", UID: "1", Generation: 1, ResourceVersion: "1"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"},
			MinReplicas:    &s.Min, MaxReplicas: s.Max, Behavior: s.Behavior.DeepCopy(),
		},
	}
	for i, t := range s.Targets {
		quantity := resource.NewMilliQuantity(t.Milli, resource.DecimalSI)
		target := autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: quantity}
		if t.IsValue {
			target = autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: quantity}
		}
		h.Spec.Metrics = append(h.Spec.Metrics, autoscalingv2.MetricSpec{
			Type: autoscalingv2.ExternalMetricSourceType,
			External: &autoscalingv2.ExternalMetricSource{
				Metric: autoscalingv2.MetricIdentifier{Name: metricName(i)},
				Target: target,
			},
		})
	}
	legacyscheme.Scheme.Default(h)
	var internal autoscaling.HorizontalPodAutoscaler
	if err := legacyscheme.Scheme.Convert(h, &internal, nil); err != nil {
		return nil, err
	}
	problems := validation.ValidateHorizontalPodAutoscaler(&internal, validation.HorizontalPodAutoscalerSpecValidationOptions{})
	return h, problems.ToAggregate()
}

func metricName(i int) string { return "s" + strconv.Itoa(i) }

// New starts a controller that ends with the test. It belongs inside a bubble of synctest.Test.
func New(t *testing.T, s Spec) *Autoscaler {
	t.Helper()
	h, err := Admit(s)
	if err != nil {
		t.Fatalf("the API server refuses this HorizontalPodAutoscaler: %v", err)
	}
	// An error is seen in the conditions here. The stock handlers log it and then sleep, to log less.
	quiet()

	a := &Autoscaler{edges: newEdges(h), start: time.Now()}
	ctx, stop := context.WithCancel(klog.NewContext(context.Background(), logr.New(proposals{edges: a.edges})))
	controller := podautoscaler.NewHorizontalController(ctx, a.edges, a.edges, a.edges, mapper{}, a.edges,
		hpaInformer{a.edges}, podInformer{a.edges}, onlyWhenAsked, downscaleStabilization, tolerance,
		cpuInitializationPeriod, initialReadinessDelay)
	go controller.Run(ctx, 1)
	t.Cleanup(func() {
		stop()
		synctest.Wait()
	})
	return a
}

var quiet = sync.OnceFunc(func() { utilruntime.ErrorHandlers = nil })

// Sync lets the clock run to the step's time and the controller sync once.
//
// Two syncs are never a whole number of seconds apart in a real cluster: each comes a little after its
// time. So does each of these, a nanosecond more each time, which settles what the controller's
// comparisons leave to luck: what is exactly as old as its window is over.
func (a *Autoscaler) Sync(s Step) Outcome {
	a.syncs++
	time.Sleep(time.Until(a.start.Add(s.At + a.syncs*time.Nanosecond)))
	a.step, a.proposal = s, -1
	a.changed()
	synctest.Wait()
	return a.outcome()
}
