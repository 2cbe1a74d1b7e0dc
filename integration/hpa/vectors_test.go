package hpa

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
)

// The numbers of keda-hpa-semantics.md, §7 and §15, as the real controller gives them. They check both:
// that this package drives the controller rightly, and that the numbers, which are rows of the
// product's own tests too, are true.

const syncPeriod = 15 * time.Second

type behavior = autoscalingv2.HorizontalPodAutoscalerBehavior

func seconds(s int32) *int32 { return &s }

func pods(n, period int32) autoscalingv2.HPAScalingPolicy {
	return autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PodsScalingPolicy, Value: n, PeriodSeconds: period}
}

func percent(n, period int32) autoscalingv2.HPAScalingPolicy {
	return autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PercentScalingPolicy, Value: n, PeriodSeconds: period}
}

// rules is one direction; a negative window or an empty choice is not written.
func rules(window int32, choose autoscalingv2.ScalingPolicySelect, policies ...autoscalingv2.HPAScalingPolicy) *autoscalingv2.HPAScalingRules {
	r := &autoscalingv2.HPAScalingRules{Policies: policies}
	if window >= 0 {
		r.StabilizationWindowSeconds = seconds(window)
	}
	if choose != "" {
		r.SelectPolicy = &choose
	}
	return r
}

// unlimited lets every proposal through as it is.
func unlimited(tolerance string) *behavior {
	b := &behavior{ScaleUp: rules(0, "", pods(1e6, 1)), ScaleDown: rules(0, "")}
	if tolerance != "" {
		q := resource.MustParse(tolerance)
		b.ScaleUp.Tolerance, b.ScaleDown.Tolerance = &q, &q
	}
	return b
}

func TestProposals(t *testing.T) {
	type proposal struct {
		metric           int64 // in thousandths
		status, ready    int32
		want             int32
		spec             int32 // status unless given
		reason, tolerant string
	}
	at := func(status int32, metric float64, want int32) proposal {
		return proposal{metric: int64(metric * 1000), status: status, want: want}
	}
	var table []proposal // §15.1: messages by status.replicas 1 to 6
	for _, row := range []struct {
		messages []float64
		want     [6]int32
	}{
		{[]float64{0}, [6]int32{0, 0, 0, 0, 0, 0}},
		{[]float64{1, 2, 3, 4, 5}, [6]int32{1, 1, 1, 1, 1, 1}},
		{[]float64{6, 7, 8, 9, 10}, [6]int32{2, 2, 2, 2, 2, 2}},
		{[]float64{11}, [6]int32{3, 2, 3, 3, 3, 3}},
		{[]float64{12, 13, 14, 15}, [6]int32{3, 3, 3, 3, 3, 3}},
		{[]float64{16}, [6]int32{4, 4, 3, 4, 4, 4}},
		{[]float64{17, 18, 19, 20}, [6]int32{4, 4, 4, 4, 4, 4}},
		{[]float64{21, 22}, [6]int32{5, 5, 5, 4, 5, 5}},
		{[]float64{23, 24, 25}, [6]int32{5, 5, 5, 5, 5, 5}},
		{[]float64{26, 27}, [6]int32{6, 6, 6, 6, 5, 6}},
		{[]float64{28, 30}, [6]int32{6, 6, 6, 6, 6, 6}},
	} {
		for _, messages := range row.messages {
			for i, want := range row.want {
				table = append(table, at(int32(i)+1, messages, want))
			}
		}
	}
	for _, test := range []struct {
		name   string
		target Target
		rows   []proposal
	}{
		{"§15.1 queueLength 5", Target{Milli: 5000}, append(table, []proposal{
			at(2, 11.001, 3), at(2, 9, 2), at(10, 45, 10), at(10, 55, 10), at(10, 55.001, 12),
			{metric: 0, spec: 1, want: 0},
			{metric: 3000, spec: 1, want: 1},
			{metric: 11000, spec: 1, want: 3}, // no pods yet
		}...)},
		{"§15.2 tolerance 0", Target{Milli: 5000}, []proposal{
			{metric: 11000, status: 2, tolerant: "0", want: 3},
			{metric: 16000, status: 3, tolerant: "0", want: 4},
			{metric: 21000, status: 4, tolerant: "0", want: 5},
			{metric: 26000, status: 5, tolerant: "0", want: 6},
			{metric: 10000, status: 2, tolerant: "0", want: 2},
			{metric: 11000, status: 2, tolerant: "0.09", want: 3},
		}},
		{"§15.4 cron", Target{Milli: 1000}, []proposal{
			at(9, 10, 10), at(10, 11, 10), at(10, 12, 12), at(11, 10, 11), at(10, 9, 10), at(10, 8, 8), at(100, 105, 100),
			at(100, 110, 100), at(100, 111, 111), at(100, 90, 100), at(100, 89, 89), at(22, 20, 22), at(23, 20, 20),
			at(11, 10, 11), at(12, 10, 10), // §9: a fallback of 10
		}},
		{"§15.5 CloudWatch", Target{Milli: 2500}, []proposal{at(1, 7.4, 3), at(3, 7.4, 3), at(3, 8.25, 3), at(3, 8.251, 4)}},
		{"§7.3 Value 4.4", Target{Milli: 4400, IsValue: true}, []proposal{
			{metric: 8600, status: 3, ready: 1, want: 2},
			{metric: 8600, status: 3, ready: 3, want: 6},
			{metric: 8600, status: 3, want: 0},                                  // no pod is ready
			{metric: 8600, spec: 3, want: 3, reason: "FailedGetExternalMetric"}, // there is no pod
		}},
		{"§7.3 Value 14.334", Target{Milli: 14334, IsValue: true}, []proposal{{metric: 8600, status: 5, ready: 5, want: 3}}},
		{"§7.3 Value 10", Target{Milli: 10000, IsValue: true}, []proposal{
			{metric: 11000, status: 3, ready: 3, want: 3}, {metric: 11001, status: 3, ready: 3, want: 4},
		}},
		{"§7.3 Value 1", Target{Milli: 1000, IsValue: true}, []proposal{{metric: 30000, status: 2, ready: 2, want: 60}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, row := range test.rows {
					// KEDA never writes minReplicas 0; with it a proposal of 0 can be seen.
					a := New(t, Spec{Min: 0, Max: 1e6, Behavior: unlimited(row.tolerant), Targets: []Target{test.target}})
					spec := max(row.spec, row.status)
					got := a.Sync(Step{Replicas: spec, Status: row.status, Ready: row.ready, Metrics: []Metric{{Milli: row.metric}}})
					reason := row.reason
					if reason == "" {
						reason = "ValidMetricFound"
					}
					if got.Replicas != row.want || got.ScalingActive != reason {
						t.Errorf("%+v: got %+v", row, got)
					}
				}
			})
		})
	}
}

