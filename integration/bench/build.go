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

// binaries are the function and its baseline, built as the CDK app builds the function.
type binaries struct{ function, hello string }

func build(ctx context.Context, dir string) (binaries, error) {
	b := binaries{filepath.Join(dir, "function", "bootstrap"), filepath.Join(dir, "hello", "bootstrap")}
	for out, folder := range map[string]string{b.function: "./lambda", b.hello: "./integration/bench/hello"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-tags", "lambda.norpc", "-o", out, folder)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if printed, err := cmd.CombinedOutput(); err != nil {
			return b, fmt.Errorf("build %s: %w\n%s", folder, err, printed)
		}
	}
	return b, nil
}

// size prints how large the function is, as it is and as it is uploaded.
func (b binaries) size() error {
	for _, row := range []struct{ name, file string }{{"function", b.function}, {"hello-world", b.hello}} {
		plain, zipped, err := sizes(row.file)
		if err != nil {
			return err
		}
		fmt.Printf("size of the %-12s %6.2f MiB, zip %5.2f MiB\n", row.name, mebibytes(plain), mebibytes(zipped))
	}
	return nil
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

func sizes(file string) (plain, zipped int64, err error) {
	in, err := os.Open(file)
	if err != nil {
		return 0, 0, err
	}
	defer in.Close()
	var count counter
	archive := zip.NewWriter(&count)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	entry, err := archive.Create(filepath.Base(file))
	if err != nil {
		return 0, 0, err
	}
	if plain, err = io.Copy(entry, in); err != nil {
		return 0, 0, err
	}
	return plain, int64(count), archive.Close()
}

type counter int64

// Write implements [io.Writer].
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
