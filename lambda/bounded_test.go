package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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
