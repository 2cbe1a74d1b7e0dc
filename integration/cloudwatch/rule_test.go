package cloudwatch

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// keeps stands for whatever state the alarm is in already.
const keeps types.StateValue = "keeps its state"

// TestState is written as the tables of AWS's "Configuring how CloudWatch alarms treat missing data" are: oldest
// datapoint first, 0 does not breach, X breaches, - is missing.
func TestState(t *testing.T) {
	const (
		ok           = types.StateValueOk
		alarm        = types.StateValueAlarm
		insufficient = types.StateValueInsufficientData
	)
	tests := []struct {
		rule             string
		toAlarm, periods int
		points           string
		// the state for each treatment of missing data
		missing, ignore, breaching, notBreaching types.StateValue
	}{
		// AWS's first table: 3 out of 3.
		{"enough datapoints, though some are missing: the newest N decide", 3, 3, "0 - X - X", ok, ok, ok, ok},
		{"one good datapoint holds it as long as it is in the range", 3, 3, "0 - - - -", ok, ok, ok, ok},
		{"no datapoints: only the treatment decides", 3, 3, "- - - - -", insufficient, keeps, alarm, ok},
		{"the newest N existing datapoints breach", 3, 3, "0 X X - X", alarm, alarm, alarm, alarm},
		{"premature: too few, but the breach is as old as M", 3, 3, "- - X - -", alarm, keeps, alarm, ok},
		// AWS's second table: 2 out of 3.
		{"M of the newest N breach, with gaps", 2, 3, "0 - X - X", alarm, alarm, alarm, alarm},
		{"M of the newest N breach, older ones are ignored", 2, 3, "0 0 X 0 X", alarm, alarm, alarm, alarm},
		{"a missing one is filled in: only breaching makes M", 2, 3, "0 - X - -", ok, ok, alarm, ok},
		{"two missing ones are filled in: only breaching makes M", 2, 3, "- - - - 0", ok, ok, alarm, ok},
		{"premature: the breach is as old as M of N", 2, 3, "- - - X -", alarm, keeps, alarm, ok},
		// Its text: the next datapoint may be a good one.
		{"not premature: a first breach waits for the next", 3, 3, "- - - - X", keeps, keeps, alarm, ok},
		{"not premature: a breach younger than M waits", 3, 3, "- - - X -", keeps, keeps, alarm, ok},
		{"not premature: a good one came", 3, 3, "- - - X 0", ok, ok, ok, ok},
		// What Leda's alarms are: 1 out of 1.
		{"1 of 1: the newest datapoint decides at once", 1, 1, "0 0 X", alarm, alarm, alarm, alarm},
		{"1 of 1: and back", 1, 1, "X X 0", ok, ok, ok, ok},
		{"1 of 1: the last datapoint counts while it is in the range", 1, 1, "X - -", alarm, alarm, alarm, alarm},
		{"1 of 1: nothing in the range", 1, 1, "- - -", insufficient, keeps, alarm, ok},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			var points []*float64
			for field := range strings.FieldsSeq(test.points) {
				points = append(points, map[string]*float64{"0": aws.Float64(0), "X": aws.Float64(1)}[field])
			}
			for treat, want := range map[treatment]types.StateValue{
				missing: test.missing, ignore: test.ignore, breaching: test.breaching, notBreaching: test.notBreaching,
			} {
				r := rule{func(v float64) bool { return v > 0 }, test.periods, test.toAlarm, treat}
				if got := r.state(points, keeps); got != want {
					t.Errorf("%d of %d, %s, missing data %s: got %s, want %s",
						test.toAlarm, test.periods, test.points, treat, got, want)
				}
			}
		})
	}
}

func TestRuleOf(t *testing.T) {
	alarm := func(change func(*types.MetricAlarm)) types.MetricAlarm {
		a := types.MetricAlarm{
			ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold,
			EvaluationPeriods:  aws.Int32(3),
			Threshold:          aws.Float64(5),
		}
		change(&a)
		return a
	}
	operator := func(o types.ComparisonOperator) func(*types.MetricAlarm) {
		return func(a *types.MetricAlarm) { a.ComparisonOperator = o }
	}
	tests := []struct {
		rule     string
		change   func(*types.MetricAlarm)
		toAlarm  int
		missing  treatment
		breaches [3]bool // 4, 5 and 6 against a threshold of 5
		err      string
	}{
		{"greater", func(*types.MetricAlarm) {}, 3, missing, [3]bool{false, false, true}, ""},
		{"at least", operator("GreaterThanOrEqualToThreshold"), 3, missing, [3]bool{false, true, true}, ""},
		{"less", operator("LessThanThreshold"), 3, missing, [3]bool{true, false, false}, ""},
		{"at most", operator("LessThanOrEqualToThreshold"), 3, missing, [3]bool{true, true, false}, ""},
		{
			"M out of N and a treatment are taken over",
			func(a *types.MetricAlarm) {
				a.DatapointsToAlarm, a.TreatMissingData = aws.Int32(2), aws.String("notBreaching")
			},
			2, notBreaching,
			[3]bool{false, false, true},
			"",
		},
		{
			"anomaly detection is refused by name",
			operator("GreaterThanUpperThreshold"), 0, "",
			[3]bool{},
			`comparison operator "GreaterThanUpperThreshold" is not imitated here`,
		},
		{
			"more datapoints than periods are refused",
			func(a *types.MetricAlarm) { a.DatapointsToAlarm = aws.Int32(4) }, 0, "",
			[3]bool{},
			"4 datapoints to alarm of 3 evaluation periods",
		},
		{
			"an unknown treatment is refused",
			func(a *types.MetricAlarm) { a.TreatMissingData = aws.String("maybe") }, 0, "",
			[3]bool{},
			`treat missing data: "maybe" is not missing, ignore, breaching or notBreaching`,
		},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			r, err := ruleOf(alarm(test.change))
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Fatalf("got error %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.periods != 3 || r.toAlarm != test.toAlarm || r.missing != test.missing {
				t.Errorf("got %d of %d, missing data %s; want %d of 3, %s",
					r.toAlarm, r.periods, r.missing, test.toAlarm, test.missing)
			}
			if got := [3]bool{r.breaches(4), r.breaches(5), r.breaches(6)}; got != test.breaches {
				t.Errorf("4, 5, 6 against 5: got breaches %v, want %v", got, test.breaches)
			}
		})
	}
}
