// Command app is this repository's CDK app: `cdk deploy` runs it, as cdk.json says.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/leda-autoscaler/leda/infra"
)

func main() {
	os.Exit(run(context.Background(), os.Getenv, os.Stderr))
}

func run(ctx context.Context, getenv func(string) string, stderr io.Writer) int {
	defer closeCDK()
	if err := synth(ctx, awscdk.NewApp(nil), getenv); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func synth(ctx context.Context, app awscdk.App, getenv func(string) string) error {
	all, ok := app.Node().GetAllContext(nil).(map[string]any)
	if !ok {
		return fmt.Errorf("read the context: CDK gave %T", app.Node().GetAllContext(nil))
	}
	settings, err := infra.ReadContext(all)
	if err != nil {
		return err
	}
	var env awscdk.Environment // from the credentials in use, when the CDK CLI has found any
	if account := getenv("CDK_DEFAULT_ACCOUNT"); account != "" {
		env.Account = &account
	}
	if region := getenv("CDK_DEFAULT_REGION"); region != "" {
		env.Region = &region
	}
	if _, err := infra.NewStack(ctx, app, cmp.Or(settings.Name, "Leda"), env, infra.Props{Settings: settings}); err != nil {
		return err
	}
	app.Synth(nil)
	return nil
}

// closeCDK ends the node process behind CDK and removes its files. Two goroutines of jsii wait for that process, and the
// one that is late reports a missing child on os.Stderr; everything that matters has been said by now.
func closeCDK() {
	if nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stderr = nowhere
	}
	jsii.Close()
}
