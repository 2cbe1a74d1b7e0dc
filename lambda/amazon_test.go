package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// amazon is AWS in the few words that the function exchanges with SQS, CloudWatch and STS. It checks every
// signature and notes what it is asked; the real SDK asks it.
type amazon struct {
	*httptest.Server
	client *http.Client
	answer map[string]func(asked) answer // by service, as it is signed for; in any order, beside each other

	mu   sync.Mutex
	keys map[string]aws.Credentials // those it knows, by ID
	seen []asked
}

// asked is one request that was signed as it should be.
type asked struct {
	service, region, key string // as signed for, and by whom
	path                 string
	body                 string
}

type answer struct {
	status int
	body   string
}

func serveAWS(t *testing.T) *amazon {
	t.Helper()
	a := &amazon{
		client: &http.Client{Transport: &http.Transport{}},
		keys:   map[string]aws.Credentials{},
		answer: map[string]func(asked) answer{},
	}
	a.know(ownKeys())
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	t.Cleanup(a.client.CloseIdleConnections)
	return a
}

// ownKeys are the function's own.
func ownKeys() aws.Credentials {
	return aws.Credentials{AccessKeyID: "OWNKEY", SecretAccessKey: "own-canary-secret", SessionToken: "own/canary+session=="}
}

func (a *amazon) know(c aws.Credentials) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys[c.AccessKeyID] = c
}

func (a *amazon) revoke(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.keys, id)
}

// config is how the function reaches it.
func (a *amazon) config() aws.Config {
	return aws.Config{
		Region: "eu-west-1", HTTPClient: a.client, BaseEndpoint: &a.URL,
		Credentials: aws.CredentialsProvider(aws.CredentialsProviderFunc(own)),
		Retryer:     func() aws.Retryer { return retry.AddWithMaxBackoffDelay(retry.NewStandard(), time.Nanosecond) },
	}
}

// requests are those seen since the last call, of one service.
func (a *amazon) requests(service string) []asked {
	a.mu.Lock()
	defer a.mu.Unlock()
	var of []asked
	a.seen = slices.DeleteFunc(a.seen, func(r asked) bool {
		if r.service == service {
			of = append(of, r)
		}
		return r.service == service
	})
	return of
}

// ServeHTTP implements [http.Handler].
func (a *amazon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	request, problem := a.verify(r, body)
	if problem != "" {
		reply(w, request.service, failure(request.service, http.StatusForbidden, problem, "as it should have been signed: "+r.Header.Get("X-Amz-Security-Token")))
		return
	}
	a.mu.Lock()
	a.seen = append(a.seen, request)
	a.mu.Unlock()
	reply(w, request.service, a.answer[request.service](request))
}

func reply(w http.ResponseWriter, service string, with answer) {
	w.Header().Set("Content-Type", map[string]string{"sts": "text/xml"}[service])
	if service != "sts" {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	}
	w.WriteHeader(with.status)
	_, _ = io.WriteString(w, with.body)
}

// failure is an error as a service writes it.
func failure(service string, status int, code, text string) answer {
	if service == "sts" {
		return answer{status, "<ErrorResponse><Error><Type>Sender</Type><Code>" + code + "</Code><Message>" + text + "</Message></Error></ErrorResponse>"}
	}
	encoded, _ := json.Marshal(map[string]string{"__type": "com.amazonaws#" + code, "message": text})
	return answer{status, string(encoded)}
}

// verify signs the request anew with the secret that belongs to its key.
func (a *amazon) verify(r *http.Request, body []byte) (request asked, problem string) {
	_, fields, _ := strings.Cut(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=")
	scope, rest, _ := strings.Cut(fields, ", SignedHeaders=")
	headers, _, _ := strings.Cut(rest, ", Signature=")
	parts := strings.Split(scope, "/")
	if len(parts) != 5 {
		return asked{}, "MissingAuthenticationToken"
	}
	request = asked{service: parts[3], region: parts[2], key: parts[0], path: r.Header.Get("X-Amz-Target"), body: string(body)}
	a.mu.Lock()
	keys, known := a.keys[request.key]
	a.mu.Unlock()
	if !known {
		return request, "InvalidClientTokenId"
	}
	again := &http.Request{Method: r.Method, URL: &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path}, Host: r.Host, Header: http.Header{}, ContentLength: r.ContentLength}
	for name := range strings.SplitSeq(headers, ";") {
		if name != "host" && name != "content-length" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header[http.CanonicalHeaderKey(name)]
		}
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return request, "IncompleteSignature"
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(r.Context(), keys, again, hex.EncodeToString(sum[:]), request.service, request.region, at); err != nil {
		return request, err.Error()
	}
	if again.Header.Get("Authorization") != r.Header.Get("Authorization") || r.Header.Get("X-Amz-Security-Token") != keys.SessionToken {
		return request, "SignatureDoesNotMatch"
	}
	return request, ""
}

// depth answers SQS's requests with so many visible messages.
func depth(n int) func(asked) answer {
	return func(asked) answer {
		return answer{http.StatusOK, fmt.Sprintf(`{"Attributes":{"ApproximateNumberOfMessages":"%d","ApproximateNumberOfMessagesNotVisible":"0"}}`, n)}
	}
}
