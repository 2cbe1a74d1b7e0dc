package infra

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/leda-autoscaler/leda/scaling"
)

// IAM's limits, without white space.
const (
	inlineCharacters  = 10240 // of all inline policies of a role
	managedCharacters = 6144  // of one managed policy
	managedPolicies   = 10    // of a role, unless AWS was asked for more

	inlineQueues       = 100  // beyond these the function's role is easier to read with the queues in policies of their own
	fixedCharacters    = 2200 // that the other statements take at most
	ownQueueCharacters = 130  // that the ARN of a queue of this stack takes at most
)

// rights are what the function's own role may do beyond its own log and queue.
type rights struct {
	queues   []string   // ARNs and patterns: read
	apart    [][]string // the same queues, divided among managed policies; nil when the inline policy has room for them
	clusters []string   // ARNs: described
	roles    []string   // ARNs: assumed
	metrics  bool       // read; CloudWatch knows no resource for that
}

// rightsFor lists what the triggers and the clusters need of the function's own role. What is read with another role,
// or with a key, needs nothing of it. Problems name the setting that mends them.
func rightsFor(settings Settings, here place, clusters []cluster, objects []scaling.ScaledObject, queues []queue, doorbells int) (rights, []problem) {
	var problems []problem
	var r rights
	patterns := readablePatterns(settings.ReadableQueues, here)
	r.queues = slices.Clone(patterns)
	for _, q := range queues {
		arn := q.arn()
		fits := func(pattern string) bool { ok, err := path.Match(pattern, arn); return ok && err == nil }
		if ownRole(q.Authentication) && !slices.ContainsFunc(patterns, fits) {
			r.queues = append(r.queues, arn)
		}
	}
	for _, c := range clusters {
		if c.described() && c.RoleARN == "" {
			r.clusters = append(r.clusters, c.arn())
		}
		r.roles = append(r.roles, c.RoleARN)
	}
	for _, object := range objects {
		for i, t := range object.Triggers {
			problem := func(key, format string, args ...any) {
				problems = append(problems, problem{key, fmt.Sprintf("ScaledObject %s/%s: spec.triggers[%d]: ", object.Namespace, object.Name, i) + fmt.Sprintf(format, args...)})
			}
			own := ownRole(t.Authentication)
			if t.Type == scaling.TypeSQS && t.SQS.QueueName == "" && own && len(patterns) == 0 {
				problem("readableQueues", "its queue is known at run time only; name it here, or a pattern that it fits, so that the function may read it")
			}
			if t.Authentication.Role.ARNFrom.Name != "" && len(settings.AssumableRoles) == 0 {
				problem("assumableRoles", "its role is known at run time only; name it here, so that the function may assume it")
			}
			r.roles = append(r.roles, t.Authentication.Role.ARN)
			r.metrics = r.metrics || t.Type == scaling.TypeCloudWatch && own
		}
	}
	r.metrics = r.metrics || settings.ReadableMetrics
	r.roles = append(r.roles, settings.AssumableRoles...)
	r.queues, r.clusters, r.roles = eachOnce(r.queues), eachOnce(r.clusters), eachOnce(r.roles)
	return r, append(problems, r.divide(doorbells)...)
}

// ownRole says whether something is read with the function's own role.
func ownRole(a scaling.Authentication) bool {
	return a.Keys == nil && a.Role.ARN == "" && a.Role.ARNFrom.Name == ""
}

func eachOnce(texts []string) []string {
	slices.Sort(texts)
	return slices.DeleteFunc(slices.Compact(texts), func(text string) bool { return text == "" })
}

// readablePatterns makes ARNs of what is named without its place.
func readablePatterns(queues []string, here place) []string {
	var arns []string
	for _, queue := range queues {
		if !strings.HasPrefix(queue, "arn:") {
			queue = here.arn("sqs", queue)
		}
		arns = append(arns, queue)
	}
	return arns
}

func patternNotes(queues []string) []string {
	var notes []string
	for _, queue := range queues {
		if strings.ContainsAny(queue, "*?") {
			notes = append(notes, fmt.Sprintf("readableQueues %s: the function may read every queue that fits, whoever made it", queue))
		}
	}
	return notes
}

