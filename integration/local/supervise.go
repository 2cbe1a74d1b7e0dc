package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/leda-autoscaler/leda/integration/stack"
)

// supervise runs the stack until it is told to end or a part of it fails. It
// reports on its standard output until the stack is ready.
func supervise(ctx context.Context, root string) error {
	out := json.NewEncoder(os.Stdout)
	s, err := stack.Start(ctx, root, name, func(step stack.Step) { _ = out.Encode(message{Step: &step}) }) // nobody may listen any more
	if err != nil {
		return out.Encode(message{Error: err.Error()})
	}
	if err := errors.Join(out.Encode(message{Ready: true}), logTo(filepath.Join(s.Folder(), "logs", "supervisor.log"))); err != nil {
		return errors.Join(err, s.Stop())
	}
	select {
	case <-ctx.Done():
	case <-s.Context().Done():
		fmt.Fprintln(os.Stderr, context.Cause(s.Context()))
	}
	return s.Stop()
}

// logTo sends what we print from now on, such as the trace of a panic, to a
// file: whoever has started us has gone.
func logTo(file string) error {
	log, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	return errors.Join(unix.Dup2(int(log.Fd()), 1), unix.Dup2(int(log.Fd()), 2))
}
