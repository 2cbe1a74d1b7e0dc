// Command leda is the command line: it tells whether ScaledObjects are something Leda would run, which
// Kubernetes rights they need, and what sizes they would have come to.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
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
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, in io.Reader, out, problems io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(problems, usage)
		return exitBadInput
	}
	verb, args := args[0], args[1:]
	switch verb {
	case "validate":
		return validate(args, in, out, problems)
	case "rbac":
		return rbac(args, in, out, problems)
	case "simulate":
		return simulate(args, in, out, problems)
	case "-h", "-help", "--help", "help":
		fmt.Fprint(out, usage)
		return exitFine
	}
	fmt.Fprintf(problems, "leda: there is no verb %q\n\n%s", verb, usage)
	return exitBadInput
}

// verbFlags is the flag set of a verb whose help is text.
func verbFlags(verb, text string, problems io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	flags.SetOutput(problems)
	flags.Usage = func() {
		fmt.Fprint(problems, text)
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
func manifests(args []string, in io.Reader, problems io.Writer) (scaling.Manifests, bool) {
	files, err := readFiles(args, in)
	if err != nil {
		fmt.Fprintln(problems, err)
		return scaling.Manifests{}, false
	}
	parsed, err := scaling.Parse(files...)
	if err != nil {
		fmt.Fprintln(problems, err)
		return scaling.Manifests{}, false
	}
	return parsed, true
}
