package main

import (
	"context"
	"fmt"
)

const validateHelp = `leda validate [FILE…]: is this ScaledObject something Leda would run?

Prints every problem of every file at once, and notes what is accepted without effect.
Exit status 0 fine, 2 not.

  kubectl get scaledobjects,triggerauthentications,clustertriggerauthentications -A -o yaml | leda validate -
`

func (c console) validate(_ context.Context, args []string) int {
	rest, code, ok := parseFlags(c.verbFlags("validate", validateHelp), args)
	if !ok {
		return code
	}
	parsed, ok := c.manifests(rest)
	if !ok {
		return exitBadInput
	}
	for _, note := range parsed.Notes {
		fmt.Fprintf(c.out, "note: %s\n", note)
	}
	for _, o := range parsed.ScaledObjects {
		fmt.Fprintf(c.out, "ScaledObject %s/%s: fine\n", o.Namespace, o.Name)
	}
	return exitFine
}
