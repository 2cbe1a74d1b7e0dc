// Package kube speaks to EKS clusters: it signs their bearer tokens, finds and keeps the connection to
// their API server, reads and sets the scale of workloads, writes events, and keeps memory in ConfigMaps.
package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/leda-autoscaler/leda/scaling"
)

// describeInterval is how often EKS is asked for a cluster's address while the one it named does not serve.
const describeInterval = 15 * time.Second

// aMoment is how long a request waits for the one that tries a cluster anew: long enough for an answer.
const aMoment = 500 * time.Millisecond

// A Cluster is the connection to one EKS cluster. It is safe for concurrent use.
//
// While the API server is not known to answer, one request at a time goes to it. At first the others wait
// for what becomes of it, so that they share its connection; once it has failed they wait a moment only, so that
// a cluster that is down keeps nobody waiting and nobody busy, and one that is back serves all at once.
type Cluster struct {
	scaling.Cluster

	AWS aws.Config       // how EKS is asked for the endpoint, and whose identity the cluster sees
	Now func() time.Time // the clock that tokens are signed and aged by

	// Wrap is put around what sends the requests to the API server; nil for nothing.
	Wrap func(http.RoundTripper) http.RoundTripper

	mu     sync.Mutex
	way    *way          // the one in use; nil while none is known to serve
	trying chan struct{} // closed when the request that tries is over; nil while none does
	down   error         // why the last try failed; nil when it did not, or nobody has tried
	tokens *TokenSource

	described description // for the one who tries

	allowances map[string]*eventAllowance // by target

	discovery sync.Mutex              // held while the cluster is asked for its kinds
	resources map[string]apiResources // by group and version
}

// description is what EKS said of a cluster's address, and when.
type description struct {
	at                  time.Time
	endpoint, authority string
	err                 error
}

// way is a way to the API server: an address with connections to it.
type way struct {
	cluster  string
	endpoint string
	client   *http.Client
	close    func()    // its idle connections
	serves   bool      // it has answered
	last     time.Time // when it did last
}

// noAnswer is the error of a request that the API server did not answer.
type noAnswer struct{ error }

func (n noAnswer) Unwrap() error { return n.error }

// streamError is what net/http's error of an HTTP/2 stream turns into: its fields are all that counts.
type streamError struct {
	StreamID, Code uint32
	Cause          error
}

func (e streamError) Error() string { return fmt.Sprintf("stream %d was reset", e.StreamID) }

// wasReset says whether the server gave up one request, and not the connection: others are being served.
func wasReset(err error) bool {
	var reset streamError
	return errors.As(err, &reset)
}

// connect returns a way that serves. Where there is none, the caller is the one who tries a new one, unless
// another does already. Who gets a way has to settle.
func (c *Cluster) connect(ctx context.Context) (*way, error) {
	for {
		c.mu.Lock()
		w, trying, down := c.way, c.trying, c.down
		if w == nil && trying == nil {
			c.trying = make(chan struct{})
		}
		c.mu.Unlock()
		switch {
		case w != nil:
			return w, nil
		case trying == nil:
			w, err := c.open(ctx)
			if err != nil {
				c.settle(ctx, nil, time.Time{}, http.MethodGet, noAnswer{err})
			}
			return w, err
		}
		var moment <-chan time.Time
		if down != nil {
			timer := time.NewTimer(aMoment)
			defer timer.Stop()
			moment = timer.C
		}
		select {
		case <-moment:
			return nil, fmt.Errorf("it is being tried again: %w", down)
		case <-trying:
			c.mu.Lock()
			down = c.down
			c.mu.Unlock()
			if down != nil {
				return nil, down
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the connection to cluster %s: %w", c.Name, ctx.Err())
		}
	}
}

// settle draws the conclusions from a request's end, and says whether the way that it took was given up.
func (c *Cluster) settle(ctx context.Context, w *way, began time.Time, verb string, err error) (lost bool) {
	var unanswered noAnswer
	silent := errors.As(err, &unanswered) && (w == nil || !wasReset(err)) // without a way it is EKS that was asked
	c.mu.Lock()
	defer c.mu.Unlock()
	if w != nil && w.serves {
		switch {
		case !silent:
			w.last = c.Now()
			return false
		case verb != http.MethodGet, ctx.Err() != nil, w.last.After(began):
			return false // slow by itself, or ended by the caller: others are being served
		}
		if c.way == w {
			c.way = nil
		}
		w.close()
		return true
	}
	switch {
	case !silent:
		w.serves, w.last = true, c.Now()
		c.way, c.down = w, nil
	case ctx.Err() == nil:
		c.down = err
	}
	if silent && w != nil {
		w.close()
	}
	close(c.trying)
	c.trying = nil
	return false
}

// open makes a new way to the API server, asking EKS for the address where it is not given. Only the one
// who tries calls it.
func (c *Cluster) open(ctx context.Context) (*way, error) {
	endpoint, authority := c.Endpoint, c.CertificateAuthority
	if endpoint == "" || authority == "" {
		if now := c.Now(); c.described.at.IsZero() || now.Sub(c.described.at) >= describeInterval {
			d := description{at: now}
			d.endpoint, d.authority, d.err = describeCluster(ctx, c.AWS, c.Region, c.Name, now)
			if d.err != nil && ctx.Err() != nil {
				return nil, d.err // the caller had no time; EKS may have
			}
			c.described = d
		}
		if c.described.err != nil {
			return nil, c.described.err
		}
		endpoint, authority = c.described.endpoint, c.described.authority
	}
	pem, err := base64.StdEncoding.DecodeString(authority)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: its certificate authority is not base64: %w", c.Name, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("cluster %s: its certificate authority is no certificate in PEM", c.Name)
	}
	return newWay(c.Name, endpoint, roots, c.Wrap), nil
}

// newWay speaks HTTP/2, over which one connection carries a whole pass, and finds out by itself about a
// connection that died while the function was frozen.
func newWay(cluster, endpoint string, roots *x509.CertPool, wrap func(http.RoundTripper) http.RoundTripper) *way {
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
		HTTP2:             &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 3 * time.Second},
		IdleConnTimeout:   5 * time.Minute,
	}
	client := &http.Client{
		Transport: transport,
		// An API server redirects nobody, and a token is for nobody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if wrap != nil {
		client.Transport = wrap(transport)
	}
	return &way{cluster: cluster, endpoint: strings.TrimSuffix(endpoint, "/"), client: client, close: transport.CloseIdleConnections}
}

// silence is the error of a request that got no answer, with what to do about it.
func (w *way) silence(ctx context.Context, err error) error {
	var request *url.Error
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	} else if errors.As(err, &request) {
		err = request.Err // without the address, which is said here
	}
	var wrong *tls.CertificateVerificationError
	advice := "can the function reach it? (a public endpoint that allows its address, or the function in the cluster's VPC)"
	if errors.As(err, &wrong) {
		advice = "that is not the certificate authority which EKS or the context key certificateAuthority names"
	}
	return noAnswer{fmt.Errorf("cluster %s at %s did not answer: %w; %s", w.cluster, w.endpoint, err, advice)}
}

// token returns the bearer token to send.
func (c *Cluster) token(ctx context.Context) (string, error) {
	c.mu.Lock()
	if c.tokens == nil {
		c.tokens = &TokenSource{Cluster: c.Name, Region: c.Region, Credentials: c.AWS.Credentials}
	}
	tokens := c.tokens
	c.mu.Unlock()
	token, _, err := tokens.Token(ctx, c.Now())
	return token, err
}

// Close ends idle connections.
func (c *Cluster) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.way != nil {
		c.way.close()
	}
}
