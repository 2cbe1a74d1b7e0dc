package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// startFleet is what the function is started with: one target, which reads a queue and a cron window.
const startFleet = `{"clusters":[{"name":"demo","region":"us-east-1"}],"objects":[
{"apiVersion":"keda.sh/v1alpha1","kind":"TriggerAuthentication","metadata":{"name":"own","namespace":"shop"},"spec":{"podIdentity":{"provider":"aws"}}},
{"apiVersion":"keda.sh/v1alpha1","kind":"ScaledObject","metadata":{"name":"orders","namespace":"shop"},"spec":{"scaleTargetRef":{"name":"orders"},"triggers":[
{"type":"aws-sqs-queue","authenticationRef":{"name":"own"},"metadata":{"queueURL":"orders","awsRegion":"us-east-1"}},
{"type":"cron","metadata":{"timezone":"Europe/Stockholm","start":"0 8 * * *","end":"0 18 * * *","desiredReplicas":"3"}}]}}]}`

// cost is what a process used until it asked for its first event.
type cost struct {
	cpu    time.Duration
	faults int64 // minor page faults
	memory int64 // peak, bytes
}

// start measures the program's size and what starting costs, in medians of pairs that take turns.
func (b *bench) start(ctx context.Context) error {
	const pairs = 40
	size, err := zipped(b.programs.function)
	if err != nil {
		return err
	}
	smallest, err := zipped(b.programs.hello)
	if err != nil {
		return err
	}
	folder := filepath.Dir(b.programs.function)
	if err := os.WriteFile(filepath.Join(folder, "leda.json"), []byte(startFleet), 0o600); err != nil {
		return err
	}
	var function, hello []cost
	for range pairs {
		for _, side := range []struct {
			file  string
			costs *[]cost
		}{{b.programs.function, &function}, {b.programs.hello, &hello}} {
			c, err := startOnce(ctx, side.file, folder)
			if err != nil {
				return fmt.Errorf("start %s: %w", side.file, err)
			}
			*side.costs = append(*side.costs, c)
		}
	}
	cpu := func(c cost) float64 { return milliseconds(c.cpu) }
	faults := func(c cost) float64 { return float64(c.faults) }
	memory := func(c cost) float64 { return mebibytes(c.memory) }
	const world = "hello-world"
	b.print(
		row{"bootstrap zip", mebibytes(size), 6, "MiB", fmt.Sprintf("%s %.2f MiB", world, mebibytes(smallest))},
		ratio("CPU from exec to the first request for work", median(function, cpu), median(hello, cpu), 2, "ms", world),
		ratio("minor page faults to there", median(function, faults), median(hello, faults), 2.2, "", world),
		row{"peak memory there", median(function, memory), 0, "MiB", fmt.Sprintf("%s %.1f MiB", world, median(hello, memory))},
	)
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median[T any](all []T, of func(T) float64) float64 { return percentile(all, of, 0.5) }

// percentile is the value that the fraction p of all values stays below, between two of them if need be.
func percentile[T any](all []T, of func(T) float64, p float64) float64 {
	values := make([]float64, len(all))
	for i, v := range all {
		values[i] = of(v)
	}
	slices.Sort(values)
	whole, part := math.Modf(p * float64(len(values)-1))
	below, above := values[int(whole)], values[min(int(whole)+1, len(values)-1)]
	return below + part*(above-below)
}

// startOnce starts a function and ends it when it asks for an event.
func startOnce(ctx context.Context, file, folder string) (cost, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	f, err := launch(ctx, file, folder, nil)
	if err != nil {
		return cost{}, err
	}
	memory, err := f.peak() // rusage counts what we had when we forked, too
	f.stop()
	if err != nil {
		return cost{}, err
	}
	state := f.cmd.ProcessState
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return cost{}, fmt.Errorf("this system does not say what a process used")
	}
	return cost{cpu: state.UserTime() + state.SystemTime(), faults: usage.Minflt, memory: memory}, nil
}
