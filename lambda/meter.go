package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/leda-autoscaler/leda/scaling"
)

// meter reads triggers. A reading that fails is data: it comes back with Err set and is never 0.
type meter struct {
	aws aws.Config       // the function's own identity, and where SQS is asked unless a trigger says otherwise
	now func() time.Time // for cron triggers

	mu      sync.Mutex
	clients map[source]*sqs.Client
}

// source is what readings may share a client by: where is asked, and as whom.
type source struct {
	region, endpoint string
	// Whose keys; empty for the function's own role.
	cluster, namespace string
	keys               scaling.KeyReferences
}

// read reads all triggers of a target at once.
func (m *meter) read(ctx context.Context, t *target) []scaling.Reading {
	readings := make([]scaling.Reading, len(t.Triggers))
	var all sync.WaitGroup
	for i := range t.Triggers {
		if t.Triggers[i].Type == scaling.TypeCron {
			readings[i] = t.Triggers[i].CronReading(m.now())
			continue
		}
		all.Go(func() { readings[i] = m.readTrigger(ctx, t, &t.Triggers[i]) })
	}
	all.Wait()
	return readings
}

// readTrigger asks once more, with credentials read anew, when the first answer is an error, as KEDA does.
func (m *meter) readTrigger(ctx context.Context, t *target, trigger *scaling.Trigger) scaling.Reading {
	reading, err := m.readQueue(ctx, t, trigger)
	if err != nil && ctx.Err() == nil {
		m.forget(sourceOf(t, trigger))
		reading, err = m.readQueue(ctx, t, trigger)
	}
	if err != nil {
		return trigger.Failed(err)
	}
	return reading
}

// readQueue is the depth of an SQS queue: KEDA's aws_sqs_queue_scaler.go, v2.20.
func (m *meter) readQueue(ctx context.Context, t *target, trigger *scaling.Trigger) (scaling.Reading, error) {
	q := &trigger.SQS
	client, err := m.client(ctx, t, trigger)
	if err != nil {
		return scaling.Reading{}, fmt.Errorf("read depth of queue %q: %w", q.QueueName, err)
	}
	const (
		visible  = types.QueueAttributeNameApproximateNumberOfMessages
		inFlight = types.QueueAttributeNameApproximateNumberOfMessagesNotVisible
		delayed  = types.QueueAttributeNameApproximateNumberOfMessagesDelayed
	)
	wanted := []types.QueueAttributeName{visible}
	if q.ScaleOnInFlight {
		wanted = append(wanted, inFlight)
	}
	if q.ScaleOnDelayed {
		wanted = append(wanted, delayed)
	}
	answer, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.QueueURL, AttributeNames: wanted})
	if err != nil {
		return scaling.Reading{}, fmt.Errorf("read depth of queue %q: %w", q.QueueName, err)
	}
	var depth int64
	counts := map[types.QueueAttributeName]int64{}
	for _, name := range wanted {
		text, ok := answer.Attributes[string(name)]
		if !ok {
			return scaling.Reading{}, fmt.Errorf("read depth of queue %q: the answer has no %s", q.QueueName, name)
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return scaling.Reading{}, fmt.Errorf("read depth of queue %q: %s is no number: %q", q.QueueName, name, text)
		}
		counts[name] = n
		depth += n
	}
	reading := trigger.Reading(float64(depth))
	reading.InFlightOnly = depth > 0 && counts[inFlight] == depth
	return reading, nil
}

func sourceOf(t *target, trigger *scaling.Trigger) source {
	s := source{region: trigger.SQS.Region, endpoint: trigger.SQS.Endpoint}
	if keys := trigger.Authentication.Keys; keys != nil {
		s.cluster, s.namespace, s.keys = t.Cluster, t.Namespace, *keys
	}
	return s
}

func (m *meter) client(ctx context.Context, t *target, trigger *scaling.Trigger) (*sqs.Client, error) {
	s := sourceOf(t, trigger)
	m.mu.Lock()
	client := m.clients[s]
	m.mu.Unlock()
	if client != nil {
		return client, nil
	}
	cfg := m.aws.Copy()
	cfg.Region = s.region
	if s.endpoint != "" {
		cfg.BaseEndpoint = &s.endpoint
	}
	if trigger.Authentication.Keys != nil {
		provider, err := keysFrom(ctx, t, *trigger.Authentication.Keys)
		if err != nil {
			return nil, err
		}
		cfg.Credentials = provider
	}
	client = sqs.NewFromConfig(cfg)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.clients == nil {
		m.clients = map[source]*sqs.Client{}
	}
	m.clients[s] = client
	return client, nil
}

// forget drops a client, and with it keys that may have been replaced.
func (m *meter) forget(s source) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.clients, s)
}

// keysFrom reads an access key from the target's namespace.
func keysFrom(ctx context.Context, t *target, keys scaling.KeyReferences) (aws.CredentialsProvider, error) {
	id, err := t.cluster.Secret(ctx, t.Namespace, keys.AccessKeyID)
	if err != nil {
		return nil, err
	}
	secret, err := t.cluster.Secret(ctx, t.Namespace, keys.SecretAccessKey)
	if err != nil {
		return nil, err
	}
	session := ""
	if keys.SessionToken.Name != "" {
		if session, err = t.cluster.Secret(ctx, t.Namespace, keys.SessionToken); err != nil {
			return nil, err
		}
	}
	return credentials.NewStaticCredentialsProvider(id, secret, session), nil
}
