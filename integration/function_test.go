package integration_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leda-autoscaler/leda/integration/stack"
)

// functionQueues are made by the deployment that testFunction uses.
var functionQueues = []string{"keda-sqs", "assumed", "keyed", "shared", "fromenv", "valued", "partial", "sturdy"}

// testFunction deploys one target for each way of reading and of authenticating, and tries each through the
// deployed function.
func testFunction(t *testing.T, s *stack.Stack, root string) {
	p := person{t, s.Environ(), root}
	p.types("kubectl apply -f integration/testdata/function/workloads.yaml")
	p.types("kubectl wait --for condition=established --timeout 30s crd/fleets.example.com")
	for _, name := range []string{"keda-sqs", "assumed", "shared", "partial", "valued", "sturdy", "keda-cron", "abroad"} {
		p.types("kubectl -n jobs create deployment " + name + " --image example.com/worker --replicas " + map[bool]string{true: "0", false: "1"}[name == "keda-sqs"])
	}
	p.types(`kubectl apply -f - <<'E'
{"apiVersion":"example.com/v1","kind":"Fleet","metadata":{"name":"measured","namespace":"jobs"},"spec":{"replicas":1}}
E`)
	role := p.readers()
	folder, objects := p.TempDir(), p.TempDir()
	p.types("aws sqs create-queue --region eu-west-1 --queue-name abroad")
	p.types("sed 's#ENDPOINT#" + *s.AWS().BaseEndpoint + "#g' integration/testdata/function/scaledobjects.yaml > " + objects + "/all.yaml")
	authority := p.types("aws eks describe-cluster --name demo --query cluster.certificateAuthority.data --output text")
	context := ` -c name=Third -c cluster= -c scaledObjects=` + objects + ` -c queues=` + strings.Join(functionQueues, ",") + ` -c readableQueues=fromenv` +
		` -c clusters='[{"name":"demo"},{"name":"down","endpoint":"https://127.0.0.1:9","certificateAuthority":"` + authority + `"}]'`
	p.types("aws sns create-topic --name sturdy")
	p.types("aws eks create-cluster --name down --role-arn " + role + " --resources-vpc-config subnetIds=subnet-1,subnet-2 --access-config authenticationMode=API")
	cdk := func(command string) {
		p.types("CDK_OUTPUT=" + filepath.Join(folder, "cdk.out") + " cdk " + command + context)
	}
	cdk("deploy")
	p.types("go run ./cmd/leda rbac " + objects + " | kubectl apply -f -")

	at := func(t *testing.T) person { return person{t, s.Environ(), root} }
	t.Run("each way of reading and of authenticating", func(t *testing.T) {
		for _, row := range []struct {
			target, workload string
			messages, want   int
		}{
			{"assumed", "deployment/assumed", 11, 3},
			{"keyed", "statefulset/keyed", 11, 3},
			{"shared", "deployment/shared", 11, 3},
			{"fromenv", "deployment/fromenv", 11, 3},
			{"valued", "deployment/valued", 6, 3}, // 6 / 5 × the ready pods, again and again: to maxReplicaCount
			{"partial", "deployment/partial", 11, 3},
		} {
			t.Run(row.target, func(t *testing.T) {
				t.Parallel()
				p := at(t)
				p.send(row.target, row.messages)
				p.becomes(row.workload, row.want)
			})
		}
		t.Run("measured", func(t *testing.T) {
			t.Parallel()
			p := at(t)
			p.types("aws cloudwatch put-metric-data --namespace Shop --metric-data 'MetricName=Orders,Value=7.4,Dimensions=[{Name=Kind,Value=urgent}]'")
			p.becomes("fleet/measured", 3) // 7.4 / 2.5
		})
		t.Run("abroad", func(t *testing.T) {
			t.Parallel()
			p := at(t)
			queue := "--region eu-west-1 --queue-url $(aws sqs get-queue-url --region eu-west-1 --queue-name abroad --query QueueUrl --output text)"
			p.types("for n in 1 2 3 4 5 6; do aws sqs send-message " + queue + " --message-body $n; done")
			p.becomes("deployment/abroad", 2)
			p.types("aws sqs receive-message " + queue + " --max-number-of-messages 6 --visibility-timeout 900") // 6 in flight or visible
			p.types("for n in 1 2 3 4 5; do aws sqs send-message " + queue + " --message-body $n --delay-seconds 900; done")
			p.becomes("deployment/abroad", 3)
		})
		t.Run("KEDA's SQS sequence", func(t *testing.T) { t.Parallel(); at(t).kedaSQS() })
		t.Run("KEDA's cron sequence", func(t *testing.T) { t.Parallel(); at(t).kedaCron() })
		t.Run("doorbells, overlapping invocations and kills", func(t *testing.T) { t.Parallel(); at(t).sturdy(s) })
	})
	t.Run("one that cannot be read does not shrink", func(t *testing.T) {
		p := at(t)
		p.purge("partial")
		r := p.invokes("third", `{"targets":["jobs/partial"]}`)
		if d := r.Decisions[0]; d.From != 3 || d.To != 3 || d.Reason != "FailedGetExternalMetric" {
			p.Errorf("got %+v, want 3 as before, since one reading failed", d)
		}
	})
	t.Run("what fails is said, each with what to do", func(t *testing.T) {
		p := at(t)
		for target, want := range map[string]string{
			"demo/jobs/missing":   "create the workload, or mend scaleTargetRef of ScaledObject jobs/missing",
			"down/jobs/elsewhere": "cluster down at https://127.0.0.1:9 did not answer",
		} {
			r := p.invokes("third", `{"targets":["`+target+`"]}`)
			if r.Failed == 0 || !strings.Contains(r.Decisions[0].Error, want) {
				p.Errorf("%s: got %+v, want an error with %q", target, r, want)
			}
		}
	})
	t.Run("a change of size is an event on the workload", func(t *testing.T) {
		p := at(t)
		p.eventually("kubectl -n jobs describe deployment assumed", func(printed string) bool {
			return strings.Contains(printed, "SuccessfulRescale") && strings.Contains(printed, "→3: s0: 11 / 5 a replica = 2.2 → 3")
		})
	})
	t.Run("someone else's change is in the line, and when it keeps happening in a warning", func(t *testing.T) { at(t).anotherOwner() })
	t.Run("no canary is anywhere", func(t *testing.T) { at(t).noCanaries() })
	cdk("destroy --force")
}

