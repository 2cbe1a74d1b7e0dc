package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

// world is what one function sees: AWS, and a cluster behind two addresses. The targets are victim, which a
// fault is aimed at, near in the same cluster and far in another; each has a namespace.
type world struct {
	name    string
	plane   *controlPlane
	program string
	folder  string
	aws     *amazon

	sqs, victimSQS, cloudWatch, sts, eks, api, farAPI, trap *edge
	another                                                 *authority // whom the function does not trust

	behavior string // of the targets

	fn *function
}

// atOnce is a behavior without a window: what is asked for is done at the next look.
const atOnce = "{scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Percent, value: 100, periodSeconds: 1}]}}"

// through is what the victim's reading goes through.
type through string

const (
	throughSQS        through = "sqs"
	throughCloudWatch through = "cloudwatch"
	throughRole       through = "role"
)

func (w *world) namespace(target string) string { return w.name + "-" + target }

func (w *world) target(name string) string {
	cluster := "here"
	if name == "far" {
		cluster = "there"
	}
	return cluster + "/" + w.namespace(name) + "/" + name
}

// newWorld starts the servers. Its namespaces must be there.
func newWorld(plane *controlPlane, program, folder, name string) (w *world, err error) {
	w = &world{name: name, plane: plane, program: program, folder: filepath.Join(folder, name), aws: newAmazon(), behavior: atOnce}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err := os.MkdirAll(w.folder, 0o700); err != nil {
		return w, err
	}
	amazons, err := newAuthority("aws")
	if err != nil {
		return w, err
	}
	clusters, err := newAuthority("kubernetes")
	if err != nil {
		return w, err
	}
	if w.another, err = newAuthority("another"); err != nil {
		return w, err
	}
	for _, e := range []struct {
		edge      **edge
		authority *authority
		handler   http.Handler
	}{
		{&w.sqs, amazons, w.aws},
		{&w.victimSQS, amazons, w.aws},
		{&w.cloudWatch, amazons, w.aws},
		{&w.sts, amazons, w.aws},
		{&w.eks, amazons, w.aws},
		{&w.trap, amazons, w.aws},
		{&w.api, clusters, plane.front("here", w.aws)},
		{&w.farAPI, clusters, plane.front("there", w.aws)},
	} {
		if *e.edge, err = newEdge(e.authority, e.handler); err != nil {
			return w, err
		}
	}
	w.tell(clusters)
	return w, os.WriteFile(filepath.Join(w.folder, "aws.pem"), amazons.pem, 0o600)
}

// tell has EKS name the authority of the victim's cluster.
func (w *world) tell(a *authority) {
	w.aws.set(func() {
		w.aws.clusters["here"] = clusterAddress{w.api.url(), base64.StdEncoding.EncodeToString(a.pem)}
	})
}

func (w *world) edges() []*edge {
	return []*edge{w.sqs, w.victimSQS, w.cloudWatch, w.sts, w.eks, w.trap, w.api, w.farAPI}
}

func (w *world) close() {
	if w.fn != nil {
		w.fn.kill()
	}
	for _, e := range w.edges() {
		if e != nil {
			e.close()
		}
	}
}

// manifests are the fleet's objects. Without a window whatever holds a fault's victim is not one. They count as active, so that a doorbell looks once: it would
// look again, and again, at what it could not read.
func (w *world) manifests(by through) string {
	const object = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: %[1]s, namespace: %[2]s, annotations: {leda.dev/cluster: %[3]s, autoscaling.keda.sh/force-activation: "true"}}
