package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// told is an API server that keeps events, and refuses a second one of the same name.
func told(t *testing.T) (*server, func() []map[string]any) {
	var events []map[string]any
	names := map[string]bool{}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var e map[string]any
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil || r.Method+" "+r.URL.Path != "POST /api/v1/namespaces/shop/events" {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		name := e["metadata"].(map[string]any)["name"].(string)
		if names[name] {
			status(w, http.StatusConflict, "already exists")
			return
		}
		names[name] = true
		events = append(events, e)
		reply(w, http.StatusCreated, e)
	})
	return s, func() []map[string]any { return events }
}

func TestEventIsWhatKubectlShows(t *testing.T) {
	s, events := told(t)
	c := at(t, s)
	c.Now = noon
	e := Event{Reason: SuccessfulRescale, Message: "Scaled 1→3: orders has 11 messages, 5 a replica"}
	if err := c.Event(t.Context(), web(), Workload{uid: "u-1"}, e); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{{
		"apiVersion": "v1", "kind": "Event",
		"metadata":       map[string]any{"namespace": "shop", "name": "web.leda.dfgn0d58n400"},
		"involvedObject": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web", "uid": "u-1"},
		"type":           "Normal", "reason": "SuccessfulRescale", "message": e.Message,
		"source": map[string]any{"component": "leda"}, "reportingComponent": "leda",
		"firstTimestamp": "2026-01-05T12:00:00Z", "lastTimestamp": "2026-01-05T12:00:00Z", "count": 1.0,
	}}
	if diff := cmp.Diff(want, events()); diff != "" {
		t.Error(diff)
	}
}

func TestEventsDoNotFlood(t *testing.T) {
	s, events := told(t)
	clock := &clock{now: noon()}
	function := func() *Cluster {
		c := at(t, s)
		c.Now = clock.Now
		return c
	}
	here, elsewhere := function(), function()
	write := func(c *Cluster, e Event) {
		t.Helper()
		if err := c.Event(t.Context(), web(), Workload{uid: "u-1"}, e); err != nil {
			t.Fatal(err)
		}
	}
	counts := func(rule string, want int) {
		t.Helper()
		if got := len(events()); got != want {
			t.Errorf("%s: got %d events, want %d", rule, got, want)
		}
	}

	for i := range 20 {
		write(here, Event{true, FailedGetExternalMetric, fmt.Sprintf("orders could not be read, request %d", i)})
	}
	counts("the same warning, each in other words", 1)
	if n := len(s.requests()); n != 1 {
		t.Errorf("it took %d requests, want 1", n)
	}
	write(elsewhere, Event{true, FailedGetExternalMetric, "orders could not be read"})
	counts("by another function", 1)
	write(here, Event{true, FailedRescale, "conflict"})
	counts("another warning", 2)
	clock.pass(warningInterval)
	write(here, Event{true, FailedGetExternalMetric, "orders could not be read"})
	counts("ten minutes later", 3)

	for range 60 {
		clock.pass(5 * time.Second)
		write(here, Event{Reason: SuccessfulRescale, Message: "Scaled"})
	}
	counts("a target that changes every 5 s for 5 minutes", 3+24+1) // 25 at most, of which a warning took 1 and 10 minutes gave back, and 1 in 5 minutes
	clock.pass(3 * time.Hour)
	for range 60 {
		clock.pass(time.Millisecond)
		write(here, Event{Reason: SuccessfulRescale, Message: "Scaled"})
	}
	counts("after hours of silence", 3+24+1+25)
	another := web()
	another.Name = "another"
	if err := here.Event(t.Context(), another, Workload{uid: "u-2"}, Event{Reason: SuccessfulRescale, Message: "Scaled"}); err != nil {
		t.Fatal(err)
	}
	counts("another target has its own", 3+24+1+25+1)
}

func TestLongEventsAreCut(t *testing.T) {
	s, events := told(t)
	long := web()
	long.Target.Name = strings.Repeat("a", 219) + "." + strings.Repeat("b", 33)
	if err := at(t, s).Event(t.Context(), long, Workload{}, Event{Reason: SuccessfulRescale, Message: strings.Repeat("→", 1000)}); err != nil {
		t.Fatal(err)
	}
	e := events()[0]
	if m := e["message"].(string); len(m) > 1024 || !strings.HasSuffix(m, "→…") {
		t.Errorf("the message has %d bytes: %s", len(m), m)
	}
	if name := e["metadata"].(map[string]any)["name"].(string); len(name) > 253 || !strings.HasPrefix(name, strings.Repeat("a", 219)+".leda.") {
		t.Errorf("the name is %s", name)
	}
}

func TestEventsThatAreNotAllowed(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { status(w, 403, "no") })
	err := at(t, s).Event(t.Context(), web(), Workload{}, Event{Reason: SuccessfulRescale})
	if !errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), "the Role in namespace shop does not allow create on events: apply `leda rbac`") {
		t.Errorf("got %v", err)
	}
}
