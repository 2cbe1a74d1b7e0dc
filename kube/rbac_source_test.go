package kube

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/leda-autoscaler/leda/scaling"
)

// grants are a manifest's rules, "KIND NAMESPACE: GROUP/RESOURCE [names] verbs", and its ConfigMaps.
func grants(t *testing.T, manifest []byte) []string {
	t.Helper()
	var all []string
	for text := range strings.SplitSeq(string(manifest), "---\n") {
		var d role
		if err := yaml.Unmarshal([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
		if d.Kind == "ConfigMap" {
			all = append(all, "ConfigMap "+d.Metadata.Namespace+": "+d.Metadata.Name)
		}
		for _, r := range d.Rules {
			for _, resource := range r.Resources {
				names := ""
				if len(r.ResourceNames) > 0 {
					names = " " + strings.Join(r.ResourceNames, ",")
				}
				all = append(all, d.Kind+" "+d.Metadata.Namespace+": "+r.APIGroups[0]+"/"+resource+names+" "+strings.Join(r.Verbs, ","))
			}
		}
	}
	return all
}

func TestTheRightsOfAClustersScaledObjects(t *testing.T) {
	whole := []string{
		"ClusterRole : keda.sh/clustertriggerauthentications get,list,watch",
		"ClusterRole : coordination.k8s.io/leases operator.keda.sh get",
	}
	read := func(namespace string) []string {
		return []string{
			"Role " + namespace + ": keda.sh/scaledobjects get,list,watch",
			"Role " + namespace + ": keda.sh/triggerauthentications get,list,watch",
			"Role " + namespace + ": keda.sh/scaledobjects/status get,patch,update",
			"Role " + namespace + ": apps/deployments/scale get,update",
			"Role " + namespace + ": apps/statefulsets/scale get,update",
			"Role " + namespace + ": apps/deployments/status get",
			"Role " + namespace + ": apps/statefulsets/status get",
			"Role " + namespace + ": autoscaling/horizontalpodautoscalers get,list",
		}
	}
	credentials := func(namespace string) []string {
		return []string{"Role " + namespace + ": /configmaps get", "Role " + namespace + ": /secrets get"}
	}
	join := func(parts ...[]string) (all []string) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	object := scaling.ScaledObject{
		Namespace: "shop", Name: "orders", Bucket: 1, Target: scaling.TargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"},
		Triggers: []scaling.Trigger{{MetricType: scaling.Value}},
	}
	rollout := object
	rollout.Target = scaling.TargetRef{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "canary"}
	for _, row := range []struct {
		rule        string
		cluster     scaling.Cluster
		credentials bool
		objects     []scaling.ScaledObject
		want        []string
	}{
		{
			"in the cluster",
			scaling.Cluster{Source: scaling.SourceCluster, Namespaces: []string{"shop", "bank"}, Buckets: 2},
			false, nil,
			join(whole,
				read("bank"), []string{"Role bank: /configmaps leda-memory-0,leda-memory-1 get,update", "Role bank: /events create", "ConfigMap bank: leda-memory-0", "ConfigMap bank: leda-memory-1"},
				read("shop"), []string{"Role shop: /configmaps leda-memory-0,leda-memory-1 get,update", "Role shop: /events create", "ConfigMap shop: leda-memory-0", "ConfigMap shop: leda-memory-1"}),
		},
		{
			"with credentials, also in the namespace of cluster objects",
			scaling.Cluster{Source: scaling.SourceCluster, Namespaces: []string{"shop"}, Buckets: 1},
			true, nil,
			join(whole, credentials("keda"),
				read("shop"), credentials("shop"), []string{
					"Role shop: apps/deployments get", "Role shop: apps/statefulsets get",
					"Role shop: /configmaps leda-memory-0 get,update", "Role shop: /events create", "ConfigMap shop: leda-memory-0",
				}),
		},
		{
			"in both: what has no name covers what has one, and a kind that nobody guesses is named",
			scaling.Cluster{Source: scaling.SourceBoth, Namespaces: []string{"shop"}, Buckets: 1},
			false,
			[]scaling.ScaledObject{object, rollout},
			join(whole, read("shop"), []string{
				"Role shop: argoproj.io/rollouts/scale canary get,update",
				"Role shop: argoproj.io/rollouts/status canary get",
				"Role shop: /configmaps leda-memory-0,leda-memory-1 get,update", "Role shop: /events create",
				"ConfigMap shop: leda-memory-0", "ConfigMap shop: leda-memory-1",
			}),
		},
		{
			"in files, only what they name",
			scaling.Cluster{},
			true,
			[]scaling.ScaledObject{object},
			[]string{
				"Role shop: apps/deployments/scale orders get,update", "Role shop: apps/deployments/status orders get",
				"Role shop: /configmaps leda-memory-1 get,update", "Role shop: /events create", "ConfigMap shop: leda-memory-1",
			},
		},
	} {
		manifest, err := SourceRBAC(row.cluster, row.credentials, row.objects, "leda", "keda")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row.want, grants(t, manifest)); diff != "" {
			t.Errorf("%s: %s", row.rule, diff)
		}
		for _, widens := range []string{"every Deployment and StatefulSet there", "whoever may write ScaledObjects"} {
			if says := strings.Contains(string(manifest), widens); says != row.cluster.ReadsObjects() {
				t.Errorf("%s: it says %q: %t", row.rule, widens, says)
			}
		}
		if says := strings.Contains(string(manifest), "every Secret and ConfigMap there"); says != (row.credentials && row.cluster.ReadsObjects()) {
			t.Errorf("%s: it says that Secrets are read: %t", row.rule, says)
		}
	}
}
