package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/leda-autoscaler/leda/kube"
)

const (
	// A tick's invocation has no look due later than lastLook after its start, and is over by lastWord: the
	// next tick comes after 60 s.
	lastLook = 55 * time.Second
	lastWord = 58 * time.Second

	// early is how much sooner than due a look may be, to come at lastLook and not with the next tick: what would be
	// due in between.
	early = time.Minute - lastLook

	// punctual is how late after lastLook a look may begin that was due by then: no timer is early.
	punctual = 500 * time.Millisecond

	// concurrency bounds how many targets of a cluster are looked at side by side.
	concurrency = 64
)

// secondLooks are when a doorbell looks again at a target that still reads inactive: SQS counts lag
// behind the messages that rang.
func secondLooks() []time.Duration {
	return []time.Duration{time.Second, 3 * time.Second, 7 * time.Second}
}

// handler is the function. What it keeps between invocations saves time and requests; nothing rests on it.
type handler struct {
	targets     []*target // from files
	sources     []*source // of clusters that have ScaledObjects of their own
	meter       *meter
	oncePerTick bool     // a tick looks once at what is due, and returns
	noted       sync.Map // cluster and namespace where it was noted that events are not allowed
	calls       *calls
	log         *slog.Logger
	now         func() time.Time
}

// report is the answer to an invocation.
type report struct {
	Looks     int       `json:"looks"`
	Changed   int       `json:"changed"`
	Failed    int       `json:"failed"`
	Decisions []outcome `json:"decisions,omitempty"` // the last one of each target; not for ticks
}

// handle serves one event. The error says what could not be understood of it; a target's failure is its
// own, and is in its line and in the report.
func (h *handler) handle(ctx context.Context, text json.RawMessage) (report, error) {
	began, calls := h.now(), h.calls.sent.Load()
	w, err := parseWake(text)
	targets, unknown := h.woken(ctx, w)
	if err = errors.Join(err, unknown); err != nil {
		h.log.ErrorContext(ctx, "event", "error", err.Error())
	}
	var r report
	switch {
	case w.tick:
		targets = append(targets, h.keepLooking(ctx, w, targets, began, &r)...)
	case len(targets) > 0:
		h.answer(ctx, targets, w.dryRun, began, &r)
	case err != nil:
		if w.queued {
			return r, nil
		}
		return r, err
	}
	h.log.InfoContext(ctx, "done", "targets", len(targets), "looks", r.Looks, "changed", r.Changed, "failed", r.Failed,
		"calls", h.calls.sent.Load()-calls, "took_ms", h.now().Sub(began).Milliseconds())
	if w.queued {
		// The doorbell has been heard. With an error SQS would ring again for what no target answers to.
		return r, nil
	}
	return r, err
}

// woken are the targets that an event asks for; of a tick only those from files: the clusters' own join it later.
func (h *handler) woken(ctx context.Context, w wake) ([]*target, error) {
	targets, err := w.of(h.targets)
	if w.tick || len(h.sources) == 0 || err == nil && !w.all && len(w.rings) > 0 {
		return targets, err
	}
	var all together
	for _, s := range h.sources {
		if began := h.now(); s.at.IsZero() || began.Sub(s.at) >= currentFor {
			all.Go(func() { s.refresh(ctx, w) })
		}
	}
	all.Wait()
	fleet := slices.Clone(h.targets)
	for _, s := range h.sources {
		fleet = append(fleet, s.targets()...)
	}
	return w.of(fleet)
}

// join brings the clusters' own targets up to date, each cluster's beside the others', and sends those of the wake as soon
// as they are known: who waits for one cluster would wait for one that is down.
func (h *handler) join(ctx context.Context, w wake, joined chan<- []*target) {
	defer close(joined)
	var all sync.WaitGroup
	for _, s := range h.sources {
		all.Go(func() {
			defer func() {
				if fault := recover(); fault != nil {
					h.log.ErrorContext(ctx, "a fault in Leda, please report it", "cluster", s.cluster.Name, "error", fmt.Sprintf("%v: %s", fault, debug.Stack()))
				}
			}()
			s.refresh(ctx, w)
			targets, err := w.of(s.targets())
			if err == nil { // a tick names nobody who might not be there
				joined <- targets
			}
		})
	}
	all.Wait()
}

