package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/leda-autoscaler/leda/scaling"
)

const tick = `{"tick":{"shard":0,"shards":1}}`

// large makes the large fleet, once. It is idle, and looked at once in each tick.
func (b *bench) large(ctx context.Context) error {
	if b.fleet != nil {
		return nil
	}
	fleet := many(b.size, "pass", target{max: 5, polling: 1})
	if err := b.kube.create(ctx, fleet); err != nil {
		return err
	}
	b.fleet = fleet
	return nil
}

// shards has eight processes look at a fleet that has no memory yet, so that all of them write.
func (b *bench) shards(ctx context.Context) error {
	const shards = 8
	if err := b.large(ctx); err != nil {
		return err
	}
	code, err := b.code("shards", b.fleet, scaling.Looks{OncePerTick: true}, false)
	if err != nil {
		return err
	}
	b.aws.counts()
	before, err := b.kube.requests(ctx)
	if err != nil {
		return err
	}
	all, each := errgroup.WithContext(ctx)
	for shard := range shards {
		all.Go(func() error {
			f, err := launch(each, b.programs.function, code, b.aws.environ(b.aws.URL))
			if err != nil {
				return err
			}
			defer f.stop()
			_, _, err = f.invoke(each, fmt.Sprintf(`{"tick":{"shard":%d,"shards":%d}}`, shard, shards))
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	after, err := b.kube.requests(ctx)
	if err != nil {
		return err
	}
	sent, counts := after.since(before), b.aws.counts()
	missed, twice := 0, 0
	for _, t := range b.fleet {
		switch n := counts[t.name]; {
		case n == 0:
			missed++
		case n > 1:
			twice++
		}
	}
	b.print(
		none(fmt.Sprintf("%d targets over %d shards: missed", b.size, shards), missed, fmt.Sprintf("%d reads of queues", sum(counts))),
		none("looked at twice", twice, ""),
		none("conflicts over memory", sent.conflicts, fmt.Sprintf("%d writes of ConfigMaps by %d processes at once", sent.stores, shards)),
	)
	return nil
}
