package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// diary runs a rota in which each look takes as long as is said, and returns when each began, in seconds.
type diary map[string][]float64

func play(t *testing.T, fleet []*target, takes map[string]time.Duration, last time.Duration, again func(looked) (time.Time, bool)) (began diary, took time.Duration) {
	began = diary{}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		type entry struct {
			name string
			at   float64
		}
		entries := make(chan entry, 10000)
		turns := make([]turn, len(fleet))
		for i, target := range fleet {
			turns[i] = turn{target: target, at: start}
		}
		ctx, cancel := context.WithTimeout(t.Context(), lastWord)
		defer cancel()
		rota{now: time.Now, last: start.Add(last), look: func(ctx context.Context, turn turn) outcome {
			entries <- entry{turn.target.Name, time.Since(start).Seconds()}
			select {
			case <-time.After(takes[turn.target.Name]):
			case <-ctx.Done():
			}
			return outcome{Target: turn.target.Name}
		}, again: again}.run(ctx, turns)
		took = time.Since(start)
		close(entries)
		for e := range entries {
			began[e.name] = append(began[e.name], e.at)
		}
	})
	return began, took
}

func every(d time.Duration) func(looked) (time.Time, bool) {
	return func(l looked) (time.Time, bool) { return l.began.Add(d), true }
}

func named(cluster string, names ...string) []*target {
	var fleet []*target
	for _, name := range names {
		fleet = append(fleet, &target{ScaledObject: &scaling.ScaledObject{Cluster: cluster, Name: name}})
	}
	return fleet
}

func TestASlowTargetDelaysNoOther(t *testing.T) {
	began, took := play(t, named("demo", "quick", "hangs"), map[string]time.Duration{"hangs": 10 * time.Second}, 20*time.Second, every(5*time.Second))
	if want := []float64{0, 5, 10, 15, 20}; !slices.Equal(began["quick"], want) {
		t.Errorf("beside one that hangs: looked at after %v s, want %v", began["quick"], want)
	}
	if want := []float64{0, 10, 20}; !slices.Equal(began["hangs"], want) {
		t.Errorf("the one that hangs: looked at after %v s, want %v: not twice at once", began["hangs"], want)
	}
	if want := 30 * time.Second; took != want {
		t.Errorf("over after %s, want %s: when the last look has ended", took, want)
	}
}

func TestAClusterThatHangsTakesNoPlaceOfAnother(t *testing.T) {
	down := named("down", "quiet")
	takes := map[string]time.Duration{}
	for i := range 3 * concurrency {
		name := fmt.Sprintf("hangs%d", i)
		down = append(down, named("down", name)...)
		takes[name] = 10 * time.Second
	}
	began, _ := play(t, append(down, named("up", "quick")...), takes, 10*time.Second, every(5*time.Second))
	if want := []float64{0, 5, 10}; !slices.Equal(began["quick"], want) {
		t.Errorf("beside a cluster that hangs: looked at after %v s, want %v", began["quick"], want)
	}
	waited := 0
	for name, at := range began {
		if name != "quick" && at[0] > 0 {
			waited++
		}
	}
	if waited == 0 {
		t.Error("all targets of the cluster that hangs were looked at at once: its places are not bounded")
	}
}

func TestNoLookBeginsAfterTheLastMoment(t *testing.T) {
	fleet := named("demo", "busy")
	takes := map[string]time.Duration{}
	for i := range 2 * concurrency {
		name := fmt.Sprintf("slow%d", i)
		fleet = append(fleet, named("demo", name)...)
		takes[name] = 10 * time.Second
	}
	began, took := play(t, fleet, takes, 12*time.Second, every(11*time.Second))
	for name, at := range began {
		for _, s := range at {
			if s > 12 {
				t.Errorf("%s: looked at after %v s, the last moment is 12 s", name, s)
			}
		}
	}
	if took > 22*time.Second {
		t.Errorf("over after %s", took)
	}
}

func TestTheRotaEndsWithItsContext(t *testing.T) {
	began, took := play(t, named("demo", "hangs"), map[string]time.Duration{"hangs": time.Hour}, time.Hour, every(time.Second))
	if took != lastWord || len(began["hangs"]) != 1 {
		t.Errorf("over after %s, looks at %v s; want the end of the context, %s", took, began["hangs"], lastWord)
	}
}

