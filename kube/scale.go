package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/leda-autoscaler/leda/scaling"
)

// A Workload is what the scale subresource says of one.
type Workload struct {
	Replicas int32 // spec.replicas: the size asked for
	Current  int32 // status.replicas: the pods there are
	version  string
}

// scale is the part of autoscaling/v1 Scale that is read and written.
type scale struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Metadata   scaleMetadata `json:"metadata"`
	Spec       scaleSpec     `json:"spec"`
	Status     *scaleStatus  `json:"status,omitempty"`
}

type scaleMetadata struct {
	Name            string `json:"name"`
	Namespace       string `json:"namespace"`
	ResourceVersion string `json:"resourceVersion"`
}

type scaleSpec struct {
	Replicas int32 `json:"replicas"`
}

type scaleStatus struct {
	Replicas int32 `json:"replicas"`
}

// Scale reads the size of a target's workload. The error wraps [ErrNotFound] when there is no such workload.
func (c *Cluster) Scale(ctx context.Context, o *scaling.ScaledObject) (Workload, error) {
	answer, err := c.request(ctx, "GET", scalePath(o), nil)
	if err != nil {
		return Workload{}, fmt.Errorf("read the scale of %s: %w", workloadName(o), advise(err, o, "get"))
	}
	var s scale
	if err := json.Unmarshal(answer, &s); err != nil {
		return Workload{}, fmt.Errorf("read the scale of %s: the answer is no Scale: %w", workloadName(o), err)
	}
	if s.Kind != "Scale" || s.Metadata.ResourceVersion == "" {
		return Workload{}, fmt.Errorf("read the scale of %s: the answer is no Scale but kind %q", workloadName(o), s.Kind)
	}
	w := Workload{Replicas: s.Spec.Replicas, version: s.Metadata.ResourceVersion}
	if s.Status != nil {
		w.Current = s.Status.Replicas
	}
	return w, nil
}

// SetScale sets the size of a target's workload, if it still is what was seen: else the error wraps
// [ErrConflict], and the caller observes and decides again.
func (c *Cluster) SetScale(ctx context.Context, o *scaling.ScaledObject, seen Workload, replicas int32) error {
	body, err := json.Marshal(scale{
		APIVersion: "autoscaling/v1", Kind: "Scale",
		Metadata: scaleMetadata{Name: o.Target.Name, Namespace: o.Namespace, ResourceVersion: seen.version},
		Spec:     scaleSpec{Replicas: replicas},
	})
	if err != nil {
		return fmt.Errorf("set %s to %d replicas: %w", workloadName(o), replicas, err)
	}
	if _, err := c.request(ctx, "PUT", scalePath(o), body); err != nil {
		return fmt.Errorf("set %s to %d replicas: %w", workloadName(o), replicas, advise(err, o, "update"))
	}
	return nil
}

func workloadName(o *scaling.ScaledObject) string {
	return o.Target.Kind + " " + o.Namespace + "/" + o.Target.Name
}

func scalePath(o *scaling.ScaledObject) string { return workloadPath(o) + "/scale" }

func workloadPath(o *scaling.ScaledObject) string {
	r := resourceOf(o.Target)
	root := "/apis/" + r.Group
	if r.Group == "" {
		root = "/api"
	}
	return root + "/" + r.Version + "/namespaces/" + o.Namespace + "/" + r.Resource + "/" + o.Target.Name
}

// resourceOf names the resource of a kind by Kubernetes' own rule for plurals, the one that built-in
// kinds follow and generated CRDs are given.
func resourceOf(t scaling.TargetRef) schema.GroupVersionResource {
	kind := schema.FromAPIVersionAndKind(t.APIVersion, t.Kind)
	plural, _ := meta.UnsafeGuessKindToResource(kind)
	return plural
}

// advise says what to do about an answer that people meet.
func advise(err error, o *scaling.ScaledObject, verb string) error {
	resource := resourceOf(o.Target).Resource
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the Role in namespace %s does not allow %s on %s/scale of %s: apply `leda rbac` (%w)", o.Namespace, verb, resource, o.Target.Name, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the cluster does not know the function's role: is its access entry there, and its authentication mode API or API_AND_CONFIG_MAP? (%w)", err)
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("create the workload, or mend scaleTargetRef of ScaledObject %s/%s (%w)", o.Namespace, o.Name, err)
	}
	return err
}
