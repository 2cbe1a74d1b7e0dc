package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// rediscoverInterval is how often a cluster is asked again about kinds it did not know, or may have changed.
const rediscoverInterval = time.Minute

// resource is a kind as the paths of the API server have it.
type resource struct{ group, version, name string }

// builtIn are the kinds with a scale subresource that every cluster has.
func builtIn(t scaling.TargetRef) bool {
	switch t.APIVersion + " " + t.Kind {
	case "apps/v1 Deployment", "apps/v1 StatefulSet", "apps/v1 ReplicaSet", "v1 ReplicationController":
		return true
	}
	return false
}

// guess names the resource of a kind while the cluster has not been asked.
func guess(t scaling.TargetRef) resource {
	group, version, name := t.Resource()
	return resource{group, version, name}
}

// root is where the API server has the resource's group and version.
func (r resource) root() string {
	if r.group == "" {
		return "/api/" + r.version
	}
	return "/apis/" + r.group + "/" + r.version
}

// path is where a workload is, or a part of it: scale or status.
func (r resource) path(o *scaling.ScaledObject, part string) string {
	workload := r.root() + "/namespaces/" + url.PathEscape(o.Namespace) + "/" + r.name + "/" + url.PathEscape(o.Target.Name)
	if part == "" {
		return workload
	}
	return workload + "/" + part
}

// apiResources is what a cluster says of the kinds in one group and version.
type apiResources struct {
	at        time.Time
	resources []apiResource
	err       error // it refused to say
}

type apiResource struct {
	Name       string `json:"name"`
	Kind       string `json:"kind"`
	Namespaced bool   `json:"namespaced"`
}

// resourceOf names the resource of a target's kind: by what the cluster says, asked once, and again, but
// not often, where that does not help. stale says that what was asked before has proved wrong.
func (c *Cluster) resourceOf(ctx context.Context, t scaling.TargetRef, stale bool) (resource, error) {
	r := guess(t)
	if builtIn(t) {
		return r, nil
	}
	c.discovery.Lock()
	defer c.discovery.Unlock()
	known, found := c.resources[r.root()]
	name, err := known.find(t)
	if (!found || stale || err != nil) && c.Now().Sub(known.at) >= rediscoverInterval {
		if known, err = c.discover(ctx, r.root()); err != nil {
			return r, fmt.Errorf("ask the cluster for the kinds of %s: %w", t.APIVersion, err)
		}
		if c.resources == nil {
			c.resources = map[string]apiResources{}
		}
		c.resources[r.root()] = known
		name, err = known.find(t)
	}
	r.name = name
	return r, err
}

// discover asks for the kinds of one group and version. A refusal is an answer, which holds for a while.
func (c *Cluster) discover(ctx context.Context, root string) (apiResources, error) {
	known := apiResources{at: c.Now()}
	answer, err := c.request(ctx, http.MethodGet, root, nil)
	var said *refusal
	if err != nil && !errors.As(err, &said) {
		return known, err
	}
	if known.err = err; err == nil {
		var list struct {
			Resources []apiResource `json:"resources"`
		}
		if err := json.Unmarshal(answer, &list); err != nil {
			return known, fmt.Errorf("the answer is no list of kinds: %w", err)
		}
		for _, r := range list.Resources {
			if _, part, _ := strings.Cut(r.Name, "/"); part == "" || part == "scale" {
				known.resources = append(known.resources, r)
			}
		}
	}
	return known, nil
}

// find is the name of a kind's resource, if it can be scaled.
func (known apiResources) find(t scaling.TargetRef) (string, error) {
	mend := "mend apiVersion and kind of scaleTargetRef"
	switch {
	case errors.Is(known.err, ErrNotFound):
		return "", fmt.Errorf("the cluster has no %s: install what brings kind %s, or %s (%w)", t.APIVersion, t.Kind, mend, known.err)
	case errors.Is(known.err, ErrForbidden):
		return "", fmt.Errorf("the cluster does not say what %s is: bind ClusterRole system:discovery to the function's group (%w)", t.APIVersion, known.err)
	case known.err != nil:
		return "", fmt.Errorf("the cluster does not say what kinds %s has (%w)", t.APIVersion, known.err)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(known.resources, func(r apiResource) bool { return r.Name == name })
	}
	seen := false
	for _, r := range known.resources {
		if r.Kind != t.Kind || strings.Contains(r.Name, "/") || !r.Namespaced {
			continue
		}
		if seen = true; has(r.Name + "/scale") {
			return r.Name, nil
		}
	}
	if seen {
		return "", fmt.Errorf("kind %s of %s has no scale subresource: its replicas cannot be set; %s", t.Kind, t.APIVersion, mend)
	}
	return "", fmt.Errorf("%s has no kind %s in this cluster: %s", t.APIVersion, t.Kind, mend)
}
