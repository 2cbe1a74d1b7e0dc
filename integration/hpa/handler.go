package hpa

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	"github.com/kedacore/keda/v2/pkg/fallback"
	"github.com/kedacore/keda/v2/pkg/scaling/executor"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/metrics/pkg/apis/external_metrics"
	runtimeclient "sigs.k8s.io/controller-runtime/pkg/client"
)

// Handler is KEDA's scale handler for one ScaledObject: what it makes of readings, for its own loop and
// for the HPA. Its parts are KEDA's: the scale executor, which sets replicas; the fallback; the compilation of formulas.
//
// What pkg/scaling does with these parts (getScaledObjectState, GetScaledObjectMetrics and
// applyScalingModifiersFormula, v2.21) is written out here: that package cannot be had without every scaler there is, 1,600
// packages more.
type Handler struct {
	executor.ScaleExecutor
	object  *kedav1alpha1.ScaledObject
	metrics []autoscalingv2.MetricSpec // one for each trigger
	formula *vm.Program                // nil without scalingModifiers
	edges   *edges
	lock    sync.RWMutex
}

// Source is what one trigger's source says.
type Source struct {
	Value  resource.Quantity
	Active bool
	Err    error
}

// Verdict is what one run of KEDA's loop came to.
type Verdict struct {
	Replicas int32 // spec.replicas afterwards
	Failed   bool  // a trigger could not be read

	// The reasons of the ScaledObject's conditions.
	Active, Ready string
}

// NewHandler is the handler of a ScaledObject that is made now and scales the Autoscaler's workload. metrics are those
// of its triggers, one for each.
func NewHandler(o *kedav1alpha1.ScaledObject, metrics []autoscalingv2.MetricSpec, a *Autoscaler) (*Handler, error) {
	h := &Handler{
		ScaleExecutor: executor.NewScaleExecutor(workload{e: a.edges}, a.edges, runtime.NewScheme(), time.Second, recorder{}),
		object:        &kedav1alpha1.ScaledObject{}, edges: a.edges,
	}
	h.object.CreationTimestamp = metav1.NewTime(time.Now())
	h.object.Status.ScaleTargetGVKR = &kedav1alpha1.GroupVersionKindResource{Group: "apps", Version: "v1", Kind: "Deployment", Resource: "deployments"}
	return h, h.Change(o, metrics)
}

// Change gives the ScaledObject another spec and other annotations.
func (h *Handler) Change(o *kedav1alpha1.ScaledObject, metrics []autoscalingv2.MetricSpec) (err error) {
	o.CreationTimestamp, o.Status = h.object.CreationTimestamp, h.object.Status
	h.object, h.metrics, h.formula = o, metrics, nil
	if o.IsUsingModifiers() {
		h.formula, err = kedav1alpha1.ValidateAndCompileScalingModifiers(o)
	}
	return err
}

// Poll is one run of KEDA's loop on the workload as the step has it.
func (h *Handler) Poll(ctx context.Context, s Step, sources []Source) Verdict {
	h.edges.step = s
	active, failed := false, false
	observed := h.observe(ctx, sources)
	for i, o := range observed {
		failed = failed || o.err != nil
		active = active || o.err == nil && (o.inForce || sources[i].Active)
	}
	if m := h.object.Spec.Advanced; h.formula != nil {
		value, err := h.composite(observed)
		threshold, _ := strconv.ParseFloat(m.ScalingModifiers.ActivationTarget, 64) // 0 when it is not written
		active = err == nil && !failed && value.AsApproximateFloat64() > threshold
	}
	result := h.RequestScale(ctx, h.object, active, failed, executor.ScaleExecutorOptions{})
	if result.LastActiveTime != nil {
		h.object.Status.LastActiveTime = result.LastActiveTime
	}
	isActive, isReady := result.Conditions.GetActiveCondition(), result.Conditions.GetReadyCondition()
	return Verdict{h.edges.step.Replicas, failed, isActive.Reason, isReady.Reason}
}

