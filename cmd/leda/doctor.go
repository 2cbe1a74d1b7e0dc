package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

const doctorHelp = `leda doctor [FILE…]: is the deployment in order? what mends it?

Looks with your own AWS and Kubernetes credentials at the function and its heartbeat, has it decide on every
target without changing anything, and compares with the ScaledObjects of the files: access entry, rights of
the group in the cluster, workloads, other autoscalers on them, queues. Changes nothing. Each finding comes
with the command that mends it. Exit status 1 when anything is not in order or could not be looked at.

  leda doctor scaledobjects

`

type doctorFlags struct {
	deployment
	group, kubeconfig, context string
}

func (d *doctorFlags) register(flags *flag.FlagSet) {
	d.deployment.register(flags)
	flags.StringVar(&d.group, "group", kube.Group, "the Kubernetes group that the access entry maps the function's role to")
	flags.StringVar(&d.kubeconfig, "kubeconfig", "", "the kubeconfig file (default: kubectl's)")
	flags.StringVar(&d.context, "context", "", "the kubeconfig's context (default: its current one)")
}

// verdict is what a finding comes to.
type verdict int

const (
	inOrder    verdict = iota
	notKnown           // it could not be looked at
	notInOrder         // and mend says what to do
)

// finding is one thing that was looked at.
type finding struct {
	verdict verdict
	what    string
	mend    string // a command; empty when there is nothing to mend
}

// examination collects findings, and shows each as soon as it is there.
type examination struct {
	console
	worst   verdict
	waiting func() // ends what a person who waits is shown; nil when that is nothing
}

// wait shows what is being looked at until the next finding.
func (e *examination) wait(what string) {
	e.rest()
	e.waiting = e.progress(func() string { return what })
}

func (e *examination) rest() {
	if e.waiting != nil {
		e.waiting()
		e.waiting = nil
	}
}

func (e *examination) fine(format string, args ...any) {
	e.tell(finding{inOrder, fmt.Sprintf(format, args...), ""})
}

func (e *examination) unknown(mend, format string, args ...any) {
	e.tell(finding{notKnown, fmt.Sprintf(format, args...), mend})
}

func (e *examination) wrong(mend, format string, args ...any) {
	e.tell(finding{notInOrder, fmt.Sprintf(format, args...), mend})
}

func (e *examination) tell(f finding) {
	e.rest()
	e.worst = max(e.worst, f.verdict)
	paint := e.painter()
	mark := map[verdict]string{inOrder: paint.green("ok "), notKnown: paint.yellow("?  "), notInOrder: paint.red("NO ")}[f.verdict]
	for i, line := range wrap(f.what, columns-3) {
		if i > 0 {
			mark = "   "
		}
		fmt.Fprintln(e.out, mark+line)
	}
	if f.mend != "" {
		fmt.Fprintln(e.out, "     "+paint.bold(f.mend)) // one line, to be copied
	}
}

func (c console) doctor(ctx context.Context, args []string) int {
	flags := c.verbFlags("doctor", doctorHelp)
	var asked doctorFlags
	asked.register(flags)
	files, code, ok := parseFlags(flags, args)
	if !ok {
		return code
	}
	parsed, ok := c.manifests(files)
	if !ok {
		return exitBadInput
	}
	if len(files) == 0 {
		files = []string{"scaledobjects"}
	}
	e := &examination{console: c}
	d := diagnosis{examination: e, doctorFlags: asked, objects: parsed.ScaledObjects, files: strings.Join(files, " "), endpoint: map[string]string{}}
	d.aws(ctx)
	d.kubernetes(ctx)
	e.rest()
	if e.worst != inOrder {
		return exitNotInOrder
	}
	return exitFine
}

// diagnosis is a deployment being looked at.
type diagnosis struct {
	*examination
	doctorFlags
	objects []scaling.ScaledObject
	files   string // as they were named

	role     string              // the function's, once it is known
	clusters map[string][]string // the namespace/names of the function's targets, by cluster; nil when not known
	endpoint map[string]string   // of the clusters that could be looked at
}
