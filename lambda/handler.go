package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"
)

const (
	// A tick's invocation starts no look later than lastLook after its start, and is over by lastWord: the
	// next tick comes after 60 s.
	lastLook = 55 * time.Second
	lastWord = 58 * time.Second

	// concurrency bounds how many targets are looked at side by side.
	concurrency = 64
)

// secondLooks are when a doorbell looks again at a target that still reads inactive: SQS counts lag
// behind the messages that rang.
func secondLooks() []time.Duration {
	return []time.Duration{time.Second, 3 * time.Second, 7 * time.Second}
}

// handler is the function. What it keeps between invocations saves time and requests; nothing rests on it.
type handler struct {
	targets []*target
	meter   *meter
	log     *slog.Logger
	now     func() time.Time
}

// report is the answer to an invocation.
type report struct {
	Looks     int       `json:"looks"`
	Changed   int       `json:"changed"`
	Failed    int       `json:"failed"`
	Decisions []outcome `json:"decisions,omitempty"` // the last one of each target; not for ticks
}

// handle serves one event. The error says that the event could not be understood; a target's failure is
// its own, and is in its line and in the report.
func (h *handler) handle(ctx context.Context, event json.RawMessage) (report, error) {
	began := h.now()
	w, err := parseWake(event)
	if err != nil {
		h.log.ErrorContext(ctx, "event", "error", err.Error())
		return report{}, err
	}
	targets, err := w.of(h.targets)
	if err != nil {
		h.log.ErrorContext(ctx, "event", "error", err.Error())
	}
	var r report
	if w.tick {
		ctx, cancel := context.WithDeadline(ctx, began.Add(lastWord))
		defer cancel()
		h.keepLooking(ctx, targets, began.Add(lastLook), &r)
	} else {
		h.answer(ctx, targets, w.dryRun, &r)
	}
	h.log.InfoContext(ctx, "done", "targets", len(targets), "looks", r.Looks, "changed", r.Changed, "failed", r.Failed,
		"took_ms", h.now().Sub(began).Milliseconds())
	return r, err
}

// keepLooking looks at each target when it is due, until the last moment for a look. It returns at once
// when nothing more is due by then.
func (h *handler) keepLooking(ctx context.Context, targets []*target, last time.Time, r *report) {
	for {
		var due []*target
		next := last.Add(1)
		now := h.now()
		for _, t := range targets {
			if !t.due.After(now) {
				due = append(due, t)
			} else if t.due.Before(next) {
				next = t.due
			}
		}
		switch {
		case len(due) > 0:
			h.pass(ctx, due, false, r)
		case next.After(last) || !sleep(ctx, next.Sub(now)):
			return
		}
		if h.now().After(last) {
			return
		}
	}
}

// answer looks at the targets of a doorbell at once, and again where the queue still reads inactive.
func (h *handler) answer(ctx context.Context, targets []*target, dryRun bool, r *report) {
	began := h.now()
	latest := map[string]outcome{}
	waiting := targets
	for _, again := range append([]time.Duration{0}, secondLooks()...) {
		if len(waiting) == 0 || !sleep(ctx, began.Add(again).Sub(h.now())) {
			break
		}
		var inactive []*target
		for i, o := range h.pass(ctx, waiting, dryRun, r) {
			latest[o.Target] = o
			if o.decided && !o.Active && !dryRun {
				inactive = append(inactive, waiting[i])
			}
		}
		waiting = inactive
	}
	for _, t := range targets {
		if o, ok := latest[t.ID()]; ok {
			r.Decisions = append(r.Decisions, o)
		}
	}
}

// pass looks at targets side by side and returns when all are done: an outcome for each.
func (h *handler) pass(ctx context.Context, targets []*target, dryRun bool, r *report) []outcome {
	outcomes := make([]outcome, len(targets))
	places := make(chan struct{}, concurrency)
	var all sync.WaitGroup
	for i, t := range targets {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			began := h.now()
			outcomes[i] = h.look(ctx, t, dryRun)
			h.tell(ctx, t, outcomes[i], dryRun)
			if !dryRun {
				t.due = t.next(outcomes[i].decision, began)
			}
		})
	}
	all.Wait()
	for _, o := range outcomes {
		r.Looks++
		if o.Changed {
			r.Changed++
		}
		if o.Error != "" {
			r.Failed++
		}
	}
	return outcomes
}

// tell logs the record of a look, if there is anything new in it.
func (h *handler) tell(ctx context.Context, t *target, o outcome, dryRun bool) {
	now := h.now()
	if !dryRun && !t.worthALine(o, now) {
		return
	}
	attrs := []slog.Attr{slog.String("target", o.Target)}
	if o.decided {
		attrs = append(attrs, slog.Attr{Value: o.LogValue()}) // no key: its attributes stand beside the others
	}
	level := slog.LevelInfo
	if o.Memory != "" {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("memory", o.Memory))
	}
	if o.Error != "" {
		level = slog.LevelError
		attrs = append(attrs, slog.String("error", o.Error))
	}
	attrs = append(attrs, slog.Int64("took_ms", o.took.Milliseconds()))
	if dryRun {
		attrs = append(attrs, slog.Bool("dryRun", true))
	} else {
		t.told, t.reason, t.active, t.failed = now, o.Reason, o.Active, o.failed()
	}
	h.log.LogAttrs(ctx, level, "decision", attrs...)
}

// sleep waits, and says whether it could: false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
