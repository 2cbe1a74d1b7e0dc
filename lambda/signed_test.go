package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/leda-autoscaler/leda/scaling"
)

// Whoever answers, what is read of it has an end, and what is shown of it a near one.
func TestLongAnswers(t *testing.T) {
	a := serveAWS(t)
	m := newMeter(a, &clock{at: now()})
	queue := onQueue(nil, scaling.SQSTrigger{}, scaling.Authentication{})
	byRole := onQueue(nil, scaling.SQSTrigger{}, scaling.Authentication{Role: scaling.Role{ARN: readRole}})
	for _, row := range []struct {
		rule, service string
		target        *target
		answer        answer
		says          string
	}{
		{"an answer of SQS that does not end", "sqs", queue, answer{200, `{"Attributes":{"ApproximateNumberOfMessages":"` + strings.Repeat("7", 2*shortAnswer)}, "larger than 262144 bytes"},
		{"an error of SQS that does not end", "sqs", queue, failure("sqs", 400, "Odd", strings.Repeat("too much ", 10_000)), "too much"},
		{"an answer of STS that does not end", "sts", byRole, answer{200, strings.Repeat("7", 2*shortAnswer)}, "larger than 262144 bytes"},
		{"an error of STS that does not end", "sts", byRole, failure("sts", 400, "Odd", strings.Repeat("too much ", 10_000)), "too much"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			a.answer[row.service] = func(asked) answer { return row.answer }
			err := m.read(t.Context(), row.target)[0].Err
			if err == nil || !strings.Contains(err.Error(), row.says) || len(err.Error()) > 2000 {
				t.Errorf("got %.3000v, want %q in a line or two", err, row.says)
			}
		})
	}
}

// What is signed for one address is for no other.
func TestServicesAreNotFollowedElsewhere(t *testing.T) {
	asked := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(elsewhere.Close)
	s := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(s.Close)
	client, err := newHTTPClient("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	response, err := client.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if asked > 0 || response.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("got %s, and %d requests elsewhere, want the redirection itself", response.Status, asked)
	}
}

// depthFrom reads the depth of the queue orders from what answers there.
func depthFrom(t *testing.T, answers http.HandlerFunc) func(context.Context, scaling.SQSTrigger) error {
	t.Helper()
	s := httptest.NewServer(answers)
	t.Cleanup(s.Close)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	q := &queues{service: signed{name: "sqs", scope: "sqs", now: now, aws: aws.Config{
		HTTPClient: client, BaseEndpoint: &s.URL,
		Retryer: func() aws.Retryer { return retry.AddWithMaxBackoffDelay(retry.NewStandard(), time.Nanosecond) },
	}}}
	return func(ctx context.Context, at scaling.SQSTrigger) error {
		at.QueueURL = "orders"
		if at.Region == "" {
			at.Region = "eu-west-1"
		}
		_, err := q.depth(ctx, &scaling.Trigger{SQS: at}, at, ownKeys())
		return err
	}
}

func TestErrorsOfSQS(t *testing.T) {
	const text = "The specified queue does not exist."
	for _, row := range []struct {
		rule   string
		status int
		header map[string]string
		body   string
		code   string
		says   string
	}{
		{
			"as the developer guide shows it: the code that it had in XML",
			400,
			map[string]string{"X-Amzn-Query-Error": "AWS.SimpleQueueService.NonExistentQueue;Sender"},
			`{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"` + text + `"}`,
			"AWS.SimpleQueueService.NonExistentQueue", "400 Bad Request: AWS.SimpleQueueService.NonExistentQueue: " + text,
		},
		{"a code of JSON only", 400, nil, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"` + text + `"}`, "QueueDoesNotExist", text},
		{"by its front door, with a capital", 403, nil, `{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no"}`, "AccessDeniedException", "403 Forbidden: AccessDeniedException: no"},
		{"the code in a header", 400, map[string]string{"X-Amzn-Errortype": "OverLimit:http://internal.amazon.com/"}, `{"message":"no"}`, "OverLimit", "no"},
		{"the code as code", 400, nil, `{"code":"Odd","message":"no"}`, "Odd", "Odd: no"},
		{"a code that is no text", 400, nil, `{"code":7,"message":"no"}`, "unknown", "no"},
		{"nothing", 400, nil, ``, "unknown", "400 Bad Request: unknown: the answer is not JSON"},
		{"a page of something between", 502, nil, `<html>` + strings.Repeat("Bad Gateway", shortAnswer), "unknown", "502 Bad Gateway: unknown: the answer is not JSON"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			err := depthFrom(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/" || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-amz-json-1.0" || r.Header.Get("X-Amzn-Query-Mode") != "true" {
					t.Errorf("SQS was asked %s %s with %v", r.Method, r.URL, r.Header)
				}
				for name, text := range row.header {
					w.Header().Set(name, text)
				}
				reply(w, "sqs", answer{row.status, row.body})
			})(t.Context(), scaling.SQSTrigger{})
			var said *apiError
			if !errors.As(err, &said) || said.code != row.code || said.status != row.status || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want %d %s: %s", err, row.status, row.code, row.says)
			}
		})
	}
}

