// Command bench measures what the function costs and prints each figure with its ratio to a baseline of the same run.
// `make bench` runs it. It judges nothing: machines differ, ratios of one run do so less.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "leda-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what stays in the temporary folder harms nobody
	b, err := build(ctx, dir)
	if err != nil {
		return err
	}
	if err := b.size(); err != nil {
		return err
	}
	return b.start(ctx)
}
