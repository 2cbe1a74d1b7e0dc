package cloudwatch

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"
)

// TestRunOutlivesFailures: rounds go on while AWS answers with errors, and ctx ends Run in the middle of a call.
func TestRunOutlivesFailures(t *testing.T) {
	defer goleak.VerifyNone(t)
	const rounds = 3
	var queues, alarms atomic.Int32
	hanging := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := &queues
		if strings.Contains(r.URL.Path, "DescribeAlarms") {
			asked = &alarms
		}
		if asked.Add(1) <= rounds {
			http.Error(w, "not today", http.StatusInternalServerError)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that the client has gone
		hanging <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()

	cfg := configOf(server.URL, client)
	cfg.RetryMaxAttempts = 1 // or the test would wait for the SDK's own tries
	var said strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		pace := Pace{Publish: time.Millisecond, Evaluate: time.Millisecond}
		ended <- pace.Run(ctx, cfg, slog.New(slog.NewTextHandler(&said, nil)))
	}()
	for range cap(hanging) {
		select {
		case <-hanging:
		case <-time.After(30 * time.Second):
			t.Fatal("one of the loops does not go on after failures")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run ended with %v, want nil: its context ended", err)
	}
	for _, what := range []string{"publish queue metrics", "evaluate alarms"} {
		if got := strings.Count(said.String(), what); got != rounds {
			t.Errorf("%q was logged %d times, want %d:\n%s", what, got, rounds, said.String())
		}
	}
}

func TestRunWantsRegion(t *testing.T) {
	err := Run(t.Context(), aws.Config{}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "set AWS_REGION") {
		t.Errorf("got %v, want an error that says to set AWS_REGION", err)
	}
}

// configOf is a config for AWS at url.
func configOf(url string, client *http.Client) aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: &url,
		HTTPClient:   client,
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}
