package scaling

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// What the parser accepts, Decide can use; and it never panics.
func FuzzParse(f *testing.F) {
	f.Add([]byte(manifest(sqsTrigger)))
	f.Add([]byte(manifest("  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {policies: [{type: Pods, value: 1, periodSeconds: 1}]}}}}\n" + sqsTrigger)))
	f.Add([]byte("kind: List\nitems: [null]"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte(manifest("  fallback: {failureThreshold: 0, replicas: 3, behavior: scalingModifiers}" + formula("formula: 'float(a) ?? count([a, b], # > 1)', target: '2'"))))
	f.Add([]byte(manifest(cloudWatch(metricOfQueue))))
	f.Add([]byte(manifest("  triggers: [{type: cron, metricType: Value, metadata: {timezone: Europe/Berlin, start: 'TZ=UTC 0 8 * * *', end: 0 18 30 2 *, desiredReplicas: '3'}}]")))
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, err := Parse(File{"fuzz", data})
		var problems Problems
		if err != nil && !errors.As(err, &problems) {
			t.Fatalf("an error that is no Problems: %v", err)
		}
		for _, o := range parsed.ScaledObjects {
			for _, policy := range []Policy{PolicyDirect, PolicyKEDA} {
				o.Policy = policy
				for _, value := range []float64{-1, 0, 11} {
					seen := Observed{Replicas: 1, Current: 1, Ready: 1}
					for i := range o.Triggers {
						switch trigger := &o.Triggers[i]; {
						case trigger.Type == TypeCron:
							seen.Readings = append(seen.Readings, trigger.CronReading(noon()))
						case value < 0:
							seen.Readings = append(seen.Readings, trigger.Failed(errTest))
						default:
							seen.Readings = append(seen.Readings, trigger.Reading(value))
						}
					}
					d := Decide(&o, seen, noon())
					if d.To < 0 || d.Reason == "" || d.Record().Why == "" {
						t.Fatalf("%+v: %+v", o, d)
					}
				}
			}
		}
	})
}

// invented makes a ScaledObject and a start out of numbers.
func invented(minimum, maximum, window uint16, rules uint8) *ScaledObject {
	o := with(orders(), func(o *ScaledObject) {
		o.MinReplicaCount = number32(int32(minimum % 50))
		o.MaxReplicaCount = max(1, int32(minimum%50)+int32(maximum%200))
		o.CooldownPeriod = time.Duration(window%400) * time.Second
	})
	policy := []ScalingPolicy{{Percent: rules&8 != 0, Value: int32(window%7) + 1, Period: time.Duration(window%90+1) * time.Second}}
	if rules&1 != 0 {
		o.ScaleUp = &ScalingRules{Window: time.Duration(rules) * time.Second, Select: SelectMax, Policies: policy}
	}
	if rules&2 != 0 {
		o.ScaleDown = &ScalingRules{Window: time.Duration(window%400) * time.Second, Select: SelectMin, Policies: policy}
	}
	if rules&4 != 0 {
		o.InitialCooldownPeriod = time.Minute
	}
	if rules&16 != 0 {
		o.Policy = PolicyKEDA
		if o.ScaleUp != nil && o.ScaleDown == nil {
			o.ScaleDown = &ScalingRules{Implied: true, Window: 300 * time.Second, Select: SelectMax, Policies: []ScalingPolicy{percentOf(100, 15)}}
		}
		if o.ScaleDown != nil && o.ScaleUp == nil {
			o.ScaleUp = &ScalingRules{Implied: true, Select: SelectMax, Policies: []ScalingPolicy{podsOf(4, 15), percentOf(100, 15)}}
		}
	}
	if rules&32 != 0 && o.Min() > 1 {
		o.IdleReplicaCount = number32(0)
	}
	if rules&64 != 0 {
		o.Fallback = &Fallback{FailureThreshold: int32(window % 3), Replicas: int32(maximum % 9), Behavior: FallbackCurrentIfHigher}
	}
	return o
}

