package scaling

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func after(d time.Duration) time.Time { return noon().Add(d) }

func TestWhatIsStoredErrsLate(t *testing.T) {
	m := Memory{Since: noon(), LastActive: after(time.Second), Latest: Recommendation{3, after(2 * time.Second)}}
	late := m.Later(time.Minute)
	if !late.LastActive.Equal(after(61*time.Second)) || late.Latest != m.Latest || !late.Since.Equal(noon()) ||
		len(late.Higher) != 1 || late.Higher[0] != (Recommendation{3, after(62 * time.Second)}) {
		t.Errorf("got %+v, want a minute later than %+v, but for what holds growth back", late, m)
	}
	if never := (Memory{Since: noon()}).Later(time.Minute); !never.LastActive.IsZero() || !never.Latest.At.IsZero() {
		t.Errorf("what never was became: %+v", never)
	}
}

func TestStoredMemoryDoesNotHoldGrowthBack(t *testing.T) {
	m := Memory{Since: noon().Add(-time.Hour), Latest: Recommendation{1, noon()}}.Later(time.Minute)
	d := Decide(orders(), Observed{Replicas: 1, Current: 1, Readings: depth(6), Memory: m}, after(time.Second))
	if d.To != 2 {
		t.Errorf("got %d, want 2: %s", d.To, d.Record().Why)
	}
}

func TestLongMemoryIsStoredShort(t *testing.T) {
	var long Memory
	for i := range 700 { // an hour of looks, each of which asks for less
		long.recommend(int32(700-i), after(time.Duration(i)*5*time.Second), time.Hour, 0)
		long.ScaleDowns = append(long.ScaleDowns, ScaleEvent{1, after(time.Duration(i) * 5 * time.Second)})
	}
	long.Since, long.Failures = noon(), []Failure{{"orders", 7, noon()}}
	text, kept, err := long.Text(1250)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 1250 || len(text) < 1000 {
		t.Errorf("it takes %d bytes, want nearly 1250", len(text))
	}
	if back, err := ParseMemory(text); err != nil || !cmp.Equal(back, kept) {
		t.Errorf("it is read as %+v, %v, want %+v", back, err, kept)
	}
	if len(long.Higher) != 699 || len(long.ScaleDowns) != 700 {
		t.Error("what was known has changed")
	}
	if sum := changed(kept.ScaleDowns, after(time.Hour), 2*time.Hour); sum != 700 {
		t.Errorf("700 steps down became %d", sum)
	}
	if kept.highest(0, after(time.Minute), time.Hour) != 700 || len(kept.Failures) != 1 || kept.Latest != long.Latest {
		t.Errorf("got %+v", kept)
	}
}

func TestFailuresAreForgottenLast(t *testing.T) {
	m := Memory{
		Higher:   []Recommendation{{5, noon()}, {4, after(time.Second)}},
		Failures: []Failure{{"orders", 7, noon()}, {"payments", 2, noon()}, {"mails", 9, noon()}},
	}
	for _, want := range []int{3, 2, 1, 0} {
		m, _ = m.coarser(1)
		if len(m.Higher) != 1 || len(m.Failures) != want {
			t.Fatalf("got %+v, want %d failures", m, want)
		}
		if want == 1 && m.Failures[0].Trigger != "mails" {
			t.Errorf("the one that failed most often is to stay, got %+v", m.Failures)
		}
	}
	if _, ok := m.coarser(1); ok {
		t.Error("there is nothing left to make coarser")
	}
	if text, _, err := m.Text(20); err == nil {
		t.Errorf("20 bytes hold %s", text)
	}
}

func TestWhatMemoryIsNot(t *testing.T) {
	for rule, text := range map[string]string{
		"no JSON":                           `{`,
		"another object":                    `{"replicas":3}`,
		"a field of a newer version":        `{"since":"2026-01-05T12:00:00Z","frozenUntil":"2026-01-05T13:00:00Z"}`,
		"two objects":                       `{} {}`,
		"fewer than no replicas":            `{"latest":{"replicas":-1}}`,
		"a window that would hide its top":  `{"higher":[{"replicas":3,"at":"2026-01-05T12:00:00Z"},{"replicas":5,"at":"2026-01-05T12:00:01Z"}]}`,
		"and the other way round":           `{"lower":[{"replicas":5,"at":"2026-01-05T12:00:00Z"},{"replicas":3,"at":"2026-01-05T12:00:01Z"}]}`,
		"a step down that is one up":        `{"scaleDowns":[{"change":-5,"at":"2026-01-05T12:00:00Z"}]}`,
		"more steps than there can be pods": `{"scaleUps":[{"change":2147483647,"at":"2026-01-05T12:00:00Z"},{"change":2147483647,"at":"2026-01-05T12:00:00Z"}]}`,
	} {
		if m, err := ParseMemory(text); err == nil || m.Known() {
			t.Errorf("%s: got %+v, %v", rule, m, err)
		}
	}
}

