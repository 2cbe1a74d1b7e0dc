package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

const (
	// statusInterval is the least time between two writes of a status: a look each few seconds is no reason for as many.
	statusInterval = 15 * time.Second

	// activeInterval is how often a status is written of which only the last active time has moved.
	activeInterval = 5 * time.Minute
)

// report writes the status after a look, if there is anything new in it.
func (m *member) report(ctx context.Context, t *target, o outcome, now time.Time) {
	if m.contested() || now.Sub(m.written) < statusInterval {
		return
	}
	var problems scaling.Problems
	if !o.decided {
		problems = scaling.Problems{{Message: o.Error}}
	}
	original := t.original
	if original == nil && o.decided {
		original = &o.decision.From
	}
	status := scaling.StatusOf(t.ScaledObject, o.decision, problems, original).After(m.status)
	if t.original != nil { // what is stored for the day it is deleted
		status.OriginalReplicaCount = t.original
	}
	if status.Same(m.status) || now.Sub(m.written) < activeInterval && status.Same(at(m.status, status.LastActiveTime)) {
		return
	}
	m.write(ctx, status)
}

// at is a status with another last active time.
func at(s scaling.Status, lastActive time.Time) scaling.Status {
	s.LastActiveTime = lastActive
	return s
}

// write writes the status. When it cannot be, that is a line an hour: the workload is scaled all the same.
func (m *member) write(ctx context.Context, status scaling.Status) {
	s := m.source
	ctx, cancel := context.WithTimeout(ctx, freshness)
	defer cancel()
	m.written = s.now()
	object, err := m.space.objects.SetStatus(ctx, m.object, m.status, status)
	switch {
	case err == nil:
		// What the server has now goes by the next watch; the text stays the one that was parsed.
		m.object.Version, m.object.Status, m.status = object.Version, object.Status, status
	case errors.Is(err, kube.ErrConflict), errors.Is(err, kube.ErrNotFound): // the next tick sees why
	default:
		if s.said.due(s.now(), time.Hour, "no status"+m.space.name) {
			s.log.LogAttrs(ctx, slog.LevelWarn, "no status",
				slog.String("cluster", s.cluster.Name), slog.String("scaledObject", m.space.name+"/"+m.object.Name), slog.String("error", err.Error()))
		}
	}
}

// tellStatuses writes the status of the shard's ScaledObjects that are not looked at: those that have problems, and those
// that are left to KEDA.
func (s *source) tellStatuses(ctx context.Context, w wake) {
	places := make(chan struct{}, writersAtOnce)
	var all together
	for _, p := range s.spaces {
		for _, m := range p.members {
			if shardOf(s.cluster.Name, p.name, m.parsed.Bucket, w.shards) != w.shard {
				continue
			}
			var tell func()
			switch status := m.invalid(); {
			case m.aside != "":
				tell = func() { m.noteAside(ctx) }
			case m.target == nil && !m.contested() && !status.Same(m.status):
				tell = func() { m.write(ctx, status) }
				if s.said.due(s.now(), time.Hour, "scaledobject is not scaled"+p.name+"/"+m.object.Name+m.parsed.Problems.Error()) {
					s.log.LogAttrs(ctx, slog.LevelError, "scaledobject is not scaled",
						slog.String("target", s.cluster.Name+"/"+p.name+"/"+m.object.Name), slog.String("error", m.parsed.Problems.Error()))
				}
			default:
				continue
			}
			places <- struct{}{}
			all.Go(func() {
				defer func() { <-places }()
				tell()
			})
		}
	}
	all.Wait()
}

// invalid is the status of a ScaledObject with problems.
func (m *member) invalid() scaling.Status {
	if m.target != nil {
		return scaling.Status{}
	}
	return scaling.StatusOf(&m.parsed.ScaledObject, scaling.Decision{}, m.parsed.Problems, nil).After(m.status)
}
