package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/leda-autoscaler/leda/scaling"
)

func (d *diagnosis) aws(ctx context.Context) {
	if err := d.connect(ctx); err != nil {
		d.unknown("aws configure", "%v", err)
		return
	}
	d.wait("asking AWS who you are")
	me, err := sts.NewFromConfig(d.config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		d.unknown("aws sts get-caller-identity", "AWS does not know you: %v", err)
		return
	}
	d.fine("AWS account %s in %s, as %s", aws.ToString(me.Account), d.region, aws.ToString(me.Arn))
	d.queues(ctx)
	if d.functionThere(ctx) {
		d.heartbeat(ctx)
		d.decisions(ctx)
		for _, cluster := range slices.Sorted(maps.Keys(d.clusters)) {
			d.admitted(ctx, cluster)
		}
	}
}

func (d *diagnosis) functionThere(ctx context.Context) bool {
	f, err := lambda.NewFromConfig(d.config).GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &d.function})
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		d.wrong("cdk deploy", "there is no function %s in %s", d.function, d.region)
		return false
	case err != nil:
		d.unknown("", "function %s could not be looked at: %v", d.function, err)
		return true // it may be there all the same
	}
	d.role = aws.ToString(f.Role)
	if f.State != "" && f.State != types.StateActive {
		d.wrong("aws lambda get-function-configuration --function-name "+d.function, "function %s is %s: %s", d.function, f.State, aws.ToString(f.StateReason))
		return true
	}
	d.fine("function %s is there, last deployed %s", d.function, aws.ToString(f.LastModified))
	return true
}

// silence is for how long a heart that beats each minute may not have been heard: an invocation's last line
// comes up to a minute after its start.
const silence = 3 * time.Minute

// heartbeat looks for the line that each invocation ends with.
func (d *diagnosis) heartbeat(ctx context.Context) {
	const lookBack = time.Hour
	d.wait("reading log group " + d.logGroup())
	var last time.Time
	err := d.lines(ctx, d.now().Add(-lookBack), `{ $.msg = "done" }`, func(l logged) {
		if l.Msg == "done" && l.Time.After(last) {
			last = l.Time
		}
	})
	mend := "aws logs tail " + d.logGroup() + " --since 10m"
	switch age := d.now().Sub(last); {
	case err != nil:
		d.unknown(mend, "whether its heart beats is not known: %v", err)
	case last.IsZero():
		d.wrong(mend, "no invocation of the last hour has ended: is its schedule there and enabled (aws scheduler list-schedules)? what does its log say?")
	case age > silence:
		d.wrong(mend, "the last invocation ended %s ago, and there should be one each minute: is its schedule enabled (aws scheduler list-schedules)?", ago(age))
	default:
		d.fine("its heart beats: the last invocation ended %s ago", ago(age))
	}
}

// decisions has the function itself look at everything that it needs.
func (d *diagnosis) decisions(ctx context.Context) {
	d.wait("asking function " + d.function + " for its decisions")
	r, err := d.dryRun(ctx)
	if err != nil {
		d.unknown("", "it could not be asked for its decisions: %v", err)
		return
	}
	d.clusters = map[string][]string{}
	short := shortNames(r.Decisions)
	fine := 0
	for _, decision := range r.Decisions {
		cluster, name, _ := strings.Cut(decision.Target, "/")
		d.clusters[cluster] = append(d.clusters[cluster], name)
		ok := true
		for _, reading := range decision.Readings {
			if reading.Error != "" {
				ok = false
				d.wrong("leda explain -function "+d.function+" "+short(decision.Target), "the function cannot read %s of %s: %s", reading.Trigger, short(decision.Target), reading.Error)
			}
		}
		for _, problem := range []string{decision.Error, decision.Memory} {
			if problem != "" {
				ok = false
				d.wrong(d.mendFor(problem), "the function on %s: %s", short(decision.Target), problem)
			}
		}
		if ok {
			fine++
		}
	}
	if fine > 0 {
		d.fine("the function reads queues, workload and memory of %d of its %d targets", fine, len(r.Decisions))
	}
	for _, o := range d.objects {
		if !d.known(o) {
			d.wrong("cdk deploy", "ScaledObject %s/%s of %s is not one of the function's targets", o.Namespace, o.Name, d.files)
		}
	}
	for _, decision := range r.Decisions {
		if !slices.ContainsFunc(d.objects, func(o scaling.ScaledObject) bool {
			return strings.HasSuffix(decision.Target, "/"+o.Namespace+"/"+o.Name)
		}) {
			d.unknown("leda doctor FILE…", "target %s of the function is in none of %s, so nothing else of it is looked at", short(decision.Target), d.files)
		}
	}
}

