package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/leda-autoscaler/leda/kube"
)

// signed is an AWS service of which one action is called. The SDK's client of SQS alone would make a look half as dear
// again and the start an eighth longer; its signer and its rules for trying again are used.
type signed struct {
	name  string // of the service, in its address
	scope string // of its signatures
	aws   aws.Config
	now   func() time.Time

	mu      sync.Mutex
	servers map[place]*server
}

// server is what is known of who answers at a place, for all calls: one budget for what is sent again, so that a
// service which answers nobody is not asked three times as often for it, and how far its clock is ahead of ours.
type server struct {
	again aws.Retryer
	ahead atomic.Int64 // a time.Duration
}

// place is where a service is asked: the endpoint is empty for the region's own.
type place struct{ region, endpoint string }

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
	at            time.Time // by the server's clock
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%d %s: %s: %s", e.status, http.StatusText(e.status), e.code, e.message)
}
func (e *apiError) ErrorCode() string   { return e.code }
func (e *apiError) HTTPStatusCode() int { return e.status }

// unanswered is the error of a request that got no answer, which the SDK's rules take for a broken connection.
type unanswered struct{ error }

func (u unanswered) Unwrap() error       { return u.error }
func (unanswered) ConnectionError() bool { return true }

// call is one request.
type call struct {
	place
	credentials aws.Credentials
	header      map[string]string
	body        []byte
	most        int                                                          // bytes of the answer
	explain     func(header http.Header, body []byte) (code, message string) // reads an answer that is no success
}

// send posts a request, and again where the SDK would. No error shows the credentials.
func (s *signed) send(ctx context.Context, c call) ([]byte, error) {
	answer, err := s.sendAgain(ctx, c, s.server(c.place))
	return answer, kube.Redact(err, c.credentials)
}

func (s *signed) server(at place) *server {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.servers[at]
	if known == nil {
		if s.servers == nil {
			s.servers = map[place]*server{}
		}
		known = &server{again: s.aws.Retryer()}
		s.servers[at] = known
	}
	return known
}

func (s *signed) sendAgain(ctx context.Context, c call, to *server) ([]byte, error) {
	giveBack := func(error) error { return nil }
	for attempt := 1; ; attempt++ {
		earn, ahead := to.again.GetInitialToken(), time.Duration(to.ahead.Load())
		answer, err := s.attempt(ctx, c, s.now().Add(ahead))
		_, _ = giveBack(err), earn(err) // a budget takes all that is brought to it
		better, wrong := s.clock(err, ahead)
		if wrong {
			to.ahead.Store(int64(better))
		}
		if err == nil || attempt == to.again.MaxAttempts() || ctx.Err() != nil || !wrong && !to.again.IsErrorRetryable(err) {
			return answer, err
		}
		var spent error
		if giveBack, spent = to.again.GetRetryToken(ctx, err); spent != nil {
			return nil, fmt.Errorf("%w; it is not asked again: %w", err, spent)
		}
		pause, delayErr := to.again.RetryDelay(attempt, err)
		if delayErr != nil || !wait(ctx, pause) {
			return nil, err
		}
	}
}

// clock says by how much a server is ahead that has refused a signature, where that is why: the SDK's rule.
func (s *signed) clock(err error, assumed time.Duration) (ahead time.Duration, wrong bool) {
	var said *apiError
	if !errors.As(err, &said) || said.at.IsZero() {
		return 0, false
	}
	switch said.code {
	case "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", "RequestTimeTooSkewed", "AccessDeniedException":
		ahead = said.at.Sub(s.now())
		return ahead, (ahead - assumed).Abs() > 4*time.Minute
	}
	return 0, false
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

func (s *signed) attempt(ctx context.Context, c call, at time.Time) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.address(c)+"/", bytes.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "leda")
	for name, text := range c.header {
		request.Header.Set(name, text)
	}
	sum := sha256.Sum256(c.body)
	// A signer of its own: one that is kept would know a key by its ID, and keep signing with a secret that was wrong.
	if err := v4.NewSigner().SignHTTP(ctx, c.credentials, request, hex.EncodeToString(sum[:]), s.scope, c.region, at); err != nil {
		return nil, err
	}
	response, err := s.aws.HTTPClient.Do(request)
	if err != nil {
		return nil, unanswered{err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(c.most)+1))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode != http.StatusOK:
		e := &apiError{status: response.StatusCode}
		e.at, _ = http.ParseTime(response.Header.Get("Date")) // zero where there is none
		e.code, e.message = c.explain(response.Header, body)
		return nil, e
	case len(body) > c.most:
		return nil, fmt.Errorf("the answer is larger than %d bytes", c.most)
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
	return "https://" + s.name + "." + c.region + "." + kube.Domain(c.region)
}

// explainJSON reads an error as services with JSON write it, code and message as the SDK takes them.
func explainJSON(header http.Header, body []byte) (code, message string) {
	var e struct {
		Type    string `json:"__type"`
		Code    any    // of which only a text counts
		Message string // or message, which is the same to encoding/json
	}
	if json.Unmarshal(body, &e) != nil {
		e.Message = "the answer is not JSON"
	}
	other, _ := e.Code.(string)
	code = cmp.Or(header.Get("X-Amzn-Errortype"), e.Type, other, "unknown")
	code, _, _ = strings.Cut(code, ":")
	code = code[strings.LastIndex(code, "#")+1:]
	// A service that once spoke XML names errors as it did then, as long as it is asked to.
	asBefore, _, _ := strings.Cut(header.Get("X-Amzn-Query-Error"), ";")
	return cmp.Or(asBefore, code), e.Message
}
