package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

const (
	// freshness is how old the oldest reading of a decision may be when the decision is written.
	freshness = 10 * time.Second

	// growthPatience is how long memory may keep growth waiting.
	growthPatience = time.Second

	// attempts is how often a target is observed and decided upon anew when someone else came between.
	attempts = 3
)

// outcome is what came of one look at one target: its record.
type outcome struct {
	Target string `json:"target"`
	*scaling.Record
	Changed bool   `json:"changed"`           // the size was set
	Error   string `json:"error,omitempty"`   // what was decided could not be done, or nothing could be decided
	Memory  string `json:"memory,omitempty"`  // what is wrong with the memory, which did not keep growth back
	Outside string `json:"outside,omitempty"` // the size found is not the one that the last look left

	event error // the event on the workload could not be written

	decided  bool
	decision scaling.Decision
	took     time.Duration
}

// recorded is o with its record, which few looks need: most are neither logged nor reported.
func (o outcome) recorded() outcome {
	if o.decided {
		record := o.decision.Record()
		o.Record = &record
	}
	return o
}

// unread says whether a reading failed, which the decision took into account.
func (o outcome) unread() bool {
	return slices.ContainsFunc(o.decision.Readings, func(r scaling.Reading) bool { return r.Err != nil })
}

func (o outcome) failed() bool { return o.Error != "" || o.Memory != "" }

// look observes a target, decides, and does what was decided. When someone else changed the workload or
// its memory in between, it observes and decides again.
func (h *handler) look(ctx context.Context, t *target, dryRun bool) outcome {
	began := h.now()
	var o outcome
	var err error
	for range attempts {
		if o, err = h.decideAndDo(ctx, t, dryRun); !errors.Is(err, kube.ErrConflict) {
			break
		}
	}
	o.Target = t.ID()
	if err != nil {
		o.Error = err.Error()
	}
	if o.decided && !dryRun {
		t.owner.leaves(o, h.now())
	}
	o.took = h.now().Sub(began)
	return o
}

func (h *handler) decideAndDo(ctx context.Context, t *target, dryRun bool) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, freshness)
	defer cancel()

	var (
		all       together
		readings  []scaling.Reading
		workload  kube.Workload
		scaleErr  error
		ready     int32
		readyErr  error
		memory    kube.Recollection
		memoryErr error
	)
	all.Go(func() { workload, scaleErr = t.cluster.Scale(ctx, t.ScaledObject) })
	if t.NeedsReady() {
		all.Go(func() { ready, readyErr = t.cluster.Ready(ctx, t.ScaledObject) })
	}
	all.Go(func() { memory, memoryErr = t.memory.Recall(ctx, t.Name) })
	readings = h.meter.read(ctx, t)
	all.Wait()
	if scaleErr != nil {
		return outcome{}, scaleErr
	}
	if readyErr != nil {
		t.failAll(readings, readyErr)
	}
	outside := t.owner.known && workload.Replicas != t.owner.size
	if outside {
		// Perhaps another process of ours was at work. Then it has written memory too.
		memory, memoryErr = t.memory.Refresh(ctx, t.Name)
		outside = memoryErr == nil && !memory.Foreign
	}

	// Without its memory a target is decided upon as if nothing were known of it, which never shrinks.
	now := h.now()
	d := scaling.Decide(t.ScaledObject, scaling.Observed{
		Replicas: workload.Replicas, Current: workload.Current, Ready: ready, Readings: readings, Memory: memory.Memory,
	}, now)
	o := outcome{decided: true, decision: d}
	if outside {
		o.Outside = fmt.Sprintf("someone else changed it from %d to %d", t.owner.size, workload.Replicas)
	}
	if memoryErr == nil {
		memoryErr = memory.Broken
	}
	if memoryErr != nil {
		o.Memory = memoryErr.Error()
	}
	if dryRun {
		return o, nil
	}
	err := t.do(ctx, &o, workload, memory, now)
	if !errors.Is(err, kube.ErrConflict) {
		o.event = t.announce(ctx, o, workload, err)
	}
	return o, err
}

// failAll makes a failure of every reading whose value means nothing without the number of ready pods.
func (t *target) failAll(readings []scaling.Reading, err error) {
	for i := range t.Triggers {
		if trigger := &t.Triggers[i]; trigger.MetricType == scaling.Value || t.Modifiers != nil {
			readings[i] = trigger.Failed(err)
		}
	}
}

// do stores what is to be remembered, and sets the size if it is to change.
func (t *target) do(ctx context.Context, o *outcome, workload kube.Workload, memory kube.Recollection, now time.Time) error {
	d := o.decision
	if err := t.keepOriginal(ctx, workload); err != nil {
		if d.Shrinks() || errors.Is(err, kube.ErrConflict) {
			return err
		}
		o.Memory = err.Error()
	}
	if err := t.remember(ctx, d, memory, now); err != nil {
		if d.Shrinks() || errors.Is(err, kube.ErrConflict) {
			return err
		}
		o.Memory = err.Error()
	}
	if !d.Changed() {
		return nil
	}
	if err := t.cluster.SetScale(ctx, t.ScaledObject, workload, d.To); err != nil {
		return err
	}
	o.Changed = true
	if d.To > d.From && t.CountsGrowth() {
		if err := t.rememberGrowth(ctx, d.MemoryAfter()); err != nil {
			o.Memory = err.Error()
		}
	}
	return nil
}

// announce writes the event on the workload that the HPA would write, if there is one. What comes of that is
// no more than a note.
func (t *target) announce(ctx context.Context, o outcome, workload kube.Workload, err error) error {
	d := o.decision
	failed := slices.IndexFunc(d.Readings, func(r scaling.Reading) bool { return r.Err != nil })
	var e kube.Event
	switch {
	case err != nil:
		e = kube.Event{Warning: true, Reason: kube.FailedRescale, Message: fmt.Sprintf("Not scaled %d→%d: %v", d.From, d.To, err)}
	case o.Changed:
		e = kube.Event{Reason: kube.SuccessfulRescale, Message: fmt.Sprintf("Scaled %d→%d: %s", d.From, d.To, d.Record().Why)}
	case failed >= 0:
		e = kube.Event{Warning: true, Reason: kube.FailedGetExternalMetric, Message: fmt.Sprintf("%s: %v", d.Readings[failed].Trigger, d.Readings[failed].Err)}
	default:
		return nil
	}
	return t.cluster.Event(ctx, t.ScaledObject, workload, e)
}

// remember stores what must be stored before the size changes, and keeps the rest in this process.
func (t *target) remember(ctx context.Context, d scaling.Decision, was kube.Recollection, now time.Time) error {
	switch {
	case d.Shrinks():
	case d.Changed():
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, growthPatience)
		defer cancel()
	case t.Covers(was.Stored, d.Memory, now):
		t.memory.Keep(t.Name, was, d.Memory)
		return nil
	}
	if err := t.memory.Remember(ctx, t.Name, was, d.Memory); err != nil {
		return fmt.Errorf("remember before setting %d replicas: %w", d.To, err)
	}
	return nil
}

// rememberGrowth stores the growth that was made, for scaleUp's policies to count.
func (t *target) rememberGrowth(ctx context.Context, m scaling.Memory) error {
	was, err := t.memory.Recall(ctx, t.Name)
	if err == nil {
		err = t.memory.Remember(ctx, t.Name, was, m)
	}
	if err != nil {
		return fmt.Errorf("remember a growth that was made: %w", err)
	}
	return nil
}