func TestWhatIsSentAgain(t *testing.T) {
	const good = `{"Attributes":{"ApproximateNumberOfMessages":"7"}}`
	status := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { reply(w, "sqs", answer{status, body}) }
	}
	for _, row := range []struct {
		rule  string
		first http.HandlerFunc
		asked int
	}{
		{"a server error", status(503, ""), 2},
		{"a throttled request", status(400, `{"__type":"com.amazonaws.sqs#RequestThrottled"}`), 2},
		{"a connection that ends without an answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 2},
		{"not what SQS refuses", status(400, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}`), 1},
		{"not what is no answer", status(200, `<html>`), 1},
	} {
		t.Run(row.rule, func(t *testing.T) {
			asked := 0
			err := depthFrom(t, func(w http.ResponseWriter, r *http.Request) {
				if asked++; asked == 1 {
					row.first(w, r)
					return
				}
				status(200, good)(w, r)
			})(t.Context(), scaling.SQSTrigger{})
			if asked != row.asked || (err == nil) != (row.asked > 1) {
				t.Errorf("asked %d times, want %d: %v", asked, row.asked, err)
			}
		})
	}
}

// A service that answers nobody is asked once a reading when what it may be asked again is used up: the SDK's
// 500 tokens, of which each time takes 5 and each success brings 1.
func TestWhatIsSentAgainHasABudget(t *testing.T) {
	asked, broken := 0, true
	depth := depthFrom(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		if broken {
			reply(w, "sqs", failure("sqs", 400, "RequestThrottled", "slow down"))
			return
		}
		reply(w, "sqs", answer{200, `{"Attributes":{"ApproximateNumberOfMessages":"7"}}`})
	})
	requests := func(readings int, at scaling.SQSTrigger) (n int, err error) {
		before := asked
		for range readings {
			err = depth(t.Context(), at)
		}
		return asked - before, err
	}
	here := scaling.SQSTrigger{}
	if n, err := requests(50, here); n != 150 || err == nil {
		t.Errorf("at first it is asked %d times for 50 readings, want 150: %v", n, err)
	}
	n, err := requests(50, here)
	var spent ratelimit.QuotaExceededError
	if n != 50 || !errors.As(err, &spent) || !isThrottleOf(err) {
		t.Errorf("then it is asked %d times for 50 readings, want 50, with what it said: %v", n, err)
	}
	if n, _ := requests(1, scaling.SQSTrigger{Region: "ap-south-2"}); n != 3 {
		t.Errorf("another region's is asked %d times, want 3", n)
	}
	broken = false
	if n, err := requests(10, here); n != 10 || err != nil {
		t.Errorf("when it answers it is asked %d times for 10 readings, want 10: %v", n, err)
	}
	broken = true
	if n, _ := requests(1, here); n != 3 {
		t.Errorf("10 successes have brought %d times more, want 2", n-1)
	}
}

func isThrottleOf(err error) bool {
	var said *apiError
	return errors.As(err, &said) && said.code == "RequestThrottled" && said.message == "slow down"
}

// A key's ID may be known before its secret is right.
func TestASecretIsPutRight(t *testing.T) {
	a := serveAWS(t)
	a.answer["sqs"] = depth(7)
	m, queue := newMeter(a, newClock()), scaling.SQSTrigger{QueueURL: "orders", Region: "eu-west-1"}
	wrong := ownKeys()
	wrong.SecretAccessKey = "mistyped"
	for _, row := range []struct {
		keys aws.Credentials
		good bool
	}{{wrong, false}, {ownKeys(), true}, {wrong, false}} {
		_, err := m.queues.depth(t.Context(), &scaling.Trigger{}, queue, row.keys)
		if row.good != (err == nil) || err != nil && !isUnknown(err) {
			t.Errorf("%s: got %v", row.keys.SecretAccessKey, err)
		}
	}
}

// A request is signed by the server's clock where ours is minutes off, and by ours again when it is not.
func TestAClockThatIsWrong(t *testing.T) {
	var off time.Duration // of the server's
	depth := depthFrom(t, func(w http.ResponseWriter, r *http.Request) {
		theirs := now().Add(off)
		w.Header().Set("Date", theirs.UTC().Format(http.TimeFormat))
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || theirs.Sub(signed).Abs() > 5*time.Minute {
			reply(w, "sqs", failure("sqs", 403, "RequestTimeTooSkewed", "too old"))
			return
		}
		reply(w, "sqs", answer{200, `{"Attributes":{"ApproximateNumberOfMessages":"7"}}`})
	})
	for _, off = range []time.Duration{0, 6 * time.Minute, 6 * time.Minute, -6 * time.Minute, 0} {
		if err := depth(t.Context(), scaling.SQSTrigger{}); err != nil {
			t.Errorf("%s ahead: %v", off, err)
		}
	}
}

func TestWhereAServiceIs(t *testing.T) {
	environment := "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/"
	for _, row := range []struct {
		rule        string
		at          place
		environment *string
		want        string
	}{
		{"the region's own", place{"eu-west-1", ""}, nil, "https://sqs.eu-west-1.amazonaws.com"},
		{"in China", place{"cn-north-1", ""}, nil, "https://sqs.cn-north-1.amazonaws.com.cn"},
		{"in the European Sovereign Cloud", place{"eusc-de-east-1", ""}, nil, "https://sqs.eusc-de-east-1.amazonaws.eu"},
		{"in a partition of the United States' own", place{"us-isob-east-1", ""}, nil, "https://sqs.us-isob-east-1.sc2s.sgov.gov"},
		{"AWS_ENDPOINT_URL", place{"eu-west-1", ""}, &environment, "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com"},
		{"the trigger's before it", place{"eu-west-1", "http://localhost:4566/"}, &environment, "http://localhost:4566"},
	} {
		s := signed{name: "sqs", aws: aws.Config{BaseEndpoint: row.environment}}
		if got := s.address(call{place: row.at}); got != row.want {
			t.Errorf("%s: got %s, want %s", row.rule, got, row.want)
		}
	}
}
