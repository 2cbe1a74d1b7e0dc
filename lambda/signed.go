package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/leda-autoscaler/leda/kube"
)

// signed is an AWS service of which one action is called. The SDK's clients of STS and CloudWatch would add a
// third to the function's start and 8 % to its size; its signer and its rules for trying again are used.
type signed struct {
	name  string // of the service, in its address
	scope string // of its signatures
	aws   aws.Config
	now   func() time.Time
}

// maxAnswer bounds what is read of an answer: CloudWatch's largest, 100,800 data points, take 5 MB. All else is
// read up to shortAnswer, so that whoever answers cannot use up the function's memory.
const (
	maxAnswer   = 6 << 20
	shortAnswer = 256 << 10
)

// apiError is an answer that is no success. It has the methods by which the SDK's rules know errors.
type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%d %s: %s: %s", e.status, http.StatusText(e.status), e.code, e.message)
}
func (e *apiError) ErrorCode() string   { return e.code }
func (e *apiError) HTTPStatusCode() int { return e.status }

// call is one request.
type call struct {
	region, endpoint string // the endpoint is empty for the region's own
	credentials      aws.Credentials
	header           map[string]string
	body             []byte
	most             int                                      // bytes of the answer
	explain          func(body []byte) (code, message string) // reads an answer that is no success
}

// send posts a request, and again where the SDK would. No error shows the credentials.
func (s *signed) send(ctx context.Context, c call) ([]byte, error) {
	again := aws.Retryer(retry.NewStandard())
	if s.aws.Retryer != nil {
		again = s.aws.Retryer()
	}
	for attempt := 1; ; attempt++ {
		answer, err := s.attempt(ctx, c)
		if err == nil || attempt == again.MaxAttempts() || ctx.Err() != nil || !again.IsErrorRetryable(err) {
			return answer, kube.Redact(err, c.credentials)
		}
		pause, delayErr := again.RetryDelay(attempt, err)
		if delayErr != nil || !wait(ctx, pause) {
			return nil, kube.Redact(err, c.credentials)
		}
	}
}

// wait says whether it could: false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *signed) attempt(ctx context.Context, c call) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.address(c)+"/", bytes.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	for name, text := range c.header {
		request.Header.Set(name, text)
	}
	sum := sha256.Sum256(c.body)
	if err := v4.NewSigner().SignHTTP(ctx, c.credentials, request, hex.EncodeToString(sum[:]), s.scope, c.region, s.now()); err != nil {
		return nil, err
	}
	response, err := s.aws.HTTPClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(c.most)+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > c.most:
		return nil, fmt.Errorf("the answer is larger than %d bytes", c.most)
	case response.StatusCode != http.StatusOK:
		e := &apiError{status: response.StatusCode}
		e.code, e.message = c.explain(body)
		return nil, e
	}
	return body, nil
}

// address is where the service is: the call's endpoint, the one of the environment, or the region's.
func (s *signed) address(c call) string {
	switch {
	case c.endpoint != "":
		return strings.TrimSuffix(c.endpoint, "/")
	case s.aws.BaseEndpoint != nil:
		return strings.TrimSuffix(*s.aws.BaseEndpoint, "/")
	}
	host := s.name + "." + c.region + ".amazonaws.com"
	if strings.HasPrefix(c.region, "cn-") {
		host += ".cn"
	}
	return "https://" + host
}
