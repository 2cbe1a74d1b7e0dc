package main

import (
	"fmt"
	"io"
)

const validateHelp = `leda validate [FILE…]: is this ScaledObject something Leda would run?

Prints every problem of every file at once, and notes what is accepted without effect.
Exit status 0 fine, 2 not.

  kubectl get scaledobjects,triggerauthentications,clustertriggerauthentications -A -o yaml | leda validate -
`

func validate(args []string, in io.Reader, out, problems io.Writer) int {
	rest, code, ok := parseFlags(verbFlags("validate", validateHelp, problems), args)
	if !ok {
		return code
	}
	parsed, ok := manifests(rest, in, problems)
	if !ok {
		return exitBadInput
	}
	for _, note := range parsed.Notes {
		fmt.Fprintf(out, "note: %s\n", note)
	}
	for _, o := range parsed.ScaledObjects {
		fmt.Fprintf(out, "ScaledObject %s/%s: fine\n", o.Namespace, o.Name)
	}
	return exitFine
}
