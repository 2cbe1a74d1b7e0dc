package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

// admin is who may do everything in the cluster.
type admin struct {
	endpoint string
	client   *http.Client
}

func (c *controlPlane) admin() *admin {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	return &admin{c.endpoint, &http.Client{Transport: transport}}
}

func (a *admin) open(ctx context.Context, verb, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, verb, a.endpoint+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode > 299 {
		defer response.Body.Close()
		answer, _ := io.ReadAll(response.Body) // the status is what matters
		return nil, fmt.Errorf("%s %s: %s: %s", verb, path, response.Status, answer)
	}
	return response, nil
}

func (a *admin) do(ctx context.Context, verb, path string, body []byte) error {
	response, err := a.open(ctx, verb, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body) // so that the connection serves again
	return err
}

// create makes what the targets need: their namespaces, their Deployments and, as `leda rbac` prints them, the
// function's rights and its memory's ConfigMaps.
func (a *admin) create(ctx context.Context, targets []target) error {
	sizes := map[string]int{}
	for _, t := range targets {
		sizes[t.namespace+"/"+t.name] = t.replicas
	}
	manifests, err := (scaling.Fleet{Clusters: []scaling.Cluster{{Name: cluster}}, Objects: objects(targets)}).Targets()
	if err != nil {
		return err
	}
	made := map[string]bool{}
	for _, t := range targets {
		if made[t.namespace] {
			continue
		}
		made[t.namespace] = true
		if err := a.post(ctx, "/api/v1/namespaces", map[string]any{"metadata": map[string]string{"name": t.namespace}}); err != nil {
			return err
		}
	}
	rights, err := kube.RBAC(manifests.ScaledObjects, kube.Group, "keda")
	if err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(16)
	for document := range strings.SplitSeq(string(rights), "\n---\n") {
		all.Go(func() error { return a.apply(ctx, document) })
	}
	for _, t := range targets {
		all.Go(func() error {
			return a.post(ctx, "/apis/apps/v1/namespaces/"+t.namespace+"/deployments", t.deployment())
		})
	}
	return all.Wait()
}

func (a *admin) apply(ctx context.Context, document string) error {
	var object struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := yaml.Unmarshal([]byte(document), &object); err != nil {
		return err
	}
	paths := map[string]string{"Role": "/apis/rbac.authorization.k8s.io/v1", "RoleBinding": "/apis/rbac.authorization.k8s.io/v1", "ConfigMap": "/api/v1"}
	if paths[object.Kind] == "" {
		return nil // the comment at the top
	}
	body, err := yaml.YAMLToJSON([]byte(document))
	if err != nil {
		return err
	}
	return a.do(ctx, http.MethodPost, paths[object.Kind]+"/namespaces/"+object.Metadata.Namespace+"/"+strings.ToLower(object.Kind)+"s", body)
}

func (a *admin) post(ctx context.Context, path string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return a.do(ctx, http.MethodPost, path, body)
}

// requests are what the API server has counted of what Leda sends.
type requests struct {
	scales    int // reads of scales
	changes   int // writes of them
	memory    int // reads and writes of ConfigMaps
	stores    int // the writes among them
	conflicts int // those that were refused, since someone else had written
	events    int
}

func (r requests) total() int { return r.scales + r.changes + r.memory + r.events }

func (r requests) since(before requests) requests {
	return requests{
		r.scales - before.scales, r.changes - before.changes, r.memory - before.memory, r.stores - before.stores,
		r.conflicts - before.conflicts, r.events - before.events,
	}
}

// requests reads the API server's own metrics.
func (a *admin) requests(ctx context.Context) (requests, error) {
	var r requests
	response, err := a.open(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return r, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		labels, count, found := strings.Cut(strings.TrimPrefix(lines.Text(), "apiserver_request_total{"), "} ")
		if !found || !strings.HasPrefix(lines.Text(), "apiserver_request_total{") {
			continue
		}
		number, err := strconv.ParseFloat(count, 64)
		if err != nil {
			return r, err
		}
		n := int(number)
		has := func(label, value string) bool { return strings.Contains(","+labels+",", ","+label+`="`+value+`",`) }
		switch put := has("verb", "PUT"); {
		case has("subresource", "scale") && put:
			r.changes += n
		case has("subresource", "scale"):
			r.scales += n
		case has("resource", "configmaps") && (put || has("verb", "GET")):
			r.memory += n
			if put {
				r.stores += n
			}
			if put && has("code", "409") {
				r.conflicts += n
			}
		case has("resource", "events") && has("verb", "POST"):
			r.events += n
		}
	}
	return r, lines.Err()
}