// readers makes the role and the keys that targets are read with, and returns the role's ARN.
func (p person) readers() string {
	p.Helper()
	// What may assume it is the function's role, which the deployment names; the local stack asks the account only.
	role := p.types(`aws iam create-role --role-name assumed-reader --query Role.Arn --output text --assume-role-policy-document '` +
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"canary-external-id"}}}]}'`)
	p.types(`aws iam put-role-policy --role-name assumed-reader --policy-name read --policy-document '` + mayRead("assumed") + `'`)
	for user, queue := range map[string]string{"keyed-reader": "keyed", "shared-reader": "shared"} {
		p.types("aws iam create-user --user-name " + user)
		p.types("aws iam put-user-policy --user-name " + user + " --policy-name read --policy-document '" + mayRead(queue) + "'")
	}
	key := "aws iam create-access-key --query 'AccessKey.[AccessKeyId,SecretAccessKey]' --output text --user-name "
	p.types(`set -- $(` + key + `keyed-reader) && kubectl -n jobs create configmap reader --from-literal id=$1 && kubectl -n jobs create secret generic reader --from-literal secret=$2`)
	p.types(`set -- $(` + key + `shared-reader) && kubectl -n keda create secret generic shared-reader --from-literal id=$1 --from-literal secret=$2`)
	return role
}

func mayRead(queue string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:GetQueueAttributes","Resource":"arn:aws:sqs:us-east-1:000000000000:` + queue + `"}]}`
}

func (p person) send(queue string, messages int) {
	p.Helper()
	var entries []string
	for n := range messages {
		entries = append(entries, fmt.Sprintf("Id=%d,MessageBody=message-%d", n, n))
	}
	for batch := range slices.Chunk(entries, 10) {
		p.types("aws sqs send-message-batch --queue-url $(aws sqs get-queue-url --queue-name " + queue + " --query QueueUrl --output text) --entries " + strings.Join(batch, " "))
	}
}

func (p person) purge(queue string) {
	p.Helper()
	p.types("aws sqs purge-queue --queue-url $(aws sqs get-queue-url --queue-name " + queue + " --query QueueUrl --output text)")
}

