package stack

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program writes a shell script where a real program would be.
func program(t *testing.T, file, body string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// printArguments writes each argument on a line of its own.
const printArguments = `printf '%s\n' "$@"`

func TestWrappers(t *testing.T) {
	t.Setenv("KUBEBUILDER_ASSETS", "")
	s := exampleStack(t)
	programs := t.TempDir()
	program(t, filepath.Join(programs, "node"), "pwd -P\necho \"$CDK_OUTPUT\"\n"+printArguments)
	program(t, s.python("awscli"), printArguments)
	if err := os.MkdirAll(filepath.Join(s.folder, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.writeWrappers(); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.EvalSymlinks(s.root)
	if err != nil {
		t.Fatal(err)
	}
	local := []string{"--no-notices", "--context", "architecture=" + architecture()}

	for _, test := range []struct {
		name string
		call []string
		want []string
	}{
		{
			"aws is told the endpoint, and gets its arguments whole",
			[]string{"aws", "sqs", "send-message", "--message-body", `two words "and" quotes`},
			[]string{"-I", "-m", "awscli", "--endpoint-url", "https://127.0.0.1:21001", "sqs", "send-message", "--message-body", `two words "and" quotes`},
		},
		{
			"cdk deploy runs from the root and asks nobody",
			[]string{"cdk", "deploy", "--outputs-file", "my outputs.json"},
			append([]string{root, s.folder + "/cdk.out", s.cdk(), "deploy", "--require-approval", "never", "--outputs-file", "my outputs.json"}, local...),
		},
		{
			"another command knows no approval",
			[]string{"cdk", "diff"},
			append([]string{root, s.folder + "/cdk.out", s.cdk(), "diff"}, local...),
		},
		{
			"no command",
			[]string{"cdk"},
			append([]string{root, s.folder + "/cdk.out", s.cdk()}, local...),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), filepath.Join(s.folder, "bin", test.call[0]), test.call[1:]...)
			cmd.Env = []string{"PATH=" + programs + ":/usr/bin:/bin"}
			output, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			if got, want := string(output), strings.Join(test.want, "\n")+"\n"; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestKubebuilderAssets(t *testing.T) {
	assets := t.TempDir()
	for _, name := range []string{"etcd", "kubectl", "kwok"} {
		program(t, filepath.Join(assets, name), "")
	}
	if err := os.WriteFile(filepath.Join(assets, "kube-apiserver"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := place{root: "/clone"}
	for _, test := range []struct{ name, assets, tool, want string }{
		{"a program that is there is used", assets, "etcd", filepath.Join(assets, "etcd")},
		{"one that cannot run is built", assets, "kube-apiserver", "/clone/.local/bin/kube-apiserver"},
		{"one that setup-envtest does not have is built", assets, "kwok", "/clone/.local/bin/kwok"},
		{"without it all are built", "", "etcd", "/clone/.local/bin/etcd"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("KUBEBUILDER_ASSETS", test.assets)
			if got := p.tool(test.tool); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}

	t.Run("a given kubectl is in PATH", func(t *testing.T) {
		t.Setenv("KUBEBUILDER_ASSETS", assets)
		s := exampleStack(t)
		if err := os.MkdirAll(filepath.Join(s.folder, "bin"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := s.writeWrappers(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(filepath.Join(s.folder, "bin", "kubectl")); got != filepath.Join(assets, "kubectl") {
			t.Errorf("got %s (%v), want a link to %s", got, err, filepath.Join(assets, "kubectl"))
		}
	})
}
