package infra

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// A wake-up is of use for a minute; then the next tick is its retry.
const wakeupSeconds = 60

// newFailedEvents makes the queue for the events that the function failed on.
func newFailedEvents(scope constructs.Construct, name string) awssqs.Queue {
	return newQueue(scope, "FailedEvents", awssqs.QueueProps{
		QueueName:       jsii.String(name),
		RetentionPeriod: longestRetention(),
		RemovalPolicy:   awscdk.RemovalPolicy_DESTROY,
	})
}

// retryNothing rules for every asynchronous event. Lambda would try a failed one twice more and keep a throttled one for hours.
func retryNothing(scope constructs.Construct, function awslambda.Function, failed awssqs.Queue) {
	awslambda.NewCfnEventInvokeConfig(scope, jsii.String("Events"), &awslambda.CfnEventInvokeConfigProps{
		FunctionName:             function.FunctionName(),
		Qualifier:                jsii.String("$LATEST"),
		MaximumEventAgeInSeconds: jsii.Number(wakeupSeconds),
		MaximumRetryAttempts:     jsii.Number(0),
		DestinationConfig: &awslambda.CfnEventInvokeConfig_DestinationConfigProperty{
			OnFailure: &awslambda.CfnEventInvokeConfig_OnFailureProperty{Destination: failed.QueueArn()},
		},
	})
}

// newHeartbeat wakes the function each minute.
func newHeartbeat(scope constructs.Construct, here place, function awslambda.Function) {
	role := awsiam.NewRole(scope, jsii.String("TickRole"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("scheduler.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]string{"aws:SourceAccount": here.account}},
		}),
		Description: jsii.String("Lets EventBridge Scheduler wake Leda's function"),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			"invoke": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{
				Statements: &[]awsiam.PolicyStatement{allow("Function", *function.FunctionArn(), "lambda:InvokeFunction")},
			}),
		},
	})
	awsscheduler.NewCfnSchedule(scope, jsii.String("Tick"), &awsscheduler.CfnScheduleProps{
		Description:        jsii.String("Wakes Leda to look at its targets"),
		ScheduleExpression: jsii.String("rate(1 minute)"),
		FlexibleTimeWindow: &awsscheduler.CfnSchedule_FlexibleTimeWindowProperty{Mode: jsii.String("OFF")},
		Target: &awsscheduler.CfnSchedule_TargetProperty{
			Arn:     function.FunctionArn(),
			RoleArn: role.RoleArn(),
			Input:   jsii.String(`{"tick":{"shard":0,"shards":1}}`),
			RetryPolicy: &awsscheduler.CfnSchedule_RetryPolicyProperty{
				MaximumEventAgeInSeconds: jsii.Number(wakeupSeconds),
				MaximumRetryAttempts:     jsii.Number(0),
			},
		},
	})
}

const (
	alarmsByDefault = 100  // triggers, up to which alarms are made unless the settings say otherwise
	alarmsAtMost    = 400  // in one template, which holds 500 resources
	alarmPrice      = 0.10 // dollars a month, in us-east-1
	alarmNameLength = 255
)

// wakingAlarms chooses the triggers that have an alarm, and says in notes which have not and why.
// An alarm sees the metrics of its own account and region only.
func wakingAlarms(queues []queue, here place, prefix string, wanted *bool) (waking []queue, notes []string, err error) {
	if wanted != nil && !*wanted {
		return nil, nil, nil
	}
	var others []string
	for _, q := range queues {
		if q.place != here {
			others = append(others, fmt.Sprintf("%s: no alarm, since queue %s is in account %s, region %s; the schedule alone wakes its target",
				q, q.SQS.QueueName, q.place.account, q.place.region))
			continue
		}
		waking = append(waking, q)
	}
	if wanted == nil && len(waking) > alarmsByDefault {
		return nil, []string{fmt.Sprintf("no alarms: %d would cost about $%.2f a month; set alarms to true to have them",
			len(waking), alarmPrice*float64(len(waking)))}, nil
	}
	if len(waking) > alarmsAtMost {
		return nil, nil, problem{"alarms", fmt.Sprintf(
			"must be false for %d triggers, since one template has room for %d alarms, got true; the schedule wakes every target without them",
			len(waking), alarmsAtMost)}
	}
	for _, q := range waking {
		if name := alarmName(prefix, q); len(name) > alarmNameLength {
			return nil, nil, problem{"alarms", fmt.Sprintf(
				"an alarm's name holds %d characters, got %d in %s; shorten the ScaledObject's name or set alarms to false", alarmNameLength, len(name), name)}
		}
	}
	return waking, others, nil
}

// alarmName carries the target, which is all that the function takes from an alarm.
func alarmName(prefix string, q queue) string { return prefix + "/" + q.String() }

// newAlarms makes the alarms that wake the function when a queue gets work. They are early, never exact: the function
// reads the queue itself. Missing data is an idle queue, so it does not ring.
func newAlarms(scope constructs.Construct, here place, prefix string, waking []queue, function awslambda.Function) {
	if len(waking) == 0 {
		return
	}
	within := constructs.NewConstruct(scope, jsii.String("Alarms"))
	for _, q := range waking {
		// Neither clusters nor namespaces can have a dot in their names, so no two ids are the same.
		id := strings.Join([]string{q.object.Cluster, q.object.Namespace, q.object.Name, fmt.Sprintf("s%d", q.index)}, ".")
		awscloudwatch.NewCfnAlarm(within, jsii.String(id), &awscloudwatch.CfnAlarmProps{
			AlarmName: jsii.String(alarmName(prefix, q)),
			AlarmDescription: jsii.String(fmt.Sprintf("Queue %s has more than %d visible messages: wakes Leda to look at ScaledObject %s/%s",
				q.SQS.QueueName, q.SQS.ActivationQueueLength, q.object.Namespace, q.object.Name)),
			Namespace:  jsii.String("AWS/SQS"),
			MetricName: jsii.String("ApproximateNumberOfMessagesVisible"),
			Dimensions: &[]*awscloudwatch.CfnAlarm_DimensionProperty{{Name: jsii.String("QueueName"), Value: jsii.String(q.SQS.QueueName)}},
			// SQS publishes once a minute, at times two values for one: the maximum, since the sum counts messages twice.
			Statistic:          jsii.String("Maximum"),
			Period:             jsii.Number(60),
			EvaluationPeriods:  jsii.Number(1),
			ComparisonOperator: jsii.String("GreaterThanThreshold"),
			Threshold:          jsii.Number(q.SQS.ActivationQueueLength),
			TreatMissingData:   jsii.String("notBreaching"),
			AlarmActions:       jsii.Strings(*function.FunctionArn()),
		})
	}
	// One permission for all, since a function's policy is full after some 45.
	awslambda.NewCfnPermission(within, jsii.String("Invoke"), &awslambda.CfnPermissionProps{
		Action:        jsii.String("lambda:InvokeFunction"),
		FunctionName:  function.FunctionArn(),
		Principal:     jsii.String("lambda.alarms.cloudwatch.amazonaws.com"),
		SourceAccount: jsii.String(here.account),
		SourceArn:     jsii.String(here.arn("cloudwatch", "alarm:"+prefix+"/*")),
	})
}
