package stack_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leda-autoscaler/leda/integration/stack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStack starts the whole stack and uses it as a person would.
func TestStack(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the local stack was not started, so neither it nor its stop is tested")
	}
	const root, name = "../..", "stacktest"
	began := time.Now()
	s, err := stack.Start(t.Context(), root, name, func(step stack.Step) {
		if step.Done {
			t.Logf("%5.1f s  %s", step.Took.Seconds(), step.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil { // also when the test ends early
			t.Error(err)
		}
	})
	t.Logf("%5.1f s  in all", time.Since(began).Seconds())

	t.Run("the node is ready", func(t *testing.T) {
		user{t, s}.kubectl("wait", "--for=condition=Ready", "node/node-1", "--timeout=10s")
	})
	t.Run("a Deployment's pods become ready", func(t *testing.T) {
		user{t, s}.kubectl("create", "deployment", "web", "--image=none", "--replicas=2")
		user{t, s}.kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=30s")
		if got := (user{t, s}.kubectl("get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}")); got != "2" {
			t.Errorf("ready pods of web: got %q, want 2", got)
		}
	})
	t.Run("aws speaks to the stack", func(t *testing.T) {
		var caller struct{ Account string }
		user{t, s}.aws(&caller, "sts", "get-caller-identity")
		if caller.Account != stack.Account {
			t.Errorf("account: got %q, want %q", caller.Account, stack.Account)
		}
	})
	t.Run("EKS leads to the API server and proves it", func(t *testing.T) { user{t, s}.describedCluster() })
	t.Run("the account is bootstrapped for cdk deploy", func(t *testing.T) {
		var stacks struct {
			Stacks []struct{ StackStatus string }
		}
		user{t, s}.aws(&stacks, "cloudformation", "describe-stacks", "--stack-name", "CDKToolkit")
		if len(stacks.Stacks) != 1 || stacks.Stacks[0].StackStatus != "CREATE_COMPLETE" {
			t.Errorf("CDKToolkit: got %+v, want CREATE_COMPLETE", stacks.Stacks)
		}
	})
	t.Run("a second stack of that name is refused", func(t *testing.T) {
		if _, err := stack.Start(t.Context(), root, name, func(stack.Step) {}); !errors.Is(err, stack.ErrRunning) {
			t.Errorf("got %v, want %v", err, stack.ErrRunning)
		}
	})
	t.Run("it is found by others", func(t *testing.T) {
		if folder, running, err := stack.Running(root, name); err != nil || !running || folder != s.Folder() {
			t.Errorf("got %s, %v, %v, want %s, true", folder, running, err, s.Folder())
		}
	})

	began = time.Now()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%5.1f s  to stop", time.Since(began).Seconds())
	if _, err := os.Stat(s.Folder()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the run folder after Stop: got %v, want that it does not exist", err)
	}
	if left := processesOf(t, s.Folder()); left != nil {
		t.Errorf("processes after Stop: got %q, want none", left)
	}
	if s.Context().Err() == nil {
		t.Error("the stack's context has not ended with it")
	}
}

// A user runs programs in the stack's environment.
type user struct {
	*testing.T
	stack *stack.Stack
}

func (u user) run(name string, args ...string) string {
	u.Helper()
	cmd := exec.CommandContext(u.Context(), "env", append([]string{name}, args...)...) // env looks in the PATH it is given
	cmd.Env = u.stack.Environ()
	output, err := cmd.CombinedOutput()
	if err != nil {
		u.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
	return string(output)
}

func (u user) kubectl(args ...string) string { u.Helper(); return u.run("kubectl", args...) }

func (u user) aws(answer any, args ...string) {
	u.Helper()
	output := u.run("aws", append(args, "--output", "json")...)
	if err := json.Unmarshal([]byte(output), answer); err != nil {
		u.Fatalf("aws %s: %v in %s", strings.Join(args, " "), err, output)
	}
}

// describedCluster reaches the API server with nothing but what EKS says of the
// cluster, as the function does, and with a token that AWS has to verify.
func (u user) describedCluster() {
	var answer struct {
		Cluster struct {
			Endpoint             string
			CertificateAuthority struct{ Data string }
			AccessConfig         struct{ AuthenticationMode string }
		}
	}
	u.aws(&answer, "eks", "describe-cluster", "--name", stack.Cluster)
	if got := answer.Cluster.AccessConfig.AuthenticationMode; got != "API" {
		u.Errorf("authentication mode: got %q, want API", got)
	}
	authority, err := base64.StdEncoding.DecodeString(answer.Cluster.CertificateAuthority.Data)
	if err != nil {
		u.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		u.Fatalf("the cluster's authority is no certificate: %s", authority)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()

	// The token is signed for AWS's own address, not for the stack's.
	token := u.run("env", "-u", "AWS_ENDPOINT_URL", filepath.Join("..", "..", ".local", "venv", "awscli", "bin", "python"), "-m", "awscli",
		"eks", "get-token", "--cluster-name", stack.Cluster, "--query", "status.token", "--output", "text")
	for _, test := range []struct {
		name, token string
		want        int
	}{
		{"a signed token is its owner's, who may do nothing yet", strings.TrimSpace(token), http.StatusForbidden},
		{"a token that AWS has not signed is nobody's", strings.TrimSpace(token) + "0", http.StatusUnauthorized},
	} {
		request, err := http.NewRequestWithContext(u.Context(), http.MethodGet, answer.Cluster.Endpoint+"/api/v1/nodes", nil)
		if err != nil {
			u.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+test.token)
		response, err := (&http.Client{Transport: transport}).Do(request)
		if err != nil {
			u.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != test.want {
			u.Errorf("%s: got %d, want %d", test.name, response.StatusCode, test.want)
		}
	}
}

// processesOf lists the command lines that name the stack's folder.
func processesOf(t *testing.T, folder string) []string {
	t.Helper()
	output, err := exec.CommandContext(context.WithoutCancel(t.Context()), "ps", "-A", "-ww", "-o", "args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(output)) {
		if strings.Contains(line, folder) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}
