package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

// The quick version: every dependency and every fault, as `make faults` tries them all.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts an API server")
	}
	// With the test's own time limit etcd and the API server would live on.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var printed bytes.Buffer
	ok, err := run(ctx, options{root: "../..", worlds: 12, repeats: 3, kills: 2, passes: 150, seed: 1, quick: true}, &printed)
	if err != nil || !ok {
		t.Fatalf("%v\n%s", err, printed.String())
	}
	t.Logf("\n%s", printed.String())
}

// What the matrix would overlook it would call green.
func TestTheMatrixSeesWhatIsWrong(t *testing.T) {
	get := dependencies()[0]
	fault := faults()[0]
	said := decision{Readings: []struct{ Error string }{{`read depth of queue "victim": connection refused`}}}
	for _, row := range []struct {
		rule string
		size int32
		line decision
		told bool
		says string // of the problem; empty for none
	}{
		{"held, and said so", sizeBefore, said, true, ""},
		{"it shrank on a failed reading", sizeSmall, said, true, "want 5 as before"},
		{"it grew on a failed reading", sizeLarge, said, true, "want 5 as before"},
		{"it is silent", sizeBefore, decision{}, false, "no line"},
		{"it blames another", sizeBefore, decision{Error: "read memory: connection refused"}, true, "does not name what failed"},
		{"it does not say what happened", sizeBefore, decision{Error: `read depth of queue "victim": it failed`}, true, "does not say what happened"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			c := &cell{dependency: get, fault: fault}
			c.judge(row.size, sizeSmall, row.line, row.told)
			if got := strings.Join(c.problems, "; "); (row.says == "") != (got == "") || !strings.Contains(got, row.says) {
				t.Errorf("got %q, want %q", got, row.says)
			}
		})
	}
	t.Run("what is to be overcome is not", func(t *testing.T) {
		c := &cell{dependency: get, fault: faults()[slowFault(t)]}
		if c.judge(sizeBefore, sizeSmall, said, true); len(c.problems) == 0 {
			t.Error("it was called green")
		}
	})
	for _, text := range []string{"x" + canarySecret, "token k8s-aws-v1.abc", canarySession} {
		if leaked(text) == "" {
			t.Errorf("a canary in %q was overlooked", text)
		}
	}
}

func slowFault(t *testing.T) int {
	t.Helper()
	for i, f := range faults() {
		if f.name == "slow, within the budget" {
			return i
		}
	}
	t.Fatal("no such fault")
	return 0
}

// The quick version leaves out none of the faults, and none of what is asked.
func TestTheQuickVersionHasEverything(t *testing.T) {
	seen := map[string]bool{}
	chosen := quick(cells(0))
	for _, c := range chosen {
		seen[c.fault.name], seen[c.name()] = true, true
	}
	for _, f := range faults() {
		if !seen[f.name] {
			t.Errorf("fault %q is not tried", f.name)
		}
	}
	for _, d := range dependencies() {
		if !seen[d.name] {
			t.Errorf("%s is not tried", d.name)
		}
	}
	if len(chosen) > 60 || time.Duration(len(chosen))*time.Second > 2*time.Minute {
		t.Errorf("%d cells are not quick", len(chosen))
	}
}
