package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leda-autoscaler/leda/scaling"
)

// trials are made of each scenario, at phases (i+½)/trials of the period in which its targets are looked at. Each has
// a target of its own, so that they run side by side.
const trials = 24

const namespaceOfTrials = "react"

// scenario is a change of a queue, and the size that is to come of it.
type scenario struct {
	what   string
	like   target
	before int // messages
	after  int
	want   int
	period time.Duration
	ring   bool    // the doorbell, at the moment of sending
	most   float64 // seconds at the median
	keda   string
}

func scenarios() []scenario {
	const often, seldom = 5 * time.Second, 30 * time.Second
	small, large := target{max: 5, polling: 30}, target{max: 40, polling: 30}
	quick, quickLarge := target{max: 5, polling: 5}, target{max: 40, polling: 5}
	return []scenario{
		{"0→5, pollingInterval 30", small, 0, 25, 5, seldom, false, 16, "29.5 s"},
		{"0→40, pollingInterval 30", large, 0, 200, 40, seldom, false, 16, "not measured"},
		{"0→5, pollingInterval 5", quick, 0, 25, 5, often, false, 3.3, "13.3 s"},
		{"0→40, pollingInterval 5", quickLarge, 0, 200, 40, often, false, 3.3, "not measured"},
		{"1→5 while active, defaults", target{replicas: 1, min: 1, max: 5, polling: 30}, 3, 28, 5, often, false, 3.3, "21.0 s"},
		{"0→5, pollingInterval 30, with a doorbell", small, 0, 25, 5, seldom, true, 1, "has none; SNS and its queue are not in it"},
	}
}

// trial is one sending.
type trial struct {
	scenario
	target target
	at     time.Duration // after the first tick
}

// plan spreads the trials over a minute, in shuffled order of their phases, after the first half minute.
func plan() []trial {
	shuffled := rand.New(rand.NewPCG(8, 8)) // the same in each run
	var all []trial
	for n, s := range scenarios() {
		targets := many(trials, fmt.Sprintf("react-%d", n), s.like)
		periods := int(time.Minute / s.period)
		for i, phase := range shuffled.Perm(trials) {
			into := time.Duration((float64(phase) + 0.5) / trials * float64(s.period))
			targets[i].namespace = namespaceOfTrials
			all = append(all, trial{s, targets[i], 30*time.Second + time.Duration(i*periods/trials)*s.period + into})
		}
	}
	return all
}

// reaction measures from the sending of messages to the size in a watch. Ticks come each minute, to the instant.
func (b *bench) reaction(ctx context.Context) error {
	all := plan()
	targets := make([]target, len(all))
	for i, t := range all {
		targets[i] = t.target
		b.aws.fill(t.target.name, t.before)
	}
	if err := b.kube.create(ctx, targets); err != nil {
		return err
	}
	code, err := b.code("react", targets, scaling.Looks{}, false)
	if err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	ticking, err := launch(ctx, b.programs.function, code, b.aws.environ(b.aws.URL))
	if err != nil {
		return err
	}
	defer ticking.stop()
	rung, err := launch(ctx, b.programs.function, code, b.aws.environ(b.aws.URL)) // an event meanwhile is for another process
	if err != nil {
		return err
	}
	defer rung.stop()

	var loops sync.WaitGroup
	defer loops.Wait()
	defer fail(nil)
	seen, rings, took := &sizes{awaited: map[string]awaited{}}, make(chan target, len(all)), make([]time.Duration, len(all))
	began := time.Now()
	loops.Go(func() { fail(seen.follow(ctx, b.kube, namespaceOfTrials)) })
	loops.Go(func() { fail(tickEachMinute(ctx, ticking, began)) })
	loops.Go(func() { fail(answerRings(ctx, rung, rings)) })
	each, of := errgroup.WithContext(ctx)
	for i, t := range all {
		each.Go(func() (err error) {
			took[i], err = b.try(of, t, began, seen, rings)
			return err
		})
	}
	if err := each.Wait(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	b.printReactions(all, took)
	return nil
}

// try sends at the trial's time and waits for the size.
func (b *bench) try(ctx context.Context, t trial, began time.Time, seen *sizes, rings chan<- target) (time.Duration, error) {
	if err := sleep(ctx, time.Until(began.Add(t.at))); err != nil {
		return 0, err
	}
	reached := seen.reach(t.target.name, t.want)
	sent := time.Now()
	b.aws.fill(t.target.name, t.after)
	if t.ring {
		rings <- t.target
	}
	select {
	case at := <-reached:
		return at.Sub(sent), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func tickEachMinute(ctx context.Context, f *function, began time.Time) error {
	for minute := time.Duration(0); ; minute++ {
		if err := sleep(ctx, time.Until(began.Add(minute*time.Minute))); err != nil {
			return err
		}
		if _, _, err := f.invoke(ctx, tick); err != nil {
			return err
		}
	}
}

func answerRings(ctx context.Context, f *function, rings <-chan target) error {
	for {
		select {
		case t := <-rings:
			if _, _, err := f.invoke(ctx, fmt.Sprintf(`{"targets":["%s/%s"]}`, t.namespace, t.name)); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// printReactions prints a row for each scenario; the trials of one stand together.
func (b *bench) printReactions(all []trial, took []time.Duration) {
	for i := 0; i < len(all); i += trials {
		of := func(p float64) float64 { return percentile(took[i:i+trials], time.Duration.Seconds, p) }
		b.print(row{
			all[i].what + ": send → replicas, p50", of(0.5), all[i].most, "s",
			fmt.Sprintf("p90 %.2f, most %.2f; real KEDA %s", of(0.9), of(1), all[i].keda),
		})
	}
}
