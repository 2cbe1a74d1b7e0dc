package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

// town is a cluster with ScaledObjects of its own and a function that scales them, minute by minute.
type town struct {
	*controlPlane
	aws    *amazon
	fleet  scaling.Fleet
	log    *bytes.Buffer
	minute time.Duration // since the test began
	depths sync.Map      // of queues, by name
	h      *handler
}

const shopObjects = "/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects"

func newTown(t *testing.T) *town {
	t.Helper()
	c := &town{controlPlane: startControlPlane(t), aws: serveAWS(t), log: &bytes.Buffer{}}
	c.aws.answer["sqs"] = func(r asked) answer {
		for _, name := range []string{"orders", "secret"} {
			if n, ok := c.depths.Load(name); ok && strings.Contains(r.body, name) {
				return depth(n.(int))(r)
			}
		}
		return failure("sqs", 403, "AccessDeniedException", "no")
	}
	c.fleet = scaling.Fleet{
		Clusters: []scaling.Cluster{{
			Name: "demo", Region: "eu-west-1", Endpoint: c.endpoint, CertificateAuthority: c.authority,
			Source: scaling.SourceCluster, Namespaces: []string{"shop"}, Buckets: 2,
		}},
		Looks: scaling.Looks{OncePerTick: true},
	}
	c.apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: keda}}")
	rights, err := kube.SourceRBAC(c.fleet.Clusters[0], false, nil, kube.Group, "keda")
	if err != nil {
		t.Fatal(err)
	}
	c.apply(string(rights))
	c.starts()
	return c
}

func (c *town) now() time.Time { return time.Now().Add(c.minute) }

// starts is a new process of the function.
func (c *town) starts() {
	c.Helper()
	cluster := &kube.Cluster{Cluster: c.fleet.Clusters[0], AWS: c.aws.config(), Now: c.now}
	c.Cleanup(cluster.Close)
	calls, log := &calls{}, slog.New(slog.NewJSONHandler(c.log, nil))
	memories := &memories{}
	c.h = &handler{
		sources: []*source{newSource(cluster, c.fleet, nil, memories, log, c.now)}, oncePerTick: true, calls: calls, log: log, now: c.now,
		meter: &meter{identities: newIdentities(c.aws.config().Credentials, nil, "keda", c.now), queues: &queues{service: signed{name: "sqs", scope: "sqs", aws: c.aws.config(), now: now}}, now: c.now},
	}
}

// tick is the next minute's.
func (c *town) tick() {
	c.Helper()
	c.minute += time.Minute
	if _, err := c.h.handle(c.Context(), json.RawMessage(`{"tick":{"shard":0,"shards":1}}`)); err != nil {
		c.Fatal(err)
	}
}

