package kube

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leda-autoscaler/leda/scaling"
)

func TestRBACIsExactlyWhatIsNeeded(t *testing.T) {
	object := func(namespace, kind, apiVersion, name string, bucket int, keys *scaling.KeyReferences) scaling.ScaledObject {
		return scaling.ScaledObject{
			Namespace: namespace, Name: name, Bucket: bucket,
			Target:   scaling.TargetRef{APIVersion: apiVersion, Kind: kind, Name: name},
			Triggers: []scaling.Trigger{{Authentication: scaling.Authentication{Keys: keys}}},
		}
	}
	keys := &scaling.KeyReferences{AccessKeyID: scaling.Source{Kind: scaling.FromSecret, Name: "aws", Key: "id"}, SecretAccessKey: scaling.Source{Kind: scaling.FromSecret, Name: "aws", Key: "secret"}}
	manifest, err := RBAC([]scaling.ScaledObject{
		object("shop", "Deployment", "apps/v1", "web", 1, keys),
		object("shop", "Deployment", "apps/v1", "api", 0, nil),
		object("shop", "Rollout", "argoproj.io/v1alpha1", "canary", 0, nil),
		object("bank", "StatefulSet", "apps/v1", "ledger", 0, nil),
	}, "leda", "keda")
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for line := range strings.Lines(string(manifest)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "namespace:") || strings.HasPrefix(line, "kind:") || strings.HasPrefix(line, "name: leda") {
			rules = append(rules, line)
		}
	}
	scale := func(group, name string, resource string) []string {
		return []string{"- apiGroups:", "- " + group, "- " + name, "- " + resource, "- get", "- update"}
	}
	events := []string{"- apiGroups:", `- ""`, "- events", "- create"}
	want := append([]string{"kind: Role", "name: leda", "namespace: bank"}, scale("apps", "ledger", "statefulsets/scale")...)
	want = append(want, scale(`""`, "leda-memory-0", "configmaps")...)
	want = append(want, events...)
	want = append(want, "kind: RoleBinding", "name: leda", "namespace: bank", "kind: Role", "name: leda", "- apiGroup: rbac.authorization.k8s.io", "kind: Group", "name: leda")
	want = append(want, "kind: ConfigMap", "name: leda-memory-0", "namespace: bank")
	want = append(want, "kind: Role", "name: leda", "namespace: shop", "- apiGroups:", "- apps", "- api", "- web", "- deployments/scale", "- get", "- update")
	want = append(want, scale("argoproj.io", "canary", "rollouts/scale")...)
	want = append(want, "- apiGroups:", `- ""`, "- leda-memory-0", "- leda-memory-1", "- configmaps", "- get", "- update")
	want = append(want, "- apiGroups:", `- ""`, "- aws", "- secrets", "- get")
	want = append(want, events...)
	want = append(want, "kind: RoleBinding", "name: leda", "namespace: shop", "kind: Role", "name: leda", "- apiGroup: rbac.authorization.k8s.io", "kind: Group", "name: leda")
	want = append(want, "kind: ConfigMap", "name: leda-memory-0", "namespace: shop", "kind: ConfigMap", "name: leda-memory-1", "namespace: shop")
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(string(manifest), "\ndata") {
		t.Error("the ConfigMaps have a data field: applying the manifest again would wipe memory")
	}
}

