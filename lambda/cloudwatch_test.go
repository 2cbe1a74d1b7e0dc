package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/leda-autoscaler/leda/scaling"
)

// inProcess sends requests to a handler without a network, for tests that wait until all wait.
type inProcess struct{ http.Handler }

// RoundTrip implements [http.RoundTripper].
func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = r.URL.Host
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// queries is what GetMetricData is asked for.
type queries struct {
	MetricDataQueries  []query
	StartTime, EndTime float64
	ScanBy, NextToken  string
}

func queriesOf(t *testing.T, r asked) queries {
	t.Helper()
	var q queries
	if err := json.Unmarshal([]byte(r.body), &q); err != nil || r.path != "GraniteServiceVersion20100801.GetMetricData" {
		t.Fatalf("got %+v, %v", r, err)
	}
	return q
}

func results(text string) func(asked) answer {
	return func(asked) answer { return answer{http.StatusOK, `{"MetricDataResults":[` + text + `],"Messages":[]}`} }
}

// onMetric is a target with one CloudWatch trigger.
func onMetric(change func(*scaling.CloudWatchTrigger)) *target {
	c := scaling.CloudWatchTrigger{
		Namespace: "AWS/SQS", MetricName: "Age", Dimensions: []scaling.Dimension{{Name: "QueueName", Value: "orders"}}, Stat: "Average",
		Period: time.Minute, Collection: 5 * time.Minute, Region: "eu-west-1",
		TargetMetricValue: 2, MinMetricValue: 1, IgnoreNullValues: true,
	}
	if change != nil {
		change(&c)
	}
	return &target{ScaledObject: &scaling.ScaledObject{
		Cluster: "demo", Namespace: "shop", Name: "orders",
		Triggers: []scaling.Trigger{{ID: "s0", Type: scaling.TypeCloudWatch, CloudWatch: c}},
	}}
}

func TestCloudWatchQuery(t *testing.T) {
	at := func(hour, minute, second int) float64 {
		return float64(time.Date(2026, 1, 5, hour, minute, second, 0, time.UTC).Unix())
	}
	whole := query{ID: "m0", MetricStat: &metricStat{
		Metric: metric{"AWS/SQS", "Age", []scaling.Dimension{{Name: "QueueName", Value: "orders"}}}, Period: 60, Stat: "Average",
	}}
	for _, row := range []struct {
		rule       string
		change     func(*scaling.CloudWatchTrigger)
		want       query
		start, end float64
	}{
		// It is 15:04:05.999.
		{"the window ends with the last whole period", nil, whole, at(14, 59, 0), at(15, 4, 0)},
		{"or earlier, by metricEndTimeOffset", func(c *scaling.CloudWatchTrigger) { c.EndOffset = 30 * time.Second }, whole, at(14, 58, 0), at(15, 3, 0)},
		{"an expression has its period, and nothing of a metric", func(c *scaling.CloudWatchTrigger) {
			*c = scaling.CloudWatchTrigger{Expression: "SELECT 1", Period: 30 * time.Second, Collection: time.Minute, Region: "eu-west-1", SourceAccount: "111122223333"}
		}, query{ID: "m0", Expression: "SELECT 1", Period: 30, AccountID: "111122223333"}, at(15, 3, 0), at(15, 4, 0)},
		{"unit, statistic and another account", func(c *scaling.CloudWatchTrigger) {
			c.Unit, c.Stat, c.SourceAccount, c.Dimensions = "Count", "p99", "111122223333", append(c.Dimensions, scaling.Dimension{Name: "A", Value: "b"})
		}, query{ID: "m0", AccountID: "111122223333", MetricStat: &metricStat{
			Metric: metric{"AWS/SQS", "Age", []scaling.Dimension{{Name: "QueueName", Value: "orders"}, {Name: "A", Value: "b"}}}, Period: 60, Stat: "p99", Unit: "Count",
		}}, at(14, 59, 0), at(15, 4, 0)},
	} {
		a := serveAWS(t)
		a.answer["monitoring"] = results(`{"Id":"m0","Values":[3]}`)
		reads(t, newMeter(a, newClock()), onMetric(row.change))
		requests := a.requests("monitoring")
		if len(requests) != 1 || requests[0].region != "eu-west-1" {
			t.Fatalf("%s: got %+v", row.rule, requests)
		}
		want := queries{MetricDataQueries: []query{row.want}, StartTime: row.start, EndTime: row.end, ScanBy: "TimestampDescending"}
		if diff := cmp.Diff(want, queriesOf(t, requests[0])); diff != "" {
			t.Errorf("%s: %s", row.rule, diff)
		}
	}
}

