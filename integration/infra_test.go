package integration_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/leda-autoscaler/leda/integration/stack"
)

// second is a deployment beside the one of the story: another stack of another name, in the same account.
type second struct {
	person
	stack   *stack.Stack
	objects string // folder of ScaledObjects
	outdir  string
}

// cdk runs the CDK with the settings that every command of this deployment has.
func (s second) cdk(command, queues string) string {
	s.Helper()
	return s.types(fmt.Sprintf("CDK_OUTPUT=%s cdk %s -c name=Second -c scaledObjects=%s -c queues=%s -c readableQueues='shared-*' "+
		"-c assumableRoles=arn:aws:iam::%s:role/reader -c alarmTopic=%s -c tags=team=shop", s.outdir, command, s.objects, queues, stack.Account, topic("oncall")))
}

func topic(name string) string {
	return fmt.Sprintf("arn:aws:sns:%s:%s:%s", stack.Region, stack.Account, name)
}

// aMetric is a trigger that is read from CloudWatch.
const aMetric = `    - type: aws-cloudwatch
      metadata:
        namespace: Shop
        metricName: Waiting
        dimensionName: Service
        dimensionValue: shop
        targetMetricValue: "5"
        minMetricValue: "0"
        awsRegion: ` + stack.Region + `
        identityOwner: operator
`

