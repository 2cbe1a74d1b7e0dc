package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// authority is a certificate for this machine, which is its own authority.
type authority struct {
	certificate tls.Certificate
	pem         []byte
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return authority{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// file writes the authority where AWS_CA_BUNDLE can name it.
func (a authority) file(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(file, a.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// secured serves an answer with a certificate, and counts the requests that got through to it.
type secured struct {
	*httptest.Server
	asked atomic.Int32
}

func serveTLS(t *testing.T, config *tls.Config, answer string) *secured {
	t.Helper()
	s := &secured{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that the client breaks off
	s.TLS = config
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// AWS's services are spoken to in TLS 1.2 or newer, whoever vouches for them.
func TestAWSIsRefusedBelowTLS12(t *testing.T) {
	a := newAuthority(t)
	for _, bundle := range []string{"", a.file(t)} {
		for _, row := range []struct {
			newest  uint16
			refused bool
		}{{tls.VersionTLS10, true}, {tls.VersionTLS11, true}, {tls.VersionTLS12, false}, {tls.VersionTLS13, false}} {
			s := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{a.certificate}, MinVersion: tls.VersionTLS10, MaxVersion: row.newest}, "{}")
			client, err := newHTTPClient(bundle)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Get(s.URL)
			if err == nil {
				_ = response.Body.Close()
			}
			client.CloseIdleConnections()
			switch {
			case row.refused && (err == nil || !strings.Contains(err.Error(), "protocol version not supported")):
				t.Errorf("AWS_CA_BUNDLE=%q: a server of %s: got %v, want that the version is refused", bundle, tls.VersionName(row.newest), err)
			case !row.refused && bundle != "" && err != nil:
				t.Errorf("AWS_CA_BUNDLE=%q: a server of %s: %v", bundle, tls.VersionName(row.newest), err)
			case !row.refused && bundle == "" && (err == nil || !strings.Contains(err.Error(), "unknown authority")):
				t.Errorf("a server of %s that the system's roots do not vouch for: got %v, want that its authority is refused", tls.VersionName(row.newest), err)
			}
		}
	}
}

// systemRoots is where a test starts itself anew with an authority in the place of the system's roots,
// which a process reads once.
const systemRoots = "LEDA_TEST_SYSTEM_ROOTS"

// A cluster is believed with the authority that EKS names for it and with no other, and that authority is
// believed for that cluster alone: neither for AWS's services nor for the next cluster.
func TestEachAuthorityIsTrustedWhereItBelongs(t *testing.T) {
	if file := os.Getenv(systemRoots); file != "" {
		ofAWS, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.LoadX509KeyPair(file, file)
		if err != nil {
			t.Fatal(err)
		}
		eachAuthority(t, "", authority{pair, ofAWS})
		return
	}
	a := newAuthority(t)
	t.Run("AWS_CA_BUNDLE", func(t *testing.T) { eachAuthority(t, a.file(t), a) })
	t.Run("the system's roots", func(t *testing.T) {
		key, err := x509.MarshalPKCS8PrivateKey(a.certificate.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		a.pem = append(slices.Clone(a.pem), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
		roots := a.file(t)
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEachAuthorityIsTrustedWhereItBelongs$", "-test.count=1", "-test.v")
		again.Env = append(os.Environ(), systemRoots+"="+roots, "SSL_CERT_FILE="+roots, "SSL_CERT_DIR="+t.TempDir())
		if printed, err := again.CombinedOutput(); err != nil || !bytes.Contains(printed, []byte("--- PASS: TestEachAuthorityIsTrustedWhereItBelongs")) {
			t.Errorf("%v\n%s", err, printed)
		}
	})
}

// eachAuthority shows the function, in the place of AWS's services and of two clusters, the certificates of all three.
func eachAuthority(t *testing.T, bundle string, ofAWS authority) {
	near, far := newAuthority(t), newAuthority(t)
	vouch := map[string]authority{"AWS": ofAWS, "cluster near": near, "cluster far": far}
	for shown, a := range vouch {
		s := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{a.certificate}, MinVersion: tls.VersionTLS12}, `{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"orders","namespace":"shop","resourceVersion":"1"},"spec":{"replicas":3},"status":{"replicas":3}}`)
		h := startedAt(t, s.URL, bundle, map[string]authority{"near": near, "far": far})
		asks := map[string]func() error{
			"AWS": func() error {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
				if err != nil {
					return err
				}
				response, err := h.meter.queues.service.aws.HTTPClient.Do(request)
				if err != nil {
					return err
				}
				return response.Body.Close()
			},
		}
		for _, target := range h.targets {
			asks["cluster "+target.Cluster] = func() error {
				_, err := target.cluster.Scale(t.Context(), target.ScaledObject)
				return err
			}
		}
		if len(asks) != len(vouch) {
			t.Fatalf("asks %d of %d", len(asks), len(vouch))
		}
		for who, ask := range asks {
			err, got := ask(), s.asked.Swap(0)
			switch {
			case who == shown && (err != nil || got != 1):
				t.Errorf("%s with its own authority: %v, and %d requests got through", who, err, got)
			case who != shown && (err == nil || got != 0 || !strings.Contains(err.Error(), "unknown authority")):
				t.Errorf("%s with the authority of %s: got %v, and %d requests got through, want that the authority is refused", who, shown, err, got)
			}
		}
	}
}

// startedAt is the function as it starts, with all that it asks at one address.
func startedAt(t *testing.T, url, bundle string, clusters map[string]authority) *handler {
	t.Helper()
	var fleet scaling.Fleet
	for name, a := range clusters {
		fleet.Clusters = append(fleet.Clusters, scaling.Cluster{Name: name, Region: "eu-west-1", Endpoint: url, CertificateAuthority: base64.StdEncoding.EncodeToString(a.pem)})
		fleet.Objects = append(fleet.Objects, json.RawMessage(`{"apiVersion":"keda.sh/v1alpha1","kind":"ScaledObject",
			"metadata":{"name":"`+name+`","namespace":"shop","annotations":{"leda.dev/cluster":"`+name+`"}},
			"spec":{"scaleTargetRef":{"name":"`+name+`"},"triggers":[{"type":"aws-sqs-queue","metadata":{"queueURL":"orders","awsRegion":"eu-west-1","identityOwner":"operator"}}]}}`))
	}
	settings, err := json.Marshal(fleet)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "leda.json"), settings, 0o600); err != nil {
		t.Fatal(err)
	}
	keys := ownKeys()
	environment := map[string]string{
		"LAMBDA_TASK_ROOT": dir, "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": url, "AWS_CA_BUNDLE": bundle,
		"AWS_ACCESS_KEY_ID": keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY": keys.SecretAccessKey, "AWS_SESSION_TOKEN": keys.SessionToken,
	}
	h, err := start(func(name string) string { return environment[name] }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range h.targets {
		t.Cleanup(target.cluster.Close)
	}
	return h
}
