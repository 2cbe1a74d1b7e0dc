package infra

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/leda-autoscaler/leda/scaling"
)

// trigger is the one of ScaledObject shop/NAME, which is enough for its rights.
func trigger(name string, t scaling.Trigger) scaling.ScaledObject {
	return scaling.ScaledObject{Cluster: "prod", Namespace: "shop", Name: name, Triggers: []scaling.Trigger{t}}
}

func sqs(name string, a scaling.Authentication) scaling.Trigger {
	return scaling.Trigger{Type: scaling.TypeSQS, SQS: scaling.SQSTrigger{QueueName: name, Region: "eu-north-1"}, Authentication: a}
}

func TestRightsAreWhatIsReadWithTheFunctionsOwnRole(t *testing.T) {
	own := scaling.Authentication{}
	key := scaling.Authentication{Keys: &scaling.KeyReferences{}}
	role := func(arn string) scaling.Authentication { return scaling.Authentication{Role: scaling.Role{ARN: arn}} }
	const reader, other = "arn:aws:iam::222222222222:role/reader", "arn:aws:iam::333333333333:role/other"
	fromConfigMap := scaling.Authentication{Role: scaling.Role{ARNFrom: scaling.Source{Kind: scaling.FromConfigMap, Name: "roles", Key: "reader"}}}
	cloudwatch := func(a scaling.Authentication) scaling.Trigger {
		return scaling.Trigger{Type: scaling.TypeCloudWatch, Authentication: a}
	}
	queue := func(name string) string { return "arn:aws:sqs:eu-north-1:111111111111:" + name }
	prod := []string{"arn:aws:eks:eu-north-1:111111111111:cluster/prod"}

	for _, test := range []struct {
		name     string
		settings Settings
		objects  []scaling.ScaledObject
		want     rights
		problems string
	}{
		{"a queue, once, and the cluster", Settings{}, []scaling.ScaledObject{trigger("a", sqs("orders", own)), trigger("b", sqs("orders", own))}, rights{queues: []string{queue("orders")}, clusters: prod}, ""},
		{"a queue read with a key needs no right", Settings{}, []scaling.ScaledObject{trigger("a", sqs("orders", key))}, rights{clusters: prod}, ""},
		{
			"a queue read with a role needs that role",
			Settings{},
			[]scaling.ScaledObject{trigger("a", sqs("orders", role(reader))), trigger("b", sqs("returns", role(reader)))},
			rights{clusters: prod, roles: []string{reader}},
			"",
		},
		{"a role known at run time is named in the settings", Settings{AssumableRoles: []string{other}}, []scaling.ScaledObject{trigger("a", sqs("orders", fromConfigMap))}, rights{clusters: prod, roles: []string{other}}, ""},
		{
			"or refused",
			Settings{},
			[]scaling.ScaledObject{trigger("a", sqs("orders", fromConfigMap))},
			rights{clusters: prod},
			"context assumableRoles: ScaledObject shop/a: spec.triggers[0]: its role is known at run time only; name it here, so that the function may assume it",
		},
		{"metrics, only where they are read with the own role", Settings{}, []scaling.ScaledObject{trigger("a", cloudwatch(own))}, rights{clusters: prod, metrics: true}, ""},
		{"metrics read with another role", Settings{}, []scaling.ScaledObject{trigger("a", cloudwatch(role(reader)))}, rights{clusters: prod, roles: []string{reader}}, ""},
		{
			"a pattern stands for the queues that fit",
			Settings{ReadableQueues: []string{"shop-*"}},
			[]scaling.ScaledObject{trigger("a", sqs("shop-orders", own)), trigger("b", sqs("orders", own))},
			rights{queues: []string{queue("orders"), queue("shop-*")}, clusters: prod},
			"",
		},
		{
			"a pattern of another account's",
			Settings{ReadableQueues: []string{"arn:aws:sqs:eu-west-1:222222222222:shop-?"}},
			[]scaling.ScaledObject{trigger("a", sqs("shop-1", own))},
			rights{queues: []string{queue("shop-1"), "arn:aws:sqs:eu-west-1:222222222222:shop-?"}, clusters: prod},
			"",
		},
		{"a queue known at run time is named in the settings", Settings{ReadableQueues: []string{"orders"}}, []scaling.ScaledObject{trigger("a", sqs("", own))}, rights{queues: []string{queue("orders")}, clusters: prod}, ""},
		{
			"or refused",
			Settings{},
			[]scaling.ScaledObject{trigger("a", sqs("", own))},
			rights{clusters: prod},
			"context readableQueues: ScaledObject shop/a: spec.triggers[0]: its queue is known at run time only; name it here, or a pattern that it fits, so that the function may read it",
		},
		{"a queue known at run time, read with a key", Settings{}, []scaling.ScaledObject{trigger("a", sqs("", key))}, rights{clusters: prod}, ""},
		{
			"a cluster reached with a role is described by that role",
			Settings{Clusters: []Cluster{{Name: "prod", RoleARN: reader}}},
			nil,
			rights{roles: []string{reader}},
			"",
		},
		{
			"a cluster whose endpoint is given is described by nobody",
			Settings{Clusters: []Cluster{{Name: "prod", Account: "222222222222", Endpoint: "https://a", CertificateAuthority: "b"}}},
			nil,
			rights{},
			"",
		},
		{
			"a cluster in another account, without a role there",
			Settings{Clusters: []Cluster{{Name: "prod", Account: "222222222222"}}},
			nil,
			rights{clusters: []string{"arn:aws:eks:eu-north-1:222222222222:cluster/prod"}},
			"context clusters: prod: is in account 222222222222, whose own identities alone may ask for its endpoint, and Leda would ask from 111111111111; give a roleArn of that account, or endpoint and certificateAuthority",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if len(test.settings.Clusters) == 0 {
				test.settings.Cluster = "prod"
			}
			clusters, problems := test.settings.clustersFrom(nearby)
			got, more := rightsFor(test.settings, nearby, clusters, test.objects, queuesOf(test.objects, nearby), 0)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(rights{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("rights (-want +got):\n%s", diff)
			}
			message := ""
			if err := joined(append(problems, more...)); err != nil {
				message = err.Error()
			}
			if diff := cmp.Diff(test.problems, message); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRightsFitIAMsPolicies(t *testing.T) {
	for _, test := range []struct {
		name     string
		queues   int
		length   int // of each name
		roles    int
		policies []int // queues in each managed policy; none when they are in the inline one
		problem  string
	}{
		{name: "100 queues stay with the other rights", queues: 100, length: 30},
		{name: "101 have policies of their own", queues: 101, length: 30, policies: []int{86, 15}},
		{name: "long names need more room", queues: 100, length: 80, policies: []int{49, 49, 2}},
		{name: "800 queues", queues: 800, length: 30, policies: []int{86, 86, 86, 86, 86, 86, 86, 86, 86, 26}},
		{
			name: "more than ten policies hold", queues: 1000, length: 30, policies: []int{86, 86, 86, 86, 86, 86, 86, 86, 86, 86, 86, 54},
			problem: "context readableQueues: is required: the ARNs of 1000 queues fill 12 managed policies, and a role has at most 10; name the queues by patterns here, or divide the ScaledObjects among several stacks",
		},
		{name: "roles push the queues out", queues: 90, length: 30, roles: 50, policies: []int{86, 4}},
		{
			name: "more roles than the inline policy holds", roles: 200,
			problem: "context clusters: the ARNs of 0 clusters, 200 roles and 0 doorbells leave no room in the policy of the function's role, which holds 10240 characters; divide them among several stacks",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var r rights
			for i := range test.queues {
				r.queues = append(r.queues, nearby.arn("sqs", fmt.Sprintf("%0*d", test.length, i)))
			}
			for i := range test.roles {
				r.roles = append(r.roles, fmt.Sprintf("arn:aws:iam::111111111111:role/%012d", i))
			}
			problem := ""
			if err := joined(r.divide(0)); err != nil {
				problem = err.Error()
			}
			var got []int
			for _, part := range r.apart {
				got = append(got, len(part))
			}
			if diff := cmp.Diff(test.policies, got); diff != "" {
				t.Errorf("policies (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.problem, problem); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
			if len(r.apart) > 0 && strings.Join(r.queues, " ") != strings.Join(flat(r.apart), " ") {
				t.Error("the policies together are not the queues")
			}
		})
	}
}

func flat(parts [][]string) []string {
	var all []string
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}
