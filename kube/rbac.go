package kube

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/leda-autoscaler/leda/scaling"
)

// Group is the Kubernetes group that the access entry of Leda's role maps to.
const Group = "leda"

// RBAC is the manifest of everything that the targets need in their clusters, for kubectl apply: in each
// namespace one Role for group and the ConfigMaps that keep the targets' memory. What a
// ClusterTriggerAuthentication refers to is in the namespace clusterObjects.
//
// The ConfigMaps carry no data field, so that applying the manifest again leaves their contents alone.
func RBAC(objects []scaling.ScaledObject, group, clusterObjects string) ([]byte, error) {
	return manifestOf(needsOf(objects, clusterObjects), group, heading)
}

const heading = "# What Leda may do in this cluster, and where it keeps its memory. Apply it with: kubectl apply -f FILE\n"

// manifestOf writes the rights in each namespace, behind what is said and given first.
func manifestOf(needed map[string]*needs, group, first string) ([]byte, error) {
	var manifest bytes.Buffer
	manifest.WriteString(first)
	for _, namespace := range slices.Sorted(maps.Keys(needed)) {
		for _, document := range needed[namespace].manifests(namespace, group) {
			text, err := yaml.Marshal(document)
			if err != nil {
				return nil, fmt.Errorf("write the rights for namespace %s: %w", namespace, err)
			}
			manifest.WriteString("---\n")
			if _, isRole := document.(role); isRole {
				for _, t := range needed[namespace].guesses() {
					fmt.Fprintf(&manifest, "# That the resource of kind %s in %s is called %s is a guess: see kubectl api-resources, and mend it here if it is not.\n",
						t.Kind, t.APIVersion, guess(t).name)
				}
			}
			manifest.Write(text)
		}
	}
	return manifest.Bytes(), nil
}

// needs is what the targets of one namespace are to be read and written by: names, and each may be there twice.
type needs struct {
	scales     map[groupResource][]string // of workloads to set
	statuses   map[groupResource][]string // of workloads whose ready pods count
	workloads  map[groupResource][]string // of workloads whose environment is read
	guessed    []scaling.TargetRef        // kinds whose resource is not known before a cluster is asked; without names
	memory     []string
	configMaps []string // that are read only
	secrets    []string

	read        bool // ScaledObjects are read there: any workload may be named
	credentials bool // they may name any Secret, ConfigMap and environment too
}

type groupResource struct{ group, resource string }

// needsOf sorts what the objects need by namespace.
func needsOf(objects []scaling.ScaledObject, clusterObjects string) map[string]*needs {
	needed := map[string]*needs{}
	in := func(namespace string) *needs { return needsIn(needed, namespace) }
	for _, o := range objects {
		r := guess(o.Target)
		workload := groupResource{r.group, r.name}
		scale, status := groupResource{r.group, r.name + "/scale"}, groupResource{r.group, r.name + "/status"}
		own := in(o.Namespace)
		own.scales[scale] = append(own.scales[scale], o.Target.Name)
		if o.NeedsReady() {
			own.statuses[status] = append(own.statuses[status], o.Target.Name)
		}
		if kind := (scaling.TargetRef{APIVersion: o.Target.APIVersion, Kind: o.Target.Kind}); !builtIn(kind) {
			own.guessed = append(own.guessed, kind)
		}
		own.memory = append(own.memory, MemoryName(o.Bucket))
		for _, t := range o.Triggers {
			namespace := o.Namespace
			if t.Authentication.Cluster {
				namespace = clusterObjects
			}
			for _, from := range append(t.Authentication.Sources(), t.SQS.QueueURLFrom) {
				switch from.Kind {
				case scaling.FromSecret:
					in(namespace).secrets = append(in(namespace).secrets, from.Name)
				case scaling.FromConfigMap:
					in(namespace).configMaps = append(in(namespace).configMaps, from.Name)
				case scaling.FromEnv: // of the workload, wherever it is said so
					own.workloads[workload] = append(own.workloads[workload], o.Target.Name)
				}
			}
		}
	}
	return needed
}

