package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// awsAt makes the SDK speak to a server of the test's own, with nobody's credentials.
func awsAt(t *testing.T, url string) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_PROFILE": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CA_BUNDLE": "",
	} {
		t.Setenv(name, value)
	}
}

// cloudWatch answers GetMetricData with what it has of each metric, some values a page.
type cloudWatch struct {
	*testing.T
	has  map[string]map[time.Time]float64
	page int

	mu    sync.Mutex
	asked []string // "metric stat period", of the first page
	pages int
}

func (c *cloudWatch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.Error(err)
	}
	decoded, err := cbor.Decode(body)
	query, ok := decoded.(cbor.Map)
	if err != nil || !ok || !strings.HasSuffix(r.URL.Path, "/operation/GetMetricData") || !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/monitoring/") {
		c.Errorf("%s %s: %v", r.URL, r.Header, err)
		return
	}
	begin, _ := cbor.AsTime(query["StartTime"])
	end, _ := cbor.AsTime(query["EndTime"])
	from := 0
	if token, ok := query["NextToken"].(cbor.String); ok {
		_, _ = fmt.Sscan(string(token), &from)
	}
	results := cbor.List{}
	more := false
	for _, q := range query["MetricDataQueries"].(cbor.List) {
		stat := q.(cbor.Map)["MetricStat"].(cbor.Map)
		metric := stat["Metric"].(cbor.Map)
		name := string(metric["MetricName"].(cbor.String))
		dimension := metric["Dimensions"].(cbor.List)[0].(cbor.Map)
		if metric["Namespace"] != cbor.String("AWS/SQS") || dimension["Name"] != cbor.String("QueueName") || dimension["Value"] != cbor.String("orders") {
			c.Errorf("asks for %v", metric)
		}
		period, _ := cbor.AsInt64(stat["Period"])
		if from == 0 {
			c.asked = append(c.asked, fmt.Sprintf("%s %s %d", name, stat["Stat"], period))
		}
		times, values := cbor.List{}, cbor.List{}
		n := 0
		for at := begin; at.Before(end); at = at.Add(time.Duration(period) * time.Second) {
			value, ok := c.has[name][at.UTC()]
			if !ok {
				continue
			}
			if n++; n <= from {
				continue
			}
			if n > from+c.page {
				more = true
				break
			}
			times, values = append(times, &cbor.Tag{ID: 1, Value: cbor.Float64(at.Unix())}), append(values, cbor.Float64(value))
		}
		results = append(results, cbor.Map{"Id": q.(cbor.Map)["Id"], "Timestamps": times, "Values": values, "StatusCode": cbor.String("Complete")})
	}
	answer := cbor.Map{"MetricDataResults": results}
	if more {
		answer["NextToken"] = cbor.String(fmt.Sprint(from + c.page))
	}
	c.pages++
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	w.Header().Set("Content-Type", "application/cbor")
	if _, err := w.Write(cbor.Encode(answer)); err != nil {
		c.Error(err)
	}
}

// The command line is typed at 12:00:30, so the last whole minute begins at 11:59.
func minute(clock string) time.Time {
	at, err := time.Parse("15:04", clock)
	if err != nil {
		panic(err) // a constant of these tests
	}
	return time.Date(2026, time.March, 1, at.Hour(), at.Minute(), 0, 0, time.UTC)
}

func TestSimulateFromCloudWatch(t *testing.T) {
	visible, inFlight, delayed, sent := map[time.Time]float64{}, map[time.Time]float64{}, map[time.Time]float64{}, map[time.Time]float64{}
	for i := range 30 { // 11:00 to 11:29
		visible[minute("11:00").Add(time.Duration(i)*time.Minute)] = 2
	}
	delete(visible, minute("11:05"))
	visible[minute("11:06")], inFlight[minute("11:06")], delayed[minute("11:06")] = 7, 4, 100
	visible[minute("11:50")], sent[minute("11:50")] = 3, 60 // 20 minutes later
	fake := &cloudWatch{T: t, page: 10, has: map[string]map[time.Time]float64{metricVisible: visible, metricInFlight: inFlight, metricDelayed: delayed, metricSent: sent}}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	awsAt(t, server.URL)

	at := func(flags ...string) map[string]string {
		fake.asked, fake.pages = nil, 0
		looks := map[string]string{}
		code, out, problems := fetched(t, object("", "  minReplicaCount: 1\n"+oneQueue), append(flags, "-from-cloudwatch", "https://sqs.eu-west-1.amazonaws.com/123456789012/orders", "-since", "1h", "-o", "json")...)
		if code != exitFine {
			t.Fatalf("exit %d: %s", code, problems)
		}
		decoder := json.NewDecoder(strings.NewReader(out))
		for decoder.More() {
			var look struct {
				Time     time.Time
				Readings []struct {
					Value *float64
					Error string
				}
			}
			if err := decoder.Decode(&look); err != nil {
				t.Fatal(err)
			}
			if r := look.Readings[0]; r.Value != nil {
				looks[look.Time.Format("15:04:05")] = fmt.Sprint(*r.Value)
			} else {
				looks[look.Time.Format("15:04:05")] = r.Error
			}
		}
		return looks
	}
	want := func(got map[string]string, at, value, rule string) {
		t.Helper()
		if got[at] != value {
			t.Errorf("%s: at %s got %q, want %q", rule, at, got[at], value)
		}
	}

	depths := at("-every", "15s")
	want(depths, "11:01:00", "2", "a minute's value is known at its end")
	want(depths, "11:00:45", "", "and not before")
	want(depths, "11:01:15", "2", "it holds until the next")
	want(depths, "11:06:00", errNoDatapoint.Error(), "a minute that is missing is a failed reading")
	want(depths, "11:07:00", "11", "messages in flight count, delayed ones do not unless the trigger says so")
	want(depths, "11:30:00", "2", "the last before the gap")
	want(depths, "11:31:00", "0", "a long gap is a queue that nobody used")
	want(depths, "11:51:00", "3", "the last value")
	want(depths, "11:52:00", "", "nothing is made up after it")
	if fake.pages != 3 { // of 10 minutes each
		t.Errorf("%d pages, want all 3", fake.pages)
	}
	if got, want := strings.Join(fake.asked, ", "), metricVisible+" Maximum 60, "+metricInFlight+" Maximum 60, "+metricDelayed+" Maximum 60, "+metricSent+" Sum 60"; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	if got := len(depths); got != 50*4+1 {
		t.Errorf("%d looks, want one each 15 s from 11:01 to 11:51", got)
	}

	arrivals := at("-rate", "0.5", "-every", "30s")
	want(arrivals, "11:50:30", "15", "half of the last minute's 60 have arrived, and one replica has finished 15")
	want(arrivals, "11:30:00", "0", "nothing was sent before")
}

