package scaling

import "time"

// Memory is what a target's next decision needs to know of the earlier ones. It is a value: Decide
// takes it and returns the next. The zero value is a target nothing is known of.
type Memory struct {
	// Since is when this memory began. Until the window and the longest period have passed since then,
	// nothing is known of what happened before, and nothing shrinks.
	Since time.Time `json:"since,omitzero"`

	// Created is when the ScaledObject was made, where that is known to be when its history begins: in
	// simulate. KEDA's rules for a new one hold then, and nothing waits for what may have been before.
	Created time.Time `json:"created,omitzero"`

	// LastActive is the last look that saw the target active; zero when there was none.
	LastActive time.Time `json:"lastActive,omitzero"`

	// Latest is the newest recommendation.
	Latest Recommendation `json:"latest,omitzero"`

	// Higher are the recommendations before Latest that are higher than every later one, falling:
	// the only ones that the maximum over a window can ever be.
	Higher []Recommendation `json:"higher,omitempty"`

	// Lower are those that are lower than every later one, rising. Kept only with a scaleUp window.
	Lower []Recommendation `json:"lower,omitempty"`

	// ScaleUps and ScaleDowns are the changes that scaling policies count. Kept only with policies.
	ScaleUps   []ScaleEvent `json:"scaleUps,omitempty"`
	ScaleDowns []ScaleEvent `json:"scaleDowns,omitempty"`

	// InFlightOnly says that the last look saw messages in flight and no other.
	InFlightOnly bool `json:"inFlightOnly,omitempty"`

	// Failures are of the triggers that could not be read. Kept only with a fallback.
	Failures []Failure `json:"failures,omitempty"`

	// Paused says that the last look found the target paused, with the size that was set for it then, -1 when none was.
	Paused         bool  `json:"paused,omitempty"`
	PausedReplicas int32 `json:"pausedReplicas,omitempty"`

	// LastPoll and LastSync are when policy keda ran KEDA's loop and the HPA's, and Active is what the
	// first found.
	LastPoll time.Time `json:"lastPoll,omitzero"`
	LastSync time.Time `json:"lastSync,omitzero"`
	Active   bool      `json:"active,omitempty"`
}

// A Recommendation is the size that readings asked for, before any limit.
type Recommendation struct {
	Replicas int32     `json:"replicas"`
	At       time.Time `json:"at,omitzero"`
}

// A ScaleEvent is a change of size that was made.
type ScaleEvent struct {
	Change int32     `json:"change"` // always positive
	At     time.Time `json:"at"`
}

// Known says whether there is any memory at all.
func (m Memory) Known() bool { return !m.Since.IsZero() }

// Later is m with what keeps a target big lasting d longer. Stored memory is written so, because it is
// written less often than it changes: whoever reads it may shrink late, and never early. What holds growth
// back lasts no longer than it should: Latest stays as it is, and its later copy is among the higher ones.
func (m Memory) Later(d time.Duration) Memory {
	if !m.LastActive.IsZero() {
		m.LastActive = m.LastActive.Add(d)
	}
	if !m.Latest.At.IsZero() {
		m.Higher = append(m.Higher[:len(m.Higher):len(m.Higher)], Recommendation{m.Latest.Replicas, m.Latest.At.Add(d)})
	}
	return m
}

// Covers says whether a target that remembered stored instead of next would shrink no earlier: whether
// next need not be stored yet.
func (o *ScaledObject) Covers(stored, next Memory, now time.Time) bool {
	if !stored.Known() || stored.Since.Before(next.Since) || stored.Paused != next.Paused {
		return false
	}
	if o.Floor() < o.Min() && stored.LastActive.Before(next.LastActive) {
		return false
	}
	if !o.coversRecommendation(stored, next.Latest, now) {
		return false
	}
	for _, r := range next.Higher {
		if !o.coversRecommendation(stored, r, now) {
			return false
		}
	}
	return true
}

