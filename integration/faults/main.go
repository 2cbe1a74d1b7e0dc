// Command faults tries the function against a world that fails it: every dependency in every way, memory in
// every state, kills at every boundary of a write. `make faults` runs all of it and prints the matrix.
//
// The function is the real program behind a Lambda Runtime API of a few lines. The API server and its etcd are real,
// behind a proxy that can be made faulty and that knows the function by its signed token, as EKS does. SQS, CloudWatch,
// STS and EKS are small servers that check every signature: the real ones cannot be made to fail as told.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// options say how much is tried.
type options struct {
	root    string // of the repository
	worlds  int    // side by side
	repeats int    // looks under each fault that takes no time
	kills   int    // at each boundary of a write
	passes  int    // of the soak
	seed    uint64
	quick   bool
	only    string // what has this in its name
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	var o options
	flag.StringVar(&o.root, "root", ".", "the repository")
	flag.IntVar(&o.worlds, "worlds", 6, "how many cells are tried side by side")
	flag.IntVar(&o.repeats, "repeats", 100, "looks under each fault, to see what leaks")
	flag.IntVar(&o.kills, "kills", 20, "kills at each boundary of a write")
	flag.IntVar(&o.passes, "passes", 5000, "passes of the soak")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the soak's loads and faults")
	flag.BoolVar(&o.quick, "quick", false, "every dependency and every fault once")
	flag.StringVar(&o.only, "only", "", "what has this in its name")
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
func run(ctx context.Context, o options, out io.Writer) (ok bool, err error) {
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
	worlds, err := newPool(ctx, plane, program, folder, o.worlds)
	if err != nil {
		return false, err
	}
	return sideBySide(out, func(out io.Writer) (bool, error) { return tryFaults(ctx, o, worlds, out) },
		func(out io.Writer) (bool, error) { return tryStates(ctx, o, worlds, out) },
		func(out io.Writer) (bool, error) { return tryKills(ctx, o, worlds, out) },
		func(out io.Writer) (bool, error) { return trySoak(ctx, o, worlds, folder, out) },
		func(out io.Writer) (bool, error) { return tryRights(ctx, o, worlds, out) })
}

// sideBySide runs parts at once, and prints what they print in their order.
func sideBySide(out io.Writer, parts ...func(io.Writer) (bool, error)) (bool, error) {
	var all sync.WaitGroup
	printed, fine, errs := make([]bytes.Buffer, len(parts)), make([]bool, len(parts)), make([]error, len(parts))
	for i, part := range parts {
		all.Go(func() { fine[i], errs[i] = part(&printed[i]) })
	}
	all.Wait()
	for i := range printed {
		if _, err := printed[i].WriteTo(out); err != nil {
			return false, err
		}
	}
	return !slices.Contains(fine, false), errors.Join(errs...)
}

func tryFaults(ctx context.Context, o options, worlds pool, out io.Writer) (bool, error) {
	began, all := time.Now(), cells(o.repeats)
	if o.quick {
		all = quick(all)
	}
	all = matching(all, o.only)
	if err := play(ctx, worlds, all, func(c *cell) { complain(c, c.problems) }); err != nil || len(all) == 0 {
		return err == nil, err
	}
	return printMatrix(out, all, time.Since(began)), nil
}

func tryStates(ctx context.Context, o options, worlds pool, out io.Writer) (bool, error) {
	began, all := time.Now(), matching(states(), o.only)
	two := &pair{rounds: min(o.kills, 20)}
	if err := play(ctx, worlds, all, func(s *state) { complain(s, s.problems) }); err != nil || len(all) == 0 {
		return err == nil, err
	}
	if err := play(ctx, worlds, []*pair{two}, func(p *pair) { complain(p, p.problems) }); err != nil {
		return false, err
	}
	return printStates(out, all, two, time.Since(began)), nil
}

func tryKills(ctx context.Context, o options, worlds pool, out io.Writer) (bool, error) {
	began, all := time.Now(), matching(boundaries(o.kills), o.only)
	if err := play(ctx, worlds, all, func(b *boundary) { complain(b, b.problems) }); err != nil || len(all) == 0 {
		return err == nil, err
	}
	return printKills(out, all, time.Since(began)), nil
}

func trySoak(ctx context.Context, o options, worlds pool, folder string, out io.Writer) (bool, error) {
	began, s := time.Now(), &soak{passes: o.passes, seed: o.seed}
	if !strings.Contains(s.String(), o.only) {
		return true, nil
	}
	var err error
	if s.program, err = buildWithClock(ctx, o.root, folder); err != nil {
		return false, err
	}
	if err := play(ctx, worlds, []*soak{s}, func(s *soak) { complain(s, s.problems) }); err != nil {
		return false, err
	}
	return printSoak(out, s, time.Since(began)), nil
}

func tryRights(ctx context.Context, o options, worlds pool, out io.Writer) (bool, error) {
	began, r := time.Now(), &rights{brief: o.quick}
	if !strings.Contains(r.String(), o.only) {
		return true, nil
	}
	if err := play(ctx, worlds, []*rights{r}, func(r *rights) { complain(r, r.problems) }); err != nil {
		return false, err
	}
	return printRights(out, r, time.Since(began)), nil
}

func complain(what fmt.Stringer, problems []string) {
	for _, p := range problems {
		fmt.Fprintf(os.Stderr, "%s: %s\n", what, p)
	}
}

func matching[T fmt.Stringer](all []T, part string) []T {
	var some []T
	for _, t := range all {
		if strings.Contains(t.String(), part) {
			some = append(some, t)
		}
	}
	return some
}

// build builds the function as the CDK app does.
func build(ctx context.Context, root, program string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-tags", "lambda.norpc", "-o", program, "./lambda")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if printed, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the function: %w\n%s", err, printed)
	}
	return nil
}
