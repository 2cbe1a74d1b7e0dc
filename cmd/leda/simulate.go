package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

const simulateHelp = `leda simulate -f FILE [flags] SERIES.csv: replay a series of readings through the policy

SERIES.csv has a header: time (RFC 3339, or a duration since -from), a column for each trigger (its name,
or s0, s1, … by position; an empty cell is a failed reading; cron needs none), and, if wanted, replicas
(someone else has set this size just before) and ready (ready pods). - is standard input.

  printf 'time,s0\n0s,3\n15s,6\n30s,11\n' | leda simulate -f scaledobjects/orders.yaml -
  leda simulate -f scaledobjects/orders.yaml -o html -vs keda series.csv > report.html

With -rate the loop is closed, by a model: a queue's column is then not its depth but the messages that have
arrived since the row above; they arrive evenly over that time, each replica finishes -rate messages a second
while there are any, and several queues share the replicas by what is in them. A new replica works from the
look that asked for it.

  leda simulate -f scaledobjects/orders.yaml -rate 0.5 -every 15s arrivals.csv

`

// simulateFlags are what leda simulate is asked for.
type simulateFlags struct {
	file, policy, versus string
	replicas             int
	from                 string
	format               string
	rate                 float64
	every                time.Duration
}

func (s *simulateFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&s.file, "f", "", "the ScaledObject: a file, a folder, or - for standard input")
	flags.StringVar(&s.policy, "policy", "", "direct or keda (default: what the ScaledObject's annotation says, else direct)")
	flags.StringVar(&s.versus, "vs", "", "compare with: direct, keda, or the file of another ScaledObject (-o html or table)")
	flags.IntVar(&s.replicas, "replicas", -1, "the size before the first row (default: minReplicaCount, at least 1)")
	flags.StringVar(&s.from, "from", "2026-01-05T00:00:00Z", "when the series begins and the ScaledObject was made")
	flags.StringVar(&s.format, "o", "table", "table, json, csv or html")
	flags.Float64Var(&s.rate, "rate", 0, "messages that a replica finishes in a second; a queue's column then counts arrivals")
	flags.DurationVar(&s.every, "every", 0, "look this often between rows too, such as 15s (default: at rows only)")
}

// problem is what is wrong with the flags; empty when nothing is.
func (s *simulateFlags) problem(series []string) string {
	switch {
	case s.file == "":
		return "-f is required: the file of the ScaledObject; leda simulate -h shows an example"
	case len(series) != 1:
		return fmt.Sprintf("must be given one series, after the flags, got %d; leda simulate -h shows an example", len(series))
	case s.file == "-" && series[0] == "-" || s.versus == "-":
		return "only one of -f, -vs and the series can be standard input, and -vs cannot"
	case !slices.Contains([]string{"", string(scaling.PolicyDirect), string(scaling.PolicyKEDA)}, s.policy):
		return fmt.Sprintf("-policy must be direct or keda, got %q", s.policy)
	case !slices.Contains([]string{"table", "json", "csv", "html"}, s.format):
		return fmt.Sprintf("-o must be table, json, csv or html, got %q", s.format)
	case s.versus != "" && s.format != "html" && s.format != "table":
		return fmt.Sprintf("-vs needs -o html or table, got -o %s", s.format)
	case s.replicas < -1 || s.replicas > 1<<31-1:
		return fmt.Sprintf("-replicas must be from 0 to %d, got %d", 1<<31-1, s.replicas)
	case !(s.rate >= 0) || s.rate > 1e9:
		return fmt.Sprintf("-rate must be messages a second, from 0 to 1e9, got %v", s.rate)
	case s.every < 0:
		return fmt.Sprintf("-every must be a duration such as 15s, got %v", s.every)
	}
	return ""
}

