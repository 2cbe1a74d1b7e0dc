package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/leda-autoscaler/leda/scaling"
)

// warm counts what a pass without a change sends, and looks at the memory of a process after very many.
func (b *bench) warm(ctx context.Context) error {
	const counted, passes = 50, 1000
	targets := many(10, "warm", target{replicas: 2, max: 2, polling: 30})
	if err := b.kube.create(ctx, targets); err != nil {
		return err
	}
	names := make([]string, len(targets))
	for i, t := range targets {
		b.aws.fill(t.name, 2*queueLength)
		names[i] = `"` + t.namespace + "/" + t.name + `"`
	}
	code, err := b.code("warm", targets, scaling.Looks{}, false)
	if err != nil {
		return err
	}
	f, err := launch(ctx, b.programs.function, code, b.aws.environ(b.aws.URL))
	if err != nil {
		return err
	}
	defer f.stop()
	event := func(names ...string) string { return `{"targets":[` + strings.Join(names, ",") + `]}` }
	if _, _, err := f.invoke(ctx, event(names...)); err != nil {
		return err
	}
	b.aws.counts()
	said, err := f.log.calls()
	if err != nil {
		return err
	}
	before, err := b.kube.requests(ctx)
	if err != nil {
		return err
	}
	for range counted {
		if _, _, err := f.invoke(ctx, event(names[0])); err != nil {
			return err
		}
	}
	after, err := b.kube.requests(ctx)
	if err != nil {
		return err
	}
	sent, queues := after.since(before), sum(b.aws.counts())
	saidThen, err := f.log.calls()
	if err != nil {
		return err
	}
	if saidThen-said != queues+sent.total() {
		return fmt.Errorf("the function says that it sent %d requests, and the servers counted %d", saidThen-said, queues+sent.total())
	}
	for range passes {
		if _, _, err := f.invoke(ctx, event(names...)); err != nil {
			return err
		}
	}
	peak, err := f.peak()
	if err != nil {
		return err
	}
	b.print(
		row{"warm pass, one target unchanged", float64(queues+sent.total()) / counted, 2, "calls", fmt.Sprintf("in %d passes %d to SQS, %d for the scale, %d for memory", counted, queues, sent.scales, sent.memory)},
		row{"peak memory after 1,000 warm passes of 10 targets", mebibytes(peak), 32, "MiB", ""},
	)
	return nil
}
