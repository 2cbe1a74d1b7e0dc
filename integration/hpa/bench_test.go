package hpa

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
	"k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"

	"github.com/leda-autoscaler/leda/scaling"
)

// BenchmarkDecide measures a look at one SQS trigger with a full window behind it: 20 looks, 15 s apart, each with a
// lower depth than the one before, so that every one of them still counts; it asks for what the last one did. It
// reports Decide's time as a multiple of the HPA's.
//
// The HPA's side is GetExternalPerPodMetricReplicas of the real ReplicaCalculator, which comes to the proposal and no
// further: fetching a metric (here a value that is there already), adding up, the tolerance, the quotient. Windows,
// limits and conditions are methods of the controller that nothing outside its package can call, and
// a whole sync is mostly copies of objects; so neither is in the measure. The tolerance is 0, since a Tolerances with
// another cannot be made out there either.
//
// Decide's side is the whole decision: proposal, activation, cooldown, window, limits, reason and the memory
// of the next look; in policy keda both loops, KEDA's poll and the HPA's sync, at the tolerance 0.1. Neither
// side reads a queue, writes a size or prints anything.
func BenchmarkDecide(b *testing.B) {
	var hpa time.Duration
	b.Run("HPA", func(b *testing.B) {
		calculator := podautoscaler.NewReplicaCalculator(depth{values: []int64{11000}}, nil, cpuInitializationPeriod, initialReadinessDelay)
		b.ReportAllocs()
		for b.Loop() {
			n, _, _, err := calculator.GetExternalPerPodMetricReplicas(5, 5000, metricName(0), podautoscaler.Tolerances{}, "shop", nil)
			if n != 3 || err != nil {
				b.Fatal(n, err)
			}
		}
		hpa = b.Elapsed() / time.Duration(b.N)
	})
	for _, policy := range []string{"direct", "keda"} {
		b.Run(policy, func(b *testing.B) {
			low := int32(1)
			o, _, _ := scenario{
				Min: &low, Max: 100, Polling: 30, Cooldown: 300, Annotations: map[string]string{"leda.dev/policy": policy},
				Triggers: []trigger{{Type: scaling.TypeSQS, MetricType: "AverageValue", Target: 5}},
			}.parse(b)
			seen := scaling.Observed{Replicas: 5, Current: 5, Ready: 5}
			now := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
			look := func(after time.Duration, messages float64) scaling.Decision {
				now = now.Add(after)
				seen.Readings = []scaling.Reading{o.Triggers[0].Reading(messages)}
				return scaling.Decide(o, seen, now)
			}
			for i := range 20 {
				seen.Memory = look(syncPeriod, float64(5*(22-i))).MemoryAfter()
			}
			seen.Memory.LastPoll, seen.Memory.LastSync = now.Add(-time.Minute), now.Add(-time.Minute) // policy keda: both loops are due
			if d := look(time.Second, 11); d.Proposal != 3 || len(d.Memory.Higher) != 19 {
				b.Fatalf("%d with %d recommendations", d.Proposal, len(d.Memory.Higher))
			}
			b.ReportAllocs()
			for b.Loop() {
				scaling.Decide(o, seen, now)
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(hpa), "×HPA")
		})
	}
}

// depth is a metric that is there already.
type depth struct {
	metrics.MetricsClient
	values []int64
}

func (d depth) GetExternalMetric(string, string, labels.Selector) ([]int64, time.Time, error) {
	return d.values, time.Time{}, nil
}
