package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/leda-autoscaler/leda/scaling"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// queueService answers GetQueueAttributes as SQS does; the real SDK asks it.
type queueService struct {
	attributes map[string]string
	mu         sync.Mutex
	failures   int // answers that are errors, before the good ones
	asked      []struct {
		QueueUrl       string
		AttributeNames []string
	}
}

func (q *queueService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("X-Amz-Target") != "AmazonSQS.GetQueueAttributes" || !strings.Contains(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256") {
		http.Error(w, "not a signed GetQueueAttributes", http.StatusBadRequest)
		return
	}
	var asked struct {
		QueueUrl       string
		AttributeNames []string
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked = append(q.asked, asked)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if q.failures > 0 {
		q.failures--
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"Attributes": q.attributes})
}

// readsFrom is a meter that asks q, and a target that has one trigger.
func readsFrom(t *testing.T, q *queueService, sqs scaling.SQSTrigger) (*meter, *target) {
	server := httptest.NewServer(q)
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	m := &meter{aws: aws.Config{
		HTTPClient: client, BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	}}
	sqs.QueueURL, sqs.QueueName, sqs.Region, sqs.QueueLength = "orders", "orders", "eu-west-1", 5
	return m, &target{ScaledObject: &scaling.ScaledObject{Triggers: []scaling.Trigger{{ID: "s0", Type: scaling.TypeSQS, SQS: sqs}}}}
}

func TestQueueDepth(t *testing.T) {
	// KEDA's own vector (aws_sqs_queue_scaler_test.go, v2.20): visible 200, in flight 100, delayed 50.
	counts := map[string]string{
		"ApproximateNumberOfMessages": "200", "ApproximateNumberOfMessagesNotVisible": "100", "ApproximateNumberOfMessagesDelayed": "50",
	}
	onlyInFlight := map[string]string{"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "3"}
	for _, row := range []struct {
		rule       string
		trigger    scaling.SQSTrigger
		attributes map[string]string
		want       scaling.Reading
		asked      int
	}{
		{"in flight counts by default", scaling.SQSTrigger{ScaleOnInFlight: true}, counts, scaling.Reading{Value: 300, Active: true}, 2},
		{"scaleOnInFlight false", scaling.SQSTrigger{}, counts, scaling.Reading{Value: 200, Active: true}, 1},
		{"scaleOnDelayed", scaling.SQSTrigger{ScaleOnInFlight: true, ScaleOnDelayed: true}, counts, scaling.Reading{Value: 350, Active: true}, 3},
		{"delayed without in flight", scaling.SQSTrigger{ScaleOnDelayed: true}, counts, scaling.Reading{Value: 250, Active: true}, 2},
		{"active above activationQueueLength only", scaling.SQSTrigger{ActivationQueueLength: 200}, counts, scaling.Reading{Value: 200}, 1},
		{"a negative one is always active", scaling.SQSTrigger{ActivationQueueLength: -1}, map[string]string{"ApproximateNumberOfMessages": "0"}, scaling.Reading{Active: true}, 1},
		{"in flight and nothing else", scaling.SQSTrigger{ScaleOnInFlight: true}, onlyInFlight, scaling.Reading{Value: 3, Active: true, InFlightOnly: true}, 2},
	} {
		q := &queueService{attributes: row.attributes}
		m, target := readsFrom(t, q, row.trigger)
		row.want.Trigger, row.want.Target = "s0", 5
		if diff := cmp.Diff([]scaling.Reading{row.want}, m.read(t.Context(), target)); diff != "" {
			t.Errorf("%s: %s", row.rule, diff)
		}
		if len(q.asked) != 1 || q.asked[0].QueueUrl != "orders" || len(q.asked[0].AttributeNames) != row.asked {
			t.Errorf("%s: asked %+v, want once for %d attributes of orders", row.rule, q.asked, row.asked)
		}
	}
}

func TestFailedReading(t *testing.T) {
	for _, row := range []struct {
		rule       string
		attributes map[string]string
		failures   int
		want       string // in the error; empty for a good reading
		asked      int
	}{
		{"one error is asked again at once", map[string]string{"ApproximateNumberOfMessages": "7"}, 1, "", 2},
		{"two are a failed reading", map[string]string{"ApproximateNumberOfMessages": "7"}, 2, `read depth of queue "orders": `, 2},
		{"an attribute that is not there is no 0", map[string]string{}, 0, "the answer has no ApproximateNumberOfMessages", 2},
		{"no number is no 0", map[string]string{"ApproximateNumberOfMessages": "many"}, 0, `ApproximateNumberOfMessages is no number: "many"`, 2},
	} {
		q := &queueService{attributes: row.attributes, failures: row.failures}
		m, target := readsFrom(t, q, scaling.SQSTrigger{})
		got := m.read(t.Context(), target)[0]
		switch {
		case row.want == "" && (got.Err != nil || got.Value != 7):
			t.Errorf("%s: got %+v, want 7", row.rule, got)
		case row.want != "" && (got.Err == nil || !strings.Contains(got.Err.Error(), row.want)):
			t.Errorf("%s: got %v, want %s", row.rule, got.Err, row.want)
		}
		if len(q.asked) != row.asked {
			t.Errorf("%s: asked %d times, want %d", row.rule, len(q.asked), row.asked)
		}
	}
}

func TestReadingsOfATargetAreInItsOrder(t *testing.T) {
	q := &queueService{attributes: map[string]string{"ApproximateNumberOfMessages": "1"}}
	m, target := readsFrom(t, q, scaling.SQSTrigger{})
	second := target.Triggers[0]
	second.ID = "s1"
	target.Triggers = append(target.Triggers, second)
	var got []string
	for _, reading := range m.read(t.Context(), target) {
		got = append(got, reading.Trigger)
	}
	if want := []string{"s0", "s1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
