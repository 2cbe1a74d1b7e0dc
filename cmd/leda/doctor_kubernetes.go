package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

// kubernetes looks at the cluster of the caller's kubeconfig.
func (d *diagnosis) kubernetes(ctx context.Context) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = d.kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: d.context})
	update := "aws eks update-kubeconfig --name CLUSTER"
	config, err := loader.ClientConfig()
	if err != nil {
		d.unknown(update, "no cluster can be looked at: %v", err)
		return
	}
	objects := d.reached(config.Host)
	if len(objects) == 0 {
		return
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		d.unknown(update, "no cluster can be looked at: %v", err)
		return
	}
	d.wait("asking the API server at " + config.Host)
	k := clusterCheck{d, client, objects}
	if !k.rights(ctx) {
		return
	}
	for i := range objects {
		k.workload(ctx, &objects[i])
	}
	k.rivals(ctx)
}

// reached are the ScaledObjects of the cluster that the kubeconfig speaks to. Where AWS did not say which one that
// is, it is taken for the one that is meant.
func (d *diagnosis) reached(host string) []scaling.ScaledObject {
	if len(d.endpoint) == 0 {
		return d.objects
	}
	var objects []scaling.ScaledObject
	for _, cluster := range slices.Sorted(maps.Keys(d.clusters)) {
		if endpoint, ok := d.endpoint[cluster]; ok && !sameHost(endpoint, host) {
			d.unknown("aws eks update-kubeconfig --name "+cluster, "your kubeconfig speaks to %s, and cluster %s is at %s, so it is not looked at from within", host, cluster, endpoint)
		} else if !ok {
			d.unknown("leda doctor -context CONTEXT FILE…", "whether your kubeconfig speaks to cluster %s is not known, so it is not looked at from within", cluster)
		} else {
			for _, o := range d.objects {
				if o.Cluster == cluster || o.Cluster == "" && len(d.clusters) == 1 {
					objects = append(objects, o)
				}
			}
		}
	}
	return objects
}

func sameHost(a, b string) bool {
	host := func(url string) string {
		_, rest, found := strings.Cut(url, "://")
		if !found {
			rest = url
		}
		return strings.ToLower(strings.TrimSuffix(rest, "/"))
	}
	return host(a) == host(b)
}

// clusterCheck asks an API server with the caller's credentials.
type clusterCheck struct {
	*diagnosis
	client  dynamic.Interface
	objects []scaling.ScaledObject // those of the cluster
}

// rights asks the API server whether the group may do what the ScaledObjects need: all that `leda rbac` would
// print. It says whether the API server can be asked at all.
func (k clusterCheck) rights(ctx context.Context) bool {
	manifest, err := kube.RBAC(k.objects, k.group, scaling.DefaultClusterObjectNamespace)
	if err != nil {
		k.unknown("", "%v", err)
		return true
	}
	asked, missing := 0, 0
	for _, document := range bytes.Split(manifest, []byte("\n---\n")) {
		var object struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Rules    []struct{ APIGroups, Resources, ResourceNames, Verbs []string }
		}
		if err := yaml.Unmarshal(document, &object); err != nil {
			k.unknown("", "read what leda rbac prints: %v", err)
			return true
		}
		if object.Kind == "ConfigMap" {
			if !k.memory(ctx, object.Metadata.Namespace, object.Metadata.Name) {
				return false
			}
			continue
		}
		for _, rule := range object.Rules {
			for _, access := range expand(rule.APIGroups, rule.Resources, rule.ResourceNames, rule.Verbs) {
				access.namespace = object.Metadata.Namespace
				allowed, err := k.may(ctx, access)
				if err != nil {
					k.unknown("", "the rights of group %s could not be asked for: %v", k.group, err)
					return !isUnreachable(err)
				}
				asked++
				if !allowed {
					missing++
					k.wrong(k.applyRights(), "group %s may not %s", k.group, access)
				}
			}
		}
	}
	if missing == 0 {
		k.fine("group %s may do all that the ScaledObjects need (%d rights)", k.group, asked)
	}
	return true
}

// access is one thing that someone may or may not do.
type access struct{ group, resource, name, verb, namespace string }

func (a access) String() string {
	return fmt.Sprintf("%s %s %s in namespace %s", a.verb, a.resource, a.name, a.namespace)
}

func expand(groups, resources, names, verbs []string) []access {
	if len(names) == 0 {
		names = []string{""}
	}
	var all []access
	for _, group := range groups {
		for _, resource := range resources {
			for _, name := range names {
				for _, verb := range verbs {
					all = append(all, access{group: group, resource: resource, name: name, verb: verb})
				}
			}
		}
	}
	return all
}

