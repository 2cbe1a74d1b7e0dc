package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const statusHelp = `leda status: every target's size, reason and last change

The function decides on every target and changes nothing; the last changes are read from its log. Both with
your AWS credentials (rights: lambda:InvokeFunction, logs:FilterLogEvents). Exit status 1 when a target is
not in order.

  leda status -since 24h

`

type statusFlags struct {
	deployment
	since string
}

func (s *statusFlags) register(flags *flag.FlagSet) {
	s.deployment.register(flags)
	flags.StringVar(&s.since, "since", "3h", "how far back to look for changes, such as 24h or 7d")
}

// decisionLines is the filter pattern of the function's decision lines.
const decisionLines = `{ $.msg = "decision" }`

func (c console) status(ctx context.Context, args []string) int {
	flags := c.verbFlags("status", statusHelp)
	var asked statusFlags
	asked.register(flags)
	rest, code, ok := parseFlags(flags, args)
	if !ok {
		return code
	}
	span, err := parseSpan(asked.since)
	switch {
	case len(rest) > 0:
		fmt.Fprintf(c.problems, "leda status: takes no arguments, got %q; leda explain is for single targets\n", rest)
		return exitBadInput
	case err != nil || span <= 0:
		fmt.Fprintf(c.problems, "leda status: -since must be a duration such as 24h or 7d, got %q\n", asked.since)
		return exitBadInput
	}
	r, err := c.askDeployment(ctx, &asked.deployment)
	if err != nil {
		fmt.Fprintf(c.problems, "leda status: %v\n", err)
		return exitNotInOrder
	}
	done := c.progress(func() string { return "reading log group " + asked.logGroup() })
	changes := map[string]logged{}
	logErr := asked.lines(ctx, c.now().Add(-span), decisionLines, func(l logged) {
		if l.Msg == "decision" && !l.DryRun && l.From != l.To && l.Error == "" && l.Time.After(changes[l.Target].Time) {
			changes[l.Target] = l
		}
	})
	done()
	code = c.printStatus(r, changes, asked.since)
	if logErr != nil {
		fmt.Fprintf(c.problems, "leda status: the last changes are not known: %v\n", logErr)
		code = exitNotInOrder
	}
	return code
}

func (c console) printStatus(r deployedReport, changes map[string]logged, since string) (code int) {
	const widest = 28 // leaves room for the longest reason within 80 columns
	short, paint := shortNames(r.Decisions), c.painter()
	slices.SortFunc(r.Decisions, func(a, b deployedDecision) int { return strings.Compare(a.Target, b.Target) })
	width := len("TARGET")
	for _, d := range r.Decisions {
		width = max(width, min(widest, utf8.RuneCountInString(short(d.Target))))
	}
	fmt.Fprintf(c.out, "%-*s  %5s  %-23s  %s\n", width, "TARGET", "SIZE", "REASON", "LAST CHANGE")
	for _, d := range r.Decisions {
		change := "none in " + since
		if l, ok := changes[d.Target]; ok {
			change = fmt.Sprintf("%d → %d, %s ago", l.From, l.To, ago(c.now().Sub(l.Time)))
		}
		name := short(d.Target)
		if utf8.RuneCountInString(name) > width {
			fmt.Fprintln(c.out, name)
			name = ""
		}
		size, reason := fmt.Sprint(d.From), string(d.Reason)
		switch {
		case d.Reason == "":
			size, reason = "?", paint.red(fmt.Sprintf("%-23s", "not decided"))
		case d.From != d.To:
			size, reason = fmt.Sprintf("%d→%d", d.From, d.To), paint.yellow(fmt.Sprintf("%-23s", reason))
		default:
			reason = fmt.Sprintf("%-23s", reason)
		}
		fmt.Fprintf(c.out, "%-*s  %5s  %s  %s\n", width, name, size, reason, change)
	}
	if len(r.Decisions) == 0 {
		fmt.Fprintln(c.out, "The function has no target: put ScaledObjects into scaledobjects, and deploy.")
	}
	for _, d := range r.Decisions {
		var problems []string
		for _, reading := range d.Readings {
			if reading.Error != "" {
				problems = append(problems, reading.Trigger+": "+reading.Error)
			}
		}
		for _, problem := range append(problems, d.Error, d.Memory) {
			if problem != "" {
				code = exitNotInOrder
				c.printWrapped("", "\n"+paint.red(short(d.Target)+": ")+problem)
			}
		}
	}
	return code
}

// ago is a time span in one unit.
func ago(d time.Duration) string {
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%dd", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", max(0, d)/time.Second)
}