// of is n syncs that propose p.
func of(n int, p int32) []int32 { return slices.Repeat([]int32{p}, n) }

func then(parts ...[]int32) []int32 { return slices.Concat(parts...) }

func TestSequences(t *testing.T) {
	const none = -1 // the metric cannot be read
	for _, test := range []struct {
		name      string
		min, max  int32 // 1 and 100 unless given
		target    int64 // in units; 1 unless given, so that the metric is the proposal
		behavior  *behavior
		from      int32
		every     time.Duration
		set       map[int]int32 // by somebody else, before that sync
		proposals []int32
		want      []int32
	}{
		{name: "§15.2 1 to 4", target: 5, max: 5, from: 1, proposals: []int32{3, 6, 10, 11}, want: []int32{1, 2, 2, 2}},
		{name: "§15.2 4b and 4c", target: 5, max: 5, from: 1, proposals: []int32{3, 11, 11}, want: []int32{1, 3, 3}},
		{name: "§15.2 5", target: 5, max: 5, from: 2, proposals: []int32{12}, want: []int32{3}},
		{name: "§15.2 6, 25", target: 5, max: 5, from: 3, proposals: []int32{25}, want: []int32{5}},
		{name: "§15.2 6, 26", target: 5, max: 5, from: 3, proposals: []int32{26}, want: []int32{5}},
		{name: "§15.2 6, 1000", target: 5, max: 5, from: 3, proposals: []int32{1000}, want: []int32{5}},
		{name: "§15.2 7", target: 5, max: 5, from: 1, proposals: []int32{1000, 1000}, want: []int32{4, 5}},
		{
			name: "§15.2 8", target: 5, max: 5, from: 2,
			proposals: then([]int32{12}, of(20, 0)), want: then(of(20, 3), []int32{1}),
		},
		{
			name: "§15.2 time line", target: 5, max: 5, from: 1,
			proposals: then([]int32{3, 6, 10, 11, 11}, of(20, 0)), want: then([]int32{1, 2, 2, 2, 2}, of(19, 2), []int32{1}),
		},

		{name: "A, 100", from: 1, proposals: of(6, 100), want: []int32{4, 8, 16, 32, 64, 100}},
		{name: "B, 100", behavior: &behavior{}, from: 1, proposals: of(6, 100), want: []int32{5, 10, 20, 40, 80, 100}},
		{
			name: "A, one spike", from: 1,
			proposals: then([]int32{100}, of(20, 0)), want: then([]int32{4, 8, 16, 32, 64}, of(15, 100), []int32{1}),
		},
		{name: "B, one spike", behavior: &behavior{}, from: 1, proposals: then([]int32{100}, of(20, 0)), want: then(of(20, 5), []int32{1})},
		{name: "A, drained, a fresh HPA", from: 5, proposals: of(21, 0), want: then(of(20, 5), []int32{1})},
		{name: "A each minute", from: 1, every: time.Minute, proposals: of(6, 200), want: []int32{4, 8, 16, 32, 64, 100}},
		{name: "B each minute", behavior: &behavior{}, from: 1, every: time.Minute, proposals: of(6, 200), want: []int32{5, 10, 20, 40, 80, 100}},
		{
			name: "A, an old recommendation and a new activation", max: 20, from: 10, set: map[int]int32{1: 0, 4: 1},
			proposals: then([]int32{10, 0, 0, 0}, of(17, 1)), want: then([]int32{10, 0, 0, 0, 4, 8}, of(14, 10), []int32{1}),
		},
		{
			name: "B, the same", behavior: &behavior{}, max: 20, from: 10, set: map[int]int32{1: 0, 4: 1},
			proposals: then([]int32{10, 0, 0, 0}, of(17, 1)), want: then([]int32{10, 0, 0, 0}, of(17, 1)),
		},
		{
			name: "B scaleDown window 60", behavior: &behavior{ScaleDown: rules(60, "")}, from: 5,
			proposals: []int32{5, 5, 0, 0, 0, 0}, want: []int32{5, 5, 5, 5, 5, 1},
		},
		{
			name: "B Pods 1/60 down", behavior: &behavior{ScaleDown: rules(0, "", pods(1, 60))}, from: 10,
			proposals: of(13, 0), want: []int32{9, 9, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7, 6},
		},
		{
			name: "B Percent 10/60 down", behavior: &behavior{ScaleDown: rules(0, "", percent(10, 60))}, from: 100,
			proposals: of(13, 0), want: then(of(4, 90), of(4, 81), of(4, 72), of(1, 64)),
		},
		{
			name: "B Percent 50/60 down", behavior: &behavior{ScaleDown: rules(0, "", percent(50, 60))}, from: 7,
			proposals: of(5, 0), want: then(of(4, 3), of(1, 1)),
		},
		{
			name: "B Max down", behavior: &behavior{ScaleDown: rules(0, "Max", pods(4, 60), percent(10, 60))}, from: 80,
			proposals: of(9, 0), want: then(of(4, 72), of(4, 64), of(1, 57)),
		},
		{
			name: "B Min down", behavior: &behavior{ScaleDown: rules(0, "Min", pods(4, 60), percent(10, 60))}, from: 80,
			proposals: of(9, 0), want: then(of(4, 76), of(4, 72), of(1, 68)),
		},
		{
			name: "B Pods 2/60 up", behavior: &behavior{ScaleUp: rules(-1, "", pods(2, 60))}, from: 1,
			proposals: of(9, 50), want: []int32{3, 3, 3, 3, 5, 5, 5, 5, 7},
		},
		{
			name: "B Percent 10/15 up, from 50", behavior: &behavior{ScaleUp: rules(-1, "", percent(10, 15))}, from: 50,
			proposals: of(6, 1000), want: []int32{56, 62, 69, 76, 84, 93},
		},
		{
			name: "B Percent 10/15 up, from 1", behavior: &behavior{ScaleUp: rules(-1, "", percent(10, 15))}, from: 1,
			proposals: of(8, 1000), want: []int32{2, 3, 4, 5, 6, 7, 8, 9},
		},
		{
			name: "B Min up", behavior: &behavior{ScaleUp: rules(-1, "Min", pods(4, 15), percent(100, 15))}, from: 1,
			proposals: of(8, 1000), want: []int32{2, 4, 8, 12, 16, 20, 24, 28},
		},
		{
			name: "B scaleUp window 60", behavior: &behavior{ScaleUp: rules(60, "", pods(100, 15))}, from: 1,
			proposals: of(5, 20), want: []int32{1, 1, 1, 1, 20},
		},
		{
			name: "B scaleUp window 60, uneven", behavior: &behavior{ScaleUp: rules(60, "", pods(100, 15))}, from: 1,
			proposals: []int32{20, 30, 5, 40, 40, 40, 40}, want: []int32{1, 1, 1, 1, 5, 5, 40},
		},
		{
			name:     "B Pods 3/60 both ways",
			behavior: &behavior{ScaleUp: rules(-1, "", pods(3, 60)), ScaleDown: rules(0, "", pods(3, 60))}, from: 5,
			proposals: []int32{10, 10, 2, 2, 10, 10}, want: []int32{8, 8, 2, 2, 10, 10},
		},
		{name: "B scaleDown Disabled above max", behavior: &behavior{ScaleDown: rules(-1, "Disabled")}, max: 5, from: 9, proposals: of(1, 9), want: []int32{5}},
		{name: "B scaleUp Disabled below min", behavior: &behavior{ScaleUp: rules(-1, "Disabled")}, min: 3, from: 1, proposals: of(1, 9), want: []int32{3}},
		{name: "AverageValue -3", max: 10, from: 2, proposals: of(3, -3), want: []int32{4, 8, 10}},

		{
			// 1 + 2147483647 overflows, and a size below zero allows no growth.
			name: "a policy meant as no limit", behavior: &behavior{ScaleUp: rules(-1, "", pods(math.MaxInt32, 15))}, from: 1,
			proposals: of(3, 50), want: of(3, 1),
		},
		{name: "§7.4 a failed reading keeps", from: 5, proposals: []int32{none}, want: []int32{5}},
		{
			name: "§7.6 Percent 90 down", behavior: &behavior{ScaleDown: rules(0, "", percent(90, 1))}, from: 100,
			set: map[int]int32{1: 70, 2: 50, 3: 30}, proposals: of(4, 0), want: []int32{9, 6, 4, 2},
		},
		{
			name: "§7.6 Percent 10 up", behavior: &behavior{ScaleUp: rules(-1, "", percent(10, 1))}, max: 1000, from: 50,
			set: map[int]int32{1: 100}, proposals: of(2, 1000), want: []int32{56, 111},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				every := test.every
				if every == 0 {
					every = syncPeriod
				}
				a := New(t, Spec{
					Min: max(1, test.min), Max: or(test.max, 100), Behavior: test.behavior,
					Targets: []Target{{Milli: or(test.target, 1) * 1000}},
				})
				replicas, got := test.from, []int32(nil)
				for i, p := range test.proposals {
					if set, ok := test.set[i]; ok {
						replicas = set
					}
					step := Step{At: time.Duration(i) * every, Replicas: replicas, Status: replicas, Metrics: []Metric{{Milli: int64(p) * 1000}}}
					if p == none {
						step.Metrics[0].Err = errors.New("no such queue")
					}
					replicas = a.Sync(step).Replicas
					got = append(got, replicas)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("got  %v\nwant %v", got, test.want)
				}
			})
		})
	}
}

