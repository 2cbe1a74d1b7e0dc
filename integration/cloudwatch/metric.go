package cloudwatch

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// metric is what an alarm watches: one metric, or the sum of several.
type metric struct {
	queries   []types.MetricDataQuery
	terms     []string // the ids of the queries to be added up
	period    time.Duration
	statistic string
}

// metricOf reads what the alarm watches. Of metric math it knows the sum of metrics, `a + b`, and refuses the rest.
func metricOf(alarm types.MetricAlarm) (metric, error) {
	if len(alarm.Metrics) > 0 {
		return sumOf(alarm.Metrics)
	}
	stat := types.MetricStat{
		Metric: &types.Metric{Namespace: alarm.Namespace, MetricName: alarm.MetricName, Dimensions: alarm.Dimensions},
		Period: alarm.Period,
		Stat:   aws.String(string(alarm.Statistic)),
		Unit:   alarm.Unit,
	}
	if alarm.ExtendedStatistic != nil {
		stat.Stat = alarm.ExtendedStatistic
	}
	return sumOf([]types.MetricDataQuery{{Id: aws.String("m"), MetricStat: &stat}})
}

// sumOf reads an alarm's Metrics: the one that returns data is the alarm's value, the others are its terms.
func sumOf(queries []types.MetricDataQuery) (metric, error) {
	var m metric
	known := map[string]bool{}
	for _, query := range queries {
		id := aws.ToString(query.Id)
		returns := query.ReturnData == nil || *query.ReturnData
		switch {
		case returns && m.terms != nil:
			return metric{}, fmt.Errorf("more than one of its metrics returns data, the last is %q", id)
		case returns && query.Expression != nil:
			m.terms = strings.Split(*query.Expression, "+")
		case returns:
			m.terms = []string{id}
		}
		if query.MetricStat == nil {
			continue
		}
		known[id] = true
		query.ReturnData = aws.Bool(true) // a term's values are needed too
		m.queries = append(m.queries, query)
		m.period = time.Duration(aws.ToInt32(query.MetricStat.Period)) * time.Second
		m.statistic = aws.ToString(query.MetricStat.Stat)
	}
	if m.period <= 0 {
		return metric{}, errors.New("its metrics have no period")
	}
	for i, term := range m.terms {
		m.terms[i] = strings.TrimSpace(term)
		if !known[m.terms[i]] {
			sum := strings.Join(m.terms, "+")
			return metric{}, fmt.Errorf("expression %q: only sums of its metrics (m1 + m2) are imitated here", sum)
		}
	}
	if len(m.terms) == 0 {
		return metric{}, errors.New("none of its metrics returns data")
	}
	return m, nil
}

// at adds up the metric's terms; where one has no datapoint, neither has the sum.
func (m metric) at(series map[string]map[time.Time]float64, at time.Time) *float64 {
	var sum float64
	for _, term := range m.terms {
		value, ok := series[term][at]
		if !ok {
			return nil
		}
		sum += value
	}
	return &sum
}
