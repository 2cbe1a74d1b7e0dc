package hpa

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
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
// behavior are written, each with its tolerance, all triggers are AverageValue, and the size stays within
// minReplicaCount (at least 1) and maxReplicaCount.
func likeTheHPA(data []byte) scenario {
	s := &numbers{data}
	low := one(s, int32(1), 2, 5)
	n := scenario{Min: &low, Max: low + one(s, int32(9), 0, 4, 95, 995), Polling: 30, Triggers: s.triggers(), Stored: s.oneIn(2)}
	for i := range n.Triggers {
		n.Triggers[i].MetricType = autoscalingv2.AverageValueMetricType
	}
	n.Behavior = &behavior{ScaleUp: s.rules(), ScaleDown: s.rules()}
	for _, r := range []*autoscalingv2.HPAScalingRules{n.Behavior.ScaleUp, n.Behavior.ScaleDown} {
		if r.Tolerance == nil {
			q := resource.MustParse("0.1")
			r.Tolerance = &q
		}
	}
	within := func(r int32) int32 { return min(max(r, low), n.Max) }
	n.Start = within(s.replicas(n.Max))
	n.Looks = s.looks(n, false)
	if len(n.Looks) > 0 {
		n.Looks[0].After, n.Looks[0].Set = 0, nil
	}
	for i, l := range n.Looks {
		if l.Set != nil {
			set := within(*l.Set)
			n.Looks[i].Set = &set
		}
	}
	return n
}

// anything makes any scenario.
func anything(data []byte) scenario {
	s := &numbers{data}
	n := scenario{
		Polling: one(s, int32(30), 15, 1, 60, 300), Cooldown: one(s, int32(300), 0, 30, 60, 61), InitialCooldown: one(s, int32(0), 30, 120),
		Epoch:    time.Duration(s.upTo(366*24*60)) * time.Minute,
		Triggers: s.triggers(), Stored: s.oneIn(2), Annotations: map[string]string{"leda.dev/policy": "keda"},
	}
	low := int32(0)
	if !s.oneIn(3) {
		low = one(s, int32(0), 1, 2, 5)
		n.Min = &low
	}
	n.Max = max(1, low) + one(s, int32(9), 0, 4, 95, 995)
	if s.oneIn(4) && low > 0 {
		idle := int32(s.upTo(int(low) - 1))
		n.Idle = &idle
	}
	for _, annotation := range []string{kedav1alpha1.PausedScaleInAnnotation, kedav1alpha1.PausedScaleOutAnnotation, kedav1alpha1.ForceActivationAnnotation} {
		if s.oneIn(8) {
			n.Annotations[annotation] = "true"
		}
	}
	if s.oneIn(2) {
		n.Behavior = &behavior{}
		if s.oneIn(2) {
			n.Behavior.ScaleUp = s.rules()
		}
		if s.oneIn(2) {
			n.Behavior.ScaleDown = s.rules()
		}
	}
	if s.oneIn(4) {
		n.Modifiers = s.modifiers(n.Triggers)
	}
	if s.oneIn(3) {
		n.Fallback = s.fallback(n)
	}
	n.Start = s.replicas(n.Max + 10)
	n.Looks = s.looks(n, true)
	if s := (&numbers{data}); len(n.Looks) > 0 && s.oneIn(2) {
		n.Looks[0].After = 0
	}
	return n
}

// play plays a scenario to Leda and to the real code, and returns what happened up to the first
// difference of size or reason, or nothing. theirs is what the real code makes of the world, in which the
// ScaledObject is as the scenario has it by then.
func play(t *testing.T, n scenario, remember scaling.Memory, theirs func(n scenario, l look, s Step, sources []Source) answer) string {
	t.Helper()
	o, _, _ := n.parse(t)
	start := time.Now()
	now, replicas, memory := start, n.Start, remember
	var told strings.Builder
	for _, l := range n.Looks {
		now = now.Add(l.After)
		if l.Change != nil {
			n = n.changed(*l.Change)
			o, _, _ = n.parse(t)
		}
		if l.Set != nil {
			replicas = *l.Set
		}
		step := Step{At: now.Sub(start), Replicas: replicas, Status: replicas}
		if l.Status != nil {
			step.Status = *l.Status
		}
		step.Ready = step.Status
		if l.Ready != nil {
			step.Ready = min(*l.Ready, step.Status)
		}
		seen := scaling.Observed{Replicas: replicas, Current: step.Status, Ready: step.Ready, Memory: memory}
		sources := n.sources(l, now)
		var values []string
		for i, source := range sources {
			trigger := &o.Triggers[i]
			reading := trigger.Failed(source.Err)
			switch {
			case trigger.Type == scaling.TypeCron:
				reading = trigger.CronReading(now)
			case source.Err == nil:
				reading = trigger.Reading(*l.Values[i])
			}
			seen.Readings = append(seen.Readings, reading)
			values = append(values, fmt.Sprint(reading.Value, reading.Err))
		}
		want := theirs(n, l, step, sources)
		got := scaling.Decide(o, seen, now)
		fmt.Fprintf(&told, "%8s  %v%d replicas, %d pods, %d ready, %v: %s: %d %s, leda %d %s\n",
			step.At, l.Change, replicas, step.Status, step.Ready, values, want.told, want.replicas, want.reason, got.To, got.Reason)
		if got.To != want.replicas || got.Reason != want.reason {
			return told.String()
		}
		replicas, memory = got.To, got.MemoryAfter()
		if n.Stored {
			memory = stored(t, memory)
		}
	}
	return ""
}