func TestCloudWatchValue(t *testing.T) {
	strict := func(c *scaling.CloudWatchTrigger) { c.IgnoreNullValues = false }
	expression := func(c *scaling.CloudWatchTrigger) { c.Expression = "SEARCH('x', 'Average')" }
	for _, row := range []struct {
		rule   string
		change func(*scaling.CloudWatchTrigger)
		answer string
		value  float64
		err    string
	}{
		{"the newest value, which comes first", nil, `{"Id":"m0","StatusCode":"Complete","Values":[7.5,3,9]}`, 7.5, ""},
		{"no values are minMetricValue", nil, `{"Id":"m0","StatusCode":"Complete","Values":[]}`, 1, ""},
		{"or an error with ignoreNullValues false", strict, `{"Id":"m0","StatusCode":"Complete","Values":[]}`, 0, "there is no data, and ignoreNullValues is false"},
		{"no results are minMetricValue", nil, ``, 1, ""},
		{"even with ignoreNullValues false", strict, ``, 1, ""},
		{"of several series the first counts", expression, `{"Id":"m0","Label":"a","Values":[4]},{"Id":"m0","Label":"b","Values":[5]}`, 4, ""},
		{"even if it is empty", expression, `{"Id":"m0","Label":"a","Values":[]},{"Id":"m0","Label":"b","Values":[5]}`, 1, ""},
		{"partial data begin with the newest", nil, `{"Id":"m0","StatusCode":"PartialData","Values":[7]}`, 7, ""},
		{"no data yet is not no data", nil, `{"Id":"m0","StatusCode":"PartialData","Values":[]}`, 0, "no data came, with status PartialData"},
		{"nor is a failure", nil, `{"Id":"m0","StatusCode":"InternalError","Values":[],"Messages":[{"Code":"X","Value":"try later"}]}`, 0, "no data came, with status InternalError; X: try later"},
		{"nor what one may not see", nil, `{"Id":"m0","StatusCode":"Forbidden","Values":[]}`, 0, "no data came, with status Forbidden"},
		{"what JSON has no number for", nil, `{"Id":"m0","Values":["Infinity"]}`, math.Inf(1), ""},
		{"another query's", nil, `{"Id":"m7","Values":[9]}`, 1, ""},
		{"what is no answer", nil, `{"Id":7}`, 0, "the answer of CloudWatch is not understood"},
	} {
		a := serveAWS(t)
		a.answer["monitoring"] = results(row.answer)
		got := newMeter(a, newClock()).read(t.Context(), onMetric(row.change))[0]
		switch {
		case row.err == "" && (got.Err != nil || got.Value != row.value || got.Target != 2 || !got.Active):
			t.Errorf("%s: got %+v, want %g", row.rule, got, row.value)
		case row.err != "" && (got.Err == nil || !strings.Contains(got.Err.Error(), row.err) || !strings.HasPrefix(got.Err.Error(), "read CloudWatch metric AWS/SQS Age: ")):
			t.Errorf("%s: got %+v, want %s", row.rule, got, row.err)
		}
	}
}

func TestCloudWatchPages(t *testing.T) {
	pages := map[string]string{
		"":  `{"MetricDataResults":[{"Id":"m0","Label":"a","StatusCode":"PartialData","Values":[]}],"NextToken":"2"}`,
		"2": `{"MetricDataResults":[{"Id":"m0","Label":"other","StatusCode":"PartialData","Values":[9]}],"NextToken":"3"}`,
		"3": `{"MetricDataResults":[{"Id":"m0","Label":"a","StatusCode":"Complete","Values":[5,4]}],"NextToken":"4"}`,
		"4": `{"MetricDataResults":[{"Id":"m0","Label":"a","StatusCode":"Complete","Values":[3]}]}`,
	}
	a := serveAWS(t)
	a.answer["monitoring"] = func(r asked) answer { return answer{http.StatusOK, pages[queriesOf(t, r).NextToken]} }
	got := newMeter(a, newClock()).read(t.Context(), onMetric(nil))[0]
	if n := len(a.requests("monitoring")); got.Err != nil || got.Value != 5 || n != 3 {
		t.Errorf("got %+v after %d pages, want 5 after 3", got, n)
	}
}

