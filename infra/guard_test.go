package infra

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestPromises reads the template that testdata comes to. Each promise has a guard, and each guard is shown templates
// that break the promise, so that none can pass whatever it is given.
func TestPromises(t *testing.T) {
	keep(t, readTemplate(t, synth(t, props(t))), promises)
}

func keep(t *testing.T, whole template, promises []promise) {
	t.Helper()
	for _, p := range promises {
		t.Run(p.promise, func(t *testing.T) {
			if err := p.guard(whole.copied(t)); err != nil {
				t.Error(err)
			}
			for name, broken := range p.broken {
				other := whole.copied(t)
				broken(other)
				if p.guard(other) == nil {
					t.Errorf("the guard does not see a template with %s", name)
				}
			}
		})
	}
}

type promise struct {
	promise string
	guard   func(template) error
	broken  map[string]func(template)
}

// set puts a value at the end of a path below a resource's properties.
func set(r *resource, value any, path ...any) {
	last := len(path) - 1
	at(r.Properties, path[:last]...).(object)[path[last].(string)] = value
}

const here = "eu-north-1:111111111111:"

var promises = []promise{
	{
		promise: "the function's role may do exactly what the ScaledObjects need",
		guard: func(tm template) error {
			role := tm.role("lambda.amazonaws.com")
			return errors.Join(
				differs("function's role", tm.arn(role), plain(tm.function().Properties["Role"])),
				differs("grants", []string{
					"Allow eks:DescribeCluster on arn:aws:eks:" + here + "cluster/prod",
					"Allow logs:CreateLogStream on arn:aws:logs:" + here + "log-group:/aws/lambda/leda:*",
					"Allow logs:PutLogEvents on arn:aws:logs:" + here + "log-group:/aws/lambda/leda:*",
					"Allow sqs:GetQueueAttributes on arn:aws:sqs:" + here + "orders",
					"Allow sqs:GetQueueAttributes on arn:aws:sqs:" + here + "returns",
					"Allow sqs:GetQueueAttributes on arn:aws:sqs:eu-west-1:222222222222:partner",
					"Allow sqs:SendMessage on " + tm.arn(tm.queue("leda-failed-events")),
				}, tm.grants(role)),
			)
		},
		broken: map[string]func(template){
			"an action more": func(tm template) {
				set(tm.role("lambda.amazonaws.com"), []any{"logs:PutLogEvents", "logs:CreateLogStream", "logs:CreateLogGroup"},
					"Policies", 0, "PolicyDocument", "Statement", 0, "Action")
			},
			"a wildcard for a queue": func(tm template) {
				set(tm.role("lambda.amazonaws.com"), "*", "Policies", 0, "PolicyDocument", "Statement", 3, "Resource")
			},
			"a queue missing": func(tm template) {
				set(tm.role("lambda.amazonaws.com"), "arn:aws:sqs:"+here+"orders", "Policies", 0, "PolicyDocument", "Statement", 3, "Resource")
			},
			"a managed policy": func(tm template) {
				set(tm.role("lambda.amazonaws.com"), []any{"arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}, "ManagedPolicyArns")
			},
			"a policy attached from outside": func(tm template) {
				tm.Resources["More"] = &resource{Type: "AWS::IAM::Policy"}
			},
			"another role for the function": func(tm template) {
				set(tm.function(), "arn:aws:iam::111111111111:role/admin", "Role")
			},
		},
	},
	{
		promise: "the cluster admits the function's role as a member of group leda, with no access policy",
		guard: func(tm template) error {
			entries := tm.of("AWS::EKS::AccessEntry")
			if len(entries) != 1 {
				return fmt.Errorf("want one access entry, got %d", len(entries))
			}
			return differs("access entry", object{
				"ClusterName": "prod", "PrincipalArn": tm.arn(tm.role("lambda.amazonaws.com")), "Type": "STANDARD", "KubernetesGroups": []any{"leda"},
			}, plain(entries[0].Properties).(object))
		},
		broken: map[string]func(template){
			"a stronger group": func(tm template) {
				set(tm.of("AWS::EKS::AccessEntry")[0], []any{"system:masters"}, "KubernetesGroups")
			},
			"an access policy": func(tm template) {
				set(tm.of("AWS::EKS::AccessEntry")[0], []any{object{"PolicyArn": "AmazonEKSClusterAdminPolicy"}}, "AccessPolicies")
			},
			"another role": func(tm template) {
				set(tm.of("AWS::EKS::AccessEntry")[0], tm.arn(tm.role("scheduler.amazonaws.com")), "PrincipalArn")
			},
		},
	},
	{
		promise: "each trigger on a queue of this account and region has its alarm, and only these",
		guard: func(tm template) error {
			alarm := func(name, queue string, threshold float64) object {
				return object{
					"AlarmName": name, "Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible",
					"Dimensions": []any{object{"Name": "QueueName", "Value": queue}},
					"Statistic":  "Maximum", "Period": 60.0, "EvaluationPeriods": 1.0,
					"ComparisonOperator": "GreaterThanThreshold", "Threshold": threshold,
					"TreatMissingData": "notBreaching", "AlarmActions": []any{tm.arn(tm.function())},
				}
			}
			got := tm.alarms(true)
			want := map[string]any{}
			for _, a := range []object{
				alarm("Leda/prod/shop/orders/s0", "orders", 0),
				alarm("Leda/prod/shop/orders/s1", "returns", 7),
				alarm("Leda/prod/shop/audit/s0", "orders", 0),
				alarm("Leda/prod/billing/invoices/s0", "invoices", 0),
			} {
				want[a["AlarmName"].(string)] = a
			}
			return differs("alarms", want, got)
		},
		broken: map[string]func(template){
			"an alarm missing": func(tm template) {
				delete(tm.Resources, tm.id(tm.alarm("Leda/prod/shop/audit/s0")))
			},
			"a sum":              func(tm template) { set(tm.alarm("Leda/prod/shop/orders/s0"), "Sum", "Statistic") },
			"another queue":      func(tm template) { set(tm.alarm("Leda/prod/shop/orders/s0"), []any{}, "Dimensions") },
			"missing data rings": func(tm template) { set(tm.alarm("Leda/prod/shop/orders/s0"), "breaching", "TreatMissingData") },
			"another threshold":  func(tm template) { set(tm.alarm("Leda/prod/shop/orders/s0"), 1.0, "Threshold") },
			"at the threshold": func(tm template) {
				set(tm.alarm("Leda/prod/shop/orders/s0"), "GreaterThanOrEqualToThreshold", "ComparisonOperator")
			},
			"no action":           func(tm template) { delete(tm.alarm("Leda/prod/shop/orders/s0").Properties, "AlarmActions") },
			"an action on OK too": func(tm template) { set(tm.alarm("Leda/prod/shop/orders/s0"), []any{"x"}, "OKActions") },
			"an alarm too many": func(tm template) {
				tm.Resources["More"] = &resource{Type: "AWS::CloudWatch::Alarm", Properties: object{"AlarmName": "Leda/more"}}
			},
		},
	},
	{
		promise: "this account's alarms of this stack may invoke the function, by one permission, and nobody else",
		guard: func(tm template) error {
			permissions := tm.of("AWS::Lambda::Permission")
			if len(permissions) != 1 {
				return fmt.Errorf("want one permission, got %d", len(permissions))
			}
			return differs("permission", object{
				"Action": "lambda:InvokeFunction", "FunctionName": tm.arn(tm.function()),
				"Principal": "lambda.alarms.cloudwatch.amazonaws.com", "SourceAccount": "111111111111",
				"SourceArn": "arn:aws:cloudwatch:" + here + "alarm:Leda/*",
			}, plain(permissions[0].Properties).(object))
		},
		broken: map[string]func(template){
			"no permission":        func(tm template) { delete(tm.Resources, tm.id(tm.of("AWS::Lambda::Permission")[0])) },
			"any account's alarms": func(tm template) { delete(tm.of("AWS::Lambda::Permission")[0].Properties, "SourceAccount") },
			"other stacks' alarms": func(tm template) {
				set(tm.of("AWS::Lambda::Permission")[0], "arn:aws:cloudwatch:"+here+"alarm:*", "SourceArn")
			},
			"everyone":            func(tm template) { set(tm.of("AWS::Lambda::Permission")[0], "*", "Principal") },
			"a second permission": func(tm template) { tm.Resources["More"] = &resource{Type: "AWS::Lambda::Permission"} },
			"more than an invoke": func(tm template) { set(tm.of("AWS::Lambda::Permission")[0], "lambda:*", "Action") },
			"another function":    func(tm template) { set(tm.of("AWS::Lambda::Permission")[0], "other", "FunctionName") },
		},
	},
	{
		promise: "the schedule wakes the function each minute, and does not retry",
		guard: func(tm template) error {
			schedules := tm.of("AWS::Scheduler::Schedule")
			if len(schedules) != 1 {
				return fmt.Errorf("want one schedule, got %d", len(schedules))
			}
			got := plain(schedules[0].Properties).(object)
			delete(got, "Description")
			return differs("schedule", object{
				"ScheduleExpression": "rate(1 minute)", "FlexibleTimeWindow": object{"Mode": "OFF"},
				"Target": object{
					"Arn": tm.arn(tm.function()), "RoleArn": tm.arn(tm.role("scheduler.amazonaws.com")), "Input": `{"tick":{"shard":0,"shards":1}}`,
					"RetryPolicy": object{"MaximumEventAgeInSeconds": 60.0, "MaximumRetryAttempts": 0.0},
				},
			}, got)
		},
		broken: map[string]func(template){
			"no schedule": func(tm template) { delete(tm.Resources, tm.id(tm.of("AWS::Scheduler::Schedule")[0])) },
			"AWS's default of 185 retries": func(tm template) {
				delete(at(tm.of("AWS::Scheduler::Schedule")[0].Properties, "Target").(object), "RetryPolicy")
			},
			"another rate": func(tm template) { set(tm.of("AWS::Scheduler::Schedule")[0], "rate(5 minutes)", "ScheduleExpression") },
			"it disabled":  func(tm template) { set(tm.of("AWS::Scheduler::Schedule")[0], "DISABLED", "State") },
			"other input":  func(tm template) { set(tm.of("AWS::Scheduler::Schedule")[0], "{}", "Target", "Input") },
			"no role":      func(tm template) { set(tm.of("AWS::Scheduler::Schedule")[0], "", "Target", "RoleArn") },
		},
	},
	{
		promise: "the scheduler's role may invoke this function, for this account, and nothing else",
		guard: func(tm template) error {
			role := tm.role("scheduler.amazonaws.com")
			return errors.Join(
				differs("grants", []string{"Allow lambda:InvokeFunction on " + tm.arn(tm.function())}, tm.grants(role)),
				differs("trust", []any{object{
					"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": object{"Service": "scheduler.amazonaws.com"},
					"Condition": object{"StringEquals": object{"aws:SourceAccount": "111111111111"}},
				}}, at(role.Properties, "AssumeRolePolicyDocument", "Statement")),
			)
		},
		broken: map[string]func(template){
			"any function": func(tm template) {
				set(tm.role("scheduler.amazonaws.com"), "*", "Policies", 0, "PolicyDocument", "Statement", 0, "Resource")
			},
			"any account's schedules": func(tm template) {
				delete(at(tm.role("scheduler.amazonaws.com").Properties, "AssumeRolePolicyDocument", "Statement", 0).(object), "Condition")
			},
		},
	},
	{
		promise: "no event is retried; one that fails goes to a queue that keeps it for 14 days",
		guard: func(tm template) error {
			configs := tm.of("AWS::Lambda::EventInvokeConfig")
			if len(configs) != 1 {
				return fmt.Errorf("want one EventInvokeConfig, got %d", len(configs))
			}
			failed := tm.queue("leda-failed-events")
			return errors.Join(
				differs("events", object{
					"FunctionName": tm.id(tm.function()), "Qualifier": "$LATEST", "MaximumRetryAttempts": 0.0, "MaximumEventAgeInSeconds": 60.0,
					"DestinationConfig": object{"OnFailure": object{"Destination": tm.arn(failed)}},
				}, plain(configs[0].Properties).(object)),
				differs("retention", any(1209600.0), failed.Properties["MessageRetentionPeriod"]),
			)
		},
		broken: map[string]func(template){
			"no rule for events": func(tm template) { delete(tm.Resources, tm.id(tm.of("AWS::Lambda::EventInvokeConfig")[0])) },
			"Lambda's default of 2 retries": func(tm template) {
				delete(tm.of("AWS::Lambda::EventInvokeConfig")[0].Properties, "MaximumRetryAttempts")
			},
			"Lambda's default age of 6 hours": func(tm template) {
				delete(tm.of("AWS::Lambda::EventInvokeConfig")[0].Properties, "MaximumEventAgeInSeconds")
			},
			"failed events dropped": func(tm template) {
				delete(tm.of("AWS::Lambda::EventInvokeConfig")[0].Properties, "DestinationConfig")
			},
			"failed events kept for 4 days": func(tm template) { delete(tm.queue("leda-failed-events").Properties, "MessageRetentionPeriod") },
		},
	},
	{
		promise: "each work queue has a dead-letter queue, and both outlive the stack with their policies",
		guard: func(tm template) error {
			var problems []error
			for _, name := range []string{"orders", "returns"} {
				dead := tm.queue(name + "-dead")
				problems = append(problems,
					differs(name+": redrive", any(object{"deadLetterTargetArn": tm.arn(dead), "maxReceiveCount": 5.0}), plain(tm.queue(name).Properties["RedrivePolicy"])),
					differs(name+": retention of dead letters", any(1209600.0), dead.Properties["MessageRetentionPeriod"]))
				for _, r := range []*resource{tm.queue(name), dead, tm.policyOf(tm.queue(name)), tm.policyOf(dead)} {
					problems = append(problems, differs(name+": on delete and replace", []string{"RetainExceptOnCreate", "Retain"}, []string{r.DeletionPolicy, r.UpdateReplacePolicy}))
				}
			}
			return errors.Join(problems...)
		},
		broken: map[string]func(template){
			"no dead-letter queue":                     func(tm template) { delete(tm.queue("orders").Properties, "RedrivePolicy") },
			"a queue deleted with the stack":           func(tm template) { tm.queue("orders").DeletionPolicy = "Delete" },
			"a queue left by a deployment that failed": func(tm template) { tm.queue("orders").DeletionPolicy = "Retain" },
			"a queue deleted by an update":             func(tm template) { tm.queue("orders-dead").UpdateReplacePolicy = "" },
			"dead letters kept for 4 days":             func(tm template) { delete(tm.queue("returns-dead").Properties, "MessageRetentionPeriod") },
			"a queue that outlives its policy":         func(tm template) { tm.policyOf(tm.queue("orders")).DeletionPolicy = "Delete" },
			"a queue missing":                          func(tm template) { delete(tm.Resources, tm.id(tm.queue("returns"))) },
			"messages given up at the first failure":   func(tm template) { set(tm.queue("orders"), 1.0, "RedrivePolicy", "maxReceiveCount") },
		},
	},
	{
		promise: "every queue is encrypted and refuses what does not come by TLS, and its policy allows nobody",
		guard: func(tm template) error {
			queues := tm.of("AWS::SQS::Queue")
			problems := []error{differs("number of queues", 5, len(queues))}
			for _, q := range queues {
				name := fmt.Sprint(q.Properties["QueueName"])
				problems = append(problems,
					differs(name+": encryption", any(true), q.Properties["SqsManagedSseEnabled"]),
					differs(name+": policy", any([]any{object{
						"Effect": "Deny", "Principal": object{"AWS": "*"}, "Action": "sqs:*", "Resource": tm.arn(q),
						"Condition": object{"Bool": object{"aws:SecureTransport": "false"}},
					}}), plain(at(tm.policyOf(q).Properties, "PolicyDocument", "Statement"))))
			}
			return errors.Join(problems...)
		},
		broken: map[string]func(template){
			"a queue in clear": func(tm template) { set(tm.queue("orders"), false, "SqsManagedSseEnabled") },
			"a queue by HTTP":  func(tm template) { delete(tm.Resources, tm.id(tm.policyOf(tm.queue("leda-failed-events")))) },
			"a public queue": func(tm template) {
				set(tm.policyOf(tm.queue("orders")), "Allow", "PolicyDocument", "Statement", 0, "Effect")
			},
			"TLS refused": func(tm template) {
				set(tm.policyOf(tm.queue("orders")), "true", "PolicyDocument", "Statement", 0, "Condition", "Bool", "aws:SecureTransport")
			},
		},
	},
	{
		promise: "the function is what the settings say, and writes to a log that the stack made first",
		guard: func(tm template) error {
			logs := tm.where("AWS::Logs::LogGroup", "LogGroupName", "/aws/lambda/leda")
			got := plain(tm.function().Properties).(object)
			delete(got, "Code")
			delete(got, "Description")
			delete(got, "Role")
			return errors.Join(
				differs("function", object{
					"FunctionName": "leda", "Runtime": "provided.al2023", "Handler": "bootstrap",
					"Architectures": []any{"arm64"}, "MemorySize": 128.0, "Timeout": 75.0,
				}, got),
				differs("log", object{"LogGroupName": "/aws/lambda/leda", "RetentionInDays": 30.0}, logs.Properties),
				differs("function comes after", []string{tm.id(logs), tm.id(tm.role("lambda.amazonaws.com"))}, tm.function().DependsOn),
			)
		},
		broken: map[string]func(template){
			"a log kept for ever":  func(tm template) { delete(tm.of("AWS::Logs::LogGroup")[0].Properties, "RetentionInDays") },
			"a log made by Lambda": func(tm template) { tm.function().DependsOn = nil },
			"another log":          func(tm template) { set(tm.function(), object{"LogGroup": "other"}, "LoggingConfig") },
			"a shorter time":       func(tm template) { set(tm.function(), 3.0, "Timeout") },
			"another architecture": func(tm template) { set(tm.function(), []any{"x86_64"}, "Architectures") },
			"a variable more":      func(tm template) { set(tm.function(), object{"Variables": object{"A": "b"}}, "Environment") },
		},
	},
	{
		promise: "five alarms watch the function's health",
		guard: func(tm template) error {
			alarm := func(namespace, metric, dimension, value, statistic, comparison string, minutes, of float64, missing string) object {
				a := object{
					"Namespace": namespace, "MetricName": metric, "Statistic": statistic, "Period": 60.0, "DatapointsToAlarm": minutes, "EvaluationPeriods": of,
					"ComparisonOperator": comparison, "Threshold": 0.0, "TreatMissingData": missing,
				}
				if dimension != "" {
					a["Dimensions"] = []any{object{"Name": dimension, "Value": value}}
				}
				return a
			}
			want := map[string]any{
				"Leda function errors":    alarm("AWS/Lambda", "Errors", "FunctionName", "leda", "Sum", "GreaterThanThreshold", 3, 5, "notBreaching"),
				"Leda function throttles": alarm("AWS/Lambda", "Throttles", "FunctionName", "leda", "Sum", "GreaterThanThreshold", 3, 5, "notBreaching"),
				"Leda no heartbeat":       alarm("AWS/Lambda", "Invocations", "FunctionName", "leda", "Sum", "LessThanOrEqualToThreshold", 5, 5, "breaching"),
				"Leda decisions fail":     alarm("Leda/leda", "Failures", "", "", "Sum", "GreaterThanThreshold", 5, 5, "notBreaching"),
				"Leda failed events":      alarm("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "leda-failed-events", "Maximum", "GreaterThanThreshold", 1, 1, "notBreaching"),
			}
			for name, a := range want {
				a.(object)["AlarmName"] = name
			}
			return differs("health alarms", want, tm.alarms(false))
		},
		broken: map[string]func(template){
			"no heartbeat alarm":            func(tm template) { delete(tm.Resources, tm.id(tm.alarm("Leda no heartbeat"))) },
			"silence taken for a heartbeat": func(tm template) { set(tm.alarm("Leda no heartbeat"), "notBreaching", "TreatMissingData") },
			"another function's errors":     func(tm template) { set(tm.alarm("Leda function errors"), []any{}, "Dimensions") },
		},
	},
	{
		promise: "the failed looks that the summary lines count are a metric, and the one that an alarm watches",
		guard: func(tm template) error {
			filters := tm.of("AWS::Logs::MetricFilter")
			if len(filters) != 1 {
				return fmt.Errorf("want one metric filter, got %d", len(filters))
			}
			watched := tm.alarm("Leda decisions fail").Properties
			return differs("filter", object{
				"LogGroupName": tm.id(tm.of("AWS::Logs::LogGroup")[0]), "FilterPattern": `{ $.msg = "done" }`,
				"MetricTransformations": []any{object{
					"MetricNamespace": watched["Namespace"], "MetricName": watched["MetricName"], "MetricValue": "$.failed", "Unit": "Count",
				}},
			}, plain(filters[0].Properties).(object))
		},
		broken: map[string]func(template){
			"another line counted": func(tm template) { set(tm.of("AWS::Logs::MetricFilter")[0], "", "FilterPattern") },
			"another field": func(tm template) {
				set(tm.of("AWS::Logs::MetricFilter")[0], "$.looks", "MetricTransformations", 0, "MetricValue")
			},
			"another metric watched": func(tm template) { set(tm.alarm("Leda decisions fail"), "Failed", "MetricName") },
		},
	},
	{
		promise: "a dashboard shows the queues, the decisions and the function, and queries are saved",
		guard: func(tm template) error {
			body := ""
			if boards := tm.of("AWS::CloudWatch::Dashboard"); len(boards) == 1 {
				body = fmt.Sprint(boards[0].Properties["DashboardBody"])
			}
			var problems []error
			for _, part := range []string{
				`"QueueName","orders",{"region":"eu-north-1"}`, `"QueueName","returns",{"region":"eu-north-1"}`, `"QueueName","invoices",`, `"QueueName","leda-failed-events"`, `"QueueName","orders-dead"`,
				`SOURCE '/aws/lambda/leda' | filter msg = \"decision\" | stats`, `SOURCE '/aws/lambda/leda' | filter msg = \"done\" | stats`,
				`"AWS/Lambda","Invocations","FunctionName","leda"`, `"Errors"`, `"Throttles"`, `"Duration"`,
			} {
				if !strings.Contains(body, part) {
					problems = append(problems, fmt.Errorf("the dashboard lacks %s:\n%s", part, body))
				}
			}
			var queries []any
			for _, q := range tm.of("AWS::Logs::QueryDefinition") {
				queries = append(queries, q.Properties["Name"])
				problems = append(problems, differs("log of a query", []any{tm.id(tm.of("AWS::Logs::LogGroup")[0])}, plain(q.Properties["LogGroupNames"]).([]any)))
			}
			return errors.Join(append(problems, differs("queries", []any{
				"Leda/every change of size", "Leda/what fails", "Leda/the latest decision for each target", "Leda/how long looks take", "Leda/why did it (not) scale at 09-03",
			}, queries))...)
		},
		broken: map[string]func(template){
			"no dashboard": func(tm template) { delete(tm.Resources, tm.id(tm.of("AWS::CloudWatch::Dashboard")[0])) },
			"a query of another log": func(tm template) {
				set(tm.of("AWS::Logs::QueryDefinition")[0], []any{"other"}, "LogGroupNames")
			},
			"a query missing": func(tm template) { delete(tm.Resources, tm.id(tm.of("AWS::Logs::QueryDefinition")[0])) },
		},
	},
	{
		promise: "the outputs are what people do next",
		guard: func(tm template) error {
			got := map[string]any{}
			for id, output := range tm.Outputs {
				got[id] = output.text()
			}
			return differs("outputs", map[string]any{
				"FunctionName": tm.id(tm.function()),
				"Log":          "aws logs tail --follow " + tm.id(tm.of("AWS::Logs::LogGroup")[0]),
				"QueueURLs":    tm.id(tm.queue("orders")) + " " + tm.id(tm.queue("returns")),
				"RBAC":         "kubectl apply -f leda-rbac.yaml",
			}, got)
		},
		broken: map[string]func(template){
			"no command": func(tm template) { delete(tm.Outputs, "RBAC") },
			"one more":   func(tm template) { tm.Outputs["More"] = &output{} },
		},
	},
	nothingPublic,
}

var nothingPublic = promise{
	promise: "nothing is public",
	guard: func(tm template) error {
		var problems []error
		for id, r := range tm.Resources {
			if r.Type == "AWS::Lambda::Url" {
				problems = append(problems, fmt.Errorf("%s is a function URL", id))
			}
			if r.Type == "AWS::Lambda::Permission" && (r.Properties["Principal"] == "*" || r.Properties["SourceAccount"] == nil) {
				problems = append(problems, fmt.Errorf("%s lets others invoke", id))
			}
			for _, s := range statements(r.Properties) {
				if s["Effect"] == "Allow" && (anyone(s["Principal"]) || s["NotPrincipal"] != nil) {
					problems = append(problems, fmt.Errorf("%s allows everyone %v", id, s["Action"]))
				}
			}
		}
		return errors.Join(problems...)
	},
	broken: map[string]func(template){
		"a function URL":      func(tm template) { tm.Resources["More"] = &resource{Type: "AWS::Lambda::Url"} },
		"everyone may invoke": func(tm template) { set(tm.of("AWS::Lambda::Permission")[0], "*", "Principal") },
		"a public queue": func(tm template) {
			set(tm.policyOf(tm.queue("leda-failed-events")), "Allow", "PolicyDocument", "Statement", 0, "Effect")
		},
		"a role for everyone": func(tm template) {
			set(tm.role("lambda.amazonaws.com"), "*", "AssumeRolePolicyDocument", "Statement", 0, "Principal")
		},
		"an account left open": func(tm template) { delete(tm.of("AWS::Lambda::Permission")[0].Properties, "SourceAccount") },
	},
}

// alarms lists, by name, those that wake the function or those on its health.
func (tm template) alarms(waking bool) map[string]any {
	all := map[string]any{}
	for _, r := range tm.of("AWS::CloudWatch::Alarm") {
		properties := plain(r.Properties).(object)
		delete(properties, "AlarmDescription")
		delete(properties, "Tags")
		if name := fmt.Sprint(properties["AlarmName"]); strings.Contains(name, "/") == waking {
			all[name] = properties
		}
	}
	return all
}

func (tm template) alarm(name string) *resource {
	return tm.where("AWS::CloudWatch::Alarm", "AlarmName", name)
}

// policyOf is the queue policy of a queue.
func (tm template) policyOf(queue *resource) *resource {
	for _, r := range tm.of("AWS::SQS::QueuePolicy") {
		if at(plain(r.Properties), "Queues", 0) == tm.id(queue) {
			return r
		}
	}
	return &resource{Properties: object{}}
}

// statements finds every statement of every policy below a value.
func statements(value any) []object {
	var all []object
	switch value := value.(type) {
	case object:
		for _, statement := range list(value["Statement"]) {
			if s, ok := statement.(object); ok {
				all = append(all, s)
			}
		}
		for _, v := range value {
			all = append(all, statements(v)...)
		}
	case []any:
		for _, v := range value {
			all = append(all, statements(v)...)
		}
	}
	return all
}

// anyone says whether a principal is everyone, however it is written.
func anyone(principal any) bool {
	switch principal := principal.(type) {
	case string:
		return principal == "*"
	case []any:
		for _, p := range principal {
			if anyone(p) {
				return true
			}
		}
	case object:
		for _, p := range principal {
			if anyone(p) {
				return true
			}
		}
	}
	return false
}
