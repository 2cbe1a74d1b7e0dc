package integration_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/leda-autoscaler/leda/integration/stack"
	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

// kubernetes is package kube against a real API server, which knows the caller by an EKS token that MiniStack verifies.
type kubernetes struct {
	person
	stack *stack.Stack
	keys  [2]string
}

const (
	namespace = "kube-package"
	// webs is what RBAC is made from: workloads of different kinds, in one bucket. Of web the ready pods count.
	webs = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: web, namespace: ` + namespace + `}
spec:
  scaleTargetRef: {name: web}
  triggers: [{type: aws-sqs-queue, metricType: Value, metadata: {queueURL: web, awsRegion: us-east-1, identityOwner: operator}}]
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: store, namespace: ` + namespace + `}
spec:
  scaleTargetRef: {kind: StatefulSet, name: store}
  triggers: [{type: aws-sqs-queue, metadata: {queueURL: store, awsRegion: us-east-1, identityOwner: operator}}]
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: cart, namespace: ` + namespace + `}
spec:
  scaleTargetRef: {apiVersion: farm.example/v1, kind: Cart, name: cart}
  triggers: [{type: aws-sqs-queue, metricType: Value, metadata: {queueURL: cart, awsRegion: us-east-1, identityOwner: operator}}]
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: ox, namespace: ` + namespace + `}
spec:
  scaleTargetRef: {apiVersion: farm.example/v1, kind: Ox, name: ox}
  triggers: [{type: aws-sqs-queue, metadata: {queueURL: ox, awsRegion: us-east-1, identityOwner: operator}}]
`
	// farm are kinds that no cluster has by itself: Ox has a plural that nobody guesses, and Barn cannot be scaled.
	farm = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: carts.farm.example}
spec:
  group: farm.example
  scope: Namespaced
  names: {kind: Cart, plural: carts}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: oxen.farm.example}
spec:
  group: farm.example
  scope: Namespaced
  names: {kind: Ox, plural: oxen}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
    subresources: {scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: barns.farm.example}
spec:
  group: farm.example
  scope: Namespaced
  names: {kind: Barn, plural: barns}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`
)

func testKube(t *testing.T, s *stack.Stack, root string) {
	k := kubernetes{person: person{t, s.Environ(), root}, stack: s}
	k.types("aws iam create-user --user-name kube-package")
	keys := strings.Fields(k.types("aws iam create-access-key --user-name kube-package --query 'AccessKey.[AccessKeyId,SecretAccessKey]' --output text"))
	if len(keys) != 2 {
		t.Fatalf("got keys %q", keys)
	}
	k.keys = [2]string(keys)
	k.types("aws eks create-access-entry --cluster-name demo --principal-arn arn:aws:iam::000000000000:user/kube-package --kubernetes-groups leda")
	k.types("aws iam put-user-policy --user-name kube-package --policy-name describe --policy-document '" +
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"eks:DescribeCluster","Resource":"*"}]}'`)
	k.types("kubectl create namespace " + namespace)
	k.types("kubectl -n " + namespace + " create deployment web --image=none --replicas=2")
	k.types("kubectl apply -f - <<'E'\n" + `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store, namespace: ` + namespace + `}
spec:
  replicas: 1
  serviceName: store
  selector: {matchLabels: {app: store}}
  template: {metadata: {labels: {app: store}}, spec: {containers: [{name: store, image: none}]}}
` + "E")
	k.types("kubectl apply -f - <<'E'\n" + farm + "E")
	k.types("kubectl wait --for condition=established --timeout 60s crd/carts.farm.example crd/oxen.farm.example crd/barns.farm.example")
	k.types("kubectl apply -f - <<'E'\n" + `
{apiVersion: farm.example/v1, kind: Cart, metadata: {name: cart, namespace: ` + namespace + `}, spec: {replicas: 2}}
---
{apiVersion: farm.example/v1, kind: Ox, metadata: {name: ox, namespace: ` + namespace + `}, spec: {replicas: 2}}
` + "E")
	k.types("go run ./cmd/leda rbac - <<'E' | kubectl apply -f -\n" + webs + "E")

	test := func(name string, f func(kubernetes)) {
		t.Run(name, func(t *testing.T) {
			k := k
			k.T = t
			f(k)
		})
	}
	test("scale is read and set, of any kind", kubernetes.scale)
	test("a size that someone else has set is not overwritten", kubernetes.scaleConflict)
	test("a kind of the cluster's own is scaled by its scale subresource", kubernetes.discovery)
	test("what RBAC could only guess is said when it is wrong", kubernetes.guessed)
	test("ready pods are those that the controller counts", kubernetes.ready)
	test("events are what kubectl describe shows", kubernetes.events)
	test("what RBAC does not allow is said with what to do", kubernetes.forbidden)
	test("credentials are read from wherever they are kept, and nothing else", kubernetes.credentials)
	test("memory comes back, to the instant here and late elsewhere", kubernetes.recall)
	test("two functions at work cannot undo each other's memory", kubernetes.memoryConflict)
	test("writes at the same time all arrive", kubernetes.memoryTogether)
	test("what cannot be understood is lost memory, and mended by the next write", kubernetes.memoryBroken)
	test("what is not Leda's in the ConfigMap comes back as it was", kubernetes.memoryShared)
	test("memory that may not be changed is said with what to do", kubernetes.memoryImmutable)
	test("memory that is not there is said with what to do", kubernetes.memoryMissing)
	test("a wrong certificate authority is refused", kubernetes.wrongAuthority)
	test("an address that does not answer any more is asked for again", kubernetes.moved)
}

