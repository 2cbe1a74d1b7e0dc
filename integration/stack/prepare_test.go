package stack

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFingerprint(t *testing.T) {
	write := func(content string) string {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	type from struct {
		files []string
		words []string
	}
	for _, test := range []struct {
		name string
		a, b from
		same bool
	}{
		{"the same", from{[]string{write("x")}, []string{"go1"}}, from{[]string{write("x")}, []string{"go1"}}, true},
		{"a file changed", from{[]string{write("x")}, nil}, from{[]string{write("y")}, nil}, false},
		{"another version", from{nil, []string{"go1"}}, from{nil, []string{"go2"}}, false},
		{"a line moved from one file to the next", from{[]string{write("x\n"), write("")}, nil}, from{[]string{write(""), write("x\n")}, nil}, false},
		{"a letter moved from one word to the next", from{nil, []string{"ab", "c"}}, from{nil, []string{"a", "bc"}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, err := fingerprint(test.a.files, test.a.words...)
			if err != nil {
				t.Fatal(err)
			}
			b, err := fingerprint(test.b.files, test.b.words...)
			if err != nil {
				t.Fatal(err)
			}
			if same := a == b; same != test.same {
				t.Errorf("same: got %v, want %v", same, test.same)
			}
		})
	}
}

// TestInstallsOnlyWhatIsMissing tells the story of one clone, with an npm that
// writes down that it was called.
func TestInstallsOnlyWhatIsMissing(t *testing.T) {
	root, programs := t.TempDir(), t.TempDir()
	p := place{root: root}
	calls := filepath.Join(programs, "calls")
	t.Setenv("PATH", programs+":/usr/bin:/bin")
	works := "echo >>" + calls + "; mkdir -p node_modules/aws-cdk/bin && echo >node_modules/aws-cdk/bin/cdk"
	spawner := newSpawner()
	defer spawner.close()
	i := installer{place: p, spawner: spawner, progress: func(Step) {}}

	steps := []struct {
		name      string
		lock, npm string
		remove    string
		fails     bool
		calls     int // so far
	}{
		{name: "the first time", lock: "1", npm: works, calls: 1},
		{name: "nothing changed", lock: "1", npm: works, calls: 1},
		{name: "another version", lock: "2", npm: works, calls: 2},
		{name: "an installation fails", lock: "3", npm: "exit 1", fails: true, calls: 2},
		{name: "it is tried again, though its result looks right", lock: "2", npm: works, calls: 3},
		{name: "its result was removed", lock: "2", npm: works, remove: p.cdk(), calls: 4},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			for file, content := range map[string]string{"package.json": "{}", "package-lock.json": step.lock} {
				if err := os.MkdirAll(p.source("npm"), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p.source("npm", file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			program(t, filepath.Join(programs, "npm"), step.npm)
			if step.remove != "" {
				if err := os.Remove(step.remove); err != nil {
					t.Fatal(err)
				}
			}
			err := i.node(t.Context())
			if failed := err != nil; failed != step.fails {
				t.Errorf("failed: got %v, want %v", err, step.fails)
			}
			log, err := os.ReadFile(calls)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(string(log), "\n"); got != step.calls {
				t.Errorf("calls of npm so far: got %d, want %d", got, step.calls)
			}
		})
	}
}

func TestBatchesNameEtcd(t *testing.T) {
	var got []string
	for _, b := range batches(tools()) {
		got = append(got, b.output+": "+strings.Join(b.paths, " "))
	}
	want := []string{
		"etcd: go.etcd.io/etcd/server/v3",
		": k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl k8s.io/kubernetes/cmd/kube-controller-manager k8s.io/kubernetes/cmd/kube-scheduler sigs.k8s.io/kwok/cmd/kwok",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestToolsAreThoseOfTheNestedModule(t *testing.T) {
	mod, err := os.ReadFile("../controlplane/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(mod))
	for _, tool := range tools() {
		if !slices.Contains(lines, tool.path) {
			t.Errorf("%s is no tool of integration/controlplane/go.mod", tool.path)
		}
	}
}

func TestLines(t *testing.T) {
	var got []string
	l := &lines{each: func(line string) { got = append(got, line) }}
	for _, written := range []string{"one\ntw", "o\n", "\nthree"} {
		if n, err := l.Write([]byte(written)); n != len(written) || err != nil {
			t.Fatalf("got %d, %v, want %d, nil", n, err, len(written))
		}
	}
	if diff := cmp.Diff([]string{"one", "two", ""}, got); diff != "" {
		t.Error(diff)
	}
}
