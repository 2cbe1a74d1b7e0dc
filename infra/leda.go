// Package infra makes Leda's part of an AWS account with the AWS CDK: queues, the function, its rights, what wakes it
// and what people see of it.
//
// [NewStack] is the stack that this repository deploys. [New] is its construct, for any CDK app in Go.
package infra

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Props is what a Leda is made from.
type Props struct {
	Settings

	// Code is the function's. Default: built from this module's source, with the ScaledObjects beside it.
	Code awslambda.Code
}

// Leda is the parts of the construct that an app may want to use.
type Leda struct {
	Function awslambda.Function
	Log      awslogs.CfnLogGroup
	Queues   map[string]awssqs.Queue // the work queues made, by name

	// RBAC names, by cluster, the file written at synth of the function's rights in it, for kubectl apply.
	RBAC map[string]string
	// AccessEntries are commands, by cluster, for those that are not in the stack's own account and region.
	AccessEntries map[string]*string
}

// New adds a Leda to a stack of a known account and region. The error has a line for every problem of the settings or,
// when these are in order, of the ScaledObjects; then nothing was added.
func New(ctx context.Context, scope constructs.Construct, id string, props Props) (*Leda, error) {
	stack, outdir := awscdk.Stack_Of(scope), *awscdk.Stage_Of(scope).Outdir()
	if *awscdk.Token_IsUnresolved(stack.Account()) || *awscdk.Token_IsUnresolved(stack.Region()) {
		return nil, errors.New("the account and region to deploy to are not known, and ScaledObjects name their queues within them: " +
			"give the CDK CLI credentials and a region (aws configure, AWS_PROFILE or AWS_REGION), from which it sets " +
			"CDK_DEFAULT_ACCOUNT and CDK_DEFAULT_REGION, or give the stack an Env")
	}
	here := place{*stack.Partition(), *stack.Region(), *stack.Account()}
	if props.Name == "" {
		props.Name = *stack.StackName()
	}
	props.Settings = props.withDefaults()
	plan, err := newPlan(props.Settings, here)
	if err != nil {
		return nil, err
	}

	name := strings.ToLower(props.Name)
	rbac, err := writeRBAC(outdir, name, plan)
	if err != nil {
		return nil, err
	}
	dashboard, err := dashboardBody(here, name, props.Settings, plan.depths)
	if err != nil {
		return nil, err
	}
	if props.Code == nil {
		dir := filepath.Join(outdir, name)
		if err := build(ctx, dir, props.Architecture, plan.fleet); err != nil {
			return nil, err
		}
		props.Code = awslambda.Code_FromAsset(&dir, nil)
	}

	within := constructs.NewConstruct(scope, &id)
	for _, note := range plan.notes {
		awscdk.Annotations_Of(within).AddInfo(jsii.String(note))
	}
	for key, value := range props.Tags {
		awscdk.Tags_Of(within).Add(jsii.String(key), jsii.String(value), nil)
	}
	bound(within, here, props.PermissionsBoundary)

	log := newLogGroup(within, name, props.LogRetentionDays)
	failed := newFailedEvents(within, failedEvents(name))
	bells := newDoorbells(within, name, plan.doorbells)
	role := newRole(within, here, name, plan.rights, len(props.Subnets) > 0, log, failed, bells)
	entries := admit(within, here, plan.clusters, role)
	function := newFunction(within, name, props, plan.memory, role, log)
	retryNothing(within, function, failed)
	newHeartbeat(within, here, props.Shards, function)
	newAlarms(within, here, plan.waking, function)
	ring(within, here, plan.doorbells, bells, function)
	newHealth(within, name, props.Settings, log)
	newQueries(within, props.Name, log)
	if props.Dashboard == nil || *props.Dashboard {
		newDashboard(within, here, props.Name, dashboard)
	}
	return &Leda{Function: function, Log: log, Queues: newQueues(within, props.Queues), RBAC: rbac, AccessEntries: entries}, nil
}

// bound puts a permissions boundary, by name or ARN, on every role made.
func bound(within constructs.Construct, here place, policy string) {
	if policy == "" {
		return
	}
	if !strings.HasPrefix(policy, "arn:") {
		policy = place{here.partition, "", here.account}.arn("iam", "policy/"+policy)
	}
	boundary := awsiam.ManagedPolicy_FromManagedPolicyArn(within, jsii.String("Boundary"), &policy)
	awsiam.PermissionsBoundary_Of(within).Apply(boundary)
}
