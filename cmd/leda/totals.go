package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// totals is what a simulation comes to. Each look counts for the time until the next one; the last counts
// for none.
type totals struct {
	object *scaling.ScaledObject
	rate   float64

	looks, failed int // failed: looks at which a reading failed
	ups, downs    int
	most          int32   // replicas
	deepest       float64 // messages, over all SQS triggers

	replicas float64       // replicas × minutes
	messages float64       // messages × minutes
	excess   float64       // the same for those beyond what the replicas are to carry
	longest  time.Duration // the longest stretch with anything beyond that
	held     time.Duration // while a smaller size was held back
	arrived  float64       // messages; with a rate only

	// At the last look, and since.
	last                   scaling.Decision
	messagesNow, excessNow float64
	beyondNow, heldNow     bool
	stretch                time.Duration
}

// add counts a decision.
func (t *totals) add(d scaling.Decision) {
	if t.looks > 0 {
		t.pass(d.At.Sub(t.last.At))
	}
	t.last = d
	t.looks++
	switch {
	case d.To > d.From:
		t.ups++
	case d.To < d.From:
		t.downs++
	}
	t.most = max(t.most, d.To)
	t.see(d)
	t.deepest = max(t.deepest, t.messagesNow)
	if d.Reason != scaling.NotDue { // between its turns policy keda holds what it held
		t.heldNow = d.Proposal < d.To && (d.Reason == scaling.ScaleDownStabilized || d.Reason == scaling.ScaleDownLimit || d.Reason == scaling.ScalerCooldown)
	}
}

// see takes from the readings how many messages there are, and how many more than the replicas are to carry.
func (t *totals) see(d scaling.Decision) {
	t.messagesNow, t.excessNow = 0, 0
	failed, beyond := false, false
	for i, r := range d.Readings {
		if r.Err != nil {
			failed = true
			continue
		}
		excess := r.Value - carried(r, d.To)
		beyond = beyond || excess > 0
		if t.object.Triggers[i].Type == scaling.TypeSQS {
			t.messagesNow += r.Value
			t.excessNow += max(0, excess)
		}
	}
	if failed {
		t.failed++
	}
	if t.object.Modifiers == nil {
		t.beyondNow = beyond
		return
	}
	t.excessNow = 0 // with a formula no trigger has a target of its own
	if c := d.Composite; c != nil {
		t.beyondNow = c.Value > carried(scaling.Reading{Target: c.Target, MetricType: t.object.Modifiers.MetricType}, d.To)
	}
}

// carried is the value that so many replicas are to carry together.
func carried(r scaling.Reading, replicas int32) float64 {
	if r.MetricType == scaling.Value {
		return r.Target
	}
	return r.Target * float64(replicas)
}

func (t *totals) pass(after time.Duration) {
	t.replicas += float64(t.last.To) * after.Minutes()
	t.messages += t.messagesNow * after.Minutes()
	t.excess += t.excessNow * after.Minutes()
	if t.heldNow {
		t.held += after
	}
	if !t.beyondNow {
		t.stretch = 0
		return
	}
	t.stretch += after
	t.longest = max(t.longest, t.stretch)
}

// total is one line of the totals: a number that two simulations can be compared by.
type total struct {
	Label, Means string
	Text         string
	number       float64
	format       func(float64) string
}

func newTotal(label, means string, number float64, format func(float64) string) total {
	return total{label, means, format(number), number, format}
}

// as says the same in other words.
func (t total) as(format string, args ...any) total {
	t.Text = fmt.Sprintf(format, args...)
	return t
}

// lines are the totals as people read them.
func (t *totals) lines() []total {
	lines := []total{
		newTotal("Replica-minutes", "replicas × minutes that they ran", t.replicas, grouped),
		newTotal("Changes", "of the size", float64(t.ups+t.downs), grouped).as("%d up, %d down", t.ups, t.downs),
		newTotal("Most replicas", "at any look", float64(t.most), grouped),
	}
	if t.hasQueue() {
		lines = append(lines,
			newTotal("Messages waited", "messages × minutes that they were in the queue", t.messages, grouped),
			newTotal("Deepest backlog", "messages at any look", t.deepest, grouped))
		if t.object.Modifiers == nil {
			lines = append(lines, newTotal("Beyond target", "messages × minutes above what the replicas of the time are to carry", t.excess, grouped))
		}
	}
	lines = append(lines,
		newTotal("Longest backlog", "the longest time at a stretch with more than the replicas are to carry", t.longest.Seconds(), duration),
		newTotal("Shrinking held back", "by windows, policies or cooldownPeriod", t.held.Seconds(), duration))
	if t.rate > 0 && t.arrived > 0 {
		lines = append(lines,
			newTotal("Messages left", fmt.Sprintf("at the end, of %s that arrived", grouped(t.arrived)), t.messagesNow, grouped),
			newTotal("Mean wait", "of a message in the queue, its own work apart: messages waited / arrived (Little's law)", 60*t.messages/t.arrived, duration))
	}
	return lines
}

func (t *totals) hasQueue() bool {
	for _, trigger := range t.object.Triggers {
		if trigger.Type == scaling.TypeSQS {
			return true
		}
	}
	return false
}

// signed is a difference, written as format writes numbers.
func signed(v float64, format func(float64) string) string {
	if v > 0 {
		return "+" + format(v)
	}
	return format(v)
}

// grouped writes a number with its thousands apart: 12 345.6.
func grouped(v float64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	decimals := 0
	if v < 100 {
		decimals = 1
	}
	whole, fraction, _ := strings.Cut(strings.TrimSuffix(strconv.FormatFloat(v, 'f', decimals, 64), ".0"), ".")
	if fraction != "" {
		fraction = "." + fraction
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "\u00a0" + whole[i:]
	}
	return sign + whole + fraction
}

// duration writes seconds as 3d 4h, 2h 5m, 5m 30s or 1.5s.
func duration(seconds float64) string {
	sign := ""
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	const day = 24 * time.Hour
	if seconds > math.MaxInt64/float64(time.Second) {
		return sign + grouped(seconds/day.Seconds()) + "d"
	}
	d := time.Duration(seconds * float64(time.Second)).Round(100 * time.Millisecond)
	switch {
	case d >= day:
		return fmt.Sprintf("%s%dd %dh", sign, d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%s%dh %dm", sign, d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%s%dm %ds", sign, d/time.Minute, d%time.Minute/time.Second)
	}
	return sign + strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}
