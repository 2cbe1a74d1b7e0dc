package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/leda-autoscaler/leda/scaling"
)

const cluster = "bench"

// A target is a ScaledObject on one queue, and the Deployment that it scales; both have its name.
type target struct {
	namespace, name   string
	replicas          int // of the Deployment, when it is made
	min, max, polling int
}

// many are targets of one kind, a thousand in a namespace.
func many(n int, namespace string, like target) []target {
	targets := make([]target, n)
	for i := range targets {
		targets[i] = like
		targets[i].namespace, targets[i].name = fmt.Sprintf("%s-%d", namespace, i/1000), fmt.Sprintf("%s-%05d", namespace, i)
	}
	return targets
}

// queueLength is how many messages a replica is for.
const queueLength = 5

func (t target) object() map[string]any {
	return map[string]any{
		"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": map[string]string{"name": t.name, "namespace": t.namespace},
		"spec": map[string]any{
			"scaleTargetRef": map[string]string{"name": t.name}, "pollingInterval": t.polling, "minReplicaCount": t.min, "maxReplicaCount": t.max,
			"triggers": []any{map[string]any{
				"type":     "aws-sqs-queue",
				"metadata": map[string]string{"queueURL": t.name, "queueLength": fmt.Sprint(queueLength), "awsRegion": region, "identityOwner": "operator"},
			}},
		},
	}
}

func (t target) deployment() map[string]any {
	labels := map[string]string{"app": t.name}
	return map[string]any{
		"metadata": map[string]string{"name": t.name},
		"spec": map[string]any{
			"replicas": t.replicas, "selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{
				"metadata": map[string]any{"labels": labels},
				"spec":     map[string]any{"containers": []any{map[string]string{"name": "worker", "image": "example.com/worker"}}},
			},
		},
	}
}

func objects(targets []target) []json.RawMessage {
	documents := make([]json.RawMessage, len(targets))
	for i, t := range targets {
		documents[i], _ = json.Marshal(t.object()) // text, numbers and maps of them
	}
	return documents
}

// code makes what is deployed as a function's code: the folder that has leda.json. Where described is true EKS is
// asked for the cluster's address.
func (b *bench) code(name string, targets []target, looks scaling.Looks, described bool) (string, error) {
	folder := filepath.Join(b.dir, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	c := scaling.Cluster{Name: cluster, Region: region}
	if !described {
		c.Endpoint, c.CertificateAuthority = b.plane.endpoint, base64.StdEncoding.EncodeToString(b.plane.authority)
	}
	document, err := json.Marshal(scaling.Fleet{Clusters: []scaling.Cluster{c}, Objects: objects(targets), Looks: looks})
	if err != nil {
		return "", err
	}
	return folder, os.WriteFile(filepath.Join(folder, "leda.json"), document, 0o600)
}
