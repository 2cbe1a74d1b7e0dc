package scaling

import (
	"testing"
	"time"
)

// modified is a ScaledObject of triggers a and b with a formula.
func modified(t *testing.T, policy Policy, modifiers, spec string) *ScaledObject {
	t.Helper()
	o, _ := accepted(t, spec+formula(modifiers))
	o.Policy = policy
	return &o
}

// §10.
func TestFormulas(t *testing.T) {
	const coalesce = `formula: "a ?? b ?? 8", target: '2'`
	const fallsBack = "  minReplicaCount: 1\n  fallback: {failureThreshold: 0, replicas: 5, behavior: scalingModifiers}\n"
	failed := -1.0 // a reading that failed
	for _, row := range []struct {
		rule      string
		modifiers string
		spec      string
		a, b      float64
		from      int32
		keda      int32
		direct    int32
	}{
		{"a+b, 0+2 is not above activationTarget 2", "formula: a + b, target: '2', activationTarget: '2'", "", 0, 2, 0, 0, 0},
		{"a+b, 3+2: 3 replicas", "formula: a + b, target: '2', activationTarget: '2'", "", 3, 2, 0, 3, 3},
		{"a+b, 2+2: 2 replicas", "formula: a + b, target: '2', activationTarget: '2'", "", 2, 2, 0, 2, 2},
		{"count", "formula: 'count([a,b],{#>1})>1 ? 5 : 0', target: '2'", "", 2, 2, 0, 3, 3},
		{"a choice of whole numbers is made a number", "formula: 'a > 2 ? 5 : 0', target: '1'", "", 3, 0, 1, 4, 5},
		{"a text that begins with float( is taken at its word, and the result is no number", "formula: 'float(a) > 1 ? 2 : 3', target: '1'", "", 3, 0, 1, 1, 1},
		{"a / 0 is no number", "formula: a / b, target: '1'", "", 3, 0, 3, 3, 3},
		{"below 0 is without bounds for the HPA, and 0 here", "formula: a - 5, target: '1'", "", 2, 0, 2, 4, 1},
		{"the first of several that was read", coalesce, fallsBack, 16, 12, 1, 4, 8},
		{"the second, past the threshold", coalesce, fallsBack, failed, 12, 1, 4, 6},
		{"the constant", coalesce, fallsBack, failed, failed, 1, 4, 4},
		{"nothing at all: the fallback", `formula: "a ?? b", target: '2'`, fallsBack, failed, failed, 1, 4, 5},
		{"before the threshold: held", coalesce, "  minReplicaCount: 1\n  fallback: {failureThreshold: 3, replicas: 5, behavior: scalingModifiers}\n", failed, 12, 3, 3, 3},
		{"a static fallback takes the formula's place", "formula: a + b, target: '2'", "  minReplicaCount: 1\n  fallback: {failureThreshold: 0, replicas: 4}\n", failed, 100, 2, 4, 4},
		{"an error without a fallback: held", "formula: a + b, target: '2'", "", failed, 100, 2, 2, 2},
		{"metricType Value: 8 of 2 at 8 pods", "formula: a, target: '2', metricType: Value", "  minReplicaCount: 1\n  maxReplicaCount: 10\n", 8, 0, 8, 10, 10},
	} {
		for policy, want := range map[Policy]int32{PolicyKEDA: row.keda, PolicyDirect: row.direct} {
			o := modified(t, policy, row.modifiers, row.spec)
			seen := Observed{Replicas: row.from, Current: row.from, Ready: row.from, Memory: Memory{Since: noon().Add(-time.Hour), Created: noon().Add(-time.Hour), LastSync: noon().Add(-time.Hour), LastActive: noon()}}
			for i, v := range []float64{row.a, row.b} {
				if v == failed {
					seen.Readings = append(seen.Readings, o.Triggers[i].Failed(errTest))
				} else {
					seen.Readings = append(seen.Readings, o.Triggers[i].Reading(v))
				}
			}
			if d := Decide(o, seen, noon()); d.To != want {
				t.Errorf("%s, policy %s: got %d, want %d (%s %s)", row.rule, policy, d.To, want, d.Reason, d.Record().Why)
			}
		}
	}
}

// §15.3's last row: a value below 0 takes the HPA to the maximum, step by step.
func TestANegativeFormulaAsKEDA(t *testing.T) {
	o := modified(t, PolicyKEDA, "formula: a - 5, target: '1'", "  minReplicaCount: 1\n  maxReplicaCount: 10\n")
	replicas, m := int32(2), fresh()
	for i, want := range []int32{4, 8, 10} {
		d := Decide(o, Observed{Replicas: replicas, Current: replicas, Readings: []Reading{o.Triggers[0].Reading(2), o.Triggers[1].Reading(0)}, Memory: m}, noon().Add(time.Duration(i)*15*time.Second))
		if replicas, m = d.To, d.MemoryAfter(); replicas != want {
			t.Errorf("look %d: got %d, want %d", i, replicas, want)
		}
	}
}

func TestTheFormulaIsPartOfTheRecord(t *testing.T) {
	o := modified(t, PolicyDirect, "formula: a + b, target: '2'", "")
	d := Decide(o, Observed{Replicas: 1, Current: 1, Readings: []Reading{o.Triggers[0].Reading(3), o.Triggers[1].Reading(2)}}.known(), noon())
	if want := "a: 3; b: 2; formula: 5 / 2 a replica; within 1…100: 1 → 3"; d.Record().Why != want {
		t.Errorf("got %q, want %q", d.Record().Why, want)
	}
}

// KEDA cuts to thousandths what it has multiplied out of a quantity: some numbers lose one, as 4.007 does.
func TestThousandthsAreCut(t *testing.T) {
	o := modified(t, PolicyKEDA, "formula: a, target: '1'", "")
	for value, want := range map[float64]int64{4.007: 4006, 4.006: 4006, 1.001: 1001, 0.0015: 2, -3: 0, 1e9: 1e12} {
		got, ok, err := o.Modifiers.evaluate(map[string]any{"a": asQuantity(value), "b": 0.0})
		if got != want || !ok || err != nil {
			t.Errorf("%v: got %d, %t, %v, want %d", value, got, ok, err, want)
		}
	}
}

// §10: with one trigger in fallback KEDA forgets that another fails too; policy direct does not shrink on it.
func TestAFallbackHidesAnotherFailure(t *testing.T) {
	for policy, want := range map[Policy]int32{PolicyKEDA: 4, PolicyDirect: 8} {
		o := modified(t, policy, "formula: a + b, target: '2'", "  minReplicaCount: 1\n  fallback: {failureThreshold: 3, replicas: 4}\n")
		m := failedBefore(0)
		m.Failures = []Failure{{"a", 9, noon().Add(-time.Hour)}}
		d := Decide(o, Observed{Replicas: 8, Current: 8, Readings: []Reading{o.Triggers[0].Failed(errTest), o.Triggers[1].Failed(errTest)}, Memory: m}, noon())
		if d.To != want {
			t.Errorf("%s: got %d %s, want %d", policy, d.To, d.Reason, want)
		}
	}
}
