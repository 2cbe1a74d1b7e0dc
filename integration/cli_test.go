package integration_test

import (
	"os/exec"
	"path/filepath"
	"strings"
)

// commandLine asks the deployment with the command line, breaks it, and mends it with the commands that leda
// doctor gives.
func commandLine(p person) {
	bin := p.TempDir()
	build := exec.CommandContext(p.Context(), "go", "build", "-o", filepath.Join(bin, "leda"), "./cmd/leda")
	build.Dir = p.root
	if out, err := build.CombinedOutput(); err != nil {
		p.Fatalf("%v\n%s", err, out)
	}
	for i, v := range p.environ {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			p.environ[i] = "PATH=" + bin + ":" + path
		}
	}
	const doctor = "leda doctor integration/demo/scaledobjects"

	explained := p.types("leda explain default/orders")
	p.Log(explained)
	for _, want := range []string{"demo/default/orders: ", "s0: ", " / 5 a replica = "} {
		if !strings.Contains(explained, want) {
			p.Errorf("explain has no %q:\n%s", want, explained)
		}
	}
	if printed, err := p.tries("leda explain default/none"); err == nil || !strings.Contains(printed, `there is no target "default/none"`) {
		p.Errorf("explain of no target: %v: %s", err, printed)
	}
	status := p.types("leda status")
	p.Log(status)
	for _, want := range []string{"default/orders ", "default/invoices ", "→"} {
		if !strings.Contains(status, want) {
			p.Errorf("status has no %q:\n%s", want, status)
		}
	}
	if report := p.types("leda simulate -f scaledobjects -from-cloudwatch orders -since 1h -o html"); !strings.Contains(report, "from CloudWatch") {
		p.Errorf("the report does not say where its series is from")
	}
	printed, err := p.tries(doctor)
	if err != nil {
		p.Fatalf("a deployment in order: %v\n%s", err, printed)
	}
	p.Log(printed)

	for _, row := range []struct{ rule, breaks, finding, mend string }{
		{"another autoscaler", "kubectl autoscale deployment orders --min 1 --max 3 --name rival", "NO HorizontalPodAutoscaler rival scales Deployment orders", "kubectl delete hpa rival"},
		{"no Role", "kubectl delete role leda", "NO group leda may not update deployments/scale orders", "leda rbac integration/demo/scaledobjects | kubectl apply -f -"},
		{"no memory", "kubectl delete configmap leda-memory-0", "NO namespace default has no ConfigMap leda-memory-0", "leda rbac integration/demo/scaledobjects | kubectl apply -f -"},
		{"another group in the access entry", `aws eks update-access-entry --cluster-name demo --kubernetes-groups viewers --principal-arn "$(aws lambda get-function-configuration --function-name leda --query Role --output text)"`, "NO the access entry of cluster demo maps the function's role to the groups", "aws eks update-access-entry"},
	} {
		p.types(row.breaks)
		printed, err := p.tries(doctor)
		if err == nil || !strings.Contains(strings.ReplaceAll(printed, "\n   ", " "), row.finding) {
			p.Errorf("%s: %v\n%s\nwant %q", row.rule, err, printed, row.finding)
		}
		mend := ""
		for _, line := range strings.Split(printed, "\n") {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, row.mend) {
				mend = line
			}
		}
		if mend == "" {
			p.Fatalf("%s: no command %q…\n%s", row.rule, row.mend, printed)
		}
		p.types(mend)
		// The API server remembers for some seconds as whom it knew the function.
		p.eventually(doctor+`; echo "exit $?"`, func(printed string) bool { return strings.HasSuffix(printed, "exit 0") })
	}
}
