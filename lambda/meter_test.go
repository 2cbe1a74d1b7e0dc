package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func own(context.Context) (aws.Credentials, error) { return ownKeys(), nil }

// clock is a time that tests move on.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 5, 15, 4, 5, 999e6, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// newMeter is a function's meter, of an AWS that is a.
func newMeter(a *amazon, c *clock) *meter {
	service := func(name string) signed { return signed{name: name, scope: name, aws: a.config(), now: c.now} }
	assumed := &roles{sts: service("sts"), session: "leda", kept: kept[role, aws.Credentials]{now: c.now}}
	return &meter{
		identities: newIdentities(a.config().Credentials, assumed, "keda", c.now),
		queues:     &queues{service: service("sqs")}, cloudWatch: &cloudWatch{service: service("monitoring")}, now: c.now,
	}
}

// onQueue is a target with one trigger, of the queue orders.
func onQueue(cluster *kube.Cluster, sqs scaling.SQSTrigger, as scaling.Authentication) *target {
	if sqs.QueueURLFrom.Name == "" {
		sqs.QueueURL, sqs.QueueName = "orders", "orders"
	}
	sqs.Region, sqs.QueueLength = "eu-west-1", 5
	return &target{cluster: cluster, ScaledObject: &scaling.ScaledObject{
		Cluster: "demo", Namespace: "shop", Name: "orders", Target: scaling.TargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"},
		Triggers: []scaling.Trigger{{ID: "s0", Type: scaling.TypeSQS, SQS: sqs, Authentication: as}},
	}}
}

// attributes is what SQS is asked for.
func attributes(t *testing.T, request asked) (queueURL string, names []string) {
	t.Helper()
	var body struct {
		QueueURL       string `json:"QueueUrl"`
		AttributeNames []string
	}
	if err := json.Unmarshal([]byte(request.body), &body); err != nil || request.path != "AmazonSQS.GetQueueAttributes" {
		t.Fatalf("got %+v, %v", request, err)
	}
	return body.QueueURL, body.AttributeNames
}

func TestQueueDepth(t *testing.T) {
	// KEDA's own vector (aws_sqs_queue_scaler_test.go, v2.20): visible 200, in flight 100, delayed 50.
	counts := `{"ApproximateNumberOfMessages":"200","ApproximateNumberOfMessagesNotVisible":"100","ApproximateNumberOfMessagesDelayed":"50"}`
	for _, row := range []struct {
		rule       string
		trigger    scaling.SQSTrigger
		attributes string
		want       scaling.Reading
		asked      int
	}{
		{"in flight counts by default", scaling.SQSTrigger{ScaleOnInFlight: true}, counts, scaling.Reading{Value: 300, Active: true}, 2},
		{"scaleOnInFlight false", scaling.SQSTrigger{}, counts, scaling.Reading{Value: 200, Active: true}, 1},
		{"scaleOnDelayed", scaling.SQSTrigger{ScaleOnInFlight: true, ScaleOnDelayed: true}, counts, scaling.Reading{Value: 350, Active: true}, 3},
		{"delayed without in flight", scaling.SQSTrigger{ScaleOnDelayed: true}, counts, scaling.Reading{Value: 250, Active: true}, 2},
		{"active above activationQueueLength only", scaling.SQSTrigger{ActivationQueueLength: 200}, counts, scaling.Reading{Value: 200}, 1},
		{"a negative one is always active", scaling.SQSTrigger{ActivationQueueLength: -1}, `{"ApproximateNumberOfMessages":"0"}`, scaling.Reading{Active: true}, 1},
		{
			"in flight and nothing else",
			scaling.SQSTrigger{ScaleOnInFlight: true},
			`{"ApproximateNumberOfMessages":"0","ApproximateNumberOfMessagesNotVisible":"3"}`,
			scaling.Reading{Value: 3, Active: true, InFlightOnly: true},
			2,
		},
	} {
		a := serveAWS(t)
		a.answer["sqs"] = func(asked) answer { return answer{http.StatusOK, `{"Attributes":` + row.attributes + `}`} }
		row.want.Trigger, row.want.Target = "s0", 5
		got := newMeter(a, newClock()).read(t.Context(), onQueue(nil, row.trigger, scaling.Authentication{}))
		if diff := cmp.Diff([]scaling.Reading{row.want}, got); diff != "" {
			t.Errorf("%s: %s", row.rule, diff)
		}
		requests := a.requests("sqs")
		if len(requests) != 1 || requests[0].key != "OWNKEY" || requests[0].region != "eu-west-1" {
			t.Fatalf("%s: got %+v", row.rule, requests)
		}
		if url, names := attributes(t, requests[0]); url != "orders" || len(names) != row.asked {
			t.Errorf("%s: asked for %q of %s, want %d attributes of orders", row.rule, names, url, row.asked)
		}
	}
}

