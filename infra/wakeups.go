package infra

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// A wake-up is of use for a minute; then the next tick is its retry.
const wakeupSeconds = 60

func failedEvents(function string) string { return function + "-failed-events" }

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

// newHeartbeat wakes the function each minute, once for each shard of the targets.
func newHeartbeat(scope constructs.Construct, here place, shards int, function awslambda.Function) {
	role := awsiam.NewRole(scope, jsii.String("TickRole"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("scheduler.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]string{"aws:SourceAccount": here.account}},
		}),
		Description: jsii.String("Lets EventBridge Scheduler wake Leda's function"),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			"invoke": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{
				Statements: &[]awsiam.PolicyStatement{allow("Function", []string{*function.FunctionArn()}, "lambda:InvokeFunction")},
			}),
		},
	})
	for shard := range shards {
		awsscheduler.NewCfnSchedule(scope, jsii.String(fmt.Sprintf("Tick%d", shard)), &awsscheduler.CfnScheduleProps{
			Description:        jsii.String("Wakes Leda to look at its targets"),
			ScheduleExpression: jsii.String("rate(1 minute)"),
			FlexibleTimeWindow: &awsscheduler.CfnSchedule_FlexibleTimeWindowProperty{Mode: jsii.String("OFF")},
			Target: &awsscheduler.CfnSchedule_TargetProperty{
				Arn:     function.FunctionArn(),
				RoleArn: role.RoleArn(),
				Input:   jsii.String(fmt.Sprintf(`{"tick":{"shard":%d,"shards":%d}}`, shard, shards)),
				RetryPolicy: &awsscheduler.CfnSchedule_RetryPolicyProperty{
					MaximumEventAgeInSeconds: jsii.Number(wakeupSeconds),
					MaximumRetryAttempts:     jsii.Number(0),
				},
			},
		})
	}
}
