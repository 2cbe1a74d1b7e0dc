package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/leda-autoscaler/leda/scaling"
)

// A fault in our own code is one look's failure, wherever in it it is. This target has no cluster, which start
// would not allow.
func TestAFaultIsOneLooksFailure(t *testing.T) {
	a := serveAWS(t)
	a.answer["sqs"] = depth(7)
	h := &handler{meter: newMeter(a, &clock{at: now()}), log: slog.New(slog.DiscardHandler), now: now}
	o := h.lookAndTell(t.Context(), onQueue(nil, scaling.SQSTrigger{}, scaling.Authentication{}), true)
	if !strings.HasPrefix(o.Error, "a fault in Leda, please report it: ") || !strings.Contains(o.Error, "nil pointer") {
		t.Errorf("got %q, want the fault", o.Error)
	}
}
