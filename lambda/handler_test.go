package main

import (
	"testing"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

func TestWhatIsDue(t *testing.T) {
	began := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	last := began.Add(lastLook)
	for _, row := range []struct {
		rule     string
		at       time.Duration // now, since the tick
		due      time.Duration // when the target is
		now      bool
		nextLook time.Duration // when to look again, if by the last moment; 0 for never
	}{
		{"never looked at", 0, -time.Hour, true, 0},
		{"due now", 5 * time.Second, 5 * time.Second, true, 0},
		{"due later in this invocation", 0, 30 * time.Second, false, 30 * time.Second},
		{"due after it", 0, 5 * time.Minute, false, 0},
		{"due just after the last moment: looked at then, not 5 s and a tick later", 50 * time.Second, 55050 * time.Millisecond, false, 55 * time.Second},
		{"and at that moment", 55 * time.Second, 55050 * time.Millisecond, true, 0},
		{"due well after the last moment", 50 * time.Second, 57 * time.Second, false, 0},
	} {
		fleet := []*target{{ScaledObject: &scaling.ScaledObject{}, due: began.Add(row.due)}}
		due, next := whatIsDue(fleet, began.Add(row.at), last)
		if got := len(due) == 1; got != row.now {
			t.Errorf("%s: looked at now: got %t, want %t", row.rule, got, row.now)
		}
		if got := !next.After(last); got != (row.nextLook > 0) || got && !next.Equal(began.Add(row.nextLook)) {
			t.Errorf("%s: next look %s after the tick, want %s", row.rule, next.Sub(began), row.nextLook)
		}
	}
}
