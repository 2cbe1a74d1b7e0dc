package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sync/errgroup"
)

func (s *Stack) awsEndpoint() string { return fmt.Sprintf("https://127.0.0.1:%d", s.ports.ministack) }

// startMiniStack starts AWS, and makes there what an account with a cluster has.
func (s *Stack) startMiniStack(ctx context.Context) error {
	done := s.progress.timed("MiniStack is ready")
	if err := s.launch("ministack", s.miniStackEnvironment(), s.python("ministack"), "-I", "-B", s.source("ministack", "launcher.py")); err != nil {
		return err
	}
	if err := s.await(ctx, "ministack", s.awsEndpoint()+"/_ministack/health"); err != nil {
		return err
	}
	done()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.createCluster(ctx) })
	group.Go(func() error { return s.bootstrap(ctx) })
	return group.Wait()
}

// miniStackEnvironment is all that MiniStack has, since its Lambda functions
// inherit it: nothing of the person's own environment is among it.
func (s *Stack) miniStackEnvironment() []string {
	return []string{
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"HOME=" + s.folder,
		"LANG=C.UTF-8",
		"PYTHONUNBUFFERED=1",
		"TMPDIR=" + filepath.Join(s.folder, "tmp"),

		"BIND_HOST=127.0.0.1",
		"MINISTACK_HOST=127.0.0.1",
		"GATEWAY_PORT=" + strconv.Itoa(s.ports.ministack),
		"MINISTACK_ACCOUNT_ID=" + Account,
		"MINISTACK_REGION=" + Region,
		"AUTH=true",
		"IOT_MTLS_ENABLED=0",
		"USE_SSL=1",
		"MINISTACK_SSL_CERT=" + s.pki("aws.crt"),
		"MINISTACK_SSL_KEY=" + s.pki("aws.key"),
		"STATE_DIR=" + filepath.Join(s.folder, "ministack"),
		"S3_DATA_DIR=" + filepath.Join(s.folder, "ministack", "s3"),

		"EKS_ENDPOINT=" + s.kubernetesEndpoint(),
		"EKS_CA_FILE=" + s.pki("kubernetes-ca.crt"),
		"EKS_AUTH_TOKEN=" + s.secret,

		// For the functions, which find AWS by it.
		"AWS_ENDPOINT_URL=" + s.awsEndpoint(),
		"AWS_CA_BUNDLE=" + s.pki("aws-ca.crt"),
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// createCluster makes the EKS cluster and its role. Of the networks that it is
// asked for, nothing exists.
func (s *Stack) createCluster(ctx context.Context) error {
	done := s.progress.timed("EKS cluster " + Cluster + " exists")
	trust, err := json.Marshal(map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]string{"Service": "eks.amazonaws.com"},
		}},
	})
	if err != nil {
		return err
	}
	const role = "leda-local-cluster"
	if err := s.command(ctx, "aws", "iam", "create-role", "--role-name", role, "--assume-role-policy-document", string(trust)); err != nil {
		return err
	}
	if err := s.command(ctx, "aws", "eks", "create-cluster", "--name", Cluster,
		"--role-arn", "arn:aws:iam::"+Account+":role/"+role,
		"--resources-vpc-config", "subnetIds=subnet-1,subnet-2",
		"--access-config", "authenticationMode=API"); err != nil {
		return err
	}
	done()
	return nil
}

// bootstrap makes what cdk deploy expects in an account.
func (s *Stack) bootstrap(ctx context.Context) error {
	done := s.progress.timed("cdk bootstrap")
	if err := s.command(ctx, "cdk", "bootstrap", "aws://"+Account+"/"+Region, "--app", ""); err != nil {
		return err
	}
	done()
	return nil
}

// command runs one of the programs in Env's PATH to its end.
func (s *Stack) command(ctx context.Context, name string, args ...string) error {
	file := filepath.Join(s.folder, "bin", name)
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.Dir = s.folder
	cmd.Env = append(s.Environ(), mark(s.folder))
	_, err := s.spawner.run(ctx, cmd)
	return err
}

// architecture is the host's in CDK's words: the function runs on it.
func architecture() string {
	if runtime.GOARCH == "amd64" {
		return "x86_64"
	}
	return runtime.GOARCH
}
