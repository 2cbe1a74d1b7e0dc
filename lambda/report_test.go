package main

import (
	"errors"
	"testing"

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
