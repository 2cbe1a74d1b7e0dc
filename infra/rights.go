package infra

import (
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2/awseks"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/leda-autoscaler/leda/kube"
)

// A role's inline policies hold 10,240 characters together; the other statements take less than 1,200.
const queueARNCharacters = 9000

// readable lists the queues that the function reads with its own role, once each.
// Those that are read with a key from a Secret need no right of the role's.
func readable(queues []queue) ([]string, error) {
	var arns []string
	for _, q := range queues {
		if q.Authentication.Keys == nil {
			arns = append(arns, q.arn())
		}
	}
	slices.Sort(arns)
	arns = slices.Compact(arns)
	characters := 0
	for _, arn := range arns {
		characters += len(arn) + len(`"",`)
	}
	if characters > queueARNCharacters {
		return nil, problem{"scaledObjects", fmt.Sprintf(
			"the ARNs of %d queues take %d characters of the role's policy, where %d have room; divide the ScaledObjects among several stacks",
			len(arns), characters, queueARNCharacters)}
	}
	return arns, nil
}

// newRole makes the function's role by hand, since the managed policy that CDK would take writes to every log group.
// Its copy for the function cannot be added to: this list is all that the function may do in AWS.
func newRole(scope constructs.Construct, here place, readable []string, cluster string, logs awslogs.CfnLogGroup, failed awssqs.IQueue) awsiam.IRole {
	statements := []awsiam.PolicyStatement{
		allow("Cluster", here.arn("eks", "cluster/"+cluster), "eks:DescribeCluster"),
		allow("OwnLog", here.arn("logs", "log-group:"+*logs.LogGroupName()+":*"), "logs:CreateLogStream", "logs:PutLogEvents"),
		allow("FailedEvents", *failed.QueueArn(), "sqs:SendMessage"),
	}
	if len(readable) > 0 {
		statements = append(statements, awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid: jsii.String("Queues"), Actions: jsii.Strings("sqs:GetQueueAttributes"), Resources: jsii.Strings(readable...),
		}))
	}
	role := awsiam.NewRole(scope, jsii.String("Role"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		Description: jsii.String("What Leda's function may do in AWS"),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			"leda": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &statements}),
		},
	})
	return role.WithoutPolicyUpdates(nil)
}

func allow(sid, resource string, actions ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: jsii.String(sid), Actions: jsii.Strings(actions...), Resources: jsii.Strings(resource),
	})
}

// admit lets the role into the cluster, as a member of one group; what the group may do is in the RBAC manifest.
func admit(scope constructs.Construct, cluster string, role awsiam.IRole) {
	awseks.NewCfnAccessEntry(scope, jsii.String("AccessEntry"), &awseks.CfnAccessEntryProps{
		ClusterName:      jsii.String(cluster),
		PrincipalArn:     role.RoleArn(),
		Type:             jsii.String("STANDARD"),
		KubernetesGroups: jsii.Strings(kube.Group),
	})
}
