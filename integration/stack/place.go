package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A place knows where things are in one clone of the repository.
type place struct{ root string }

func newPlace(root string) (place, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return place{}, err
	}
	if _, err := os.Stat(filepath.Join(root, "integration", "controlplane", "go.mod")); err != nil {
		return place{}, fmt.Errorf("%s is not the root of the repository: %w", root, err)
	}
	if strings.ContainsAny(root, ":\n") {
		return place{}, fmt.Errorf("the repository's path %q has a character that PATH cannot hold: move it", root)
	}
	return place{root: root}, nil
}

func (p place) source(elem ...string) string {
	return filepath.Join(append([]string{p.root, "integration"}, elem...)...)
}

func (p place) local(elem ...string) string {
	return filepath.Join(append([]string{p.root, ".local"}, elem...)...)
}

func (p place) run(name string) string { return p.local("run", name) }

// failed is where the logs of a stack that failed are kept until the next start.
func (p place) failed(name string) string { return p.local("run", name+".failed") }

func (p place) python(venv string) string { return p.local("venv", venv, "bin", "python") }

func (p place) cdk() string { return p.local("npm", "node_modules", "aws-cdk", "bin", "cdk") }

// lock waits until file is ours alone. The kernel gives it back if we are killed.
func lock(ctx context.Context, file string, waiting func()) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	handle, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(100 * time.Millisecond) // flock can be waited for, but not with a context
	defer again.Stop()
	for first := true; ; first = false {
		err := syscall.Flock(int(handle.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { handle.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			handle.Close()
			return nil, fmt.Errorf("lock %s: %w", file, err)
		}
		if first {
			waiting()
		}
		select {
		case <-ctx.Done():
			handle.Close()
			return nil, context.Cause(ctx)
		case <-again.C:
		}
	}
}
