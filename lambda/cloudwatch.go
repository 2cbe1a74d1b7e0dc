package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/leda-autoscaler/leda/scaling"
)

// cloudWatch reads metrics by GetMetricData.
type cloudWatch struct {
	service signed

	mu     sync.Mutex
	rounds map[window]*round
	turns  map[place]chan struct{}
	alone  map[*scaling.Trigger]bool // whose query CloudWatch refused: it would be refused with all others of its round
}

// window is what queries have in common that are asked together.
type window struct {
	place
	keys       [3]string // those that sign
	account    string    // whose metrics, when it is not the caller's own
	start, end time.Time
}

// query is one MetricDataQuery.
type query struct {
	ID         string      `json:"Id"`
	MetricStat *metricStat `json:",omitempty"`
	Expression string      `json:",omitempty"`
	Period     int         `json:",omitempty"` // of an expression, in seconds
	AccountID  string      `json:"AccountId,omitempty"`
}

type metricStat struct {
	Metric metric
	Period int // in seconds
	Stat   string
	Unit   string `json:",omitempty"`
}

type metric struct {
	Namespace  string
	MetricName string
	Dimensions []scaling.Dimension
}

// series is one MetricDataResult, of which only the newest value counts.
type series struct {
	ID         string `json:"Id"`
	Label      string
	Values     []number
	StatusCode string
	Messages   []message
}

type message struct{ Code, Value string }

// number is a float64, which AWS writes as text where JSON has no number for it.
type number float64

// UnmarshalJSON implements [json.Unmarshaler].
func (n *number) UnmarshalJSON(text []byte) error {
	switch string(text) {
	case `"NaN"`:
		*n = number(math.NaN())
	case `"Infinity"`:
		*n = number(math.Inf(1))
	case `"-Infinity"`:
		*n = number(math.Inf(-1))
	default:
		return json.Unmarshal(text, (*float64)(n))
	}
	return nil
}

// value is what a trigger reads: KEDA's aws_cloudwatch_scaler.go, v2.20. An expression is asked by itself: a
// request may have one Metrics Insights query only, and METRICS() in one would see the others' metrics.
func (c *cloudWatch) value(ctx context.Context, trigger *scaling.Trigger, as aws.Credentials, now time.Time) (float64, error) {
	t := &trigger.CloudWatch
	start, end := t.Window(now)
	w := window{
		place: place{t.Region, t.Endpoint}, account: t.SourceAccount, start: start, end: end,
		keys: [3]string{as.AccessKeyID, as.SecretAccessKey, as.SessionToken},
	}
	var found *series
	var err error
	if t.Expression != "" || c.isAlone(trigger) {
		found, err = c.askAlone(ctx, w, queryOf(t))
	} else {
		found, err = c.askTogether(ctx, w, queryOf(t), points(t))
	}
	if bad := isBadQuery(err); bad || err == nil {
		c.setAlone(trigger, bad)
	}
	switch {
	case err != nil:
		return 0, err
	case found == nil: // KEDA makes no error of this, whatever ignoreNullValues is
		return t.MinMetricValue, nil
	case len(found.Values) > 0:
		return float64(found.Values[0]), nil
	case found.StatusCode != "" && found.StatusCode != "Complete":
		// KEDA takes this for no data, and would shrink.
		return 0, fmt.Errorf("no data came, with status %s%s", found.StatusCode, texts(found.Messages))
	case t.IgnoreNullValues:
		return t.MinMetricValue, nil
	}
	return 0, errors.New("there is no data, and ignoreNullValues is false")
}

func queryOf(t *scaling.CloudWatchTrigger) query {
	period := int(t.Period / time.Second)
	if t.Expression != "" {
		return query{Expression: t.Expression, Period: period, AccountID: t.SourceAccount}
	}
	return query{AccountID: t.SourceAccount, MetricStat: &metricStat{
		Metric: metric{t.Namespace, t.MetricName, t.Dimensions}, Period: period, Stat: t.Stat, Unit: t.Unit,
	}}
}

// points is how many data points a query may be answered with.
func points(t *scaling.CloudWatchTrigger) int { return int(t.Collection/t.Period) + 1 }

// nameOf is how errors name what is read.
func nameOf(t *scaling.CloudWatchTrigger) string {
	if t.Expression != "" {
		return "expression " + strconv.Quote(t.Expression)
	}
	return "metric " + t.Namespace + " " + t.MetricName
}

func texts(messages []message) string {
	var all strings.Builder
	for _, m := range messages {
		all.WriteString("; " + m.Code + ": " + m.Value)
	}
	return all.String()
}

// isBadQuery says whether CloudWatch refused a request for what it asks, which may be one query's fault only.
func isBadQuery(err error) bool {
	var said *apiError
	return errors.As(err, &said) && said.status == 400 && !isUnknown(err) && !isThrottle(said.code)
}

func isThrottle(code string) bool {
	switch code {
	case "Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "LimitExceededException", "TooManyRequestsException":
		return true
	}
	return false
}

func (c *cloudWatch) isAlone(t *scaling.Trigger) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alone[t]
}

func (c *cloudWatch) setAlone(t *scaling.Trigger, alone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !alone {
		delete(c.alone, t)
		return
	}
	if c.alone == nil {
		c.alone = map[*scaling.Trigger]bool{}
	}
	c.alone[t] = true
}

// get asks for queries and follows the pages until each has a series with a value, or there are no more. It
// returns the first series of each, nil where there is none.
//
// KEDA takes the first page for all there is. In a round that would not do, and a page without data is no proof
// that there is none.
func (c *cloudWatch) get(ctx context.Context, w window, queries []query) ([]*series, error) {
	found := make([]*series, len(queries))
	places := map[string]int{}
	for i := range queries {
		queries[i].ID = "m" + strconv.Itoa(i)
		places[queries[i].ID] = i
	}
	missing := len(queries)
	for token := ""; ; {
		page, err := c.page(ctx, w, queries, token)
		if err != nil {
			return nil, err
		}
		for _, s := range page.MetricDataResults {
			i, ok := places[s.ID]
			switch {
			case !ok || found[i] != nil && (len(found[i].Values) > 0 || found[i].Label != s.Label):
				continue
			case len(s.Values) > 0:
				missing--
				s.Values = s.Values[:1]
			}
			found[i] = &s
		}
		if token = page.NextToken; token == "" || missing == 0 {
			return found, nil
		}
	}
}

type page struct {
	MetricDataResults []series
	NextToken         string
}

func (c *cloudWatch) page(ctx context.Context, w window, queries []query, token string) (page, error) {
	body, err := json.Marshal(struct {
		MetricDataQueries  []query
		StartTime, EndTime int64
		ScanBy             string
		NextToken          string `json:",omitempty"`
	}{queries, w.start.Unix(), w.end.Unix(), "TimestampDescending", token})
	if err != nil {
		return page{}, err
	}
	answer, err := c.service.send(ctx, call{
		place: w.place, body: body, most: maxAnswer, explain: explainJSON,
		credentials: aws.Credentials{AccessKeyID: w.keys[0], SecretAccessKey: w.keys[1], SessionToken: w.keys[2]},
		header:      map[string]string{"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "GraniteServiceVersion20100801.GetMetricData"},
	})
	if err != nil {
		return page{}, err
	}
	return parsePage(answer)
}

func parsePage(answer []byte) (page, error) {
	var p page
	if err := json.Unmarshal(answer, &p); err != nil {
		return page{}, fmt.Errorf("the answer of CloudWatch is not understood: %w", err)
	}
	return p, nil
}