// looksAtOnce are the readings of many targets that look at once while CloudWatch is slow, and the sizes of the
// requests that came of it.
func looksAtOnce(t *testing.T, targets []*target, serve func(a *amazon, q queries) answer) (readings []scaling.Reading, sizes []int) {
	t.Helper()
	a := &amazon{keys: map[string]aws.Credentials{}, answer: map[string]func(asked) answer{}}
	a.know(ownKeys())
	a.Server = &httptest.Server{URL: "http://aws"}
	a.client = &http.Client{Transport: inProcess{a}}
	slow := make(chan struct{})
	a.answer["monitoring"] = func(r asked) answer {
		<-slow
		return serve(a, queriesOf(t, r))
	}
	m := newMeter(a, newClock())
	readings = make([]scaling.Reading, len(targets))
	var all sync.WaitGroup
	for i, on := range targets {
		all.Go(func() { readings[i] = m.read(t.Context(), on)[0] })
	}
	synctest.Wait()
	close(slow)
	all.Wait()
	for _, r := range a.requests("monitoring") {
		sizes = append(sizes, len(queriesOf(t, r).MetricDataQueries))
	}
	if len(m.cloudWatch.rounds) > 0 {
		t.Errorf("%d rounds are left over", len(m.cloudWatch.rounds))
	}
	return readings, sizes
}

// valuesByName answers each query with the number at the end of its metric's name.
func valuesByName(_ *amazon, q queries) answer {
	var all []series
	for _, one := range q.MetricDataQueries {
		name := one.Expression
		if one.MetricStat != nil {
			name = one.MetricStat.Metric.MetricName
		}
		n, _ := strconv.Atoi(strings.TrimPrefix(name, "m"))
		all = append(all, series{ID: one.ID, Values: []number{number(n)}})
	}
	slices.Reverse(all) // the order is not the queries'
	text, _ := json.Marshal(map[string]any{"MetricDataResults": all})
	return answer{http.StatusOK, string(text)}
}

func metrics(n int, change func(i int, c *scaling.CloudWatchTrigger)) []*target {
	targets := make([]*target, n)
	for i := range targets {
		targets[i] = onMetric(func(c *scaling.CloudWatchTrigger) {
			c.MetricName = fmt.Sprintf("m%d", i)
			if change != nil {
				change(i, c)
			}
		})
	}
	return targets
}

func TestCloudWatchRounds(t *testing.T) {
	for _, row := range []struct {
		rule   string
		n      int
		change func(int, *scaling.CloudWatchTrigger)
		want   map[int]int // how many requests of how many queries
	}{
		{"one goes at once", 1, nil, map[int]int{1: 1}},
		{"what comes while requests are under way goes together", 300, nil, map[int]int{1: requestsAtOnce, 300 - requestsAtOnce: 1}},
		{"500 at most", 900, nil, map[int]int{1: requestsAtOnce, 500: 1, 400 - requestsAtOnce: 1}},
		{"100,800 data points at most", 154, func(_ int, c *scaling.CloudWatchTrigger) { c.Collection = 24 * time.Hour }, map[int]int{1: requestsAtOnce, 69: 2, 12: 1}},
		{"expressions each by itself", 100, func(i int, c *scaling.CloudWatchTrigger) { c.Expression = strconv.Itoa(i) }, map[int]int{1: 100}},
	} {
		synctest.Test(t, func(t *testing.T) {
			readings, sizes := looksAtOnce(t, metrics(row.n, row.change), valuesByName)
			for i, got := range readings {
				if got.Err != nil || got.Value != float64(i) {
					t.Fatalf("%s: reading %d is %+v", row.rule, i, got)
				}
			}
			count := map[int]int{}
			for _, n := range sizes {
				count[n]++
			}
			if !maps.Equal(count, row.want) {
				t.Errorf("%s: got %v, want %v", row.rule, count, row.want)
			}
		})
	}
}

