package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// describeCluster asks EKS for a cluster's endpoint and certificate authority (base64 of PEM). It is one
// signed GET; the SDK's EKS client would cost the function's start a third of its time.
func describeCluster(ctx context.Context, cfg aws.Config, region, name string, now time.Time) (endpoint, authority string, err error) {
	wrap := func(err error) error { return fmt.Errorf("describe EKS cluster %s in %s: %w", name, region, err) }

	base := "https://eks." + region + "." + Domain(region)
	if cfg.BaseEndpoint != nil {
		base = strings.TrimSuffix(*cfg.BaseEndpoint, "/")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/clusters/"+url.PathEscape(name), nil)
	if err != nil {
		return "", "", wrap(err)
	}
	credentials, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return "", "", wrap(err)
	}
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, emptyPayload, "eks", region, now); err != nil {
		return "", "", wrap(err)
	}
	response, err := cfg.HTTPClient.Do(request)
	if err != nil {
		return "", "", wrap(err)
	}
	defer response.Body.Close()
	const enough = 1 << 20
	body, err := io.ReadAll(io.LimitReader(response.Body, enough+1))
	switch {
	case err != nil:
		return "", "", wrap(err)
	case len(body) > enough:
		return "", "", wrap(errors.New("its answer is larger than 1 MiB"))
	}
	if response.StatusCode != http.StatusOK {
		return "", "", wrap(Redact(refused(response, body, name), credentials))
	}
	var answer struct {
		Cluster struct {
			Endpoint             string `json:"endpoint"`
			Status               string `json:"status"`
			CertificateAuthority struct {
				Data string `json:"data"`
			} `json:"certificateAuthority"`
		} `json:"cluster"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", "", wrap(fmt.Errorf("its answer is not JSON: %w", err))
	}
	if answer.Cluster.Endpoint == "" || answer.Cluster.CertificateAuthority.Data == "" {
		return "", "", wrap(fmt.Errorf("it has no endpoint yet, its status is %q", answer.Cluster.Status))
	}
	return answer.Cluster.Endpoint, answer.Cluster.CertificateAuthority.Data, nil
}

// refused is what EKS said, and what to do about the two answers that people meet.
func refused(response *http.Response, body []byte, name string) error {
	var said struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(body, &said) // an answer that is not JSON leaves the status to speak
	kind, _, _ := strings.Cut(response.Header.Get("X-Amzn-Errortype"), ":")
	err := fmt.Errorf("%s %s: %s", response.Status, kind, said.Message)
	switch response.StatusCode {
	case http.StatusForbidden:
		if !strings.HasPrefix(kind, "AccessDenied") {
			return err // a clock that is wrong, or credentials: no right would help
		}
		return fmt.Errorf("%w; the function's role needs eks:DescribeCluster on cluster %s", err, name)
	case http.StatusNotFound:
		return fmt.Errorf("%w; is the context key \"cluster\" of cdk.json the cluster's name?", err)
	}
	return err
}
