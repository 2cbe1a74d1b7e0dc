package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
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
look that asked for it. Messages flow like water: a queue that is kept empty shows none in flight.

  leda simulate -f scaledobjects/orders.yaml -rate 0.5 -every 15s arrivals.csv

With -from-cloudwatch the series is the queue's own history, in the trigger's region, fetched with your AWS
credentials (right: cloudwatch:GetMetricData): each minute's maximum of the messages visible, plus those in
flight and delayed where the trigger counts them; with -rate, each minute's NumberOfMessagesSent. CloudWatch
keeps minutes for 15 days; further back it is 5 minutes, beyond 63 days an hour. SQS counts are approximate,
and a queue that nobody has used for six hours has none: that is taken for no messages, though CloudWatch
may take 15 minutes to notice the first one after it.

  leda simulate -f scaledobjects/orders.yaml -from-cloudwatch orders -since 14d -vs keda -o html > fortnight.html

`

// simulateFlags are what leda simulate is asked for.
type simulateFlags struct {
	file, policy, versus string
	replicas             int
	from                 string
	format               string
	rate                 float64
	every                time.Duration

	queues string // whose history is fetched; empty for none
	since  string

	begin time.Time     // from, read
	span  time.Duration // since, read
}

func (s *simulateFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&s.file, "f", "", "the ScaledObject: a file, a folder, or - for standard input")
	flags.StringVar(&s.policy, "policy", "", "direct or keda (default: what the ScaledObject's annotation says, else direct)")
	flags.StringVar(&s.versus, "vs", "", "compare with: direct, keda, or the file of another ScaledObject (-o html or table)")
	flags.IntVar(&s.replicas, "replicas", -1, "the size before the first row (default: minReplicaCount, at least 1)")
	flags.StringVar(&s.from, "from", "", "when the series begins and the ScaledObject was made (default 2026-01-05T00:00:00Z)")
	flags.StringVar(&s.format, "o", "table", "table, json, csv or html")
	flags.Float64Var(&s.rate, "rate", 0, "messages that a replica finishes in a second; a queue's column then counts arrivals")
	flags.DurationVar(&s.every, "every", 0, "look this often between rows too, such as 15s (default: at rows only; 15s with -from-cloudwatch)")
	flags.StringVar(&s.queues, "from-cloudwatch", "", "fetch the series: the name of the queue, or names separated by commas, one for each aws-sqs-queue trigger")
	flags.StringVar(&s.since, "since", "14d", "with -from-cloudwatch: how far back, such as 12h or 14d")
}

// problem is what is wrong with the flags; empty when nothing is.
func (s *simulateFlags) problem(series []string) string {
	var err error
	if s.begin, err = time.Parse(time.RFC3339, cmp.Or(s.from, "2026-01-05T00:00:00Z")); err != nil {
		return fmt.Sprintf("-from must be RFC 3339 such as 2026-01-05T00:00:00Z, got %q", s.from)
	}
	s.begin = s.begin.UTC()
	switch {
	case s.file == "":
		return "-f is required: the file of the ScaledObject; leda simulate -h shows an example"
	case s.queues != "":
		if problem := s.historyProblem(series); problem != "" {
			return problem
		}
	case len(series) != 1:
		return fmt.Sprintf("must be given one series, after the flags, got %d; leda simulate -h shows an example", len(series))
	case s.file == "-" && series[0] == "-" || s.versus == "-":
		return "only one of -f, -vs and the series can be standard input, and -vs cannot"
	}
	switch {
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

func (c console) simulate(ctx context.Context, args []string) int {
	flags := c.verbFlags("simulate", simulateHelp)
	var asked simulateFlags
	asked.register(flags)
	rest, code, ok := parseFlags(flags, args)
	if !ok {
		return code
	}
	refuse := func(problem string) int {
		fmt.Fprintf(c.problems, "leda simulate: %s\n", problem)
		return exitBadInput
	}
	if problem := asked.problem(rest); problem != "" {
		return refuse(problem)
	}
	if asked.format == "html" && onTerminal(c.out) {
		return refuse("-o html writes a page, and this is a terminal: add > report.html")
	}
	runs, ok := c.objects(&asked)
	if !ok {
		return exitBadInput
	}
	var name string
	if asked.queues != "" {
		name, code = c.fetch(ctx, &asked, runs)
	} else {
		name, code = c.readSeries(rest[0], &asked, runs)
	}
	if code != exitFine {
		return code
	}
	for i := range runs {
		runs[i].replicas, runs[i].every, runs[i].rate = int32(asked.replicas), asked.every, asked.rate
		if n := runs[i].looks(); n > mostLooks {
			return refuse(fmt.Sprintf("-every %v makes %d looks of this series, and %d are the most: choose a longer one", asked.every, n, mostLooks))
		}
	}
	buffered := bufio.NewWriterSize(c.out, 1<<16)
	if err := errors.Join(asked.print(name, runs, buffered, c.painter()), buffered.Flush()); err != nil {
		fmt.Fprintln(c.problems, err)
		return exitNotInOrder
	}
	return exitFine
}

// readSeries gives each simulation the rows of the file; what its problems are is printed.
func (c console) readSeries(file string, asked *simulateFlags, runs []labelled) (name string, code int) {
	name, data, err := readAll(file, c.in)
	if err != nil {
		fmt.Fprintln(c.problems, err)
		return "", exitBadInput
	}
	for i := range runs {
		s := series{name: name, from: asked.begin, object: runs[i].object}
		if len(runs) > 1 {
			s.other = runs[1-i].object
		}
		runs[i].rows, runs[i].created = s.read(bytes.NewReader(data)), asked.begin
		for _, p := range s.problems {
			fmt.Fprintln(c.problems, p)
		}
		if len(s.problems) > 0 {
			return "", exitBadInput
		}
	}
	return name, exitFine
}

// labelled is a simulation with what sets it apart from the one that it is compared with.
type labelled struct {
	simulation
	label string
}

// objects are the ScaledObject to simulate and, with -vs, the one to compare it with.
func (c console) objects(s *simulateFlags) ([]labelled, bool) {
	object, ok := c.oneObject(s.file)
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
	other, ok := c.oneObject(s.versus)
	if !ok {
		return nil, false
	}
	if s.policy != "" {
		other.Policy = scaling.Policy(s.policy)
	}
	first.label = s.file
	return []labelled{first, {simulation{object: other}, s.versus}}, true
}

func (s *simulateFlags) print(series string, runs []labelled, out io.Writer, paint painter) error {
	switch {
	case s.format == "html":
		page, err := newReport(series, s, runs)
		if err != nil {
			return err
		}
		return writeReport(out, page)
	case len(runs) > 1:
		return compare(out, runs)
	}
	show, finish := newPrinter(s.format, out, runs[0].object, paint)
	runs[0].run(show)
	return finish()
}

// oneObject reads the ScaledObject to be simulated. Credentials do not matter: nothing is read with them.
func (c console) oneObject(file string) (*scaling.ScaledObject, bool) {
	files, err := readFiles([]string{file}, c.in)
	if err != nil {
		fmt.Fprintln(c.problems, err)
		return nil, false
	}
	parsed, err := scaling.ParseWithoutCredentials(files...)
	if err != nil {
		fmt.Fprintln(c.problems, err)
		return nil, false
	}
	if n := len(parsed.ScaledObjects); n != 1 {
		fmt.Fprintf(c.problems, "%s: must hold one ScaledObject to simulate, got %d\n", file, n)
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
