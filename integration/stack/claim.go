package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrRunning says that a stack of that name is running already.
var ErrRunning = errors.New("is running already")

// claim makes the folder of a stack, with our identity in it: we are the one to
// stop it. It clears away what an owner that is dead has left.
func (p place) claim(ctx context.Context, name string) (folder string, err error) {
	unlock, err := p.lockRuns(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	if id, running := p.owner(name); running {
		return "", fmt.Errorf("the local stack %q %w (process %d)", name, ErrRunning, id.pid)
	}
	if err := p.sweep(name); err != nil {
		return "", err
	}
	if err := os.RemoveAll(p.failed(name)); err != nil {
		return "", err
	}
	folder = p.run(name)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return "", err
	}
	return folder, writeIdentity(filepath.Join(folder, "pid"), os.Getpid())
}

func (p place) lockRuns(ctx context.Context) (unlock func(), err error) {
	return lock(ctx, p.local("run", "lock"), func() {})
}

func (p place) owner(name string) (id identity, running bool) {
	id, err := readIdentity(filepath.Join(p.run(name), "pid"))
	return id, err == nil && id.alive()
}

// Running returns the folder of a stack and whether some process runs it.
func Running(root, name string) (folder string, running bool, err error) {
	p, err := newPlace(root)
	if err != nil {
		return "", false, err
	}
	_, running = p.owner(name)
	return p.run(name), running, nil
}

// Down stops a stack that another process runs and waits for its end. It clears
// away what one that was killed has left. It returns whether there was anything
// to stop or to clear.
func Down(ctx context.Context, root, name string) (found bool, err error) {
	p, err := newPlace(root)
	if err != nil {
		return false, err
	}
	_, statErr := os.Stat(p.run(name))
	found = statErr == nil
	if id, running := p.owner(name); running {
		if err := end(ctx, id); err != nil {
			return found, fmt.Errorf("stop the local stack %q: %w", name, err)
		}
	}
	unlock, err := p.lockRuns(ctx)
	if err != nil {
		return found, err
	}
	defer unlock()
	if id, running := p.owner(name); running {
		return found, fmt.Errorf("the local stack %q was started again meanwhile (process %d)", name, id.pid)
	}
	return found, p.sweep(name)
}

// sweep kills what is left of a stack whose owner is dead, and removes its folder.
func (p place) sweep(name string) error {
	folder := p.run(name)
	pids := filepath.Join(folder, "pids")
	files, err := os.ReadDir(pids)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, file := range files {
		if id, err := readIdentity(filepath.Join(pids, file.Name())); err == nil && id.alive() {
			endGroup(id.pid)
		}
	}
	for _, pid := range marked(folder) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d, which the last stack %q left: %w", pid, name, err)
		}
	}
	return os.RemoveAll(folder)
}

// end asks a process to end, and kills it when it takes longer than a stack
// with processes that do not listen would.
func end(ctx context.Context, id identity) error {
	if err := syscall.Kill(id.pid, syscall.SIGTERM); err != nil {
		return err
	}
	killAt := time.After(3 * grace)
	again := time.NewTicker(20 * time.Millisecond) // it is not our child: its end is no event for us
	defer again.Stop()
	for id.alive() {
		select {
		case <-again.C:
		case <-killAt:
			if err := syscall.Kill(id.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Failure returns why the last stack of that name ended by itself, if it did
// and none was started since.
func Failure(root, name string) (string, error) {
	p, err := newPlace(root)
	if err != nil {
		return "", err
	}
	cause, err := os.ReadFile(filepath.Join(p.failed(name), "cause"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(cause), err
}
