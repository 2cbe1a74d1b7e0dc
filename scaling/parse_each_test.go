package scaling

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// inCluster is a ScaledObject of namespace shop as an API server lists it.
func inCluster(name, created, workload, authentication, more string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"apiVersion":"keda.sh/v1alpha1","kind":"ScaledObject",
		"metadata":{"name":%q,"namespace":"shop","creationTimestamp":%q,"uid":"1","resourceVersion":"2","finalizers":["finalizer.keda.sh"],"managedFields":[{"manager":"helm"}]},
		"spec":{"scaleTargetRef":{"name":%q},"triggers":[
			{"type":"aws-sqs-queue","authenticationRef":{"name":%q},"metadata":{"queueURL":"orders","awsRegion":"eu-west-1"}},
			{"type":"aws-sqs-queue","authenticationRef":{"name":%q},"metadata":{"queueURL":"bills","awsRegion":"eu-west-1"}}]%s},
		"status":{"hpaName":"keda-hpa-orders"}}`, name, created, workload, authentication, authentication, more))
}

func authenticationInCluster(name, spec string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"apiVersion":"keda.sh/v1alpha1","kind":"TriggerAuthentication","metadata":{"name":%q,"namespace":"shop"},"spec":%s}`, name, spec))
}

func TestEachScaledObjectHasItsOwnProblems(t *testing.T) {
	const day1, day2 = "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"
	all := ParseEach(
		inCluster("young", day2, "web", "aws", ""),
		inCluster("old", day1, "web", "aws", ""),
		inCluster("good", day1, "good", "aws", ""),
		inCluster("misspelt", day1, "misspelt", "aws", `,"maxReplicas":1,"pollingInterval":0`),
		inCluster("vault", day1, "vault", "vault", ""),
		inCluster("missing", day1, "missing", "nobody", ""),
		json.RawMessage(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"}}`),
		json.RawMessage(`[]`),
		authenticationInCluster("aws", `{"podIdentity":{"provider":"aws"}}`),
		authenticationInCluster("vault", `{"hashiCorpVault":{"address":"https://vault"}}`),
	)
	want := []struct {
		name     string
		problems []string // the beginning of each
	}{
		{"young", []string{"ScaledObject shop/young: spec.scaleTargetRef: Deployment web is scaled by ScaledObject old already, which is older"}},
		{"old", nil},
		{"good", nil},
		{"misspelt", []string{"ScaledObject shop/misspelt: spec.pollingInterval: must be", "ScaledObject shop/misspelt: spec.maxReplicas: unknown field"}},
		{"vault", []string{"TriggerAuthentication shop/vault: spec.hashiCorpVault: is not supported"}},
		{"missing", []string{
			"ScaledObject shop/missing: spec.triggers[0].authenticationRef.name: TriggerAuthentication shop/nobody is not there",
			"ScaledObject shop/missing: spec.triggers[1].authenticationRef.name: TriggerAuthentication shop/nobody is not there",
		}},
		{"", []string{"kind: must be ScaledObject of keda.sh/v1alpha1, got kind Pod"}},
		{"", []string{"is not a Kubernetes object"}},
	}
	if len(all) != len(want) {
		t.Fatalf("got %d, want one for each of %d: they come back in the order they were given in", len(all), len(want))
	}
	for i, w := range want {
		got := all[i]
		fits := got.Name == w.name && len(got.Problems) == len(w.problems)
		for j := range w.problems {
			fits = fits && strings.HasPrefix(got.Problems[j].String(), w.problems[j])
		}
		if !fits {
			t.Errorf("%d: got %q with\n%v\nwant %q with %q", i, got.Name, got.Problems, w.name, w.problems)
		}
	}
}

func TestAFileIsOlderThanAnythingInTheCluster(t *testing.T) {
	all := ParseEach(inCluster("apple", "2026-03-01T00:00:00Z", "web", "aws", ""), authenticationInCluster("aws", `{"podIdentity":{"provider":"aws"}}`))
	all = append(all, Parsed{ScaledObject: ScaledObject{Namespace: "shop", Name: "file", Target: all[0].Target}})
	elsewhere := all[0]
	elsewhere.Namespace = "bank"
	got := Contested(append(all, elsewhere))
	if _, contested := got["shop/apple"]; !contested || len(got) != 1 {
		t.Errorf("got %v, want shop/apple alone contested", got)
	}
}
