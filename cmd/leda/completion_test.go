package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	t.Chdir("../..") // where the folder scaledobjects is
	for _, row := range []struct{ typed, want string }{
		{"", "validate rbac crds simulate explain status doctor completion"},
		{"s", "simulate status"},
		{"simulate -po", "-policy"},
		{"simulate -policy ", "direct keda"},
		{"simulate -o h", "html"},
		{"simulate -vs ", "direct keda"},
		{"simulate -rate ", ""},
		{"simulate ", ""},
		{"explain ", "default/orders"},
		{"explain -function leda ", "default/orders"},
		{"doctor -k", "-kubeconfig"},
		{"completion z", "zsh"},
		{"destroy ", ""},
	} {
		if got := strings.Join(console{}.words(strings.Split(row.typed, " ")), " "); got != row.want {
			t.Errorf("%q: got %q, want %q", row.typed, got, row.want)
		}
	}
}

// The scripts are asked in the shells that this machine has; bash must be one.
func TestCompletionInShells(t *testing.T) {
	folder := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(folder, "leda"), ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, row := range []struct{ shell, script string }{
		{"bash", `source <(leda completion bash); COMP_WORDS=(leda simulate -policy k); COMP_CWORD=3; _leda; echo "${COMPREPLY[*]}"`},
		{"zsh", `autoload -Uz compinit && compinit -u -D; source <(leda completion zsh); compadd() { shift; echo ${(P)1}; }; words=(leda simulate -policy k); CURRENT=4; _leda`},
		{"fish", `leda completion fish | source; complete -C "leda simulate -policy k"`},
	} {
		program, err := exec.LookPath(row.shell)
		if err != nil {
			if row.shell == "bash" {
				t.Errorf("no bash: %v", err)
			}
			t.Logf("no %s here, so its script was not run", row.shell)
			continue
		}
		shell := exec.CommandContext(t.Context(), program, "-c", row.script)
		shell.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), "HOME="+folder)
		var problems bytes.Buffer
		shell.Stderr = &problems
		out, err := shell.Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != "keda" {
			t.Errorf("%s: got %q, want keda: %v %s", row.shell, got, err, &problems)
		}
	}
}
