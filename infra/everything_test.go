package infra

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everything uses each setting.
func everything(t *testing.T) Props {
	t.Helper()
	p := props(t)
	p.Settings = Settings{
		Name: "Leda",
		Clusters: []Cluster{
			{Name: "near"},
			{Name: "far", Region: "eu-west-1"},
			{Name: "elsewhere", Account: "222222222222", RoleARN: "arn:aws:iam::222222222222:role/leda"},
		},
		ScaledObjects: "testdata/everything", ClusterObjectNamespace: "auth",
		Queues:         []Queue{{Name: "audit", VisibilityTimeout: 900}, {Name: "returns.fifo"}},
		ReadableQueues: []string{"shop-*"}, AssumableRoles: []string{"arn:aws:iam::333333333333:role/reader"},
		Architecture: "x86_64", Memory: 256, LogRetentionDays: 7, Shards: 3, ReservedConcurrency: 5,
		ActiveLook: 2, SteadyLook: 10, IdleLook: "tick",
		Environment: map[string]string{"HTTPS_PROXY": "http://proxy:3128"},
		Subnets:     []string{"subnet-0000000a", "subnet-0000000b"}, SecurityGroups: []string{"sg-0000000c"},
		PermissionsBoundary: "bound", Tags: map[string]string{"team": "shop"},
		AlarmTopic: "arn:aws:sns:eu-north-1:222222222222:oncall",
	}
	return p
}

