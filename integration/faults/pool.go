package main

import (
	"context"
	"errors"
	"fmt"
)

// pool is worlds that are used side by side.
type pool chan *world

func newPool(ctx context.Context, plane *controlPlane, program, folder string, n int) (pool, error) {
	var worlds []*world
	p := make(pool, n)
	for i := range n {
		nowhere := &edge{address: loopback + ":9"} // the servers are each trial's own; rights do not depend on them
		w := &world{
			name: fmt.Sprintf("w%d", i), plane: plane, program: program, folder: folder, behavior: atOnce,
			sqs: nowhere, victimSQS: nowhere, cloudWatch: nowhere, farAPI: nowhere,
		}
		worlds = append(worlds, w)
		p <- w
	}
	return p, prepare(ctx, plane, worlds)
}

// trial is what is tried in a world of its own.
type trial interface {
	fmt.Stringer
	run(ctx context.Context, w *world) error
}

// play runs trials, as many at once as there are worlds, and tells of each that is over.
func play[T trial](ctx context.Context, worlds pool, trials []T, told func(T)) error {
	over := make(chan error, len(trials))
	for _, t := range trials {
		place := <-worlds
		go func() {
			w, err := newWorld(place.plane, place.program, place.folder, place.name)
			if err == nil {
				err = t.run(ctx, w)
				w.close()
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", t, err)
			}
			told(t)
			worlds <- place
			over <- err
		}()
	}
	var errs []error
	for range trials {
		errs = append(errs, <-over)
	}
	return errors.Join(errs...)
}
