package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// boundary is a moment of a look at which the function is killed: before or after one of its writes. The
// API server's front holds the write, and its answer, until the process has ended.
type boundary struct {
	name    string
	verb    string
	path    func(w *world) string
	nth     int64 // of such writes in a look
	after   bool  // the write was done
	growing bool  // else shrinking

	times    int // to be killed
	kills    int
	problems []string
}

func (b *boundary) String() string {
	way, side := "shrinking", "before"
	if b.growing {
		way = "growing"
	}
	if b.after {
		side = "after"
	}
	return way + ", " + side + " " + b.name
}

// boundaries are all there are: a look that shrinks or grows stores its memory, sets the size, stores the growth if
// policies count it, and writes an event.
func boundaries(times int) []*boundary {
	memory := func(w *world) string { return w.memoryPath("victim") }
	scale := func(w *world) string { return w.scalePath("victim") }
	event := func(w *world) string { return "/api/v1/namespaces/" + w.namespace("victim") + "/events" }
	var all []*boundary
	for _, growing := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			all = append(all,
				&boundary{name: "the memory's write", verb: http.MethodPut, path: memory, after: after, growing: growing, times: times},
				&boundary{name: "the scale's write", verb: http.MethodPut, path: scale, after: after, growing: growing, times: times},
				&boundary{name: "the event", verb: http.MethodPost, path: event, after: after, growing: growing, times: times})
			if growing {
				all = append(all, &boundary{name: "the growth's write to memory", verb: http.MethodPut, path: memory, nth: 1, after: after, growing: true, times: times})
			}
		}
	}
	return all
}

// inSteps is a behavior that lets one replica go a minute, and two come.
const inSteps = "{scaleUp: {policies: [{type: Pods, value: 2, periodSeconds: 60}]}, scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 1, periodSeconds: 60}]}}"

// run kills the function as often as it is to be, each time in the middle of the same work.
func (b *boundary) run(ctx context.Context, w *world) error {
	w.behavior = inSteps
	if err := w.write(throughSQS); err != nil {
		return err
	}
	for b.kills < b.times && len(b.problems) == 0 {
		if err := b.once(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

func (b *boundary) problem(format string, args ...any) {
	b.problems = append(b.problems, fmt.Sprintf(format, args...))
}

func (b *boundary) once(ctx context.Context, w *world) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	if err := w.restart(ctx); err != nil {
		return err
	}
	if b.growing {
		w.work(5 * sizeLarge)
	} else {
		w.work(5 * sizeSmall)
	}
	held := make(chan struct{}, 16)
	w.api.fail(func(rw http.ResponseWriter, r *http.Request, healthy http.Handler, nth int64) {
		if nth < b.nth {
			healthy.ServeHTTP(rw, r)
			return
		}
		if b.after {
			record(healthy, r.WithContext(context.WithoutCancel(r.Context())))
		}
		held <- struct{}{}
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}, func(r *http.Request) bool { return r.Method == b.verb && r.URL.Path == b.path(w) })
	ended := make(chan error, 1)
	go func() {
		_, err := w.look(ctx, "victim")
		ended <- err
	}()
	select {
	case <-held:
	case err := <-ended:
		b.problem("the look ended before it came so far: %v", err)
		return nil
	}
	w.fn.kill()
	b.kills++
	<-ended
	w.api.busy.Wait()
	w.api.fail(nil, nil)
	return b.recovers(ctx, w)
}

// recovers starts the function anew and judges what it makes of what it finds.
func (b *boundary) recovers(ctx context.Context, w *world) error {
	found, err := w.size(ctx, "victim")
	if err != nil {
		return err
	}
	if low, high := int32(sizeBefore-1), int32(sizeBefore+2); found < low || found > high {
		b.problem("killed, it left %d replicas: more than one step from one reading", found)
	}
	if err := w.restart(ctx); err != nil {
		return err
	}
	steps := w.countSteps()
	for range 3 {
		before, err := w.size(ctx, "victim")
		if err != nil {
			return err
		}
		steps.reset()
		if r, err := w.look(ctx, "victim"); err != nil || r.Failed > 0 {
			b.problem("the look after the kill failed: %v %+v", err, r)
			return nil
		}
		after, err := w.size(ctx, "victim")
		if err != nil {
			return err
		}
		switch {
		case steps.count() > 1:
			b.problem("one look set the size %d times", steps.count())
		case !b.growing && after < sizeBefore-1:
			b.problem("it shrank to %d, and one replica a minute may go: what had been done was forgotten", after)
		case b.growing && (after < before || after > before+2 || after > 20):
			b.problem("growing, it went from %d to %d", before, after)
		}
	}
	if !b.growing {
		return nil
	}
	// A growth that is remembered and was not made would let more go than may.
	w.work(5 * sizeSmall)
	if _, err := w.look(ctx, "victim"); err != nil {
		b.problem("the look that shrinks failed: %v", err)
		return nil
	}
	size, err := w.size(ctx, "victim")
	if err == nil && size < sizeBefore-1 {
		b.problem("it shrank to %d, and before the minute it had %d: a growth is counted that was not made", size, sizeBefore)
	}
	return err
}

// steps counts the sizes that were set.
type steps struct{ edge *edge }

// countSteps counts from now on.
func (w *world) countSteps() steps {
	w.api.fail(func(rw http.ResponseWriter, r *http.Request, healthy http.Handler, _ int64) { healthy.ServeHTTP(rw, r) },
		func(r *http.Request) bool { return r.Method == http.MethodPut && r.URL.Path == w.scalePath("victim") })
	return steps{w.api}
}

func (s steps) reset() { s.edge.hit.Store(0) }

func (s steps) count() int64 { return s.edge.hit.Load() }

// printKills prints a row for each boundary.
func printKills(out io.Writer, all []*boundary, took time.Duration) bool {
	kills, bad := 0, 0
	for _, b := range all {
		outcome := "never two steps from one reading, never too small"
		if len(b.problems) > 0 || b.kills < b.times {
			outcome = "RED"
			bad++
		}
		kills += b.kills
		fmt.Fprintf(out, "%-48s %4d kills  %s\n", b, b.kills, outcome)
	}
	fmt.Fprintf(out, "%d kills at %d boundaries, %d red, in %s\n\n", kills, len(all), bad, took.Round(time.Second))
	return bad == 0
}
