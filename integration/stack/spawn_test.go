package stack

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// emptyStack is one that has no processes yet.
func emptyStack(t *testing.T) *Stack {
	t.Helper()
	p := clone(t)
	folder, err := p.claim(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"logs", "pids"} {
		if err := os.Mkdir(filepath.Join(folder, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := &Stack{place: p, name: "test", folder: folder, spawner: newSpawner()}
	s.alive, s.fail = context.WithCancelCause(t.Context())
	return s
}

func TestAChildThatEndsByItselfFailsTheStack(t *testing.T) {
	s := emptyStack(t)
	if err := s.launch("etcd", nil, "/bin/sh", "-c", "echo disk is full; exit 3"); err != nil {
		t.Fatal(err)
	}
	<-s.Context().Done()
	cause := context.Cause(s.Context()).Error()
	for _, want := range []string{"etcd", "exit status 3", "disk is full"} {
		if !strings.Contains(cause, want) {
			t.Errorf("the cause does not say %q: %s", want, cause)
		}
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if log, err := os.ReadFile(filepath.Join(s.failed("test"), "etcd.log")); string(log) != "disk is full\n" {
		t.Errorf("the log of a failed stack is kept: got %q (%v)", log, err)
	}
	if got, err := Failure(s.root, "test"); strings.TrimSpace(got) != cause {
		t.Errorf("the failure that others see: got %q (%v), want %q", got, err, cause)
	}
	if _, err := os.Stat(s.folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder: got %v, want that it does not exist", err)
	}
}

func TestStopEndsWhatChildrenHaveStarted(t *testing.T) {
	s := emptyStack(t)
	file := filepath.Join(t.TempDir(), "grandchild")
	script := `(trap '' TERM; exec sleep 600) & echo $! >` + file + `.new; mv ` + file + `.new ` + file + `; wait`
	if err := s.launch("ministack", nil, "/bin/sh", "-c", script); err != nil {
		t.Fatal(err)
	}
	s.children[0].awaitFile(t, file)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	grandchild, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}

	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := birth(grandchild); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a child has started still runs after Stop (%v)", err)
		_ = syscall.Kill(grandchild, syscall.SIGKILL)
	}
	if failure, err := Failure(s.root, "test"); failure != "" || err != nil {
		t.Errorf("a stack that was stopped has not failed: got %q, %v", failure, err)
	}
}

// awaitFile waits until the child has written a file.
func (c *child) awaitFile(t *testing.T, file string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has not written %s in 10 s", c.name, file)
		}
	}
}

func TestRun(t *testing.T) {
	spawner := newSpawner()
	defer spawner.close()

	t.Run("a failure shows what was run and what it said", func(t *testing.T) {
		_, err := spawner.run(t.Context(), exec.CommandContext(t.Context(), "sh", "-c", "printf 'no such %s' thing >&2; exit 4"))
		for _, want := range []string{"sh -c", "exit status 4", "no such thing"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want it to say %q", err, want)
			}
		}
	})
	t.Run("an interrupted command says why it was", func(t *testing.T) {
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		cmd := exec.CommandContext(ctx, "sleep", "600")
		time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
		if _, err := spawner.run(ctx, cmd); !errors.Is(err, why) {
			t.Errorf("got %v, want %v", err, why)
		}
	})
}

func TestStopKillsAChildThatDoesNotEnd(t *testing.T) {
	if testing.Short() {
		t.Skipf("-short: it takes %s to lose patience with a process, so that it is killed is not tested", grace)
	}
	s := emptyStack(t)
	ready := filepath.Join(t.TempDir(), "ready")
	if err := s.launch("kwok", nil, "/bin/sh", "-c", "trap '' TERM; echo >"+ready+"; while :; do sleep 600; done"); err != nil {
		t.Fatal(err)
	}
	s.children[0].awaitFile(t, ready)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := birth(s.children[0].group); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it still runs after Stop (%v)", err)
	}
}

func TestStopLetsAChildEndInOrder(t *testing.T) {
	s := emptyStack(t)
	ready, ended := filepath.Join(t.TempDir(), "ready"), filepath.Join(t.TempDir(), "ended")
	script := "trap 'echo >" + ended + "; kill $!; exit' TERM; sleep 600 & echo >" + ready + "; wait"
	if err := s.launch("kwok", nil, "/bin/sh", "-c", script); err != nil {
		t.Fatal(err)
	}
	s.children[0].awaitFile(t, ready)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ended); err != nil {
		t.Errorf("it was not asked to end before it was killed: %v", err)
	}
}
