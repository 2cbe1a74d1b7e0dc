package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/leda-autoscaler/leda/scaling"
)

// readFiles reads what the arguments name: files, folders, or - for standard input.
func readFiles(args []string, in io.Reader) ([]scaling.File, error) {
	if len(args) == 0 {
		args = []string{"scaledobjects"}
	}
	var files []scaling.File
	for _, arg := range args {
		if arg == "-" {
			data, err := io.ReadAll(in)
			if err != nil {
				return nil, fmt.Errorf("read standard input: %w", err)
			}
			files = append(files, scaling.File{Name: "standard input", Data: data})
			continue
		}
		info, err := os.Stat(arg)
		if err != nil {
			return nil, fmt.Errorf("%w; name a file, a folder, or - for standard input", err)
		}
		if !info.IsDir() {
			data, err := os.ReadFile(arg)
			if err != nil {
				return nil, err
			}
			files = append(files, scaling.File{Name: arg, Data: data})
			continue
		}
		found, err := scaling.ReadFolder(os.DirFS(arg), ".")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		for _, f := range found {
			f.Name = filepath.Join(arg, f.Name)
			files = append(files, f)
		}
	}
	return files, nil
}
