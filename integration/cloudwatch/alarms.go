package cloudwatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// evaluator sets the state of all metric alarms.
type evaluator struct {
	metrics *cloudwatch.Client
	log     *slog.Logger
}

// evaluate judges each alarm by the periods that have ended by now. An alarm that cannot be judged does not keep the
// others back.
func (e evaluator) evaluate(ctx context.Context, now time.Time) error {
	var failed []error
	pages := cloudwatch.NewDescribeAlarmsPaginator(e.metrics, &cloudwatch.DescribeAlarmsInput{
		AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("describe alarms: %w", err)
		}
		for _, alarm := range page.MetricAlarms {
			if err := e.judge(ctx, alarm, now); err != nil {
				failed = append(failed, fmt.Errorf("alarm %q: %w", aws.ToString(alarm.AlarmName), err))
			}
		}
	}
	return errors.Join(failed...)
}

// judge sets the alarm's state where it changes, so that an action runs once a transition.
func (e evaluator) judge(ctx context.Context, alarm types.MetricAlarm, now time.Time) error {
	r, err := ruleOf(alarm)
	if err != nil {
		return err
	}
	m, err := metricOf(alarm)
	if err != nil {
		return err
	}
	points, err := e.points(ctx, m, now.Truncate(m.period), r.periods+lookBack)
	if err != nil {
		return err
	}
	state := r.state(points, alarm.StateValue)
	if state == alarm.StateValue {
		return nil
	}
	reason, data, err := explain(alarm, m, points, now)
	if err != nil {
		return err
	}
	_, err = e.metrics.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{
		AlarmName:       alarm.AlarmName,
		StateValue:      state,
		StateReason:     &reason,
		StateReasonData: &data,
	})
	if err != nil {
		return fmt.Errorf("set state %s: %w", state, err)
	}
	e.log.InfoContext(ctx, "alarm", "name", aws.ToString(alarm.AlarmName),
		"from", alarm.StateValue, "to", state, "reason", reason)
	return nil
}

// points returns the metric's value in each of the count periods before end, oldest first, nil where it has none.
func (e evaluator) points(ctx context.Context, m metric, end time.Time, count int) ([]*float64, error) {
	start := end.Add(-time.Duration(count) * m.period)
	pages := cloudwatch.NewGetMetricDataPaginator(e.metrics, &cloudwatch.GetMetricDataInput{
		MetricDataQueries: m.queries,
		StartTime:         &start,
		EndTime:           &end,
	})
	series := map[string]map[time.Time]float64{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("get metric data: %w", err)
		}
		for _, result := range page.MetricDataResults {
			id := aws.ToString(result.Id)
			if times, values := len(result.Timestamps), len(result.Values); times != values {
				return nil, fmt.Errorf("get metric data: %s has %d times and %d values", id, times, values)
			}
			if series[id] == nil {
				series[id] = map[time.Time]float64{}
			}
			for i, at := range result.Timestamps {
				series[id][at.UTC()] = result.Values[i]
			}
		}
	}
	points := make([]*float64, count)
	for i := range points {
		points[i] = m.at(series, start.Add(time.Duration(i)*m.period).UTC())
	}
	return points, nil
}

// explain gives the new state's reason, for people and, in the shape AWS documents, for programs.
func explain(alarm types.MetricAlarm, m metric, points []*float64, now time.Time) (reason, data string, err error) {
	recent := make([]float64, 0, len(points))
	shown := make([]string, len(points))
	for i, point := range points {
		shown[i] = show(point)
		if point != nil {
			recent = append(recent, *point)
		}
	}
	toAlarm, periods := toAlarm(alarm), aws.ToInt32(alarm.EvaluationPeriods)
	threshold := aws.ToFloat64(alarm.Threshold)
	reason = fmt.Sprintf("datapoints [%s], oldest first; alarm when %d of %d are %s %v; missing data: %s",
		strings.Join(shown, " "), toAlarm, periods, alarm.ComparisonOperator, threshold, treatMissing(alarm))
	raw, err := json.Marshal(map[string]any{
		"version":          "1.0",
		"queryDate":        now.UTC().Format("2006-01-02T15:04:05.000-0700"),
		"statistic":        m.statistic,
		"period":           int(m.period.Seconds()),
		"recentDatapoints": recent,
		"threshold":        threshold,
	})
	if err != nil {
		return "", "", fmt.Errorf("write the reason: %w", err)
	}
	return reason, string(raw), nil
}

// show writes a datapoint for people.
func show(point *float64) string {
	if point == nil {
		return "-"
	}
	return fmt.Sprint(*point)
}
