package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A spawner starts programs, each in a process group of its own, from one
// operating system thread that it keeps. On Linux a child is killed when the
// thread that started it ends, and Go ends threads as it likes.
type spawner struct {
	tasks chan func()
	ended chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{tasks: make(chan func()), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for task := range s.tasks {
			task()
		}
	}()
	return s
}

// close gives the thread back. Every child must have ended.
func (s *spawner) close() {
	close(s.tasks)
	<-s.ended
}

func (s *spawner) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = groupOfItsOwn()
	started := make(chan error)
	s.tasks <- func() { started <- cmd.Start() }
	return <-started
}

// run runs a command made by exec.CommandContext to its end and returns what it
// wrote on both outputs. A cmd.Stderr that is set sees it as it comes.
func (s *spawner) run(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var output bytes.Buffer
	var both io.Writer = &output
	if cmd.Stderr != nil {
		both = io.MultiWriter(&output, cmd.Stderr)
	}
	cmd.Stdout, cmd.Stderr = both, both
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace

	err := s.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	switch {
	case err == nil:
		return output.String(), nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	}
	called := filepath.Base(cmd.Path) + " " + strings.Join(cmd.Args[1:], " ")
	return "", fmt.Errorf("run %s: %w\n%s", called, err, lastLines(output.String(), 20))
}

// grace is how long a process may take to end after SIGTERM.
const grace = 5 * time.Second

// A child is a process that runs as long as the stack does.
type child struct {
	name  string
	group int // also the process id of its leader
	ended chan struct{}
}

// launch starts a child that writes to a log of its own, and knows nothing of
// our environment: no proxy, no HOME to write to. Should it end before the stack
// is stopped, the stack fails with the last lines of that log.
func (s *Stack) launch(name string, environ []string, program string, args ...string) error {
	logName := filepath.Join(s.folder, "logs", name+".log")
	log, err := os.OpenFile(logName, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close() // the child has its own handle

	cmd := exec.CommandContext(context.WithoutCancel(s.alive), program, args...) // Stop ends it, in its order
	cmd.Dir = s.folder
	cmd.Env = append(environ, mark(s.folder))
	cmd.Stdout, cmd.Stderr = log, log
	if err := s.spawner.start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	c := &child{name: name, group: cmd.Process.Pid, ended: make(chan struct{})}
	s.mu.Lock()
	s.children = append(s.children, c)
	s.mu.Unlock()
	go func() {
		defer close(c.ended)
		err := cmd.Wait()
		endGroup(c.group)
		s.fail(fmt.Errorf("%s ended by itself (%w); the end of its log:\n%s", name, exitOf(err), endOf(logName)))
	}()
	return writeIdentity(filepath.Join(s.folder, "pids", name), c.group)
}

func exitOf(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// endOf returns the last lines of a log.
func endOf(file string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return lastLines(string(content), 20)
}

// terminateChildren ends etcd last: without it the API server does not end in time.
func (s *Stack) terminateChildren() {
	var etcd, others []*child
	for _, c := range s.children {
		if c.name == "etcd" {
			etcd = append(etcd, c)
		} else {
			others = append(others, c)
		}
	}
	terminate(others)
	terminate(etcd)
}

// terminate asks children to end, kills those that take too long, and waits for
// them and for what they started.
func terminate(children []*child) {
	for _, c := range children {
		_ = syscall.Kill(-c.group, syscall.SIGTERM) // ESRCH: it has ended already, which is what is wanted
	}
	tooLong := time.NewTimer(grace)
	defer tooLong.Stop()
	for i, c := range children {
		select {
		case <-c.ended:
			continue
		case <-tooLong.C:
		}
		for _, late := range children[i:] {
			_ = syscall.Kill(-late.group, syscall.SIGKILL)
			<-late.ended
		}
		return
	}
}

// endGroup kills what the ended leader of a group has left, such as MiniStack's
// Lambda processes. They are not our children, so their end is no event for us.
func endGroup(group int) {
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err := syscall.Kill(-group, syscall.SIGKILL); err != nil {
			return // ESRCH: nobody is left
		}
	}
}
