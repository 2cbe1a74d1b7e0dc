package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// depths names the queue attributes that are published and what CloudWatch calls each.
var depths = []struct {
	attribute sqstypes.QueueAttributeName
	metric    string
}{
	{sqstypes.QueueAttributeNameApproximateNumberOfMessages, "ApproximateNumberOfMessagesVisible"},
	{sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible, "ApproximateNumberOfMessagesNotVisible"},
	{sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed, "ApproximateNumberOfMessagesDelayed"},
}

// maxData is how many data one PutMetricData may carry.
const maxData = 1000

// pump publishes the depths of all queues as AWS/SQS metrics.
type pump struct {
	queues  *sqs.Client
	metrics *cloudwatch.Client
}

// publish reads each queue and puts what it reads as of now. A queue that cannot be read, perhaps because it was
// deleted meanwhile, does not keep the others back.
func (p pump) publish(ctx context.Context, now time.Time) error {
	var data []types.MetricDatum
	var failed []error
	pages := sqs.NewListQueuesPaginator(p.queues, &sqs.ListQueuesInput{MaxResults: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list queues: %w", err)
		}
		for _, url := range page.QueueUrls {
			read, err := p.read(ctx, url, now)
			data, failed = append(data, read...), append(failed, err)
		}
	}
	for batch := range slices.Chunk(data, maxData) {
		input := &cloudwatch.PutMetricDataInput{Namespace: aws.String("AWS/SQS"), MetricData: batch}
		_, err := p.metrics.PutMetricData(ctx, input)
		if err != nil {
			failed = append(failed, fmt.Errorf("put %d queue metrics: %w", len(batch), err))
		}
	}
	return errors.Join(failed...)
}

// read returns the depths of one queue.
func (p pump) read(ctx context.Context, url string, now time.Time) ([]types.MetricDatum, error) {
	input := &sqs.GetQueueAttributesInput{QueueUrl: &url}
	for _, depth := range depths {
		input.AttributeNames = append(input.AttributeNames, depth.attribute)
	}
	queue := path.Base(url)
	got, err := p.queues.GetQueueAttributes(ctx, input)
	if err != nil {
		return nil, fmt.Errorf("read depth of queue %q: %w", queue, err)
	}
	data := make([]types.MetricDatum, 0, len(depths))
	for _, depth := range depths {
		value, err := strconv.ParseFloat(got.Attributes[string(depth.attribute)], 64)
		if err != nil {
			return nil, fmt.Errorf("read %s of queue %q: %w", depth.attribute, queue, err)
		}
		data = append(data, types.MetricDatum{
			MetricName: aws.String(depth.metric),
			Dimensions: []types.Dimension{{Name: aws.String("QueueName"), Value: &queue}},
			Timestamp:  &now,
			Unit:       types.StandardUnitCount,
			Value:      &value,
		})
	}
	return data, nil
}
