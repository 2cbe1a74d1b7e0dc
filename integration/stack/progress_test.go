package stack

import (
	"strings"
	"testing"
	"time"
)

func TestPrint(t *testing.T) {
	steps := []struct {
		Step
		after time.Duration
	}{
		{Step{Text: "build: 1 package", Took: 1 * time.Second}, 1 * time.Second},
		{Step{Text: "build: 9 packages", Took: 16 * time.Second}, 16 * time.Second},
		{Step{Text: "build: 10 packages", Took: 17 * time.Second}, 17 * time.Second},
		{Step{Text: "build", Took: 18500 * time.Millisecond, Done: true}, 18500 * time.Millisecond},
	}
	for _, test := range []struct {
		name     string
		terminal bool
		want     string
	}{
		{
			"a terminal's line is rewritten until it is done", true,
			"\r\x1b[K    1.0 s  build: 1 package\r\x1b[K   16.0 s  build: 9 packages\r\x1b[K   17.0 s  build: 10 packages\r\x1b[K   18.5 s  build\n",
		},
		{
			"a log has a line each 15 s, and one when it is done", false,
			"   16.0 s  build: 9 packages\n   18.5 s  build\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			now := began
			var out strings.Builder
			progress := printTo(&out, test.terminal, func() time.Time { return now })
			for _, s := range steps {
				now = began.Add(s.after)
				progress(s.Step)
			}
			if out.String() != test.want {
				t.Errorf("got\n%q\nwant\n%q", out.String(), test.want)
			}
		})
	}
}

func TestLastLines(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"the end of a long text", "1\n2\n3\n4\n", "3\n4"},
		{"the whole of a short one", "1\n", "1"},
		{"nothing", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := lastLines(test.text, 2); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestClip(t *testing.T) {
	if got := clip("æøå", 3); got != "æøå" {
		t.Errorf("a line that fits: got %q", got)
	}
	if got := clip("æøåx", 3); got != "æø…" {
		t.Errorf("a line that does not: got %q", got)
	}
}
