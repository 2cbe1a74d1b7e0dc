package main

import (
	"math"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// simulation is one ScaledObject and the series that it is tried on.
type simulation struct {
	object   *scaling.ScaledObject
	rows     []row
	created  time.Time
	replicas int32         // before the first row; below 0 for the least there may be
	every    time.Duration // look this often between rows too; 0 for at rows only
	rate     float64       // messages that a replica finishes in a second; 0 when queues are as the series says
}

// mostLooks bounds what one simulation keeps.
const mostLooks = 1_000_000

// looks is how many decisions there will be.
func (s simulation) looks() int {
	n := len(s.rows)
	for i := 1; i < len(s.rows) && s.every > 0; i++ {
		if gap := s.rows[i].at.Sub(s.rows[i-1].at); gap > 0 {
			n += int((gap - 1) / s.every)
		}
	}
	return n
}

// run decides at every look. By the next look the workload has reached the size that was decided.
func (s simulation) run(show func(scaling.Decision)) {
	o := s.object
	replicas := s.replicas
	if replicas < 0 {
		replicas = o.Min()
	}
	if o.Pause.Replicas != nil {
		replicas = *o.Pause.Replicas
	}
	var memory scaling.Memory
	if o.Policy == scaling.PolicyKEDA {
		memory = scaling.Memory{Since: s.created, Created: s.created} // KEDA's rules for a new ScaledObject
	}
	queues := backlog{triggers: o.Triggers, rate: s.rate, depth: make([]float64, len(o.Triggers))}
	look := func(at time.Time, r row, readings []scaling.Reading) {
		seen := scaling.Observed{Replicas: replicas, Current: replicas, Ready: replicas, Readings: readings, Memory: memory}
		if r.ready != nil {
			seen.Ready = *r.ready
		}
		d := scaling.Decide(o, seen, at)
		show(d)
		replicas, memory = d.To, d.MemoryAfter()
	}
	for i, r := range s.rows {
		share := 1.0 // of the row's arrivals that are still to come
		if i > 0 {
			before := s.rows[i-1]
			gap, last := r.at.Sub(before.at), before.at
			for at := before.at.Add(s.every); s.every > 0 && at.Before(r.at); at = at.Add(s.every) {
				part := float64(s.every) / float64(gap)
				queues.pass(r, part, replicas, s.every)
				look(at, row{ready: before.ready}, queues.readings(before, at))
				share, last = share-part, at
			}
			queues.pass(r, share, replicas, r.at.Sub(last))
		} else {
			queues.pass(r, 1, 0, 0)
		}
		if r.replicas != nil {
			replicas = *r.replicas
		}
		look(r.at, r, queues.readings(r, r.at))
	}
}

// totals runs the simulation for its totals alone.
func (s simulation) totals() *totals {
	t := s.newTotals()
	s.run(t.add)
	return t
}

func (s simulation) newTotals() *totals {
	t := &totals{object: s.object, rate: s.rate}
	for _, r := range s.rows {
		for i, reading := range r.readings {
			if s.rate > 0 && reading.Err == nil && s.object.Triggers[i].Type == scaling.TypeSQS {
				t.arrived += reading.Value
			}
		}
	}
	return t
}

// backlog is the model of a closed loop: messages arrive evenly between rows, every replica finishes rate
// messages a second for as long as there are any, and several queues share the replicas by what is in
// them. Without a rate it passes the series on.
type backlog struct {
	triggers []scaling.Trigger
	rate     float64
	depth    []float64 // messages in each trigger's queue, those being worked on included
}

// pass lets time pass: part of the row's messages arrive, and replicas work.
func (b backlog) pass(r row, part float64, replicas int32, time time.Duration) {
	if b.rate == 0 {
		return
	}
	work := 0.0
	for i, reading := range r.readings {
		if b.triggers[i].Type == scaling.TypeSQS {
			if reading.Err == nil {
				b.depth[i] += reading.Value * part
			}
			work += b.depth[i]
		}
	}
	if work == 0 {
		return
	}
	done := min(1, b.rate*float64(replicas)*time.Seconds()/work)
	for i := range b.depth {
		b.depth[i] -= b.depth[i] * done
	}
}

// readings are what the triggers say at a look that sees the row.
func (b backlog) readings(r row, at time.Time) []scaling.Reading {
	readings := make([]scaling.Reading, len(r.readings))
	for i, reading := range r.readings {
		switch t := &b.triggers[i]; {
		case t.Type == scaling.TypeCron:
			readings[i] = t.CronReading(at)
		case t.Type == scaling.TypeSQS && b.rate > 0 && reading.Err == nil:
			// A message that is half done is still there; what is left of the arithmetic's rounding is not.
			readings[i] = t.Reading(math.Ceil(max(0, b.depth[i]-1e-6)))
		default:
			readings[i] = reading
		}
	}
	return readings
}
