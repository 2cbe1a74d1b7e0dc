package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// fleet is what the function is started with: one target, which reads a queue and a cron window.
const fleet = `{"clusters":[{"name":"demo","region":"us-east-1"}],"objects":[
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

// start prints what starting costs, in medians of pairs that take turns.
func (b binaries) start(ctx context.Context) error {
	const pairs = 40
	if err := os.WriteFile(filepath.Join(filepath.Dir(b.function), "leda.json"), []byte(fleet), 0o600); err != nil {
		return err
	}
	var function, hello []cost
	for range pairs {
		for _, side := range []struct {
			file  string
			costs *[]cost
		}{{b.function, &function}, {b.hello, &hello}} {
			c, err := startOnce(ctx, side.file)
			if err != nil {
				return fmt.Errorf("start %s: %w", side.file, err)
			}
			*side.costs = append(*side.costs, c)
		}
	}
	cpu := func(c cost) float64 { return float64(c.cpu.Microseconds()) / 1000 }
	faults := func(c cost) float64 { return float64(c.faults) }
	memory := func(c cost) float64 { return mebibytes(c.memory) }
	for _, row := range []struct {
		name, unit string
		of         func(cost) float64
	}{{"CPU to the first request for work", "ms", cpu}, {"minor page faults to there", "", faults}, {"peak memory there", "MiB", memory}} {
		ours, theirs := median(function, row.of), median(hello, row.of)
		fmt.Printf("%-36s %8.2f %-3s  %.2f × hello-world's %.2f\n", row.name, ours, row.unit, ours/theirs, theirs)
	}
	return nil
}

func median(costs []cost, of func(cost) float64) float64 {
	values := make([]float64, len(costs))
	for i, c := range costs {
		values[i] = of(c)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// startOnce starts a function against a Lambda Runtime API that has no event for it, and ends it when it asks for one.
func startOnce(ctx context.Context, file string) (cost, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return cost{}, err
	}
	asked := make(chan struct{}, 1)
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() { _ = server.Close(); <-served }()

	cmd := exec.CommandContext(ctx, file)
	cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "LAMBDA_TASK_ROOT=" + filepath.Dir(file), "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=secret", "AWS_LAMBDA_FUNCTION_NAME=leda",
	}
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	select {
	case <-asked:
	case <-ctx.Done():
		_ = cmd.Wait()
		return cost{}, fmt.Errorf("it never asked for an event: %w", ctx.Err())
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return cost{}, fmt.Errorf("this system does not say what a process used")
	}
	return cost{cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), faults: usage.Minflt, memory: usage.Maxrss * 1024}, nil
}