// cluster is a new function's connection.
func (k kubernetes) cluster() *kube.Cluster {
	cfg := k.stack.AWS()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(k.keys[0], k.keys[1], "")
	c := &kube.Cluster{Cluster: scaling.Cluster{Name: stack.Cluster, Region: stack.Region}, AWS: cfg, Now: time.Now}
	k.Cleanup(c.Close)
	return c
}

func (k kubernetes) objects() (web, store *scaling.ScaledObject) {
	k.Helper()
	return k.object("web"), k.object("store")
}

func (k kubernetes) object(name string) *scaling.ScaledObject {
	k.Helper()
	parsed, err := scaling.Parse(scaling.File{Name: "webs", Data: []byte(webs)})
	if err != nil {
		k.Fatal(err)
	}
	for i, o := range parsed.ScaledObjects {
		if o.Name == name {
			return &parsed.ScaledObjects[i]
		}
	}
	k.Fatalf("no ScaledObject %s", name)
	return nil
}

func (k kubernetes) scale() {
	web, store := k.objects()
	c := k.cluster()
	for _, o := range []*scaling.ScaledObject{web, store} {
		seen, err := c.Scale(k.Context(), o)
		if err != nil {
			k.Fatal(err)
		}
		if err := c.SetScale(k.Context(), o, seen, 3); err != nil {
			k.Fatal(err)
		}
		if got := k.types("kubectl -n " + namespace + " get " + o.Target.Kind + " " + o.Target.Name + " -o jsonpath='{.spec.replicas}'"); got != "3" {
			k.Errorf("%s: got %s replicas, want 3", o.Target.Kind, got)
		}
	}
}

func (k kubernetes) scaleConflict() {
	web, _ := k.objects()
	c := k.cluster()
	seen, err := c.Scale(k.Context(), web)
	if err != nil {
		k.Fatal(err)
	}
	k.types("kubectl -n " + namespace + " scale deployment web --replicas 7")
	if err := c.SetScale(k.Context(), web, seen, 1); !errors.Is(err, kube.ErrConflict) {
		k.Errorf("got %v, want %v", err, kube.ErrConflict)
	}
	if got := k.types("kubectl -n " + namespace + " get deployment web -o jsonpath='{.spec.replicas}'"); got != "7" {
		k.Errorf("got %s replicas, want someone else's 7", got)
	}
}

func (k kubernetes) discovery() {
	cart, c := k.object("cart"), k.cluster()
	seen, err := c.Scale(k.Context(), cart)
	if err != nil {
		k.Fatal(err)
	}
	if seen.Replicas != 2 {
		k.Errorf("got %d replicas, want 2", seen.Replicas)
	}
	if err := c.SetScale(k.Context(), cart, seen, 5); err != nil {
		k.Fatal(err)
	}
	if got := k.types("kubectl -n " + namespace + " get carts cart -o jsonpath='{.spec.replicas}'"); got != "5" {
		k.Errorf("got %s replicas, want 5", got)
	}
	if ready, err := c.Ready(k.Context(), cart); err != nil || ready != 0 {
		k.Errorf("ready pods that nobody counted: got %d, %v, want 0", ready, err)
	}
	for kind, want := range map[string]string{"Barn": "kind Barn of farm.example/v1 has no scale subresource", "Horse": "farm.example/v1 has no kind Horse in this cluster"} {
		o := *cart
		o.Target.Kind = kind
		if _, err := c.Scale(k.Context(), &o); err == nil || !strings.Contains(err.Error(), want) {
			k.Errorf("%s: got %v, want %q", kind, err, want)
		}
	}
	unknown := *cart
	unknown.Target.APIVersion = "sea.example/v1"
	if _, err := c.Scale(k.Context(), &unknown); !errors.Is(err, kube.ErrNotFound) || !strings.Contains(err.Error(), "the cluster has no sea.example/v1") {
		k.Errorf("got %v, want that there is no such group", err)
	}
}

