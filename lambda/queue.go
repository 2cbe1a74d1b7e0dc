package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/leda-autoscaler/leda/scaling"
)

// queues asks SQS by GetQueueAttributes.
type queues struct{ service signed }

const (
	visible  = "ApproximateNumberOfMessages"
	inFlight = "ApproximateNumberOfMessagesNotVisible"
	delayed  = "ApproximateNumberOfMessagesDelayed"
)

// depth is what a queue's trigger reads: KEDA's aws_sqs_queue_scaler.go, v2.20. QueueUrl is what the trigger
// says, a bare name too: SQS takes that for a queue in the region, of the account that asks.
func (q *queues) depth(ctx context.Context, trigger *scaling.Trigger, queue scaling.SQSTrigger, as aws.Credentials) (scaling.Reading, error) {
	wanted := []string{visible}
	if queue.ScaleOnInFlight {
		wanted = append(wanted, inFlight)
	}
	if queue.ScaleOnDelayed {
		wanted = append(wanted, delayed)
	}
	attributes, err := q.attributes(ctx, queue, wanted, as)
	if err != nil {
		return scaling.Reading{}, err
	}
	var depth uint64
	counts := map[string]uint64{}
	for _, name := range wanted {
		text, ok := attributes[name]
		if !ok {
			return scaling.Reading{}, fmt.Errorf("the answer has no %s", name)
		}
		n, err := strconv.ParseUint(text, 10, 53) // such are exact as a float64, and can be added up
		if err != nil {
			return scaling.Reading{}, fmt.Errorf("%s is no number of messages: %q", name, text)
		}
		counts[name] = n
		depth += n
	}
	reading := trigger.Reading(float64(depth))
	reading.InFlightOnly = depth > 0 && counts[inFlight] == depth
	return reading, nil
}

// attributes asks for some of a queue's.
func (q *queues) attributes(ctx context.Context, queue scaling.SQSTrigger, wanted []string, as aws.Credentials) (map[string]string, error) {
	body, err := json.Marshal(struct {
		QueueURL       string `json:"QueueUrl"`
		AttributeNames []string
	}{queue.QueueURL, wanted})
	if err != nil {
		return nil, err
	}
	answer, err := q.service.send(ctx, call{
		place: place{queue.Region, queue.Endpoint}, credentials: as, body: body, most: shortAnswer, explain: explainJSON,
		header: map[string]string{
			"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.GetQueueAttributes",
			"X-Amzn-Query-Mode": "true", // errors have the codes that people know
		},
	})
	if err != nil {
		return nil, err
	}
	return parseAttributes(answer)
}

func parseAttributes(answer []byte) (map[string]string, error) {
	var a struct{ Attributes map[string]string }
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, fmt.Errorf("the answer of SQS is not understood: %w", err)
	}
	return a.Attributes, nil
}