// scales writes a ScaledObject that follows a queue of its own name, and perhaps more.
func (s second) scales(name, annotations, more string) {
	s.Helper()
	text := fmt.Sprintf(`apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: %[1]s, namespace: second, annotations: {%[2]s}}
spec:
  scaleTargetRef: {name: %[1]s}
  triggers:
    - type: aws-sqs-queue
      metadata: {queueURL: %[1]s, awsRegion: %[3]s, identityOwner: operator}
`, name, annotations, stack.Region) + more
	if err := os.WriteFile(filepath.Join(s.objects, name+".yaml"), []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
}

// testInfrastructure deploys, changes and destroys a stack, and acts as its function's role.
func testInfrastructure(t *testing.T, s *stack.Stack, root string) {
	p := second{person{t, s.Environ(), root}, s, t.TempDir(), filepath.Join(t.TempDir(), "cdk.out")}
	p.types("aws sns create-topic --name oncall")
	p.types("aws sns create-topic --name bell")
	p.types("aws sqs create-queue --queue-name shared-1")
	p.types("aws sqs create-queue --queue-name unknown")
	for _, role := range []string{"reader", "stranger"} {
		p.types("aws iam create-role --role-name " + role + " --assume-role-policy-document '" + trustAccount() + "'")
	}
	p.scales("first", "leda.dev/doorbell: \""+topic("bell")+"\"", "")
	p.scales("gone", "", "")
	p.cdk("deploy --progress events", "first,gone")

	step := func(name string, try func(second)) {
		t.Run(name, func(t *testing.T) { try(second{person{t, p.environ, p.root}, s, p.objects, p.outdir}) })
	}
	step("a message to the topic rings the doorbell of its target", ring)
	step("the function's role may do exactly what it must", exactRights)
	step("an update adds and removes targets and renames a queue, and leaves every queue with its messages", update)
	step("nothing more is to be done", func(s second) {
		if printed := s.cdk("diff", "renamed,gone"); !strings.Contains(printed, "Number of stacks with differences: 0") {
			s.Errorf("there are differences to what was deployed:\n%s", printed)
		}
	})
	step("destroying leaves the queues with their messages, and nothing else", destroy)
}

func ring(s second) {
	since := time.Now()
	s.types("aws sns publish --message '{\"order\": 1}' --topic-arn " + topic("bell"))
	s.eventually("aws logs filter-log-events --log-group-name /aws/lambda/second --query 'events[].message' --output json --start-time "+millis(since), func(printed string) bool {
		return strings.Contains(printed, `\"msg\":\"done\",\"targets\":1,`) // a tick's has both
	})
}

// trustAccount lets everybody in the account assume a role who may.
func trustAccount() string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"arn:aws:iam::%s:root"}}]}`, stack.Account)
}

// asFunction assumes the function's role. Lambda alone may do so: the test puts itself in Lambda's place.
func (s second) asFunction() aws.Credentials {
	s.Helper()
	role := s.types("aws lambda get-function-configuration --function-name second --query Role --output text")
	name := role[strings.LastIndex(role, "/")+1:]
	s.types("aws iam update-assume-role-policy --role-name " + name + " --policy-document '" + trustAccount() + "'")
	var answer aws.Credentials
	printed := s.types("aws sts assume-role --role-session-name test --query 'Credentials." +
		"{AccessKeyID: AccessKeyId, SecretAccessKey: SecretAccessKey, SessionToken: SessionToken}' --role-arn " + role)
	if err := json.Unmarshal([]byte(printed), &answer); err != nil {
		s.Fatalf("%v: %s", err, printed)
	}
	return answer
}

// A request of an AWS service, as the SDKs send it: the action in a header, in the form, or by method and path.
type request struct{ service, action, method, path, body string }

func sqs(action, queue, more string) request {
	return request{"sqs", "AmazonSQS." + action, "POST", "/", `{"QueueUrl": "` + queue + `"` + more + `}`}
}

func logs(action, body string) request {
	return request{"logs", "Logs_20140328." + action, "POST", "/", body}
}

func query(service, action, parameters string) request {
	return request{service, "", "POST", "/", "Action=" + action + parameters}
}

func readMetrics() request {
	return query("monitoring", "GetMetricData", "&Version=2010-08-01&StartTime=2026-01-01T00:00:00Z&EndTime=2026-01-01T01:00:00Z"+
		"&MetricDataQueries.member.1.Id=m&MetricDataQueries.member.1.MetricStat.Period=60&MetricDataQueries.member.1.MetricStat.Stat=Average"+
		"&MetricDataQueries.member.1.MetricStat.Metric.Namespace=Shop&MetricDataQueries.member.1.MetricStat.Metric.MetricName=Waiting")
}

// asks sends a request with a role's credentials.
func (s second) asks(who aws.Credentials, r request) (status int, answer string) {
	s.Helper()
	cfg := s.stack.AWS()
	req, err := http.NewRequestWithContext(s.Context(), r.method, *cfg.BaseEndpoint+r.path, strings.NewReader(r.body))
	if err != nil {
		s.Fatal(err)
	}
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(r.body)))
	req.Header.Set("X-Amz-Content-Sha256", hash)
	switch {
	case r.action != "":
		req.Header.Set("X-Amz-Target", r.action)
		req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	case r.body != "":
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if err := v4.NewSigner().SignHTTP(s.Context(), who, req, hash, r.service, stack.Region, time.Now()); err != nil {
		s.Fatal(err)
	}
	response, err := cfg.HTTPClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	return response.StatusCode, string(said)
}

// refused is how the services say that no policy allows something.
var refused = regexp.MustCompile(`AccessDenied|not authorized`)

func exactRights(s second) {
	function := s.asFunction()
	url := func(queue string) string { return *s.stack.AWS().BaseEndpoint + "/" + stack.Account + "/" + queue }
	s.types("aws logs create-log-group --log-group-name other && aws logs create-log-stream --log-group-name other --log-stream-name test")
	const all, message = `, "AttributeNames": ["All"]`, `, "MessageBody": "x"`
	put := func(group string) request {
		return logs("PutLogEvents", fmt.Sprintf(`{"logGroupName": %q, "logStreamName": "test", "logEvents": [{"timestamp": %d, "message": "x"}]}`, group, time.Now().UnixMilli()))
	}
	assume := func(role string) request {
		return query("sts", "AssumeRole", "&Version=2011-06-15&RoleSessionName=test&RoleArn=arn:aws:iam::"+stack.Account+":role/"+role)
	}
	for _, test := range []struct {
		name    string
		request request
		granted bool
	}{
		{"read a queue that a trigger names", sqs("GetQueueAttributes", url("first"), all), true},
		{"read a queue that readableQueues allows", sqs("GetQueueAttributes", url("shared-1"), all), true},
		{"read another queue", sqs("GetQueueAttributes", url("unknown"), all), false},
		{"read its own queue of failed events", sqs("GetQueueAttributes", url("second-failed-events"), all), false},
		{"keep a failed event", sqs("SendMessage", url("second-failed-events"), message), true},
		{"take a failed event away", sqs("ReceiveMessage", url("second-failed-events"), ""), false},
		{"send work", sqs("SendMessage", url("first"), message), false},
		{"take work", sqs("ReceiveMessage", url("first"), ""), false},
		{"throw work away", sqs("PurgeQueue", url("first"), ""), false},
		{"delete a queue", sqs("DeleteQueue", url("first"), ""), false},
		{"list the queues", request{"sqs", "AmazonSQS.ListQueues", "POST", "/", "{}"}, false},
		{"hear its doorbell", sqs("ReceiveMessage", url("second-doorbell-1"), ""), true},
		{"ring its doorbell", sqs("SendMessage", url("second-doorbell-1"), message), false},
		{"ring by the topic", query("sns", "Publish", "&Version=2010-03-31&Message=x&TopicArn="+topic("bell")), false},
		{"find its cluster", request{"eks", "", "GET", "/clusters/" + stack.Cluster, ""}, true},
		{"find another cluster", request{"eks", "", "GET", "/clusters/other", ""}, false},
		{"list the clusters", request{"eks", "", "GET", "/clusters", ""}, false},
		{"see who may enter its cluster", request{"eks", "", "GET", "/clusters/" + stack.Cluster + "/access-entries", ""}, false},
		{"become a role that assumableRoles names", assume("reader"), true},
		{"become another role", assume("stranger"), false},
		{"begin a log stream", logs("CreateLogStream", `{"logGroupName": "/aws/lambda/second", "logStreamName": "test"}`), true},
		{"log", put("/aws/lambda/second"), true},
		{"log elsewhere", put("other"), false},
		{"make a log", logs("CreateLogGroup", `{"logGroupName": "more"}`), false},
		{"read its log", logs("FilterLogEvents", `{"logGroupName": "/aws/lambda/second"}`), false},
		{"read metrics, which no trigger does", readMetrics(), false},
		{"set an alarm off", query("monitoring", "SetAlarmState", "&Version=2010-08-01&AlarmName=x&StateValue=OK&StateReason=x"), false},
		{"invoke itself", request{"lambda", "", "POST", "/2015-03-31/functions/second/invocations", "{}"}, false},
		{"see its code", request{"lambda", "", "GET", "/2015-03-31/functions/second", ""}, false},
		{"list roles", query("iam", "ListRoles", "&Version=2010-05-08"), false},
		{"list buckets", request{"s3", "", "GET", "/", ""}, false},
		{"list schedules", request{"scheduler", "", "GET", "/schedules", ""}, false},
	} {
		status, answer := s.asks(function, test.request)
		switch {
		case test.granted && status != http.StatusOK:
			s.Errorf("it may not %s: %d %s", test.name, status, answer)
		case !test.granted && !refused.MatchString(answer):
			s.Errorf("it may %s: %d %s", test.name, status, answer)
		}
	}
}

func (s second) alarms() string {
	s.Helper()
	return s.types("aws cloudwatch describe-alarms --alarm-name-prefix Second/ --query 'sort(MetricAlarms[].AlarmName)' --output json | tr -d ' \\n'")
}

// keepsMessage checks that the one message is still in the queue.
func (s second) keepsMessage(queue string) {
	s.Helper()
	depth := "aws sqs get-queue-attributes --attribute-names ApproximateNumberOfMessages --query Attributes.ApproximateNumberOfMessages --output text --queue-url "
	if printed, err := s.tries(depth + "$(aws sqs get-queue-url --query QueueUrl --output text --queue-name " + queue + ")"); err != nil || printed != "1" {
		s.Errorf("queue %s: got %q messages, want the one that was sent: %v", queue, printed, err)
	}
}

func update(s second) {
	s.types("aws sqs send-message --message-body kept --queue-url $(aws sqs get-queue-url --query QueueUrl --output text --queue-name first)")
	if got, want := s.alarms(), `["Second/demo/second/first/s0","Second/demo/second/gone/s0"]`; got != want {
		s.Errorf("alarms: got %s, want %s", got, want)
	}
	s.scales("renamed", "", aMetric)
	if err := os.Remove(filepath.Join(s.objects, "gone.yaml")); err != nil {
		s.Fatal(err)
	}
	// Both are told before they happen, and that the old queue stays.
	printed := s.cdk("diff", "renamed,gone")
	for _, want := range []string{"renamed", "demo.second.gone.s0", "AWS::SQS::Queue", "orphan"} {
		if !strings.Contains(printed, want) {
			s.Errorf("cdk diff does not tell of %s:\n%s", want, printed)
		}
	}
	s.cdk("deploy --progress events", "renamed,gone")
	if got, want := s.alarms(), `["Second/demo/second/first/s0","Second/demo/second/renamed/s0"]`; got != want {
		s.Errorf("alarms: got %s, want %s", got, want)
	}
	if status, answer := s.asks(s.asFunction(), readMetrics()); status != http.StatusOK {
		s.Errorf("with a trigger that reads metrics it may not do so: %d %s", status, answer)
	}
	s.keepsMessage("first")
	s.types("aws sqs send-message --message-body kept --queue-url $(aws sqs get-queue-url --query QueueUrl --output text --queue-name renamed)")
}

func destroy(s second) {
	s.cdk("destroy --force", "renamed,gone")
	s.keepsMessage("first")
	s.keepsMessage("renamed")
	queues := s.types("aws sqs list-queues --query 'QueueUrls[]' --output text")
	for queue, kept := range map[string]bool{"/renamed-dead": true, "/gone": true, "/second-failed-events": false, "/second-doorbell-1": false} {
		if strings.Contains(queues, queue) != kept {
			s.Errorf("queue %s is kept: %t, want %t", queue, !kept, kept)
		}
	}
	for _, list := range []string{
		"aws lambda list-functions --query 'Functions[].FunctionName' --output text",
		"aws cloudwatch describe-alarms --query 'MetricAlarms[].AlarmName' --output text",
		"aws iam list-roles --query 'Roles[].RoleName' --output text",
		"aws scheduler list-schedules --query 'Schedules[].Name' --output text",
		"aws eks list-access-entries --cluster-name demo --output text",
		"aws logs describe-log-groups --log-group-name-prefix /aws/lambda/second --query 'logGroups[].logGroupName' --output text",
		"aws lambda list-event-source-mappings --query 'EventSourceMappings[].EventSourceArn' --output text",
		"aws sns list-subscriptions --query 'Subscriptions[].Endpoint' --output text",
	} {
		if printed := strings.ToLower(s.types(list)); strings.Contains(printed, "second") {
			s.Errorf("$ %s\nis not empty of the stack: %s", list, printed)
		}
	}
}
