package scaling

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// Text is m as it is stored, in at most size bytes, with what a reader will make of it. Where m has more to
// say it is made coarser, so that it never asks for fewer replicas than m:
//
//   - Two recommendations that hold shrinking back become one: the higher size until the later time.
//   - Of two that hold growth back the later and higher one stays.
//   - Two steps down become one at the later time. It counts longer, and what was taken away within a
//     policy's period leaves less to take.
//   - Two steps up become one at the earlier time. What was added within a period may be taken away
//     beyond the policy, so it must not count longer than it did.
//
// The two that differ least are taken each time, in replicas times seconds. Failure counts go last, the
// smallest first: a fallback then begins later.
func (m Memory) Text(size int) (string, Memory, error) {
	const anEntry = 60 // bytes, about
	for {
		text, err := json.Marshal(m)
		if err != nil {
			return "", Memory{}, fmt.Errorf("write memory: %w", err) // only a year beyond 9999 cannot be
		}
		excess := len(text) - size
		if excess <= 0 {
			return string(text), m, nil
		}
		var ok bool
		if m, ok = m.coarser(1 + excess/anEntry); !ok {
			return "", Memory{}, fmt.Errorf("write memory: %d bytes are too few for %s", size, text)
		}
	}
}

// coarser is m with up to n entries fewer, and at least one, if there is one to spare.
func (m Memory) coarser(n int) (Memory, bool) {
	differences := slices.Concat(
		between(m.Higher, byReplicas), between(m.Lower, byReplicas),
		between(m.ScaleDowns, bySooner), between(m.ScaleUps, byLater),
	)
	if len(differences) == 0 {
		return m.forgetFailure()
	}
	slices.Sort(differences)
	enough := differences[min(n, len(differences))-1]
	m.Higher = merged(m.Higher, byReplicas, enough, &n, func(a, b Recommendation) Recommendation {
		return Recommendation{a.Replicas, later(a.At, b.At)}
	})
	m.Lower = merged(m.Lower, byReplicas, enough, &n, func(_, b Recommendation) Recommendation { return b })
	m.ScaleDowns = merged(m.ScaleDowns, bySooner, enough, &n, func(a, b ScaleEvent) ScaleEvent {
		return ScaleEvent{a.Change + b.Change, later(a.At, b.At)}
	})
	m.ScaleUps = merged(m.ScaleUps, byLater, enough, &n, func(a, b ScaleEvent) ScaleEvent {
		return ScaleEvent{a.Change + b.Change, earlier(a.At, b.At)}
	})
	return m, true
}

// How much is changed by making one of two entries.
func byReplicas(a, b Recommendation) float64 {
	return math.Abs(float64(a.Replicas-b.Replicas) * b.At.Sub(a.At).Seconds())
}

func bySooner(a, b ScaleEvent) float64 { return math.Abs(float64(a.Change) * b.At.Sub(a.At).Seconds()) }

func byLater(a, b ScaleEvent) float64 { return math.Abs(float64(b.Change) * b.At.Sub(a.At).Seconds()) }

func between[E any](list []E, difference func(a, b E) float64) []float64 {
	var all []float64
	for i := 1; i < len(list); i++ {
		all = append(all, difference(list[i-1], list[i]))
	}
	return all
}

// merged is list with up to n pairs made one where that changes no more than enough. What has been made of
// two is left for the next time, so that all of list becomes coarser and not one end of it.
func merged[E any](list []E, difference func(a, b E) float64, enough float64, n *int, merge func(a, b E) E) []E {
	if len(list) < 2 {
		return list
	}
	next := make([]E, 0, len(list))
	for i := 0; i < len(list); i++ {
		if *n == 0 || i+1 == len(list) || difference(list[i], list[i+1]) > enough {
			next = append(next, list[i])
			continue
		}
		next = append(next, merge(list[i], list[i+1]))
		i, *n = i+1, *n-1
	}
	return next
}

// forgetFailure is m without the trigger that failed least often.
func (m Memory) forgetFailure() (Memory, bool) {
	if len(m.Failures) == 0 {
		return m, false
	}
	at := 0
	for i, f := range m.Failures {
		if f.Count < m.Failures[at].Count {
			at = i
		}
	}
	m.Failures = slices.Delete(slices.Clone(m.Failures), at, at+1)
	return m, true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// ParseMemory reads what Text wrote. What it does not know the meaning of is an error, and so counts as
// lost: a field of a newer version may be what holds a scale-in back.
func ParseMemory(text string) (Memory, error) {
	var m Memory
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Memory{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Memory{}, errors.New("there is more after it")
	}
	if err := m.check(); err != nil {
		return Memory{}, err
	}
	return m, nil
}

// check says what in a memory cannot have come from decisions.
func (m Memory) check() error {
	for i, r := range m.Higher {
		if r.Replicas < 0 || i > 0 && r.Replicas > m.Higher[i-1].Replicas {
			return fmt.Errorf("higher[%d]: %d replicas are out of order", i, r.Replicas)
		}
	}
	for i, r := range m.Lower {
		if r.Replicas < 0 || i > 0 && r.Replicas < m.Lower[i-1].Replicas {
			return fmt.Errorf("lower[%d]: %d replicas are out of order", i, r.Replicas)
		}
	}
	if m.Latest.Replicas < 0 {
		return fmt.Errorf("latest: %d replicas", m.Latest.Replicas)
	}
	for name, events := range map[string][]ScaleEvent{"scaleUps": m.ScaleUps, "scaleDowns": m.ScaleDowns} {
		sum := int64(0)
		for i, e := range events {
			if sum += int64(e.Change); e.Change <= 0 || sum > math.MaxInt32 {
				return fmt.Errorf("%s[%d]: a change by %d", name, i, e.Change)
			}
		}
	}
	return nil
}

// Newest is the latest time in m: about when its target was looked at last with anything to remember.
func (m Memory) Newest() time.Time {
	newest := later(later(m.Since, m.LastActive), m.Latest.At)
	for _, r := range slices.Concat(m.Higher, m.Lower) {
		newest = later(newest, r.At)
	}
	for _, e := range slices.Concat(m.ScaleUps, m.ScaleDowns) {
		newest = later(newest, e.At)
	}
	return newest
}
