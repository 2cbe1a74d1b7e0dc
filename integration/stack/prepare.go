package stack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Prepare builds and installs below .local what Start needs and what is missing
// or outdated there. With everything in place it takes a few milliseconds.
func Prepare(ctx context.Context, root string, progress Progress) error {
	return prepare(ctx, root, progress, func(i installer) []step {
		return []step{
			i.controlPlane,
			func(ctx context.Context) error { return i.python(ctx, "ministack") },
			func(ctx context.Context) error { return i.python(ctx, "awscli") },
			i.node,
			i.cdkApp,
		}
	})
}

// PrepareTemplateLinters installs below .local what checks the templates.
func PrepareTemplateLinters(ctx context.Context, root string, progress Progress) error {
	return prepare(ctx, root, progress, func(i installer) []step {
		return []step{func(ctx context.Context) error { return i.python(ctx, "templates") }}
	})
}

// A step is a part of the preparation, and waits for no other one.
type step func(context.Context) error

func prepare(ctx context.Context, root string, progress Progress, steps func(installer) []step) error {
	p, err := newPlace(root)
	if err != nil {
		return err
	}
	progress = oneAtATime(progress)
	unlock, err := lock(ctx, p.local("prepare.lock"), func() {
		progress(Step{Text: "waiting for another process that is installing into " + p.local(), Done: true})
	})
	if err != nil {
		return err
	}
	defer unlock()

	spawner := newSpawner()
	defer spawner.close()
	group, ctx := errgroup.WithContext(ctx)
	for _, step := range steps(installer{place: p, spawner: spawner, progress: progress}) {
		group.Go(func() error { return step(ctx) })
	}
	return group.Wait()
}

// An installer puts things into .local. Each comes with a stamp, a file that
// says from what it was made, written last: an interrupted installation has none.
type installer struct {
	place
	spawner  *spawner
	progress Progress
}

func (i installer) stampFile(name string) string { return i.local("stamps", name) }

func (i installer) upToDate(name, stamp string) bool {
	content, err := os.ReadFile(i.stampFile(name))
	return err == nil && string(content) == stamp
}

func (i installer) stamp(name, stamp string) error {
	file := i.stampFile(name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(stamp), 0o600)
}

// unstamp comes before a change, so that half a change is not taken for a whole one.
func (i installer) unstamp(name string) error {
	if err := os.Remove(i.stampFile(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// fingerprint is a hash of the files' content and of the words.
func fingerprint(files []string, words ...string) (string, error) {
	hash := sha256.New()
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%d\n", len(content))
		hash.Write(content)
	}
	for _, word := range words {
		fmt.Fprintf(hash, "%d\n%s", len(word), word)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// environment is ours with some variables set anew.
func environment(variables ...string) []string {
	return overlay(os.Environ(), variables)
}

func overlay(environ, variables []string) []string {
	name := func(v string) string { n, _, _ := strings.Cut(v, "="); return n }
	kept := slices.DeleteFunc(slices.Clone(environ), func(old string) bool {
		return slices.ContainsFunc(variables, func(v string) bool { return name(v) == name(old) })
	})
	return append(kept, variables...)
}