func TestRBACForReadyPodsAndOtherKinds(t *testing.T) {
	object := func(name string, target scaling.TargetRef, metricType scaling.MetricType) scaling.ScaledObject {
		return scaling.ScaledObject{Namespace: "shop", Name: name, Target: target, Triggers: []scaling.Trigger{{MetricType: metricType}}}
	}
	manifest, err := RBAC([]scaling.ScaledObject{
		object("web", scaling.TargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}, scaling.Value),
		object("api", scaling.TargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"}, scaling.AverageValue),
		object("rc", scaling.TargetRef{APIVersion: "v1", Kind: "ReplicationController", Name: "rc"}, scaling.AverageValue),
		object("proxy", scaling.TargetRef{APIVersion: "example.com/v1", Kind: "Proxy", Name: "proxy"}, scaling.AverageValue),
		object("other", scaling.TargetRef{APIVersion: "example.com/v1", Kind: "Proxy", Name: "other"}, scaling.AverageValue),
	}, "leda", "keda")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"  resourceNames:\n  - web\n  resources:\n  - deployments/status\n  verbs:\n  - get\n",
		"  resourceNames:\n  - api\n  - web\n  resources:\n  - deployments/scale\n",
		"  resourceNames:\n  - other\n  - proxy\n  resources:\n  - proxies/scale\n",
		"- apiGroups:\n  - \"\"\n  resourceNames:\n  - rc\n  resources:\n  - replicationcontrollers/scale\n",
	} {
		if !strings.Contains(string(manifest), want) {
			t.Errorf("it lacks\n%s", want)
		}
	}
	if n := strings.Count(string(manifest), "is a guess"); n != 1 || !strings.Contains(string(manifest), "# That the resource of kind Proxy in example.com/v1 is called proxies is a guess") {
		t.Errorf("it says of %d kinds that their resource is guessed, want Proxy alone:\n%s", n, manifest)
	}
}

func TestRBACOfCredentials(t *testing.T) {
	from := func(kind scaling.SourceKind, name string) scaling.Source {
		return scaling.Source{Kind: kind, Name: name, Key: "k"}
	}
	object := func(name string, a scaling.Authentication, sqs scaling.SQSTrigger) scaling.ScaledObject {
		return scaling.ScaledObject{
			Namespace: "shop", Name: name, Target: scaling.TargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			Triggers: []scaling.Trigger{{Authentication: a, SQS: sqs}},
		}
	}
	keys := func(id, secret, session scaling.Source) *scaling.KeyReferences {
		return &scaling.KeyReferences{AccessKeyID: id, SecretAccessKey: secret, SessionToken: session}
	}
	needed := needsOf([]scaling.ScaledObject{
		object("a", scaling.Authentication{Keys: keys(from(scaling.FromConfigMap, "c"), from(scaling.FromSecret, "s"), from(scaling.FromSecret, "t"))}, scaling.SQSTrigger{}),
		object("b", scaling.Authentication{Keys: keys(from(scaling.FromEnv, "ID"), from(scaling.FromSecret, "s"), scaling.Source{})}, scaling.SQSTrigger{}),
		object("c", scaling.Authentication{}, scaling.SQSTrigger{QueueURLFrom: from(scaling.FromEnv, "QUEUE")}),
		object("d", scaling.Authentication{Cluster: true, Role: scaling.Role{ARNFrom: from(scaling.FromSecret, "roles")}}, scaling.SQSTrigger{}),
		object("e", scaling.Authentication{Cluster: true, Keys: keys(from(scaling.FromConfigMap, "ids"), from(scaling.FromEnv, "KEY"), scaling.Source{})}, scaling.SQSTrigger{}),
	}, "keda")
	for namespace, want := range map[string][]rule{
		"shop": {
			{[]string{"apps"}, []string{"deployments/scale"}, []string{"a", "b", "c", "d", "e"}, []string{"get", "update"}},
			{[]string{"apps"}, []string{"deployments"}, []string{"b", "c", "e"}, []string{"get"}},
			{[]string{""}, []string{"configmaps"}, []string{"leda-memory-0"}, []string{"get", "update"}},
			{[]string{""}, []string{"configmaps"}, []string{"c"}, []string{"get"}},
			{[]string{""}, []string{"secrets"}, []string{"s", "t"}, []string{"get"}},
			{[]string{""}, []string{"events"}, nil, []string{"create"}},
		},
		"keda": {
			{[]string{""}, []string{"configmaps"}, []string{"ids"}, []string{"get"}},
			{[]string{""}, []string{"secrets"}, []string{"roles"}, []string{"get"}},
		},
	} {
		if diff := cmp.Diff(want, needed[namespace].rules()); diff != "" {
			t.Errorf("namespace %s: %s", namespace, diff)
		}
	}
	if len(needed) != 2 {
		t.Errorf("rights in %d namespaces, want 2", len(needed))
	}
	if documents := needed["keda"].manifests("keda", "leda"); len(documents) != 2 {
		t.Errorf("got %d documents in a namespace without targets, want a Role and its binding", len(documents))
	}
}
