// Package hpa runs the real HorizontalPodAutoscaler controller of Kubernetes, and KEDA's real scale
// executor, fallback and formulas beside it, on made-up workloads, so that Leda's sizes and reasons can be compared with theirs.
//
// The controller is the one that kube-controller-manager starts: NewHorizontalController and Run, its
// queue, its worker and everything below them. Only what it speaks to is made up (edges.go). All read
// the clock themselves, so they run inside a testing/synctest bubble, where a day passes in no time and
// always in the same way.
//
// What the comparison cannot tell:
//
//   - what KEDA's scale handler, its reconciler and its cron scaler do with these parts. They are in packages that import every scaler,
//     1,600 packages more than this module builds; the few lines that matter are written out ([Handler], playKEDA, window), so for
//     cron, which Leda reads with the same library, it shows what the HPA makes of a window and not when it is open;
//   - how often failures count. KEDA counts at its own polls and at the HPA's queries, Leda's loops share one reading: here too it
//     counts once, in KEDA's loop, and KEDA's fallback does everything else with it;
//   - when a changed ScaledObject is looked at. KEDA then polls and the HPA syncs at once; Leda goes on with the period that it is in;
//   - a behavior that is changed in mid-history, paused-scale-in and -out apart: Leda remembers no recommendation for longer
//     than the window that it had then, where the HPA may still hold one that a longer window reaches again;
//   - paused-replicas when something else is changed with it: KEDA sets the size anew at each change, Leda when the number is another;
//   - a formula that leaves what an int64 can hold: KEDA's conversion is up to the processor, Leda takes it for a failed reading;
//   - policy direct with anything but an HPA's own means (activation, pauses, fallback): there it is meant to differ.
//
// The module is its own because k8s.io/kubernetes and KEDA are none of the product's business. To
// fuzz, which first builds both anew, for ten minutes or so:
//
//	CGO_ENABLED=0 go test -trimpath -run '^$' -fuzz FuzzKEDAIsKEDA -fuzztime 10m -fuzzminimizetime 10x -parallel 1 .
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
	"k8s.io/apimachinery/pkg/types"
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
		h.Spec.Metrics = append(h.Spec.Metrics, metricSpec(i, *resource.NewMilliQuantity(t.Milli, resource.DecimalSI), t.IsValue))
	}
	legacyscheme.Scheme.Default(h)
	var internal autoscaling.HorizontalPodAutoscaler
	if err := legacyscheme.Scheme.Convert(h, &internal, nil); err != nil {
		return nil, err
	}
	problems := validation.ValidateHorizontalPodAutoscaler(&internal, validation.HorizontalPodAutoscalerSpecValidationOptions{})
	return h, problems.ToAggregate()
}

func metricSpec(i int, target resource.Quantity, isValue bool) autoscalingv2.MetricSpec {
	t := autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &target}
	if isValue {
		t = autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: &target}
	}
	return autoscalingv2.MetricSpec{
		Type:     autoscalingv2.ExternalMetricSourceType,
		External: &autoscalingv2.ExternalMetricSource{Metric: autoscalingv2.MetricIdentifier{Name: metricName(i)}, Target: t},
	}
}

func metricName(i int) string { return "s" + strconv.Itoa(i) }

// New starts a controller that ends with the test. It belongs inside a bubble of synctest.Test.
func New(t *testing.T, s Spec) *Autoscaler {
	t.Helper()
	h := admitted(t, s)
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

func admitted(t *testing.T, s Spec) *autoscalingv2.HorizontalPodAutoscaler {
	t.Helper()
	h, err := Admit(s)
	if err != nil {
		t.Fatalf("the API server refuses this HorizontalPodAutoscaler: %v", err)
	}
	return h
}

// Change gives the HorizontalPodAutoscaler another spec, which the next sync finds.
func (a *Autoscaler) Change(t *testing.T, s Spec) {
	t.Helper()
	h := a.stored().DeepCopy()
	h.Spec = admitted(t, s).Spec
	a.store(revised(h))
}

// Delete deletes the HorizontalPodAutoscaler and lets the controller find out, which it does at the sync after.
func (a *Autoscaler) Delete() {
	a.deleted()
	synctest.Wait()
}

// Create makes it anew, under the same name.
func (a *Autoscaler) Create(t *testing.T, s Spec) {
	t.Helper()
	h := admitted(t, s)
	h.UID = types.UID("after " + a.start.Add(a.syncs).String())
	a.store(h)
	a.began = false
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
