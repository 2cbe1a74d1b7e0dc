package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// python installs integration/NAME/requirements.txt into a virtual environment.
// It always lists the whole closure, so that nothing is left to be resolved.
func (i installer) python(ctx context.Context, name string) error {
	requirements := i.source(name, "requirements.txt")
	stamp, err := fingerprint([]string{requirements}, i.root)
	if err != nil {
		return err
	}
	python := i.place.python(name)
	if i.upToDate(name, stamp) && exec.CommandContext(ctx, python, "-c", "import pip").Run() == nil {
		return nil // and the Python it was made with is still there
	}

	done := i.progress.timed("Python environment for " + name)
	if err := i.unstamp(name); err != nil {
		return err
	}
	create := exec.CommandContext(ctx, "python3", "-m", "venv", "--clear", i.local("venv", name))
	if _, err := i.spawner.run(ctx, create); err != nil {
		return fmt.Errorf("make a virtual environment for %s: %w", name, err)
	}
	install := exec.CommandContext(ctx, python, "-m", "pip", "install", "--quiet", "--no-cache-dir",
		"--disable-pip-version-check", "--no-input", "--no-deps", "--requirement", requirements)
	if _, err := i.spawner.run(ctx, install); err != nil {
		return fmt.Errorf("install %s: %w", requirements, err)
	}
	done()
	return i.stamp(name, stamp)
}

// node installs the CDK's command line.
func (i installer) node(ctx context.Context) error {
	manifests := []string{i.source("npm", "package.json"), i.source("npm", "package-lock.json")}
	stamp, err := fingerprint(manifests)
	if err != nil {
		return err
	}
	if _, err := os.Stat(i.cdk()); err == nil && i.upToDate("npm", stamp) {
		return nil
	}

	done := i.progress.timed("AWS CDK command line")
	if err := i.unstamp("npm"); err != nil {
		return err
	}
	folder := i.local("npm")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for _, manifest := range manifests {
		if err := copyFile(manifest, filepath.Join(folder, filepath.Base(manifest))); err != nil {
			return err
		}
	}
	cache := i.local("npm-cache")
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--cache", cache)
	install.Dir = folder
	if _, err := i.spawner.run(ctx, install); err != nil {
		return fmt.Errorf("install %s: %w", manifests[1], err)
	}
	if err := os.RemoveAll(cache); err != nil {
		return err
	}
	done()
	return i.stamp("npm", stamp)
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}