// may asks as the API server itself would see the function.
func (k clusterCheck) may(ctx context.Context, a access) (bool, error) {
	resource, subresource, _ := strings.Cut(a.resource, "/")
	review := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
		"spec": map[string]any{
			"user":   "leda-doctor", // nobody: what it may, the group may
			"groups": []any{k.group, "system:authenticated"},
			"resourceAttributes": map[string]any{
				"namespace": a.namespace, "verb": a.verb, "group": a.group, "resource": resource, "subresource": subresource, "name": a.name,
			},
		},
	}}
	answer, err := k.client.Resource(schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "subjectaccessreviews"}).
		Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	allowed, _, err := unstructured.NestedBool(answer.Object, "status", "allowed")
	return allowed, err
}

// isUnreachable says that the API server gave no answer of its own.
func isUnreachable(err error) bool {
	var status apierrors.APIStatus
	return err != nil && !errors.As(err, &status)
}

// memory looks for a ConfigMap that keeps memory. It says whether the API server answers.
func (k clusterCheck) memory(ctx context.Context, namespace, name string) bool {
	_, err := k.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		k.wrong(k.applyRights(), "namespace %s has no ConfigMap %s, so nothing is remembered there and nothing shrinks", namespace, name)
	case isUnreachable(err):
		k.unknown("kubectl cluster-info", "the API server does not answer: %v", err)
		return false
	case err != nil:
		k.unknown("", "ConfigMap %s in namespace %s could not be looked at: %v", name, namespace, err)
	}
	return true
}

// workload looks for what is to be scaled.
func (k clusterCheck) workload(ctx context.Context, o *scaling.ScaledObject) {
	resource := resourceOf(o.Target)
	found, err := k.client.Resource(resource).Namespace(o.Namespace).Get(ctx, o.Target.Name, metav1.GetOptions{}, "scale")
	what := fmt.Sprintf("%s %s in namespace %s", o.Target.Kind, o.Target.Name, o.Namespace)
	switch {
	case apierrors.IsNotFound(err):
		k.wrong("kubectl get "+resource.Resource+" -n "+o.Namespace, "there is no %s with a scale subresource, which ScaledObject %s/%s scales", what, o.Namespace, o.Name)
	case err != nil:
		k.unknown("", "%s could not be looked at: %v", what, err)
	default:
		replicas, _, _ := unstructured.NestedInt64(found.Object, "spec", "replicas")
		k.fine("%s is there, at %d replicas", what, replicas)
	}
}

func resourceOf(t scaling.TargetRef) schema.GroupVersionResource {
	plural, _ := meta.UnsafeGuessKindToResource(schema.FromAPIVersionAndKind(t.APIVersion, t.Kind))
	return plural
}

// rivals looks for other autoscalers of the same workloads: two that disagree never rest.
func (k clusterCheck) rivals(ctx context.Context) {
	found := false
	looked := map[string]bool{}
	for i := range k.objects {
		namespace := k.objects[i].Namespace
		if looked[namespace] {
			continue
		}
		looked[namespace] = true
		for _, kind := range []struct {
			resource schema.GroupVersionResource
			what     string
			mend     string
		}{
			{schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}, "KEDA's ScaledObject", "kubectl annotate scaledobject %s -n %s autoscaling.keda.sh/paused=true"},
			{schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}, "HorizontalPodAutoscaler", "kubectl delete hpa %s -n %s"},
		} {
			list, err := k.client.Resource(kind.resource).Namespace(namespace).List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) { // KEDA is not there
				continue
			}
			if err != nil {
				found = true
				k.unknown("", "whether namespace %s has a %s could not be looked at: %v", namespace, kind.what, err)
				continue
			}
			for _, item := range list.Items {
				if o := k.scales(item, namespace); o != nil {
					found = true
					k.wrong(fmt.Sprintf(kind.mend, item.GetName(), namespace), "%s %s scales %s %s in namespace %s too", kind.what, item.GetName(), o.Target.Kind, o.Target.Name, namespace)
				}
			}
		}
	}
	if !found {
		k.fine("no HorizontalPodAutoscaler and no ScaledObject of KEDA's scales the same workloads")
	}
}

// scales returns the ScaledObject of ours whose workload the autoscaler scales too.
func (k clusterCheck) scales(autoscaler unstructured.Unstructured, namespace string) *scaling.ScaledObject {
	ref, _, _ := unstructured.NestedStringMap(autoscaler.Object, "spec", "scaleTargetRef")
	kind := ref["kind"]
	if kind == "" {
		kind = "Deployment" // KEDA's default
	}
	if autoscaler.GetAnnotations()["autoscaling.keda.sh/paused"] == "true" {
		return nil
	}
	for i := range k.objects {
		if o := &k.objects[i]; o.Namespace == namespace && o.Target.Kind == kind && o.Target.Name == ref["name"] {
			return o
		}
	}
	return nil
}
