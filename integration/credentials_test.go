package integration_test

import (
	"slices"
	"strings"

	"github.com/leda-autoscaler/leda/scaling"
)

// keyed names every place that a credential or a queue's URL may be kept in, in a namespace of its own.
const keyed = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: mill, namespace: kube-keys}
spec:
  scaleTargetRef: {name: mill, envSourceContainerName: side}
  triggers:
  - {type: aws-sqs-queue, authenticationRef: {name: parts}, metadata: {queueURLFromEnv: QUEUE, awsRegion: us-east-1}}
  - {type: aws-sqs-queue, authenticationRef: {name: shared, kind: ClusterTriggerAuthentication}, metadata: {queueURL: mill, awsRegion: us-east-1}}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: parts, namespace: kube-keys}
spec:
  configMapTargetRef: [{parameter: awsAccessKeyID, name: ids, key: id}]
  secretTargetRef: [{parameter: awsSecretAccessKey, name: keys, key: key}, {parameter: awsSessionToken, name: keys, key: token}]
---
apiVersion: keda.sh/v1alpha1
kind: ClusterTriggerAuthentication
metadata: {name: shared}
spec:
  env: [{parameter: awsAccessKeyID, name: ID}]
  secretTargetRef: [{parameter: awsSecretAccessKey, name: keys, key: key}]
`

// credentials reads what triggers name with exactly the rights that leda rbac gives.
func (k kubernetes) credentials() {
	k.types("kubectl create namespace kube-keys && kubectl create namespace kube-shared-keys")
	k.types("kubectl -n kube-keys create configmap ids --from-literal=id=ID-1")
	k.types("kubectl -n kube-keys create secret generic keys --from-literal=key=key-1 --from-literal=token=token-1")
	k.types("kubectl -n kube-keys create secret generic others --from-literal=key=key-2")
	k.types("kubectl -n kube-shared-keys create secret generic keys --from-literal=key=key-3")
	k.types("kubectl apply -f - <<'E'\n" + `
apiVersion: apps/v1
kind: Deployment
metadata: {name: mill, namespace: kube-keys}
spec:
  replicas: 0
  selector: {matchLabels: {app: mill}}
  template:
    metadata: {labels: {app: mill}}
    spec:
      containers:
      - {name: main, image: none, env: [{name: ID, value: ID-2}]}
      - name: side
        image: none
        env:
        - {name: HOST, value: "http://localhost"}
        - {name: QUEUE, value: "$(HOST)/000000000000/mill"}
        - {name: SECRET, valueFrom: {secretKeyRef: {name: keys, key: key}}}
` + "E")
	k.types("go run ./cmd/leda rbac -cluster-objects kube-shared-keys - <<'E' | kubectl apply -f -\n" + keyed + "E")
	parsed, err := scaling.Parse(scaling.File{Name: "keyed", Data: []byte(keyed)})
	if err != nil {
		k.Fatal(err)
	}
	mill := &parsed.ScaledObjects[0]
	c := k.cluster()
	for _, row := range []struct {
		namespace string
		sources   []scaling.Source
		want      []string
	}{
		{"kube-keys", mill.Triggers[0].Authentication.Sources(), []string{"ID-1", "key-1", "token-1"}},
		{"kube-shared-keys", mill.Triggers[1].Authentication.Sources(), []string{"ID-2", "key-3"}},
		{"kube-keys", []scaling.Source{mill.Triggers[0].SQS.QueueURLFrom}, []string{"http://localhost/000000000000/mill"}},
	} {
		got, err := c.Texts(k.Context(), mill, row.namespace, row.sources...)
		if err != nil || !slices.Equal(got, row.want) {
			k.Errorf("%+v: got %q, %v, want %q", row.sources, got, err, row.want)
		}
	}
	for _, row := range []struct {
		source scaling.Source
		want   string
	}{
		{scaling.Source{Kind: scaling.FromSecret, Name: "others", Key: "key"}, "the Role in namespace kube-keys does not allow get on secrets of others: apply `leda rbac`"},
		{scaling.Source{Kind: scaling.FromSecret, Name: "keys", Key: "none"}, `it has no entry "none"`},
		{scaling.Source{Kind: scaling.FromEnv, Name: "SECRET", Key: "side"}, "it has valueFrom, which is not read"},
	} {
		got, err := c.Texts(k.Context(), mill, "kube-keys", row.source)
		if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "key-") {
			k.Errorf("%+v: got %q, %v, want %s", row.source, got, err, row.want)
		}
	}
}
