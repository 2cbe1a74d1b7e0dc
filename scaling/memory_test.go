package scaling

import (
	"fmt"
	"testing"
	"time"
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