func TestPromisesWithEverySetting(t *testing.T) {
	dir := synth(t, everything(t))
	keep(t, readTemplate(t, dir), promisesOfEverything)
	t.Run("each cluster has a file with the rights of its own targets", func(t *testing.T) {
		for cluster, want := range map[string]string{"near": "- orders\n", "far": "- returns\n", "elsewhere": "- audit\n"} {
			rights, err := os.ReadFile(filepath.Join(dir, "leda-rbac-"+cluster+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			for _, workload := range []string{"- orders\n", "- returns\n", "- audit\n"} {
				if got := strings.Contains(string(rights), workload); got != (workload == want) {
					t.Errorf("%s: has %q: %t", cluster, workload, got)
				}
			}
		}
	})
	t.Run("people are told what is left to do", func(t *testing.T) {
		want := []string{
			"near/shop/parcels/s0: no alarm, since its queue is known at run time only; the schedule alone wakes its target",
			"near/shop/reports/s1: no alarm, since queue reports is in account 444444444444, region eu-north-1; the schedule alone wakes its target",
			"cluster far: is in account 111111111111, region eu-west-1, where this stack cannot make its access entry; make it once, with the command that the deployment prints",
			"cluster elsewhere: is in account 222222222222, region eu-north-1, where this stack cannot make its access entry; make it once, with the command that the deployment prints",
			"doorbell arn:aws:sns:eu-west-1:222222222222:returns: is in another account; the deployment can subscribe to it only if the topic's policy allows sns:Subscribe to account 111111111111",
			"readableQueues shop-*: the function may read every queue that fits, whoever made it",
		}
		if diff := cmp.Diff(want, notesIn(t, dir)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestTheFleetIsToldOfClustersAndLooks(t *testing.T) {
	plan, err := newPlan(everything(t).Settings, nearby)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%+v %s %+v", plan.fleet.Clusters, plan.fleet.ClusterObjectNamespace, plan.fleet.Looks)
	const want = "[{Name:near Region:eu-north-1 RoleARN: Endpoint: CertificateAuthority: Source: Namespaces:[] Buckets:0} {Name:far Region:eu-west-1 RoleARN: Endpoint: CertificateAuthority: Source: Namespaces:[] Buckets:0} " +
		"{Name:elsewhere Region:eu-north-1 RoleARN:arn:aws:iam::222222222222:role/leda Endpoint: CertificateAuthority: Source: Namespaces:[] Buckets:0}] auth {OncePerTick:true GrowingSeconds:2 ShrinkingSeconds:10}"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAnAlarmTellsATopicOfItsOwnRegionOnly(t *testing.T) {
	settings := everything(t).Settings
	settings.AlarmTopic = "arn:aws:sns:us-east-1:111111111111:oncall"
	_, err := newPlan(settings, nearby)
	const want = "context alarmTopic: must be in the stack's region eu-north-1, the only one that an alarm can tell, got arn:aws:sns:us-east-1:111111111111:oncall"
	if err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}

var promisesOfEverything = []promise{
	{
		promise: "the function's role may do exactly what the settings and the ScaledObjects need",
		guard: func(tm template) error {
			role := tm.role("lambda.amazonaws.com")
			want := []string{
				"Allow cloudwatch:GetMetricData on *",
				"Allow eks:DescribeCluster on arn:aws:eks:" + here + "cluster/near",
				"Allow eks:DescribeCluster on arn:aws:eks:eu-west-1:111111111111:cluster/far",
				"Allow logs:CreateLogStream on arn:aws:logs:" + here + "log-group:/aws/lambda/leda:*",
				"Allow logs:PutLogEvents on arn:aws:logs:" + here + "log-group:/aws/lambda/leda:*",
				"Allow sqs:GetQueueAttributes on arn:aws:sqs:" + here + "audit",
				"Allow sqs:GetQueueAttributes on arn:aws:sqs:" + here + "returns.fifo",
				"Allow sqs:GetQueueAttributes on arn:aws:sqs:" + here + "shop-*",
				"Allow sqs:SendMessage on " + tm.arn(tm.queue("leda-failed-events")),
				"Allow sts:AssumeRole on arn:aws:iam::222222222222:role/leda",
				"Allow sts:AssumeRole on arn:aws:iam::333333333333:role/reader",
				"Allow sts:AssumeRole on arn:aws:iam::444444444444:role/queues",
			}
			for _, n := range []string{"1", "2"} {
				for _, action := range []string{"DeleteMessage", "GetQueueAttributes", "ReceiveMessage"} {
					want = append(want, "Allow sqs:"+action+" on "+tm.arn(tm.queue("leda-doorbell-"+n)))
				}
			}
			for _, action := range []string{
				"AssignPrivateIpAddresses", "CreateNetworkInterface", "DeleteNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets", "UnassignPrivateIpAddresses",
			} {
				want = append(want, "Allow ec2:"+action+" on *", "Deny ec2:"+action+" on *")
			}
			slices.Sort(want)
			return differs("grants", want, tm.grants(role))
		},
		broken: map[string]func(template){
			"any role":          func(tm template) { set(tm.statement("sts:AssumeRole"), "*", "Resource") },
			"any doorbell":      func(tm template) { set(tm.statement("sqs:ReceiveMessage"), "*", "Resource") },
			"any queue":         func(tm template) { set(tm.statement("sqs:GetQueueAttributes"), "arn:aws:sqs:*:*:shop-*", "Resource") },
			"any cluster":       func(tm template) { set(tm.statement("eks:DescribeCluster"), "*", "Resource") },
			"all of CloudWatch": func(tm template) { set(tm.statement("cloudwatch:GetMetricData"), "cloudwatch:*", "Action") },
			"more than reads": func(tm template) {
				set(tm.statement("sqs:GetQueueAttributes"), []any{"sqs:GetQueueAttributes", "sqs:ReceiveMessage"}, "Action")
			},
		},
	},
	{
		promise: "the program itself may not touch network interfaces",
		guard: func(tm template) error {
			for _, s := range statements(tm.role("lambda.amazonaws.com").Properties) {
				if s["Effect"] == "Deny" {
					return differs("condition", any(object{"ArnEquals": object{"lambda:SourceFunctionArn": "arn:aws:lambda:" + here + "function:leda"}}), s["Condition"])
				}
			}
			return errors.New("nothing is denied")
		},
		broken: map[string]func(template){
			"denied to Lambda too": func(tm template) {
				for _, s := range statements(tm.role("lambda.amazonaws.com").Properties) {
					delete(s, "Condition")
				}
			},
			"denied to nobody": func(tm template) {
				for _, s := range statements(tm.role("lambda.amazonaws.com").Properties) {
					s["Effect"] = "Allow"
				}
			},
		},
	},
	{
		promise: "a cluster here has an access entry; for one elsewhere there is the command, with the role that it knows",
		guard: func(tm template) error {
			role := tm.arn(tm.role("lambda.amazonaws.com"))
			var entries []any
			for _, r := range tm.of("AWS::EKS::AccessEntry") {
				entry := plain(r.Properties).(object)
				delete(entry, "Tags")
				entries = append(entries, entry)
			}
			commands := map[string]any{}
			for id, o := range tm.Outputs {
				if strings.HasPrefix(id, "AccessEntry") || strings.HasPrefix(id, "RBAC") {
					commands[id] = o.text()
				}
			}
			const create = "aws eks create-access-entry --region %s --cluster-name %s --kubernetes-groups leda --principal-arn %s"
			return errors.Join(
				differs("entries", []any{object{"ClusterName": "near", "PrincipalArn": role, "Type": "STANDARD", "KubernetesGroups": []any{"leda"}}}, entries),
				differs("commands", map[string]any{
					"AccessEntry1": fmt.Sprintf(create, "eu-north-1", "elsewhere", "arn:aws:iam::222222222222:role/leda"),
					"AccessEntry2": fmt.Sprintf(create, "eu-west-1", "far", role),
					"RBAC1":        "kubectl apply -f leda-rbac-elsewhere.yaml",
					"RBAC2":        "kubectl apply -f leda-rbac-far.yaml",
					"RBAC3":        "kubectl apply -f leda-rbac-near.yaml",
				}, commands),
			)
		},
		broken: map[string]func(template){
			"no entry":   func(tm template) { delete(tm.Resources, tm.id(tm.of("AWS::EKS::AccessEntry")[0])) },
			"no command": func(tm template) { delete(tm.Outputs, "AccessEntry1") },
		},
	},
	{
		promise: "each topic has a doorbell: a queue that takes from this topic only, subscribed to it, that wakes the function at once and twice at most side by side",
		guard: func(tm template) error {
			var problems []error
			for queue, topic := range map[string]string{
				"leda-doorbell-1": "arn:aws:sns:eu-north-1:111111111111:orders", "leda-doorbell-2": "arn:aws:sns:eu-west-1:222222222222:returns",
			} {
				q := tm.queue(queue)
				problems = append(problems,
					differs("a ring's life", []any{60.0, 75.0}, []any{q.Properties["MessageRetentionPeriod"], q.Properties["VisibilityTimeout"]}),
					differs(queue+": policy", any(object{
						"Sid": "Topic", "Effect": "Allow", "Principal": object{"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
						"Resource": tm.arn(q), "Condition": object{"ArnEquals": object{"aws:SourceArn": topic}},
					}), plain(at(tm.policyOf(q).Properties, "PolicyDocument", "Statement", 1))),
				)
				subscription := object{"TopicArn": topic, "Protocol": "sqs", "Endpoint": tm.arn(q)}
				if strings.Contains(topic, "eu-west-1") {
					subscription["Region"] = "eu-west-1"
				}
				problems = append(problems,
					differs(queue+": subscription", subscription, plain(tm.where("AWS::SNS::Subscription", "TopicArn", topic).Properties).(object)))
				var mappings []any
				for _, m := range tm.of("AWS::Lambda::EventSourceMapping") {
					mapping := plain(m.Properties).(object)
					delete(mapping, "Tags")
					if mapping["EventSourceArn"] == tm.arn(q) {
						mappings = append(mappings, mapping)
					}
				}
				problems = append(problems, differs(queue+": mappings", []any{object{
					"EventSourceArn": tm.arn(q), "FunctionName": tm.id(tm.function()), "BatchSize": 10.0,
					"MaximumBatchingWindowInSeconds": 0.0, "ScalingConfig": object{"MaximumConcurrency": 2.0},
				}}, mappings))
			}
			if n := len(tm.of("AWS::SNS::Subscription")); n != 2 {
				problems = append(problems, fmt.Errorf("want 2 subscriptions, got %d", n))
			}
			return errors.Join(problems...)
		},
		broken: map[string]func(template){
			"any topic": func(tm template) {
				delete(at(tm.policyOf(tm.queue("leda-doorbell-1")).Properties, "PolicyDocument", "Statement", 1).(object), "Condition")
			},
			"no subscription": func(tm template) { delete(tm.Resources, tm.id(tm.of("AWS::SNS::Subscription")[0])) },
			"no mapping":      func(tm template) { delete(tm.Resources, tm.id(tm.of("AWS::Lambda::EventSourceMapping")[0])) },
			"a batching window": func(tm template) {
				set(tm.of("AWS::Lambda::EventSourceMapping")[0], 5.0, "MaximumBatchingWindowInSeconds")
			},
			"an invocation a message": func(tm template) { delete(tm.of("AWS::Lambda::EventSourceMapping")[0].Properties, "ScalingConfig") },
			"rings kept for days":     func(tm template) { delete(tm.queue("leda-doorbell-2").Properties, "MessageRetentionPeriod") },
		},
	},
	{
		promise: "each shard has its own tick",
		guard: func(tm template) error {
			var got []any
			for _, r := range tm.of("AWS::Scheduler::Schedule") {
				got = append(got, at(r.Properties, "Target", "Input"))
			}
			return differs("inputs", []any{
				`{"tick":{"shard":0,"shards":3}}`, `{"tick":{"shard":1,"shards":3}}`, `{"tick":{"shard":2,"shards":3}}`,
			}, got)
		},
		broken: map[string]func(template){
			"a shard that nobody wakes": func(tm template) { delete(tm.Resources, tm.id(tm.of("AWS::Scheduler::Schedule")[1])) },
		},
	},
	{
		promise: "a shard that is not woken rings the alarm on the heartbeat",
		guard: func(tm template) error {
			return differs("threshold", any(2.0), tm.alarm("Leda no heartbeat").Properties["Threshold"])
		},
		broken: map[string]func(template){
			"an alarm on the last shard only": func(tm template) { set(tm.alarm("Leda no heartbeat"), 0.0, "Threshold") },
		},
	},
	{
		promise: "alarms on health tell the topic when they begin and when they end, and nobody else",
		guard: func(tm template) error {
			var problems []error
			topic := []any{"arn:aws:sns:eu-north-1:222222222222:oncall"}
			for name, a := range tm.alarms(false) {
				problems = append(problems, differs(name, []any{topic, topic}, []any{at(a, "AlarmActions"), at(a, "OKActions")}))
			}
			if len(problems) != 5 {
				problems = append(problems, fmt.Errorf("want 5 alarms, got %d", len(problems)))
			}
			return errors.Join(problems...)
		},
		broken: map[string]func(template){
			"one that tells nobody": func(tm template) { delete(tm.alarm("Leda decisions fail").Properties, "AlarmActions") },
			"one that never ends":   func(tm template) { delete(tm.alarm("Leda no heartbeat").Properties, "OKActions") },
		},
	},
	{
		promise: "the function is what the settings say",
		guard: func(tm template) error {
			got := plain(tm.function().Properties).(object)
			for _, key := range []string{"Code", "Description", "Role", "Tags"} {
				delete(got, key)
			}
			return errors.Join(differs("function", object{
				"FunctionName": "leda", "Runtime": "provided.al2023", "Handler": "bootstrap",
				"Architectures": []any{"x86_64"}, "MemorySize": 256.0, "Timeout": 75.0, "ReservedConcurrentExecutions": 5.0,
				"Environment": object{"Variables": object{"HTTPS_PROXY": "http://proxy:3128"}},
				"VpcConfig":   object{"SubnetIds": []any{"subnet-0000000a", "subnet-0000000b"}, "SecurityGroupIds": []any{"sg-0000000c"}},
			}, got), differs("log", any(7.0), tm.of("AWS::Logs::LogGroup")[0].Properties["RetentionInDays"]))
		},
		broken: map[string]func(template){
			"no VPC":         func(tm template) { delete(tm.function().Properties, "VpcConfig") },
			"no concurrency": func(tm template) { delete(tm.function().Properties, "ReservedConcurrentExecutions") },
		},
	},
	{
		promise: "a queue to make has the visibility timeout and the kind that the settings say, and so has its dead-letter queue",
		guard: func(tm template) error {
			return errors.Join(
				differs("timeout", any(900.0), tm.queue("audit").Properties["VisibilityTimeout"]),
				differs("standard", []any{nil, nil}, []any{tm.queue("audit").Properties["FifoQueue"], tm.queue("audit-dead").Properties["FifoQueue"]}),
				differs("FIFO", []any{true, true}, []any{tm.queue("returns.fifo").Properties["FifoQueue"], tm.queue("returns-dead.fifo").Properties["FifoQueue"]}),
				differs("redrive", any(tm.arn(tm.queue("returns-dead.fifo"))), plain(at(tm.queue("returns.fifo").Properties, "RedrivePolicy", "deadLetterTargetArn"))),
			)
		},
		broken: map[string]func(template){
			"SQS's timeout": func(tm template) { delete(tm.queue("audit").Properties, "VisibilityTimeout") },
			"a standard dead-letter queue for a FIFO one": func(tm template) { delete(tm.queue("returns-dead.fifo").Properties, "FifoQueue") },
		},
	},
	{
		promise: "every role has the permissions boundary",
		guard: func(tm template) error {
			var problems []error
			for _, r := range tm.of("AWS::IAM::Role") {
				problems = append(problems, differs(tm.id(r), any("arn:aws:iam::111111111111:policy/bound"), r.Properties["PermissionsBoundary"]))
			}
			return errors.Join(problems...)
		},
		broken: map[string]func(template){
			"a role without": func(tm template) { delete(tm.role("scheduler.amazonaws.com").Properties, "PermissionsBoundary") },
		},
	},
	{
		promise: "everything that can have tags has them",
		guard: func(tm template) error {
			var problems []error
			for id, r := range tm.Resources {
				switch r.Type {
				case "AWS::SQS::QueuePolicy", "AWS::SNS::Subscription", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::Permission", "AWS::Scheduler::Schedule",
					"AWS::Logs::MetricFilter", "AWS::Logs::QueryDefinition", "AWS::CloudWatch::Dashboard":
					continue // have none
				}
				problems = append(problems, differs(id, any([]any{object{"Key": "team", "Value": "shop"}}), r.Properties["Tags"]))
			}
			return errors.Join(problems...)
		},
		broken: map[string]func(template){
			"a role without":  func(tm template) { delete(tm.role("lambda.amazonaws.com").Properties, "Tags") },
			"a queue without": func(tm template) { delete(tm.queue("leda-doorbell-1").Properties, "Tags") },
		},
	},
	nothingPublic,
}

// statement is the first of the function's role that is about an action, as a resource to break.
func (tm template) statement(action string) *resource {
	for _, s := range statements(tm.role("lambda.amazonaws.com").Properties["Policies"]) {
		if slices.Contains(list(s["Action"]), any(action)) {
			return &resource{Properties: s}
		}
	}
	return &resource{Properties: object{}}
}

// notesIn lists what synth told people.
func notesIn(t *testing.T, dir string) []string {
	t.Helper()
	manifest := decode[object](t, filepath.Join(dir, "manifest.json"))
	var notes []string
	for _, entry := range list(at(manifest, "artifacts", "Leda", "metadata", "/Leda/Leda")) {
		if at(entry, "type") == "aws:cdk:info" {
			notes = append(notes, fmt.Sprint(at(entry, "data")))
		}
	}
	return notes
}
