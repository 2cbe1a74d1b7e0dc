package story

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// shell runs commands as a person would, in the repository, and shows them.
type shell struct {
	root    string
	environ []string
	out     io.Writer
}

// say writes a line to the person who watches.
func (s shell) say(format string, args ...any) {
	fmt.Fprintf(s.out, format+"\n", args...)
}

// run shows a command, runs it, and shows what it prints.
func (s shell) run(ctx context.Context, command string) error {
	s.say("$ %s", command)
	printed, err := s.quietly(ctx, command)
	for line := range strings.Lines(printed) {
		s.say("  %s", strings.TrimRight(line, "\n"))
	}
	return err
}

// quietly runs a command and returns what it prints on standard output. The error has what it prints on
// standard error.
func (s shell) quietly(ctx context.Context, command string) (string, error) {
	var problems bytes.Buffer
	cmd := s.command(ctx, command)
	cmd.Stderr = &problems
	printed, err := cmd.Output()
	if err != nil {
		return string(printed), fmt.Errorf("%s: %w\n%s", command, err, strings.TrimSpace(problems.String()))
	}
	return string(printed), nil
}

// follow shows a command that takes its time, and what it says while it runs.
func (s shell) follow(ctx context.Context, command string) error {
	s.say("$ %s", command)
	began := time.Now()
	cmd := s.command(ctx, command)
	indented := &indenter{to: s.out}
	cmd.Stdout, cmd.Stderr = indented, indented
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	s.say("  (%.1f s)", time.Since(began).Seconds())
	return nil
}

func (s shell) command(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir, cmd.Env = s.root, s.environ
	endWithChildren(cmd)
	return cmd
}

// indenter sets lines apart from ours. What is no whole line yet waits.
type indenter struct {
	to      io.Writer
	partial []byte
}

// Write implements [io.Writer].
func (i *indenter) Write(p []byte) (int, error) {
	i.partial = append(i.partial, p...)
	for {
		line, rest, whole := bytes.Cut(i.partial, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		i.partial = rest
		if len(bytes.TrimSpace(line)) == 0 || bytes.Contains(line, []byte("_IN_PROGRESS ")) { // each is told again when it is complete
			continue
		}
		if _, err := fmt.Fprintf(i.to, "  %s\n", line); err != nil {
			return 0, err
		}
	}
}