func needsIn(needed map[string]*needs, namespace string) *needs {
	if needed[namespace] == nil {
		needed[namespace] = &needs{scales: map[groupResource][]string{}, statuses: map[groupResource][]string{}, workloads: map[groupResource][]string{}}
	}
	return needed[namespace]
}

func (n needs) rules() []rule {
	rules := n.unnamed()
	add := func(group, resource string, names []string, verbs ...string) {
		covered := slices.ContainsFunc(rules, func(r rule) bool {
			return len(r.ResourceNames) == 0 && slices.Contains(r.APIGroups, group) && slices.Contains(r.Resources, resource) &&
				!slices.ContainsFunc(verbs, func(verb string) bool { return !slices.Contains(r.Verbs, verb) })
		})
		if len(names) > 0 && !covered {
			rules = append(rules, rule{[]string{group}, []string{resource}, sorted(names), verbs})
		}
	}
	for _, key := range sortedKeys(n.scales) {
		add(key.group, key.resource, n.scales[key], "get", "update")
	}
	for _, key := range sortedKeys(n.statuses) {
		add(key.group, key.resource, n.statuses[key], "get")
	}
	for _, key := range sortedKeys(n.workloads) {
		add(key.group, key.resource, n.workloads[key], "get")
	}
	add("", "configmaps", n.memory, "get", "update")
	add("", "configmaps", n.configMaps, "get")
	add("", "secrets", n.secrets, "get")
	if len(n.scales) > 0 || n.read {
		rules = append(rules, rule{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create"}}) // what is new has no name to allow
	}
	return rules
}

// guesses has each kind once.
func (n needs) guesses() []scaling.TargetRef {
	return slices.Compact(slices.SortedFunc(slices.Values(n.guessed), func(a, b scaling.TargetRef) int {
		return cmp.Compare(a.APIVersion+" "+a.Kind, b.APIVersion+" "+b.Kind)
	}))
}

// sorted has each name once.
func sorted(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }

func sortedKeys(names map[groupResource][]string) []groupResource {
	return slices.SortedFunc(maps.Keys(names), func(a, b groupResource) int {
		return cmp.Compare(a.group+"/"+a.resource, b.group+"/"+b.resource)
	})
}

const rbacGroup = "rbac.authorization.k8s.io"

func labels() map[string]string { return map[string]string{"app.kubernetes.io/name": "leda"} }

func (n needs) manifests(namespace, group string) []any {
	meta := metadata{Name: "leda", Namespace: namespace, Labels: labels()}
	documents := []any{
		role{rbacGroup + "/v1", "Role", meta, n.rules()},
		binding{
			rbacGroup + "/v1", "RoleBinding", meta,
			[]subject{{rbacGroup, "Group", group}},
			subject{rbacGroup, "Role", "leda"},
		},
	}
	for _, name := range sorted(n.memory) {
		meta.Name = name
		documents = append(documents, configMap{"v1", "ConfigMap", meta})
	}
	return documents
}

// The few fields of Kubernetes' types that the manifest writes; k8s.io/api would cost the command line
// and the CDK app far more than it saves here.
type (
	metadata struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace,omitempty"`
		Labels    map[string]string `json:"labels"`
	}
	role struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Metadata   metadata `json:"metadata"`
		Rules      []rule   `json:"rules"`
	}
	rule struct {
		APIGroups     []string `json:"apiGroups"`
		Resources     []string `json:"resources"`
		ResourceNames []string `json:"resourceNames,omitempty"`
		Verbs         []string `json:"verbs"`
	}
	binding struct {
		APIVersion string    `json:"apiVersion"`
		Kind       string    `json:"kind"`
		Metadata   metadata  `json:"metadata"`
		Subjects   []subject `json:"subjects"`
		RoleRef    subject   `json:"roleRef"`
	}
	subject struct {
		APIGroup string `json:"apiGroup"`
		Kind     string `json:"kind"`
		Name     string `json:"name"`
	}
	configMap struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Metadata   metadata `json:"metadata"`
	}
)
