package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

// meter reads triggers. A reading that fails is data: it comes back with Err set and is never 0.
type meter struct {
	identities *identities
	queues     *queues
	cloudWatch *cloudWatch
	now        func() time.Time
}

// read reads all triggers of a target at once; there is at least one.
func (m *meter) read(ctx context.Context, t *target) []scaling.Reading {
	readings := make([]scaling.Reading, len(t.Triggers))
	var all together
	for i := range t.Triggers[1:] {
		all.Go(func() { readings[i+1] = m.readTrigger(ctx, t, &t.Triggers[i+1]) })
	}
	readings[0] = m.readTrigger(ctx, t, &t.Triggers[0])
	all.Wait()
	return readings
}

// readTrigger asks once more, at once, when the first answer is an error, as KEDA does. What the error says
// may be out of date, such as a key that AWS does not know, is read anew for that.
func (m *meter) readTrigger(ctx context.Context, t *target, trigger *scaling.Trigger) scaling.Reading {
	if trigger.Type == scaling.TypeCron {
		return trigger.CronReading(m.now())
	}
	var err error
	for range 2 {
		var reading scaling.Reading
		if reading, err = m.ask(ctx, t, trigger); err == nil {
			return reading
		}
		if ctx.Err() != nil {
			break
		}
	}
	return trigger.Failed(err)
}

func (m *meter) ask(ctx context.Context, t *target, trigger *scaling.Trigger) (scaling.Reading, error) {
	if trigger.Type == scaling.TypeCloudWatch {
		return m.askCloudWatch(ctx, t, trigger)
	}
	return m.askQueue(ctx, t, trigger)
}

func (m *meter) askQueue(ctx context.Context, t *target, trigger *scaling.Trigger) (scaling.Reading, error) {
	queue, forget := trigger.SQS, func() {}
	if from := queue.QueueURLFrom; from.Name != "" {
		var text string
		var err error
		if text, forget, err = m.identities.text(ctx, t, t.Namespace, from); err != nil {
			return scaling.Reading{}, fmt.Errorf("read depth of the queue in queueURLFromEnv: %w", err)
		}
		if queue, err = queue.At(text); err != nil {
			forget()
			return scaling.Reading{}, fmt.Errorf("read depth of the queue in queueURLFromEnv: env %s of %s %s/%s: %w", from.Name, t.Target.Kind, t.Namespace, t.Target.Name, err)
		}
	}
	wrap := func(err error) error { return fmt.Errorf("read depth of queue %q: %w", queue.QueueName, err) }

	as, err := m.identities.of(ctx, t, trigger.Authentication, queue.Region)
	if err != nil {
		return scaling.Reading{}, wrap(err)
	}
	reading, err := m.queues.depth(ctx, trigger, queue, as.Credentials)
	if err != nil {
		as.forget(err)
		forget()
		return scaling.Reading{}, wrap(adviseQueue(kube.Redact(err, as.Credentials), err, t, trigger, queue))
	}
	return reading, nil
}

func (m *meter) askCloudWatch(ctx context.Context, t *target, trigger *scaling.Trigger) (scaling.Reading, error) {
	wrap := func(err error) error { return fmt.Errorf("read CloudWatch %s: %w", nameOf(&trigger.CloudWatch), err) }

	as, err := m.identities.of(ctx, t, trigger.Authentication, trigger.CloudWatch.Region)
	if err != nil {
		return scaling.Reading{}, wrap(err)
	}
	value, err := m.cloudWatch.value(ctx, trigger, as.Credentials, m.now())
	if err != nil {
		as.forget(err)
		return scaling.Reading{}, wrap(err)
	}
	return trigger.Reading(value), nil
}

// adviseQueue says which right is missing where no synth could know the queue, and how the function's role gets it.
func adviseQueue(shown, err error, t *target, trigger *scaling.Trigger, queue scaling.SQSTrigger) error {
	var said *apiError
	if !errors.As(err, &said) || !strings.HasPrefix(said.code, "AccessDenied") || trigger.Authentication != (scaling.Authentication{}) ||
		t.member == nil && trigger.SQS.QueueURLFrom.Name == "" {
		return shown
	}
	account := queue.AccountID
	if account == "" {
		account = "*"
	}
	return fmt.Errorf(`%w; the function's role lacks {"Effect":"Allow","Action":"sqs:GetQueueAttributes","Resource":"arn:aws:sqs:%s:%s:%s"}: add the queue, or a pattern of its name, to the context key readableQueues and deploy`,
		shown, queue.Region, account, queue.QueueName)
}
