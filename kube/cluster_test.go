package kube

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/leda-autoscaler/leda/scaling"
)

// deaf is an address where nobody listens.
func deaf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "https://" + l.Addr().String()
}

// everybody reads a scale so many times at once, and returns their errors.
func everybody(t *testing.T, c *Cluster, o *scaling.ScaledObject, n int) []error {
	t.Helper()
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { _, errs[i] = c.Scale(t.Context(), o) })
	}
	all.Wait()
	return errs
}

func TestAClusterThatIsDownCostsLittle(t *testing.T) {
	api := serve(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, scaleOf(2)) })
	dead, time := deaf(t), &clock{now: noon()}
	endpoint := dead
	c, eks := described(t, time.Now, func() (string, string) { return endpoint, api.authority })
	for range 3 {
		for _, err := range everybody(t, c, web(), 300) {
			if err == nil || !strings.Contains(err.Error(), "cluster demo at "+dead+" did not answer") {
				t.Fatalf("got %v, want that the cluster did not answer", err)
			}
		}
	}
	same(t, "EKS, asked by 900 looks within one moment", eks.requests(), "GET /clusters/demo")

	endpoint = api.URL
	time.pass(describeInterval - 1)
	if err := everybody(t, c, web(), 1)[0]; err == nil {
		t.Error("it was asked again too soon")
	}
	time.pass(1)
	if err := everybody(t, c, web(), 1)[0]; err != nil {
		t.Fatalf("it has another address now: %v", err)
	}
	if err := errors.Join(everybody(t, c, web(), 300)...); err != nil {
		t.Errorf("who tried has found it for all: %v", err)
	}
	same(t, "EKS, asked after the interval", eks.requests(), "GET /clusters/demo")
}

func TestWhatEKSRefusesIsNotAskedByEveryTarget(t *testing.T) {
	time := &clock{now: noon()}
	c, _ := described(t, time.Now, nil)
	kind := "AccessDeniedException"
	refusing := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-Errortype", kind)
		reply(w, 403, map[string]any{"message": "no"})
	})
	c.AWS.HTTPClient, c.AWS.BaseEndpoint = trusting(t, refusing), &refusing.URL
	for _, err := range append(everybody(t, c, web(), 100), everybody(t, c, web(), 100)...) {
		if err == nil || !strings.Contains(err.Error(), "the function's role needs eks:DescribeCluster on cluster demo") {
			t.Fatalf("got %v, want the right that is missing", err)
		}
	}
	same(t, "EKS", refusing.requests(), "GET /clusters/demo")

	kind = "RequestTimeTooSkewed"
	time.pass(describeInterval)
	if err := everybody(t, c, web(), 1)[0]; err == nil || strings.Contains(err.Error(), "needs eks:DescribeCluster") {
		t.Errorf("a clock that is wrong: got %v, want no word of a right", err)
	}
}

func TestOneRequestTriesAndTheOthersDoNotWait(t *testing.T) {
	hold, held := make(chan struct{}), make(chan struct{})
	answer := func(_ http.ResponseWriter, r *http.Request) { cut(r) }
	var mu sync.Mutex
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		answer := answer
		mu.Unlock()
		answer(w, r)
	})
	c := at(t, s)
	if err := everybody(t, c, web(), 1)[0]; err == nil {
		t.Fatal("a broken connection is an answer")
	}
	s.requests()

	mu.Lock()
	answer = func(w http.ResponseWriter, _ *http.Request) {
		held <- struct{}{}
		<-hold
		reply(w, http.StatusOK, scaleOf(2))
	}
	mu.Unlock()
	tried := make(chan error)
	go func() {
		_, err := c.Scale(t.Context(), web())
		tried <- err
	}()
	<-held
	for _, err := range everybody(t, c, web(), 100) { // would not return if they waited for more than a moment
		if err == nil || !strings.Contains(err.Error(), "being tried again") {
			t.Fatalf("got %v, want that somebody is trying", err)
		}
	}
	close(hold)
	if err := <-tried; err != nil {
		t.Error(err)
	}
	same(t, "the server was asked by", s.requests(), "GET "+webScale)

	mu.Lock()
	answer = func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, scaleOf(2)) }
	mu.Unlock()
	if err := errors.Join(everybody(t, c, web(), 100)...); err != nil {
		t.Errorf("it answers again: %v", err)
	}
}

