package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Env returns the environment, as KEY=value, in which aws, cdk and kubectl
// speak to this stack and write nothing outside the repository.
func (s *Stack) Env() []string {
	env := []string{"PATH=" + strings.Join(s.path(), ":") + ":" + os.Getenv("PATH")}
	for _, v := range s.variables() {
		env = append(env, v.name+"="+v.value)
	}
	return env
}

// Environ returns our own environment with Env in place of what it says about
// AWS: a profile or a session's token of a real account must not get in the way.
func (s *Stack) Environ() []string {
	return overlay(withoutAWS(os.Environ()), s.Env())
}

func withoutAWS(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
}

// path has the wrappers first, and kubectl.
func (s *Stack) path() []string { return []string{filepath.Join(s.folder, "bin"), s.local("bin")} }

type variable struct{ name, value string }

func (s *Stack) variables() []variable {
	variables := []variable{
		{"AWS_ENDPOINT_URL", s.awsEndpoint()},
		{"AWS_ENDPOINT_URL_S3", s.awsEndpoint()},
		{"AWS_ACCESS_KEY_ID", "test"},
		{"AWS_SECRET_ACCESS_KEY", "test"},
		{"AWS_REGION", Region},
		{"AWS_DEFAULT_REGION", Region},
		{"AWS_CA_BUNDLE", s.pki("aws-ca.crt")},
		{"AWS_CONFIG_FILE", filepath.Join(s.folder, "aws", "config")},
		{"AWS_SHARED_CREDENTIALS_FILE", filepath.Join(s.folder, "aws", "credentials")},
		{"AWS_EC2_METADATA_DISABLED", "true"},
		{"KUBECONFIG", s.Kubeconfig()},
		{"KUBECACHEDIR", filepath.Join(s.folder, "kube-cache")},
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} { // some programs read the one, some the other
		if os.Getenv(name) != "" {
			variables = append(variables, variable{name, os.Getenv(name) + ",127.0.0.1"})
		} else if behindProxy() {
			variables = append(variables, variable{name, "127.0.0.1"})
		}
	}
	return variables
}

func behindProxy() bool {
	return slices.ContainsFunc(os.Environ(), func(v string) bool {
		name, value, _ := strings.Cut(v, "=")
		name = strings.ToUpper(name)
		return value != "" && (name == "HTTPS_PROXY" || name == "ALL_PROXY")
	})
}

func (s *Stack) envFile() string { return filepath.Join(s.folder, "env") }

// envScript sets the same in a person's shell: bash, zsh or any other of Bourne's.
func (s *Stack) envScript() string {
	var script strings.Builder
	script.WriteString("for leda in $(env | sed -n 's/^\\(AWS_[A-Z0-9_]*\\)=.*/\\1/p'); do unset \"$leda\"; done\n")
	fmt.Fprintf(&script, "export PATH=%s:\"$PATH\"\n", quote(strings.Join(s.path(), ":")))
	for _, v := range s.variables() {
		fmt.Fprintf(&script, "export %s=%s\n", v.name, quote(v.value))
	}
	return script.String()
}

// quote makes one word of text for a shell, and leaves simple words as they are.
func quote(text string) string {
	simple := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/.:_-,@%+=", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !simple(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// mark is a variable that all processes of the stack in folder inherit.
func mark(folder string) string { return "LEDA_STACK=" + folder }
