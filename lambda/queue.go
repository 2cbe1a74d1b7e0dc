package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/leda-autoscaler/leda/scaling"
)

// queues asks SQS.
type queues struct {
	aws aws.Config

	mu      sync.Mutex
	clients map[place]*sqs.Client
}

// place is where a service is asked: the endpoint is empty for the region's own.
type place struct{ region, endpoint string }

// depth is what a queue's trigger reads: KEDA's aws_sqs_queue_scaler.go, v2.20. QueueUrl is what the trigger
// says, a bare name too: SQS takes that for a queue in the region, of the account that asks.
func (q *queues) depth(ctx context.Context, trigger *scaling.Trigger, queue scaling.SQSTrigger, as aws.Credentials) (scaling.Reading, error) {
	const (
		visible  = types.QueueAttributeNameApproximateNumberOfMessages
		inFlight = types.QueueAttributeNameApproximateNumberOfMessagesNotVisible
		delayed  = types.QueueAttributeNameApproximateNumberOfMessagesDelayed
	)
	wanted := []types.QueueAttributeName{visible}
	if queue.ScaleOnInFlight {
		wanted = append(wanted, inFlight)
	}
	if queue.ScaleOnDelayed {
		wanted = append(wanted, delayed)
	}
	client := q.client(place{queue.Region, queue.Endpoint})
	answer, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &queue.QueueURL, AttributeNames: wanted},
		func(o *sqs.Options) { o.Credentials = credentials.StaticCredentialsProvider{Value: as} })
	if err != nil {
		return scaling.Reading{}, err
	}
	var depth int64
	counts := map[types.QueueAttributeName]int64{}
	for _, name := range wanted {
		text, ok := answer.Attributes[string(name)]
		if !ok {
			return scaling.Reading{}, fmt.Errorf("the answer has no %s", name)
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return scaling.Reading{}, fmt.Errorf("%s is no number: %q", name, text)
		}
		counts[name] = n
		depth += n
	}
	reading := trigger.Reading(float64(depth))
	reading.InFlightOnly = depth > 0 && counts[inFlight] == depth
	return reading, nil
}

func (q *queues) client(at place) *sqs.Client {
	q.mu.Lock()
	defer q.mu.Unlock()
	client := q.clients[at]
	if client == nil {
		cfg := q.aws.Copy()
		cfg.Region, cfg.HTTPClient = at.region, bounded{cfg.HTTPClient}
		if at.endpoint != "" {
			cfg.BaseEndpoint = &at.endpoint
		}
		client = sqs.NewFromConfig(cfg)
		if q.clients == nil {
			q.clients = map[place]*sqs.Client{}
		}
		q.clients[at] = client
	}
	return client
}
