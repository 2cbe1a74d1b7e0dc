package infra

import (
	"context"
	"os"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// NewStack makes the stack that this repository deploys: one Leda, and outputs for people.
func NewStack(ctx context.Context, scope constructs.Construct, id string, env awscdk.Environment, props Props) (awscdk.Stack, error) {
	stack := awscdk.NewStack(scope, &id, &awscdk.StackProps{
		Env:         &env,
		Description: jsii.String("Leda: scales workloads of EKS cluster " + props.Cluster + " from the depth of SQS queues"),
	})
	leda, err := New(ctx, stack, "Leda", props)
	if err != nil {
		return nil, err
	}
	output := func(id, description string, value *string) {
		awscdk.NewCfnOutput(stack, jsii.String(id), &awscdk.CfnOutputProps{Description: jsii.String(description), Value: value})
	}
	output("FunctionName", "The function", leda.Function.FunctionName())
	output("LogGroup", "Its log: a line for every decision", leda.Log.LogGroupName())
	if len(props.Queues) > 0 {
		urls := make([]*string, len(props.Queues))
		for i, name := range props.Queues {
			urls[i] = leda.Queues[name].QueueUrl()
		}
		output("QueueURLs", "The work queues made", awscdk.Fn_Join(jsii.String(" "), &urls))
	}
	output("RBAC", "Gives the function its rights in the cluster", jsii.String("kubectl apply -f "+fromHere(leda.RBAC)))
	return stack, nil
}

// fromHere shortens a path below the working folder, so that the template is the same whoever's folder it is.
func fromHere(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	short, err := filepath.Rel(here, path)
	if err != nil || !filepath.IsLocal(short) {
		return path
	}
	return short
}
