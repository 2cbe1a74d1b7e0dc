package infra

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// ownNamespace is that of the one metric that CloudWatch does not have of itself.
func ownNamespace(function string) string { return "Leda/" + function }

// newHealth makes the metric of the failed looks that the function's summary lines count, and alarms on its health.
// They tell the topic when they ring and when it is over.
func newHealth(scope constructs.Construct, function string, settings Settings, log awslogs.CfnLogGroup) {
	within := constructs.NewConstruct(scope, jsii.String("Health"))
	awslogs.NewCfnMetricFilter(within, jsii.String("Failures"), &awslogs.CfnMetricFilterProps{
		LogGroupName:  log.Ref(),
		FilterPattern: jsii.String(`{ $.msg = "done" }`),
		MetricTransformations: &[]*awslogs.CfnMetricFilter_MetricTransformationProperty{{
			MetricNamespace: jsii.String(ownNamespace(function)),
			MetricName:      jsii.String("Failures"),
			MetricValue:     jsii.String("$.failed"),
			Unit:            jsii.String("Count"),
		}},
	})

	var topic *[]*string
	if settings.AlarmTopic != "" {
		topic = jsii.Strings(settings.AlarmTopic)
	}
	for _, a := range healthAlarms(function, settings.Shards) {
		props := awscloudwatch.CfnAlarmProps{
			AlarmName:          jsii.String(settings.Name + " " + a.name),
			AlarmDescription:   jsii.String(a.description),
			Namespace:          jsii.String(a.namespace),
			MetricName:         jsii.String(a.metric),
			Statistic:          jsii.String(a.statistic),
			Period:             jsii.Number(60),
			EvaluationPeriods:  jsii.Number(a.of),
			DatapointsToAlarm:  jsii.Number(a.minutes),
			ComparisonOperator: jsii.String(a.comparison),
			Threshold:          jsii.Number(a.threshold),
			TreatMissingData:   jsii.String(a.missing),
			AlarmActions:       topic,
			OkActions:          topic,
		}
		if a.dimension != "" {
			props.Dimensions = &[]*awscloudwatch.CfnAlarm_DimensionProperty{{Name: jsii.String(a.dimension), Value: jsii.String(a.value)}}
		}
		awscloudwatch.NewCfnAlarm(within, jsii.String(a.id), &props)
	}
}

// healthAlarm rings when minutes of the last so many are beyond the threshold.
type healthAlarm struct {
	id, name, description string
	namespace, metric     string
	dimension, value      string // empty for none
	statistic, comparison string
	threshold             int
	minutes, of           int
	missing               string
}

// healthAlarms are what a person wants to be woken for. One failure mends itself with the next tick.
func healthAlarms(function string, shards int) []healthAlarm {
	const above, noMore = "GreaterThanThreshold", "LessThanOrEqualToThreshold"
	const fine, alarming = "notBreaching", "breaching" // what no data means
	log := "/aws/lambda/" + function
	return []healthAlarm{
		{
			"Errors", "function errors", "Leda's function fails, minute after minute: see " + log,
			"AWS/Lambda", "Errors", "FunctionName", function, "Sum", above, 0, 3, 5, fine,
		},
		{
			"Throttles", "function throttles", "Leda's function is not run, minute after minute: the account's concurrency is used up, or the function's own",
			"AWS/Lambda", "Throttles", "FunctionName", function, "Sum", above, 0, 3, 5, fine,
		},
		{
			"Heartbeat", "no heartbeat", fmt.Sprintf("Leda's function was woken less than %d times a minute for five minutes: see its schedules and their role", shards),
			"AWS/Lambda", "Invocations", "FunctionName", function, "Sum", noMore, shards - 1, 5, 5, alarming,
		},
		{
			"Decisions", "decisions fail", "Leda cannot scale a target for five minutes: see the errors in " + log,
			ownNamespace(function), "Failures", "", "", "Sum", above, 0, 5, 5, fine,
		},
		{
			"DeadLetters", "failed events", "An event that Leda's function failed on is in queue " + failedEvents(function) + ", and why in " + log,
			"AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", failedEvents(function), "Maximum", above, 0, 1, 1, fine,
		},
	}
}
