package cloudwatch

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

func TestSum(t *testing.T) {
	minute := func(n int) time.Time { return time.Date(2026, 1, 1, 9, n, 0, 0, time.UTC) }
	series := map[string]map[time.Time]float64{
		"visible": {minute(0): 5, minute(1): 6, minute(2): 7},
		"taken":   {minute(0): 1, minute(2): 0},
	}
	stat := func(id string) types.MetricDataQuery {
		measured := &types.Metric{Namespace: aws.String("AWS/SQS"), MetricName: aws.String(id)}
		return types.MetricDataQuery{
			Id:         &id,
			MetricStat: &types.MetricStat{Metric: measured, Period: aws.Int32(60), Stat: aws.String("Maximum")},
			ReturnData: aws.Bool(false),
		}
	}
	returned := func(id string) types.MetricDataQuery {
		q := stat(id)
		q.ReturnData = nil // what is not said is true
		return q
	}
	expression := func(e string) types.MetricDataQuery {
		return types.MetricDataQuery{Id: aws.String("depth"), Expression: &e, ReturnData: aws.Bool(true)}
	}
	tests := []struct {
		rule    string
		queries []types.MetricDataQuery
		want    [3]string
		err     string
	}{
		{"one metric is its own sum", []types.MetricDataQuery{returned("visible")}, [3]string{"5", "6", "7"}, ""},
		{
			"a sum has no datapoint where a term has none",
			[]types.MetricDataQuery{expression("visible+taken"), stat("visible"), stat("taken")},
			[3]string{"6", "-", "7"},
			"",
		},
		{
			"spaces do not count",
			[]types.MetricDataQuery{stat("visible"), expression(" visible + visible ")},
			[3]string{"10", "12", "14"},
			"",
		},
		{
			"other metric math is refused",
			[]types.MetricDataQuery{expression("visible/taken"), stat("visible"), stat("taken")},
			[3]string{},
			`expression "visible/taken": only sums of its metrics (m1 + m2) are imitated here`,
		},
		{"nothing returned", []types.MetricDataQuery{stat("visible")}, [3]string{}, "none of its metrics returns data"},
		{
			"two returned",
			[]types.MetricDataQuery{returned("visible"), returned("taken")},
			[3]string{},
			`more than one of its metrics returns data, the last is "taken"`,
		},
		{"no metric", []types.MetricDataQuery{expression("1")}, [3]string{}, "its metrics have no period"},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			m, err := sumOf(test.queries)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Fatalf("got error %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got [3]string
			for i := range got {
				got[i] = show(m.at(series, minute(i)))
			}
			if got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