func (o *ScaledObject) coversRecommendation(stored Memory, r Recommendation, now time.Time) bool {
	if r.Replicas <= o.Min() || now.Sub(r.At) >= o.DownWindow() { // holds nothing back
		return true
	}
	if stored.Latest.Replicas >= r.Replicas && !stored.Latest.At.Before(r.At) {
		return true
	}
	for _, h := range stored.Higher {
		if h.Replicas >= r.Replicas && !h.At.Before(r.At) {
			return true
		}
	}
	return false
}

// recommend records a proposal. Slices are never changed in place, so that the Memory it came from
// stays what it was; the common cases only cut them.
func (m *Memory) recommend(replicas int32, now time.Time, downWindow, upWindow time.Duration) {
	latest := m.Latest
	m.Latest = Recommendation{replicas, now}
	m.Higher = within(m.Higher, now, downWindow)
	m.Lower = within(m.Lower, now, upWindow)
	if latest.At.IsZero() {
		return
	}
	if latest.Replicas > replicas && now.Sub(latest.At) < downWindow {
		m.Higher = append(m.Higher[:len(m.Higher):len(m.Higher)], latest)
	}
	for n := len(m.Higher); n > 0 && m.Higher[n-1].Replicas <= replicas; n-- {
		m.Higher = m.Higher[:n-1]
	}
	if latest.Replicas < replicas && now.Sub(latest.At) < upWindow {
		m.Lower = append(m.Lower[:len(m.Lower):len(m.Lower)], latest)
	}
	for n := len(m.Lower); n > 0 && m.Lower[n-1].Replicas >= replicas; n-- {
		m.Lower = m.Lower[:n-1]
	}
}

// within cuts off the recommendations whose age has reached the window; they stand oldest first.
func within(rs []Recommendation, now time.Time, window time.Duration) []Recommendation {
	for len(rs) > 0 && now.Sub(rs[0].At) >= window {
		rs = rs[1:]
	}
	return rs
}

// highest is the largest recommendation younger than window, or p if that is larger.
func (m *Memory) highest(p int32, now time.Time, window time.Duration) int32 {
	if now.Sub(m.Latest.At) < window {
		p = max(p, m.Latest.Replicas)
	}
	if live := within(m.Higher, now, window); len(live) > 0 {
		p = max(p, live[0].Replicas) // they are falling: the oldest is the largest
	}
	return p
}

// lowest is the smallest recommendation younger than window, or p if that is smaller.
func (m *Memory) lowest(p int32, now time.Time, window time.Duration) int32 {
	if now.Sub(m.Latest.At) < window {
		p = min(p, m.Latest.Replicas)
	}
	if live := within(m.Lower, now, window); len(live) > 0 {
		p = min(p, live[0].Replicas) // they are rising
	}
	return p
}

// lastAbove is when a recommendation above n was made last.
func (m *Memory) lastAbove(n int32) time.Time {
	var last time.Time
	if m.Latest.Replicas > n {
		last = m.Latest.At
	}
	for _, r := range m.Higher {
		if r.Replicas > n && r.At.After(last) {
			last = r.At
		}
	}
	return last
}

// changed is the sum of changes younger than period.
func changed(events []ScaleEvent, now time.Time, period time.Duration) int32 {
	var sum int32
	for _, e := range events {
		if now.Sub(e.At) < period {
			sum += e.Change
		}
	}
	return sum
}

// recordEvent adds a change as the HPA does (horizontal.go storeScaleEvent, Kubernetes 1.37): the last
// entry that is older than the direction's longest period is overwritten, else one is added.
func recordEvent(events []ScaleEvent, e ScaleEvent, longest time.Duration) []ScaleEvent {
	if longest == 0 {
		return events // no policies: nobody counts
	}
	next := make([]ScaleEvent, len(events), len(events)+1)
	copy(next, events)
	for i := len(next) - 1; i >= 0; i-- {
		if e.At.Sub(next[i].At) >= longest {
			next[i] = e
			return next
		}
	}
	return append(next, e)
}
