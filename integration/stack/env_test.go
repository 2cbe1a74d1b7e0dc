package stack

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestQuote(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"a simple word stays as it is", "/a/b-c_d.e:1,2@x", "/a/b-c_d.e:1,2@x"},
		{"nothing is a word too", "", "''"},
		{"a space", "a b", "'a b'"},
		{"a quote", "it's", `'it'\''s'`},
		{"nothing is expanded", "$HOME `id` \\ \" ! *", "'$HOME `id` \\ \" ! *'"},
		{"a tilde", "~/x", "'~/x'"},
		{"a line's end", "a\nb", "'a\nb'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			quoted := quote(test.text)
			if quoted != test.want {
				t.Errorf("got %s, want %s", quoted, test.want)
			}
			output, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quoted).Output()
			if err != nil || string(output) != test.text {
				t.Errorf("what a shell makes of %s: got %q (%v), want %q", quoted, output, err, test.text)
			}
		})
	}
}

// exampleStack is one whose paths are as awkward as they come.
func exampleStack(t *testing.T) *Stack {
	t.Helper()
	p := place{root: t.TempDir() + "/it's a clone"}
	return &Stack{place: p, name: "test", folder: p.run("test"), ports: ports{ministack: 21001, apiserver: 21002}}
}

func TestEnvScriptSetsInAShellWhatEnvSays(t *testing.T) {
	s := exampleStack(t)
	t.Setenv("PATH", "/usr/bin:/bin")
	before := []string{"PATH=/usr/bin:/bin", "AWS_PROFILE=production", "AWS_SESSION_TOKEN=secret", "AWS_REGION=eu-north-1", "EDITOR=vi"}
	sh := exec.CommandContext(t.Context(), "sh", "-c", s.envScript()+"env")
	sh.Env = before
	output, err := sh.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(string(output)), "\n")
	for _, want := range append(s.Env(), "EDITOR=vi", "AWS_ENDPOINT_URL=https://127.0.0.1:21001", "AWS_REGION=us-east-1") {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not in\n%s", want, output)
		}
	}
	for _, real := range []string{"production", "secret"} {
		if strings.Contains(string(output), real) {
			t.Errorf("%s of a real account is still in\n%s", real, output)
		}
	}
}

func TestEnvironHidesRealAccounts(t *testing.T) {
	t.Setenv("AWS_PROFILE", "production")
	t.Setenv("AWS_REGION", "eu-north-1")
	t.Setenv("EDITOR", "vi")
	environ := exampleStack(t).Environ()
	for _, test := range []struct {
		name, variable string
		want           bool
	}{
		{"what is not ours stays", "EDITOR=vi", true},
		{"ours is there", "AWS_REGION=us-east-1", true},
		{"ours replaces theirs", "AWS_REGION=eu-north-1", false},
		{"a profile is gone", "AWS_PROFILE=production", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := slices.Contains(environ, test.variable); got != test.want {
				t.Errorf("%s: got %v, want %v", test.variable, got, test.want)
			}
		})
	}
}

func TestProxyIsNotAskedForTheStack(t *testing.T) {
	for _, test := range []struct {
		name  string
		given map[string]string
		want  string
	}{
		{"no proxy", nil, ""},
		{"a proxy", map[string]string{"https_proxy": "http://proxy:3128"}, "127.0.0.1"},
		{"a proxy with exceptions", map[string]string{"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "example.org"}, "example.org,127.0.0.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, name := range []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"} {
				t.Setenv(name, test.given[name])
			}
			got := ""
			for _, v := range exampleStack(t).variables() {
				if v.name == "NO_PROXY" {
					got = v.value
				}
			}
			if got != test.want {
				t.Errorf("NO_PROXY: got %q, want %q", got, test.want)
			}
		})
	}
}
