// Command faults tries the function against a world that fails it: every dependency in every way, memory in
// every state, kills at every boundary of a write. `make faults` runs all of it and prints the matrix.
//
// The function is the real program behind a Lambda Runtime API of a few lines. The API server and its etcd are real,
// behind a proxy that can be made faulty and that knows the function by its signed token, as EKS does. SQS, CloudWatch,
// STS and EKS are small servers that check every signature: the real ones cannot be made to fail as told.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// options say how much is tried.
type options struct {
	root    string // of the repository
	worlds  int    // side by side
	repeats int    // looks under each fault that takes no time
	quick   bool
	only    string // cells whose names contain it
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	var o options
	flag.StringVar(&o.root, "root", ".", "the repository")
	flag.IntVar(&o.worlds, "worlds", 6, "how many cells are tried side by side")
	flag.IntVar(&o.repeats, "repeats", 100, "looks under each fault, to see what leaks")
	flag.BoolVar(&o.quick, "quick", false, "every dependency and every fault once")
	flag.StringVar(&o.only, "only", "", "cells whose names contain this")
	flag.Parse()
	ok, err := run(ctx, o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
	}
	if !ok || err != nil {
		cancel()
		os.Exit(1)
	}
}

// run tries what o says, and prints it. It is ok when every cell is.
func run(ctx context.Context, o options, out *os.File) (ok bool, err error) {
	if o.root, err = filepath.Abs(o.root); err != nil {
		return false, err
	}
	folder, err := os.MkdirTemp("", "leda-faults")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(folder) }() // what stays in the temporary folder harms nobody
	program := filepath.Join(folder, "bootstrap")
	if err := build(ctx, o.root, program); err != nil {
		return false, err
	}
	plane, err := startControlPlane(ctx, filepath.Join(o.root, ".local", "bin"), folder)
	if plane != nil {
		defer plane.stop()
	}
	if err != nil {
		return false, err
	}
	var worlds []*world
	for i := range o.worlds {
		w, err := newWorld(plane, program, folder, fmt.Sprintf("w%d", i))
		if err != nil {
			return false, err
		}
		w.close() // each cell has servers of its own
		w.folder = folder
		worlds = append(worlds, w)
	}
	if err := prepare(ctx, plane, worlds); err != nil {
		return false, err
	}
	chosen := cells()
	if o.quick {
		chosen = quick(chosen)
	}
	chosen = matching(chosen, o.only)
	began := time.Now()
	if err := play(ctx, worlds, chosen, o.repeats, func(c *cell) {
		for _, p := range c.problems {
			fmt.Fprintf(os.Stderr, "%s, %s: %s\n", c.name(), c.fault.name, p)
		}
	}); err != nil {
		return false, err
	}
	return printMatrix(out, chosen, time.Since(began)), nil
}

func matching(all []*cell, part string) []*cell {
	var some []*cell
	for _, c := range all {
		if strings.Contains(c.name()+", "+c.fault.name, part) {
			some = append(some, c)
		}
	}
	return some
}

// build builds the function as the CDK app does.
func build(ctx context.Context, root, program string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-tags", "lambda.norpc", "-o", program, "./lambda")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if printed, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the function: %w\n%s", err, printed)
	}
	return nil
}
