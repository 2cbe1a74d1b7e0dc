package hpa

import (
	"context"
	"errors"
	"time"

	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	"github.com/kedacore/keda/v2/pkg/scaling/executor"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	runtimeclient "sigs.k8s.io/controller-runtime/pkg/client"
)

// Executor is KEDA's real scale executor, the part of its loop that sets replicas, for one ScaledObject.
// What it makes of one run is told by what its triggers came to.
type Executor struct {
	executor.ScaleExecutor
	scaledObject *kedav1alpha1.ScaledObject
	edges        *edges
}

// NewExecutor is the executor of a ScaledObject that is made now and scales the Autoscaler's workload.
func NewExecutor(o *kedav1alpha1.ScaledObject, a *Autoscaler) *Executor {
	o.CreationTimestamp = metav1.NewTime(time.Now())
	o.Status.ScaleTargetGVKR = &kedav1alpha1.GroupVersionKindResource{Group: "apps", Version: "v1", Kind: "Deployment", Resource: "deployments"}
	return &Executor{
		executor.NewScaleExecutor(workload{e: a.edges}, a.edges, runtime.NewScheme(), time.Second, recorder{}), o, a.edges,
	}
}

// Verdict is what one run of KEDA's loop came to.
type Verdict struct {
	Replicas int32 // spec.replicas afterwards

	// The reasons of the ScaledObject's conditions.
	Active, Ready string
}

// Run is one run of KEDA's loop on a workload of so many replicas.
func (e *Executor) Run(ctx context.Context, replicas int32, active, failed bool) Verdict {
	e.edges.step.Replicas = replicas
	result := e.RequestScale(ctx, e.scaledObject, active, failed, executor.ScaleExecutorOptions{})
	if result.LastActiveTime != nil {
		e.scaledObject.Status.LastActiveTime = result.LastActiveTime
	}
	isActive, isReady := result.Conditions.GetActiveCondition(), result.Conditions.GetReadyCondition()
	return Verdict{e.edges.step.Replicas, isActive.Reason, isReady.Reason}
}

// workload is the API server, which the executor asks for the Deployment.
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

type recorder struct{}

func (recorder) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) {}
