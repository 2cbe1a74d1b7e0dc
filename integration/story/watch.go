package story

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// endWithChildren makes the end of ctx end a command and whatever it has started.
func endWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
}

// size is a Deployment at one moment.
type size struct{ replicas, ready int }

// sizes is a Deployment watched through kubectl.
type sizes struct {
	name    string
	now     size
	changes chan size
	end     func() error
}

// watch follows a Deployment's size until the returned value's end is called.
func (s shell) watch(ctx context.Context, deployment string) (*sizes, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := s.command(ctx, `exec kubectl get deployment `+deployment+` --watch -o 'jsonpath={.spec.replicas} {.status.readyReplicas}{"\n"}'`)
	lines, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("watch deployment %s: %w", deployment, err)
	}
	w := &sizes{name: deployment, changes: make(chan size)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(w.changes)
		for scanner := bufio.NewScanner(lines); scanner.Scan(); {
			var next size
			// No pod ready is no number at all, so that only the first must be there.
			if n, _ := fmt.Sscan(scanner.Text(), &next.replicas, &next.ready); n == 0 {
				continue
			}
			select {
			case w.changes <- next:
			case <-ctx.Done():
				return
			}
		}
	}()
	w.end = func() error {
		cancel()
		<-read
		if err := cmd.Wait(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("watch deployment %s: %w", deployment, err)
		}
		return nil
	}
	return w, nil
}

// until shows changes, with the seconds since began, until the Deployment has that many pods, all ready.
func (w *sizes) until(ctx context.Context, s shell, began time.Time, want int) error {
	for w.now != (size{want, want}) {
		select {
		case next, ok := <-w.changes:
			if !ok {
				return fmt.Errorf("deployment %s: kubectl's watch ended", w.name)
			}
			if next == w.now {
				continue
			}
			w.now = next
			s.say("  %5.1f s  replicas %d, ready %d", time.Since(began).Seconds(), next.replicas, next.ready)
		case <-ctx.Done():
			return fmt.Errorf("deployment %s: wanted %d replicas, all ready, has %d and %d: %w", w.name, want, w.now.replicas, w.now.ready, context.Cause(ctx))
		}
	}
	return nil
}
