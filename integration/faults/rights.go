package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// rights asks the API server whether the group leda may do anything at all: every verb on every resource and
// subresource that it has, in the targets' namespaces and in others, by their names and by others.
type rights struct {
	brief          bool // the groups that Leda has to do with, and the verbs that people think of
	asked, granted int
	problems       []string
}

func (r *rights) String() string { return "rights" }

// rightsObjects refer to whatever a ScaledObject can refer to.
const rightsObjects = `
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: keys, namespace: rights}
spec:
  configMapTargetRef: [{parameter: awsAccessKeyID, name: reader-id, key: id}]
  secretTargetRef: [{parameter: awsSecretAccessKey, name: reader, key: secret}]
---
apiVersion: keda.sh/v1alpha1
kind: ClusterTriggerAuthentication
metadata: {name: shared}
spec: {secretTargetRef: [{parameter: awsAccessKeyID, name: shared, key: id}, {parameter: awsSecretAccessKey, name: shared, key: secret}]}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: orders, namespace: rights}
spec:
  scaleTargetRef: {name: orders}
  triggers: [{type: aws-sqs-queue, authenticationRef: {name: keys}, metadata: {queueURL: orders, awsRegion: eu-west-1}}]
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: bills, namespace: rights}
spec:
  scaleTargetRef: {name: bills, kind: StatefulSet}
  triggers: [{type: aws-sqs-queue, metricType: Value, authenticationRef: {name: shared, kind: ClusterTriggerAuthentication}, metadata: {queueURLFromEnv: QUEUE, awsRegion: eu-west-1}}]
`

// allowed is all that they may: verb, resource, namespace, name.
func allowed() []string {
	var all []string
	for _, what := range []string{"deployments.apps/scale rights orders", "statefulsets.apps/scale rights bills", "configmaps rights leda-memory-0"} {
		all = append(all, "get "+what, "update "+what)
	}
	return append(all, "get statefulsets.apps/status rights bills", "get statefulsets.apps rights bills",
		"get configmaps rights reader-id", "get secrets rights reader", "get secrets keda shared", "create events rights ")
}

// resource is one that the API server has.
type apiResource struct{ group, name string }

func (r apiResource) String() string {
	name, part, _ := strings.Cut(r.name, "/")
	if r.group != "" {
		name += "." + r.group
	}
	if part != "" {
		name += "/" + part
	}
	return name
}

// run asks, and compares with what is allowed.
func (r *rights) run(ctx context.Context, w *world) error {
	parsed, err := scaling.Parse(scaling.File{Name: "rights", Data: []byte(rightsObjects)})
	if err != nil {
		return fmt.Errorf("%w: %w", errWorld, err)
	}
	for _, namespace := range []string{"rights", "keda", "hostile"} {
		if err := w.plane.apply(ctx, "/api/v1/namespaces", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]string{"name": namespace}}); err != nil {
			return err
		}
	}
	if err := w.plane.apply(ctx, "/apis/apps/v1/namespaces/rights/deployments", deployment("orders")); err != nil {
		return err
	}
	if err := w.plane.applyRights(ctx, parsed.ScaledObjects); err != nil {
		return err
	}
	if err := w.plane.awaitRights(ctx, "/apis/apps/v1/namespaces/rights/deployments/orders/scale"); err != nil {
		return err
	}
	resources, err := w.plane.resources(ctx)
	if err != nil {
		return err
	}
	if r.brief {
		resources = slices.DeleteFunc(resources, func(a apiResource) bool {
			return !slices.Contains([]string{"", "apps", "rbac.authorization.k8s.io"}, a.group)
		})
	}
	found, err := r.ask(ctx, w.plane, resources)
	if err != nil {
		return err
	}
	want := allowed()
	r.granted = len(found)
	for _, right := range found {
		if !slices.Contains(want, right) {
			r.problems = append(r.problems, "it may "+right)
		}
	}
	for _, right := range want {
		if !slices.Contains(found, right) {
			r.problems = append(r.problems, "it may not "+right)
		}
	}
	return nil
}

// ask returns what is granted of everything that could be asked.
func (r *rights) ask(ctx context.Context, plane *controlPlane, resources []apiResource) (granted []string, err error) {
	verbs := []string{"get", "list", "create", "update", "patch", "watch", "delete", "deletecollection", "impersonate", "bind", "escalate"}
	if r.brief {
		verbs = verbs[:5]
	}
	names := []string{"", "orders", "bills", "leda-memory-0", "leda-memory-1", "reader", "reader-id", "shared", "leda"}
	var all sync.WaitGroup
	var mu sync.Mutex
	places := make(chan struct{}, 8)
	for _, resource := range resources {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			for _, namespace := range []string{"rights", "hostile", "keda", ""} {
				for _, name := range names {
					if namespace != "rights" && name != "" && name != "orders" && name != "shared" && name != "leda-memory-0" {
						continue
					}
					for _, verb := range verbs {
						may, problem := plane.may(ctx, verb, resource, namespace, name)
						mu.Lock()
						r.asked++
						if problem != nil {
							err = problem
						}
						if right := verb + " " + resource.String() + " " + namespace + " " + name; may && (name == "" || verb != "create" || resource.name != "events") { // an event of any name
							granted = append(granted, right)
						}
						mu.Unlock()
					}
				}
			}
		})
	}
	all.Wait()
	return granted, err
}

// may asks the API server's own judgement on the group leda.
func (p *controlPlane) may(ctx context.Context, verb string, on apiResource, namespace, name string) (bool, error) {
	resource, part, _ := strings.Cut(on.name, "/")
	body, err := json.Marshal(map[string]any{
		"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
		"spec": map[string]any{"user": "leda", "groups": []string{"leda"}, "resourceAttributes": map[string]string{
			"verb": verb, "group": on.group, "resource": resource, "subresource": part, "namespace": namespace, "name": name,
		}},
	})
	if err != nil {
		return false, err
	}
	answer, err := p.ask(ctx, http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", "application/json", body)
	if err != nil {
		return false, err
	}
	var review struct{ Status struct{ Allowed bool } }
	return review.Status.Allowed, json.Unmarshal(answer, &review)
}

// resources are all that the API server has, and two that it has not.
func (p *controlPlane) resources(ctx context.Context) ([]apiResource, error) {
	versions := map[string]string{"/api/v1": ""}
	answer, err := p.ask(ctx, http.MethodGet, "/apis", "", nil)
	if err != nil {
		return nil, err
	}
	var groups struct {
		Groups []struct {
			Name             string
			PreferredVersion struct{ GroupVersion string }
		}
	}
	if err := json.Unmarshal(answer, &groups); err != nil {
		return nil, err
	}
	for _, g := range groups.Groups {
		versions["/apis/"+g.PreferredVersion.GroupVersion] = g.Name
	}
	all := []apiResource{{"*", "*"}, {"example.com", "fleets/scale"}}
	for path, group := range versions {
		answer, err := p.ask(ctx, http.MethodGet, path, "", nil)
		if err != nil {
			return nil, err
		}
		var list struct{ Resources []struct{ Name string } }
		if err := json.Unmarshal(answer, &list); err != nil {
			return nil, err
		}
		for _, r := range list.Resources {
			all = append(all, apiResource{group, r.Name})
		}
	}
	return all, nil
}

func printRights(out io.Writer, r *rights, took time.Duration) bool {
	outcome := "exactly these"
	if len(r.problems) > 0 {
		outcome = "RED"
	}
	fmt.Fprintf(out, "rights: of %d that could be, the group leda has %d: %s, in %s\n\n", r.asked, r.granted, outcome, took.Round(time.Second))
	return len(r.problems) == 0
}