// What differs in its window, account, region or endpoint is not asked together.
func TestRoundsDoNotMix(t *testing.T) {
	kinds := []func(*scaling.CloudWatchTrigger){
		func(*scaling.CloudWatchTrigger) {},
		func(c *scaling.CloudWatchTrigger) { c.EndOffset = time.Minute },
		func(c *scaling.CloudWatchTrigger) { c.Collection = 10 * time.Minute },
		func(c *scaling.CloudWatchTrigger) { c.SourceAccount = "111122223333" },
		func(c *scaling.CloudWatchTrigger) { c.Region = "ap-south-2" },
		func(c *scaling.CloudWatchTrigger) { c.Endpoint = "http://elsewhere" },
	}
	synctest.Test(t, func(t *testing.T) {
		mixed := 0
		targets := metrics(300, func(i int, c *scaling.CloudWatchTrigger) { kinds[i%len(kinds)](c) })
		readings, sizes := looksAtOnce(t, targets, func(a *amazon, q queries) answer {
			var of []int
			for _, one := range q.MetricDataQueries {
				n, _ := strconv.Atoi(strings.TrimPrefix(one.MetricStat.Metric.MetricName, "m"))
				of = append(of, n%len(kinds))
			}
			if slices.Sort(of); of[0] != of[len(of)-1] {
				mixed++
			}
			return valuesByName(a, q)
		})
		for i, got := range readings {
			if got.Err != nil || got.Value != float64(i) {
				t.Errorf("reading %d is %+v", i, got)
			}
		}
		if mixed > 0 || len(sizes) > 40 {
			t.Errorf("%d of %d requests mix what differs", mixed, len(sizes))
		}
	})
}

func TestOneBadQueryHurtsItselfOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		targets := metrics(100, func(i int, c *scaling.CloudWatchTrigger) {
			if i == 50 {
				c.Stat = "nonsense"
			}
		})
		refuse := func(a *amazon, q queries) answer {
			for _, one := range q.MetricDataQueries {
				if one.MetricStat.Stat == "nonsense" {
					return failure("monitoring", http.StatusBadRequest, "ValidationError", "The value nonsense is not valid")
				}
			}
			return valuesByName(a, q)
		}
		readings, _ := looksAtOnce(t, targets, refuse)
		for i, got := range readings {
			switch {
			case i != 50 && (got.Err != nil || got.Value != float64(i)):
				t.Errorf("reading %d is %+v", i, got)
			case i == 50 && (got.Err == nil || !strings.Contains(got.Err.Error(), "400 Bad Request: ValidationError: The value nonsense is not valid")):
				t.Errorf("the bad query's reading is %+v", got)
			}
		}
	})
}

// A query that CloudWatch refused stays by itself, and goes with the others again once it is answered.
func TestABadQueryStaysAlone(t *testing.T) {
	a, c := serveAWS(t), newClock()
	m := newMeter(a, c)
	bad := onMetric(nil)
	trigger := &bad.Triggers[0]
	for _, step := range []struct {
		what   string
		answer answer
		alone  bool
	}{
		{"refused", failure("monitoring", http.StatusBadRequest, "ValidationError", ""), true},
		{"not answered", failure("monitoring", http.StatusServiceUnavailable, "InternalFailure", ""), true},
		{"answered", results(`{"Id":"m0","Values":[1]}`)(asked{}), false},
		{"throttled", failure("monitoring", http.StatusBadRequest, "Throttling", "Rate exceeded"), false},
		{"not allowed", failure("monitoring", http.StatusForbidden, "AccessDenied", ""), false},
	} {
		a.answer["monitoring"] = func(asked) answer { return step.answer }
		m.read(t.Context(), bad)
		if got := m.cloudWatch.isAlone(trigger); got != step.alone {
			t.Errorf("%s: alone %t, want %t", step.what, got, step.alone)
		}
	}
}

func TestLeavingARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloudWatch{}
		w := window{place: place{region: "eu-west-1"}}
		_, _, turns := c.join(w, query{}, 1)
		for range requestsAtOnce {
			turns <- struct{}{} // requests that never end
		}
		c.leave(w, c.rounds[w])
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.askTogether(ctx, w, query{}, 1); err == nil || len(c.rounds) != 0 {
			t.Errorf("got %v, and %d rounds are left over", err, len(c.rounds))
		}
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"MetricDataResults":[{"Id":"m0","Values":[1,"NaN"],"Messages":[{"Code":"a"}]}],"NextToken":"x"}`))
	f.Add([]byte(`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>b</SecretAccessKey><SessionToken>c</SessionToken><Expiration>2026-01-05T12:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`))
	f.Add([]byte(`<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>`))
	f.Add([]byte(`{"__type":"a#b","Message":"c"}`))
	f.Add([]byte(`{"Attributes":{"ApproximateNumberOfMessages":"7"}}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if c, err := parseAssumed(answer); err == nil && (!c.HasKeys() || c.Expires.IsZero()) {
			t.Errorf("credentials %+v of %q", c, answer)
		}
		_, _ = parsePage(answer)
		_, _ = parseAttributes(answer)
		explainXML(nil, answer)
		explainJSON(nil, answer)
	})
}
