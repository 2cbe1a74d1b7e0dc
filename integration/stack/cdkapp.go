package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// cdkApp compiles this repository's CDK app and the function into Go's build cache, where `cdk deploy` finds
// them: the first time takes a minute and more, in which the CDK would say nothing.
func (i installer) cdkApp(ctx context.Context) error {
	stamp, err := fingerprint([]string{filepath.Join(i.root, "go.mod"), filepath.Join(i.root, "go.sum")}, runtime.Version())
	if err != nil {
		return err
	}
	if i.upToDate("cdk-app", stamp) {
		return nil
	}
	done := i.progress.timed("compile the CDK app and the function")
	status := i.progress.status("compile the CDK app and the function")
	defer status.close()
	build := i.goCommand(ctx, i.root, "build", "-o", os.DevNull, "./infra/app")
	build.Env = environment() // as `go run` compiles it
	function := i.goCommand(ctx, i.root, "build", "-trimpath", "-tags=lambda.norpc", "-o", os.DevNull, "./lambda")
	for _, compile := range []*exec.Cmd{build, function} {
		if _, err := i.spawner.run(ctx, compile); err != nil {
			return fmt.Errorf("compile the CDK app and the function: %w", err)
		}
	}
	done()
	return i.stamp("cdk-app", stamp)
}
