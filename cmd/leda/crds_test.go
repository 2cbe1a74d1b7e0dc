package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/leda-autoscaler/leda/scaling"
)

// fieldSchema is as much of a structural schema as says what an API server would drop.
type fieldSchema struct {
	Properties           map[string]fieldSchema
	Items                *fieldSchema
	AdditionalProperties *fieldSchema
	Preserve             bool `json:"x-kubernetes-preserve-unknown-fields"`
}

// drops lists what the API server would drop of a value, which is what the schema does not know.
func (s fieldSchema) drops(path string, value any) []string {
	var dropped []string
	switch value := value.(type) {
	case map[string]any:
		for key, v := range value {
			known, ok := s.Properties[key]
			switch {
			case ok:
				dropped = append(dropped, known.drops(path+"."+key, v)...)
			case s.AdditionalProperties != nil:
				dropped = append(dropped, s.AdditionalProperties.drops(path+"."+key, v)...)
			case !s.Preserve:
				dropped = append(dropped, path+"."+key)
			}
		}
	case []any:
		for _, v := range value {
			if s.Items != nil {
				dropped = append(dropped, s.Items.drops(path+"[]", v)...)
			}
		}
	}
	slices.Sort(dropped)
	return dropped
}

// definitions are the kinds' schemas and the names of the columns that kubectl get prints.
func definitions(t *testing.T) (schemas map[string]fieldSchema, columns map[string][]string) {
	t.Helper()
	schemas, columns = map[string]fieldSchema{}, map[string][]string{}
	for text := range bytes.SplitSeq(crds, []byte("\n---\n")) {
		var d struct {
			Spec struct {
				Names    struct{ Kind string }
				Versions []struct {
					Name                     string
					Schema                   struct{ OpenAPIV3Schema fieldSchema }
					Subresources             struct{ Status *struct{} }
					AdditionalPrinterColumns []struct{ Name string }
				}
			}
		}
		if err := yaml.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		v := d.Spec.Versions[0]
		if v.Name != "v1alpha1" || v.Subresources.Status == nil {
			t.Errorf("%s: version %s, status subresource %v", d.Spec.Names.Kind, v.Name, v.Subresources.Status)
		}
		schemas[d.Spec.Names.Kind] = v.Schema.OpenAPIV3Schema
		for _, c := range v.AdditionalPrinterColumns {
			columns[d.Spec.Names.Kind] = append(columns[d.Spec.Names.Kind], c.Name)
		}
	}
	return schemas, columns
}

func TestTheKindsKeepWhatIsWritten(t *testing.T) {
	schemas, columns := definitions(t)
	one := int32(1)
	status, err := json.Marshal(map[string]any{"status": scaling.Status{
		ScaleTargetKind: "k", ScaleTargetGVKR: &scaling.GVKR{}, OriginalReplicaCount: &one, LastActiveTime: time.Unix(1, 0),
		ExternalMetricNames: []string{"m"}, CompositeScalerName: "c",
		Conditions:       []scaling.Condition{{Type: "t", Status: scaling.True, Reason: "r", Message: "m"}},
		Health:           map[string]scaling.Health{"m": {NumberOfFailures: 1, Status: "s"}},
		TriggersActivity: map[string]scaling.IsActive{"m": {IsActive: true}}, PausedReplicaCount: &one, TriggersTypes: "t", AuthenticationsTypes: "a",
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ rule, kind, object string }{
		{"the status that Leda writes", "ScaledObject", string(status)},
		{"every field that Leda reads", "ScaledObject", `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: orders, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: orders, envSourceContainerName: main}
  pollingInterval: 5
  cooldownPeriod: 5
  initialCooldownPeriod: 5
  idleReplicaCount: 0
  minReplicaCount: 1
  maxReplicaCount: 2
  fallback: {failureThreshold: 1, replicas: 1, behavior: static}
  advanced:
    restoreToOriginalReplicaCount: true
    scalingModifiers: {formula: a, target: "1", activationTarget: "1", metricType: Value}
    horizontalPodAutoscalerConfig:
      name: n
      behavior:
        scaleUp: {stabilizationWindowSeconds: 1, selectPolicy: Max, tolerance: 50m, policies: [{type: Pods, value: 1, periodSeconds: 1}]}
        scaleDown: {stabilizationWindowSeconds: 1, selectPolicy: Max, tolerance: 50m, policies: [{type: Pods, value: 1, periodSeconds: 1}]}
  triggers:
  - {type: aws-sqs-queue, name: a, metricType: Value, useCachedMetrics: true, metadata: {queueURL: q, any: other}, authenticationRef: {name: a, kind: TriggerAuthentication}}
`},
		{"what Leda reads, and what it refuses by name", "TriggerAuthentication", `
metadata: {}
spec:
  podIdentity: {provider: aws, roleArn: r, externalID: e, identityOwner: keda, identityId: i}
  secretTargetRef: [{parameter: p, name: n, key: k}]
  configMapTargetRef: [{parameter: p, name: n, key: k}]
  env: [{parameter: p, name: n, containerName: c}]
  filePath: f
  hashiCorpVault: {a: {b: c}}
  azureKeyVault: {a: {b: c}}
  gcpSecretManager: {a: {b: c}}
  awsSecretManager: {a: {b: c}}
  boundServiceAccountToken: [{a: {b: c}}]
  oauth2: {a: {b: c}}
status: {scaledobjects: orders}
`},
	} {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(row.object), &object); err != nil {
			t.Fatal(err)
		}
		kinds := []string{row.kind}
		if row.kind != "ScaledObject" {
			kinds = append(kinds, "Cluster"+row.kind)
		}
		for _, kind := range kinds {
			known := schemas[kind]
			known.Properties["metadata"] = fieldSchema{Preserve: true}
			if dropped := known.drops(kind, object); len(dropped) > 0 {
				t.Errorf("%s: an API server would drop %q", row.rule, dropped)
			}
		}
	}
	if dropped := schemas["ScaledObject"].drops("", map[string]any{"spec": map[string]any{"maxReplicas": 5}}); len(dropped) != 1 {
		t.Errorf("a misspelt field is kept: %q", dropped)
	}
	// As kubectl get prints them for KEDA's kinds (apis/keda/v1alpha1, v2.20).
	want := []string{"ScaleTargetKind", "ScaleTargetName", "Min", "Max", "Ready", "Active", "Fallback", "Paused", "Triggers", "Authentications", "Age"}
	if !slices.Equal(columns["ScaledObject"], want) {
		t.Errorf("kubectl get scaledobjects prints %q, want %q", columns["ScaledObject"], want)
	}
}
