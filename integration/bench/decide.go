package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// decide runs the benchmark that stands beside Decide.
func (b *bench) decide(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "test", "./scaling", "-run", "^$", "-bench", "^BenchmarkDecide$", "-count", "3")
	printed, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, printed)
	}
	type result struct{ ns, allocations float64 }
	var results []result
	for line := range strings.SplitSeq(string(printed), "\n") {
		var name string
		var r result
		var times, bytes int
		if n, _ := fmt.Sscanf(line, "%s %d %g ns/op %d B/op %g allocs/op", &name, &times, &r.ns, &bytes, &r.allocations); n == 5 {
			results = append(results, r)
		}
	}
	if len(results) == 0 {
		return fmt.Errorf("go test printed no result:\n%s", printed)
	}
	b.print(
		row{"Decide", median(results, func(r result) float64 { return r.ns }), 300, "ns", ""},
		row{"its allocations", median(results, func(r result) float64 { return r.allocations }), 0, "", "none is asked for"},
	)
	return nil
}
