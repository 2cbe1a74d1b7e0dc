package infra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/leda-autoscaler/leda/scaling"
)

// functionPackage is named by its import path, so that an app in another module builds the same function.
const functionPackage = "github.com/leda-autoscaler/leda/lambda"

// functionTimeout is above the 58 s after which the function has returned by itself.
const functionTimeout = 75

// build makes the function's code in dir: the program and the fleet it looks after. The program's bytes depend on its
// source and the Go version only, so that a deployment without a change uploads nothing.
func build(ctx context.Context, dir, architecture string, fleet scaling.Fleet) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder for the function's code: %w", err)
	}
	program, err := filepath.Abs(filepath.Join(dir, "bootstrap"))
	if err != nil {
		return fmt.Errorf("find the folder for the function's code: %w", err)
	}
	compile := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-tags=lambda.norpc",
		"-o", program, functionPackage)
	goarch := map[string]string{"arm64": "arm64", "x86_64": "amd64"}[architecture]
	compile.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+goarch, "CGO_ENABLED=0")
	if output, err := compile.CombinedOutput(); err != nil {
		return fmt.Errorf("build the function (%s for linux/%s): %w\n%s", functionPackage, goarch, err, output)
	}
	document, err := json.Marshal(fleet)
	if err != nil {
		return fmt.Errorf("write leda.json: %w", err)
	}
	config := filepath.Join(dir, "leda.json")
	if err := os.WriteFile(config, document, 0o644); err != nil {
		return fmt.Errorf("write leda.json: %w", err)
	}
	// The zip keeps the modes, and Lambda reads it as another user: a strict umask must not shut that one out.
	return errors.Join(os.Chmod(program, 0o755), os.Chmod(config, 0o644))
}

// newLogGroup makes the one log group that Lambda writes to for a function of this name.
func newLogGroup(scope constructs.Construct, function string, days int) awslogs.CfnLogGroup {
	return awslogs.NewCfnLogGroup(scope, jsii.String("Log"), &awslogs.CfnLogGroupProps{
		LogGroupName:    jsii.String("/aws/lambda/" + function),
		RetentionInDays: jsii.Number(days),
	})
}

func newFunction(scope constructs.Construct, name string, props Props, memory int, role awsiam.IRole, logs awslogs.CfnLogGroup) awslambda.Function {
	architecture := map[string]awslambda.Architecture{
		"arm64": awslambda.Architecture_ARM_64(), "x86_64": awslambda.Architecture_X86_64(),
	}[props.Architecture]
	options := awslambda.FunctionProps{
		FunctionName: jsii.String(name),
		Description:  jsii.String("Leda: scales Kubernetes workloads from the depth of SQS queues"),
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(),
		Architecture: architecture,
		Handler:      jsii.String("bootstrap"),
		Code:         props.Code,
		Role:         role,
		MemorySize:   jsii.Number(memory),
		Timeout:      awscdk.Duration_Seconds(jsii.Number(functionTimeout)),
	}
	if len(props.Environment) > 0 {
		options.Environment = &map[string]*string{}
		for name, value := range props.Environment {
			(*options.Environment)[name] = jsii.String(value)
		}
	}
	if props.ReservedConcurrency != 0 {
		options.ReservedConcurrentExecutions = jsii.Number(props.ReservedConcurrency)
	}
	function := awslambda.NewFunction(scope, jsii.String("Function"), &options)
	if len(props.Subnets) > 0 { // by ids, for which CDK would look the VPC up; and the role has its rights already
		function.Node().DefaultChild().(awslambda.CfnFunction).SetVpcConfig(&awslambda.CfnFunction_VpcConfigProperty{
			SubnetIds: jsii.Strings(props.Subnets...), SecurityGroupIds: jsii.Strings(props.SecurityGroups...),
		})
	}
	function.Node().AddDependency(logs) // the function may write to its log group but not make it
	return function
}
