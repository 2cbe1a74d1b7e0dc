package kube

import (
	"bytes"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/leda-autoscaler/leda/scaling"
)

// kedaLease is the lease that KEDA's operator holds while it runs.
const kedaLease = "operator.keda.sh"

// SourceRBAC is [RBAC] for a cluster whose ScaledObjects are read from it: what that takes in each of its Namespaces,
// beside what the objects need that are known already. Nobody knows the workloads' names beforehand, so these rights
// have none; the manifest says what that widens. credentials lets ScaledObjects there name Secrets, ConfigMaps and
// environments to take access keys, roles and queues from.
func SourceRBAC(cluster scaling.Cluster, credentials bool, objects []scaling.ScaledObject, group, clusterObjects string) ([]byte, error) {
	if !cluster.ReadsObjects() {
		return RBAC(objects, group, clusterObjects)
	}
	needed := needsOf(objects, clusterObjects)
	for _, namespace := range cluster.Namespaces {
		n := needsIn(needed, namespace)
		n.read, n.credentials = true, credentials
		for bucket := range cluster.MemoryBuckets() {
			n.memory = append(n.memory, MemoryName(bucket))
		}
	}
	if credentials {
		needsIn(needed, clusterObjects).credentials = true
	}
	var first bytes.Buffer
	first.WriteString(heading)
	fmt.Fprintf(&first, "#\n# ScaledObjects are read from %s. That is wider than ScaledObjects in files:\n", plural("namespace", cluster.Namespaces))
	first.WriteString("# * Leda may set the size of every Deployment and StatefulSet there, and whoever may write ScaledObjects there says which.\n" +
		"#   A workload of another kind needs a rule more: get and update on its scale, such as rollouts/scale of argoproj.io.\n" +
		"# * Leda reads every ScaledObject, TriggerAuthentication and HorizontalPodAutoscaler there, and every ClusterTriggerAuthentication.\n")
	if credentials {
		fmt.Fprintf(&first, "# * Leda may read every Secret and ConfigMap there and in namespace %s, and every Deployment's and StatefulSet's environment:\n"+
			"#   whoever may write TriggerAuthentications there says which access keys it uses.\n", clusterObjects)
	} else {
		first.WriteString("# It reads no Secret, ConfigMap or environment; TriggerAuthentications that name one need more.\n")
	}
	meta := metadata{Name: "leda", Labels: labels()}
	for _, document := range []any{
		role{rbacGroup + "/v1", "ClusterRole", meta, []rule{
			{[]string{"keda.sh"}, []string{"clustertriggerauthentications"}, nil, []string{"get", "list", "watch"}},
			{[]string{"coordination.k8s.io"}, []string{"leases"}, []string{kedaLease}, []string{"get"}}, // is KEDA running?
		}},
		binding{rbacGroup + "/v1", "ClusterRoleBinding", meta, []subject{{rbacGroup, "Group", group}}, subject{rbacGroup, "ClusterRole", "leda"}},
	} {
		text, err := yaml.Marshal(document)
		if err != nil {
			return nil, fmt.Errorf("write the rights in the whole cluster: %w", err)
		}
		first.WriteString("---\n")
		first.Write(text)
	}
	return manifestOf(needed, group, first.String())
}

// unnamed are the rules for what has no name to allow.
func (n needs) unnamed() []rule {
	var rules []rule
	add := func(group string, resources []string, verbs ...string) {
		rules = append(rules, rule{APIGroups: []string{group}, Resources: resources, Verbs: verbs})
	}
	if n.read {
		add("keda.sh", []string{"scaledobjects", "triggerauthentications"}, "get", "list", "watch")
		add("keda.sh", []string{"scaledobjects/status"}, "get", "patch", "update")
		add("apps", []string{"deployments/scale", "statefulsets/scale"}, "get", "update")
		add("apps", []string{"deployments/status", "statefulsets/status"}, "get")
		add("autoscaling", []string{"horizontalpodautoscalers"}, "get", "list") // does KEDA scale it?
	}
	if n.credentials {
		add("", []string{"configmaps", "secrets"}, "get")
	}
	if n.credentials && n.read {
		add("apps", []string{"deployments", "statefulsets"}, "get")
	}
	return rules
}

func plural(noun string, names []string) string {
	if len(names) > 1 {
		noun += "s"
	}
	return noun + " " + strings.Join(names, ", ")
}
