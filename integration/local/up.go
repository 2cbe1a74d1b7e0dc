package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/leda-autoscaler/leda/integration/stack"
)

// name is the stack that up starts and down stops.
const name = "up"

// up leaves a supervisor behind that runs the stack, when it is ready.
func up(ctx context.Context, root string) error {
	folder, running, err := stack.Running(root, name)
	if err != nil {
		return err
	}
	if running {
		fmt.Println("The local stack is up already.")
		return explain(ctx, folder)
	}
	progress := stack.Print(os.Stdout)
	if err := stack.Prepare(ctx, root, progress); err != nil {
		return err
	}
	if err := detach(ctx, root, progress); err != nil {
		return err
	}
	fmt.Println("\nThe local stack is up.")
	return explain(ctx, folder)
}

// A message is what the supervisor writes to whoever started it, one JSON
// document a line, until it is ready or has failed.
type message struct {
	Step  *stack.Step `json:",omitempty"`
	Error string      `json:",omitempty"`
	Ready bool        `json:",omitempty"`
}

// supervisor is the command by which this program runs itself in the background.
const supervisor = "supervise"

// detach starts the supervisor in a session of its own, so that it outlives the
// terminal, and follows what it says until it is ready.
func detach(ctx context.Context, root string, progress stack.Progress) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, supervisor)
	cmd.Dir = root
	cmd.Stdout, cmd.Stderr = writer, writer
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	writer.Close()
	if err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) }) // it then says that it was interrupted
	defer stop()

	var other []string // what is no message, such as the trace of a panic
	for lines := bufio.NewScanner(reader); lines.Scan(); {
		var m message
		switch err := json.Unmarshal(lines.Bytes(), &m); {
		case err != nil:
			other = append(other, lines.Text())
		case m.Step != nil:
			progress(*m.Step)
		case m.Ready:
			return cmd.Process.Release()
		default:
			return errors.Join(errors.New(m.Error), ignoreExit(cmd.Wait()))
		}
	}
	return fmt.Errorf("the supervisor ended before the stack was ready: %w\n%s", cmd.Wait(), strings.Join(other, "\n"))
}

// ignoreExit drops the exit status of a supervisor that has said what went wrong.
func ignoreExit(err error) error {
	if status := (*exec.ExitError)(nil); errors.As(err, &status) {
		return nil
	}
	return err
}

// explain prints what to paste and what to try.
func explain(ctx context.Context, folder string) error {
	env := filepath.Join(folder, "env")
	lines, err := os.ReadFile(env)
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("it is still starting: try again in a few seconds")
	}
	if err != nil {
		return err
	}
	fmt.Printf(`To use it, paste this into a terminal (it is all in one file: source %q):

%s
Then, for example:

  cdk deploy
  kubectl apply -f %s
  kubectl create deployment orders --image=none
  aws sqs send-message --message-body hello --queue-url "$(aws sqs get-queue-url --queue-name orders --query QueueUrl --output text)"
  kubectl get deployment orders --watch
  %s

make down stops it. Logs: %s
`, env, lines, filepath.Join(folder, "cdk.out", "leda-rbac.yaml"), readLog(ctx), filepath.Join(folder, "logs"))
	return nil
}

// readLog is the command that shows the function's log: with version 2 of the AWS command line, where the
// person has it, as it is written.
func readLog(ctx context.Context) string {
	if path, err := exec.LookPath("aws"); err == nil {
		version, err := exec.CommandContext(ctx, path, "--version").Output()
		if err == nil && strings.HasPrefix(string(version), "aws-cli/2.") {
			return path + ` --endpoint-url "$AWS_ENDPOINT_URL" logs tail /aws/lambda/leda --follow`
		}
	}
	return "aws logs filter-log-events --log-group-name /aws/lambda/leda --query 'events[].message'"
}