func TestADoorbellsLooks(t *testing.T) {
	var rang time.Time
	began, took := play(t, named("demo", "inactive"), nil, lastLook, func(l looked) (time.Time, bool) {
		if l.nth == 0 {
			rang = l.at
		}
		if l.nth >= len(secondLooks()) {
			return time.Time{}, false
		}
		return rang.Add(secondLooks()[l.nth]), true
	})
	if want := []float64{0, 1, 3, 7}; !slices.Equal(began["inactive"], want) || took != 7*time.Second {
		t.Errorf("looked at after %v s, over after %s; want %v", began["inactive"], took, want)
	}
}

func TestTurn(t *testing.T) {
	last := time.Date(2026, 1, 5, 12, 0, 55, 0, time.UTC)
	for _, row := range []struct {
		rule   string
		policy scaling.Policy
		due    time.Duration // after the last moment for a look
		want   time.Duration
	}{
		{"before the last moment", scaling.PolicyDirect, -5 * time.Second, -5 * time.Second},
		{"just after it: looked at then, not 5 s and a tick later", scaling.PolicyDirect, 50 * time.Millisecond, 0},
		{"between it and the next tick", scaling.PolicyDirect, 4900 * time.Millisecond, 0},
		{"after the next tick", scaling.PolicyDirect, 5100 * time.Millisecond, 5100 * time.Millisecond},
		{"policy keda's loops are due to the instant", scaling.PolicyKEDA, 50 * time.Millisecond, 50 * time.Millisecond},
	} {
		target := &target{ScaledObject: &scaling.ScaledObject{Policy: row.policy}, due: last.Add(row.due)}
		if got := target.turn(last).Sub(last); got != row.want {
			t.Errorf("%s: got %s after the last moment, want %s", row.rule, got, row.want)
		}
	}
}

func TestFirstTurn(t *testing.T) {
	began := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		rule        string
		policy      scaling.Policy
		oncePerTick bool
		due         time.Duration // after the tick
		want        time.Duration // negative for none
	}{
		{"one that is due in the minute waits for its time", scaling.PolicyDirect, false, 30 * time.Second, 30 * time.Second},
		{"due just before the next tick: at the last moment", scaling.PolicyDirect, false, 58 * time.Second, lastLook},
		{"due after the next tick", scaling.PolicyDirect, false, 61 * time.Second, -1},
		{"once a tick: due a moment after it, at once", scaling.PolicyDirect, true, 300 * time.Millisecond, 0},
		{"once a tick: due later", scaling.PolicyDirect, true, 6 * time.Second, -1},
		{"once a tick, policy keda: waits for the instant", scaling.PolicyKEDA, true, 300 * time.Millisecond, 300 * time.Millisecond},
		{"once a tick, policy keda: due later", scaling.PolicyKEDA, true, 6 * time.Second, -1},
	} {
		target := &target{ScaledObject: &scaling.ScaledObject{Policy: row.policy}, due: began.Add(row.due)}
		got := time.Duration(-1)
		if at, ok := target.firstTurn(began, row.oncePerTick); ok {
			got = at.Sub(began)
		}
		if got != row.want {
			t.Errorf("%s: got %s after the tick, want %s", row.rule, got, row.want)
		}
	}
}

func TestTurnAfter(t *testing.T) {
	last := time.Date(2026, 1, 5, 12, 0, 55, 0, time.UTC)
	for _, row := range []struct {
		rule  string
		began time.Duration // after the last moment for a look
		want  bool
	}{
		{"a look before the last moment is followed by one at it", -2 * time.Second, true},
		{"the look at the last moment is the last", 0, false},
		{"so is one that began a little late", 20 * time.Millisecond, false},
	} {
		o := &scaling.ScaledObject{Policy: scaling.PolicyDirect}
		target := &target{ScaledObject: o, due: last.Add(row.began + 4*time.Second)}
		if _, ok := target.turnAfter(last.Add(row.began), last); ok != row.want {
			t.Errorf("%s: got another one %v", row.rule, ok)
		}
	}
}

// A timer fires a little late, and so does a clock move on between two questions.
func TestTheLastLookIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var asked atomic.Int64
		clock := func() time.Time { return time.Now().Add(time.Duration(asked.Add(1)) * time.Microsecond) }
		var began []time.Duration
		rota{now: clock, last: start.Add(lastLook), look: func(context.Context, turn) outcome { return outcome{} }, again: func(l looked) (time.Time, bool) {
			if !l.skipped {
				began = append(began, l.began.Sub(start).Truncate(time.Second))
			}
			return start.Add(lastLook), l.nth == 0
		}}.run(t.Context(), []turn{{target: named("demo", "orders")[0], at: start}})
		if want := []time.Duration{0, lastLook}; !slices.Equal(began, want) {
			t.Errorf("looked at after %v, want %v", began, want)
		}
	})
}
