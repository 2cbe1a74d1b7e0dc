package main

import (
	"context"
	_ "embed"
	"fmt"
)

const crdsHelp = `leda crds: the kinds ScaledObject, TriggerAuthentication and ClusterTriggerAuthentication, for a cluster without KEDA's

  leda crds | kubectl apply --server-side -f -

Where KEDA's own are installed, keep those.

`

//go:embed crds.yaml
var crds []byte

func (c console) crds(_ context.Context, args []string) int {
	rest, code, ok := parseFlags(c.verbFlags("crds", crdsHelp), args)
	switch {
	case !ok:
		return code
	case len(rest) > 0:
		fmt.Fprintf(c.problems, "leda crds: takes no arguments, got %q\n", rest)
		return exitBadInput
	}
	if _, err := c.out.Write(crds); err != nil {
		fmt.Fprintln(c.problems, err)
		return exitNotInOrder
	}
	return exitFine
}