func simulate(args []string, in io.Reader, out, problems io.Writer) int {
	flags := verbFlags("simulate", simulateHelp, problems)
	var asked simulateFlags
	asked.register(flags)
	rest, code, ok := parseFlags(flags, args)
	if !ok {
		return code
	}
	refuse := func(format string, args ...any) int {
		fmt.Fprintf(problems, "leda simulate: "+format+"\n", args...)
		return exitBadInput
	}
	if problem := asked.problem(rest); problem != "" {
		return refuse("%s", problem)
	}
	begin, err := time.Parse(time.RFC3339, asked.from)
	if err != nil {
		return refuse("-from must be RFC 3339 such as 2026-01-05T00:00:00Z, got %q", asked.from)
	}
	runs, ok := asked.objects(in, problems)
	if !ok {
		return exitBadInput
	}
	name, data, err := readAll(rest[0], in)
	if err != nil {
		fmt.Fprintln(problems, err)
		return exitBadInput
	}
	for i := range runs {
		s := series{name: name, from: begin.UTC(), object: runs[i].object}
		if len(runs) > 1 {
			s.other = runs[1-i].object
		}
		rows := s.read(bytes.NewReader(data))
		for _, p := range s.problems {
			fmt.Fprintln(problems, p)
		}
		if len(s.problems) > 0 {
			return exitBadInput
		}
		runs[i].simulation = simulation{runs[i].object, rows, s.from, int32(asked.replicas), asked.every, asked.rate}
		if n := runs[i].looks(); n > mostLooks {
			return refuse("-every %v makes %d looks of this series, and %d are the most: choose a longer one", asked.every, n, mostLooks)
		}
	}
	buffered := bufio.NewWriterSize(out, 1<<16)
	if err := errors.Join(asked.print(name, runs, buffered), buffered.Flush()); err != nil {
		fmt.Fprintln(problems, err)
		return exitNotInOrder
	}
	return exitFine
}

// labelled is a simulation with what sets it apart from the one that it is compared with.
type labelled struct {
	simulation
	label string
}

// objects are the ScaledObject to simulate and, with -vs, the one to compare it with.
func (s *simulateFlags) objects(in io.Reader, problems io.Writer) ([]labelled, bool) {
	object, ok := oneObject(s.file, in, problems)
	if !ok {
		return nil, false
	}
	if s.policy != "" {
		object.Policy = scaling.Policy(s.policy)
	}
	first := labelled{simulation{object: object}, "policy " + string(object.Policy)}
	switch policy := scaling.Policy(s.versus); policy {
	case "":
		return []labelled{first}, true
	case scaling.PolicyDirect, scaling.PolicyKEDA:
		other := *object
		other.Policy = policy
		return []labelled{first, {simulation{object: &other}, "policy " + s.versus}}, true
	}
	other, ok := oneObject(s.versus, in, problems)
	if !ok {
		return nil, false
	}
	if s.policy != "" {
		other.Policy = scaling.Policy(s.policy)
	}
	first.label = s.file
	return []labelled{first, {simulation{object: other}, s.versus}}, true
}

func (s *simulateFlags) print(series string, runs []labelled, out io.Writer) error {
	switch {
	case s.format == "html":
		return writeReport(out, newReport(series, s, runs))
	case len(runs) > 1:
		return compare(out, runs)
	}
	show, finish := newPrinter(s.format, out, runs[0].object)
	runs[0].run(show)
	return finish()
}

// oneObject reads the ScaledObject to be simulated. Credentials do not matter: nothing is read with them.
func oneObject(file string, in io.Reader, problems io.Writer) (*scaling.ScaledObject, bool) {
	files, err := readFiles([]string{file}, in)
	if err != nil {
		fmt.Fprintln(problems, err)
		return nil, false
	}
	parsed, err := scaling.ParseWithoutCredentials(files...)
	if err != nil {
		fmt.Fprintln(problems, err)
		return nil, false
	}
	if n := len(parsed.ScaledObjects); n != 1 {
		fmt.Fprintf(problems, "%s: must hold one ScaledObject to simulate, got %d\n", file, n)
		return nil, false
	}
	return &parsed.ScaledObjects[0], true
}

func readAll(name string, in io.Reader) (called string, data []byte, err error) {
	if name == "-" {
		data, err = io.ReadAll(in)
		return "standard input", data, err
	}
	data, err = os.ReadFile(name)
	return name, data, err
}