func (c *town) deployment(name string, replicas int) {
	c.Helper()
	c.apply(fmt.Sprintf(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: %s, namespace: shop}, spec: {replicas: %d, selector: {matchLabels: {app: %[1]s}},
  template: {metadata: {labels: {app: %[1]s}}, spec: {containers: [{name: a, image: none}]}}}}`, name, replicas))
}

// scaledObject is one that asks for its workload's size back.
func scaledObject(name, queue, trigger string) string {
	return fmt.Sprintf(`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: %s, namespace: shop}, spec: {scaleTargetRef: {name: %[1]s}, maxReplicaCount: 20,
  advanced: {restoreToOriginalReplicaCount: true},
  triggers: [{type: %s, metadata: {queueURL: %s, awsRegion: eu-west-1, identityOwner: operator, queueLength: "5"}}]}}`, name, trigger, queue)
}

// wants checks a workload's size.
func (c *town) wants(what, name string, replicas int) {
	c.Helper()
	var d struct{ Spec struct{ Replicas int } }
	if c.do("GET", "/apis/apps/v1/namespaces/shop/deployments/"+name, "", &d); d.Spec.Replicas != replicas {
		c.Fatalf("%s: got %d replicas of %s, want %d\n%s", what, d.Spec.Replicas, name, replicas, c.log)
	}
}

// seen is a ScaledObject as people see it.
type seen struct {
	Metadata struct {
		ResourceVersion string
		Finalizers      []string
	}
	Status scaling.Status
}

func (c *town) get(name string) (o seen) {
	c.Helper()
	c.do("GET", shopObjects+"/"+name, "", &o)
	return o
}

func (c *town) patch(name, patch string) {
	c.Helper()
	c.do("PATCH", shopObjects+"/"+name, patch, nil)
}

// says checks a condition, and the text in its message.
func (c *town) says(what, name, ofType string, status scaling.ConditionStatus, text string) {
	c.Helper()
	if got := c.get(name).Status.Condition(ofType); got.Status != status || !strings.Contains(got.Message, text) {
		c.Errorf("%s: got %+v, want %s %s with %q", what, got, ofType, status, text)
	}
}

// A day of a cluster whose ScaledObjects are its own, against a real API server.
func TestScaledObjectsOfACluster(t *testing.T) {
	c := newTown(t)
	c.depths.Store("orders", 11)
	for _, name := range []string{"orders", "bad", "hidden"} {
		c.deployment(name, 1)
	}
	c.apply(scaledObject("orders", "orders", "aws-sqs-queue"))
	c.apply(scaledObject("bad", "orders", "kafka"))
	c.apply(scaledObject("hidden", "hidden", "aws-sqs-queue"))
	c.tick()
	c.wants("created: scaled with the next tick", "orders", 3)
	c.wants("an invalid one is left alone", "bad", 1)
	c.wants("nothing shrinks or grows on a failed reading", "hidden", 1)
	c.says("a valid one", "orders", scaling.ConditionReady, scaling.True, "")
	c.says("a valid one with work", "orders", scaling.ConditionActive, scaling.True, "")
	c.says("an invalid one says why", "bad", scaling.ConditionReady, scaling.False, "kafka")
	c.says("a queue that may not be read says which right is missing", "hidden", scaling.ConditionReady, scaling.False, "readableQueues")
	c.says("and how the statement reads", "hidden", scaling.ConditionReady, scaling.False, `"Action":"sqs:GetQueueAttributes","Resource":"arn:aws:sqs:eu-west-1:`)
	if got := c.get("orders"); got.Status.OriginalReplicaCount == nil || *got.Status.OriginalReplicaCount != 1 || len(got.Metadata.Finalizers) > 0 {
		t.Errorf("got %+v, want the original size 1 and no finalizer", got)
	}
	versions := c.get("orders").Metadata.ResourceVersion + c.get("bad").Metadata.ResourceVersion
	c.tick()
	c.tick()
	if got := c.get("orders").Metadata.ResourceVersion + c.get("bad").Metadata.ResourceVersion; got != versions {
		t.Errorf("looks that find nothing new wrote a status: %s became %s", versions, got)
	}

	c.patch("orders", `{"spec":{"triggers":[{"type":"aws-sqs-queue","metadata":{"queueURL":"orders","awsRegion":"eu-west-1","identityOwner":"operator","queueLength":"2"}}]}}`)
	c.tick()
	c.wants("changed: the next tick goes by it", "orders", 6)

	c.patch("orders", `{"metadata":{"annotations":{"autoscaling.keda.sh/paused":"true"}}}`)
	c.depths.Store("orders", 20)
	c.tick()
	c.wants("paused", "orders", 6)
	c.says("paused", "orders", scaling.ConditionPaused, scaling.True, "")

	c.patch("orders", `{"metadata":{"annotations":{"autoscaling.keda.sh/paused":null}}}`)
	c.lease()
	c.tick()
	c.wants("KEDA runs: Leda stands aside", "orders", 6)
	c.says("and says so", "orders", standsAside, scaling.True, "leda.dev/beside-keda")
	versions = c.get("orders").Metadata.ResourceVersion
	c.tick()
	if got := c.get("orders").Metadata.ResourceVersion; got != versions {
		t.Error("the note that Leda stands aside was written again")
	}
	if got := strings.Count(c.log.String(), `"msg":"stands aside`); got != 1 {
		t.Errorf("it was said %d times that Leda stands aside, want once", got)
	}
	c.patch("orders", `{"metadata":{"annotations":{"leda.dev/beside-keda":"true"}}}`)
	c.tick()
	c.wants("told to scale beside KEDA", "orders", 10)
	c.do("DELETE", "/apis/coordination.k8s.io/v1/namespaces/keda/leases/operator.keda.sh", "", nil)
	c.tick()
	if got := c.get("orders").Status.Condition(standsAside); got.Type != "" {
		t.Errorf("KEDA has gone, and the condition is still there: %+v", got)
	}

	c.do("DELETE", shopObjects+"/orders", "", nil)
	c.depths.Store("orders", 0)
	c.tick()
	c.wants("gone in one tick: it may be back in the next", "orders", 10)
	c.tick()
	c.wants("gone in two: the size from before", "orders", 1)

	c.depths.Store("orders", 50)
	c.apply(scaledObject("orders", "orders", "aws-sqs-queue"))
	c.tick()
	c.wants("made again", "orders", 10)
	c.do("DELETE", shopObjects+"/orders", "", nil)
	c.starts()
	c.tick()
	c.tick()
	c.wants("a process that never saw it finds it in its memory", "orders", 1)
	c.starts()
	c.do("PATCH", "/apis/apps/v1/namespaces/shop/deployments/orders/scale", `{"spec":{"replicas":4}}`, nil)
	c.tick()
	c.tick()
	c.wants("it is restored once", "orders", 4)
}

