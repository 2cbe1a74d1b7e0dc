// Package cloudwatch does on the local stack what CloudWatch does by itself on AWS: it publishes the depth of each SQS
// queue as metrics, and it evaluates the alarms. It speaks the public AWS API only, so that whoever answers that API
// sees nothing but PutMetricData and SetAlarmState; running an alarm's actions is left to them.
package cloudwatch

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Run publishes and evaluates at AWS's pace until ctx ends.
func Run(ctx context.Context, cfg aws.Config, log *slog.Logger) error {
	return Pace{}.Run(ctx, cfg, log)
}

// Pace says how often each of the two things is done.
type Pace struct {
	Publish  time.Duration // queue metrics; when zero, each minute as SQS does
	Evaluate time.Duration // alarms; when zero, each 10 s, so that a period that has ended is judged soon
}

// Run publishes and evaluates until ctx ends, which is not an error. A round that fails is logged and the next one
// is another try.
func (p Pace) Run(ctx context.Context, cfg aws.Config, log *slog.Logger) error {
	if cfg.Region == "" {
		return errors.New("imitate CloudWatch: the AWS config has no region; set AWS_REGION")
	}
	metrics := cloudwatch.NewFromConfig(cfg)
	queues := pump{queues: sqs.NewFromConfig(cfg), metrics: metrics}
	alarms := evaluator{metrics: metrics, log: log}

	var loops sync.WaitGroup
	loops.Go(func() {
		each(ctx, cmp.Or(p.Publish, time.Minute), func(now time.Time) {
			logFailure(ctx, log, "publish queue metrics", queues.publish(ctx, now))
		})
	})
	loops.Go(func() {
		each(ctx, cmp.Or(p.Evaluate, 10*time.Second), func(now time.Time) {
			logFailure(ctx, log, "evaluate alarms", alarms.evaluate(ctx, now))
		})
	})
	loops.Wait()
	return nil
}

// each calls do now and then once an interval until ctx ends.
func each(ctx context.Context, interval time.Duration, do func(now time.Time)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	do(time.Now())
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			do(now)
		}
	}
}

// logFailure keeps quiet about a call that was cut short because ctx ended.
func logFailure(ctx context.Context, log *slog.Logger, what string, err error) {
	if err != nil && ctx.Err() == nil {
		log.WarnContext(ctx, "failed", "what", what, "error", err)
	}
}