func (k kubernetes) guessed() {
	ox, c := k.object("ox"), k.cluster()
	const want = "the cluster calls kind Ox oxen, and `leda rbac` can only guess oxs; put its name into the Role"
	if _, err := c.Scale(k.Context(), ox); !errors.Is(err, kube.ErrForbidden) || !strings.Contains(err.Error(), want) {
		k.Fatalf("got %v, want %q", err, want)
	}
	k.types("kubectl -n " + namespace + " get role leda -o yaml | sed s,oxs/scale,oxen/scale, | kubectl apply -f -")
	k.eventually("kubectl -n "+namespace+" auth can-i get oxen.farm.example/ox --subresource scale --as leda --as-group leda || true", func(answer string) bool { return answer == "yes" })
	if seen, err := c.Scale(k.Context(), ox); err != nil || seen.Replicas != 2 {
		k.Errorf("got %+v, %v, want 2 replicas", seen, err)
	}
}

func (k kubernetes) ready() {
	web, store := k.objects()
	c := k.cluster()
	k.types("kubectl -n " + namespace + " rollout status deployment web --timeout 60s")
	asked := k.types("kubectl -n " + namespace + " get deployment web -o jsonpath='{.spec.replicas}'")
	if got, err := c.Ready(k.Context(), web); err != nil || fmt.Sprint(got) != asked {
		k.Errorf("got %d, %v, want %s", got, err, asked)
	}
	_, err := c.Ready(k.Context(), store) // whose triggers do not count them
	if !errors.Is(err, kube.ErrForbidden) || !strings.Contains(err.Error(), "does not allow get on statefulsets/status of store") {
		k.Errorf("got %v, want that it is not allowed", err)
	}
}

func (k kubernetes) events() {
	web, _ := k.objects()
	c, another := k.cluster(), k.cluster()
	seen, err := c.Scale(k.Context(), web)
	if err != nil {
		k.Fatal(err)
	}
	warning := kube.Event{Warning: true, Reason: kube.FailedGetExternalMetric, Message: "orders could not be read"}
	for _, e := range []kube.Event{{Reason: kube.SuccessfulRescale, Message: "Scaled 1→3: orders has 11 messages, 5 a replica"}, warning, warning} {
		if err := c.Event(k.Context(), web, seen, e); err != nil {
			k.Fatal(err)
		}
	}
	if err := another.Event(k.Context(), web, seen, warning); err != nil {
		k.Errorf("the same warning from another function: %v", err)
	}
	described := k.types("kubectl -n " + namespace + " describe deployment web")
	for _, want := range []string{"Scaled 1→3: orders has 11 messages, 5 a replica", "SuccessfulRescale", "leda"} {
		if !strings.Contains(described, want) {
			k.Errorf("kubectl describe does not show %q:\n%s", want, described)
		}
	}
	if n := strings.Count(described, warning.Message); n < 1 || n > 2 { // two where the interval changes in between
		k.Errorf("the warning is shown %d times:\n%s", n, described)
	}
	elsewhere := *web
	elsewhere.Namespace = "default"
	if err := c.Event(k.Context(), &elsewhere, seen, warning); !errors.Is(err, kube.ErrForbidden) {
		k.Errorf("got %v, want %v", err, kube.ErrForbidden)
	}
}

func (k kubernetes) forbidden() {
	web, _ := k.objects()
	other := *web
	other.Target.Name = "other"
	_, err := k.cluster().Scale(k.Context(), &other)
	if err == nil || !strings.Contains(err.Error(), "the Role in namespace "+namespace+" does not allow get on deployments/scale of other: apply `leda rbac`") {
		k.Errorf("got %v, want what to apply", err)
	}
	_, err = k.cluster().Texts(k.Context(), web, namespace, scaling.Source{Kind: scaling.FromSecret, Name: "other", Key: "k"})
	if err == nil || !strings.Contains(err.Error(), "apply `leda rbac`") {
		k.Errorf("got %v, want what to apply", err)
	}
}

// remembered is a memory with something in it.
func remembered(n int32) scaling.Memory {
	at := time.Date(2026, 1, 5, 12, 0, 0, 123456789, time.UTC)
	return scaling.Memory{Since: at.Add(-time.Hour), LastActive: at, Latest: scaling.Recommendation{Replicas: n, At: at}}
}

