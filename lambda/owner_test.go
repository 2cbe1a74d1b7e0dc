package main

import (
	"strings"
	"testing"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

func TestAnotherOwner(t *testing.T) {
	noon := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	var w owner
	for _, row := range []struct {
		after    time.Duration
		found    int32
		expected string // part of the warning; empty for none
	}{
		{0, 1, ""},
		{5 * time.Second, 1, ""},
		{10 * time.Second, 1, "changed its size 3 times within an hour; likely a manifest with replicas: 1 that is applied again and again"},
		{15 * time.Second, 1, ""}, // said within the hour
		{time.Hour + 5*time.Second, 7, ""},
		{time.Hour + 10*time.Second, 1, "changed its size 3 times within an hour; likely an HPA or a KEDA ScaledObject"},
		{time.Hour + 15*time.Second, 1, ""},
		{4 * time.Hour, 1, ""}, // the others are long ago
	} {
		at := noon.Add(row.after)
		w.leaves(outcome{decision: scaling.Decision{From: row.found, To: 3}, Changed: true, Outside: "yes"}, at)
		if got := w.warning("shop", at); (got == "") != (row.expected == "") || !strings.Contains(got, row.expected) {
			t.Errorf("after %s: got %q, want %q", row.after, got, row.expected)
		}
		if !w.known || w.size != 3 {
			t.Errorf("after %s: got %d (%t), want the size that was set", row.after, w.size, w.known)
		}
	}
	w.leaves(outcome{Error: "timeout", decision: scaling.Decision{From: 3, To: 5}}, noon)
	if w.known {
		t.Error("a size that may or may not have been set counts as known")
	}
}
