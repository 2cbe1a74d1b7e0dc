package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/leda-autoscaler/leda/kube"
)

// state is something that happened to memory while nobody looked.
type state struct {
	name  string
	spoil func(ctx context.Context, w *world) error
	says  string // what the line must say; empty for nothing
	stuck bool   // nothing shrinks until somebody mends it
	warm  bool   // the process had read it before

	problems []string
}

func (s *state) String() string { return "memory " + s.name }

// inThree is a behavior with a window of 3 s: so long nothing shrinks whose past nobody knows.
const inThree = "{scaleDown: {stabilizationWindowSeconds: 3, policies: [{type: Percent, value: 100, periodSeconds: 1}]}}"

const window = 3 * time.Second

func states() []*state {
	written := func(text string) func(context.Context, *world) error {
		return func(ctx context.Context, w *world) error { return w.remember(ctx, "victim", 0, text) }
	}
	deleted := func(ctx context.Context, w *world) error {
		_, err := w.plane.ask(ctx, http.MethodDelete, w.memoryPath("victim"), "", nil)
		return err
	}
	with := func(data map[string]string) func(context.Context, *world) error {
		return func(ctx context.Context, w *world) error { return w.putMemory(ctx, "victim", data) }
	}
	const lost = "counts as lost"
	old := func(more string) string {
		at := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
		return fmt.Sprintf(`{"since":%q,"lastActive":%q,"latest":{"replicas":1,"at":%q}%s}`, at, at, at, more)
	}
	return []*state{
		{name: "deleted", spoil: deleted, says: "apply leda rbac, which creates it", stuck: true},
		{name: "emptied", spoil: with(nil)},
		{name: "cut short", spoil: written(old("")[:60]), says: lost},
		{name: "no JSON", spoil: written("\x00\x01 not ours"), says: lost},
		{name: "of another type", spoil: written(`["since"]`), says: lost},
		{name: "of a newer version", spoil: written(old(`,"holdUntil":"2099-01-01T00:00:00Z"`)), says: lost},
		{name: "of two hours from now", spoil: written(strings.ReplaceAll(old(""), time.Now().Add(-time.Hour).UTC().Format("2006-01-02T15"), time.Now().Add(2*time.Hour).UTC().Format("2006-01-02T15"))), says: lost},
		{name: "with sizes below zero", spoil: written(old(`,"higher":[{"replicas":-7,"at":"2026-01-01T00:00:00Z"}]`)), says: lost},
		{name: "with a step that overflows", spoil: written(old(`,"scaleDowns":[{"change":2147483647,"at":"2026-01-01T00:00:00Z"},{"change":2147483647,"at":"2026-01-01T00:00:00Z"}]`)), says: lost},
		{name: "deleted under a process that knew it", spoil: deleted, warm: true, says: "store memory|apply leda rbac", stuck: true},
		{name: "too large, by what is not Leda's", spoil: with(map[string]string{"notes": strings.Repeat("x", 70<<10)}), says: "are the most", stuck: true},
	}
}

