// Package integration_test drives Leda as a person does: cdk deploy, kubectl and aws, against the local stack.
package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leda-autoscaler/leda/integration/stack"
	"github.com/leda-autoscaler/leda/integration/story"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// person types commands in the environment that `make up` prints.
type person struct {
	*testing.T
	environ []string
	root    string
}

// types runs a command and returns what it prints.
func (p person) types(command string) string {
	p.Helper()
	printed, err := p.tries(command)
	if err != nil {
		p.Fatalf("$ %s\n%v\n%s", command, err, printed)
	}
	return printed
}

func (p person) tries(command string) (string, error) {
	cmd := exec.CommandContext(p.Context(), "sh", "-c", command)
	cmd.Dir, cmd.Env = p.root, p.environ
	printed, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(printed)), err
}

// eventually waits until a command's output satisfies what is wanted.
func (p person) eventually(command string, wanted func(string) bool) string {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), 90*time.Second)
	defer cancel()
	again := time.NewTicker(time.Second) // neither CloudWatch Logs nor Lambda tells anybody
	defer again.Stop()
	for {
		printed := p.types(command)
		if wanted(printed) {
			return printed
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			p.Fatalf("$ %s\nnever printed what was wanted; at last:\n%s", command, printed)
		}
	}
}

const log = "aws logs filter-log-events --log-group-name /aws/lambda/leda --query 'events[].message' --output json"

// logOf prints the log of another function than the story's.
func logOf(function string) string { return strings.ReplaceAll(log, "/leda ", "/"+function+" ") }

// TestOnTheLocalStack starts a stack, and there tests package kube, plays the story that `make demo` tells, and
// tries what else a person would.
func TestOnTheLocalStack(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: nothing was deployed, so no part of Leda was tested end to end, nor package kube on a real API server")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	s, err := stack.Start(t.Context(), root, "test", func(stack.Step) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("kube", func(t *testing.T) { testKube(t, s, root) })
	t.Run("side by side", func(t *testing.T) {
		t.Run("Leda", func(t *testing.T) {
			t.Parallel()
			testLeda(t, s, root)
		})
		t.Run("infrastructure", func(t *testing.T) {
			t.Parallel() // the story waits for most of its time
			testInfrastructure(t, s, root)
		})
		t.Run("function", func(t *testing.T) {
			t.Parallel()
			testFunction(t, s, root)
		})
	})
}

func testLeda(t *testing.T, s *stack.Stack, root string) {
	var told bytes.Buffer
	err := story.Deploy(t.Context(), root, s.Environ(), &told)
	if err == nil {
		err = story.Play(t.Context(), root, s.Environ(), &told)
	}
	if err != nil {
		t.Fatalf("%v\n%s", errors.Join(err, context.Cause(s.Context())), &told)
	}

	at := func(t *testing.T) person { return person{t, s.Environ(), root} }
	t.Run("no look of the story failed", func(t *testing.T) { noLookFailed(at(t)) })
	t.Run("a dry run decides, reports and changes nothing", func(t *testing.T) { dryRun(at(t)) })
	t.Run("an alarm wakes the function for its target", func(t *testing.T) { alarm(at(t)) })
	t.Run("an event that is not understood is an error that names it", func(t *testing.T) { unknownEvent(at(t)) })
	t.Run("memory is kept where applying the rights again does not wipe it", func(t *testing.T) { memory(at(t)) })
	t.Run("the group may do exactly what is needed", func(t *testing.T) { rights(at(t)) })
	t.Run("without its Role Leda changes nothing and says what to do", func(t *testing.T) { noRole(at(t)) })
	t.Run("where memory cannot be stored Leda grows and never shrinks", func(t *testing.T) { memoryNotWritable(at(t)) })
	t.Run("no secret is in the log or in memory", func(t *testing.T) { noSecrets(at(t)) })
	t.Run("the command line finds what is wrong, and how to mend it", func(t *testing.T) { commandLine(at(t)) })
	t.Run("deploying again changes nothing; destroying keeps the queues", func(t *testing.T) { deployAgain(at(t)) })
}

func noLookFailed(p person) {
	for _, line := range strings.Split(p.types(log), "\n") {
		if strings.Contains(line, `\"msg\":\"decision\"`) && !strings.Contains(line, `\"level\":\"INFO\"`) {
			p.Errorf("%s", line)
		}
	}
}

