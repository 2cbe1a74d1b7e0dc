package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

// vanished is a ScaledObject that was there and is listed no more. It is not looked at. Only when it is certain that somebody
// deleted it, its workload gets back the size from before, if that was asked for.
type vanished struct {
	space   *space
	name    string
	bucket  int
	certain bool // it is being deleted, as its deletionTimestamp says
	absent  int  // in how many ticks the server has said that it is not there
}

// absentTicks is in how many ticks an object must be absent to count as deleted.
const absentTicks = 2

// tooMany says whether so many deletions at once, of so many ScaledObjects that there were, are more likely an accident
// than a wish: all of several, or more than three that are more than a tenth.
func tooMany(vanished, were int) bool {
	return vanished > 1 && (vanished == were || vanished > 3 && vanished*10 > were)
}

// seeTo sees to what has vanished.
func (s *source) seeTo(ctx context.Context, w wake) {
	gone, were := s.gone, s.were
	s.gone = nil
	if orphans := s.orphans(ctx, w); len(orphans) > 0 {
		if were == 0 { // nothing was listed before
			were = s.count()
		}
		gone, were = append(gone, orphans...), were+len(orphans)
	}
	if tooMany(len(gone), were) {
		names := make([]string, len(gone))
		for i, v := range gone {
			names[i] = v.space.name + "/" + v.name
		}
		s.log.WarnContext(ctx, "too many ScaledObjects vanished at once: none is restored", "cluster", s.cluster.Name,
			"vanished", len(gone), "were", were, "scaledObjects", few(names))
		for _, v := range gone {
			if v.of(s, w) {
				s.tellRestore(ctx, v, s.spare(ctx, v))
			}
		}
		return
	}
	for _, v := range gone {
		s.vanished[v.space.name+"/"+v.name] = v
	}
	for id, v := range s.vanished {
		if !v.of(s, w) {
			continue // another shard's, or this one's at another time
		}
		over, err := s.settle(ctx, v)
		if over {
			delete(s.vanished, id)
		}
		s.tellRestore(ctx, v, err)
	}
}

func (s *source) count() (n int) {
	for _, p := range s.spaces {
		n += len(p.members)
	}
	return n
}

// of says whether it belongs to the shard of the wake.
func (v *vanished) of(s *source, w wake) bool {
	return shardOf(s.cluster.Name, v.space.name, v.bucket, w.shards) == w.shard
}

func (s *source) tellRestore(ctx context.Context, v *vanished, err error) {
	if err == nil {
		return
	}
	id := v.space.name + "/" + v.name
	if s.said.due(s.now(), time.Minute, "not restored"+id+err.Error()) {
		s.log.LogAttrs(ctx, slog.LevelError, "not restored",
			slog.String("target", s.cluster.Name+"/"+id), slog.String("error", err.Error()))
	}
}

// orphans are what the shard's memory knows and nobody lists any more. They are searched for once a process, when it has
// listed what there is: what it sees vanish itself it knows.
func (s *source) orphans(ctx context.Context, w wake) []*vanished {
	var found []*vanished
	for _, p := range s.spaces {
		if !p.current {
			continue
		}
		for n := range s.cluster.MemoryBuckets() {
			if p.searched[n] || shardOf(s.cluster.Name, p.name, n, w.shards) != w.shard {
				continue
			}
			originals, err := s.memories.bucket(s.cluster, p.name, n).Originals(ctx, false)
			if err != nil {
				if s.said.due(s.now(), time.Minute, "memory not searched"+p.name) {
					s.log.LogAttrs(ctx, slog.LevelWarn, "memory not searched",
						slog.String("cluster", s.cluster.Name), slog.String("error", err.Error()))
				}
				continue
			}
			p.searched[n] = true
			for name, original := range originals {
				object, listed := p.objects.Get(name)
				if _, known := p.members[name]; !known && !original.Spared && s.vanished[p.name+"/"+name] == nil {
					found = append(found, &vanished{space: p, name: name, bucket: n, certain: listed && object.Deleting})
				}
			}
		}
	}
	return found
}