func TestFailedReading(t *testing.T) {
	for _, row := range []struct {
		rule       string
		attributes string
		failures   int
		want       string // in the error; empty for a good reading
		asked      int
	}{
		{"one error is asked again at once", `{"ApproximateNumberOfMessages":"7"}`, 1, "", 2},
		{"two are a failed reading", `{"ApproximateNumberOfMessages":"7"}`, 2, `read depth of queue "orders": `, 2},
		{"an attribute that is not there is no 0", `{}`, 0, "the answer has no ApproximateNumberOfMessages", 2},
		{"no number is no 0", `{"ApproximateNumberOfMessages":"many"}`, 0, `ApproximateNumberOfMessages is no number of messages: "many"`, 2},
		{"fewer than none would shrink the workload", `{"ApproximateNumberOfMessages":"-7"}`, 0, `ApproximateNumberOfMessages is no number of messages: "-7"`, 2},
		{"so would more than can be added up", `{"ApproximateNumberOfMessages":"9223372036854775807"}`, 0, `is no number of messages: "9223372036854775807"`, 2},
	} {
		a := serveAWS(t)
		a.answer["sqs"] = func(asked) answer {
			if row.failures--; row.failures >= 0 {
				return failure("sqs", http.StatusBadRequest, "QueueDoesNotExist", "The specified queue does not exist.")
			}
			return answer{http.StatusOK, `{"Attributes":` + row.attributes + `}`}
		}
		got := newMeter(a, newClock()).read(t.Context(), onQueue(nil, scaling.SQSTrigger{}, scaling.Authentication{}))[0]
		switch {
		case row.want == "" && (got.Err != nil || got.Value != 7):
			t.Errorf("%s: got %+v, want 7", row.rule, got)
		case row.want != "" && (got.Err == nil || !strings.Contains(got.Err.Error(), row.want)):
			t.Errorf("%s: got %v, want %s", row.rule, got.Err, row.want)
		}
		if n := len(a.requests("sqs")); n != row.asked {
			t.Errorf("%s: asked %d times, want %d", row.rule, n, row.asked)
		}
	}
}

func TestWhereAQueueIsAsked(t *testing.T) {
	a, elsewhere := serveAWS(t), serveAWS(t)
	a.answer["sqs"], elsewhere.answer["sqs"] = depth(1), depth(2)
	m := newMeter(a, newClock())
	const url = "https://sqs.ap-south-2.amazonaws.com/123456789012/orders.fifo"
	for _, row := range []struct {
		rule                      string
		queueURL, region, endpont string
		asked                     *amazon
	}{
		{"a URL goes as it is", url, "eu-west-1", "", a},
		{"in the trigger's region, not the function's", url, "ap-south-2", "", a},
		{"at awsEndpoint", "orders", "eu-west-1", elsewhere.URL, elsewhere},
	} {
		target := onQueue(nil, scaling.SQSTrigger{}, scaling.Authentication{})
		sqs := &target.Triggers[0].SQS
		sqs.QueueURL, sqs.Region, sqs.Endpoint = row.queueURL, row.region, row.endpont
		if got := m.read(t.Context(), target)[0]; got.Err != nil {
			t.Fatalf("%s: %v", row.rule, got.Err)
		}
		requests := row.asked.requests("sqs")
		if len(requests) != 1 || requests[0].region != row.region {
			t.Fatalf("%s: got %+v", row.rule, requests)
		}
		if url, _ := attributes(t, requests[0]); url != row.queueURL {
			t.Errorf("%s: asked for %s", row.rule, url)
		}
	}
}

func TestReadingsOfATargetAreInItsOrder(t *testing.T) {
	a := serveAWS(t)
	a.answer["sqs"] = depth(1)
	target := onQueue(nil, scaling.SQSTrigger{}, scaling.Authentication{})
	second := target.Triggers[0]
	second.ID = "s1"
	target.Triggers = append(target.Triggers, second)
	var got []string
	for _, reading := range newMeter(a, newClock()).read(t.Context(), target) {
		got = append(got, reading.Trigger)
	}
	if want := []string{"s0", "s1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