// report is the function's answer to a direct invoke.
type report struct {
	Looks, Changed, Failed int
	Decisions              []struct {
		Target, Reason, Why, Error, Memory string
		From, To                           int
		Changed                            bool
	}
}

func (p person) invoke(payload string) report { p.Helper(); return p.invokes("leda", payload) }

func (p person) invokes(function, payload string) (r report) {
	p.Helper()
	out := filepath.Join(p.TempDir(), "answer.json")
	p.types("aws lambda invoke --function-name " + function + " --payload '" + payload + "' " + out)
	answer := p.types("cat " + out)
	if err := json.Unmarshal([]byte(answer), &r); err != nil {
		p.Fatalf("the answer is no report: %v: %s", err, answer)
	}
	return r
}

func (p person) replicas(deployment string) string {
	p.Helper()
	return p.types("kubectl get deployment " + deployment + " -o jsonpath='{.spec.replicas}'")
}

func dryRun(p person) {
	var r report
	for range 5 { // a look of the tick's may come in between and set it back
		p.types("kubectl scale deployment orders --replicas 4")
		if r = p.invoke(`{"targets":["default/orders"],"dryRun":true}`); len(r.Decisions) == 1 && r.Decisions[0].From == 4 {
			break
		}
	}
	if len(r.Decisions) != 1 || r.Decisions[0].Target != "demo/default/orders" || r.Decisions[0].From != 4 || r.Decisions[0].Why == "" || r.Changed != 0 {
		p.Errorf("got %+v, want a decision upon orders from 4, not made", r)
	}
	p.types("kubectl scale deployment orders --replicas 1")
}

func alarm(p person) {
	since := time.Now()
	for _, state := range []string{"OK", "ALARM"} { // only a change rings, and the story may have left it in ALARM
		p.types("aws cloudwatch set-alarm-state --alarm-name Leda/demo/default/orders/s0 --state-reason test --state-value " + state)
	}
	p.eventually(log+" --start-time "+millis(since), func(printed string) bool { // a tick's has both targets
		return strings.Contains(printed, `\"msg\":\"done\",\"targets\":1,`)
	})
}

func millis(t time.Time) string {
	text, err := json.Marshal(t.UnixMilli())
	if err != nil {
		panic(err) // an int64 is always JSON
	}
	return string(text)
}

func unknownEvent(p person) {
	out := filepath.Join(p.TempDir(), "answer.json")
	if printed := p.types(`aws lambda invoke --function-name leda --payload '{"hello":"world"}' ` + out); !strings.Contains(printed, "FunctionError") {
		p.Errorf("got %s, want a FunctionError", printed)
	}
	if answer := p.types("cat " + out); !strings.Contains(answer, "event is not understood") || !strings.Contains(answer, "hello") {
		p.Errorf("got %s, want an error that shows the event", answer)
	}
}

func memory(p person) {
	keys := "kubectl get configmap leda-memory-0 -o jsonpath='{.data}'"
	before := p.types(keys)
	for _, target := range []string{"orders", "invoices"} {
		if !strings.Contains(before, `"`+target+`":`) {
			p.Errorf("memory of %s is not there: %s", target, before)
		}
	}
	p.types("go run ./cmd/leda rbac integration/demo/scaledobjects | kubectl apply -f -")
	if after := p.types(keys); !strings.Contains(after, `"orders":`) {
		p.Errorf("applying the rights again wiped memory: %s", after)
	}
}

func rights(p person) {
	const leda = " --as anyone --as-group leda --as-group system:authenticated"
	for action, want := range map[string]string{
		"get deployments/orders --subresource=scale":                "yes",
		"update deployments/orders --subresource=scale":             "yes",
		"patch deployments/orders --subresource=scale":              "no",
		"get deployments/orders":                                    "no",
		"update deployments/orders":                                 "no",
		"update deployments/payments --subresource=scale":           "no",
		"get configmaps/leda-memory-0":                              "yes",
		"update configmaps/leda-memory-0":                           "yes",
		"create configmaps":                                         "no",
		"get configmaps/kube-root-ca.crt":                           "no",
		"get secrets/invoices-reader":                               "yes",
		"get secrets/payments":                                      "no",
		"list secrets":                                              "no",
		"update secrets/invoices-reader":                            "no",
		"get deployments/orders --subresource=scale -n kube-system": "no",
		"create events":                                             "yes",
		"list events":                                               "no",
		"create pods":                                               "no",
	} {
		printed, _ := p.tries("kubectl auth can-i " + action + leda) // "no" is exit status 1
		lines := strings.Split(printed, "\n")
		if got := lines[len(lines)-1]; got != want {
			p.Errorf("may Leda %s? got %s, want %s", action, got, want)
		}
	}
}