// The properties hold at every look of a random history.
func FuzzDecide(f *testing.F) {
	f.Add(uint16(0), uint16(5), uint16(300), uint8(0), uint8(3), []byte{3, 6, 11, 0, 0, 0, 255, 20})
	f.Add(uint16(0), uint16(100), uint16(300), uint8(16), uint8(0), []byte{3, 255, 19, 200, 19, 19, 0, 0, 19, 255, 255})
	f.Add(uint16(2), uint16(30), uint16(60), uint8(16+3+32+64), uint8(9), []byte{200, 19, 255, 19, 255, 19, 255, 0, 0, 19})
	f.Add(uint16(1), uint16(40), uint16(15), uint8(3), uint8(9), []byte{200, 200, 0, 255, 0})
	f.Fuzz(func(t *testing.T, minimum, maximum, window uint16, rules, start uint8, history []byte) {
		o := invented(minimum, maximum, window, rules)
		replicas, now := int32(start), noon()
		var m Memory
		if rules&128 != 0 {
			m = Memory{Since: now, Created: now}
		}
		for _, h := range history {
			now = now.Add(time.Duration(h%20) * time.Second)
			seen := Observed{Replicas: replicas, Current: replicas, Readings: depth(float64(h) * 3), Memory: m}
			if h == 255 {
				seen.Readings = []Reading{o.Triggers[0].Failed(errTest)}
			}
			failsOver := h == 255 && o.Fallback != nil // what was counted is lost too
			before, err := json.Marshal(seen.Memory)
			if err != nil {
				t.Fatal(err)
			}
			d := Decide(o, seen, now)

			if after, err := json.Marshal(seen.Memory); err != nil || string(after) != string(before) {
				t.Fatalf("Decide changed the memory it was given: %s, was %s", after, before)
			}
			if again := Decide(o, seen, now); !cmp.Equal(d.Record(), again.Record()) && h != 255 {
				t.Fatalf("the same values gave %+v and %+v", d.Record(), again.Record())
			}
			if d.To != replicas && (d.To > o.MaxReplicaCount || d.To < o.Floor()) {
				t.Fatalf("set to %d, outside %d…%d", d.To, o.Floor(), o.MaxReplicaCount)
			}
			if h == 255 && o.Fallback == nil && d.To < min(replicas, o.MaxReplicaCount) {
				t.Fatalf("a failed reading shrank %d to %d", replicas, d.To)
			}
			settled := seen
			settled.Replicas, settled.Current, settled.Memory = d.To, d.To, d.MemoryAfter()
			if second := Decide(o, settled, now); second.Changed() {
				t.Fatalf("deciding again at once: %d, then %d (%s; %s)", d.To, second.To, d.Record().Why, second.Record().Why)
			}
			if o.Policy == PolicyDirect && o.ScaleUp == nil && replicas == 0 && h > 0 && h != 255 { // asleep, with work
				if want, _ := clamp(ceil(float64(h)*3/5), o.Min(), o.MaxReplicaCount); d.To != want {
					t.Fatalf("woken to %d for %d messages, want %d at once", d.To, int(h)*3, want)
				}
			}
			deeper := seen
			deeper.Readings = depth(float64(h)*3 + 7)
			if more := Decide(o, deeper, now); h != 255 && more.To < d.To {
				t.Fatalf("%d messages gave %d, 7 more gave %d", int(h)*3, d.To, more.To)
			}
			lost := seen
			lost.Memory = Memory{}
			if forgetful := Decide(o, lost, now); !failsOver && forgetful.To < d.To && forgetful.To < min(replicas, o.MaxReplicaCount) {
				t.Fatalf("without memory %d, with it %d, from %d", forgetful.To, d.To, replicas)
			}
			late := seen
			late.Memory = m.Later(time.Minute)
			if l := Decide(o, late, now); m.Known() && m.Created.IsZero() && l.To < d.To { // neither shrunk early nor kept from growing
				t.Fatalf("with what is stored %d, with what is known %d, from %d", l.To, d.To, replicas)
			}
			replicas, m = d.To, d.MemoryAfter()
		}
	})
}