// keepLooking looks at each target when it is due, until the last moment for a look. It returns those that joined from
// clusters when nothing more is due by then.
func (h *handler) keepLooking(ctx context.Context, w wake, targets []*target, began time.Time, r *report) []*target {
	ctx, cancel := context.WithDeadline(ctx, began.Add(lastWord))
	defer cancel()
	last := began.Add(lastLook)
	turnsOf := func(targets []*target) []turn {
		var first []turn
		for _, t := range targets {
			if at, ok := t.firstTurn(began, h.oncePerTick); ok {
				first = append(first, turn{target: t, at: at})
			}
		}
		return first
	}
	var all []*target
	var later chan []turn
	if len(h.sources) > 0 {
		joined := make(chan []*target)
		later = make(chan []turn)
		go h.join(ctx, w, joined)
		go func() {
			defer close(later)
			for targets := range joined {
				all = append(all, targets...)
				later <- turnsOf(targets)
			}
		}()
	}
	rota{now: h.now, last: last, later: later, look: func(ctx context.Context, t turn) outcome {
		return h.lookAndTell(ctx, t.target, false)
	}, again: func(l looked) (time.Time, bool) {
		if l.skipped {
			return time.Time{}, false
		}
		r.count(l.outcome)
		l.target.due = l.target.next(l.outcome.decision, l.began)
		at, ok := l.target.turnAfter(l.began, last)
		return at, ok && !h.oncePerTick
	}}.run(ctx, turnsOf(targets))
	return all
}

// answer looks at the targets of a doorbell at once, and again where the queue still reads inactive.
func (h *handler) answer(ctx context.Context, targets []*target, dryRun bool, began time.Time, r *report) {
	latest := make(map[*target]outcome, len(targets))
	first := make([]turn, len(targets))
	for i, t := range targets {
		first[i] = turn{target: t, at: began}
	}
	rota{now: h.now, last: began.Add(lastLook), look: func(ctx context.Context, t turn) outcome {
		return h.lookAndTell(ctx, t.target, dryRun)
	}, again: func(l looked) (time.Time, bool) {
		if l.skipped {
			return time.Time{}, false
		}
		r.count(l.outcome)
		latest[l.target] = l.outcome
		if dryRun {
			return time.Time{}, false
		}
		l.target.due = l.target.next(l.outcome.decision, l.began)
		if !l.outcome.decided || l.outcome.decision.Active || l.nth >= len(secondLooks()) {
			return time.Time{}, false
		}
		return began.Add(secondLooks()[l.nth]), true
	}}.run(ctx, first)
	for _, t := range targets {
		if o, ok := latest[t]; ok {
			r.Decisions = append(r.Decisions, o.recorded())
		}
	}
}

func (r *report) count(o outcome) {
	r.Looks++
	if o.Changed {
		r.Changed++
	}
	if o.Error != "" || o.unread() {
		r.Failed++
	}
}

// lookAndTell is a look and its line in the log. A fault in our own code is that look's failure and no other's.
func (h *handler) lookAndTell(ctx context.Context, t *target, dryRun bool) (o outcome) {
	began := h.now()
	defer func() {
		if fault := recover(); fault != nil {
			o = outcome{Target: t.ID(), Error: fmt.Sprintf("a fault in Leda, please report it: %v: %s", fault, debug.Stack()), took: h.now().Sub(began)}
		}
		h.tell(ctx, t, o, dryRun)
		h.tellOfEvent(ctx, t, o.event)
		if t.member != nil && !dryRun {
			t.member.report(ctx, t, o, h.now())
		}
	}()
	return h.look(ctx, t, dryRun)
}

// tell logs the record of a look, if there is anything new in it.
func (h *handler) tell(ctx context.Context, t *target, o outcome, dryRun bool) {
	now := h.now()
	if !dryRun && !t.worthALine(o, now) {
		return
	}
	attrs := []slog.Attr{slog.String("target", o.Target)}
	if o.decided {
		attrs = append(attrs, slog.Attr{Value: o.recorded().LogValue()}) // no key: its attributes stand beside the others
	}
	level := slog.LevelInfo
	if o.Outside != "" {
		attrs = append(attrs, slog.String("outside", o.Outside))
	}
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
		t.told, t.reason, t.active, t.failed = now, o.decision.Reason, o.decision.Active, o.failed()
	}
	h.log.LogAttrs(ctx, level, "decision", attrs...)
	if warning := t.owner.warning(t.Namespace, now); warning != "" && !dryRun {
		h.log.WarnContext(ctx, "another owner", "target", o.Target, "warning", warning)
	}
}

// tellOfEvent logs that an event could not be written; that it may not be, once a namespace.
func (h *handler) tellOfEvent(ctx context.Context, t *target, err error) {
	if err == nil {
		return
	}
	if errors.Is(err, kube.ErrForbidden) {
		if _, already := h.noted.LoadOrStore(t.Cluster+"/"+t.Namespace, true); already {
			return
		}
	}
	h.log.WarnContext(ctx, "no event", "target", t.ID(), "error", err.Error())
}
