package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// printMatrix prints a row for each fault and a column for each dependency, and says whether all is well.
func printMatrix(out io.Writer, cells []*cell, took time.Duration) bool {
	var columns, rows []string
	found := map[[2]string]*cell{}
	injected, bad := int64(0), 0
	for _, c := range cells {
		if !slices.Contains(rows, c.fault.name) {
			rows = append(rows, c.fault.name)
		}
		found[[2]string{c.fault.name, c.name()}] = c
		injected += c.injected
		if len(c.problems) > 0 {
			bad++
		}
	}
	for _, d := range dependencies() {
		if slices.ContainsFunc(cells, func(c *cell) bool { return c.name() == d.name }) {
			columns = append(columns, d.name)
		}
	}
	const wide = 14
	line := func(first string, rest func(column string) string) {
		var b strings.Builder
		fmt.Fprintf(&b, "%-26s", first)
		for _, column := range columns {
			fmt.Fprintf(&b, " %-*.*s", wide, wide, rest(column))
		}
		fmt.Fprintln(out, strings.TrimRight(b.String(), " "))
	}
	line("", func(column string) string { first, _, _ := strings.Cut(column, ","); return first })
	line("", func(column string) string { _, rest, _ := strings.Cut(column, ", "); return rest })
	for _, row := range rows {
		line(row, func(column string) string {
			c := found[[2]string{row, column}]
			switch {
			case c == nil:
				return "·"
			case len(c.problems) > 0:
				return "RED " + c.outcome
			}
			return fmt.Sprintf("%s %.1fs", c.outcome, c.took.Seconds())
		})
	}
	fmt.Fprintf(out, `
held: nothing shrank, the line says why, the others were served, and the next good look went on
served: overcome within the look      grew: growth did not wait for memory, and says so
unheard: the size was set and its answer lost; the next look saw it
·: a kind of request has no connection of its own, see the API server's; STS is asked after EKS, by the same clock
%d cells, %d faults injected, %d red, in %s

`, len(cells), injected, bad, took.Round(time.Second))
	return bad == 0
}
