package hpa

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	autoscalingclient "k8s.io/client-go/kubernetes/typed/autoscaling/v2"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	autoscalinglisters "k8s.io/client-go/listers/autoscaling/v2"
	corelisters "k8s.io/client-go/listers/core/v1"
	scaleclient "k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
)

// edges is everything that the controller speaks to: one HorizontalPodAutoscaler, one workload, its
// pods and its metrics. What the controller does not call for external metrics is an embedded nil
// interface, here and below: should a later version call it, it panics.
type edges struct {
	metrics.MetricsClient

	cached  cache.Indexer // the informer's store, which holds the HorizontalPodAutoscaler
	handler cache.ResourceEventHandler
	step    Step
	began   bool

	proposal int32
}

func newEdges(h *autoscalingv2.HorizontalPodAutoscaler) *edges {
	e := &edges{cached: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})}
	e.store(h)
	return e
}

func (e *edges) store(h *autoscalingv2.HorizontalPodAutoscaler) {
	if err := e.cached.Update(h); err != nil {
		panic(err) // an object without a name
	}
}

func (e *edges) stored() *autoscalingv2.HorizontalPodAutoscaler {
	return e.cached.List()[0].(*autoscalingv2.HorizontalPodAutoscaler)
}

// changed is the watch event of a HorizontalPodAutoscaler that is new or has a new spec, on which the controller
// syncs at once (Kubernetes 1.37).
func (e *edges) changed() {
	old := e.stored()
	if !e.began {
		e.began = true
		e.handler.OnAdd(old, false)
		return
	}
	h := old.DeepCopy()
	h.Generation++
	e.store(revised(h))
	e.handler.OnUpdate(old, h)
}

// deleted is the watch event of a HorizontalPodAutoscaler that is gone, and the sync that was still to
// come: it finds nothing, and the controller forgets.
func (e *edges) deleted() {
	old := e.stored()
	if err := e.cached.Delete(old); err != nil {
		panic(err)
	}
	e.handler.OnDelete(old)
	h := old.DeepCopy()
	h.Generation++
	e.handler.OnUpdate(old, h)
}

// revised gives h a resourceVersion of its own: the controller waits until it can read what it wrote.
func revised(h *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscaler {
	version, err := strconv.Atoi(h.ResourceVersion)
	if err != nil {
		panic(err)
	}
	h.ResourceVersion = strconv.Itoa(version + 1)
	return h
}

func (e *edges) outcome() Outcome {
	o := Outcome{Replicas: e.step.Replicas, Proposal: e.proposal}
	for _, c := range e.stored().Status.Conditions {
		switch c.Type {
		case autoscalingv2.AbleToScale:
			o.AbleToScale = c.Reason
		case autoscalingv2.ScalingActive:
			o.ScalingActive = c.Reason
		case autoscalingv2.ScalingLimited:
			o.ScalingLimited = c.Reason
		}
	}
	return o
}

// The workload's scale subresource.

func (e *edges) Scales(string) scaleclient.ScaleInterface { return scale{e: e} }

type scale struct {
	scaleclient.ScaleInterface
	e *edges
}

var selector = labels.Set{"app": "orders"}

func (s scale) Get(context.Context, schema.GroupResource, string, metav1.GetOptions) (*autoscalingv1.Scale, error) {
	return &autoscalingv1.Scale{
		Spec:   autoscalingv1.ScaleSpec{Replicas: s.e.step.Replicas},
		Status: autoscalingv1.ScaleStatus{Replicas: s.e.step.Status, Selector: selector.String()},
	}, nil
}

func (s scale) Update(_ context.Context, _ schema.GroupResource, to *autoscalingv1.Scale, _ metav1.UpdateOptions) (*autoscalingv1.Scale, error) {
	s.e.step.Replicas = to.Spec.Replicas
	return to, nil
}

type mapper struct{ meta.RESTMapper }

func (mapper) RESTMappings(schema.GroupKind, ...string) ([]*meta.RESTMapping, error) {
	return []*meta.RESTMapping{{Resource: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}}}, nil
}

