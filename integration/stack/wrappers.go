package stack

import (
	"fmt"
	"os"
	"path/filepath"
)

// writeWrappers makes the programs that come first in PATH.
func (s *Stack) writeWrappers() error {
	for name, script := range map[string]string{"aws": s.awsWrapper(), "cdk": s.cdkWrapper()} {
		if err := os.WriteFile(filepath.Join(s.folder, "bin", name), []byte(script), 0o700); err != nil {
			return err
		}
	}
	if kubectl, given := s.given("kubectl"); given {
		return os.Symlink(kubectl, filepath.Join(s.folder, "bin", "kubectl"))
	}
	return nil
}

func (s *Stack) awsWrapper() string {
	return fmt.Sprintf(`#!/bin/sh
# Version 1 of the AWS command line does not read AWS_ENDPOINT_URL.
exec %s -I -m awscli --endpoint-url %s "$@"
`, quote(s.python("awscli")), quote(s.awsEndpoint()))
}

// cdkWrapper runs the pinned CDK on this repository's app. The function is built
// for this machine, nobody is asked, and what CDK and jsii keep stays here.
func (s *Stack) cdkWrapper() string {
	return fmt.Sprintf(`#!/bin/sh
cd %s || exit
export CDK_HOME=%s JSII_RUNTIME_PACKAGE_CACHE_ROOT=%s TMPDIR=%s
export NODE_EXTRA_CA_CERTS=%s
output=%s # the CDK's own variable comes first, for two deployments at once
export CDK_OUTPUT="${CDK_OUTPUT:-$output}"
export NODE_NO_WARNINGS=1 CDK_DISABLE_CLI_TELEMETRY=true CDK_DISABLE_VERSION_CHECK=true
# jsii draws a box around its opinion on the age of Node.js, at each run.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20,21,22,23,24,25
export JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION=true JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION=true
if [ "$1" = deploy ]; then
	shift
	set -- deploy --require-approval never "$@"
fi
exec node %s "$@" --no-notices --context architecture=%s
`, quote(s.root), quote(s.local("cdk")), quote(s.local("jsii")), quote(filepath.Join(s.folder, "tmp")),
		quote(s.pki("aws-ca.crt")), quote(filepath.Join(s.folder, "cdk.out")), quote(s.cdk()), architecture())
}
