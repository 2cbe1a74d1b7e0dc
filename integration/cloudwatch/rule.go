package cloudwatch

import (
	"cmp"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// rule is the part of an alarm that decides its state: M (toAlarm) of N (periods) datapoints breach.
type rule struct {
	breaches func(value float64) bool
	periods  int
	toAlarm  int
	missing  treatment
}

// treatment is an alarm's TreatMissingData.
type treatment string

const (
	missing      treatment = "missing" // what an alarm does that says nothing
	ignore       treatment = "ignore"
	breaching    treatment = "breaching"
	notBreaching treatment = "notBreaching"
)

// lookBack is how many datapoints more than its periods an alarm looks at to make up for missing ones. AWS calls the
// sum the evaluation range and does not say how long it is; in its examples 3 periods have a range of 5.
const lookBack = 2

// state is what the alarm should be in, given one datapoint a period over the evaluation range, oldest first, nil
// where there is none. It follows "Configuring how CloudWatch alarms treat missing data" in the CloudWatch guide.
func (r rule) state(points []*float64, current types.StateValue) types.StateValue {
	var exist, breach int // of the newest existing datapoints, no more than the rule's periods
	oldest := 0           // the age of the oldest breaching datapoint: 1 is the newest period
	for i := len(points) - 1; i >= 0 && exist < r.periods; i-- {
		if points[i] == nil {
			continue
		}
		exist++
		if r.breaches(*points[i]) {
			breach++
			oldest = len(points) - i
		}
	}
	if r.missing == breaching {
		breach += r.periods - exist
	}
	switch {
	case breach >= r.toAlarm:
		return types.StateValueAlarm
	case exist == r.periods, exist > breach, r.missing == notBreaching, r.missing == breaching:
		return types.StateValueOk
	case r.missing == ignore:
		return current
	case exist == 0:
		return types.StateValueInsufficientData
	case oldest >= r.toAlarm:
		// Fewer datapoints than M, all breaching, but enough periods ago that a good one would have come.
		return types.StateValueAlarm
	default:
		// The next datapoints may still be good ones: do not alarm too early.
		return current
	}
}

// ruleOf reads the alarm's rule, and refuses anomaly detection.
func ruleOf(alarm types.MetricAlarm) (rule, error) {
	r := rule{
		periods: int(aws.ToInt32(alarm.EvaluationPeriods)),
		toAlarm: int(toAlarm(alarm)),
		missing: treatMissing(alarm),
	}
	if r.toAlarm < 1 || r.toAlarm > r.periods {
		return rule{}, fmt.Errorf("%d datapoints to alarm of %d evaluation periods", r.toAlarm, r.periods)
	}
	switch r.missing {
	case missing, ignore, breaching, notBreaching:
	default:
		return rule{}, fmt.Errorf("treat missing data: %q is not missing, ignore, breaching or notBreaching", r.missing)
	}
	threshold := aws.ToFloat64(alarm.Threshold)
	switch alarm.ComparisonOperator {
	case types.ComparisonOperatorGreaterThanThreshold:
		r.breaches = func(value float64) bool { return value > threshold }
	case types.ComparisonOperatorGreaterThanOrEqualToThreshold:
		r.breaches = func(value float64) bool { return value >= threshold }
	case types.ComparisonOperatorLessThanThreshold:
		r.breaches = func(value float64) bool { return value < threshold }
	case types.ComparisonOperatorLessThanOrEqualToThreshold:
		r.breaches = func(value float64) bool { return value <= threshold }
	default:
		return rule{}, fmt.Errorf("comparison operator %q is not imitated here", alarm.ComparisonOperator)
	}
	return r, nil
}

// toAlarm is the M of the alarm's M out of N; when it says nothing, M is N.
func toAlarm(alarm types.MetricAlarm) int32 {
	return cmp.Or(aws.ToInt32(alarm.DatapointsToAlarm), aws.ToInt32(alarm.EvaluationPeriods))
}

// treatMissing is how the alarm treats missing data.
func treatMissing(alarm types.MetricAlarm) treatment {
	return cmp.Or(treatment(aws.ToString(alarm.TreatMissingData)), missing)
}
