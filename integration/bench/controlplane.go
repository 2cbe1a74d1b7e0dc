package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/leda-autoscaler/leda/kube"
)

const (
	webhookPath = "/authenticate"
	adminToken  = "admin"
)

// controlPlane is a real etcd and kube-apiserver, with nothing that acts on what they hold: a Deployment has the
// size that is written into it and no pods.
type controlPlane struct {
	endpoint  string
	authority []byte // PEM
	processes []*exec.Cmd
}

// startControlPlane starts the programs of the local stack. Tokens are checked by a's webhook.
func startControlPlane(ctx context.Context, dir string, a *amazon) (*controlPlane, error) {
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	c := &controlPlane{endpoint: "https://127.0.0.1:" + ports[2]}
	client, peer := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	key, webhook := filepath.Join(dir, "service-account.key"), filepath.Join(dir, "webhook.json")
	if err := errors.Join(writeKey(key), a.writeWebhook(webhook)); err != nil {
		return nil, err
	}
	err = c.spawn(ctx, dir, "etcd", "--name=bench", "--data-dir="+filepath.Join(dir, "etcd"),
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=bench="+peer,
		"--unsafe-no-fsync", "--log-level=error") // what a crash would lose is thrown away anyway
	if err == nil {
		err = c.spawn(ctx, dir, "kube-apiserver", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+ports[2],
			"--etcd-servers="+client, "--cert-dir="+dir, "--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none",
			"--service-account-issuer="+c.endpoint, "--service-account-key-file="+key, "--service-account-signing-key-file="+key,
			"--authorization-mode=RBAC", "--authentication-token-webhook-config-file="+webhook)
	}
	if err == nil {
		err = c.await(ctx, filepath.Join(dir, "apiserver.crt"))
	}
	if err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

func (c *controlPlane) spawn(ctx context.Context, dir, program string, args ...string) error {
	file := filepath.Join(".local", "bin", program)
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		file = filepath.Join(assets, program)
	}
	log, err := os.Create(filepath.Join(dir, program+".log"))
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own handle
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.Env = []string{} // no proxy
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w; `go run ./integration/local prepare` builds it", program, err)
	}
	c.processes = append(c.processes, cmd)
	return nil
}

// await asks the API server until it is ready. Nothing tells us that it is.
func (c *controlPlane) await(ctx context.Context, certificate string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("the API server did not become ready"))
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		var err error
		if c.authority, err = os.ReadFile(certificate); err == nil {
			err = c.admin().do(ctx, http.MethodGet, "/readyz", nil)
		}
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// stop ends the API server before the etcd that it needs to end.
func (c *controlPlane) stop() {
	for i := len(c.processes) - 1; i >= 0; i-- {
		_ = c.processes[i].Process.Kill() // it may have ended by itself
		_ = c.processes[i].Wait()         // it was killed
	}
}

func writeKey(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

func (a *amazon) writeWebhook(file string) error {
	config, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "aws",
		"clusters": []any{map[string]any{"name": "aws", "cluster": map[string]string{"server": a.URL + webhookPath, "certificate-authority": a.bundle}}},
		"users":    []any{map[string]any{"name": "none", "user": map[string]string{}}},
		"contexts": []any{map[string]any{"name": "aws", "context": map[string]string{"cluster": "aws", "user": "none"}}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(file, config, 0o600)
}

// review answers the API server's question who a token is.
func review(w http.ResponseWriter, body []byte) {
	var asked struct {
		Spec struct {
			Token string `json:"token"`
		} `json:"spec"`
	}
	user := map[string]any{"username": "leda", "groups": []string{kube.Group}}
	err := json.Unmarshal(body, &asked)
	if asked.Spec.Token == adminToken {
		user = map[string]any{"username": "admin", "groups": []string{"system:masters"}}
	}
	status := map[string]any{"authenticated": err == nil && (asked.Spec.Token == adminToken || strings.HasPrefix(asked.Spec.Token, "k8s-aws-v1.")), "user": user}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "authentication.k8s.io/v1beta1", "kind": "TokenReview", "status": status})
}

// freePorts picks ports that nobody listens on now.
func freePorts(ctx context.Context, n int) ([]string, error) {
	ports := make([]string, n)
	for i := range ports {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close() // only when all are picked, so that none is picked twice
		if _, ports[i], err = net.SplitHostPort(listener.Addr().String()); err != nil {
			return nil, err
		}
	}
	return ports, nil
}