// A cluster that is back serves everybody, and not only the one who finds out.
func TestWhoComesWhileAClusterComesBackIsServed(t *testing.T) {
	var served atomic.Bool
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !served.Load() {
			cut(r)
		}
		reply(w, http.StatusOK, scaleOf(2))
	})
	c := at(t, s)
	if err := everybody(t, c, web(), 1)[0]; err == nil {
		t.Fatal("a broken connection is an answer")
	}
	served.Store(true)
	if err := errors.Join(everybody(t, c, web(), 100)...); err != nil {
		t.Errorf("it answers again: %v", err)
	}
}

// That EKS gives a request up says nothing of the API server.
func TestEKSThatResetsARequest(t *testing.T) {
	broken := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	c, _ := described(t, time.Now, nil)
	c.AWS.HTTPClient, c.AWS.BaseEndpoint = trusting(t, broken), &broken.URL
	for _, err := range everybody(t, c, web(), 10) {
		if err == nil || !strings.Contains(err.Error(), "describe EKS cluster demo in eu-west-1") {
			t.Errorf("got %v, want what EKS was asked", err)
		}
	}
}

// A request that the server gives up is that request's trouble: nobody else waits, or loses the connection.
func TestAResetRequestKeepsTheConnection(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/broken/scale") {
			panic(http.ErrAbortHandler)
		}
		reply(w, http.StatusOK, scaleOf(2))
	})
	c := at(t, s)
	if err := everybody(t, c, web(), 1)[0]; err != nil {
		t.Fatal(err)
	}
	way := c.way
	broken := web()
	broken.Target.Name = "broken"
	if _, err := c.Scale(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "stream error") {
		t.Errorf("got %v, want that the stream was reset", err)
	}
	if c.way != way || c.down != nil {
		t.Errorf("the connection was given up: %v", c.down)
	}
	if n := s.count("GET " + strings.Replace(webScale, "/web/", "/broken/", 1)); n != 2 {
		t.Errorf("a read that was reset was sent %d times, want 2", n)
	}
}

func TestAServerThatHangs(t *testing.T) {
	t.Parallel()
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	began := time.Now()
	for _, err := range everybody(t, at(t, s), web(), 100) {
		if err == nil || !strings.Contains(err.Error(), "did not answer: nothing came within 4s") {
			t.Fatalf("got %v, want that nothing came", err)
		}
	}
	if took := time.Since(began); took > 2*readTimeout {
		t.Errorf("100 looks took %s, want the time of one", took)
	}
	same(t, "the server was asked by", s.requests(), "GET "+webScale)
}

func TestASlowReadIsItsOwnTrouble(t *testing.T) {
	t.Parallel()
	hanging, others := make(chan struct{}), false
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/slow/scale") {
			close(hanging)
			<-r.Context().Done()
			return
		}
		reply(w, http.StatusOK, scaleOf(2))
	})
	c := at(t, s)
	if err := everybody(t, c, web(), 1)[0]; err != nil {
		t.Fatal(err)
	}
	slow := web()
	slow.Target.Name = "slow"
	ended := make(chan error)
	go func() {
		_, err := c.Scale(t.Context(), slow)
		ended <- err
	}()
	<-hanging
	others = errors.Join(everybody(t, c, web(), 10)...) == nil
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "nothing came within") {
		t.Errorf("got %v, want that nothing came", err)
	}
	if !others || c.way == nil {
		t.Error("the others were not served, or their connection was given up")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheFirstRequestsShareAConnection(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, scaleOf(2)) })
	connections := map[string]bool{}
	var mu sync.Mutex
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		connections[r.RemoteAddr] = true
		mu.Unlock()
		reply(w, http.StatusOK, scaleOf(2))
	})
	c := at(t, s)
	var sent atomic.Int64
	c.Wrap = func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			sent.Add(1)
			return next.RoundTrip(r)
		})
	}
	if err := errors.Join(everybody(t, c, web(), 64)...); err != nil {
		t.Fatal(err)
	}
	if sent.Load() != 64 {
		t.Errorf("%d requests went through what is around them, want 64", sent.Load())
	}
	if len(connections) != 1 {
		t.Errorf("got %d connections, want 1", len(connections))
	}
}