func noRole(p person) {
	before := p.replicas("orders")
	since := time.Now()
	p.types("kubectl delete role leda")
	r := p.invoke(`{"targets":["default/orders"]}`)
	if len(r.Decisions) != 1 || !strings.Contains(r.Decisions[0].Error, "the Role in namespace default does not allow get on deployments/scale of orders: apply `leda rbac`") {
		p.Errorf("got %+v, want an error that says what to apply", r)
	}
	p.eventually(log+" --start-time "+millis(since), func(printed string) bool { return strings.Contains(printed, "apply `leda rbac`") })
	if after := p.replicas("orders"); after != before {
		p.Errorf("replicas: %s, were %s", after, before)
	}
	p.types("go run ./cmd/leda rbac integration/demo/scaledobjects | kubectl apply -f -")
	if r := p.invoke(`{"targets":["default/orders"]}`); r.Failed != 0 {
		p.Errorf("with its Role back: %+v", r)
	}
}

func memoryNotWritable(p person) {
	p.types(`kubectl patch role leda --type json -p '[{"op":"replace","path":"/rules/1/verbs","value":["get"]}]'`)
	p.types("kubectl scale deployment invoices --replicas 0")
	queue := p.types("aws sqs get-queue-url --queue-name invoices --query QueueUrl --output text")
	p.types(`for n in 1 2 3 4 5 6; do aws sqs send-message --queue-url ` + queue + ` --message-body "$n"; done`)
	r := p.invoke(`{"targets":["default/invoices"]}`)
	if got := p.replicas("invoices"); got != "2" || !strings.Contains(r.Decisions[0].Memory, "does not allow update on it: apply `leda rbac`") {
		p.Errorf("6 messages: got %s replicas, want 2 and a word about memory: %+v", got, r)
	}
	p.types("aws sqs purge-queue --queue-url " + queue)
	since := time.Now()
	p.eventually(log+" --start-time "+millis(since), func(printed string) bool { // the look that would go to zero
		return strings.Contains(printed, `\"target\":\"demo/default/invoices\",\"from\":2,\"to\":0`)
	})
	if got := p.replicas("invoices"); got != "2" {
		p.Errorf("drained, memory cannot be stored: got %s replicas, want 2 as before", got)
	}
	p.types("go run ./cmd/leda rbac integration/demo/scaledobjects | kubectl apply -f -")
	p.eventually("kubectl get deployment invoices -o jsonpath='{.spec.replicas}'", func(printed string) bool { return printed == "0" })
}

func noSecrets(p person) {
	secret := p.types(`kubectl get secret invoices-reader -o jsonpath='{.data.AWS_SECRET_ACCESS_KEY}' | base64 -d`)
	if len(secret) < 20 {
		p.Fatalf("the access key is not where it was put: %q", secret)
	}
	for _, place := range []string{log, "kubectl get configmap leda-memory-0 -o yaml", "kubectl get events -A -o yaml"} {
		printed := p.types(place)
		for _, word := range []string{secret, "k8s-aws-v1.", "X-Amz-Signature"} {
			if strings.Contains(printed, word) {
				p.Errorf("$ %s\nprints %s…", place, word[:4])
			}
		}
	}
}

func deployAgain(p person) {
	const context = " -c scaledObjects=integration/demo/scaledobjects -c queues=orders,invoices"
	if printed := p.types("cdk deploy" + context); !strings.Contains(printed, "(no changes)") {
		p.Errorf("a second deployment is not without changes:\n%s", printed)
	}
	p.types("cdk destroy --force" + context)
	if printed := p.types("aws lambda list-functions --query 'Functions[].FunctionName' --output text"); strings.Contains(printed, "leda") {
		p.Errorf("the function is still there: %s", printed)
	}
	if printed := p.types("aws sqs list-queues --output text"); !strings.Contains(printed, "/orders") {
		p.Errorf("destroying took the queue away: %s", printed)
	}
}
