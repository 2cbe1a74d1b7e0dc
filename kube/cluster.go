// Package kube speaks to EKS clusters: it signs their bearer tokens, finds and keeps the connection to
// their API server, reads and sets the scale of workloads, and keeps memory in ConfigMaps.
package kube

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/leda-autoscaler/leda/scaling"
)

// What a caller may want to tell apart.
var (
	ErrConflict = errors.New("it was changed in the meantime")
	ErrNotFound = errors.New("it is not there")
)

// A Cluster is the connection to one EKS cluster. It is safe for concurrent use.
type Cluster struct {
	scaling.Cluster

	AWS aws.Config       // how EKS is asked for the endpoint, and whose identity the cluster sees
	Now func() time.Time // the clock that tokens are signed and aged by

	// Wrap is put around what sends the requests to the API server; nil for nothing.
	Wrap func(http.RoundTripper) http.RoundTripper

	mu     sync.Mutex
	client *rest.RESTClient
	tokens *TokenSource
}

// request sends one request to the API server and returns the answer's body. Errors are
// [apierrors.StatusError] when the server answered, wrapping [ErrConflict] and [ErrNotFound].
func (c *Cluster) request(ctx context.Context, verb, path string, body []byte) ([]byte, error) {
	client, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	request := client.Verb(verb).AbsPath(path).MaxRetries(1)
	if body != nil {
		request = request.SetHeader("Content-Type", "application/json").Body(body)
	}
	result := request.Do(ctx)
	answer, _ := result.Raw() // Error knows the same error, and more of it
	err = result.Error()
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return answer, nil
	case apierrors.IsConflict(err):
		return nil, fmt.Errorf("%w: %w", ErrConflict, err)
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.As(err, &status):
		return nil, err
	}
	// The server was not reached, or did not answer as one. Perhaps its address or certificate is another now.
	c.disconnect(client)
	return nil, fmt.Errorf("cluster %s: %w", c.Name, err)
}

// connect returns the client, asking EKS for the endpoint and its certificate authority when they are not known.
func (c *Cluster) connect(ctx context.Context) (*rest.RESTClient, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil {
		return c.client, nil
	}
	endpoint, authority := c.Endpoint, c.CertificateAuthority
	if endpoint == "" || authority == "" {
		var err error
		if endpoint, authority, err = describeCluster(ctx, c.AWS, c.Region, c.Name, c.Now()); err != nil {
			return nil, err
		}
	}
	roots, err := base64.StdEncoding.DecodeString(authority)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: its certificate authority is not base64: %w", c.Name, err)
	}
	if c.tokens == nil {
		c.tokens = &TokenSource{Cluster: c.Name, Region: c.Region, Credentials: c.AWS.Credentials}
	}
	client, err := newClient(endpoint, roots, func(next http.RoundTripper) http.RoundTripper {
		if c.Wrap != nil {
			next = c.Wrap(next)
		}
		return &authenticator{tokens: c.tokens, now: c.Now, next: next}
	})
	if err != nil {
		return nil, fmt.Errorf("cluster %s at %s: %w", c.Name, endpoint, err)
	}
	c.client = client
	return client, nil
}

// disconnect forgets a client that did not serve, unless another one has taken its place.
func (c *Cluster) disconnect(failed *rest.RESTClient) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == failed {
		c.client = nil
		failed.Client.CloseIdleConnections()
	}
}

// Close ends idle connections.
func (c *Cluster) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil {
		c.client.Client.CloseIdleConnections()
	}
}

// newClient is client-go's REST client without typed clients: their generated types would triple the
// function's size and the time it takes to start.
func newClient(endpoint string, roots []byte, wrap func(http.RoundTripper) http.RoundTripper) (*rest.RESTClient, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // so that error answers are understood
	return rest.RESTClientFor(&rest.Config{
		Host: endpoint,
		ContentConfig: rest.ContentConfig{
			GroupVersion:         &schema.GroupVersion{Version: "v1"},
			NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion(),
		},
		TLSClientConfig: rest.TLSClientConfig{CAData: roots},
		WrapTransport:   wrap,
		UserAgent:       "leda",
		QPS:             -1, // the pass bounds its own concurrency
		WarningHandler:  rest.NoWarnings{},
	})
}

// authenticator puts the bearer token on requests, and a fresh one when the server refuses it.
type authenticator struct {
	tokens *TokenSource
	now    func() time.Time
	next   http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (a *authenticator) RoundTrip(request *http.Request) (*http.Response, error) {
	response, token, err := a.send(request)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	if request.Body != nil && request.GetBody == nil {
		return response, nil // cannot be sent again
	}
	again := request.Clone(request.Context())
	if request.GetBody != nil {
		if again.Body, err = request.GetBody(); err != nil {
			return response, nil
		}
	}
	response.Body.Close()
	a.tokens.forget(token)
	response, _, err = a.send(again)
	return response, err
}

func (a *authenticator) send(request *http.Request) (*http.Response, string, error) {
	token, _, err := a.tokens.Token(request.Context(), a.now())
	if err != nil {
		return nil, "", err
	}
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := a.next.RoundTrip(request)
	return response, token, err
}