// The external metrics API.

func (e *edges) GetExternalMetric(name, _ string, _ labels.Selector) ([]int64, time.Time, error) {
	for i, m := range e.step.Metrics {
		if name == metricName(i) {
			return []int64{m.Milli}, time.Now(), m.Err
		}
	}
	return nil, time.Time{}, errors.New("no such metric")
}

// The HorizontalPodAutoscaler: what the controller writes is in its cache at once.

func (e *edges) HorizontalPodAutoscalers(string) autoscalingclient.HorizontalPodAutoscalerInterface {
	return status{e: e}
}

type status struct {
	autoscalingclient.HorizontalPodAutoscalerInterface
	e *edges
}

func (s status) UpdateStatus(_ context.Context, h *autoscalingv2.HorizontalPodAutoscaler, _ metav1.UpdateOptions) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	// The API server takes only the status from such a request: not the window that the controller fills in.
	written := s.e.stored().DeepCopy()
	written.Status = *h.Status.DeepCopy()
	s.e.store(revised(written))
	return written, nil
}

type hpaInformer struct{ *edges }

func (i hpaInformer) Informer() cache.SharedIndexInformer { return informer{e: i.edges} }

func (i hpaInformer) Lister() autoscalinglisters.HorizontalPodAutoscalerLister {
	return autoscalinglisters.NewHorizontalPodAutoscalerLister(i.cached)
}

type informer struct {
	cache.SharedIndexInformer
	e *edges
}

func (i informer) AddEventHandlerWithResyncPeriod(h cache.ResourceEventHandler, _ time.Duration) (cache.ResourceEventHandlerRegistration, error) {
	i.e.handler = h
	return nil, nil
}

func (i informer) GetStore() cache.Store { return i.e.cached }
func (i informer) HasSynced() bool       { return true }

// The workload's pods.

type podInformer struct{ *edges }

func (i podInformer) Informer() cache.SharedIndexInformer { return informer{} }
func (i podInformer) Lister() corelisters.PodLister       { return podLister(i) }

type podLister struct{ *edges }

var (
	starting = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: selector}, Status: corev1.PodStatus{Phase: corev1.PodPending}}
	ready    = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: selector}, Status: corev1.PodStatus{
		Phase:      corev1.PodRunning,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
	}}
)

func (p podLister) List(labels.Selector) ([]*corev1.Pod, error) {
	all := make([]*corev1.Pod, p.step.Status)
	for i := range all {
		all[i] = starting
		if int32(i) < p.step.Ready {
			all[i] = ready
		}
	}
	return all, nil
}

func (p podLister) Pods(string) corelisters.PodNamespaceLister { return podsInNamespace{p} }

type podsInNamespace struct{ podLister }

func (podsInNamespace) Get(string) (*corev1.Pod, error) { return nil, errors.ErrUnsupported }

// Events go nowhere: the conditions say the same.

func (e *edges) Events(string) coreclient.EventInterface { return events{} }

type events struct{ coreclient.EventInterface }

func (events) CreateWithEventNamespace(event *corev1.Event) (*corev1.Event, error) {
	return event, nil
}

func (events) PatchWithEventNamespace(event *corev1.Event, _ []byte) (*corev1.Event, error) {
	return event, nil
}

// proposals is the controller's log. It tells one thing that nothing else does: the size before windows and limits.
type proposals struct {
	logr.LogSink
	edges *edges
}

func (proposals) Init(logr.RuntimeInfo)            {}
func (proposals) Enabled(int) bool                 { return true }
func (proposals) Error(error, string, ...any)      {}
func (p proposals) WithValues(...any) logr.LogSink { return p }
func (p proposals) WithName(string) logr.LogSink   { return p }
func (p proposals) Info(_ int, message string, of ...any) {
	if message == "Proposing desired replicas" {
		p.edges.proposal = of[1].(int32)
	}
}
