package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What was built can be built again by anybody: two folders, one function.
func TestTheFunctionIsReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the function")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	for _, part := range []string{"kube", "lambda", "scaling"} {
		if err := os.CopyFS(filepath.Join(elsewhere, part), os.DirFS(filepath.Join(root, part))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err == nil {
			err = os.WriteFile(filepath.Join(elsewhere, file), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var built [2][]byte
	for i, folder := range []string{root, elsewhere} {
		program := filepath.Join(t.TempDir(), "bootstrap")
		if err := build(t.Context(), folder, program); err != nil {
			t.Fatal(err)
		}
		if built[i], err = os.ReadFile(program); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(built[0], built[1]) {
		t.Errorf("two builds of the same source differ: %d and %d bytes", len(built[0]), len(built[1]))
	}
}