func TestACallerWithoutTimeSaysNothingOfTheServer(t *testing.T) {
	asked := make(chan struct{})
	first := true
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if first {
			first = false
			close(asked)
			<-r.Context().Done()
			return
		}
		reply(w, http.StatusOK, scaleOf(2))
	})
	c := at(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := c.Scale(ctx, web())
		ended <- err
	}()
	<-asked
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if c.down != nil {
		t.Errorf("the server counts as down: %v", c.down)
	}
	if _, err := c.Scale(t.Context(), web()); err != nil {
		t.Error(err)
	}
}

func TestCertificates(t *testing.T) {
	api := serve(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, scaleOf(2)) })
	_, another := certify(t)
	authority, time := api.authority, &clock{now: noon()}
	c, _ := described(t, time.Now, func() (string, string) { return api.URL, authority })
	read := func() error { _, err := c.Scale(t.Context(), web()); return err }
	if err := read(); err != nil {
		t.Fatal(err)
	}

	// The server gets a new certificate, under an authority that EKS does not name yet.
	certificate, renewed := certify(t)
	api.TLS.Certificates[0] = certificate
	api.CloseClientConnections()
	if err := read(); err == nil || !strings.Contains(err.Error(), "that is not the certificate authority which EKS") {
		t.Errorf("got %v, want that the certificate is refused", err)
	}
	authority = renewed
	time.pass(describeInterval)
	if err := read(); err != nil {
		t.Errorf("EKS names its authority now: %v", err)
	}

	for rule, given := range map[string]string{"no base64": "%", "no certificate": "bm9uZQ==", "another's": another} {
		c := at(t, api)
		c.CertificateAuthority = given
		if _, err := c.Scale(t.Context(), web()); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: got %v", rule, err)
		}
	}
	if n := len(api.requests()); n != 2 {
		t.Errorf("the server got %d requests, want the 2 that trusted it", n)
	}
}

// The token is worth as much as the cluster: it goes over TLS 1.2 or newer.
func TestAnAPIServerIsRefusedBelowTLS12(t *testing.T) {
	api := serve(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, scaleOf(2)) })
	for _, row := range []struct {
		newest  uint16
		refusal string
	}{
		{tls.VersionTLS10, "protocol version not supported"},
		{tls.VersionTLS11, "protocol version not supported"},
		{tls.VersionTLS12, ""},
		{tls.VersionTLS13, ""},
	} {
		old := httptest.NewUnstartedServer(api.Config.Handler)
		old.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that the client breaks off
		old.TLS = &tls.Config{Certificates: api.TLS.Certificates, MinVersion: tls.VersionTLS10, MaxVersion: row.newest}
		old.StartTLS()
		c := at(t, api)
		c.Endpoint = old.URL
		_, err := c.Scale(t.Context(), web())
		if row.refusal == "" && err != nil || row.refusal != "" && (err == nil || !strings.Contains(err.Error(), row.refusal)) {
			t.Errorf("a server of %s: got %v, want %q", tls.VersionName(row.newest), err, row.refusal)
		}
		c.Close()
		old.Close()
	}
	if n := len(api.requests()); n != 2 {
		t.Errorf("the server got %d requests, want the 2 in TLS 1.2 and newer", n)
	}
}

func TestATokenThatCannotBeSignedIsNotTheServersFault(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, scaleOf(2)) })
	c := at(t, s)
	keys, broken := c.AWS.Credentials, false
	c.AWS.Credentials = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		if broken {
			return aws.Credentials{}, fmt.Errorf("no role")
		}
		return keys.Retrieve(ctx)
	})
	clock := &clock{now: time.Now()}
	c.Now = clock.Now
	if _, err := c.Scale(t.Context(), web()); err != nil {
		t.Fatal(err)
	}
	broken = true
	clock.pass(tokenLife)
	if _, err := c.Scale(t.Context(), web()); err == nil || !strings.Contains(err.Error(), "no role") {
		t.Errorf("got %v, want why there is no token", err)
	}
	broken = false
	if _, err := c.Scale(t.Context(), web()); err != nil {
		t.Error(err)
	}
}
