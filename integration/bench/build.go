package main

import (
	"archive/zip"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// binaries are the function and its baselines, built as the CDK app builds the function.
type binaries struct{ function, hello, bare string }

func build(ctx context.Context, dir string) (binaries, error) {
	b := binaries{filepath.Join(dir, "function", "bootstrap"), filepath.Join(dir, "hello", "bootstrap"), filepath.Join(dir, "bare", "bootstrap")}
	for out, folder := range map[string]string{b.function: "./lambda", b.hello: "./integration/bench/hello", b.bare: "./integration/bench/bare"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-tags", "lambda.norpc", "-o", out, folder)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if printed, err := cmd.CombinedOutput(); err != nil {
			return b, fmt.Errorf("build %s: %w\n%s", folder, err, printed)
		}
	}
	return b, nil
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// zipped is how large a program is as it is uploaded.
func zipped(file string) (int64, error) {
	in, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	var count counter
	archive := zip.NewWriter(&count)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	entry, err := archive.Create(filepath.Base(file))
	if err != nil {
		return 0, err
	}
	if _, err = io.Copy(entry, in); err != nil {
		return 0, err
	}
	return int64(count), archive.Close()
}

type counter int64

// Write implements [io.Writer].
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
