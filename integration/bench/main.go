// Command bench measures what the function costs and prints each figure with the most that it may be and its
// baseline of the same run: `make bench`. With arguments it measures these parts only:
//
//	go run ./integration/bench start decide first warm shards pass minute reaction
//
// The function is the real program, each in a process of its own, behind a Lambda Runtime API. Kubernetes is a real
// etcd and kube-apiserver without controllers; SQS and EKS are a TLS server that checks signatures. The figures are of
// one machine and say little about another; the ratios do.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	b := bench{out: os.Stdout}
	flag.IntVar(&b.size, "targets", 10000, "how many `targets` a large fleet has")
	flag.Parse()
	if err := b.run(ctx, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is what the parts share.
type bench struct {
	out      io.Writer
	size     int
	dir      string
	programs binaries
	aws      *amazon
	plane    *controlPlane
	kube     *admin
	fleet    []target // the large one, when it has been made
}

// part is some rows of the table.
type part struct {
	name    string
	cluster bool // it needs one
	measure func(context.Context) error
}

func (b *bench) parts() []part {
	return []part{
		{"start", false, b.start},
		{"decide", false, b.decide},
		{"first", true, b.first},
		{"warm", true, b.warm},
		{"shards", true, b.shards},
		{"pass", true, b.pass},
		{"minute", true, b.minute},
		{"reaction", true, b.reaction},
	}
}

func (b *bench) run(ctx context.Context, names []string) error {
	parts := b.parts()
	for _, name := range names {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			return fmt.Errorf("there is no part %q", name)
		}
	}
	parts = slices.DeleteFunc(parts, func(p part) bool { return len(names) > 0 && !slices.Contains(names, p.name) })
	var err error
	if b.dir, err = os.MkdirTemp("", "leda-bench"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }() // what stays in the temporary folder harms nobody
	if b.programs, err = build(ctx, b.dir); err != nil {
		return err
	}
	if slices.ContainsFunc(parts, func(p part) bool { return p.cluster }) {
		if b.aws, err = serveAmazon(b.dir); err != nil {
			return err
		}
		defer b.aws.Close()
		if b.plane, err = startControlPlane(ctx, b.dir, b.aws); err != nil {
			return err
		}
		defer b.plane.stop()
		b.kube = b.plane.admin()
	}
	for _, p := range parts {
		if err := p.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func (b *bench) print(rows ...row) {
	for _, r := range rows {
		r.print(b.out)
	}
}
