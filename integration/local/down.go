package main

import (
	"context"
	"fmt"

	"github.com/leda-autoscaler/leda/integration/stack"
)

func down(ctx context.Context, root string) error {
	found, err := stack.Down(ctx, root, name)
	if err != nil {
		return err
	}
	failure, err := stack.Failure(root, name)
	if err != nil {
		return err
	}
	if found {
		fmt.Println("The local stack is down.")
	} else {
		fmt.Println("The local stack is not up.")
	}
	if failure != "" {
		fmt.Printf("It had ended by itself: %s", failure)
	}
	return nil
}