// Whatever is stored is read without a panic, and comes back as it was read.
func FuzzMemory(f *testing.F) {
	f.Add(`{"since":"2026-01-05T12:00:00Z","latest":{"replicas":3,"at":"2026-01-05T12:00:00Z"}}`)
	f.Add(`null`)
	f.Add(`{"scaleUps":[{"change":2147483647,"at":"2026-01-05T11:59:59Z"},{"change":1,"at":"2026-01-05T11:59:59Z"}]}`)
	f.Add(`{"higher":[{"replicas":3,"at":"2026-01-05T11:59:00Z"},{"replicas":5,"at":"2026-01-05T11:59:30Z"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMemory(text)
		if err != nil {
			return
		}
		d := Decide(orders(), Observed{Replicas: 2, Current: 2, Readings: depth(0), Memory: m}, noon())
		if d.To < 1 || d.To > 5 {
			t.Fatalf("%+v", d)
		}
		again, kept, err := m.Text(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseMemory(again); err != nil || !cmp.Equal(back, m, cmpopts.EquateEmpty()) || !cmp.Equal(kept, m) {
			t.Fatalf("%s came back as %+v, %v", text, back, err)
		}
	})
}

// remembered makes a memory such as decisions leave, up to now, of three numbers an entry: how many replicas,
// how many quarters of a second after the one before, and what they are.
func remembered(numbers []byte) Memory {
	m := Memory{Since: noon().Add(-2 * time.Hour), LastActive: noon().Add(-time.Minute)}
	at := noon()
	for i := 0; i+2 < len(numbers); i += 3 {
		at = at.Add(-time.Duration(numbers[i+1]) * time.Second / 4)
	}
	for i := 0; i+2 < len(numbers); i += 3 {
		n := int32(numbers[i])
		at = at.Add(time.Duration(numbers[i+1]) * time.Second / 4)
		switch numbers[i+2] % 4 {
		case 0:
			m.ScaleUps = append(m.ScaleUps, ScaleEvent{n + 1, at})
		case 1:
			m.ScaleDowns = append(m.ScaleDowns, ScaleEvent{n + 1, at})
		default:
			m.recommend(n, at, time.Hour, time.Hour)
		}
	}
	return m
}

// What is stored coarsely never asks for fewer replicas than what is known, now or later, and never needs
// to be stored again for that.
func FuzzCoarseMemory(f *testing.F) {
	long := make([]byte, 0, 1200)
	for i := range 400 {
		long = append(long, byte(255-i/2), 30, byte(i%9))
	}
	f.Add(uint16(1), uint16(200), uint16(300), uint8(3), uint8(90), uint8(3), uint16(600), uint16(10), long)
	f.Add(uint16(1), uint16(200), uint16(300), uint8(11), uint8(90), uint8(3), uint16(600), uint16(10), long)
	f.Add(uint16(1), uint16(200), uint16(300), uint8(19), uint8(200), uint8(30), uint16(300), uint16(0), long)
	f.Add(uint16(1), uint16(200), uint16(6), uint8(129), uint8(20), uint8(255), uint16(1), uint16(0), []byte{21, 40, 2, 22, 40, 2, 23, 40, 2, 24, 40, 2, 25, 40, 2})
	f.Add(uint16(0), uint16(50), uint16(399), uint8(0), uint8(20), uint8(0), uint16(250), uint16(3000), long)
	f.Fuzz(func(t *testing.T, minimum, maximum, window uint16, rules, replicas, value uint8, size, wait uint16, numbers []byte) {
		o := invented(minimum, maximum, window, rules)
		m := remembered(numbers)
		coarse := m
		for range int(size) % (1 + len(numbers)/3) {
			coarse, _ = coarse.coarser(1 + int(size>>12))
		}
		if err := coarse.check(); err != nil {
			t.Fatalf("%v: %+v", err, coarse)
		}
		now := noon().Add(time.Duration(wait) * time.Second)
		seen := Observed{Replicas: int32(replicas), Current: int32(replicas), Readings: depth(float64(value) * 3), Memory: m}
		exact := Decide(o, seen, now)
		if !o.Covers(coarse, m, now) {
			t.Fatalf("it would have to be stored again: %+v", coarse)
		}
		seen.Memory = coarse
		if stored := Decide(o, seen, now); stored.To < exact.To {
			t.Fatalf("with what is stored %d, with what is known %d, from %d (%s; %s)\n%+v\n%+v", stored.To, exact.To, replicas, stored.Record().Why, exact.Record().Why, coarse, m)
		}
	})
}