func (k kubernetes) bucket() *kube.Bucket { return kube.NewBucket(k.cluster(), namespace, 0) }

func (k kubernetes) recalls(b *kube.Bucket, target string) kube.Recollection {
	k.Helper()
	r, err := b.Recall(k.Context(), target)
	if err != nil {
		k.Fatal(err)
	}
	return r
}

func (k kubernetes) recall() {
	here, elsewhere := k.bucket(), k.bucket()
	nothing := k.recalls(here, "recall")
	if nothing.Memory.Known() {
		k.Fatalf("memory of a target nobody knows: %+v", nothing)
	}
	m := remembered(3)
	if err := here.Remember(k.Context(), "recall", nothing, m); err != nil {
		k.Fatal(err)
	}
	if got := k.recalls(here, "recall").Memory; !got.LastActive.Equal(m.LastActive) || got.Latest.Replicas != 3 {
		k.Errorf("here: got %+v, want %+v", got, m)
	}
	if got := k.recalls(elsewhere, "recall").Memory; !got.LastActive.Equal(m.LastActive.Add(kube.StoreInterval)) {
		k.Errorf("elsewhere: last active %v, want a minute after %v", got.LastActive, m.LastActive)
	}

	// Kept without a write, it is known here only, until another target's write takes it along.
	kept := remembered(4)
	here.Keep("recall", k.recalls(here, "recall"), kept)
	if got := k.recalls(k.bucket(), "recall").Memory.Latest.Replicas; got != 3 {
		k.Errorf("kept, seen elsewhere: got %d, want 3", got)
	}
	if err := here.Remember(k.Context(), "another", k.recalls(here, "another"), remembered(1)); err != nil {
		k.Fatal(err)
	}
	if got := k.recalls(k.bucket(), "recall").Memory.Latest.Replicas; got != 4 {
		k.Errorf("taken along, seen elsewhere: got %d, want 4", got)
	}
}

func (k kubernetes) memoryConflict() {
	one, two := k.bucket(), k.bucket()
	ofOne, ofTwo := k.recalls(one, "shared"), k.recalls(two, "shared")
	if err := one.Remember(k.Context(), "shared", ofOne, remembered(5)); err != nil {
		k.Fatal(err)
	}
	if err := two.Remember(k.Context(), "shared", ofTwo, remembered(1)); !errors.Is(err, kube.ErrConflict) {
		k.Errorf("the second writer of an entry: got %v, want %v", err, kube.ErrConflict)
	}
	if got := k.recalls(two, "shared").Memory.Latest.Replicas; got != 5 {
		k.Errorf("after the conflict the second recalls %d, want the first's 5", got)
	}
	// An entry that the first left alone is no conflict, although the object has changed.
	fresh := k.bucket()
	was := k.recalls(fresh, "mine")
	if err := one.Remember(k.Context(), "shared", k.recalls(one, "shared"), remembered(6)); err != nil {
		k.Fatal(err)
	}
	if err := fresh.Remember(k.Context(), "mine", was, remembered(2)); err != nil {
		k.Errorf("another entry of a changed object: %v", err)
	}
	if got := k.recalls(k.bucket(), "shared").Memory.Latest.Replicas; got != 6 {
		k.Errorf("the other's entry: got %d, want 6", got)
	}
}

