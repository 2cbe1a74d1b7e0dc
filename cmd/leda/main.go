// Command leda is the command line: it tells whether ScaledObjects are something Leda would run, which
// Kubernetes rights they need, what sizes they would have come to, and how a deployment is doing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
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

// verb is one thing that the command line does.
type verb struct {
	name, args, does string
	// flags are for the shell's completion; run registers its own.
	flags func(*flag.FlagSet)
	run   func(console, context.Context, []string) int
}

func verbs() []verb {
	none := func(*flag.FlagSet) {}
	return []verb{
		{"validate", "[FILE…]", "is this ScaledObject something Leda would run?", none, console.validate},
		{"rbac", "[FILE…]", "the Kubernetes rights these ScaledObjects need, for kubectl apply -f -", new(rbacFlags).register, console.rbac},
		{"crds", "", "the kinds of ScaledObjects in a cluster without KEDA, for kubectl apply -f -", none, console.crds},
		{"simulate", "-f FILE SERIES.csv", "replay a series of readings through the policy", new(simulateFlags).register, console.simulate},
		{"explain", "NAMESPACE/NAME…", "what the deployed function makes of it now, and why", new(deployment).register, console.explain},
		{"status", "", "every target's size, reason and last change", new(statusFlags).register, console.status},
		{"doctor", "[FILE…]", "is the deployment in order? what mends it?", new(doctorFlags).register, console.doctor},
		{"completion", "bash|zsh|fish", "a script that completes these verbs in your shell", none, console.completion},
	}
}

func usage() string {
	var text strings.Builder
	text.WriteString("leda scales Kubernetes workloads on EKS from the depth of SQS queues, as KEDA's ScaledObjects say.\n\n")
	for _, v := range verbs() {
		fmt.Fprintf(&text, "  leda %-27s  %s\n", strings.TrimSpace(v.name+" "+v.args), v.does)
	}
	text.WriteString(`
A FILE is YAML or JSON, a folder, or - for standard input; without one it is the folder scaledobjects.
leda VERB -h shows an example.
`)
	return text.String()
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := console{os.Stdin, os.Stdout, os.Stderr, os.Getenv, time.Now}.run(ctx, os.Args[1:])
	cancel()
	os.Exit(code)
}

func (c console) run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		fmt.Fprint(c.problems, usage())
		return exitBadInput
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		fmt.Fprint(c.out, usage())
		return exitFine
	}
	for _, v := range verbs() {
		if v.name == args[0] {
			return v.run(c, ctx, args[1:])
		}
	}
	fmt.Fprintf(c.problems, "leda: there is no verb %q\n\n%s", args[0], usage())
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
