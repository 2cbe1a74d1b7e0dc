package infra

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadContext(t *testing.T) {
	defaults := Settings{Cluster: "prod", ScaledObjects: "scaledobjects", Architecture: "arm64", LogRetentionDays: 30, Shards: 1, IdleLook: "pollingInterval"}
	everything := Settings{
		Name: "Scaler",
		Clusters: []Cluster{{Name: "here"}, {
			Name: "there", Region: "eu-west-1", Account: "222222222222", RoleARN: "arn:aws:iam::222222222222:role/leda",
			Endpoint: "https://there.example.com", CertificateAuthority: "LS0t",
			Source: "both", Namespaces: []string{"shop"}, Buckets: 2, Secrets: true,
		}},
		ScaledObjects: "k8s", ClusterObjectNamespace: "auth",
		Queues:         []Queue{{Name: "a"}, {Name: "b.fifo", VisibilityTimeout: 120}},
		ReadableQueues: []string{"shop-*"}, ReadableMetrics: true, AssumableRoles: []string{"arn:aws:iam::222222222222:role/reader"},
		Architecture: "x86_64", Memory: 256, LogRetentionDays: 7, Shards: 2, ReservedConcurrency: 4,
		ActiveLook: 2, SteadyLook: 10, IdleLook: "tick",
		Environment: map[string]string{"HTTPS_PROXY": "http://proxy:3128"},
		Subnets:     []string{"subnet-0000000a", "subnet-0000000b"}, SecurityGroups: []string{"sg-0000000c"}, PermissionsBoundary: "bound",
		Tags:   map[string]string{"team": "shop"},
		Alarms: new(false), AlarmTopic: "arn:aws:sns:eu-north-1:111111111111:oncall", Dashboard: new(false),
	}
	with := func(change func(*Settings)) Settings {
		s := defaults
		change(&s)
		return s
	}
	for _, test := range []struct {
		name    string
		context map[string]any
		want    Settings
	}{
		{"only the cluster has no default", map[string]any{"cluster": "prod"}, defaults},
		{
			"cdk.json has types",
			map[string]any{
				"name": "Scaler", "scaledObjects": "k8s", "clusterObjectNamespace": "auth", "architecture": "x86_64",
				"clusters": []any{"here", map[string]any{
					"name": "there", "region": "eu-west-1", "account": "222222222222", "roleArn": "arn:aws:iam::222222222222:role/leda",
					"endpoint": "https://there.example.com", "certificateAuthority": "LS0t",
					"source": "both", "namespaces": []any{"shop"}, "buckets": 2.0, "secrets": true,
				}},
				"queues":         []any{"a", map[string]any{"name": "b.fifo", "visibilityTimeout": 120.0}},
				"readableQueues": []any{"shop-*"}, "readableMetrics": true, "assumableRoles": []any{"arn:aws:iam::222222222222:role/reader"},
				"memory": 256.0, "logRetentionDays": 7.0, "shards": 2.0, "reservedConcurrency": 4.0, "activeLook": 2.0, "steadyLook": 10.0, "idleLook": "tick",
				"environment": map[string]any{"HTTPS_PROXY": "http://proxy:3128"}, "tags": map[string]any{"team": "shop"},
				"subnets": []any{"subnet-0000000a", "subnet-0000000b"}, "securityGroups": []any{"sg-0000000c"}, "permissionsBoundary": "bound",
				"alarms": false, "alarmTopic": "arn:aws:sns:eu-north-1:111111111111:oncall", "dashboard": false,
			},
			everything,
		},
		{
			"-c gives text",
			map[string]any{
				"name": "Scaler", "scaledObjects": "k8s", "clusterObjectNamespace": "auth", "architecture": "x86_64",
				"clusters": `["here", {"name": "there", "region": "eu-west-1", "account": "222222222222", "roleArn": "arn:aws:iam::222222222222:role/leda",
					"endpoint": "https://there.example.com", "certificateAuthority": "LS0t",
					"source": "both", "namespaces": ["shop"], "buckets": 2, "secrets": true}]`,
				"queues":         `["a", {"name": "b.fifo", "visibilityTimeout": 120}]`,
				"readableQueues": "shop-*", "readableMetrics": "true", "assumableRoles": "arn:aws:iam::222222222222:role/reader",
				"memory": "256", "logRetentionDays": "7", "shards": "2", "reservedConcurrency": "4", "activeLook": "2", "steadyLook": "10", "idleLook": "tick",
				"environment": "HTTPS_PROXY=http://proxy:3128", "tags": `{"team": "shop"}`,
				"subnets": "subnet-0000000a,subnet-0000000b", "securityGroups": "sg-0000000c", "permissionsBoundary": "bound",
				"alarms": "false", "alarmTopic": "arn:aws:sns:eu-north-1:111111111111:oncall", "dashboard": "false",
			},
			everything,
		},
		{
			"short lists are names with commas",
			map[string]any{"cluster": "prod", "queues": "a,b", "tags": "team=shop,cost=42"},
			with(func(s *Settings) {
				s.Queues, s.Tags = []Queue{{Name: "a"}, {Name: "b"}}, map[string]string{"team": "shop", "cost": "42"}
			}),
		},
		{"the only cluster's ScaledObjects are in it", map[string]any{"cluster": "prod", "source": "cluster", "namespaces": "shop,bank", "buckets": "3", "secrets": "true"}, with(func(s *Settings) {
			s.Source, s.Namespaces, s.Buckets, s.Secrets = "cluster", []string{"shop", "bank"}, 3, true
		})},
		{"several clusters by their names", map[string]any{"clusters": "blue,green"}, with(func(s *Settings) {
			s.Cluster, s.Clusters = "", []Cluster{{Name: "blue"}, {Name: "green"}}
		})},
		{"-c KEY= is the default", map[string]any{"cluster": "prod", "queues": "", "alarmTopic": "", "memory": ""}, defaults},
		{
			"CDK's own keys are let be",
			map[string]any{
				"cluster": "prod", "@aws-cdk/core:enablePartitionLiterals": true, "aws:cdk:enable-path-metadata": true,
				"availability-zones:account=111111111111:region=eu-north-1": []any{"a"}, "cli-telemetry": false,
			},
			defaults,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ReadContext(test.context)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

const allKeys = "activeLook, alarmTopic, alarms, architecture, assumableRoles, buckets, cluster, clusterObjectNamespace, clusters, dashboard, environment, " +
	"idleLook, logRetentionDays, memory, name, namespaces, permissionsBoundary, queues, readableMetrics, readableQueues, reservedConcurrency, " +
	"scaledObjects, secrets, securityGroups, shards, source, steadyLook, subnets, tags"

func TestEveryKeyIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| Key | Default |")
	table, _, _ = strings.Cut(table, "\n\n")
	for key := range strings.SplitSeq(allKeys, ", ") {
		if first := "| `" + key + "`"; !strings.Contains(table, first) && !strings.Contains(table, ", `"+key+"` |") {
			t.Errorf("docs/deploy.md has no row for %s", key)
		}
	}
}

func TestReadContextNamesEveryProblem(t *testing.T) {
	for _, test := range []struct {
		name    string
		context map[string]any
		want    string
	}{
		{"no cluster", nil, "context cluster: is required: the name of the EKS cluster, in cdk.json or with -c cluster=NAME; or clusters, for several"},
		{
			"where ScaledObjects are, all at once",
			map[string]any{"cluster": "prod", "source": "both", "namespaces": "Shop", "buckets": 201.0},
			`context namespaces: must be names of namespaces (a-z, 0-9 and -, at most 63), got "Shop"
context buckets: must be from 1 to 200, each for 50 targets of a namespace, got 201`,
		},
		{
			"what goes with a source alone",
			map[string]any{"cluster": "prod", "namespaces": "shop", "secrets": true},
			`context namespaces: go with source cluster or both; write one of them, or remove namespaces
context secrets: goes with source cluster or both; files say which Secrets they need`,
		},
		{
			"where the ScaledObjects of several clusters are is each one's own",
			map[string]any{"source": "cluster", "clusters": []any{map[string]any{"name": "a", "source": "cluster"}, map[string]any{"name": "b", "source": "git"}}},
			`context source: and namespaces, buckets and secrets go with cluster; with clusters write them to each of these
context clusters: a: namespaces are required with source cluster: those whose ScaledObjects are read
context clusters: b: source must be files, cluster or both, got "git"`,
		},
		{"both ways to name clusters", map[string]any{"cluster": "a", "clusters": "b"}, "context cluster: and clusters exclude each other; remove one"},
		{
			"all at once, one a line",
			map[string]any{
				"cluster": "my cluster", "queues": []any{"a*", "b", "b-dead"},
				"architecture": "amd64", "memory": 64.0, "logRetentionDays": "31", "alarms": "no", "allarms": true,
			},
			`context alarms: must be true or false, got "no"
context cluster: must be an EKS cluster's name (letters, digits, - and _, at most 100), got "my cluster"
context queues: must be queue names (letters, digits, - and _, at most 75, those of FIFO queues with .fifo at the end), got "a*"
context queues: "b-dead" is there twice, as a queue or as another's dead-letter queue; remove one
context architecture: must be arm64 or x86_64, got "amd64"
context memory: must be from 128 to 10240 MB, got 64
context logRetentionDays: must be one of 1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 3653, got 31
context allarms: is not known, got true; remove it or use one of ` + allKeys,
		},
		{
			"everything else that can be wrong",
			map[string]any{
				"name": "my stack", "clusterObjectNamespace": "KEDA", "readableQueues": "arn:aws:sqs:*:*:*", "assumableRoles": "arn:aws:iam::*:role/*",
				"clusters": []any{
					map[string]any{"name": "a", "region": "Ireland", "account": "42", "roleArn": "leda", "endpoint": "there"},
					"a",
					map[string]any{"region": "eu-west-1"},
				},
				"queues": []any{map[string]any{"name": "a", "visibilityTimeout": 50000.0}}, "shards": "101", "reservedConcurrency": "102", "activeLook": 90.0, "steadyLook": -1.0, "idleLook": "never",
				"environment": map[string]any{"AWS_REGION": "eu-west-1", "A-B": "c", "LONG": strings.Repeat("x", 4096)},
				"subnets":     "subnet-0000000a,private", "permissionsBoundary": "arn:aws:iam::1:role/x", "tags": "aws:x=y", "alarmTopic": "oncall",
			},
			`context name: must be letters, digits and -, the first a letter, at most 50, got "my stack"
context clusters: a: region must be a region's name such as eu-west-1, got "Ireland"
context clusters: a: account must be 12 digits, got "42"
context clusters: a: roleArn must be arn:aws:iam::ACCOUNT:role/NAME, got "leda"
context clusters: a: endpoint must be https:// and a host, got "there"
context clusters: a: endpoint and certificateAuthority go together; add the other or remove both
context clusters: a is there twice, and a ScaledObject could not say which it means; deploy one of them with a stack of its own
context clusters: name must be an EKS cluster's name (letters, digits, - and _, at most 100), got ""
context clusterObjectNamespace: must be a namespace, got "KEDA"
context queues: a: visibilityTimeout must be from 1 to 43200 s, got 50000
context readableQueues: must be names or ARNs of queues, with stars and question marks in the name only, got "arn:aws:sqs:*:*:*"
context assumableRoles: must be arn:aws:iam::ACCOUNT:role/NAME, without stars, got "arn:aws:iam::*:role/*"
context shards: must be from 1 to 100, got 101
context reservedConcurrency: must be at least shards + 2 = 103, for ticks that overlap and doorbells, got 102
context activeLook: must be from 1 to 60 s, got 90
context steadyLook: must be from 1 to 60 s, got -1
context idleLook: must be pollingInterval or tick, got "never"
context environment: must have names of letters, digits and _, the first a letter, got "A-B"
context environment: AWS_REGION is Lambda's own; remove it
context environment: must have at most 4096 bytes, got 4123
context subnets: and securityGroups go together, got 2 and 0
context subnets: must be ids such as subnet-0123456789abcdef0, got "private"
context permissionsBoundary: must be the name or the ARN of a managed policy, got "arn:aws:iam::1:role/x"
context tags: must have keys of 1 to 128 characters that do not begin with aws: and values of at most 256, got "aws:x": "y"
context alarmTopic: must be the ARN of an SNS topic, arn:aws:sns:REGION:ACCOUNT:NAME, got "oncall"`,
		},
		{
			"a value of the wrong type is one problem, not two",
			map[string]any{
				"cluster": 7.0, "queues": []any{"a", 1.0}, "memory": 128.5, "logRetentionDays": "month", "subnets": map[string]any{},
				"tags": "team", "environment": map[string]any{"A": 1.0},
			},
			`context cluster: must be a text, got 7
context queues: must be a list of names, or of objects such as {"name": "orders", "visibilityTimeout": 120}, got ["a",1]
context memory: must be a whole number, not 0, got 128.5
context logRetentionDays: must be a whole number, not 0, got "month"
context environment: must be texts by name, such as {"a": "1"}, got {"A":1}
context subnets: must be a list, got {}
context tags: must be texts by name, such as {"a": "1"}, got "team"`,
		},
		{
			"what is wrong within a list has the whole path",
			map[string]any{"clusters": []any{map[string]any{"name": 1.0, "arn": "x"}}, "queues": `[{"name": "a", "fifo": true}]`},
			`context clusters.name: must be a text, got 1
context clusters.arn: is not known, got "x"; remove it or use one of account, buckets, certificateAuthority, endpoint, name, namespaces, region, roleArn, secrets, source
context queues.fifo: is not known, got true; remove it or use one of name, visibilityTimeout`,
		},
		{"text that is no JSON is shown as it is", map[string]any{"clusters": `[{"name": }]`}, `context clusters: must be a list, got "[{\"name\": }]"`},
		{"0 is not the default", map[string]any{"cluster": "prod", "memory": 0.0}, "context memory: must be a whole number, not 0, got 0"},
		{
			"a name's dead-letter queue must be free, in either order",
			map[string]any{"cluster": "prod", "queues": "b-dead,b,c.fifo,c-dead.fifo"},
			`context queues: "b" is there twice, as a queue or as another's dead-letter queue; remove one
context queues: "c-dead.fifo" is there twice, as a queue or as another's dead-letter queue; remove one`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ReadContext(test.context)
			if err == nil {
				t.Fatal("got no error")
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
