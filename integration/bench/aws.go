package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	region       = "us-east-1"
	keyID        = "AKIDBENCH"
	secretKey    = "bench-secret"
	sessionToken = "bench-session"
)

// amazon is SQS's GetQueueAttributes and EKS's DescribeCluster over TLS, with exact and instant counts. It checks
// every signature. The token webhook of the API server is here too; that takes any token which looks like EKS's.
type amazon struct {
	*httptest.Server
	bundle string // file with its certificate
	signer *v4.Signer

	mu        sync.Mutex
	depths    map[string]int
	reads     map[string]int
	described string // EKS's answer
}

func serveAmazon(dir string) (*amazon, error) {
	a := &amazon{bundle: filepath.Join(dir, "aws.crt"), signer: v4.NewSigner(), depths: map[string]int{}, reads: map[string]int{}}
	a.Server = httptest.NewUnstartedServer(a)
	a.Config.ErrorLog = log.New(io.Discard, "", 0) // processes are killed in the middle of a handshake
	a.StartTLS()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	return a, os.WriteFile(a.bundle, certificate, 0o600)
}

// environ leads a function here.
func (a *amazon) environ(endpoint string) []string {
	return []string{"AWS_ENDPOINT_URL=" + endpoint, "AWS_CA_BUNDLE=" + a.bundle}
}

// fill sets how many messages a queue has.
func (a *amazon) fill(queue string, messages int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.depths[queue] = messages
}

// counts returns how often each queue was read since the last call.
func (a *amazon) counts() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	counts := a.reads
	a.reads = map[string]int{}
	return counts
}

// readsOf is how often queues whose names begin so were read since the last call of counts.
func (a *amazon) readsOf(prefix string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for queue, reads := range a.reads {
		if strings.HasPrefix(queue, prefix) {
			n += reads
		}
	}
	return n
}

func sum(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

// ServeHTTP implements [http.Handler].
func (a *amazon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller has gone
	}
	if strings.HasPrefix(r.URL.Path, webhookPath) {
		review(w, body)
		return
	}
	if err := a.verify(r, body); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	switch {
	case strings.HasPrefix(r.URL.Path, "/clusters/"):
		a.mu.Lock()
		defer a.mu.Unlock()
		_, _ = io.WriteString(w, a.described) // to a caller that has gone there is nothing to say
	case r.Header.Get("X-Amz-Target") == "AmazonSQS.GetQueueAttributes":
		a.attributes(w, body)
	default:
		http.NotFound(w, r)
	}
}

func (a *amazon) attributes(w http.ResponseWriter, body []byte) {
	var asked struct {
		QueueURL       string `json:"QueueUrl"`
		AttributeNames []string
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	queue := asked.QueueURL[strings.LastIndexByte(asked.QueueURL, '/')+1:]
	a.mu.Lock()
	a.reads[queue]++
	depth := a.depths[queue]
	a.mu.Unlock()
	attributes := map[string]string{}
	for _, name := range asked.AttributeNames {
		attributes[name] = "0"
		if name == "ApproximateNumberOfMessages" {
			attributes[name] = strconv.Itoa(depth)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"Attributes": attributes}) // to a caller that has gone there is nothing to say
}

// verify signs the request anew.
func (a *amazon) verify(r *http.Request, body []byte) error {
	_, fields, _ := strings.Cut(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=")
	scope, rest, _ := strings.Cut(fields, ", SignedHeaders=")
	headers, _, _ := strings.Cut(rest, ", Signature=")
	parts := strings.Split(scope, "/")
	if len(parts) != 5 {
		return fmt.Errorf("MissingAuthenticationToken")
	}
	again := &http.Request{Method: r.Method, URL: &url.URL{Scheme: "https", Host: r.Host, Path: r.URL.Path}, Host: r.Host, Header: http.Header{}, ContentLength: r.ContentLength}
	for name := range strings.SplitSeq(headers, ";") {
		if name != "host" && name != "content-length" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header[http.CanonicalHeaderKey(name)]
		}
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return fmt.Errorf("IncompleteSignature: %w", err)
	}
	digest := sha256.Sum256(body)
	own := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secretKey, SessionToken: sessionToken}
	if err := a.signer.SignHTTP(r.Context(), own, again, hex.EncodeToString(digest[:]), parts[3], parts[2], at); err != nil {
		return err
	}
	if again.Header.Get("Authorization") != r.Header.Get("Authorization") {
		return fmt.Errorf("SignatureDoesNotMatch")
	}
	return nil
}
