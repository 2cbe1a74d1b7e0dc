package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/leda-autoscaler/leda/scaling"
)

const (
	day = 24 * time.Hour

	// longestHistory is how long CloudWatch keeps anything.
	longestHistory = 455 * day

	// idleAfter is the shortest gap in a queue's metrics that is taken for a queue that nobody used. SQS sends
	// them each minute, and none for a queue that has been idle for six hours; a shorter gap is a reading lost.
	idleAfter = 15 * time.Minute
)

// historyProblem is what is wrong with the flags that ask for a history.
func (s *simulateFlags) historyProblem(series []string) string {
	var err error
	s.span, err = parseSpan(s.since)
	switch {
	case len(series) > 0:
		return fmt.Sprintf("-from-cloudwatch takes the place of a series, got %q too", series[0])
	case s.from != "":
		return "-from and -from-cloudwatch exclude each other: say how far back with -since"
	case err != nil || s.span < time.Hour || s.span > longestHistory:
		return fmt.Sprintf("-since must be from 1h to 455d, such as 12h or 14d, got %q", s.since)
	case s.versus == "-":
		return "-vs cannot be standard input"
	}
	if s.every == 0 {
		s.every = 15 * time.Second
	}
	return ""
}

// parseSpan reads a duration that may be in days.
func parseSpan(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n > 10_000 {
			return 0, fmt.Errorf("no number of days: %q", days)
		}
		return time.Duration(n) * day, nil
	}
	return time.ParseDuration(text)
}

// periodOf is the finest period that CloudWatch still keeps of data as old as span.
func periodOf(span time.Duration) time.Duration {
	switch {
	case span < 15*day:
		return time.Minute
	case span < 63*day:
		return 5 * time.Minute
	}
	return time.Hour
}

// history is what CloudWatch has of one queue: a value for each period, by metric.
type history struct {
	queue string
	// of is each metric's values by the second that their period begins.
	of map[string]map[int64]float64
}

// The metrics of namespace AWS/SQS that a depth is made of, and the one that arrivals are.
const (
	metricVisible  = "ApproximateNumberOfMessagesVisible"
	metricInFlight = "ApproximateNumberOfMessagesNotVisible"
	metricDelayed  = "ApproximateNumberOfMessagesDelayed"
	metricSent     = "NumberOfMessagesSent"
)

// fetch gives each simulation its queues' history as rows.
func (c console) fetch(ctx context.Context, asked *simulateFlags, runs []labelled) (name string, code int) {
	queues := strings.Split(asked.queues, ",")
	for i := range queues {
		queues[i] = queueName(strings.TrimSpace(queues[i]))
	}
	var regions []string
	for _, run := range runs {
		var problem string
		if regions, problem = historyRegions(run.object, queues); problem != "" {
			fmt.Fprintf(c.problems, "leda simulate: %s\n", problem)
			return "", exitBadInput
		}
	}
	period := periodOf(asked.span)
	end := c.now().UTC().Truncate(period)
	begin := end.Add(-asked.span)

	var got atomic.Int64
	done := c.progress(func() string {
		return fmt.Sprintf("fetching %s of %s from CloudWatch: %d values", asked.since, strings.Join(queues, ", "), got.Load())
	})
	defer done()
	histories := make([]history, len(queues))
	for i, queue := range queues {
		h, err := fetchHistory(ctx, queue, regions[i], begin, end, period, &got)
		if err != nil {
			fmt.Fprintf(c.problems, "leda simulate: fetch the history of queue %s in %s from CloudWatch: %v; it needs AWS credentials that may cloudwatch:GetMetricData\n", queue, regions[i], err)
			return "", exitNotInOrder
		}
		if len(h.of[metricVisible]) == 0 {
			fmt.Fprintf(c.problems, "leda simulate: CloudWatch has no value of queue %s in %s since %s: is that its name, the trigger's awsRegion its region, and `aws sts get-caller-identity` its account?\n",
				queue, regions[i], begin.Format(time.RFC3339))
			return "", exitNotInOrder
		}
		histories[i] = h
	}
	for i := range runs {
		runs[i].rows = historyRows(runs[i].object, histories, begin, end, period, asked.rate > 0)
		runs[i].created = runs[i].rows[0].at
	}
	return fmt.Sprintf("queue %s, from CloudWatch, by %v", strings.Join(queues, ", "), map[time.Duration]string{
		time.Minute: "minutes", 5 * time.Minute: "5 minutes", time.Hour: "hours",
	}[period]), exitFine
}

// queueName takes the name out of a queue's URL or ARN.
func queueName(queue string) string {
	return queue[strings.LastIndexAny(queue, "/:")+1:]
}

// historyRegions are the regions of the queues, one for each aws-sqs-queue trigger.
func historyRegions(o *scaling.ScaledObject, queues []string) (regions []string, problem string) {
	for i := range o.Triggers {
		switch t := &o.Triggers[i]; t.Type {
		case scaling.TypeSQS:
			regions = append(regions, t.SQS.Region)
		case scaling.TypeCloudWatch:
			return nil, fmt.Sprintf("trigger %s of %s/%s is an aws-cloudwatch one, and -from-cloudwatch fetches queues only: give its values in a series", t.ID, o.Namespace, o.Name)
		}
	}
	if len(regions) != len(queues) {
		return nil, fmt.Sprintf("-from-cloudwatch must name a queue for each aws-sqs-queue trigger of %s/%s, which has %d; got %d", o.Namespace, o.Name, len(regions), len(queues))
	}
	return regions, ""
}

