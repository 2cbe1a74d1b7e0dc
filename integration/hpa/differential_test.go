package hpa

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/leda-autoscaler/leda/scaling"
)

var (
	scenarios = flag.Int("scenarios", 2000, "how many random scenarios each test plays")
	seed      = flag.Uint64("seed", 1, "what they are made of")
)

// random is the bytes of the i-th random scenario.
func random(i int) []byte {
	r := rand.New(rand.NewPCG(*seed, uint64(i)))
	data := make([]byte, 20+r.IntN(400))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

// likeTheHPA makes a scenario in which policy direct must do what the HPA does: both directions of
// behavior are written, each with its tolerance, and the size stays within minReplicaCount (at least 1)
// and maxReplicaCount. docs/scaledobject.md says what direct does differently elsewhere.
func likeTheHPA(data []byte) scenario {
	s := &numbers{data}
	n := scenario{Min: one(s, int32(1), 2, 5), Targets: s.targets(), Stored: s.oneIn(2)}
	n.Max = n.Min + one(s, int32(9), 0, 4, 95, 995)
	n.Behavior = &behavior{ScaleUp: s.rules(), ScaleDown: s.rules()}
	for _, r := range []*autoscalingv2.HPAScalingRules{n.Behavior.ScaleUp, n.Behavior.ScaleDown} {
		if r.Tolerance == nil {
			q := resource.MustParse("0.1")
			r.Tolerance = &q
		}
	}
	within := func(r int32) int32 { return min(max(r, n.Min), n.Max) }
	n.Start = within(s.replicas(n.Max))
	n.Looks = s.looks(n)
	for i, l := range n.Looks {
		if l.Set != nil {
			set := within(*l.Set)
			n.Looks[i].Set = &set
		}
	}
	return n
}

// playDirect plays a scenario to policy direct and to the HPA, and returns the first difference.
func playDirect(t *testing.T, n scenario) (difference string) {
	o := n.parse(t, "direct")
	synctest.Test(t, func(t *testing.T) {
		a := New(t, n.spec())
		var told strings.Builder
		now, replicas := time.Now(), n.Start
		start := now
		// A target that has been known for long. (One that is new does not shrink at all at first, while the HPA
		// shrinks to the size that it found.)
		memory := scaling.Memory{Since: now.Add(-24 * time.Hour), Latest: scaling.Recommendation{Replicas: replicas, At: now}}
		for i, l := range n.Looks {
			if i > 0 {
				now = now.Add(l.After)
				if l.Set != nil {
					replicas = *l.Set
				}
			}
			step := Step{At: now.Sub(start), Replicas: replicas, Status: replicas}
			if l.Status != nil {
				step.Status = *l.Status
			}
			seen := scaling.Observed{Replicas: replicas, Current: step.Status, Memory: memory}
			for i, v := range l.Values {
				if v < 0 {
					err := errors.New("no such queue")
					step.Metrics = append(step.Metrics, Metric{Err: err})
					seen.Readings = append(seen.Readings, scaling.Reading{Trigger: metricName(i), Err: err})
					continue
				}
				step.Metrics = append(step.Metrics, Metric{Milli: int64(v) * 1000})
				seen.Readings = append(seen.Readings, scaling.Reading{Trigger: metricName(i), Value: v, Target: float64(n.Targets[i]), Active: v > 0})
			}
			want := a.Sync(step)
			got := scaling.Decide(o, seen, now)
			fmt.Fprintf(&told, "%8s  %d replicas, %d pods, %v: the HPA sets %d %+v, leda %d %s\n",
				step.At, replicas, step.Status, l.Values, want.Replicas, want, got.To, got.Reason)
			if got.To != want.Replicas {
				difference = told.String()
				return
			}
			replicas, memory = got.To, got.MemoryAfter()
			if n.Stored {
				memory = stored(t, memory)
			}
		}
	})
	return difference
}

// stored is m as it comes back from where it was stored.
func stored(t *testing.T, m scaling.Memory) scaling.Memory {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back scaling.Memory
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// shortest takes looks away from a scenario as long as there is a difference.
func shortest(n scenario, differs func(scenario) bool) scenario {
	for size := len(n.Looks) / 2; size > 0; {
		smaller := false
		for i := 0; i+size <= len(n.Looks); {
			less := n
			less.Looks = slices.Delete(slices.Clone(n.Looks), i, i+size)
			if differs(less) {
				n, smaller = less, true
			} else {
				i++
			}
		}
		if !smaller {
			size /= 2
		}
	}
	return n
}

func TestDirectIsTheHPA(t *testing.T) {
	looks := 0
	began := time.Now()
	for i := range *scenarios {
		n := likeTheHPA(random(i))
		looks += len(n.Looks)
		if playDirect(t, n) == "" {
			continue
		}
		n = shortest(n, func(n scenario) bool { return playDirect(t, n) != "" })
		t.Fatalf("scenario %d of seed %d: %v\n%s", i, *seed, n, playDirect(t, n))
	}
	t.Logf("%d looks, %.0f a second", looks, float64(looks)/time.Since(began).Seconds())
}

// The random scenarios are the seeds; from there the fuzzer follows what it covers of scaling.
func FuzzDirectIsTheHPA(f *testing.F) {
	for i := range 20 {
		f.Add(random(i))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if difference := playDirect(t, likeTheHPA(data)); difference != "" {
			t.Fatalf("%v\n%s", likeTheHPA(data), difference)
		}
	})
}
