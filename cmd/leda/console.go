package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// console is where the command line is typed: what it reads, where it prints, and what time it is there.
type console struct {
	in            io.Reader
	out, problems io.Writer
	getenv        func(string) string
	now           func() time.Time
}

// onTerminal says whether a person reads what is written there.
func onTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// colour says whether standard output takes colours (https://no-color.org).
func (c console) colour() bool {
	return c.getenv("NO_COLOR") == "" && c.getenv("TERM") != "dumb" && onTerminal(c.out)
}

// patience is how long a person waits before wanting to see that something is going on.
const patience = 2 * time.Second

// progress shows on a terminal, from two seconds on, what is being done and for how long, until done is called.
func (c console) progress(what func() string) (done func()) {
	if !onTerminal(c.problems) {
		return func() {}
	}
	began, stop, stopped := c.now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		again := time.NewTicker(patience)
		defer again.Stop()
		for {
			select {
			case <-again.C:
				again.Reset(patience / 4)
				fmt.Fprintf(c.problems, "\r\033[K%s (%d s)", what(), int(c.now().Sub(began).Seconds()))
			case <-stop:
				fmt.Fprint(c.problems, "\r\033[K")
				return
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

// painter colours text on a terminal, and leaves it as it is elsewhere.
type painter bool

func (c console) painter() painter { return painter(c.colour()) }

func (p painter) red(text string) string    { return p.paint("31", text) }
func (p painter) green(text string) string  { return p.paint("32", text) }
func (p painter) yellow(text string) string { return p.paint("33", text) }
func (p painter) bold(text string) string   { return p.paint("1", text) }

func (p painter) paint(code, text string) string {
	if !p {
		return text
	}
	return "\033[" + code + "m" + text + "\033[0m"
}

// printWrapped prints text within 80 columns, each line behind the indent.
func (c console) printWrapped(indent, text string) {
	if rest, ok := strings.CutPrefix(text, "\n"); ok {
		fmt.Fprintln(c.out)
		text = rest
	}
	for _, line := range wrap(text, columns-len(indent)) {
		fmt.Fprintln(c.out, indent+line)
	}
}
