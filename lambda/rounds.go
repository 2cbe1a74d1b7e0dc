package main

import (
	"context"
)

const (
	// GetMetricData's limits for one request. Beyond the points it would answer in pages.
	maxQueries = 500
	maxPoints  = 100800

	// requestsAtOnce bounds the requests for rounds to one address. The more there are, the fewer queries go
	// together, and CloudWatch allows about 50 a second.
	requestsAtOnce = 4
)

// round is queries that are asked together. What comes while the requests before it are under way joins it.
type round struct {
	queries []query
	points  int
	waiting int  // who is interested
	begun   bool // no query joins any more

	done  chan struct{} // closed when the answer is there
	found []*series
	err   error
}

// askAlone asks for one query.
func (c *cloudWatch) askAlone(ctx context.Context, w window, q query) (*series, error) {
	found, err := c.get(ctx, w, []query{q})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// askTogether asks for one query with those of others: at once, if there is nothing to wait for.
func (c *cloudWatch) askTogether(ctx context.Context, w window, q query, points int) (*series, error) {
	r, at, turns := c.join(w, q, points)
	defer c.leave(w, r)
	for {
		select {
		case <-r.done:
			if r.err != nil {
				return nil, r.err
			}
			return r.found[at], nil
		case turns <- struct{}{}:
			if c.begin(w, r) { // for all who wait for it
				r.found, r.err = c.get(ctx, w, r.queries)
				close(r.done)
			}
			<-turns
			turns = nil // someone else has begun it, else it is done
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *cloudWatch) join(w window, q query, points int) (r *round, at int, turns chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rounds == nil {
		c.rounds, c.turns = map[window]*round{}, map[place]chan struct{}{}
	}
	if c.turns[w.place] == nil {
		c.turns[w.place] = make(chan struct{}, requestsAtOnce)
	}
	r = c.rounds[w]
	if r == nil || len(r.queries) == maxQueries || r.points+points > maxPoints {
		r = &round{done: make(chan struct{})} // who waits for a full one still has it
		c.rounds[w] = r
	}
	r.queries = append(r.queries, q)
	r.points += points
	r.waiting++
	return r, len(r.queries) - 1, c.turns[w.place]
}

// begin says whether it is the caller who asks for the round's queries.
func (c *cloudWatch) begin(w window, r *round) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.begun {
		return false
	}
	r.begun = true
	c.close(w, r)
	return true
}

// leave drops a round that nobody waits for any more.
func (c *cloudWatch) leave(w window, r *round) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.waiting--; r.waiting == 0 {
		c.close(w, r)
	}
}

func (c *cloudWatch) close(w window, r *round) {
	if c.rounds[w] == r {
		delete(c.rounds, w)
	}
}
