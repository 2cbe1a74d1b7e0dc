package stack

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// A Step is what has been done so far of one thing that takes time.
type Step struct {
	Text string
	Took time.Duration
	Done bool // nothing more follows about this thing
}

// Progress hears each step. It is called from several goroutines, one at a time.
type Progress func(Step)

// oneAtATime makes a Progress of any function safe for steps that overlap.
func oneAtATime(progress Progress) Progress {
	var mu sync.Mutex
	return func(s Step) {
		mu.Lock()
		defer mu.Unlock()
		progress(s)
	}
}

// timed reports text as done when the returned function is called.
func (p Progress) timed(text string) (done func()) {
	began := time.Now()
	return func() { p(Step{Text: text, Took: time.Since(began), Done: true}) }
}

// A status is the line of a step that takes minutes. It is shown anew each
// second, so that something moves also while nothing new can be said.
type status struct {
	mu    sync.Mutex
	text  string
	stop  chan struct{}
	ended sync.WaitGroup
}

func (p Progress) status(text string) *status {
	s := &status{text: text, stop: make(chan struct{})}
	began := time.Now()
	s.ended.Go(func() {
		again := time.NewTicker(time.Second)
		defer again.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-again.C:
				p(Step{Text: s.get(), Took: time.Since(began)})
			}
		}
	})
	return s
}

func (s *status) set(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = fmt.Sprintf(format, args...)
}

func (s *status) get() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text
}

// close ends the line; afterwards nothing of it is shown any more.
func (s *status) close() {
	close(s.stop)
	s.ended.Wait()
}

// quietFor is how long an unfinished step is silent where lines cannot be rewritten.
const quietFor = 15 * time.Second

// Print writes steps as lines with their seconds. A terminal shows unfinished
// steps too, in one line that is rewritten; elsewhere such a line appears every
// 15 s, so that a log shows that something moves.
func Print(out *os.File) Progress {
	info, err := out.Stat()
	return printTo(out, err == nil && info.Mode()&os.ModeCharDevice != 0, time.Now)
}

func printTo(out io.Writer, terminal bool, now func() time.Time) Progress {
	spoke := now()
	return func(s Step) {
		line := fmt.Sprintf("%7.1f s  %s", s.Took.Seconds(), s.Text)
		switch {
		case terminal && s.Done:
			fmt.Fprintf(out, "\r\x1b[K%s\n", line)
		case terminal:
			fmt.Fprintf(out, "\r\x1b[K%s", clip(line, 79)) // a wrapped line could not be rewritten
		case s.Done || now().Sub(spoke) >= quietFor:
			fmt.Fprintln(out, line)
			spoke = now()
		}
	}
}

func clip(line string, width int) string {
	if runes := []rune(line); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return line
}

// lastLines returns the last n lines of text, for an error that shows them.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
