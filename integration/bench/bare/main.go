// Command bare sends the requests of a pass of Leda's and does nothing else: what a pass is compared with.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"golang.org/x/sync/errgroup"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

const concurrency = 64 // as the function's

type loop struct {
	fleet   scaling.Fleet
	targets []scaling.ScaledObject
	aws     aws.Config
	signer  *v4.Signer

	endpoint string
	cluster  *http.Client
	token    string
	warm     bool
}

func main() {
	l, err := start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lambda.Start(l.handle)
}

func start() (*loop, error) {
	var l loop
	text, err := os.ReadFile(filepath.Join(os.Getenv("LAMBDA_TASK_ROOT"), "leda.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &l.fleet); err != nil {
		return nil, err
	}
	manifests, err := l.fleet.Targets()
	if err != nil {
		return nil, err
	}
	l.targets = manifests.ScaledObjects
	pem, err := os.ReadFile(os.Getenv("AWS_CA_BUNDLE"))
	if err != nil {
		return nil, err
	}
	endpoint := os.Getenv("AWS_ENDPOINT_URL")
	l.aws = aws.Config{
		Region: os.Getenv("AWS_REGION"), BaseEndpoint: &endpoint,
		HTTPClient:  &http.Client{Transport: transport(pem, false)},
		Credentials: credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")),
	}
	l.signer = v4.NewSigner()
	return &l, nil
}

func transport(pem []byte, http2 bool) *http.Transport {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: http2,
		MaxIdleConns: 4 * concurrency, MaxIdleConnsPerHost: concurrency,
	}
}

type event struct {
	Chain bool `json:"chain"` // only what depends on each other: EKS, and then the API server, for one target
}

type report struct {
	Looks int `json:"looks"`
}

func (l *loop) handle(ctx context.Context, e event) (report, error) {
	if l.cluster == nil {
		if err := l.connect(ctx); err != nil {
			return report{}, err
		}
	}
	if e.Chain {
		return report{1}, l.get(ctx, scale(l.targets[0]))
	}
	return report{len(l.targets)}, l.pass(ctx)
}

// connect asks EKS where the API server is, unless it is known, and signs a token.
func (l *loop) connect(ctx context.Context) error {
	c := l.fleet.Clusters[0]
	if c.Endpoint == "" {
		if err := l.describe(ctx, &c); err != nil {
			return err
		}
	}
	pem, err := base64.StdEncoding.DecodeString(c.CertificateAuthority)
	if err != nil {
		return err
	}
	l.endpoint, l.cluster = c.Endpoint, &http.Client{Transport: transport(pem, true)}
	tokens := kube.TokenSource{Cluster: c.Name, Region: c.Region, Credentials: l.aws.Credentials}
	l.token, _, err = tokens.Token(ctx, time.Now())
	return err
}

func (l *loop) describe(ctx context.Context, c *scaling.Cluster) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, *l.aws.BaseEndpoint+"/clusters/"+c.Name, nil)
	if err != nil {
		return err
	}
	own, err := l.aws.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	const emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if err := v4.NewSigner().SignHTTP(ctx, own, request, emptyPayload, "eks", c.Region, time.Now()); err != nil {
		return err
	}
	response, err := l.aws.HTTPClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Cluster struct {
			Endpoint             string `json:"endpoint"`
			CertificateAuthority struct {
				Data string `json:"data"`
			} `json:"certificateAuthority"`
		} `json:"cluster"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	c.Endpoint, c.CertificateAuthority = answer.Cluster.Endpoint, answer.Cluster.CertificateAuthority.Data
	return nil
}

// pass sends for each target what a look sends, and what a first pass asks for memory.
func (l *loop) pass(ctx context.Context) error {
	if !l.warm {
		if err := l.get(ctx, scale(l.targets[0])); err != nil { // so that all share its connection
			return err
		}
	}
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(concurrency)
	seen := map[string]bool{}
	for _, t := range l.targets {
		memory := fmt.Sprintf("/api/v1/namespaces/%s/configmaps/%s", t.Namespace, kube.MemoryName(t.Bucket))
		first := !l.warm && !seen[memory]
		seen[memory] = true
		all.Go(func() error {
			var both sync.WaitGroup
			var depthErr, scaleErr, memoryErr error
			both.Go(func() { depthErr = l.depth(ctx, t) })
			both.Go(func() { scaleErr = l.get(ctx, scale(t)) })
			if first {
				memoryErr = l.get(ctx, memory)
			}
			both.Wait()
			for _, err := range []error{depthErr, scaleErr, memoryErr} {
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	l.warm = true
	return all.Wait()
}

func (l *loop) depth(ctx context.Context, t scaling.ScaledObject) error {
	body, err := json.Marshal(map[string]any{
		"QueueUrl": t.Triggers[0].SQS.QueueURL, "AttributeNames": []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"},
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, *l.aws.BaseEndpoint+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	request.Header.Set("X-Amz-Target", "AmazonSQS.GetQueueAttributes")
	own, err := l.aws.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	if err := l.signer.SignHTTP(ctx, own, request, hex.EncodeToString(sum[:]), "sqs", l.aws.Region, time.Now()); err != nil {
		return err
	}
	return answered(l.aws.HTTPClient.Do(request))
}

func scale(t scaling.ScaledObject) string {
	return "/apis/apps/v1/namespaces/" + t.Namespace + "/deployments/" + t.Target.Name + "/scale"
}

func (l *loop) get(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.endpoint+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+l.token)
	request.Header.Set("Accept", "application/json")
	return answered(l.cluster.Do(request))
}

// answered reads an answer to its end.
func answered(response *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Request.URL, response.Status)
	}
	return nil
}
