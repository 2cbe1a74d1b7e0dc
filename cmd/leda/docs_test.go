package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the pages say a command prints, it prints: every line behind "$ " that starts a command of ours on this
// machine alone is typed.
func TestDocs(t *testing.T) {
	folder := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(folder, "leda"), ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for page, want := range map[string]int{"README.md": 1, "docs/simulate.md": 3} {
		text, err := os.ReadFile(filepath.Join("../..", page))
		if err != nil {
			t.Fatal(err)
		}
		typed := 0
		for i, block := range regexp.MustCompile("(?m)^```.*$").Split(string(text), -1) {
			if i%2 == 0 { // between two blocks
				continue
			}
			for _, part := range strings.Split(block, "\n$ ")[1:] {
				command, printed, _ := strings.Cut(part, "\n")
				command = strings.ReplaceAll(command, "go run ./cmd/leda", "leda")
				if !strings.Contains(command, "leda simulate") {
					continue
				}
				typed++
				shell := exec.CommandContext(t.Context(), "sh", "-c", command)
				shell.Dir = "../.."
				shell.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"))
				out, err := shell.CombinedOutput()
				if got, want := strings.TrimRight(string(out), "\n"), strings.TrimRight(printed, "\n"); err != nil || got != want {
					t.Errorf("%s: $ %s\n%v got\n%s\nwant\n%s", page, command, err, got, printed)
				}
			}
		}
		if typed != want {
			t.Errorf("%s: typed %d commands, want %d", page, typed, want)
		}
	}
}

// What docs/command-line.md shows of a deployment is what the tests' deployment prints.
func TestCommandLinePage(t *testing.T) {
	text, err := os.ReadFile("../../docs/command-line.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.ReplaceAll(string(text), "\n    ", "\n")
	for _, command := range []string{"leda explain shop/orders", "leda status", "leda doctor scaledobjects"} {
		w := aWorld(t)
		if strings.Contains(command, "doctor") {
			w.rights = func(a map[string]any) bool { return a["verb"] != "update" || a["subresource"] != "scale" }
		}
		_, out, problems := w.types(strings.Replace(strings.TrimPrefix(command, "leda "), "scaledobjects", "FILE", 1))
		if want := "$ " + command + "\n" + strings.ReplaceAll(out, "FILE", "scaledobjects"); problems != "" || !strings.Contains(page, want) {
			t.Errorf("the page has not\n%s%s", want, problems)
		}
	}
}