// settle carries on with one that has vanished, and says whether nothing more is to be done about it.
func (s *source) settle(ctx context.Context, v *vanished) (over bool, err error) {
	if !v.certain {
		there, err := v.space.objects.Exists(ctx, v.name)
		switch {
		case err != nil:
			return false, err
		case there:
			v.space.objects.Relist()
			return true, nil
		}
		if v.absent++; v.absent < absentTicks {
			return false, nil
		}
	}
	bucket := s.memories.bucket(s.cluster, v.space.name, v.bucket)
	originals, err := bucket.Originals(ctx, true) // another process may have seen to it
	if err != nil {
		return false, err
	}
	original, ok := originals[v.name]
	if !ok || original.Spared {
		return true, nil
	}
	if !s.kedaRuns { // else it is KEDA that restores
		if err := s.restore(ctx, v, original); err != nil {
			return false, err
		}
	}
	return true, bucket.DropOriginal(ctx, v.name)
}

// restore gives a workload back the size from before its ScaledObject.
func (s *source) restore(ctx context.Context, v *vanished, original kube.Original) error {
	o := &scaling.ScaledObject{Cluster: s.cluster.Name, Namespace: v.space.name, Name: v.name, Target: original.Target()}
	workload, err := s.cluster.Scale(ctx, o)
	if errors.Is(err, kube.ErrNotFound) {
		return nil // it went along
	}
	if err != nil {
		return err
	}
	if workload.Replicas != original.Replicas {
		if err := s.cluster.SetScale(ctx, o, workload, original.Replicas); err != nil {
			return err
		}
	}
	s.log.InfoContext(ctx, "restored", "target", o.ID(), "from", workload.Replicas, "to", original.Replicas,
		"why", "its ScaledObject was deleted, and asked for restoreToOriginalReplicaCount")
	if workload.Replicas == original.Replicas {
		return nil
	}
	event := kube.Event{
		Reason:  kube.SuccessfulRescale,
		Message: fmt.Sprintf("Scaled %d→%d: restored, since ScaledObject %s was deleted", workload.Replicas, original.Replicas, v.name),
	}
	if err := s.cluster.Event(ctx, o, workload, event); err != nil {
		if s.said.due(s.now(), time.Hour, "no event"+v.space.name) {
			s.log.LogAttrs(ctx, slog.LevelWarn, "no event",
				slog.String("target", o.ID()), slog.String("error", err.Error()))
		}
	}
	return nil
}

// spare notes that nothing is to be restored, for processes that know nothing of today.
func (s *source) spare(ctx context.Context, v *vanished) error {
	bucket := s.memories.bucket(s.cluster, v.space.name, v.bucket)
	originals, err := bucket.Originals(ctx, false)
	if err != nil {
		return err
	}
	original, ok := originals[v.name]
	if !ok || original.Spared {
		return nil
	}
	original.Spared = true
	return bucket.KeepOriginal(ctx, v.name, original)
}

// keepOriginal stores, before the size is first set, the size that the workload is to be given back.
func (t *target) keepOriginal(ctx context.Context, workload kube.Workload) error {
	if t.member == nil || !t.RestoreOriginal || t.original != nil {
		return nil
	}
	wrap := func(err error) error { return fmt.Errorf("remember the original size: %w", err) }
	originals, err := t.memory.Originals(ctx, false)
	if err != nil {
		return wrap(err)
	}
	replicas := workload.Replicas
	if was := t.member.status.OriginalReplicaCount; was != nil { // by KEDA, or by Leda
		replicas = *was
	}
	original := kube.OriginalOf(t.ScaledObject, replicas)
	if stored, ok := originals[t.Name]; ok && stored.Target() == t.Target {
		original.Replicas = stored.Replicas
	}
	if originals[t.Name] != original {
		if err := t.memory.KeepOriginal(ctx, t.Name, original); err != nil {
			return wrap(err)
		}
	}
	t.original = &original.Replicas
	return nil
}
