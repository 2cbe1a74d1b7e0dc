package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

// The health alarm counts what failed.
func TestWhatAReportCounts(t *testing.T) {
	var r report
	for _, o := range []outcome{
		{decision: scaling.Decision{Readings: []scaling.Reading{{Value: 1}}}},
		{Changed: true},
		{Error: "403"},
		{decision: scaling.Decision{Readings: []scaling.Reading{{Value: 1}, {Err: errors.New("no such queue")}}}},
		{Memory: "403"}, // it was decided and done
	} {
		r.count(o)
	}
	if r.Looks != 5 || r.Changed != 1 || r.Failed != 2 {
		t.Errorf("got %+v, want 5 looks, 1 changed, 2 failed: an error and a reading that failed", r)
	}
}

func TestAMissingRightToWriteEventsIsNotedOnce(t *testing.T) {
	var log bytes.Buffer
	h := &handler{log: slog.New(slog.NewJSONHandler(&log, nil))}
	orders, invoices := named("demo", "orders")[0], named("blue", "invoices")[0]
	forbidden := fmt.Errorf("write event: %w", kube.ErrForbidden)
	for range 3 {
		h.tellOfEvent(t.Context(), orders, forbidden)
		h.tellOfEvent(t.Context(), invoices, forbidden)
	}
	h.tellOfEvent(t.Context(), orders, errors.New("timeout"))
	h.tellOfEvent(t.Context(), orders, nil)
	if got := strings.Count(log.String(), `"msg":"no event"`); got != 3 {
		t.Errorf("got %d lines, want one for each of two clusters, and one for another failure:\n%s", got, &log)
	}
}
