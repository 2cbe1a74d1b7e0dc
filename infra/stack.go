package infra

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// NewStack makes the stack that this repository deploys: one Leda, and outputs for people.
func NewStack(ctx context.Context, scope constructs.Construct, id string, env awscdk.Environment, props Props) (awscdk.Stack, error) {
	stack := awscdk.NewStack(scope, &id, &awscdk.StackProps{
		Env:         &env,
		Description: jsii.String("Leda: scales workloads on EKS from the depth of SQS queues"),
	})
	leda, err := New(ctx, stack, "Leda", props)
	if err != nil {
		return nil, err
	}
	output := func(id, description string, value *string) {
		awscdk.NewCfnOutput(stack, jsii.String(id), &awscdk.CfnOutputProps{Description: jsii.String(description), Value: value})
	}
	output("FunctionName", "The function", leda.Function.FunctionName())
	output("Log", "Shows why each decision was made", awscdk.Fn_Join(jsii.String(" "), &[]*string{
		jsii.String("aws logs tail --follow"), leda.Log.Ref(),
	}))
	if len(props.Queues) > 0 {
		urls := make([]*string, len(props.Queues))
		for i, queue := range props.Queues {
			urls[i] = leda.Queues[queue.Name].QueueUrl()
		}
		output("QueueURLs", "The work queues made", awscdk.Fn_Join(jsii.String(" "), &urls))
	}
	for i, cluster := range slices.Sorted(maps.Keys(leda.RBAC)) {
		id := "RBAC" // of the only one
		if len(leda.RBAC) > 1 {
			id = fmt.Sprintf("RBAC%d", i+1)
		}
		output(id, "Gives the function its rights in cluster "+cluster, jsii.String("kubectl apply -f "+fromHere(leda.RBAC[cluster])))
	}
	for i, cluster := range slices.Sorted(maps.Keys(leda.AccessEntries)) {
		output(fmt.Sprintf("AccessEntry%d", i+1), "Lets the function into cluster "+cluster+"; run it with that account's credentials", leda.AccessEntries[cluster])
	}
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
