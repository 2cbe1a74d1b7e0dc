package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const region = "eu-west-1"

// The canaries: no log line, error, memory or event may show any of them.
const (
	canarySecret  = "canary0secret0access0key"
	canarySession = "canary/session+token=="
	canaryRole    = "canary0assumed0secret"
)

// amazon is AWS in the few words that the function exchanges with SQS, CloudWatch, STS and EKS. It checks
// every signature, at its own clock.
type amazon struct {
	mu       sync.Mutex
	keys     map[string]aws.Credentials
	skew     time.Duration // of its clock
	anytime  bool          // it asks no date
	depths   map[string]int
	clusters map[string]clusterAddress
	metric   float64
}

type clusterAddress struct{ endpoint, authority string }

func newAmazon() *amazon {
	a := &amazon{keys: map[string]aws.Credentials{}, depths: map[string]int{}, clusters: map[string]clusterAddress{}}
	a.keys["AKIAOWN"] = ownKeys()
	a.keys["AKIAROLE"] = aws.Credentials{AccessKeyID: "AKIAROLE", SecretAccessKey: canaryRole, SessionToken: canarySession}
	return a
}

func ownKeys() aws.Credentials {
	return aws.Credentials{AccessKeyID: "AKIAOWN", SecretAccessKey: canarySecret, SessionToken: canarySession}
}

// now is the time on AWS's clock.
func (a *amazon) now() time.Time { return time.Now().Add(a.skew) }

func (a *amazon) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

// refusal is an AWS error.
type refusal struct {
	status     int
	code, text string
}

func (r *refusal) write(w http.ResponseWriter, service string) {
	if service == "sts" {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(r.status)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", r.code, r.text)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amzn-Errortype", r.code)
	w.WriteHeader(r.status)
	body, _ := json.Marshal(map[string]string{"__type": "com.amazonaws#" + r.code, "message": r.text}) // of strings
	_, _ = w.Write(body)
}

// ServeHTTP implements [http.Handler].
func (a *amazon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Date", a.now().UTC().Format(http.TimeFormat))
	service, refused := a.verify(r, body)
	if refused != nil {
		refused.write(w, service)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	switch service {
	case "sqs":
		var asked struct {
			QueueURL string `json:"QueueUrl"`
		}
		_ = json.Unmarshal(body, &asked) // no such queue, then
		depth, ok := a.depths[asked.QueueURL]
		if !ok {
			(&refusal{http.StatusBadRequest, "QueueDoesNotExist", "there is no queue " + asked.QueueURL}).write(w, service)
			return
		}
		fmt.Fprintf(w, `{"Attributes":{"ApproximateNumberOfMessages":"%d","ApproximateNumberOfMessagesNotVisible":"0"}}`, depth)
	case "monitoring":
		fmt.Fprintf(w, `{"MetricDataResults":[{"Id":"m0","Label":"x","Values":[%g],"StatusCode":"Complete"}]}`, a.metric)
	case "sts":
		w.Header().Set("Content-Type", "text/xml")
		role := a.keys["AKIAROLE"]
		fmt.Fprintf(w, "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
			role.AccessKeyID, role.SecretAccessKey, role.SessionToken, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	case "eks":
		c := a.clusters[strings.TrimPrefix(r.URL.Path, "/clusters/")]
		answer, _ := json.Marshal(map[string]any{"cluster": map[string]any{ // of strings
			"endpoint": c.endpoint, "status": "ACTIVE", "certificateAuthority": map[string]string{"data": c.authority},
		}})
		_, _ = w.Write(answer)
	}
}

// verify signs the request anew with the secret that belongs to its key.
func (a *amazon) verify(r *http.Request, body []byte) (service string, refused *refusal) {
	_, fields, _ := strings.Cut(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=")
	scope, rest, _ := strings.Cut(fields, ", SignedHeaders=")
	names, _, _ := strings.Cut(rest, ", Signature=")
	parts := strings.Split(scope, "/")
	if len(parts) != 5 {
		return "", &refusal{http.StatusForbidden, "MissingAuthenticationToken", "there is no signature"}
	}
	service = parts[3]
	keys, known := a.keys[parts[0]]
	if !known || keys.SessionToken != r.Header.Get("X-Amz-Security-Token") {
		return service, &refusal{http.StatusForbidden, "InvalidClientTokenId", "the key is not known"}
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return service, &refusal{http.StatusForbidden, "IncompleteSignature", "there is no date"}
	}
	if !a.anytime && a.now().Sub(at).Abs() > 5*time.Minute {
		return service, &refusal{http.StatusForbidden, "RequestTimeTooSkewed", "the request is of " + at.String()}
	}
	again := &http.Request{Method: r.Method, URL: &url.URL{Scheme: "https", Host: r.Host, Path: r.URL.Path}, Host: r.Host, Header: http.Header{}, ContentLength: int64(len(body))}
	for name := range strings.SplitSeq(names, ";") {
		if name != "host" && name != "content-length" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header[http.CanonicalHeaderKey(name)]
		}
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(r.Context(), keys, again, hex.EncodeToString(sum[:]), service, parts[2], at); err != nil {
		return service, &refusal{http.StatusForbidden, "IncompleteSignature", err.Error()}
	}
	if again.Header.Get("Authorization") != r.Header.Get("Authorization") {
		return service, &refusal{http.StatusForbidden, "SignatureDoesNotMatch", "the session token was " + r.Header.Get("X-Amz-Security-Token")}
	}
	return service, nil
}

// isFunction says whether a bearer token is the function's for a cluster, as EKS finds out: by a presigned
// request to STS.
func (a *amazon) isFunction(ctx context.Context, cluster, authorization string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	text, ok := strings.CutPrefix(authorization, "Bearer k8s-aws-v1.")
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if !ok || err != nil {
		return false
	}
	given, err := url.Parse(string(decoded))
	if err != nil {
		return false
	}
	at, err := time.Parse("20060102T150405Z", given.Query().Get("X-Amz-Date"))
	if age := a.now().Sub(at); err != nil || !a.anytime && (age < -5*time.Minute || age > 15*time.Minute) {
		return false
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://sts."+region+".amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60", nil)
	if err != nil {
		return false
	}
	request.Header.Set("x-k8s-aws-id", cluster)
	empty := sha256.Sum256(nil)
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, a.keys["AKIAOWN"], request, hex.EncodeToString(empty[:]), "sts", region, at)
	return err == nil && signed == string(decoded)
}
