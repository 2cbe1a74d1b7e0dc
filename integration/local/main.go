// Command local runs the local stack for people: AWS and Kubernetes on this
// machine, to play with.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/leda-autoscaler/leda/integration/stack"
)

const usage = `usage: go run ./integration/local COMMAND

  demo             play the walk-through on a stack of its own
  prepare          build and install what it needs
  prepare-linters  install what checks the templates
  up               start the local stack and leave it running
  down             stop it`

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New(usage)
	}
	root, err := findRoot()
	if err != nil {
		return err
	}
	switch args[0] {
	case "demo":
		return demo(ctx, root)
	case "prepare":
		return stack.Prepare(ctx, root, stack.Print(os.Stdout))
	case "prepare-linters":
		return stack.PrepareTemplateLinters(ctx, root, stack.Print(os.Stdout))
	case "up":
		return up(ctx, root)
	case "down":
		return down(ctx, root)
	case supervisor:
		return supervise(ctx, root)
	}
	return fmt.Errorf("unknown command %q\n%s", args[0], usage)
}

// findRoot looks for the repository's root from the current folder upwards.
func findRoot() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := folder; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "integration", "controlplane", "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not inside a clone of the repository: change into one", folder)
		}
	}
}
