package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

// attemptTimeout bounds one HTTP request to AWS; the SDK tries up to three within a look.
const attemptTimeout = 3 * time.Second

// longestPause bounds how long is waited before a request to AWS is sent again.
const longestPause = time.Second

// start builds the handler from what Lambda and synth give the function: the environment and leda.json.
// It asks nobody anything, so that the function is ready for its first event as soon as possible.
func start(getenv func(string) string, log *slog.Logger) (*handler, error) {
	fleet, err := readFleet(filepath.Join(getenv("LAMBDA_TASK_ROOT"), "leda.json"))
	if err != nil {
		return nil, err
	}
	manifests, err := fleet.Targets()
	if err != nil {
		return nil, fmt.Errorf("leda.json: %w", err)
	}
	client, err := newHTTPClient(getenv("AWS_CA_BUNDLE"))
	if err != nil {
		return nil, err
	}
	calls := &calls{}
	client.Transport = calls.around(client.Transport)
	identity := aws.Config{
		// Longer pauses would end with the look, and hide what was answered.
		Retryer:     func() aws.Retryer { return retry.AddWithMaxBackoffDelay(retry.NewStandard(), longestPause) },
		Region:      getenv("AWS_REGION"),
		HTTPClient:  client,
		Credentials: credentials.NewStaticCredentialsProvider(getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"), getenv("AWS_SESSION_TOKEN")),
	}
	service := func(name string) aws.Config {
		cfg := identity.Copy()
		for _, variable := range []string{"AWS_ENDPOINT_URL_" + name, "AWS_ENDPOINT_URL"} {
			if endpoint := getenv(variable); endpoint != "" && cfg.BaseEndpoint == nil {
				cfg.BaseEndpoint = &endpoint
			}
		}
		return cfg
	}
	assumed := &roles{
		sts: signed{name: "sts", scope: "sts", aws: service("STS"), now: now}, session: sessionName(getenv),
		kept: kept[role, aws.Credentials]{now: now},
	}
	clusters := map[string]*kube.Cluster{}
	for _, c := range fleet.Clusters {
		cfg := service("EKS")
		if c.RoleARN != "" {
			cfg.Credentials = asRole{assumed, role{arn: c.RoleARN, region: c.Region}}
		}
		clusters[c.Name] = &kube.Cluster{Cluster: c, AWS: cfg, Now: now, Wrap: calls.around}
	}
	memories := &memories{}
	targets := newTargets(manifests.ScaledObjects, fleet.Looks, clusters, memories)
	var sources []*source
	for _, c := range fleet.Clusters {
		if c.ReadsObjects() {
			sources = append(sources, newSource(clusters[c.Name], fleet, targets, memories, log, now))
		}
	}
	return &handler{
		targets:     targets,
		sources:     sources,
		oncePerTick: fleet.Looks.OncePerTick,
		meter: &meter{
			identities: newIdentities(identity.Credentials, assumed, fleet.ClusterObjects(), now),
			queues:     &queues{service: signed{name: "sqs", scope: "sqs", aws: service("SQS"), now: now}},
			cloudWatch: &cloudWatch{service: signed{name: "monitoring", scope: "monitoring", aws: service("CLOUDWATCH"), now: now}},
			now:        now,
		},
		calls: calls,
		log:   log,
		now:   now,
	}, nil
}

// sessionName is what CloudTrail shows beside a role that is assumed.
func sessionName(getenv func(string) string) string {
	if name := getenv("AWS_LAMBDA_FUNCTION_NAME"); name != "" {
		return name
	}
	return "leda"
}

func readFleet(file string) (scaling.Fleet, error) {
	var fleet scaling.Fleet
	data, err := os.ReadFile(file)
	if err != nil {
		return fleet, fmt.Errorf("read what to scale: %w", err)
	}
	if err := json.Unmarshal(data, &fleet); err != nil {
		return fleet, fmt.Errorf("read what to scale: %s: %w", file, err)
	}
	return fleet, nil
}

// newHTTPClient is for AWS's services, whose certificates are checked against the system's roots or
// against those in bundle, as the SDKs and the CLI do.
func newHTTPClient(bundle string) (*http.Client, error) {
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("the default HTTP transport is not net/http's")
	}
	transport := base.Clone()
	transport.MaxIdleConns = 4 * concurrency
	transport.MaxIdleConnsPerHost = concurrency // else connections of a fan-out are thrown away
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if bundle != "" {
		pem, err := os.ReadFile(bundle)
		if err != nil {
			return nil, fmt.Errorf("AWS_CA_BUNDLE: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("AWS_CA_BUNDLE: %s holds no certificate", bundle)
		}
		transport.TLSClientConfig.RootCAs = roots
	}
	return &http.Client{
		Transport: transport, Timeout: attemptTimeout,
		// No service of AWS redirects anybody, and what was signed for one address is for no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