// fetched runs leda simulate without a series.
func fetched(t *testing.T, manifest string, flags ...string) (code int, out, problems string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "orders.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	code = run(append([]string{"simulate", "-f", file}, flags...), strings.NewReader(""), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestSimulateFromCloudWatchRefuses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		w.Header().Set("Content-Type", "application/cbor")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write(cbor.Encode(cbor.Map{"__type": cbor.String("AccessDenied"), "message": cbor.String("not authorized to perform: cloudwatch:GetMetricData")}))
	}))
	t.Cleanup(server.Close)
	awsAt(t, server.URL)
	two := object("", "  triggers:\n  - {type: aws-sqs-queue, metadata: {queueURL: a, awsRegion: eu-west-1}}\n  - {type: aws-sqs-queue, metadata: {queueURL: b, awsRegion: eu-west-1}}\n")
	metric := object("", "  triggers:\n  - {type: aws-cloudwatch, metadata: {awsRegion: eu-west-1, expression: x, targetMetricValue: '1', minMetricValue: '0'}}\n")
	for _, row := range []struct {
		rule, manifest, flags string
		code                  int
		want                  string
	}{
		{"a series too", object("", oneQueue), "-from-cloudwatch orders series.csv", 2, "-from-cloudwatch takes the place of a series"},
		{"two beginnings", object("", oneQueue), "-from-cloudwatch orders -from 2026-01-05T00:00:00Z", 2, "exclude each other"},
		{"no time", object("", oneQueue), "-from-cloudwatch orders -since yesterday", 2, "-since must be from 1h to 455d"},
		{"too long ago", object("", oneQueue), "-from-cloudwatch orders -since 456d", 2, "-since must be from 1h to 455d"},
		{"one queue for two triggers", two, "-from-cloudwatch a", 2, "must name a queue for each aws-sqs-queue trigger of shop/orders, which has 2; got 1"},
		{"another kind of metric", metric, "-from-cloudwatch a", 2, "trigger s0 of shop/orders is an aws-cloudwatch one"},
		{"no right", object("", oneQueue), "-from-cloudwatch orders", 1, "not authorized to perform: cloudwatch:GetMetricData; it needs AWS credentials that may cloudwatch:GetMetricData"},
	} {
		code, out, problems := fetched(t, row.manifest, strings.Fields(row.flags)...)
		if code != row.code || out != "" || !strings.HasPrefix(problems, "leda simulate: ") || !strings.Contains(problems, row.want) {
			t.Errorf("%s: exit %d, out %q, problems %q, want exit %d and %q", row.rule, code, out, problems, row.code, row.want)
		}
	}
}

func TestNoHistory(t *testing.T) {
	server := httptest.NewServer(&cloudWatch{T: t, page: 10})
	t.Cleanup(server.Close)
	awsAt(t, server.URL)
	code, out, problems := fetched(t, object("", oneQueue), "-from-cloudwatch", "orders")
	if code != exitNotInOrder || out != "" || !strings.Contains(problems, "CloudWatch has no value of queue orders in eu-west-1 since 2026-02-15T12:00:00Z: is that its name") {
		t.Errorf("exit %d, out %q, problems %q", code, out, problems)
	}
}

func TestPeriodOf(t *testing.T) {
	for span, want := range map[time.Duration]time.Duration{
		14 * day: time.Minute, 15 * day: 5 * time.Minute, 62 * day: 5 * time.Minute, 63 * day: time.Hour, 455 * day: time.Hour,
	} {
		if got := periodOf(span); got != want {
			t.Errorf("of %v: by %v, want %v", span, got, want)
		}
	}
}
