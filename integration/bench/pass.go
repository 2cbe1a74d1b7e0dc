package main

import (
	"context"
	"fmt"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// passes is what a process took for its passes.
type passes struct {
	start     time.Duration // CPU to its first request for work
	firstWall time.Duration
	firstCPU  time.Duration
	warmWall  time.Duration // a later pass
	warmCPU   time.Duration
	peak      int64
}

// pass measures a pass over the large fleet, and over a hundred of its targets, against the same requests alone.
func (b *bench) pass(ctx context.Context) error {
	const pairs = 3
	if err := b.large(ctx); err != nil {
		return err
	}
	ours, theirs, err := b.compare(ctx, "large", b.fleet, pairs, 1)
	if err != nil {
		return err
	}
	few, fewTheirs, err := b.compare(ctx, "few", b.fleet[:min(100, len(b.fleet))], pairs, 10)
	if err != nil {
		return err
	}
	n, small := float64(len(b.fleet)), float64(min(100, len(b.fleet)))
	of := func(field func(passes) time.Duration) func(passes) float64 {
		return func(p passes) float64 { return milliseconds(field(p)) }
	}
	firstWall := of(func(p passes) time.Duration { return p.firstWall })
	warmWall := of(func(p passes) time.Duration { return p.warmWall })
	firstCPU := of(func(p passes) time.Duration { return p.firstCPU })
	warmCPU := of(func(p passes) time.Duration { return p.warmCPU })
	const bare = "bare loop"
	b.print(
		ratio(fmt.Sprintf("%d targets, first pass of a process: wall", len(b.fleet)), median(ours, firstWall), median(theirs, firstWall), 1.3, "ms", bare),
		ratio("the next one: wall", median(ours, warmWall), median(theirs, warmWall), 1.3, "ms", bare),
		row{"first pass: CPU a target", median(ours, firstCPU) / n, 0.3, "ms", fmt.Sprintf("%s %.3f ms", bare, median(theirs, firstCPU)/n)},
		row{"the next one: CPU a target", median(ours, warmCPU) / n, 0.3, "ms", fmt.Sprintf("%s %.3f ms", bare, median(theirs, warmCPU)/n)},
		row{"peak memory", median(ours, func(p passes) float64 { return mebibytes(p.peak) }), 96, "MiB", fmt.Sprintf("%s %.1f MiB", bare, median(theirs, func(p passes) float64 { return mebibytes(p.peak) }))},
		row{"CPU to start with so many", median(ours, of(func(p passes) time.Duration { return p.start })), 0, "ms", "reads leda.json"},
		ratio("CPU a target at so many against 100, warm", median(ours, warmCPU)/n, median(few, warmCPU)/small, 1.2, "ms", fmt.Sprintf("(%s %.2f ×) at 100", bare, median(theirs, warmCPU)/n/(median(fewTheirs, warmCPU)/small))),
	)
	return nil
}

// compare runs the function and the bare loop in turns, over targets whose memory is stored.
func (b *bench) compare(ctx context.Context, name string, targets []target, pairs, warm int) (ours, theirs []passes, err error) {
	code, err := b.code(name, targets, scaling.Looks{OncePerTick: true}, false)
	if err != nil {
		return nil, nil, err
	}
	if _, err := b.passes(ctx, b.programs.function, code, len(targets), 0); err != nil { // stores it
		return nil, nil, err
	}
	for range pairs {
		for _, side := range []struct {
			program string
			costs   *[]passes
		}{{b.programs.function, &ours}, {b.programs.bare, &theirs}} {
			p, err := b.passes(ctx, side.program, code, len(targets), warm)
			if err != nil {
				return nil, nil, err
			}
			*side.costs = append(*side.costs, p)
		}
	}
	return ours, theirs, nil
}

func (b *bench) passes(ctx context.Context, program, code string, targets, warm int) (passes, error) {
	var p passes
	f, err := launch(ctx, program, code, b.aws.environ(b.aws.URL))
	if err != nil {
		return p, err
	}
	defer f.stop()
	if p.start, err = f.cpu(); err != nil {
		return p, err
	}
	if p.firstWall, p.firstCPU, err = f.pass(ctx, targets); err != nil {
		return p, err
	}
	for range warm {
		if err := sleep(ctx, 1100*time.Millisecond); err != nil { // until all are due again
			return p, err
		}
		wall, cpu, err := f.pass(ctx, targets)
		if err != nil {
			return p, err
		}
		p.warmWall += wall / time.Duration(warm)
		p.warmCPU += cpu / time.Duration(warm)
	}
	p.peak, err = f.peak()
	return p, err
}

// pass has the function look at all of its targets.
func (f *function) pass(ctx context.Context, targets int) (wall, cpu time.Duration, err error) {
	before, err := f.cpu()
	if err != nil {
		return 0, 0, err
	}
	r, wall, err := f.invoke(ctx, tick)
	if err != nil {
		return 0, 0, err
	}
	if r.Looks != targets {
		return 0, 0, fmt.Errorf("looked at %d of %d targets", r.Looks, targets)
	}
	after, err := f.cpu()
	return wall, after - before, err
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
