package stack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A tool is a program of the control plane, built from the nested module.
type tool struct {
	name    string
	path    string // of its package
	envtest bool   // KUBEBUILDER_ASSETS may have it
}

func tools() []tool {
	return []tool{
		{name: "etcd", path: "go.etcd.io/etcd/server/v3", envtest: true},
		{name: "kube-apiserver", path: "k8s.io/kubernetes/cmd/kube-apiserver", envtest: true},
		{name: "kubectl", path: "k8s.io/kubernetes/cmd/kubectl", envtest: true},
		{name: "kube-controller-manager", path: "k8s.io/kubernetes/cmd/kube-controller-manager"},
		{name: "kube-scheduler", path: "k8s.io/kubernetes/cmd/kube-scheduler"},
		{name: "kwok", path: "sigs.k8s.io/kwok/cmd/kwok"},
	}
}

// Without its version kubectl cannot read its own.
const linkerFlags = "-s -w" +
	" -X k8s.io/component-base/version.gitVersion=v1.37.2" +
	" -X k8s.io/component-base/version.gitMajor=1" +
	" -X k8s.io/component-base/version.gitMinor=37"

// tool returns where a program is: where KUBEBUILDER_ASSETS has it, or built.
func (p place) tool(name string) string {
	if file, given := p.given(name); given {
		return file
	}
	return p.local("bin", name)
}

func (p place) given(name string) (string, bool) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		return "", false
	}
	for _, t := range tools() {
		if t.name == name && t.envtest {
			file := filepath.Join(assets, name)
			info, err := os.Stat(file)
			return file, err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
		}
	}
	return "", false
}

// allGiven names the programs that KUBEBUILDER_ASSETS has.
func (p place) allGiven() []string {
	var names []string
	for _, t := range tools() {
		if _, given := p.given(t.name); given {
			names = append(names, t.name)
		}
	}
	return names
}

// controlPlane builds the tools that are missing or outdated.
func (i installer) controlPlane(ctx context.Context) error {
	module := i.source("controlplane")
	stamp, err := fingerprint([]string{filepath.Join(module, "go.mod"), filepath.Join(module, "go.sum")},
		runtime.Version(), runtime.GOOS, runtime.GOARCH, linkerFlags)
	if err != nil {
		return err
	}
	var missing []tool
	for _, t := range tools() {
		if _, given := i.given(t.name); given {
			continue
		}
		if _, err := os.Stat(i.local("bin", t.name)); err != nil || !i.upToDate(t.name, stamp) {
			missing = append(missing, t)
		}
	}
	if missing != nil {
		if err := i.build(ctx, module, missing, stamp); err != nil {
			return fmt.Errorf("build the control plane: %w", err)
		}
	}
	return i.stages(ctx, module, stamp)
}

// build compiles tools. What takes minutes when Go's build cache is empty shows
// as a count of packages.
func (i installer) build(ctx context.Context, module string, missing []tool, stamp string) error {
	var names, paths []string
	for _, t := range missing {
		names, paths = append(names, t.name), append(paths, t.path)
		if err := i.unstamp(t.name); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(i.local("bin"), 0o700); err != nil {
		return err
	}
	done := i.progress.timed("build " + strings.Join(names, ", "))

	status := i.progress.status("build the control plane")
	defer status.close()

	downloaded := 0
	list := i.goCommand(ctx, module, "list", "-deps")
	list.Args = append(list.Args, paths...)
	list.Stderr = &lines{each: func(line string) {
		if strings.HasPrefix(line, "go: downloading ") {
			downloaded++
			status.set("build the control plane: %d modules downloaded", downloaded)
		}
	}}
	packages, err := i.spawner.run(ctx, list)
	if err != nil {
		return err
	}

	total, compiled := strings.Count(packages, "\n")-downloaded, 0
	for _, batch := range batches(missing) {
		build := i.goCommand(ctx, module, "build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", linkerFlags, "-o", i.local("bin", batch.output))
		build.Args = append(build.Args, batch.paths...)
		build.Stderr = &lines{each: func(string) {
			compiled++ // a line is a package that was not in Go's build cache
			status.set("build the control plane: %d of at most %d packages", compiled, total)
		}}
		if _, err := i.spawner.run(ctx, build); err != nil {
			return err
		}
	}
	done()
	for _, t := range missing {
		if err := i.stamp(t.name, stamp); err != nil {
			return err
		}
	}
	return nil
}

func (i installer) goCommand(ctx context.Context, module string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	cmd.Env = environment("CGO_ENABLED=0", "GOWORK=off", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	return cmd
}

// A batch is what one go build makes: a file, or a folder full.
type batch struct {
	output string // below .local/bin
	paths  []string
}

// batches names etcd, which go build would call "server", and builds the rest
// in one go so that linking one and compiling another overlap.
func batches(missing []tool) []batch {
	var all []batch
	var rest batch // into the folder itself
	for _, t := range missing {
		if t.name == "etcd" {
			all = append(all, batch{output: t.name, paths: []string{t.path}})
		} else {
			rest.paths = append(rest.paths, t.path)
		}
	}
	if rest.paths != nil {
		all = append(all, rest)
	}
	return all
}

// stageFiles tell kwok what nodes and pods go through. Its module has them.
func stageFiles() []string {
	return []string{"node/fast/node-initialize.yaml", "pod/fast/pod-ready.yaml", "pod/fast/pod-delete.yaml"}
}

func (p place) stageFile(stage string) string { return p.local("kwok", filepath.Base(stage)) }

func (i installer) stages(ctx context.Context, module, stamp string) error {
	missing := func(stage string) bool {
		_, err := os.Stat(i.stageFile(stage))
		return err != nil
	}
	if i.upToDate("kwok-stages", stamp) && !slices.ContainsFunc(stageFiles(), missing) {
		return nil
	}
	answer, err := i.goCommand(ctx, module, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok").Output()
	if err != nil {
		return fmt.Errorf("find kwok's module: %w", err)
	}
	if err := os.MkdirAll(i.local("kwok"), 0o700); err != nil {
		return err
	}
	for _, stage := range stageFiles() {
		from := filepath.Join(strings.TrimSpace(string(answer)), "kustomize", "stage", stage)
		if err := copyFile(from, i.stageFile(stage)); err != nil {
			return err
		}
	}
	return i.stamp("kwok-stages", stamp)
}

// lines calls each with every whole line written to it.
type lines struct {
	each    func(string)
	partial []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.partial = append(l.partial, p...)
	for {
		line, rest, found := bytes.Cut(l.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.each(string(line))
		l.partial = rest
	}
}
