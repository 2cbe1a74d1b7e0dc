package kube

import (
	"context"
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
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/leda-autoscaler/leda/scaling"
)

// server is an API server (or EKS) of a few words, which notes what it is asked.
type server struct {
	*httptest.Server
	authority string

	mu   sync.Mutex
	seen []string
}

// serve starts a server with a certificate authority of its own, which speaks HTTP/2 as API servers do.
func serve(t *testing.T, answer http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		answer(w, r)
	}))
	s.EnableHTTP2 = true
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connection{}, c) }
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that the client breaks off
	certificate, authority := certify(t)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	s.authority = authority
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

type connection struct{}

// cut ends the connection that a request came by, for all that go over it.
func cut(r *http.Request) {
	if c, ok := r.Context().Value(connection{}).(net.Conn); ok {
		_ = c.Close()
	}
	panic(http.ErrAbortHandler)
}

// certify makes a certificate for this machine that is its own authority, as EKS would name it.
func certify(t *testing.T) (tls.Certificate, string) {
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
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, base64.StdEncoding.EncodeToString(text)
}

// requests are those seen since the last call.
func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

func (s *server) count(request string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, seen := range s.seen {
		if seen == request {
			n++
		}
	}
	return n
}

// clock is a time that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// at is a cluster whose address is given.
func at(t *testing.T, s *server) *Cluster {
	t.Helper()
	c := &Cluster{
		Cluster: scaling.Cluster{Name: "demo", Region: "eu-west-1", Endpoint: s.URL, CertificateAuthority: s.authority},
		AWS:     aws.Config{Credentials: exampleKeys(time.Time{})}, Now: time.Now,
	}
	t.Cleanup(c.Close)
	return c
}

// described is a cluster whose address EKS tells, as eks says.
func described(t *testing.T, now func() time.Time, eks func() (endpoint, authority string)) (*Cluster, *server) {
	t.Helper()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		endpoint, authority := eks()
		reply(w, http.StatusOK, map[string]any{"cluster": map[string]any{"endpoint": endpoint, "certificateAuthority": map[string]any{"data": authority}}})
	})
	c := &Cluster{
		Cluster: scaling.Cluster{Name: "demo", Region: "eu-west-1"}, Now: now,
		AWS: aws.Config{Credentials: exampleKeys(time.Time{}), HTTPClient: trusting(t, s), BaseEndpoint: &s.URL},
	}
	t.Cleanup(c.Close)
	return c, s
}

func trusting(t *testing.T, s *server) *http.Client {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(s.authority)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return newWay("", "", roots, nil).client
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// status is how Kubernetes refuses.
func status(w http.ResponseWriter, code int, message string) {
	reply(w, code, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code})
}

// scaleOf is an answer of the scale subresource.
func scaleOf(replicas int) map[string]any {
	return map[string]any{
		"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": map[string]any{"name": "web", "namespace": "shop", "resourceVersion": "7", "uid": "u-1"},
		"spec": map[string]any{"replicas": replicas}, "status": map[string]any{"replicas": replicas},
	}
}

const webScale = "/apis/apps/v1/namespaces/shop/deployments/web/scale"

func web() *scaling.ScaledObject {
	return &scaling.ScaledObject{Namespace: "shop", Name: "web", Target: scaling.TargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}}
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}
