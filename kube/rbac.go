package kube

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/leda-autoscaler/leda/scaling"
)

// Group is the Kubernetes group that the access entry of Leda's role maps to.
const Group = "leda"

// RBAC is the manifest of everything that the targets need in their clusters, for kubectl apply: in each
// namespace one Role for group and the ConfigMaps that keep the targets' memory.
//
// The ConfigMaps carry no data field, so that applying the manifest again leaves their contents alone.
func RBAC(objects []scaling.ScaledObject, group string) ([]byte, error) {
	var manifest bytes.Buffer
	manifest.WriteString("# What Leda may do in this cluster, and where it keeps its memory. Apply it with: kubectl apply -f FILE\n")
	for _, namespace := range namespaces(objects) {
		n := needsOf(objects, namespace)
		for _, document := range n.manifests(namespace, group) {
			text, err := yaml.Marshal(document)
			if err != nil {
				return nil, fmt.Errorf("write the rights for namespace %s: %w", namespace, err)
			}
			manifest.WriteString("---\n")
			if _, isRole := document.(role); isRole {
				for _, t := range n.guessed {
					fmt.Fprintf(&manifest, "# That the resource of kind %s in %s is called %s is a guess: see kubectl api-resources, and mend it here if it is not.\n",
						t.Kind, t.APIVersion, guess(t).name)
				}
			}
			manifest.Write(text)
		}
	}
	return manifest.Bytes(), nil
}

func namespaces(objects []scaling.ScaledObject) []string {
	var all []string
	for _, o := range objects {
		all = append(all, o.Namespace)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// needs is what the targets of one namespace are to be read and written by.
type needs struct {
	scales   map[groupResource][]string // names of the workloads
	statuses map[groupResource][]string // of those whose ready pods count
	guessed  []scaling.TargetRef        // kinds whose resource is not known before a cluster is asked; without names
	secrets  []string
	memory   []string
}

type groupResource struct{ group, resource string }

func needsOf(objects []scaling.ScaledObject, namespace string) needs {
	n := needs{scales: map[groupResource][]string{}, statuses: map[groupResource][]string{}}
	for _, o := range objects {
		if o.Namespace != namespace {
			continue
		}
		r := guess(o.Target)
		key := groupResource{r.group, r.name + "/scale"}
		n.scales[key] = append(n.scales[key], o.Target.Name)
		if o.NeedsReady() {
			key := groupResource{r.group, r.name + "/status"}
			n.statuses[key] = append(n.statuses[key], o.Target.Name)
		}
		if kind := (scaling.TargetRef{APIVersion: o.Target.APIVersion, Kind: o.Target.Kind}); !builtIn(kind) && !slices.Contains(n.guessed, kind) {
			n.guessed = append(n.guessed, kind)
		}
		n.memory = append(n.memory, MemoryName(o.Bucket))
		for _, t := range o.Triggers {
			if keys := t.Authentication.Keys; keys != nil && !t.Authentication.Cluster {
				for _, entry := range []scaling.Source{keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken} {
					if entry.Kind == scaling.FromSecret {
						n.secrets = append(n.secrets, entry.Name)
					}
				}
			}
		}
	}
	slices.SortFunc(n.guessed, func(a, b scaling.TargetRef) int {
		return strings.Compare(a.APIVersion+" "+a.Kind, b.APIVersion+" "+b.Kind)
	})
	n.secrets, n.memory = sorted(n.secrets), sorted(n.memory)
	return n
}

func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

func (n needs) manifests(namespace, group string) []any {
	rules := append(rulesOn(n.scales, "get", "update"), rulesOn(n.statuses, "get")...)
	rules = append(rules, rule{[]string{""}, []string{"configmaps"}, n.memory, []string{"get", "update"}})
	if len(n.secrets) > 0 {
		rules = append(rules, rule{[]string{""}, []string{"secrets"}, n.secrets, []string{"get"}})
	}
	rules = append(rules, rule{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create"}}) // what is new has no name to allow

	const rbac = "rbac.authorization.k8s.io"
	meta := metadata{Name: "leda", Namespace: namespace, Labels: map[string]string{"app.kubernetes.io/name": "leda"}}
	documents := []any{
		role{rbac + "/v1", "Role", meta, rules},
		binding{
			rbac + "/v1", "RoleBinding", meta,
			[]subject{{rbac, "Group", group}},
			subject{rbac, "Role", "leda"},
		},
	}
	for _, name := range n.memory {
		meta.Name = name
		documents = append(documents, configMap{"v1", "ConfigMap", meta})
	}
	return documents
}

// rulesOn allows verbs on the named workloads, a rule for each resource.
func rulesOn(names map[groupResource][]string, verbs ...string) []rule {
	var rules []rule
	for key, workloads := range names {
		rules = append(rules, rule{[]string{key.group}, []string{key.resource}, sorted(workloads), verbs})
	}
	slices.SortFunc(rules, func(a, b rule) int {
		return strings.Compare(a.APIGroups[0]+"/"+a.Resources[0], b.APIGroups[0]+"/"+b.Resources[0])
	})
	return rules
}

// The few fields of Kubernetes' types that the manifest writes; k8s.io/api would cost the command line
// and the CDK app far more than it saves here.
type (
	metadata struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
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
