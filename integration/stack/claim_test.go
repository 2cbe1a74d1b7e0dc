package stack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sleeper is a process that lasts until the test ends, in a group of its own.
// Its end shows in the channel.
func sleeper(t *testing.T, environ ...string) (pid int, ended <-chan struct{}) {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.Env = append(os.Environ(), environ...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // that it was killed is what is asked about
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
	})
	return cmd.Process.Pid, done
}

func TestIdentity(t *testing.T) {
	running, _ := sleeper(t)
	dead, ended := sleeper(t)
	born := func(pid int) string {
		t.Helper()
		b, err := birth(pid)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	runningBorn, deadBorn := born(running), born(dead)
	process, err := os.FindProcess(dead)
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended

	for _, test := range []struct {
		name string
		identity
		want bool
	}{
		{"this very process", identity{running, runningBorn}, true},
		{"a stranger with the same process id", identity{running, runningBorn + "0"}, false},
		{"one that has ended", identity{dead, deadBorn}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.alive(); got != test.want {
				t.Errorf("alive: got %v, want %v", got, test.want)
			}
		})
	}

	t.Run("it survives a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "pid")
		if err := writeIdentity(file, running); err != nil {
			t.Fatal(err)
		}
		if got, err := readIdentity(file); got != (identity{running, runningBorn}) {
			t.Errorf("got %v (%v), want %v", got, err, identity{running, runningBorn})
		}
	})
	for _, content := range []string{"", "x", "1 init", "-5 group", "0 all"} {
		t.Run(fmt.Sprintf("%q is no process to kill", content), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pid")
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := readIdentity(file); err == nil {
				t.Errorf("got %v, want an error", got)
			}
		})
	}
}

// clone is a folder that looks like one to newPlace.
func clone(t *testing.T) place {
	t.Helper()
	p := place{root: t.TempDir()}
	if err := os.MkdirAll(p.source("controlplane"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.source("controlplane", "go.mod"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// leave makes the folder of a stack as an owner that is dead would leave it.
func leave(t *testing.T, p place, owner string) (folder string) {
	t.Helper()
	folder = p.run("test")
	if err := os.MkdirAll(filepath.Join(folder, "pids"), 0o700); err != nil {
		t.Fatal(err)
	}
	if owner != "" {
		if err := os.WriteFile(filepath.Join(folder, "pid"), []byte(owner), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestClaim(t *testing.T) {
	for _, test := range []struct {
		name, owner string
		running     bool
	}{
		{"an owner that is dead", "4194300 long ago", false},
		{"a stranger with the owner's process id", fmt.Sprintf("%d long ago", os.Getpid()), false},
		{"an owner that died before it said who it is", "", false},
		{"an owner that lives", fmt.Sprintf("%d %s", os.Getpid(), mustBirth(t)), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := clone(t)
			folder := leave(t, p, test.owner)
			left := filepath.Join(folder, "left")
			if err := os.WriteFile(left, nil, 0o600); err != nil {
				t.Fatal(err)
			}

			got, err := p.claim(t.Context(), "test")
			if test.running {
				if !errors.Is(err, ErrRunning) {
					t.Errorf("got %v, want %v", err, ErrRunning)
				}
				return
			}
			if err != nil || got != folder {
				t.Fatalf("got %s, %v, want %s", got, err, folder)
			}
			if _, err := os.Stat(left); err == nil {
				t.Error("what the last owner left is still there")
			}
			if _, running := p.owner("test"); !running {
				t.Error("we are not the owner after a claim")
			}
		})
	}
}

func mustBirth(t *testing.T) string {
	t.Helper()
	born, err := birth(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return born
}

func TestDownClearsAwayWhatAKilledOwnerLeft(t *testing.T) {
	p := clone(t)
	folder := leave(t, p, "4194300 long ago")
	child, childEnded := sleeper(t)
	if err := writeIdentity(filepath.Join(folder, "pids", "child"), child); err != nil {
		t.Fatal(err)
	}
	_, grandchildEnded := sleeper(t, mark(folder))
	_, otherStackEnded := sleeper(t, mark(folder+"2"))
	stranger, strangerEnded := sleeper(t)
	if err := os.WriteFile(filepath.Join(folder, "pids", "gone"), fmt.Appendf(nil, "%d long ago", stranger), 0o600); err != nil {
		t.Fatal(err)
	}

	found, err := Down(t.Context(), p.root, "test")
	if err != nil || !found {
		t.Fatalf("got %v, %v, want true", found, err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder: got %v, want that it does not exist", err)
	}
	ends := map[string]<-chan struct{}{"the child": childEnded}
	if runtime.GOOS == "linux" {
		ends["what the child had started"] = grandchildEnded
	}
	for name, ended := range ends {
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Errorf("%s still runs", name)
		}
	}
	for name, ended := range map[string]<-chan struct{}{"another stack's process": otherStackEnded, "a stranger with a process id of ours": strangerEnded} {
		select {
		case <-ended:
			t.Errorf("%s was killed", name)
		default:
		}
	}

	if found, err := Down(t.Context(), p.root, "test"); err != nil || found {
		t.Errorf("down again: got %v, %v, want false", found, err)
	}
}

func TestDownAsksTheOwnerToEnd(t *testing.T) {
	p := clone(t)
	folder := leave(t, p, "")
	owner, ended := sleeper(t)
	if err := writeIdentity(filepath.Join(folder, "pid"), owner); err != nil {
		t.Fatal(err)
	}
	if found, err := Down(t.Context(), p.root, "test"); err != nil || !found {
		t.Fatalf("got %v, %v, want true", found, err)
	}
	select {
	case <-ended:
	default:
		t.Error("down returned before the owner had ended")
	}
}

func TestNewPlace(t *testing.T) {
	if _, err := newPlace(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not the root of the repository") {
		t.Errorf("a folder that is no clone: got %v", err)
	}
}
