// Package infra makes Leda's part of an AWS account with the AWS CDK: queues, the function, its rights and what wakes it.
//
// [NewStack] is the stack that this repository deploys. [New] is its construct, for any CDK app in Go:
//
//	leda, err := infra.New(ctx, stack, "Leda", infra.Props{
//		Settings: infra.Settings{Cluster: "prod", ScaledObjects: "deploy/scaledobjects", Queues: []string{"orders"}},
//		Name:     "shop-leda",
//	})
package infra

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/leda-autoscaler/leda/kube"
)

// Props is what a Leda is made from.
type Props struct {
	Settings

	// Name begins the alarms' names and, in lower case, is the function's. Default: the stack's name.
	Name string
	// Code is the function's. Default: built from this module's source, with the ScaledObjects beside it.
	Code awslambda.Code
}

// Leda is the parts of the construct that an app may want to use.
type Leda struct {
	Function awslambda.Function
	Log      awslogs.CfnLogGroup
	Queues   map[string]awssqs.Queue // the work queues made, by name
	RBAC     string                  // the file, written at synth, of the function's rights in the cluster, for kubectl apply
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
	plan, err := newPlan(props, here)
	if err != nil {
		return nil, err
	}

	name := strings.ToLower(props.Name)
	rbac := filepath.Join(outdir, name+"-rbac.yaml")
	if err := writeRBAC(rbac, plan); err != nil {
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
	log := newLogGroup(within, name, props.LogRetentionDays)
	failed := newFailedEvents(within, name+"-failed-events")
	role := newRole(within, here, plan.readable, props.Cluster, log, failed)
	admit(within, props.Cluster, role)
	function := newFunction(within, name, props, role, log)
	retryNothing(within, function, failed)
	newHeartbeat(within, here, function)
	newAlarms(within, here, props.Name, plan.waking, function)
	return &Leda{Function: function, Log: log, Queues: newQueues(within, props.Queues), RBAC: rbac}, nil
}

func writeRBAC(file string, p plan) error {
	manifest, err := kube.RBAC(p.objects, kube.Group, p.fleet.ClusterObjects())
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, manifest, 0o644); err != nil {
		return fmt.Errorf("write the cluster's rights: %w", err)
	}
	return nil
}