func or[N int32 | int64](n, otherwise N) N {
	if n == 0 {
		return otherwise
	}
	return n
}

// The API server's defaults and limits are the real ones too.
func TestAdmit(t *testing.T) {
	h, err := Admit(Spec{Min: 1, Max: 5, Behavior: &behavior{}, Targets: []Target{{Milli: 5000}}})
	if err != nil {
		t.Fatal(err)
	}
	up, down := h.Spec.Behavior.ScaleUp, h.Spec.Behavior.ScaleDown
	if got, want := fmt.Sprint(up.Policies, *up.StabilizationWindowSeconds), "[{Pods 4 15} {Percent 100 15}] 0"; got != want {
		t.Errorf("scaleUp is %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(down.Policies, down.StabilizationWindowSeconds), "[{Percent 100 15}] <nil>"; got != want {
		t.Errorf("scaleDown is %s, want %s", got, want)
	}
	for name, b := range map[string]*behavior{
		"no policies":  {ScaleUp: &autoscalingv2.HPAScalingRules{Policies: []autoscalingv2.HPAScalingPolicy{}}},
		"window 3601":  {ScaleUp: rules(3601, "")},
		"period 0":     {ScaleUp: rules(0, "", pods(1, 0))},
		"period 1801":  {ScaleUp: rules(0, "", pods(1, 1801))},
		"value 0":      {ScaleUp: rules(0, "", pods(0, 1))},
		"unknown rule": {ScaleUp: rules(0, "Most")},
	} {
		if _, err := Admit(Spec{Min: 1, Max: 5, Behavior: b, Targets: []Target{{Milli: 5000}}}); err == nil {
			t.Errorf("%s is admitted", name)
		}
	}
}
