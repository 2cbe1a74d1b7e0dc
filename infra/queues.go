package infra

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// maxReceiveCount is how often a message may fail before it moves to the dead-letter queue.
const maxReceiveCount = 5

func deadLetters(queue string) string {
	if name, fifo := strings.CutSuffix(queue, ".fifo"); fifo {
		return name + "-dead.fifo" // a FIFO queue needs another
	}
	return queue + "-dead"
}

// newQueues makes work queues with their dead-letter queues. Both hold people's data, so neither a smaller list nor
// `cdk destroy` deletes them; only a first deployment that fails takes back what it made, or a second could not make it.
// Ids are the queues' names, so that one more name leaves the others alone.
func newQueues(scope constructs.Construct, wanted []Queue) map[string]awssqs.Queue {
	queues := map[string]awssqs.Queue{}
	within := constructs.NewConstruct(scope, jsii.String("Queues"))
	for _, q := range wanted {
		var fifo *bool // CDK wants no false
		if strings.HasSuffix(q.Name, ".fifo") {
			fifo = jsii.Bool(true)
		}
		dead := newQueue(within, deadLetters(q.Name), awssqs.QueueProps{
			QueueName:       jsii.String(deadLetters(q.Name)),
			Fifo:            fifo,
			RetentionPeriod: longestRetention(),
			RemovalPolicy:   awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE,
		})
		props := awssqs.QueueProps{
			QueueName:       jsii.String(q.Name),
			Fifo:            fifo,
			DeadLetterQueue: &awssqs.DeadLetterQueue{Queue: dead, MaxReceiveCount: jsii.Number(maxReceiveCount)},
			RemovalPolicy:   awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE,
		}
		if q.VisibilityTimeout != 0 {
			props.VisibilityTimeout = awscdk.Duration_Seconds(jsii.Number(q.VisibilityTimeout))
		}
		queues[q.Name] = newQueue(within, q.Name, props)
	}
	return queues
}

// newQueue makes a queue that is encrypted at rest and answers TLS only. The policy that says so stays as long as the queue.
func newQueue(scope constructs.Construct, id string, props awssqs.QueueProps) awssqs.Queue {
	props.Encryption = awssqs.QueueEncryption_SQS_MANAGED
	props.EnforceSSL = jsii.Bool(true)
	queue := awssqs.NewQueue(scope, jsii.String(id), &props)
	policy := queue.Node().FindChild(jsii.String("Policy")).(awssqs.QueuePolicy)
	policy.ApplyRemovalPolicy(props.RemovalPolicy)
	return queue
}

// longestRetention is SQS's maximum: dead letters wait for people, not for programs.
func longestRetention() awscdk.Duration { return awscdk.Duration_Days(jsii.Number(14)) }
