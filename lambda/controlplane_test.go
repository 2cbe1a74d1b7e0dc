package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

// controlPlane is a real etcd and kube-apiserver with nothing that acts on what they hold: a Deployment has the size
// that is written into it, and no pods.
type controlPlane struct {
	*testing.T
	endpoint  string
	authority string // base64 of PEM
	client    *http.Client
}

const adminToken = "admin"

// startControlPlane starts what the local stack is built from, and installs the kinds that `leda crds` prints.
func startControlPlane(t *testing.T) *controlPlane {
	t.Helper()
	programs := os.Getenv("KUBEBUILDER_ASSETS")
	if programs == "" {
		programs = filepath.Join("..", ".local", "bin")
	}
	for _, program := range []string{"etcd", "kube-apiserver"} {
		if _, err := os.Stat(filepath.Join(programs, program)); err != nil || testing.Short() {
			t.Skipf("-short, or there is no %s (make prepares it): the ScaledObjects of a real cluster were not tested", program)
		}
	}
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	account, webhook := filepath.Join(dir, "account.key"), filepath.Join(dir, "webhook.json")
	write(t, account, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	reviewer := httptest.NewServer(http.HandlerFunc(review))
	t.Cleanup(reviewer.Close)
	config, _ := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "aws",
		"clusters": []any{map[string]any{"name": "aws", "cluster": map[string]string{"server": reviewer.URL}}},
		"users":    []any{map[string]any{"name": "none", "user": map[string]string{}}},
		"contexts": []any{map[string]any{"name": "aws", "context": map[string]string{"cluster": "aws", "user": "none"}}},
	})
	write(t, webhook, config)
	ports := freePorts(t, 3)
	client, peer := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	c := &controlPlane{T: t, endpoint: "https://127.0.0.1:" + ports[2]}
	spawn(t, dir, filepath.Join(programs, "etcd"), "--name=test", "--data-dir="+filepath.Join(dir, "etcd"),
		"--listen-client-urls="+client, "--advertise-client-urls="+client, "--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer, "--initial-cluster=test="+peer, "--unsafe-no-fsync", "--log-level=error")
	spawn(t, dir, filepath.Join(programs, "kube-apiserver"), "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+ports[2],
		"--etcd-servers="+client, "--cert-dir="+dir, "--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none",
		"--service-account-issuer="+c.endpoint, "--service-account-key-file="+account, "--service-account-signing-key-file="+account,
		"--authorization-mode=RBAC", "--authentication-token-webhook-config-file="+webhook)
	c.await(filepath.Join(dir, "apiserver.crt"))
	crds, err := os.ReadFile(filepath.Join("..", "cmd", "leda", "crds.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c.apply(string(crds))
	c.until(func() bool {
		return c.try("GET", "/apis/keda.sh/v1alpha1/scaledobjects", "", nil) == nil && c.try("GET", "/apis/keda.sh/v1alpha1/clustertriggerauthentications", "", nil) == nil &&
			c.try("GET", "/apis/keda.sh/v1alpha1/triggerauthentications", "", nil) == nil
	})
	return c
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func spawn(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, filepath.Base(program)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = []string{}, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
	})
}

func freePorts(t *testing.T, n int) []string {
	t.Helper()
	ports := make([]string, n)
	for i := range ports {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, ports[i], _ = net.SplitHostPort(l.Addr().String())
	}
	return ports
}

// review answers the API server's question who a token is: an EKS token is Leda's.
func review(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Spec struct {
			Token string `json:"token"`
		} `json:"spec"`
	}
	err := json.NewDecoder(r.Body).Decode(&asked)
	user := map[string]any{"username": "leda", "groups": []string{kube.Group}}
	if asked.Spec.Token == adminToken {
		user = map[string]any{"username": "admin", "groups": []string{"system:masters"}}
	}
	known := err == nil && (asked.Spec.Token == adminToken || strings.HasPrefix(asked.Spec.Token, "k8s-aws-v1."))
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": "authentication.k8s.io/v1beta1", "kind": "TokenReview", "status": map[string]any{"authenticated": known, "user": user},
	})
}

func (c *controlPlane) await(certificate string) {
	c.Helper()
	c.until(func() bool {
		text, err := os.ReadFile(certificate)
		roots := x509.NewCertPool()
		if err != nil || !roots.AppendCertsFromPEM(text) {
			return false
		}
		c.authority = base64.StdEncoding.EncodeToString(text)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
		c.client = &http.Client{Transport: transport}
		defer transport.CloseIdleConnections()
		return c.try("GET", "/readyz", "", nil) == nil
	})
	c.Cleanup(c.client.CloseIdleConnections)
}

// until waits for what nobody tells of.
func (c *controlPlane) until(done func() bool) {
	c.Helper()
	end := time.NewTimer(2 * time.Minute)
	defer end.Stop()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-end.C:
			c.Fatal("the control plane is not ready after two minutes")
		}
	}
}

func (c *controlPlane) try(verb, path, body string, into any) error {
	request, err := http.NewRequestWithContext(context.WithoutCancel(c.Context()), verb, c.endpoint+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	request.Header.Set("Content-Type", map[string]string{"PATCH": "application/merge-patch+json"}[verb])
	if verb != "PATCH" {
		request.Header.Set("Content-Type", "application/yaml")
	}
	request.Header.Set("Accept", "application/json")
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode > 299 {
		err = fmt.Errorf("%s %s: %s: %s", verb, path, response.Status, answer)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(answer, into)
	}
	return err
}

func (c *controlPlane) do(verb, path, body string, into any) {
	c.Helper()
	if err := c.try(verb, path, body, into); err != nil {
		c.Fatal(err)
	}
}

// apply creates what a manifest holds.
func (c *controlPlane) apply(manifest string) {
	c.Helper()
	for document := range strings.SplitSeq(manifest, "\n---") {
		var o struct {
			APIVersion, Kind string
			Metadata         struct{ Name, Namespace string }
		}
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			c.Fatal(err)
		}
		if o.Kind == "" {
			continue
		}
		group, version, _ := strings.Cut(o.APIVersion, "/")
		path := "/apis/" + group + "/" + version
		if version == "" {
			path = "/api/" + group
		}
		if o.Metadata.Namespace != "" {
			path += "/namespaces/" + o.Metadata.Namespace
		}
		_, _, resource := scaling.TargetRef{APIVersion: o.APIVersion, Kind: o.Kind}.Resource()
		c.do("POST", path+"/"+resource, document, nil)
	}
}
