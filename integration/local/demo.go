package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/leda-autoscaler/leda/integration/stack"
	"github.com/leda-autoscaler/leda/integration/story"
)

// demo plays the walk-through on a stack of its own and leaves nothing behind.
func demo(ctx context.Context, root string) (err error) {
	began := time.Now()
	fmt.Println("## The local stack: AWS (MiniStack) and Kubernetes, no Docker, no account")
	s, err := stack.Start(ctx, root, "demo", stack.Print(os.Stdout))
	if err != nil {
		return err
	}
	defer func() {
		fmt.Println("\n## Stopping the local stack; nothing stays behind")
		err = errors.Join(err, s.Stop())
		if err == nil {
			fmt.Printf("Done in %.0f s.\n", time.Since(began).Seconds())
		}
	}()
	up := time.Since(began)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.Context(), func() { cancel(context.Cause(s.Context())) })()

	if err := story.Deploy(ctx, root, s.Environ(), os.Stdout); err != nil {
		return err
	}
	deployed := time.Since(began)
	if err := story.Play(ctx, root, s.Environ(), os.Stdout); err != nil {
		return err
	}
	fmt.Printf("\nThe stack was up after %.0f s, Leda deployed after %.0f s, the story told after %.0f s.\n",
		up.Seconds(), deployed.Seconds(), time.Since(began).Seconds())
	return nil
}
