package infra

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadContext(t *testing.T) {
	defaults := Settings{Cluster: "prod", ScaledObjects: "scaledobjects", Architecture: "arm64", Memory: 128, LogRetentionDays: 30}
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
				"cluster": "prod", "scaledObjects": "k8s", "queues": []any{"a", "b"}, "architecture": "x86_64",
				"memory": 256.0, "logRetentionDays": 7.0, "alarms": false,
			},
			Settings{"prod", "k8s", []string{"a", "b"}, "x86_64", 256, 7, new(false)},
		},
		{
			"-c gives text",
			map[string]any{"cluster": "prod", "queues": "a,b", "memory": "256", "logRetentionDays": "7", "alarms": "true"},
			with(func(s *Settings) {
				s.Queues, s.Memory, s.LogRetentionDays, s.Alarms = []string{"a", "b"}, 256, 7, new(true)
			}),
		},
		{"-c queues= makes none", map[string]any{"cluster": "prod", "queues": ""}, defaults},
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

func TestReadContextNamesEveryProblem(t *testing.T) {
	for _, test := range []struct {
		name    string
		context map[string]any
		want    string
	}{
		{"no cluster", nil, "context cluster: is required: the name of the EKS cluster, in cdk.json or with -c cluster=NAME"},
		{
			"all at once, one a line",
			map[string]any{
				"cluster": "my cluster", "scaledObjects": "", "queues": []any{"orders.fifo", "a*", "b", "b-dead"},
				"architecture": "amd64", "memory": 64.0, "logRetentionDays": "31", "alarms": "no", "allarms": true,
			},
			`context alarms: must be true or false, got "no"
context cluster: must be an EKS cluster's name (letters, digits, - and _, at most 100), got "my cluster"
context scaledObjects: must be a folder, got ""; leave it out for scaledobjects
context queues: "orders.fifo": FIFO queues are not made here; make the queue elsewhere and name it in the ScaledObject
context queues: must be queue names (letters, digits, - and _, at most 75), got "a*"
context queues: "b-dead" is there twice, as a queue or as another's dead-letter queue; remove one
context architecture: must be arm64 or x86_64, got "amd64"
context memory: must be from 128 to 10240 MB, got 64
context logRetentionDays: must be one of 1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 3653, got 31
context allarms: is not known, got true; remove it or use one of alarms, architecture, cluster, logRetentionDays, memory, queues, scaledObjects`,
		},
		{
			"a value of the wrong type is one problem, not two",
			map[string]any{"cluster": 7.0, "queues": []any{"a", 1.0}, "memory": 128.5, "logRetentionDays": "month"},
			`context cluster: must be a text, got 7
context queues: must be a list of names such as ["orders"], got ["a",1]
context memory: must be a whole number, got 128.5
context logRetentionDays: must be a whole number, got "month"`,
		},
		{"0 is not the default", map[string]any{"cluster": "prod", "memory": 0.0}, "context memory: must be from 128 to 10240 MB, got 0"},
		{
			"a name's dead-letter queue must be free, in either order",
			map[string]any{"cluster": "prod", "queues": "b-dead,b"},
			`context queues: "b" is there twice, as a queue or as another's dead-letter queue; remove one`,
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
