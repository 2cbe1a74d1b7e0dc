// Package story is the walk-through: a queue fills and drains, and a Deployment follows, on a local stack.
// People watch it (make demo), and a test plays it.
package story

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// patience bounds each wait of the story. The longest one is for the schedule's first tick, a minute
// after the deployment.
const patience = 3 * time.Minute

// Deploy deploys the repository's CDK app with the demo's ScaledObjects, gives it its rights in the
// cluster, and makes the Deployments that it scales.
func Deploy(ctx context.Context, root string, environ []string, out io.Writer) error {
	s := shell{root, environ, out}
	s.say("\n## An access key for queue invoices, kept in a Kubernetes Secret")
	for _, command := range []string{
		"aws iam create-user --user-name invoices-reader --query User.Arn --output text",
		"aws iam put-user-policy --user-name invoices-reader --policy-name read --policy-document file://integration/demo/reader.json",
		`aws iam create-access-key --user-name invoices-reader --query 'AccessKey.[AccessKeyId,SecretAccessKey]' --output text |
    awk '{ print "AWS_ACCESS_KEY_ID=" $1; print "AWS_SECRET_ACCESS_KEY=" $2 }' |
    kubectl create secret generic invoices-reader --from-env-file=/dev/stdin`,
	} {
		if err := s.run(ctx, command); err != nil {
			return err
		}
	}
	s.say("\n## Queues, function, rights, alarms and schedule; the function's rights in the cluster; two Deployments")
	if err := s.follow(ctx, "cdk deploy --progress events -c scaledObjects=integration/demo/scaledobjects -c queues=orders,invoices"); err != nil {
		return err
	}
	for _, command := range []string{
		"go run ./cmd/leda rbac integration/demo/scaledobjects | kubectl apply -f -",
		"kubectl apply -f integration/demo/deployments.yaml",
	} {
		if err := s.run(ctx, command); err != nil {
			return err
		}
	}
	return nil
}

// Play plays the story on a stack where Deploy has been. Its error says which expectation was not met.
func Play(ctx context.Context, root string, environ []string, out io.Writer) error {
	s := shell{root, environ, out}
	if err := s.orders(ctx); err != nil {
		return fmt.Errorf("orders: %w", err)
	}
	if err := s.invoices(ctx); err != nil {
		return fmt.Errorf("invoices: %w", err)
	}
	return nil
}

// chapter is one step: messages are sent, and the Deployment is to reach a size.
type chapter struct {
	title    string
	command  string // empty for none
	messages int    // in the queue then
	want     int
}

func (s shell) orders(ctx context.Context) error {
	s.say("\n## Queue orders, 5 messages a replica, 1 to 5 replicas; read with the function's own role")
	s.say("   (the demo's ScaledObject looks every 5 s and scales in after 15 s; the shipped one has KEDA's 30 s and 300 s)")
	return s.play(ctx, "orders", []chapter{
		{"Nothing sent yet: the function's first look comes with its first tick, up to a minute after the deployment", "", 0, 1},
		{"3 messages: 3 / 5 = 0.6, so 1 replica is enough", send(3), 3, 1},
		{"3 more, 6 in all: 6 / 5 = 1.2, so 2", send(3), 6, 2},
		{"5 more, 11 in all: 11 / 5 = 2.2, so 3", send(5), 11, 3},
		{"Drained: back to 1 when the stabilization window has passed", `aws sqs purge-queue --queue-url "$queue"`, 0, 1},
	})
}

func (s shell) invoices(ctx context.Context) error {
	s.say("\n## Queue invoices, 0 to 10 replicas; read with an access key from a Kubernetes Secret")
	return s.play(ctx, "invoices", []chapter{
		{"12 messages, one after the other: 12 / 5 = 2.4, so 3 in the end", send(12), 12, 3},
		{"Drained: to 0 when cooldownPeriod (15 s here) has passed since the last active look", `aws sqs purge-queue --queue-url "$queue"`, 0, 0},
	})
}

func send(n int) string {
	return fmt.Sprintf(`for n in $(seq %d); do aws sqs send-message --queue-url "$queue" --message-body "message $n" >/dev/null; done`, n)
}

// play runs chapters one after the other, each as soon as the one before has come true.
func (s shell) play(ctx context.Context, deployment string, chapters []chapter) error {
	url := "aws sqs get-queue-url --queue-name " + deployment + " --query QueueUrl --output text"
	s.say("$ queue=$(%s)", url)
	queue, err := s.quietly(ctx, url)
	if err != nil {
		return err
	}
	s.environ = append(slices.Clip(s.environ), "queue="+strings.TrimSpace(queue))
	w, err := s.watch(ctx, deployment)
	if err != nil {
		return err
	}
	for i, c := range chapters {
		s.say("\n%d. %s", i, c.title)
		if err := s.playOne(ctx, w, c); err != nil {
			return fmt.Errorf("%d. %s: %w", i, c.title, err)
		}
	}
	return w.end()
}

func (s shell) playOne(ctx context.Context, w *sizes, c chapter) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("waited %s", patience))
	defer cancel()
	since := time.Now()
	if c.command != "" {
		if err := s.run(ctx, c.command); err != nil {
			return err
		}
	}
	began := time.Now()
	before := w.now
	if err := w.until(ctx, s, began, c.want); err != nil {
		return err
	}
	decision, err := s.decision(ctx, since, func(l line) bool {
		return l.Target == "demo/default/"+w.name && l.saw(c.messages) && l.To == c.want && l.Error == ""
	})
	if err != nil {
		return err
	}
	if before.replicas == c.want {
		s.say("  %5.1f s  replicas %d, as before", time.Since(began).Seconds(), c.want)
	}
	s.say("  $ %s", logCommand(since))
	s.say("  %s", decision.text)
	return nil
}