// Metrics is what the HPA gets for the workload as the step has it.
//
// KEDA counts a failure here too. Leda's loops share one reading, which counts once, in KEDA's loop. So
// here every count is put back before and after: what it is compared with is KEDA's, how often it grows is not.
func (h *Handler) Metrics(ctx context.Context, s Step, sources []Source) []Metric {
	h.edges.step = s
	counted := h.object.Status.DeepCopy().Health
	h.object.Status.Health = map[string]kedav1alpha1.HealthStatus{}
	for i := range sources {
		before := int32(-1)
		if n := counted[metricName(i)].NumberOfFailures; n != nil {
			before = *n - 1
		}
		h.object.Status.Health[metricName(i)] = kedav1alpha1.HealthStatus{NumberOfFailures: &before, Status: kedav1alpha1.HealthStatusFailing}
	}
	defer func() { h.object.Status.Health = counted }()

	observed := h.observe(ctx, sources)
	if h.formula != nil {
		value, err := h.composite(observed)
		return []Metric{{value.MilliValue(), err}}
	}
	all := make([]Metric, len(observed))
	for i, o := range observed {
		all[i] = Metric{o.value.MilliValue(), o.err}
	}
	return all
}

// observed is what one trigger came to.
type observed struct {
	value   resource.Quantity
	inForce bool // a fallback is
	err     error
}

func (h *Handler) observe(ctx context.Context, sources []Source) []observed {
	all := make([]observed, len(sources))
	for i, s := range sources {
		name := metricName(i)
		object := fallback.ScaledObjectHandler{
			Ctx: ctx, KubeClient: workload{e: h.edges}, ScaleClient: h.edges, UpdateLock: &h.lock, ScaledObject: h.object,
		}
		read := []external_metrics.ExternalMetricValue{{MetricName: name, Value: s.Value}}
		metrics, inForce, err := fallback.GetMetricsWithFallback(object, read, s.Err, name, h.metrics[i])
		if all[i] = (observed{inForce: inForce, err: err}); err == nil {
			all[i].value = metrics[0].Value
		}
	}
	return all
}

// composite is what scalingModifiers make of the triggers.
func (h *Handler) composite(all []observed) (value resource.Quantity, err error) {
	modifiers, failed := h.object.Spec.Advanced.ScalingModifiers, error(nil)
	data := map[string]any{}
	for i, o := range all {
		if o.inForce {
			return o.value, nil
		}
		if o.err != nil {
			failed = o.err
			continue
		}
		data[h.object.Spec.Triggers[i].Name] = o.value.AsApproximateFloat64()
		n := h.object.Status.Health[metricName(i)].NumberOfFailures
		if h.object.FallbackScalingModifiers() && n != nil && *n > h.object.Spec.Fallback.FailureThreshold {
			data[h.object.Spec.Triggers[i].Name] = nil
		}
	}
	if failed != nil {
		return value, failed
	}
	result, err := expr.Run(h.formula, data)
	if err != nil {
		return value, err
	}
	if result == nil {
		if h.object.Spec.Fallback == nil {
			return value, errors.New("the formula is nil, and there is no fallback")
		}
		target, err := strconv.ParseFloat(modifiers.Target, 64)
		if err != nil {
			return value, err
		}
		result = float64(h.object.Spec.Fallback.Replicas) * target
	}
	number, ok := result.(float64)
	if !ok {
		return value, fmt.Errorf("the formula gives a %T", result)
	}
	value.SetMilli(int64(number * 1000))
	return value, nil
}

// workload is the API server, of which KEDA asks the Deployment and its pods and to which it tells the
// ScaledObject's status.
type workload struct {
	runtimeclient.Client
	e *edges
}

func (w workload) Get(_ context.Context, _ runtimeclient.ObjectKey, into runtimeclient.Object, _ ...runtimeclient.GetOption) error {
	d, ok := into.(*appsv1.Deployment)
	if !ok {
		return errors.ErrUnsupported
	}
	d.Spec.Replicas = &w.e.step.Replicas
	return nil
}

func (w workload) List(_ context.Context, into runtimeclient.ObjectList, _ ...runtimeclient.ListOption) error {
	list, ok := into.(*corev1.PodList)
	if !ok {
		return errors.ErrUnsupported
	}
	pods, err := podLister{w.e}.List(nil)
	for _, p := range pods {
		list.Items = append(list.Items, *p)
	}
	return err
}

func (workload) Status() runtimeclient.SubResourceWriter { return told{} }

type told struct {
	runtimeclient.SubResourceWriter
}

func (told) Patch(context.Context, runtimeclient.Object, runtimeclient.Patch, ...runtimeclient.SubResourcePatchOption) error {
	return nil
}

type recorder struct{}

func (recorder) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) {}
