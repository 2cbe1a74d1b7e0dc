package main

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// together is what a look does at once. A fault in our own code in any of it becomes the fault of the look that
// waits for it: by itself it would end the process, and with it everybody's looks.
type together struct {
	all sync.WaitGroup

	mu    sync.Mutex
	fault string
}

// Go begins f.
func (t *together) Go(f func()) {
	t.all.Go(func() {
		defer func() {
			if fault := recover(); fault != nil {
				t.mu.Lock()
				defer t.mu.Unlock()
				t.fault = fmt.Sprintf("%v: %s", fault, debug.Stack())
			}
		}()
		f()
	})
}

// Wait waits until all is over, and panics if any of it did.
func (t *together) Wait() {
	t.all.Wait()
	if t.fault != "" {
		panic(t.fault)
	}
}