func (s *state) problem(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

// run spoils memory and looks: nothing may shrink before the window has passed anew, growth goes on, and what is said
// is said. Once memory is as leda rbac makes it, all is well again by itself.
func (s *state) run(ctx context.Context, w *world) error {
	w.behavior = inThree
	if err := w.write(throughSQS); err != nil {
		return err
	}
	if err := w.begin(ctx); err != nil {
		return err
	}
	if err := w.restart(ctx); err != nil {
		return err
	}
	if s.warm {
		if _, err := w.look(ctx, "victim"); err != nil {
			return err
		}
		time.Sleep(window) // what the look asked for is over
	}
	if err := s.spoil(ctx, w); err != nil {
		return err
	}
	w.work(5 * sizeSmall)
	spoiled := time.Now()
	r, err := w.look(ctx, "victim")
	if err != nil {
		return err
	}
	if said := strings.ReplaceAll(r.of(w.target("victim")).says(), "`", ""); s.says == "" && said != "" || !regexp.MustCompile(s.says).MatchString(said) {
		s.problem("it says %q, want %q", said, s.says)
	}
	if err := s.holds(ctx, w, spoiled); err != nil {
		return err
	}
	w.work(5 * sizeLarge)
	if _, err := w.look(ctx, "victim"); err != nil {
		return err
	}
	if size, err := w.size(ctx, "victim"); err != nil || size != sizeLarge {
		s.problem("growth waits for memory: %d replicas, want %d (%v)", size, sizeLarge, err)
	}
	if s.stuck {
		if err := w.mendMemory(ctx, "victim"); err != nil {
			return err
		}
	}
	w.work(5 * sizeSmall)
	return s.shrinksInTheEnd(ctx, w)
}

// holds looks again and again: nothing shrinks before the window has passed, and not at all while memory is stuck.
func (s *state) holds(ctx context.Context, w *world, since time.Time) error {
	for time.Since(since) < window-200*time.Millisecond {
		if _, err := w.look(ctx, "victim"); err != nil {
			return err
		}
		size, err := w.size(ctx, "victim")
		if err != nil {
			return err
		}
		if size < sizeBefore && time.Since(since) < window {
			s.problem("it shrank to %d after %s", size, time.Since(since))
			return nil
		}
		time.Sleep(300 * time.Millisecond) // time is what is to pass
	}
	return nil
}

func (s *state) shrinksInTheEnd(ctx context.Context, w *world) error {
	// A process that wrote stores activity a minute late for others; this one knows better.
	for began := time.Now(); ; time.Sleep(500 * time.Millisecond) { // time is what is to pass
		if _, err := w.look(ctx, "victim"); err != nil {
			return err
		}
		size, err := w.size(ctx, "victim")
		if err != nil || size == sizeSmall {
			return err
		}
		if time.Since(began) > 4*window {
			s.problem("in the end it has %d replicas, want %d", size, sizeSmall)
			return nil
		}
	}
}

// putMemory replaces what a memory object holds.
func (w *world) putMemory(ctx context.Context, target string, data map[string]string) error {
	object, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": kube.MemoryName(0), "namespace": w.namespace(target)}, "data": data,
	})
	if err != nil {
		return err
	}
	_, err = w.plane.ask(ctx, http.MethodPut, w.memoryPath(target), "application/json", object)
	return err
}

// mendMemory makes the object as leda rbac would, empty.
func (w *world) mendMemory(ctx context.Context, target string) error {
	err := w.plane.apply(ctx, "/api/v1/namespaces/"+w.namespace(target)+"/configmaps",
		map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": kube.MemoryName(0)}})
	if err != nil {
		return err
	}
	return w.putMemory(ctx, target, nil)
}

// pair is two functions at work at once on the same target.
type pair struct {
	rounds   int
	problems []string
}

func (p *pair) String() string { return "two functions at once" }

func (p *pair) run(ctx context.Context, w *world) error {
	w.behavior = inSteps
	if err := w.write(throughSQS); err != nil {
		return err
	}
	for n := range p.rounds {
		if err := w.begin(ctx); err != nil {
			return err
		}
		if err := w.restart(ctx); err != nil {
			return err
		}
		other := *w
		other.fn = nil
		if err := other.restart(ctx); err != nil {
			return err
		}
		grows := n%2 == 0
		low, high := int32(sizeBefore-1), int32(sizeBefore)
		if grows {
			// Each has a reading of its own, and a growth is remembered after it was made: the second may grow once more.
			low, high = sizeBefore, sizeBefore+4
			w.work(5 * sizeLarge)
		} else {
			w.work(5 * sizeSmall)
		}
		var all sync.WaitGroup
		for _, one := range []*world{w, &other} {
			for range 3 {
				all.Go(func() { _, _ = one.look(ctx, "victim") }) // one at a time each, as in Lambda; what comes of them is below
			}
		}
		all.Wait()
		other.fn.kill()
		size, err := w.size(ctx, "victim")
		if err != nil {
			return err
		}
		if size < low || size > high {
			p.problems = append(p.problems, fmt.Sprintf("round %d: %d replicas, want %d to %d", n, size, low, high))
		}
	}
	return nil
}

func printStates(out io.Writer, all []*state, p *pair, took time.Duration) bool {
	bad := 0
	for _, s := range all {
		outcome := "no scale-in before its time, growth goes on, recovers"
		if len(s.problems) > 0 {
			outcome = "RED"
			bad++
		}
		fmt.Fprintf(out, "%-48s %s\n", s, outcome)
	}
	outcome := fmt.Sprintf("%d rounds: one step of each, nothing undone", p.rounds)
	if len(p.problems) > 0 {
		outcome = "RED"
		bad++
	}
	fmt.Fprintf(out, "%-48s %s\n%d states, %d red, in %s\n\n", p, outcome, len(all)+1, bad, took.Round(time.Second))
	return bad == 0
}
