package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

const simulateHelp = `leda simulate -f FILE [flags] SERIES.csv: replay a series of readings through the policy

SERIES.csv has a header: time (RFC 3339, or a duration since -from), a column for each trigger (its name,
or s0, s1, … by position; an empty cell is a failed reading; cron needs none), and, if wanted, replicas
(someone else has set this size just before) and ready (ready pods). - is standard input.

  printf 'time,s0\n0s,3\n15s,6\n30s,11\n' | leda simulate -f scaledobjects/orders.yaml -

`

func simulate(args []string, in io.Reader, out, problems io.Writer) int {
	flags := verbFlags("simulate", simulateHelp, problems)
	file := flags.String("f", "", "the ScaledObject: a file, a folder, or - for standard input")
	policy := flags.String("policy", "", "direct or keda (default: what the ScaledObject's annotation says, else direct)")
	replicas := flags.Int("replicas", -1, "the size before the first row (default: minReplicaCount, at least 1)")
	from := flags.String("from", "2026-01-05T00:00:00Z", "when the series begins and the ScaledObject was made")
	format := flags.String("o", "table", "table, json or csv")
	rest, code, ok := parseFlags(flags, args)
	if !ok {
		return code
	}
	refuse := func(format string, args ...any) int {
		fmt.Fprintf(problems, "leda simulate: "+format+"\n", args...)
		return exitBadInput
	}
	begin, err := time.Parse(time.RFC3339, *from)
	switch {
	case *file == "":
		return refuse("-f is required: the file of the ScaledObject; leda simulate -h shows an example")
	case len(rest) != 1:
		return refuse("must be given one series, after the flags, got %d; leda simulate -h shows an example", len(rest))
	case *file == "-" && rest[0] == "-":
		return refuse("-f and the series cannot both be standard input")
	case !slices.Contains([]string{"", string(scaling.PolicyDirect), string(scaling.PolicyKEDA)}, *policy):
		return refuse("-policy must be direct or keda, got %q", *policy)
	case !slices.Contains([]string{"table", "json", "csv"}, *format):
		return refuse("-o must be table, json or csv, got %q", *format)
	case err != nil:
		return refuse("-from must be RFC 3339 such as 2026-01-05T00:00:00Z, got %q", *from)
	case *replicas < -1 || *replicas > 1<<31-1:
		return refuse("-replicas must be from 0 to %d, got %d", 1<<31-1, *replicas)
	}

	object, ok := oneObject(*file, in, problems)
	if !ok {
		return exitBadInput
	}
	if *policy != "" {
		object.Policy = scaling.Policy(*policy)
	}
	rows, ok := readSeries(rest[0], begin.UTC(), object, in, problems)
	if !ok {
		return exitBadInput
	}
	buffered := bufio.NewWriterSize(out, 1<<16)
	show, finish := newPrinter(*format, buffered, object)
	replay(object, rows, begin.UTC(), int32(*replicas), show)
	if err := errors.Join(finish(), buffered.Flush()); err != nil {
		fmt.Fprintln(problems, err)
		return exitNotInOrder
	}
	return exitFine
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

func readSeries(name string, from time.Time, object *scaling.ScaledObject, in io.Reader, problems io.Writer) ([]row, bool) {
	s := series{name: name, from: from, object: object}
	if name == "-" {
		s.name = "standard input"
	} else {
		file, err := os.Open(name)
		if err != nil {
			fmt.Fprintln(problems, err)
			return nil, false
		}
		defer file.Close()
		in = file
	}
	rows := s.read(bufio.NewReaderSize(in, 1<<16))
	for _, p := range s.problems {
		fmt.Fprintln(problems, p)
	}
	return rows, len(s.problems) == 0
}

// replay decides on every row. By the next row the workload has reached the size that was decided.
func replay(o *scaling.ScaledObject, rows []row, created time.Time, replicas int32, show func(scaling.Decision)) {
	if replicas < 0 {
		replicas = o.Min()
	}
	if o.Pause.Replicas != nil {
		replicas = *o.Pause.Replicas
	}
	var memory scaling.Memory
	if o.Policy == scaling.PolicyKEDA {
		memory = scaling.Memory{Since: created, Created: created} // KEDA's rules for a new ScaledObject
	}
	for _, r := range rows {
		if r.replicas != nil {
			replicas = *r.replicas
		}
		seen := scaling.Observed{Replicas: replicas, Current: replicas, Ready: replicas, Readings: r.readings, Memory: memory}
		if r.ready != nil {
			seen.Ready = *r.ready
		}
		d := scaling.Decide(o, seen, r.at)
		show(d)
		replicas, memory = d.To, d.MemoryAfter()
	}
}

// newPrinter prints decisions as table, json or csv; finish says whether all of them could be.
func newPrinter(format string, out io.Writer, o *scaling.ScaledObject) (show func(scaling.Decision), finish func() error) {
	switch format {
	case "json":
		return jsonPrinter(out)
	case "csv":
		return csvPrinter(out, o)
	}
	fmt.Fprintf(out, "%-20s  %5s  %5s  %-6s  %-23s  %s\n", "TIME", "FROM", "TO", "ACTIVE", "REASON", "WHY")
	show = func(d scaling.Decision) {
		r := d.Record()
		fmt.Fprintf(out, "%-20s  %5d  %5d  %-6t  %-23s  %s\n", d.At.UTC().Format(time.RFC3339Nano), r.From, r.To, r.Active, r.Reason, r.Why)
	}
	return show, func() error { return nil } // the writer below remembers its first error
}

func jsonPrinter(out io.Writer) (show func(scaling.Decision), finish func() error) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	var failed error
	show = func(d scaling.Decision) {
		r := d.Record()
		failed = errors.Join(failed, encoder.Encode(struct {
			Time     time.Time               `json:"time"`
			From     int32                   `json:"from"`
			To       int32                   `json:"to"`
			Reason   scaling.Reason          `json:"reason"`
			Active   bool                    `json:"active"`
			Readings []scaling.RecordReading `json:"readings"`
		}{d.At.UTC(), r.From, r.To, r.Reason, r.Active, r.Readings}))
	}
	return show, func() error { return failed }
}

func csvPrinter(out io.Writer, o *scaling.ScaledObject) (show func(scaling.Decision), finish func() error) {
	writer := csv.NewWriter(out)
	_ = writer.Write(append([]string{"time", "from", "to", "reason", "active"}, ids(o)...)) // the writer remembers its first error
	show = func(d scaling.Decision) {
		record := append(make([]string, 0, 8), d.At.UTC().Format(time.RFC3339Nano), strconv.Itoa(int(d.From)), strconv.Itoa(int(d.To)), string(d.Reason), strconv.FormatBool(d.Active))
		for _, reading := range d.Readings {
			value := "" // it failed
			if reading.Err == nil {
				value = strconv.FormatFloat(reading.Value, 'f', -1, 64)
			}
			record = append(record, value)
		}
		_ = writer.Write(record)
	}
	finish = func() error {
		writer.Flush()
		return writer.Error()
	}
	return show, finish
}
