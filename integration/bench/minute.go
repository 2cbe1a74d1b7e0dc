package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leda-autoscaler/leda/scaling"
)

// minuteCost is what a fleet of a hundred took within a minute, beginning with its process's start or later.
type minuteCost struct {
	cpu      time.Duration
	peak     int64
	queues   int           // requests to SQS
	requests int           // to the API server
	logged   int           // bytes
	took     time.Duration // of the invocation
}

// minute measures fleets of a hundred for two minutes, each in a process of its own: as the first of the process,
// which the rows for those with work are about, and as any other, which docs/cost.md reckons by.
func (b *bench) minute(ctx context.Context) error {
	const n = 100
	fleets := []struct {
		name, what string
		like       target
		messages   int
		looks      scaling.Looks
	}{
		{"steady", "with work, each 15 s", target{replicas: 2, max: 5, polling: 30}, queueLength + 1, scaling.Looks{GrowingSeconds: 15}},
		{"growing", "with work, each 5 s", target{replicas: 2, max: 5, polling: 30}, queueLength + 1, scaling.Looks{}},
		{"idle", "idle, each 30 s", target{max: 5, polling: 30}, 0, scaling.Looks{}},
	}
	b.aws.counts()
	costs := make([][]minuteCost, len(fleets))
	all, each := errgroup.WithContext(ctx)
	for i, fleet := range fleets {
		targets := many(n, fleet.name, fleet.like)
		if err := b.kube.create(ctx, targets); err != nil {
			return err
		}
		for _, t := range targets {
			b.aws.fill(t.name, fleet.messages) // for 2 of 5, so that nothing changes
		}
		all.Go(func() (err error) {
			costs[i], err = b.minutes(each, fleet.name, targets, fleet.looks)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	const keda = "real KEDA with the HPA"
	first := costs[0][0]
	b.print(
		row{"100 targets with work, looked at each 15 s: CPU", first.cpu.Seconds(), 0.5, "s/min", keda + " 2.38 s; with the process's start"},
		row{"memory", mebibytes(first.peak), 40, "MiB", keda + " 239 MiB"},
		row{"requests to SQS", float64(first.queues), 400, "/min", keda + " 599"},
		row{"requests to the API server", float64(first.requests), 800, "/min", keda + " 1,468"},
	)
	for i, fleet := range fleets {
		const minutes = 30 * 24 * 60
		cost := costs[i][1]
		month := func(perMinute int) float64 { return float64(perMinute) * minutes / n }
		b.print(
			row{"a target " + fleet.what + ": to SQS", month(cost.queues), 0, "/month", ""},
			row{"  to the API server", month(cost.requests), 0, "/month", ""},
			row{"  log", month(cost.logged) / 1e6, 0, "MB", "a month, the fleet's own lines shared by 100"},
			row{"  the fleet's function at 128 MB", cost.took.Seconds() * minutes * 128 / 1024, 0, "GB-s", fmt.Sprintf("a month, %.1f s a minute", cost.took.Seconds())},
		)
	}
	return nil
}

// minutes runs a process for two ticks.
func (b *bench) minutes(ctx context.Context, name string, targets []target, looks scaling.Looks) ([]minuteCost, error) {
	code, err := b.code(name, targets, looks, false)
	if err != nil {
		return nil, err
	}
	f, err := launch(ctx, b.programs.function, code, b.aws.environ(b.aws.URL))
	if err != nil {
		return nil, err
	}
	defer f.stop()
	began := time.Now()
	var costs []minuteCost
	var before, now minuteCost
	for i := range 2 {
		if err := sleep(ctx, time.Until(began.Add(time.Duration(i)*time.Minute))); err != nil {
			return nil, err
		}
		_, took, err := f.invoke(ctx, tick)
		if err != nil {
			return nil, err
		}
		if now, err = b.until(f, name); err != nil {
			return nil, err
		}
		costs = append(costs, minuteCost{
			now.cpu - before.cpu, now.peak, now.queues - before.queues, now.requests - before.requests, now.logged - before.logged, took,
		})
		before = now
	}
	return costs, nil
}

// until is what a function has taken until now. What it sent to the API server it says itself: the part warm
// compares that with the server's own count.
func (b *bench) until(f *function, name string) (c minuteCost, err error) {
	if c.cpu, err = f.cpu(); err != nil {
		return c, err
	}
	if c.peak, err = f.peak(); err != nil {
		return c, err
	}
	c.queues = b.aws.readsOf(name)
	c.logged = f.log.size()
	sent, err := f.log.calls()
	c.requests = sent - c.queues
	return c, err
}

// calls is how many requests the function says that it has sent.
func (b *safeBuffer) calls() (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sum := 0
	lines := bufio.NewScanner(strings.NewReader(b.buffer.String()))
	for lines.Scan() {
		var line struct {
			Message string `json:"msg"`
			Calls   int    `json:"calls"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return 0, fmt.Errorf("a line of the log is not JSON: %w", err)
		}
		if line.Message == "done" {
			sum += line.Calls
		}
	}
	return sum, lines.Err()
}
