package infra_test

import (
	"context"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/leda-autoscaler/leda/infra"
)

// A service's own CDK app adds a Leda to its stack, and gives its producer the right to send to the queue that it made.
func ExampleNew() {
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shop"), &awscdk.StackProps{
		Env: &awscdk.Environment{Account: jsii.String("111111111111"), Region: jsii.String("eu-north-1")},
	})
	leda, err := infra.New(context.Background(), stack, "Leda", infra.Props{Settings: infra.Settings{
		Name:          "shop-leda",
		Cluster:       "prod",
		ScaledObjects: "testdata/scaledobjects",
		Queues:        []infra.Queue{{Name: "orders", VisibilityTimeout: 300}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	producer := awsiam.NewRole(stack, jsii.String("Producer"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("ecs-tasks.amazonaws.com"), nil),
	})
	leda.Queues["orders"].GrantSendMessages(producer)
	app.Synth(nil)
	defer func() { _ = os.RemoveAll(*app.Outdir()) }() // nobody deploys an example

	fmt.Println("queues:", slices.Collect(maps.Keys(leda.Queues)))
	fmt.Println("rights to apply in:", slices.Collect(maps.Keys(leda.RBAC)))
	// Output:
	// queues: [orders]
	// rights to apply in: [prod]
}