spec:
  scaleTargetRef: {name: %[1]s}
  pollingInterval: 1
  minReplicaCount: 1
  maxReplicaCount: 20
  advanced: {horizontalPodAutoscalerConfig: {behavior: %[5]s}}
  triggers: [{%[4]s}]
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: role, namespace: %[2]s}
spec: {podIdentity: {provider: aws, roleArn: "arn:aws:iam::000000000000:role/reader", externalID: canary-external-id}}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: own, namespace: %[2]s}
spec: {podIdentity: {provider: aws}}
---`
	trigger := func(target, endpoint, authentication string) string {
		return fmt.Sprintf(`type: aws-sqs-queue, authenticationRef: {name: %s}, metadata: {queueURL: %s, awsRegion: %s, awsEndpoint: %q, queueLength: "5"}`, authentication, target, region, endpoint)
	}
	victim := trigger("victim", w.victimSQS.url(), "own")
	switch by {
	case throughRole:
		victim = trigger("victim", w.sqs.url(), "role")
	case throughCloudWatch:
		victim = fmt.Sprintf(`type: aws-cloudwatch, authenticationRef: {name: own}, metadata: {namespace: Shop, metricName: Orders, dimensionName: Kind, dimensionValue: victim, targetMetricValue: "5", minMetricValue: "0", awsRegion: %s, awsEndpoint: %q}`, region, w.cloudWatch.url())
	case throughSQS:
	}
	return fmt.Sprintf(object, "victim", w.namespace("victim"), "here", victim, w.behavior) +
		fmt.Sprintf(object, "near", w.namespace("near"), "here", trigger("near", w.sqs.url(), "own"), w.behavior) +
		fmt.Sprintf(object, "far", w.namespace("far"), "there", trigger("far", w.sqs.url(), "own"), w.behavior)
}

// write writes the function's leda.json.
func (w *world) write(by through) error {
	fleet := scaling.Fleet{Clusters: []scaling.Cluster{
		{Name: "here", Region: region},
		{Name: "there", Region: region, Endpoint: w.farAPI.url(), CertificateAuthority: base64.StdEncoding.EncodeToString(w.farAPI.pem)},
	}}
	for document := range strings.SplitSeq(w.manifests(by), "\n---") {
		if strings.TrimSpace(document) == "" {
			continue
		}
		object, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			return fmt.Errorf("%w: %w", errWorld, err)
		}
		fleet.Objects = append(fleet.Objects, object)
	}
	text, err := json.Marshal(fleet)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.folder, "leda.json"), text, 0o600)
}

// prepare makes the namespaces of worlds, with what people put there and what leda rbac gives.
func prepare(ctx context.Context, plane *controlPlane, worlds []*world) error {
	for _, w := range worlds {
		parsed, err := scaling.Parse(scaling.File{Name: w.name, Data: []byte(w.manifests(throughSQS))})
		if err != nil {
			return fmt.Errorf("%w: %w", errWorld, err)
		}
		for _, o := range parsed.ScaledObjects {
			if err := plane.apply(ctx, "/api/v1/namespaces", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]string{"name": o.Namespace}}); err != nil {
				return err
			}
			if err := plane.apply(ctx, "/apis/apps/v1/namespaces/"+o.Namespace+"/deployments", deployment(o.Target.Name)); err != nil {
				return err
			}
		}
		if err := plane.applyRights(ctx, parsed.ScaledObjects); err != nil {
			return err
		}
	}
	last := worlds[len(worlds)-1]
	return plane.awaitRights(ctx, last.scalePath("far"))
}

func deployment(name string) map[string]any {
	labels := map[string]string{"app": name}
	return map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"replicas": 1, "selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{"containers": []any{map[string]any{"name": "main", "image": "example.com/worker"}}}},
		},
	}
}

// applyRights applies what leda rbac prints.
func (p *controlPlane) applyRights(ctx context.Context, objects []scaling.ScaledObject) error {
	manifest, err := kube.RBAC(objects, kube.Group, scaling.DefaultClusterObjectNamespace)
	if err != nil {
		return err
	}
	for document := range strings.SplitSeq(string(manifest), "---\n") {
		var object struct {
			Kind     string
			Metadata struct{ Namespace string }
		}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			return err
		}
		if object.Kind == "" {
			continue // the comment at its head
		}
		path := map[string]string{
			"Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles", "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings",
			"ConfigMap": "/api/v1/namespaces/%s/configmaps",
		}[object.Kind]
		var whole any
		if err := yaml.Unmarshal([]byte(document), &whole); err != nil {
			return err
		}
		if err := p.apply(ctx, fmt.Sprintf(path, object.Metadata.Namespace), whole); err != nil {
			return err
		}
	}
	return nil
}

// awaitRights waits until the API server has heard of the newest Role.
func (p *controlPlane) awaitRights(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond) // it tells nobody
	defer again.Stop()
	for {
		_, err := p.askAs(ctx, ledaToken, http.MethodGet, path, "", nil)
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: the rights have no effect: %w", errWorld, err)
		}
	}
}

func (w *world) scalePath(target string) string {
	return "/apis/apps/v1/namespaces/" + w.namespace(target) + "/deployments/" + target + "/scale"
}

func (w *world) memoryPath(target string) string {
	return "/api/v1/namespaces/" + w.namespace(target) + "/configmaps/" + kube.MemoryName(0)
}

// resize sets a workload's size as somebody else would.
func (w *world) resize(ctx context.Context, target string, replicas int) error {
	_, err := w.plane.ask(ctx, http.MethodPatch, w.scalePath(target), "application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	return err
}

func (w *world) size(ctx context.Context, target string) (int32, error) {
	return sizeAt(ctx, w.plane, w.scalePath(target))
}

// remember writes a target's memory as of an hour ago, or what text says.
func (w *world) remember(ctx context.Context, target string, replicas int, text string) error {
	if text == "" {
		at := time.Now().Add(-time.Hour)
		memory, err := json.Marshal(scaling.Memory{Since: at, LastActive: at, Latest: scaling.Recommendation{Replicas: int32(replicas), At: at}})
		if err != nil {
			return err
		}
		text = string(memory)
	}
	object, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": kube.MemoryName(0), "namespace": w.namespace(target)}, "data": map[string]string{target: text},
	})
	if err != nil {
		return err
	}
	_, err = w.plane.ask(ctx, http.MethodPut, w.memoryPath(target), "application/json", object)
	return err
}

// begin gives every target a size, a memory that is old enough, and as much work.
func (w *world) begin(ctx context.Context) error {
	var errs []error
	for _, target := range []string{"victim", "near", "far"} {
		errs = append(errs, w.resize(ctx, target, sizeBefore), w.remember(ctx, target, sizeBefore, ""))
	}
	w.work(5 * sizeBefore)
	return errors.Join(errs...)
}

// work sets how much every queue and the metric hold; 5 are one replica's.
func (w *world) work(n int) {
	w.aws.set(func() {
		w.aws.depths = map[string]int{"victim": n, "near": n, "far": n}
		w.aws.metric = float64(n)
	})
}

// restart starts the function anew.
func (w *world) restart(ctx context.Context) (err error) {
	if w.fn != nil {
		w.fn.kill()
	}
	w.fn, err = startFunction(ctx, w.program, w.folder,
		"AWS_ENDPOINT_URL_SQS="+w.sqs.url(), "AWS_ENDPOINT_URL_STS="+w.sts.url(), "AWS_ENDPOINT_URL_EKS="+w.eks.url(), "AWS_ENDPOINT_URL_CLOUDWATCH="+w.cloudWatch.url())
	return err
}

// look has the function look at targets at once.
func (w *world) look(ctx context.Context, targets ...string) (report, error) {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = w.target(t)
	}
	text, err := json.Marshal(map[string]any{"targets": names})
	if err != nil {
		return report{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	return w.fn.invoke(ctx, string(text))
}