func (k kubernetes) memoryTogether() {
	b := k.bucket()
	version := func() string {
		return k.types("kubectl -n " + namespace + " get configmap leda-memory-0 -o jsonpath='{.metadata.managedFields}{.metadata.resourceVersion}' | tail -c 12")
	}
	before := version()
	var all sync.WaitGroup
	errs := make([]error, 40)
	for i := range errs {
		all.Go(func() {
			target := fmt.Sprintf("together-%d", i)
			r, err := b.Recall(k.Context(), target)
			if err == nil {
				err = b.Remember(k.Context(), target, r, remembered(int32(i)))
			}
			errs[i] = err
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		k.Fatal(err)
	}
	other := k.bucket()
	for i := range errs {
		if got := k.recalls(other, fmt.Sprintf("together-%d", i)).Memory.Latest.Replicas; got != int32(i) {
			k.Errorf("target %d: got %d", i, got)
		}
	}
	if version() == before {
		k.Error("nothing was written")
	}
}

func (k kubernetes) memoryBroken() {
	k.types("kubectl -n " + namespace + ` patch configmap leda-memory-0 --type merge -p '{"data":{"broken":"{\"since\":17}"}}'`)
	b := k.bucket()
	r := k.recalls(b, "broken")
	if r.Memory.Known() || r.Broken == nil || !strings.Contains(r.Broken.Error(), "entry broken") {
		k.Errorf("got %+v, want no memory and an error that names the entry", r)
	}
	if err := b.Remember(k.Context(), "broken", r, remembered(2)); err != nil {
		k.Fatal(err)
	}
	if r := k.recalls(k.bucket(), "broken"); r.Broken != nil || r.Memory.Latest.Replicas != 2 {
		k.Errorf("after the next write: %+v", r)
	}
}

func (k kubernetes) memoryShared() {
	k.types("kubectl -n " + namespace + ` patch configmap leda-memory-0 --type merge -p '{"data":{"notes":"do not touch"},"binaryData":{"logo":"AAEC"},"metadata":{"labels":{"team":"shop"}}}'`)
	b := k.bucket()
	b.Own("web")
	if err := b.Remember(k.Context(), "web", k.recalls(b, "web"), remembered(3)); err != nil {
		k.Fatal(err)
	}
	if got, want := k.types("kubectl -n "+namespace+" get configmap leda-memory-0 -o jsonpath='{.data.notes} {.binaryData.logo} {.metadata.labels.team}'"), "do not touch AAEC shop"; got != want {
		k.Errorf("got %q, want %q", got, want)
	}
}

func (k kubernetes) memoryImmutable() {
	k.types("kubectl -n " + namespace + ` patch configmap leda-memory-0 --type merge -p '{"immutable":true}'`)
	b := k.bucket()
	was := k.recalls(b, "web")
	if err := b.Remember(k.Context(), "web", was, remembered(4)); err == nil || !strings.Contains(err.Error(), "it is immutable: delete it and apply `leda rbac`") {
		k.Errorf("got %v, want what to do", err)
	}
	k.types("kubectl -n " + namespace + " delete configmap leda-memory-0")
	k.types("go run ./cmd/leda rbac - <<'E' | kubectl apply -f -\n" + webs + "E")
	other := k.bucket()
	if err := other.Remember(k.Context(), "web", k.recalls(other, "web"), remembered(5)); err != nil {
		k.Errorf("after it was: %v", err)
	}
	if got := k.recalls(b, "web").Memory.Latest.Replicas; got != 3 {
		k.Errorf("who had read the old one recalls %d, want its 3", got)
	}
}

func (k kubernetes) memoryMissing() {
	b := kube.NewBucket(k.cluster(), namespace, 0)
	b.Name = "leda-memory-9"
	if _, err := b.Recall(k.Context(), "web"); err == nil || !strings.Contains(err.Error(), "apply `leda rbac`") {
		k.Errorf("got %v, want what to apply", err)
	}
	if err := b.Remember(k.Context(), "web", kube.Recollection{}, remembered(1)); err == nil {
		k.Error("a write to what cannot be read succeeded")
	}
	ctx, cancel := context.WithCancel(k.Context())
	cancel()
	if _, err := k.bucket().Recall(ctx, "web"); !errors.Is(err, context.Canceled) {
		k.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func (k kubernetes) wrongAuthority() {
	web, _ := k.objects()
	c := k.cluster()
	described := strings.Fields(k.types("aws eks describe-cluster --name demo --query 'cluster.[endpoint,certificateAuthority.data]' --output text"))
	c.Endpoint = described[0]
	c.CertificateAuthority = k.types("base64 -w0 " + filepath.Join(k.stack.Folder(), "pki", "aws-ca.crt"))
	if _, err := c.Scale(k.Context(), web); err == nil || !strings.Contains(err.Error(), "certificate") {
		k.Errorf("got %v, want that the certificate is refused", err)
	}
	c.CertificateAuthority = described[1]
	if _, err := c.Scale(k.Context(), web); err != nil {
		k.Errorf("with the right one: %v", err)
	}
}

func (k kubernetes) moved() {
	web, _ := k.objects()
	c := k.cluster()
	described := strings.Fields(k.types("aws eks describe-cluster --name demo --query 'cluster.[endpoint,certificateAuthority.data]' --output text"))
	c.Endpoint, c.CertificateAuthority = "https://127.0.0.1:1", described[1] // as it was before it moved
	if _, err := c.Scale(k.Context(), web); err == nil {
		k.Fatal("an address where nobody listens answered")
	}
	c.Endpoint, c.CertificateAuthority = "", ""
	if _, err := c.Scale(k.Context(), web); err != nil {
		k.Errorf("it was not asked for again: %v", err)
	}
}
