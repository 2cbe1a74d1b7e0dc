package scaling

import (
	"math"
	"slices"
	"strings"
	"time"
)

// units are CloudWatch's StandardUnit values.
const units = " Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits Gigabits Terabits" +
	" Percent Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second" +
	" Bits/Second Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second Count/Second None "

// parseCloudWatch reads an aws-cloudwatch trigger as KEDA's aws_cloudwatch_scaler.go (v2.20) does.
func parseCloudWatch(m metadata) CloudWatchTrigger {
	t := CloudWatchTrigger{
		Expression: m.text("expression"), Region: m.requiredText("awsRegion"), Endpoint: m.text("awsEndpoint"), SourceAccount: m.text("awsAccountId"),
		TargetMetricValue:           m.requiredNumber("targetMetricValue"),
		ActivationTargetMetricValue: m.number("activationTargetMetricValue", 0),
		MinMetricValue:              m.requiredNumber("minMetricValue"),
		IgnoreNullValues:            m.boolean("ignoreNullValues", true),
		Period:                      time.Duration(m.whole("metricStatPeriod", 300, 1, math.MaxInt32)) * time.Second,
		Collection:                  time.Duration(m.whole("metricCollectionTime", 300, 0, math.MaxInt32)) * time.Second,
		EndOffset:                   time.Duration(m.whole("metricEndTimeOffset", 0, math.MinInt32, math.MaxInt32)) * time.Second,
	}
	namespace, metricName := m.text("namespace"), m.text("metricName")
	names, values := m.list("dimensionName", ";"), m.list("dimensionValue", ";")
	stat, unit := m.text("metricStat"), m.text("metricUnit")
	if stat == "" {
		stat = "Average"
	}
	if t.Expression == "" { // with one, KEDA neither reads nor checks these
		t.Namespace, t.MetricName, t.Stat, t.Unit = m.requiredText("namespace"), m.requiredText("metricName"), stat, unit
		m.requiredText("dimensionName")
		m.requiredText("dimensionValue")
		if len(names) > 0 && len(values) > 0 && len(names) != len(values) {
			m.problem("dimensionValue", "must have as many parts between ; as dimensionName (%d), got %d", len(names), len(values))
		}
		for i := range min(len(names), len(values)) {
			t.Dimensions = append(t.Dimensions, Dimension{names[i], values[i]})
		}
		if unit != "" && !strings.Contains(units, " "+unit+" ") {
			m.problem("metricUnit", "must be one of CloudWatch's units such as Count, got %q", unit)
		}
	} else if namespace != "" || metricName != "" || len(names) > 0 {
		m.note("expression", "is used, and so namespace, metricName, dimensionName, dimensionValue, metricStat and metricUnit have no effect, in KEDA either")
	}
	period := int(t.Period / time.Second)
	if period <= 60 && !slices.Contains([]int{1, 5, 10, 30, 60}, period) || period > 60 && period%60 != 0 {
		m.problem("metricStatPeriod", "must be 1, 5, 10, 30 or a multiple of 60, got %d", period)
	} else if int(t.Collection/time.Second)%period != 0 {
		m.problem("metricCollectionTime", "must be a multiple of metricStatPeriod (%d), got %d", period, int(t.Collection/time.Second))
	}
	if t.Collection == 0 && m.text("metricCollectionTime") == "0" {
		m.note("metricCollectionTime", "is 0, as KEDA allows, but CloudWatch refuses such a query: every reading will fail")
	}
	m.checkRegion("awsRegion", t.Region)
	m.checkEndpoint("awsEndpoint", t.Endpoint)
	m.checkTarget("targetMetricValue", t.TargetMetricValue)
	return t
}

// maxTarget is what the HPA's whole thousandths can hold.
const maxTarget = math.MaxInt64 / 1000

// checkTarget refuses a target that is not above 0 in the HPA's thousandths: the HPA's API would.
func (m metadata) checkTarget(key string, target float64) {
	switch {
	case m.text(key) == "" || m.bad(key):
	case milli(target) <= 0:
		m.problem(key, "must be above 0 (at least 0.001), got %s", m.text(key))
	case target > maxTarget:
		m.problem(key, "must be at most %d, got %s", int64(maxTarget), m.text(key))
	}
}