func TestCovers(t *testing.T) {
	latest := func(n int32, at time.Duration) Memory {
		return Memory{Since: noon(), LastActive: after(time.Minute), Latest: Recommendation{n, after(at)}}
	}
	stored := func(n int32, at time.Duration) Memory { return latest(n, at-time.Minute).Later(time.Minute) }
	zero := with(orders(), toZero)
	for _, row := range []struct {
		rule         string
		o            *ScaledObject
		stored, next Memory
		want         bool
	}{
		{"nothing is stored", orders(), Memory{}, latest(3, 0), false},
		{"the same, stored late", orders(), stored(3, time.Minute), latest(3, 0), true},
		{"a new maximum", orders(), stored(3, time.Minute), latest(4, 0), false},
		{"the same as before, but a minute has passed", orders(), stored(3, time.Minute), latest(3, 61*time.Second), false},
		{"what is at the minimum holds nothing back", orders(), latest(3, 0), latest(1, time.Minute), true},
		{"a higher one before", orders(), latest(3, time.Minute), Memory{Since: noon(), Latest: Recommendation{2, after(time.Second)}, Higher: []Recommendation{{5, noon()}}}, false},
		{"a higher one before, stored", orders(), Memory{Since: noon(), Latest: Recommendation{2, after(time.Minute)}, Higher: []Recommendation{{5, noon()}}}, Memory{Since: noon(), Latest: Recommendation{2, after(time.Second)}, Higher: []Recommendation{{5, noon()}}}, true},
		{"activity that is newer matters to what goes to zero", zero, latest(1, time.Minute), Memory{Since: noon(), LastActive: after(61 * time.Second), Latest: Recommendation{1, noon()}}, false},
		{"and not to what does not", orders(), latest(1, time.Minute), Memory{Since: noon(), LastActive: after(61 * time.Second), Latest: Recommendation{1, noon()}}, true},
		{"a memory that begins later", orders(), latest(3, time.Minute), Memory{Since: after(time.Second), Latest: Recommendation{3, noon()}}, false},
	} {
		if got := row.o.Covers(row.stored, row.next, after(2*time.Second)); got != row.want {
			t.Errorf("%s: got %t, want %t", row.rule, got, row.want)
		}
	}
}

func TestOnlyGrowthIsCountedAfterTheWrite(t *testing.T) {
	policies := []ScalingPolicy{{Value: 4, Period: 15 * time.Second}}
	o := with(orders(), func(o *ScaledObject) {
		o.ScaleUp, o.ScaleDown = &ScalingRules{Select: SelectMax, Policies: policies}, &ScalingRules{Select: SelectMax, Policies: policies}
	})
	for _, row := range []struct {
		rule                  string
		from                  int32
		depth                 float64
		upsBefore, ups, downs int
	}{
		{"growth", 1, 11, 0, 1, 0},
		{"shrinking, known before the write", 3, 0, 0, 0, 1},
		{"neither", 3, 11, 0, 0, 0},
	} {
		d := Decide(o, Observed{Replicas: row.from, Current: row.from, Readings: depth(row.depth)}.known(), noon())
		before, then := d.Memory, d.MemoryAfter()
		if len(before.ScaleUps) != row.upsBefore || len(then.ScaleUps) != row.ups || len(before.ScaleDowns) != row.downs || len(then.ScaleDowns) != row.downs {
			t.Errorf("%s: before the write %d up and %d down, after it %d and %d", row.rule, len(before.ScaleUps), len(before.ScaleDowns), len(then.ScaleUps), len(then.ScaleDowns))
		}
	}
}

func TestNewMemoryHoldsForThePoliciesPeriodToo(t *testing.T) {
	o := with(orders(), func(o *ScaledObject) {
		o.ScaleDown = &ScalingRules{Select: SelectMax, Policies: []ScalingPolicy{{Value: 4, Period: time.Minute}}} // window 0
	})
	play(t, o, 5, []look{
		{0, 0, 5, ScaleDownStabilized},
		{59 * time.Second, 0, 5, ScaleDownStabilized},
		{60 * time.Second, 0, 1, TooFewReplicas},
	})
}

func TestTheWindowEndsWhenItsAgeIsReached(t *testing.T) {
	play(t, orders(), 1, []look{
		{0, 25, 5, DesiredWithinRange},
		{300 * time.Second, 0, 1, TooFewReplicas}, // no look in between: the last one is exactly 300 s old
	})
}

func TestBucketsMoveAtMostHalf(t *testing.T) {
	place := func(n int) []int {
		objects := make([]ScaledObject, n)
		for i := range objects {
			objects[i] = ScaledObject{Namespace: "shop", Name: fmt.Sprintf("queue-%d", i)}
		}
		assignBuckets(objects)
		buckets := make([]int, n)
		for i, o := range objects {
			buckets[i] = o.Bucket
		}
		return buckets
	}
	before := place(40)
	for n := 41; n < 300; n++ {
		now, moved := place(n), 0
		for i, bucket := range before {
			if now[i] != bucket {
				moved++
			}
		}
		if moved*5 > len(before)*3 {
			t.Errorf("adding target %d moved %d of %d", n, moved, len(before))
		}
		before = now
	}
}