// What stands in the way: KEDA's HPA, a right that is missing. And several shards share what is there.
func TestScaledObjectsThatAreNotAlwaysLedas(t *testing.T) {
	c := newTown(t)
	c.depths.Store("orders", 11)
	names := []string{"orders", "w0", "w1", "w2", "w3"} // in both buckets
	for _, name := range names {
		c.deployment(name, 1)
		c.apply(scaledObject(name, "orders", "aws-sqs-queue"))
	}
	hpa := func(name string) {
		c.apply(fmt.Sprintf(`{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: %s, namespace: shop}, spec: {maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: orders}}}`, name))
	}
	hpa("keda-hpa-orders")
	c.tick()
	c.wants("KEDA's HPA scales it", "orders", 1)
	c.says("and Leda says so", "orders", standsAside, scaling.True, "keda-hpa-orders")
	c.wants("another one in the same namespace", "w0", 3)
	c.do("DELETE", "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/keda-hpa-orders", "", nil)
	c.tick()
	c.wants("KEDA's HPA has gone", "orders", 3)

	const binding = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/leda"
	var kept map[string]any
	c.do("GET", binding, "", &kept)
	c.do("DELETE", binding, "", nil)
	c.depths.Store("orders", 21)
	c.until(func() bool { c.tick(); return strings.Contains(c.log.String(), `"msg":"scaledobjects not read"`) })
	c.do("DELETE", shopObjects+"/w3", "", nil)
	c.tick()
	c.tick()
	for _, name := range names {
		c.wants("without rights nothing changes, and nothing is restored", name, 3)
	}
	delete(kept["metadata"].(map[string]any), "resourceVersion")
	delete(kept["metadata"].(map[string]any), "uid")
	again, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	c.apply(string(again))
	c.until(func() bool { c.tick(); return strings.Contains(c.log.String(), `"msg":"restored"`) })
	c.wants("the rights are back", "orders", 5)
	c.wants("and what was deleted meanwhile is restored", "w3", 1)

	c.starts()
	c.depths.Store("orders", 31)
	c.minute += time.Minute
	looks := 0
	for shard := range 3 {
		r, err := c.h.handle(c.Context(), json.RawMessage(fmt.Sprintf(`{"tick":{"shard":%d,"shards":3}}`, shard)))
		if err != nil {
			t.Fatal(err)
		}
		looks += r.Looks
	}
	if looks != 4 {
		t.Errorf("three shards looked %d times at 4 ScaledObjects, want at each once", looks)
	}
	for _, name := range names[:4] {
		c.wants("each is one shard's", name, 7)
	}
}

// A CustomResourceDefinition that is deleted by mistake takes all ScaledObjects along. Nothing is set.
func TestThatManyVanishIsAnAccident(t *testing.T) {
	c := newTown(t)
	c.depths.Store("orders", 11)
	for i := range 5 {
		name := fmt.Sprintf("w%d", i)
		c.deployment(name, 1)
		c.apply(scaledObject(name, "orders", "aws-sqs-queue"))
	}
	c.tick()
	c.wants("scaled", "w0", 3)
	for i := range 4 {
		c.do("DELETE", fmt.Sprintf("%s/w%d", shopObjects, i), "", nil)
	}
	for range 3 {
		c.tick()
	}
	c.wants("four of five vanished", "w0", 3)
	if !strings.Contains(c.log.String(), "too many ScaledObjects vanished at once") {
		t.Errorf("there is no warning in the log:\n%s", c.log)
	}
	c.starts()
	for range 3 {
		c.tick()
	}
	c.wants("nor does a process that knows nothing of that day restore them", "w0", 3)
	c.do("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scaledobjects.keda.sh", "", nil)
	c.until(func() bool { return c.try("GET", shopObjects, "", nil) != nil })
	for range 3 {
		c.tick()
	}
	c.wants("without the kind nothing is known, and nothing is restored", "w4", 3)
}

// lease is KEDA's operator at work.
func (c *town) lease() {
	c.Helper()
	c.apply(fmt.Sprintf(`{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: operator.keda.sh, namespace: keda},
  spec: {holderIdentity: keda-operator, leaseDurationSeconds: 15, renewTime: %q}}`, c.now().Add(10*time.Minute).UTC().Format("2006-01-02T15:04:05.000000Z")))
}

func TestTooMany(t *testing.T) {
	for _, row := range []struct {
		vanished, were int
		want           bool
	}{{0, 10, false}, {1, 1, false}, {1, 5, false}, {2, 2, true}, {3, 4, false}, {4, 4, true}, {4, 39, true}, {4, 40, false}, {1000, 10000, false}, {1001, 10000, true}} {
		if got := tooMany(row.vanished, row.were); got != row.want {
			t.Errorf("%d of %d: got %t, want %t", row.vanished, row.were, got, row.want)
		}
	}
}
