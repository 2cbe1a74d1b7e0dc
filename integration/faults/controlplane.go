package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// controlPlane is a real API server with its etcd. No controller runs: the sizes are those that were asked for.
type controlPlane struct {
	url      string
	client   *http.Client
	programs []*exec.Cmd
}

// The tokens of the API server's administrator and of a member of the group leda.
const (
	adminToken = "the-administrator-of-this-test"
	ledaToken  = "canary-token-of-the-group-leda"
)

// startControlPlane starts what `go run ./integration/local prepare` has built.
func startControlPlane(ctx context.Context, built, folder string) (*controlPlane, error) {
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	etcd, peer := fmt.Sprintf("http://%s:%d", loopback, ports[0]), fmt.Sprintf("http://%s:%d", loopback, ports[1])
	p := &controlPlane{url: fmt.Sprintf("https://%s:%d", loopback, ports[2])}
	tokens := filepath.Join(folder, "tokens.csv")
	if err := os.WriteFile(tokens, []byte(adminToken+",admin,1,system:masters\n"+ledaToken+",leda,2,leda\n"), 0o600); err != nil {
		return nil, err
	}
	pki := filepath.Join(folder, "pki")
	account, err := serviceAccountKey(folder)
	if err != nil {
		return nil, err
	}
	if err := p.start(folder, filepath.Join(built, "etcd"), "--data-dir="+filepath.Join(folder, "etcd"), "--name=faults",
		"--listen-client-urls="+etcd, "--advertise-client-urls="+etcd, "--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer,
		"--initial-cluster=faults="+peer, "--unsafe-no-fsync", "--log-level=error"); err != nil {
		return p, err
	}
	if err := p.start(folder, filepath.Join(built, "kube-apiserver"), "--bind-address="+loopback, "--advertise-address="+loopback,
		fmt.Sprintf("--secure-port=%d", ports[2]), "--etcd-servers="+etcd, "--cert-dir="+pki, "--token-auth-file="+tokens,
		"--authorization-mode=RBAC", "--service-account-issuer="+p.url, "--service-account-key-file="+account, "--service-account-signing-key-file="+account,
		"--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount"); err != nil {
		return p, err
	}
	return p, p.await(ctx, filepath.Join(pki, "apiserver.crt"), folder)
}

func serviceAccountKey(folder string) (string, error) {
	a, err := newAuthority("service accounts")
	if err != nil {
		return "", err
	}
	file := filepath.Join(folder, "service-account.key")
	return file, writeKey(file, a.key)
}

func freePorts(ctx context.Context, n int) ([]int, error) {
	const first, last = 20000, 32767
	var ports []int
	for range 100 {
		port := first + rand.IntN(last-first+1)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp4", fmt.Sprintf("%s:%d", loopback, port))
		if err != nil {
			continue
		}
		defer l.Close() // when all are found, so that none is twice among them
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, errors.New("no free port below 32768")
}

// start starts a program in a group of its own, which ends with this process.
func (p *controlPlane) start(folder, program string, args ...string) error {
	name := filepath.Base(program)
	log, err := os.Create(filepath.Join(folder, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()                     // the program has its own handle
	cmd := exec.Command(program, args...) //nolint:noctx // stop ends it, in its order
	cmd.Env, cmd.Dir = []string{}, folder
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s (make prerequisites; go run ./integration/local prepare): %w", name, err)
	}
	p.programs = append(p.programs, cmd)
	return nil
}

// stop ends the API server, and then etcd.
func (p *controlPlane) stop() {
	for i := len(p.programs) - 1; i >= 0; i-- {
		_ = syscall.Kill(-p.programs[i].Process.Pid, syscall.SIGKILL)
		_ = p.programs[i].Wait() // it was killed
	}
}

// await waits for the API server, which makes its certificate when it starts.
func (p *controlPlane) await(ctx context.Context, certificate, folder string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond) // it tells nobody
	defer again.Stop()
	for {
		if pem, err := os.ReadFile(certificate); err == nil {
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(pem)
			p.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}}
			if _, err := p.ask(ctx, http.MethodGet, "/readyz", "", nil); err == nil {
				return nil
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(folder, "kube-apiserver.log"))
			return fmt.Errorf("%w: the API server is not ready: %s", errWorld, log[max(0, len(log)-2000):])
		}
	}
}

// ask asks the API server as its administrator.
func (p *controlPlane) ask(ctx context.Context, verb, path, contentType string, body []byte) ([]byte, error) {
	return p.askAs(ctx, adminToken, verb, path, contentType, body)
}

// answered is an answer of the API server that is no success.
type answered struct {
	status int
	body   string
}

func (a answered) Error() string { return fmt.Sprintf("%d: %s", a.status, a.body) }

func (p *controlPlane) askAs(ctx context.Context, token, verb, path, contentType string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, verb, p.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errWorld, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errWorld, err)
	}
	if response.StatusCode > 299 {
		return answer, fmt.Errorf("%s %s: %w", verb, path, answered{response.StatusCode, string(answer)})
	}
	return answer, nil
}

// apply makes an object, or leaves the one there is.
func (p *controlPlane) apply(ctx context.Context, path string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	_, err = p.ask(ctx, http.MethodPost, path, "application/json", body)
	if said := (answered{}); errors.As(err, &said) && said.status == http.StatusConflict {
		return nil
	}
	return err
}

// front is the API server as the function reaches it: it knows the function by its token, as EKS does.
func (p *controlPlane) front(cluster string, a *amazon) http.Handler {
	target, _ := url.Parse(p.url) // our own
	proxy := &httputil.ReverseProxy{
		Transport: p.client.Transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Set("Authorization", "Bearer "+ledaToken)
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // who asked has gone
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.isFunction(r.Context(), cluster, r.Header.Get("Authorization")) {
			kubernetesRefuses(w, http.StatusUnauthorized, "Unauthorized")
			return
		}
		proxy.ServeHTTP(w, r)
	})
}

// kubernetesRefuses answers as API servers do.
func kubernetesRefuses(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	body, _ := json.Marshal(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}) // of strings and a number
	_, _ = w.Write(body)
}
