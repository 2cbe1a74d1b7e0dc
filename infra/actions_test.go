package infra

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// operations are all that the AWS CLI knows of every service, as IAM names actions, and those that are no operations. A few
// services have another name in IAM than in their addresses; of those, CloudWatch alone is asked by Leda.
func operations(t *testing.T) []string {
	t.Helper()
	folders, err := filepath.Glob("../.local/venv/awscli/lib/python*/site-packages/awscli/botocore/data/*")
	if err != nil {
		t.Fatal(err)
	}
	all := []string{
		"eks:AccessKubernetesApi", "iam:PassRole", "lambda:InvokeFunction", "lambda:InvokeFunctionUrl", "s3:ListAllMyBuckets", "s3:ListBucket",
		"sts:GetServiceBearerToken", "sts:SetSourceIdentity", "sts:TagSession",
	}
	for _, folder := range folders {
		versions, err := filepath.Glob(folder + "/*/service-2.json")
		if err != nil {
			t.Fatal(err)
		}
		if len(versions) == 0 {
			continue // no service
		}
		data, err := os.ReadFile(versions[len(versions)-1]) // the newest: folders are named after days
		if err != nil {
			t.Fatal(err)
		}
		var service struct {
			Metadata   struct{ EndpointPrefix, SigningName string }
			Operations map[string]struct{}
		}
		if err := json.Unmarshal(data, &service); err != nil {
			t.Fatalf("%s: %v", folder, err)
		}
		prefix := service.Metadata.SigningName
		if prefix == "" {
			prefix = service.Metadata.EndpointPrefix
		}
		if prefix == "monitoring" {
			prefix = "cloudwatch"
		}
		for name := range service.Operations {
			all = append(all, prefix+":"+name)
		}
	}
	if len(folders) == 0 {
		t.Skip("the AWS CLI, which lists every action of AWS, is not built: go run ./integration/local prepare")
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// matches says whether a policy's pattern stands for the text.
func matches(pattern, text string) bool {
	head, rest, more := strings.Cut(pattern, "*")
	if len(text) < len(head) {
		return false
	}
	for i := range len(head) {
		if head[i] != '?' && head[i] != text[i] {
			return false
		}
	}
	text = text[len(head):]
	if !more {
		return text == ""
	}
	for i := range len(text) + 1 {
		if matches(rest, text[i:]) {
			return true
		}
	}
	return false
}

// known refuses statements that this test would misread.
func known(statements []object) error {
	for _, s := range statements {
		for key := range s {
			if !slices.Contains([]string{"Sid", "Effect", "Action", "Resource", "Condition"}, key) {
				return fmt.Errorf("a statement with %s", key)
			}
		}
		if condition, ok := s["Condition"].(object); ok != (s["Condition"] != nil) || ok && (len(condition) != 1 || at(condition, "ArnEquals") == nil) {
			return fmt.Errorf("condition %v", s["Condition"])
		}
	}
	return nil
}

// about are the statements on an action.
func about(statements []object, action string) []object {
	var all []object
	for _, s := range statements {
		if slices.ContainsFunc(list(s["Action"]), func(pattern any) bool {
			return matches(strings.ToLower(fmt.Sprint(pattern)), strings.ToLower(action))
		}) {
			all = append(all, s)
		}
	}
	return all
}

// may decides as IAM does, of the statements on an action: what is denied is denied, and what nobody allows is too.
// The context are the keys that the request has.
func may(statements []object, resource string, context map[string]string) (allowed bool) {
	for _, s := range statements {
		applies := slices.ContainsFunc(list(s["Resource"]), func(pattern any) bool { return matches(fmt.Sprint(pattern), resource) })
		if keys, ok := at(s, "Condition", "ArnEquals").(object); ok {
			for key, want := range keys {
				applies = applies && context[key] == want
			}
		}
		switch {
		case applies && s["Effect"] == "Allow":
			allowed = true
		case applies:
			return false
		}
	}
	return allowed
}

// Every action of AWS on every resource that the role's policies, the stack or a neighbour could name.
func TestOfAllActionsTheFunctionMayDoExactlyThese(t *testing.T) {
	actions := operations(t)
	const log = "arn:aws:logs:" + here + "log-group:/aws/lambda/leda"
	queue := func(name string) string { return "arn:aws:sqs:" + here + name }
	named := []string{
		"*", log + ":log-stream:1", queue("audit"), queue("returns.fifo"), queue("shop-orders"),
		"arn:aws:eks:" + here + "cluster/near", "arn:aws:eks:eu-west-1:111111111111:cluster/far",
		"arn:aws:iam::222222222222:role/leda", "arn:aws:iam::333333333333:role/reader", "arn:aws:iam::444444444444:role/queues",
	}
	neighbours := []string{
		log, log + "-2:log-stream:1", "arn:aws:logs:eu-west-1:111111111111:log-group:/aws/lambda/leda:log-stream:1",
		queue("other"), queue("audit-2"), queue("shop"), queue("workshop-1"), "arn:aws:sqs:eu-west-1:111111111111:audit", "arn:aws:sqs:eu-north-1:222222222222:shop-orders",
		"arn:aws:eks:" + here + "cluster/far", "arn:aws:eks:" + here + "cluster/nearby", "arn:aws:eks:eu-north-1:222222222222:cluster/elsewhere",
		"arn:aws:iam::111111111111:role/leda", "arn:aws:iam::222222222222:role/leda-2", "arn:aws:iam::222222222222:role/admin",
		"arn:aws:lambda:" + here + "function:leda", "arn:aws:lambda:" + here + "function:other",
		"arn:aws:s3:::bucket", "arn:aws:s3:::bucket/key", "arn:aws:secretsmanager:" + here + "secret:database", "arn:aws:ssm:" + here + "parameter/database",
		"arn:aws:dynamodb:" + here + "table/orders", "arn:aws:sns:" + here + "oncall", "arn:aws:kms:" + here + "key/1", "arn:aws:ec2:" + here + "instance/i-1",
	}
	var asked, granted int
	guard := func(tm template) error {
		asked, granted = 0, 0
		role := tm.role("lambda.amazonaws.com")
		rules := statements(plain(role.Properties["Policies"]))
		if role.Properties["ManagedPolicyArns"] != nil || len(rules) == 0 {
			return fmt.Errorf("policies elsewhere than in the role: %v, and %d statements in it", role.Properties["ManagedPolicyArns"], len(rules))
		}
		if err := known(rules); err != nil {
			return err
		}
		resources := slices.Concat(named, neighbours)
		for _, id := range slices.Sorted(maps.Keys(tm.Resources)) {
			resources = append(resources, id+".Arn")
		}
		want := map[string][]string{
			"cloudwatch:GetMetricData": resources, // knows no resource
			"eks:DescribeCluster":      named[5:7],
			"logs:CreateLogStream":     named[1:2], "logs:PutLogEvents": named[1:2],
			"sqs:GetQueueAttributes": slices.Clone(named[2:5]),
			"sqs:SendMessage":        {tm.arn(tm.queue("leda-failed-events"))},
			"sts:AssumeRole":         named[7:10],
		}
		for _, n := range []string{"1", "2"} {
			for _, action := range []string{"DeleteMessage", "GetQueueAttributes", "ReceiveMessage"} {
				want["sqs:"+action] = append(want["sqs:"+action], tm.arn(tm.queue("leda-doorbell-"+n)))
			}
		}
		own := map[string]string{"lambda:SourceFunctionArn": "arn:aws:lambda:" + here + "function:leda"}
		for _, by := range []struct {
			name    string
			context map[string]string
			more    []string // on any resource
		}{{"the program", own, nil}, {"Lambda, for the function", nil, networkActions()}} {
			for _, action := range actions {
				on := about(rules, action)
				for _, resource := range resources {
					asked++
					got := may(on, resource, by.context)
					if got {
						granted++
					}
					if should := slices.Contains(want[action], resource) || slices.Contains(by.more, action); got != should {
						return fmt.Errorf("%s may %s on %s: %t, want %t", by.name, action, resource, got, should)
					}
				}
			}
		}
		for action := range want {
			if !slices.Contains(actions, action) {
				return fmt.Errorf("%s is not among AWS's actions", action)
			}
		}
		return nil
	}
	whole := readTemplate(t, synth(t, everything(t)))
	keep(t, whole, []promise{{
		promise: "of all actions on all that could be named, exactly the needed ones",
		guard:   guard,
		broken: map[string]func(template){
			"a family of actions": func(tm template) { set(tm.statement("sqs:GetQueueAttributes"), "sqs:Get*", "Action") },
			"in other letters":    func(tm template) { set(tm.statement("eks:DescribeCluster"), "EKS:describe*", "Action") },
			"one letter of any":   func(tm template) { set(tm.statement("sqs:ReceiveMessage"), "*.Ar?", "Resource") },
			"all but one":         func(tm template) { set(tm.statement("sts:AssumeRole"), "s3:GetObject", "NotAction") },
			"one fewer":           func(tm template) { set(tm.statement("logs:PutLogEvents"), "logs:PutLogEvents", "Action") },
			"the network, by the program": func(tm template) {
				for _, s := range statements(tm.role("lambda.amazonaws.com").Properties["Policies"]) {
					if s["Effect"] == "Deny" {
						s["Action"] = "ec2:Describe*"
					}
				}
			},
		},
	}})
	if err := guard(whole); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d actions of AWS, %d questions, %d allowed: exactly these", len(actions), asked, granted)
}