// becomes waits for a workload's size; the first tick after a deployment may take a minute.
func (p person) becomes(workload string, replicas int) {
	p.Helper()
	p.types(fmt.Sprintf("kubectl -n jobs wait %s --for=jsonpath='{.spec.replicas}'=%d --timeout=4m", workload, replicas))
}

func (p person) sizes(workload string) (end func() []string) {
	p.Helper()
	return p.sizesIn("jobs", workload)
}

// sizesIn watches a workload until end is called, which returns every size it had.
func (p person) sizesIn(namespace, workload string) (end func() []string) {
	p.Helper()
	ctx, cancel := context.WithCancel(p.Context())
	cmd := exec.CommandContext(ctx, "kubectl", "-n", namespace, "get", workload, "--watch", "-o", `jsonpath={.spec.replicas}{"\n"}`)
	cmd.Dir, cmd.Env = p.root, p.environ
	lines, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		p.Fatal(err)
	}
	var sizes []string
	read := make(chan struct{})
	go func() {
		defer close(read)
		for scanner := bufio.NewScanner(lines); scanner.Scan(); {
			sizes = append(sizes, scanner.Text())
		}
	}()
	return func() []string {
		cancel()
		<-read
		_ = cmd.Wait() // it was killed
		return slices.Compact(sizes)
	}
}

// kedaSQS is KEDA's published end-to-end sequence: 4 messages are no more than activationQueueLength, 6 more are.
func (p person) kedaSQS() {
	p.send("keda-sqs", 4)
	end := p.sizes("deployment/keda-sqs")
	since := time.Now()
	select { // nothing is to happen, so there is no event to await
	case <-time.After(time.Minute):
	case <-p.Context().Done():
	}
	p.eventually(logOf("third")+" --start-time "+millis(since), func(printed string) bool { return strings.Contains(printed, `\"msg\":\"done\"`) })
	if got := end(); !slices.Equal(got, []string{"0"}) {
		p.Errorf("4 messages, activation 5: got sizes %q, want 0 for a minute", got)
	}
	p.send("keda-sqs", 6)
	p.becomes("deployment/keda-sqs", 2)
	p.purge("keda-sqs")
	p.becomes("deployment/keda-sqs", 0)
}

// kedaCron is KEDA's cron sequence: 1 replica, 4 within the window, 1 after it. The window is open for two minutes of
// each four, so that one comes however long the deployment took.
func (p person) kedaCron() {
	end := p.sizes("deployment/keda-cron")
	p.becomes("deployment/keda-cron", 1) // as it was made, or after a window
	for _, want := range []int{4, 1} {
		p.becomes("deployment/keda-cron", want)
		if now := time.Now().UTC(); (now.Minute()%4 < 2) != (want == 4) {
			p.Errorf("%d replicas at %s", want, now.Format(time.TimeOnly))
		}
	}
	got := strings.Join(end(), " ")
	if got != "1 4 1" && got != "4 1 4 1" && got != "1 4 1 4 1" {
		p.Errorf("got sizes %s, want 1 and 4 by turns", got)
	}
}

