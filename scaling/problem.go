package scaling

import (
	"fmt"
	"strings"
)

// A Problem is one thing that keeps a manifest from being run, or (as a note) one that is accepted without effect.
type Problem struct {
	File    string // as it was given to Parse; empty when there is none
	Object  string // "ScaledObject shop/orders"; empty when the file could not be read that far
	Path    string // "spec.triggers[0].metadata.queueLength"; empty when the whole object is meant
	Message string // the limit, what was got, and the way out
}

// String prints the problem on one line: file, object, path, message.
func (p Problem) String() string {
	parts := make([]string, 0, 4)
	for _, part := range []string{p.File, p.Object, p.Path, p.Message} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.ReplaceAll(strings.Join(parts, ": "), "\n", " ")
}

// Problems is every problem found, in the order of the input.
type Problems []Problem

// Error prints one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// checker gathers the problems and notes of one object.
type checker struct {
	file, object string
	problems     Problems
	notes        Problems
	quiet        bool // notes are not wanted
}

func (c *checker) problem(path, format string, args ...any) {
	c.problems = append(c.problems, Problem{c.file, c.object, path, fmt.Sprintf(format, args...)})
}

func (c *checker) note(path, message string) {
	if c.quiet {
		return
	}
	c.notes = append(c.notes, Problem{c.file, c.object, path, message})
}