// playDirect plays a scenario to policy direct and to the HPA.
func playDirect(t *testing.T, n scenario) (difference string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		_, _, spec := n.parse(t)
		a := New(t, spec)
		// A target that has been known for long. (One that is new does not shrink at all at first, while the HPA
		// shrinks to the size that it found.)
		now := time.Now()
		known := scaling.Memory{Since: now.Add(-24 * time.Hour), Latest: scaling.Recommendation{Replicas: n.Start, At: now}}
		difference = play(t, n, known, func(_ scenario, _ look, s Step, sources []Source) answer {
			for _, source := range sources {
				s.Metrics = append(s.Metrics, Metric{source.Value.MilliValue(), source.Err})
			}
			o := a.Sync(s)
			return answer{o.Replicas, o.reason(s.Replicas, spec), fmt.Sprintf("HPA %+v", o)}
		})
	})
	return difference
}

// playKEDA plays a scenario to policy keda and to KEDA and the HPA, each when it is due.
func playKEDA(t *testing.T, n scenario) (difference string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(n.Epoch)
		_, object, spec := n.parse(t)
		a := New(t, spec)
		k, err := NewHandler(object, n.metrics(), a)
		if err != nil {
			t.Fatalf("KEDA refuses this ScaledObject: %v", err)
		}
		now := time.Now()
		var polled, synced time.Duration
		anew, paused, pausedAt := true, false, ""
		difference = play(t, n, scaling.Memory{Since: now, Created: now}, func(n scenario, l look, s Step, sources []Source) answer {
			if l.Change != nil {
				_, object, spec = n.parse(t)
				if err := k.Change(object, n.metrics()); err != nil {
					t.Fatalf("KEDA refuses this ScaledObject: %v", err)
				}
				// controllers/keda/scaledobject_controller.go reconcileScaledObject, v2.21.
				switch was := paused; {
				case object.NeedToBePausedByAnnotation():
					if paused = true; !was {
						a.Delete()
					}
					count := n.Annotations[kedav1alpha1.PausedReplicasAnnotation]
					if set, err := object.GetPausedReplicaCount(); err == nil && set != nil && count != pausedAt {
						s.Replicas = *set
					}
					pausedAt = count
				case was:
					a.Create(t, spec)
					anew, paused, pausedAt = true, false, ""
				default:
					a.Change(t, spec)
				}
			}
			if paused {
				return answer{s.Replicas, scaling.ScaledObjectPaused, "paused"}
			}
			loops := loops{from: s.Replicas}
			if anew || s.At-polled >= time.Duration(n.Polling)*time.Second {
				time.Sleep(time.Until(now.Add(s.At)))
				v := k.Poll(t.Context(), s, sources)
				loops.keda, s.Replicas, polled = &v, v.Replicas, s.At
			}
			if anew || s.At-synced >= syncPeriod {
				s.Metrics = k.Metrics(t.Context(), s, sources)
				o := a.Sync(s)
				loops.hpa, loops.synced, s.Replicas, synced = &o, s.Replicas, o.Replicas, s.At
			}
			anew = false
			return answer{s.Replicas, loops.reason(n, spec), loops.String()}
		})
	})
	return difference
}

// stored is m as it comes back from where it was stored.
func stored(t *testing.T, m scaling.Memory) scaling.Memory {
	t.Helper()
	text, _, err := m.Text(64 << 10)
	if err != nil {
		t.Fatal(err)
	}
	back, err := scaling.ParseMemory(text)
	if err != nil {
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
			if i == 0 && len(less.Looks) > 0 {
				less.Looks[0].After, less.Looks[0].Set = n.Looks[0].After, n.Looks[0].Set
			}
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

// compare plays random scenarios, and tells the first difference in as few looks as it can be shown.
func compare(t *testing.T, made func([]byte) scenario, play func(*testing.T, scenario) string) {
	t.Helper()
	looks := 0
	began := time.Now()
	for i := range *scenarios {
		n := made(random(i))
		looks += len(n.Looks)
		if play(t, n) == "" {
			continue
		}
		n = shortest(n, func(n scenario) bool { return play(t, n) != "" })
		t.Fatalf("scenario %d of seed %d: %v\n%s", i, *seed, n, play(t, n))
	}
	t.Logf("%d looks, %.0f a second", looks, float64(looks)/time.Since(began).Seconds())
}

func TestDirectIsTheHPA(t *testing.T) { compare(t, likeTheHPA, playDirect) }

func TestKEDAIsKEDA(t *testing.T) { compare(t, anything, playKEDA) }

// The random scenarios are the seeds; from there the fuzzer follows what it covers of scaling.
func FuzzDirectIsTheHPA(f *testing.F) { fuzz(f, likeTheHPA, playDirect) }

func FuzzKEDAIsKEDA(f *testing.F) { fuzz(f, anything, playKEDA) }

func fuzz(f *testing.F, made func([]byte) scenario, play func(*testing.T, scenario) string) {
	f.Helper()
	for i := range 20 {
		f.Add(random(i))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if difference := play(t, made(data)); difference != "" {
			t.Fatalf("%v\n%s", made(data), difference)
		}
	})
}
