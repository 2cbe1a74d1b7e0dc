package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoNeedsTheSameWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, fails := range []error{nil, errors.New("no")} {
			k := kept[string, int]{now: time.Now}
			var reads, good atomic.Int32
			answer := make(chan struct{})
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					v, err := k.get(t.Context(), "x", func(context.Context) (int, span, error) {
						reads.Add(1)
						<-answer
						return 7, span{}, fails
					})
					if errors.Is(err, fails) && (err != nil || v.is == 7) {
						good.Add(1)
					}
				})
			}
			synctest.Wait()
			close(answer)
			all.Wait()
			if reads.Load() != 1 || good.Load() != 10 {
				t.Errorf("%v: %d reads, and %d of 10 have what came of it; want 1 and 10", fails, reads.Load(), good.Load())
			}
		}
	})
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := kept[string, int]{now: time.Now}
		answer := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			_, _ = k.get(t.Context(), "x", func(context.Context) (int, span, error) { <-answer; return 7, span{}, nil })
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := k.get(ctx, "x", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		close(answer)
		all.Wait()
	})
}

func TestHowLongAValueIsKept(t *testing.T) {
	c := newClock()
	began := c.now()
	k := kept[string, int]{now: c.now}
	for _, step := range []struct {
		at    time.Duration
		read  int   // what reading gives
		err   error // or how it fails
		want  int
		reads int
		rule  string
	}{
		{0, 1, nil, 1, 1, "the first is read"},
		{9 * time.Minute, 2, nil, 1, 0, "and kept while it is fresh"},
		{10 * time.Minute, 0, errors.New("no"), 1, 1, "it serves on when reading fails"},
		{10*time.Minute + 29*time.Second, 2, nil, 1, 0, "without trying again at once"},
		{10*time.Minute + 30*time.Second, 0, errors.New("no"), 1, 1, "but after a while"},
		{15 * time.Minute, 0, errors.New("no"), 0, 1, "until it is good no more"},
		{15 * time.Minute, 3, nil, 3, 1, "a failure is not kept"},
	} {
		c.pass(began.Add(step.at).Sub(c.now()))
		reads := 0
		v, err := k.get(t.Context(), "x", func(context.Context) (int, span, error) {
			reads++
			return step.read, span{c.now().Add(10 * time.Minute), c.now().Add(15 * time.Minute)}, step.err
		})
		if (err == nil) != (step.want > 0) || err == nil && v.is != step.want || reads != step.reads {
			t.Errorf("%s: got %+v, %v after %d reads, want %d after %d", step.rule, v, err, reads, step.want, step.reads)
		}
	}
	c.pass(15 * time.Minute)
	if k.sweep(); len(k.values) != 0 {
		t.Errorf("%d values are kept that are good no more", len(k.values))
	}
}

func TestForgetting(t *testing.T) {
	k := kept[string, int]{now: newClock().now}
	n := 0
	read := func(context.Context) (int, span, error) { n++; return n, span{}, nil }
	first, _ := k.get(t.Context(), "x", read)
	k.forget("x", first)
	second, _ := k.get(t.Context(), "x", read)
	k.forget("x", first) // someone whose answer came late
	if third, _ := k.get(t.Context(), "x", read); third != second || n != 2 {
		t.Errorf("got %d after %d reads, want 2 after 2", third.is, n)
	}
}
