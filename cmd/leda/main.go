// Command leda is the command line: it tells whether ScaledObjects are something Leda would run, which
// Kubernetes rights they need, and what sizes they would have come to.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // cron triggers name time zones, which not every machine has

	"github.com/leda-autoscaler/leda/scaling"
)

// Exit codes: fine, the thing looked at is not in order, bad usage or bad input.
const (
	exitFine       = 0
	exitNotInOrder = 1
	exitBadInput   = 2
)

const usage = `leda scales Kubernetes workloads on EKS from the depth of SQS queues, as KEDA's ScaledObjects say.

  leda validate [FILE…]   is this ScaledObject something Leda would run?
  leda rbac [FILE…]       the Kubernetes rights these ScaledObjects need, for kubectl apply -f -
  leda simulate -f FILE SERIES.csv
                          replay a series of readings through the policy

A FILE is YAML or JSON, a folder, or - for standard input; without one it is the folder scaledobjects.
leda VERB -h shows an example.
`

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := console{os.Stdin, os.Stdout, os.Stderr, os.Getenv, time.Now}.run(ctx, os.Args[1:])
	cancel()
	os.Exit(code)
}

func (c console) run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		fmt.Fprint(c.problems, usage)
		return exitBadInput
	}
	verb, args := args[0], args[1:]
	switch verb {
	case "validate":
		return c.validate(args)
	case "rbac":
		return c.rbac(args)
	case "simulate":
		return c.simulate(ctx, args)
	case "-h", "-help", "--help", "help":
		fmt.Fprint(c.out, usage)
		return exitFine
	}
	fmt.Fprintf(c.problems, "leda: there is no verb %q\n\n%s", verb, usage)
	return exitBadInput
}

// verbFlags is the flag set of a verb whose help is text.
func (c console) verbFlags(verb, text string) *flag.FlagSet {
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	flags.SetOutput(c.problems)
	flags.Usage = func() {
		fmt.Fprint(c.problems, text)
		flags.PrintDefaults()
	}
	return flags
}

// parseFlags returns the arguments behind the flags, or the code to exit with.
func parseFlags(flags *flag.FlagSet, args []string) (rest []string, code int, ok bool) {
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil, exitFine, false
	case err != nil:
		return nil, exitBadInput, false
	}
	return flags.Args(), exitFine, true
}

// manifests reads and checks what the arguments name, and prints every problem.
func (c console) manifests(args []string) (scaling.Manifests, bool) {
	files, err := readFiles(args, c.in)
	if err != nil {
		fmt.Fprintln(c.problems, err)
		return scaling.Manifests{}, false
	}
	parsed, err := scaling.Parse(files...)
	if err != nil {
		fmt.Fprintln(c.problems, err)
		return scaling.Manifests{}, false
	}
	return parsed, true
}
