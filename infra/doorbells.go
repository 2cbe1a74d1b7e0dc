package infra

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/leda-autoscaler/leda/scaling"
)

// topicsOf lists the topics that ScaledObjects name as their doorbells, once each.
func topicsOf(objects []scaling.ScaledObject) []string {
	var topics []string
	for _, o := range objects {
		topics = append(topics, o.Doorbell)
	}
	return eachOnce(topics)
}

// topicPlace is the region and the account of a topic, whose ARN the ScaledObject's parser has checked.
func topicPlace(topic string, here place) place {
	parts := topicARN.FindStringSubmatch(topic)
	if parts == nil {
		return here
	}
	return place{here.partition, parts[1], parts[2]}
}

func doorbellNotes(topics []string, here place) []string {
	var notes []string
	for _, topic := range topics {
		if at := topicPlace(topic, here); at.account != here.account {
			notes = append(notes, fmt.Sprintf(
				"doorbell %s: is in another account; the deployment can subscribe to it only if the topic's policy allows sns:Subscribe to account %s", topic, here.account))
		}
	}
	return notes
}

// newDoorbells makes a small queue for each topic, with which the function is woken for every message of the topic: a
// queue in between makes one invocation of a burst. A ring is of use for a minute; then it is gone.
func newDoorbells(scope constructs.Construct, name string, topics []string) []awssqs.Queue {
	var queues []awssqs.Queue
	within := constructs.NewConstruct(scope, jsii.String("Doorbells"))
	for i, topic := range topics {
		// Numbered, so that a topic more or less changes no queue's name to another's.
		queue := newQueue(within, fmt.Sprintf("Queue%d", i+1), awssqs.QueueProps{
			QueueName:         jsii.String(fmt.Sprintf("%s-doorbell-%d", name, i+1)),
			RetentionPeriod:   awscdk.Duration_Seconds(jsii.Number(wakeupSeconds)),
			VisibilityTimeout: awscdk.Duration_Seconds(jsii.Number(functionTimeout)), // Lambda wants no less
			RemovalPolicy:     awscdk.RemovalPolicy_DESTROY,
		})
		queue.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid:        jsii.String("Topic"),
			Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("sns.amazonaws.com"), nil)},
			Actions:    jsii.Strings("sqs:SendMessage"),
			Resources:  &[]*string{queue.QueueArn()},
			Conditions: &map[string]any{"ArnEquals": map[string]string{"aws:SourceArn": topic}},
		}))
		queues = append(queues, queue)
	}
	return queues
}

// ring connects the doorbells' topics with their queues, and these with the function.
func ring(scope constructs.Construct, here place, topics []string, queues []awssqs.Queue, function awslambda.Function) {
	within := constructs.NewConstruct(scope, jsii.String("Rings"))
	for i, topic := range topics {
		subscription := awssns.NewCfnSubscription(within, jsii.String(fmt.Sprintf("Topic%d", i+1)), &awssns.CfnSubscriptionProps{
			TopicArn: jsii.String(topic),
			Protocol: jsii.String("sqs"),
			Endpoint: queues[i].QueueArn(),
		})
		if at := topicPlace(topic, here); at.region != here.region {
			subscription.SetRegion(jsii.String(at.region))
		}
		awslambda.NewCfnEventSourceMapping(within, jsii.String(fmt.Sprintf("Wake%d", i+1)), &awslambda.CfnEventSourceMappingProps{
			EventSourceArn:                 queues[i].QueueArn(),
			FunctionName:                   function.FunctionName(),
			BatchSize:                      jsii.Number(10), // the most without a batching window
			MaximumBatchingWindowInSeconds: jsii.Number(0),
			ScalingConfig:                  &awslambda.CfnEventSourceMapping_ScalingConfigProperty{MaximumConcurrency: jsii.Number(2)},
		})
	}
}
