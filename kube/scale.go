package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/leda-autoscaler/leda/scaling"
)

// A Workload is what the scale subresource says of one.
type Workload struct {
	Replicas int32 // spec.replicas: the size asked for
	Current  int32 // status.replicas: the pods there are
	version  string
	uid      string // tells it from another one of the same name
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
	UID             string `json:"uid,omitempty"`
}

type scaleSpec struct {
	Replicas int32 `json:"replicas"`
}

type scaleStatus struct {
	Replicas int32 `json:"replicas"`
}

// Scale reads the size of a target's workload. The error wraps [ErrNotFound] when there is no such workload.
func (c *Cluster) Scale(ctx context.Context, o *scaling.ScaledObject) (Workload, error) {
	answer, err := c.part(ctx, o, http.MethodGet, "scale", nil)
	if err != nil {
		return Workload{}, fmt.Errorf("read the scale of %s: %w", workloadName(o), err)
	}
	var s scale
	if err := json.Unmarshal(answer, &s); err != nil {
		return Workload{}, fmt.Errorf("read the scale of %s: the answer is no Scale: %w", workloadName(o), err)
	}
	if s.Kind != "Scale" || s.Metadata.ResourceVersion == "" {
		return Workload{}, fmt.Errorf("read the scale of %s: the answer is no Scale but kind %q", workloadName(o), s.Kind)
	}
	w := Workload{Replicas: s.Spec.Replicas, version: s.Metadata.ResourceVersion, uid: s.Metadata.UID}
	if s.Status != nil {
		w.Current = s.Status.Replicas
	}
	return w, nil
}

// SetScale sets the size of a target's workload, if it still is what was seen: else the error wraps
// [ErrConflict], and the caller observes and decides again.
//
// It is sent once. After any other error nobody knows whether the size was set: the next look sees it, and
// the version that was seen keeps a late one from undoing what was done since.
func (c *Cluster) SetScale(ctx context.Context, o *scaling.ScaledObject, seen Workload, replicas int32) error {
	body, err := json.Marshal(scale{
		APIVersion: "autoscaling/v1", Kind: "Scale",
		Metadata: scaleMetadata{Name: o.Target.Name, Namespace: o.Namespace, ResourceVersion: seen.version},
		Spec:     scaleSpec{Replicas: replicas},
	})
	if err != nil {
		return fmt.Errorf("set %s to %d replicas: %w", workloadName(o), replicas, err)
	}
	answer, err := c.part(ctx, o, http.MethodPut, "scale", body)
	if err != nil {
		return fmt.Errorf("set %s to %d replicas: %w", workloadName(o), replicas, err)
	}
	var s scale
	if err := json.Unmarshal(answer, &s); err != nil {
		return fmt.Errorf("set %s to %d replicas: the answer is no Scale, and nobody knows whether it was set: %w", workloadName(o), replicas, err)
	}
	if s.Kind != "Scale" || s.Spec.Replicas != replicas {
		return fmt.Errorf("set %s to %d replicas: the answer is kind %q with %d replicas", workloadName(o), replicas, s.Kind, s.Spec.Replicas)
	}
	return nil
}

// Ready reads how many of a workload's pods are ready: status.readyReplicas, 0 where there is none.
//
// The HPA counts the pods that match the workload's selector, run and are ready. The workload's controller
// counts those that it owns, and leaves out the ones that are being deleted: where somebody else's pods
// match the selector, or while pods that still serve are on their way out, the HPA's number is higher.
func (c *Cluster) Ready(ctx context.Context, o *scaling.ScaledObject) (int32, error) {
	answer, err := c.part(ctx, o, http.MethodGet, "status", nil)
	if err != nil {
		return 0, fmt.Errorf("read the ready pods of %s: %w", workloadName(o), err)
	}
	var workload struct {
		Kind   string `json:"kind"`
		Status struct {
			ReadyReplicas int32 `json:"readyReplicas"`
		} `json:"status"`
	}
	if err := json.Unmarshal(answer, &workload); err != nil {
		return 0, fmt.Errorf("read the ready pods of %s: the answer is no %s: %w", workloadName(o), o.Target.Kind, err)
	}
	if workload.Kind != o.Target.Kind {
		return 0, fmt.Errorf("read the ready pods of %s: the answer is kind %q", workloadName(o), workload.Kind)
	}
	return workload.Status.ReadyReplicas, nil
}

// part reads or writes a target's workload, or where name is not empty a subresource of it. When it is not there, the kind's resource may
// have become another.
func (c *Cluster) part(ctx context.Context, o *scaling.ScaledObject, verb, name string, body []byte) ([]byte, error) {
	r, err := c.resourceOf(ctx, o.Target, false)
	if err != nil {
		return nil, err
	}
	answer, err := c.request(ctx, verb, r.path(o, name), body)
	if errors.Is(err, ErrNotFound) && !builtIn(o.Target) {
		now, changed := c.resourceOf(ctx, o.Target, true)
		if changed != nil {
			return nil, changed
		}
		if now != r {
			r = now
			answer, err = c.request(ctx, verb, r.path(o, name), body)
		}
	}
	return answer, advise(err, o, verb, r.name, name)
}

func workloadName(o *scaling.ScaledObject) string {
	return o.Target.Kind + " " + o.Namespace + "/" + o.Target.Name
}

// advise says what to do about an answer that people meet.
func advise(err error, o *scaling.ScaledObject, verb, resource, part string) error {
	right := map[string]string{http.MethodGet: "get", http.MethodPut: "update"}[verb]
	what := resource
	if part != "" {
		what += "/" + part
	}
	switch {
	case errors.Is(err, ErrForbidden) && resource != guess(o.Target).name:
		return fmt.Errorf("the Role in namespace %s does not allow %s on %s of %s: the cluster calls kind %s %s, and `leda rbac` can only guess %s; put its name into the Role (%w)",
			o.Namespace, right, what, o.Target.Name, o.Target.Kind, resource, guess(o.Target).name, err)
	case errors.Is(err, ErrForbidden):
		return fmt.Errorf("the Role in namespace %s does not allow %s on %s of %s: apply `leda rbac` (%w)", o.Namespace, right, what, o.Target.Name, err)
	case errors.Is(err, ErrUnauthorized):
		return fmt.Errorf("the cluster does not know the function's role: is its access entry there, and its authentication mode API or API_AND_CONFIG_MAP? (%w)", err)
	case errors.Is(err, ErrNotFound) && part == "status":
		return fmt.Errorf("metricType Value needs the number of ready pods, and kind %s has no status subresource, or the workload is gone (%w)", o.Target.Kind, err)
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("create the workload, or mend scaleTargetRef of ScaledObject %s/%s (%w)", o.Namespace, o.Name, err)
	}
	return err
}