// fetchHistory asks for all of a queue's metrics at once, page by page.
func fetchHistory(ctx context.Context, queue, region string, begin, end time.Time, period time.Duration, got *atomic.Int64) (history, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
	if err != nil {
		return history{}, err
	}
	h := history{queue: queue, of: map[string]map[int64]float64{}}
	metrics := []string{metricVisible, metricInFlight, metricDelayed, metricSent}
	var queries []types.MetricDataQuery
	for i, metric := range metrics {
		h.of[metric] = map[int64]float64{}
		stat := "Maximum" // a short burst must not drown in a mean, and two samples may fall into one period
		if metric == metricSent {
			stat = "Sum"
		}
		queries = append(queries, types.MetricDataQuery{
			Id: aws.String("m" + strconv.Itoa(i)),
			MetricStat: &types.MetricStat{
				Metric: &types.Metric{
					Namespace: aws.String("AWS/SQS"), MetricName: aws.String(metric),
					Dimensions: []types.Dimension{{Name: aws.String("QueueName"), Value: aws.String(queue)}},
				},
				Period: aws.Int32(int32(period.Seconds())), Stat: aws.String(stat),
			},
		})
	}
	pages := cloudwatch.NewGetMetricDataPaginator(cloudwatch.NewFromConfig(cfg), &cloudwatch.GetMetricDataInput{
		MetricDataQueries: queries, StartTime: &begin, EndTime: &end, ScanBy: types.ScanByTimestampAscending,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return history{}, err
		}
		for _, result := range page.MetricDataResults {
			if result.StatusCode == types.StatusCodeForbidden || result.StatusCode == types.StatusCodeInternalError {
				return history{}, fmt.Errorf("CloudWatch answers %s", result.StatusCode)
			}
			i, err := strconv.Atoi(strings.TrimPrefix(aws.ToString(result.Id), "m"))
			if err != nil || i < 0 || i >= len(metrics) || len(result.Timestamps) != len(result.Values) {
				return history{}, errors.New("CloudWatch's answer is not what was asked for")
			}
			for j, at := range result.Timestamps {
				h.of[metrics[i]][at.Unix()] = result.Values[j]
			}
			got.Add(int64(len(result.Values)))
		}
	}
	return h, nil
}

var errNoDatapoint = errors.New("CloudWatch has no value of this time")

// historyRows makes a row of each period, up to the last that there is anything of. A row stands at the end
// of its period: what happened within it is known then.
func historyRows(o *scaling.ScaledObject, histories []history, begin, end time.Time, period time.Duration, arrivals bool) []row {
	var rows []row
	states := make([][]int64, len(histories)) // for each period, the length of the gap that it is in; 0 for none
	newest := begin
	for i, h := range histories {
		states[i] = gapsOf(h, begin, end, period)
		for second := range h.of[metricVisible] {
			if at := time.Unix(second, 0).UTC(); at.After(newest) {
				newest = at
			}
		}
	}
	for n, at := 0, begin; !at.After(newest) && at.Before(end); n, at = n+1, at.Add(period) {
		r := row{at: at.Add(period), readings: make([]scaling.Reading, len(o.Triggers))}
		queue := 0
		for i := range o.Triggers {
			t := &o.Triggers[i]
			if t.Type == scaling.TypeCron {
				r.readings[i] = t.CronReading(r.at)
				continue
			}
			gap := time.Duration(states[queue][n]) * period
			r.readings[i] = histories[queue].reading(t, at.Unix(), gap, arrivals)
			queue++
		}
		rows = append(rows, r)
	}
	return rows
}

// gapsOf says of each period in how long a gap of a queue's metrics it is, in periods.
func gapsOf(h history, begin, end time.Time, period time.Duration) []int64 {
	n := int(end.Sub(begin) / period)
	gaps := make([]int64, n)
	for i := 0; i < n; i++ {
		from := i
		for i < n {
			if _, ok := h.of[metricVisible][begin.Add(time.Duration(i)*period).Unix()]; ok {
				break
			}
			i++
		}
		for j := from; j < i; j++ {
			gaps[j] = int64(i - from)
		}
	}
	return gaps
}

// reading is what the trigger would have said of one period.
func (h history) reading(t *scaling.Trigger, second int64, gap time.Duration, arrivals bool) scaling.Reading {
	switch {
	case gap >= idleAfter:
		return t.Reading(0)
	case gap > 0:
		return t.Failed(errNoDatapoint)
	case arrivals:
		return t.Reading(h.of[metricSent][second])
	}
	visible, inFlight := h.of[metricVisible][second], h.of[metricInFlight][second] // those of no message may be missing
	depth := visible
	if t.SQS.ScaleOnInFlight {
		depth += inFlight
	}
	if t.SQS.ScaleOnDelayed {
		depth += h.of[metricDelayed][second]
	}
	reading := t.Reading(depth)
	reading.InFlightOnly = depth > 0 && t.SQS.ScaleOnInFlight && depth == inFlight
	return reading
}