// sturdy rings the doorbell, lets invocations overlap, and kills the function's processes at random moments. The size
// ends right, is never outside its bounds, and shrinks no sooner than without all that.
func (p person) sturdy(s *stack.Stack) {
	const rings, kills = 10, 50
	end := p.sizes("deployment/sturdy")
	p.send("sturdy", 11)
	p.invokes("third", `{"Records":[{"EventSource":"aws:sns","Sns":{"Type":"Notification","TopicArn":"arn:aws:sns:us-east-1:000000000000:sturdy","Message":"order 17"}}]}`)
	p.becomes("deployment/sturdy", 3)
	for _, form := range []string{"alarm", "alarm-eventbridge", "alarm-sns", "doorbell-sns", "doorbell-sqs"} { // AWS's own payloads
		payload, err := os.ReadFile(filepath.Join(p.root, "lambda", "testdata", form+".json"))
		if err != nil {
			p.Fatal(err)
		}
		named := strings.NewReplacer("Leda/demo/shop/orders/s0", "Third/demo/jobs/sturdy/s0", "arn:aws:sns:us-east-1:444455556666:orders", "arn:aws:sns:us-east-1:000000000000:sturdy").Replace(string(payload))
		file := filepath.Join(p.TempDir(), "payload.json")
		if err := os.WriteFile(file, []byte(named), 0o600); err != nil {
			p.Fatal(err)
		}
		if r := p.invokes("third", "file://"+file); r.Looks != 1 || len(r.Decisions) != 1 || r.Decisions[0].Target != "demo/jobs/sturdy" {
			p.Errorf("%s: got %+v, want one look at sturdy", form, r)
		}
	}

	var all sync.WaitGroup
	for range rings {
		all.Go(func() { p.invokes("third", `{"targets":["jobs/sturdy"]}`) })
	}
	all.Wait()
	p.becomes("deployment/sturdy", 3)
	p.send("sturdy", 14) // 25: 5 replicas
	p.killing(s, kills/2)
	p.becomes("deployment/sturdy", 5)
	p.purge("sturdy")
	purged := time.Now()
	p.killing(s, kills-kills/2)
	p.becomes("deployment/sturdy", 1)
	// The window of 20 s counts from the last look that saw messages, at most 5 s before.
	if took := time.Since(purged); took < 14*time.Second {
		p.Errorf("shrunk %s after the queue was drained: too soon", took)
	}
	// Messages come one after the other, so it may grow in steps: never down before the end, which is one step.
	sizes := end()
	if n := len(sizes); n < 3 || sizes[0] != "1" || sizes[n-2] != "5" || sizes[n-1] != "1" || !slices.IsSorted(sizes[:n-1]) {
		p.Errorf("got sizes %q, want 1, up to 5, then 1", sizes)
	}
}

// killing kills the function's processes so many times, each at another moment of an invocation.
func (p person) killing(s *stack.Stack, times int) {
	p.Helper()
	admin, err := s.AWS().Credentials.Retrieve(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, uint64(times)))
	killed := 0
	for range times {
		var kill sync.WaitGroup
		kill.Go(func() {
			time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond) // at any moment: there is no event to await
			// Several functions run the same program; each knows its name.
			printed, err := p.tries("for pid in $(pgrep -f '" + s.Folder() + "/.*bootstra[p]'); do " +
				"if ps eww -o command= -p $pid | grep -q 'AWS_LAMBDA_FUNCTION_NAME=third '; then kill -KILL $pid && echo killed; fi; done")
			if err == nil && strings.Contains(printed, "killed") {
				killed++
			}
		})
		second{person: p, stack: s}.asks(admin, request{"lambda", "", "POST", "/2015-03-31/functions/third/invocations", `{"targets":["jobs/sturdy"]}`}) // killed or not
		kill.Wait()
	}
	if killed < times/2 {
		p.Errorf("only %d of %d kills met a process", killed, times)
	}
}

// anotherOwner sets a size again and again, as a manifest would. A process counts what it finds itself: not what one that
// an alarm woke has put right before.
func (p person) anotherOwner() {
	since := time.Now()
	var printed string
	for range 10 {
		p.types("kubectl -n jobs scale deployment assumed --replicas 1")
		p.becomes("deployment/assumed", 3)
		printed = p.types(logOf("third") + " --start-time " + millis(since))
		if strings.Contains(printed, "likely a manifest with replicas: 1") {
			break
		}
	}
	for _, want := range []string{"someone else changed it from 3 to 1", "likely a manifest with replicas: 1"} {
		if !strings.Contains(printed, want) {
			p.Errorf("the log lacks %q:\n%s", want, printed)
		}
	}
}

func (p person) noCanaries() {
	canaries := []string{"k8s-aws-v1.", "X-Amz-Signature", "canary-external-id"}
	for _, secret := range []string{"-n jobs get secret reader -o jsonpath='{.data.secret}'", "-n keda get secret shared-reader -o jsonpath='{.data.secret}'"} {
		canaries = append(canaries, p.types("kubectl "+secret+" | base64 -d"))
	}
	for _, place := range []string{logOf("third"), "kubectl get configmap -n jobs -l app.kubernetes.io/name=leda -o yaml", "kubectl get events -A -o yaml"} {
		printed := p.types(place)
		for _, canary := range canaries {
			if len(canary) < 10 || strings.Contains(printed, canary) {
				p.Errorf("$ %s\nprints %.4s…", place, canary)
			}
		}
	}
}
