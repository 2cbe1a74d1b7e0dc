package main

import (
	"container/heap"
	"context"
	"time"
)

// A turn is when a target is to be looked at.
type turn struct {
	target *target
	at     time.Time
	nth    int // of this target in this invocation, from 0
}

// looked is a turn that is over.
type looked struct {
	turn
	began   time.Time
	outcome outcome
	skipped bool // there was no place before the last moment for a look
}

// A rota gives targets their turns. Each is looked at when its turn comes, beside all others: one that is
// slow delays none, but for those of its own cluster when it takes the last of the cluster's places.
type rota struct {
	now   func() time.Time
	last  time.Time // no look is due after it
	look  func(context.Context, turn) outcome
	again func(looked) (at time.Time, ok bool) // when the target's next turn is, if it has one
	later <-chan []turn                        // the turns of targets that join; closed when no more do, nil when none do
}

// run takes the turns until none is left, or ctx ends. All looks that were begun have ended by then.
func (r rota) run(ctx context.Context, first []turn) {
	var (
		waiting = turns(first)
		places  = map[string]chan struct{}{} // of each cluster
		over    = make(chan looked)
		running = 0
		timer   = time.NewTimer(0)
		ended   = ctx.Done()
	)
	defer timer.Stop()
	heap.Init(&waiting)
	for {
		for cluster, due := range waiting.due(r.now()) {
			if places[cluster] == nil {
				places[cluster] = make(chan struct{}, concurrency)
			}
			running += len(due)
			go r.take(ctx, due, places[cluster], over)
		}
		if running == 0 && len(waiting) == 0 && r.later == nil {
			return
		}
		var next <-chan time.Time
		if len(waiting) > 0 {
			timer.Reset(waiting[0].at.Sub(r.now()))
			next = timer.C
		}
		select {
		case l := <-over:
			running--
			if at, ok := r.again(l); ok && ended != nil && !at.After(r.last) {
				heap.Push(&waiting, turn{l.target, at, l.nth + 1})
			}
		case joining, ok := <-r.later:
			if !ok {
				r.later = nil
			}
			for _, t := range joining {
				if ended != nil {
					heap.Push(&waiting, t)
				}
			}
		case <-next:
		case <-ended:
			waiting, ended = nil, nil
		}
	}
}

// take looks at targets whose turn has come, as places become free. A goroutine looks at one after the other: a new
// one for each would spend a seventh of the pass's processor time on growing its stack to what the AWS SDK needs.
func (r rota) take(ctx context.Context, due []turn, places chan struct{}, over chan<- looked) {
	turns := make(chan turn)
	for range min(len(due), concurrency) {
		go func() {
			for t := range turns {
				places <- struct{}{}
				l := looked{turn: t, began: r.now()}
				if l.skipped = l.began.Sub(r.last) > punctual; !l.skipped {
					l.outcome = r.look(ctx, t)
				}
				<-places
				over <- l
			}
		}()
	}
	for _, t := range due {
		turns <- t
	}
	close(turns)
}

// turns is a heap, the next turn first.
type turns []turn

// due takes out the turns that have come, by cluster.
func (ts *turns) due(now time.Time) map[string][]turn {
	due := map[string][]turn{}
	for len(*ts) > 0 && !(*ts)[0].at.After(now) {
		if t, ok := heap.Pop(ts).(turn); ok {
			due[t.target.Cluster] = append(due[t.target.Cluster], t)
		}
	}
	return due
}

// Len implements [heap.Interface], and so do the methods below.
func (ts turns) Len() int { return len(ts) }

// Less puts the earlier first.
func (ts turns) Less(i, j int) bool { return ts[i].at.Before(ts[j].at) }

// Swap exchanges two.
func (ts turns) Swap(i, j int) { ts[i], ts[j] = ts[j], ts[i] }

// Push adds a turn.
func (ts *turns) Push(x any) {
	if t, ok := x.(turn); ok {
		*ts = append(*ts, t)
	}
}

// Pop removes the last.
func (ts *turns) Pop() any {
	last := (*ts)[len(*ts)-1]
	*ts = (*ts)[:len(*ts)-1]
	return last
}