func (d *diagnosis) known(o scaling.ScaledObject) bool {
	for cluster, names := range d.clusters {
		if (o.Cluster == "" || o.Cluster == cluster) && slices.Contains(names, o.Namespace+"/"+o.Name) {
			return true
		}
	}
	return false
}

// mendFor is the command that a problem of the function's asks for in words.
func (d *diagnosis) mendFor(problem string) string {
	if strings.Contains(problem, "leda rbac") {
		return d.applyRights()
	}
	return "aws logs tail " + d.logGroup() + " --since 10m"
}

func (d *diagnosis) applyRights() string {
	return "leda rbac " + d.files + " | kubectl apply -f -"
}

// admitted looks for the access entry that lets the function's role into the cluster.
func (d *diagnosis) admitted(ctx context.Context, cluster string) {
	d.wait("looking at cluster " + cluster)
	client := eks.NewFromConfig(d.config)
	described, err := client.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &cluster})
	var missing *ekstypes.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		d.unknown("", "there is no cluster %s in %s of this account, so its access entry is not looked at", cluster, d.region)
		return
	case err != nil:
		d.unknown("", "cluster %s could not be looked at: %v", cluster, err)
		return
	}
	d.endpoint[cluster] = aws.ToString(described.Cluster.Endpoint)
	if access := described.Cluster.AccessConfig; access != nil && access.AuthenticationMode == ekstypes.AuthenticationModeConfigMap {
		d.wrong("aws eks update-cluster-config --name "+cluster+" --access-config authenticationMode=API_AND_CONFIG_MAP",
			"cluster %s knows no access entries: its authentication mode is CONFIG_MAP", cluster)
		return
	}
	if d.role == "" {
		d.unknown("", "the function's role is not known, so the access entry of cluster %s is not looked at", cluster)
		return
	}
	command := " --cluster-name " + cluster + " --principal-arn " + d.role + " --kubernetes-groups " + d.group
	entry, err := client.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: &cluster, PrincipalArn: &d.role})
	switch {
	case errors.As(err, &missing):
		d.wrong("aws eks create-access-entry"+command, "cluster %s has no access entry for the function's role %s", cluster, d.role)
	case err != nil:
		d.unknown("", "the access entry of cluster %s could not be looked at: %v", cluster, err)
	case !slices.Contains(entry.AccessEntry.KubernetesGroups, d.group):
		d.wrong("aws eks update-access-entry"+command, "the access entry of cluster %s maps the function's role to the groups %q, not to %s", cluster, entry.AccessEntry.KubernetesGroups, d.group)
	default:
		d.fine("cluster %s admits the function's role as group %s", cluster, d.group)
	}
}

// queues looks whether each queue is there and can be read, as far as the caller may.
func (d *diagnosis) queues(ctx context.Context) {
	seen := map[string]bool{}
	for i := range d.objects {
		for _, t := range d.objects[i].Triggers {
			if t.Type != scaling.TypeSQS || t.SQS.QueueURL == "" || seen[t.SQS.Region+" "+t.SQS.QueueURL] {
				continue
			}
			seen[t.SQS.Region+" "+t.SQS.QueueURL] = true
			d.queue(ctx, t.SQS)
		}
	}
}

func (d *diagnosis) queue(ctx context.Context, q scaling.SQSTrigger) {
	client := sqs.NewFromConfig(d.config, func(o *sqs.Options) {
		o.Region = q.Region
		if q.Endpoint != "" {
			o.BaseEndpoint = &q.Endpoint
		}
	})
	answer, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &q.QueueURL, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameApproximateNumberOfMessages},
	})
	var missing *sqstypes.QueueDoesNotExist
	switch {
	case errors.As(err, &missing):
		d.wrong("aws sqs create-queue --queue-name "+q.QueueName+" --region "+q.Region, "there is no queue %s in %s", q.QueueURL, q.Region)
	case err != nil:
		d.unknown("", "queue %s in %s could not be read by you (the function may all the same): %v", q.QueueName, q.Region, err)
	default:
		d.fine("queue %s in %s can be read: %s messages", q.QueueName, q.Region, answer.Attributes["ApproximateNumberOfMessages"])
	}
}