// divide puts the queues into managed policies when the inline one has no room for them.
func (r *rights) divide(doorbells int) []problem {
	others := fixedCharacters + characters(r.clusters) + characters(r.roles) + doorbells*ownQueueCharacters
	if others > inlineCharacters {
		return []problem{{"clusters", fmt.Sprintf(
			"the ARNs of %d clusters, %d roles and %d doorbells leave no room in the policy of the function's role, which holds %d characters; divide them among several stacks",
			len(r.clusters), len(r.roles), doorbells, inlineCharacters)}}
	}
	if len(r.queues) <= inlineQueues && others+characters(r.queues) <= inlineCharacters {
		return nil
	}
	const statement = 200 // characters beside the ARNs
	var part []string
	for _, arn := range r.queues {
		if statement+characters(part)+characters([]string{arn}) > managedCharacters {
			r.apart, part = append(r.apart, part), nil
		}
		part = append(part, arn)
	}
	r.apart = append(r.apart, part)
	if len(r.apart) > managedPolicies {
		return []problem{{"readableQueues", fmt.Sprintf(
			"is required: the ARNs of %d queues fill %d managed policies, and a role has at most %d; name the queues by patterns here, or divide the ScaledObjects among several stacks",
			len(r.queues), len(r.apart), managedPolicies)}}
	}
	return nil
}

// characters is how long ARNs are in a policy.
func characters(arns []string) int {
	n := 0
	for _, arn := range arns {
		n += len(arn) + len(`"",`)
	}
	return n
}

// newRole makes the function's role. All that it may do is here.
func newRole(scope constructs.Construct, here place, function string, r rights, inVPC bool, logs awslogs.CfnLogGroup, failed awssqs.Queue, doorbells []awssqs.Queue) awsiam.IRole {
	statements := []awsiam.PolicyStatement{
		allow("OwnLog", []string{here.arn("logs", "log-group:"+*logs.LogGroupName()+":*")}, "logs:CreateLogStream", "logs:PutLogEvents"),
		allow("FailedEvents", []string{*failed.QueueArn()}, "sqs:SendMessage"),
	}
	add := func(sid string, resources []string, actions ...string) {
		if len(resources) > 0 {
			statements = append(statements, allow(sid, resources, actions...))
		}
	}
	add("Clusters", r.clusters, "eks:DescribeCluster")
	add("Roles", r.roles, "sts:AssumeRole")
	if r.metrics {
		add("Metrics", []string{"*"}, "cloudwatch:GetMetricData")
	}
	arns := make([]string, len(doorbells))
	for i, queue := range doorbells {
		arns[i] = *queue.QueueArn()
	}
	add("Doorbells", arns, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
	if inVPC {
		add("Network", []string{"*"}, networkActions()...)
		statements = append(statements, awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			// Lambda itself attaches the function to its subnets with the role; the program must not.
			Sid: jsii.String("NetworkNotByCode"), Effect: awsiam.Effect_DENY,
			Actions: jsii.Strings(networkActions()...), Resources: jsii.Strings("*"),
			Conditions: &map[string]any{"ArnEquals": map[string]string{"lambda:SourceFunctionArn": here.arn("lambda", "function:"+function)}},
		}))
	}
	var apart []awsiam.IManagedPolicy
	if r.apart == nil {
		add("Queues", r.queues, readQueue)
	}
	for i, arns := range r.apart {
		apart = append(apart, awsiam.NewManagedPolicy(scope, jsii.String(fmt.Sprintf("Queues%d", i+1)), &awsiam.ManagedPolicyProps{
			Description: jsii.String("Queues that Leda's function reads"),
			Statements:  &[]awsiam.PolicyStatement{allow("Queues", arns, readQueue)},
		}))
	}
	role := awsiam.NewRole(scope, jsii.String("Role"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		Description: jsii.String("What Leda's function may do in AWS"),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			"leda": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &statements}),
		},
		ManagedPolicies: &apart,
	})
	return role.WithoutPolicyUpdates(nil)
}

const readQueue = "sqs:GetQueueAttributes"

// networkActions are those of AWS's own policy AWSLambdaVPCAccessExecutionRole (version 3).
func networkActions() []string {
	return []string{
		"ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
		"ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
	}
}

func allow(sid string, resources []string, actions ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: jsii.String(sid), Actions: jsii.Strings(actions...), Resources: jsii.Strings(resources...),
	})
}
