package infra

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

const (
	alarmsByDefault = 100  // triggers, up to which alarms are made unless the settings say otherwise
	alarmsTogether  = 400  // in one nested stack, whose template holds 500 resources
	alarmPrice      = 0.10 // dollars a month, in us-east-1
	alarmNameLength = 255
)

// alarmGroup is alarms that are made together and whose names begin alike: NAME for the ones in the stack itself,
// NAME-1, NAME-2, … for those in nested stacks. So a trigger whose alarm moves from one to another never has two alarms
// of one name, which CloudFormation could not make.
type alarmGroup struct {
	id     string
	nested bool
	prefix string
	queues []queue
}

// name carries the target, which is all that the function takes from an alarm.
func (g alarmGroup) name(q queue) string { return g.prefix + "/" + q.String() }

// wakingAlarms chooses the triggers that have an alarm, and says in notes which have not and why.
// An alarm sees the metrics of its own account and region only.
func wakingAlarms(queues []queue, here place, prefix string, wanted *bool) (groups []alarmGroup, notes []string, problems []problem) {
	if wanted != nil && !*wanted {
		return nil, nil, nil
	}
	var waking []queue
	var others []string
	for _, q := range queues {
		switch {
		case !q.named():
			others = append(others, fmt.Sprintf("%s: no alarm, since its queue is known at run time only; the schedule alone wakes its target", q))
		case q.place != here:
			others = append(others, fmt.Sprintf("%s: no alarm, since queue %s is in account %s, region %s; the schedule alone wakes its target",
				q, q.SQS.QueueName, q.place.account, q.place.region))
		default:
			waking = append(waking, q)
		}
	}
	if wanted == nil && len(waking) > alarmsByDefault {
		return nil, []string{fmt.Sprintf("no alarms: %d would cost about $%.2f a month; set alarms to true to have them",
			len(waking), alarmPrice*float64(len(waking)))}, nil
	}
	if len(waking) <= alarmsByDefault {
		groups = append(groups, alarmGroup{"Alarms", false, prefix, waking})
	} else {
		for part := range slices.Chunk(waking, alarmsTogether) {
			number := len(groups) + 1
			groups = append(groups, alarmGroup{fmt.Sprintf("Alarms%d", number), true, fmt.Sprintf("%s-%d", prefix, number), part})
		}
	}
	for _, g := range groups {
		for _, q := range g.queues {
			if name := g.name(q); len(name) > alarmNameLength {
				problems = append(problems, problem{"alarms", fmt.Sprintf(
					"an alarm's name holds %d characters, got %d in %s; shorten the ScaledObject's name or set alarms to false", alarmNameLength, len(name), name)})
			}
		}
	}
	return groups, others, problems
}

// newAlarms makes the alarms that wake the function when a queue gets work. They are early, never exact: the function
// reads the queue itself. Missing data is an idle queue, so it does not ring.
func newAlarms(scope constructs.Construct, here place, groups []alarmGroup, function awslambda.Function) {
	for _, g := range groups {
		if len(g.queues) == 0 {
			continue
		}
		within := constructs.NewConstruct(scope, jsii.String(g.id))
		if g.nested {
			within = awscdk.NewNestedStack(within, jsii.String("Stack"), &awscdk.NestedStackProps{
				Description: jsii.String("Alarms that wake Leda when a queue gets work"),
			})
		}
		for _, q := range g.queues {
			// Neither clusters nor namespaces can have a dot in their names, so no two ids are the same.
			id := strings.Join([]string{q.object.Cluster, q.object.Namespace, q.object.Name, fmt.Sprintf("s%d", q.index)}, ".")
			awscloudwatch.NewCfnAlarm(within, jsii.String(id), &awscloudwatch.CfnAlarmProps{
				AlarmName: jsii.String(g.name(q)),
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
			SourceArn:     jsii.String(here.arn("cloudwatch", "alarm:"+g.prefix+"/*")),
		})
	}
}
