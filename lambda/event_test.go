package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseWake(t *testing.T) {
	payload := func(name string) string {
		text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const orders = "arn:aws:sns:us-east-1:444455556666:orders"
	for _, row := range []struct {
		rule, event string
		want        wake
		err         string
	}{
		{"a tick is all targets of its shard", `{"tick":{"shard":2,"shards":8}}`, wake{all: true, tick: true, shard: 2, shards: 8}, ""},
		{"a shard beyond the last", `{"tick":{"shard":8,"shards":8}}`, wake{}, "shard must be from 0 to shards-1, got shard 8 of 8"},
		{"a tick without shards", `{"tick":{}}`, wake{}, "got shard 0 of 0"},
		{"an alarm names its target; its times are not RFC 3339", payload("alarm"), wake{rings: []ring{{target: "demo/shop/orders"}}}, ""},
		{"the same by EventBridge", payload("alarm-eventbridge"), wake{rings: []ring{{target: "demo/shop/orders"}}}, ""},
		{"the same by SNS", payload("alarm-sns"), wake{rings: []ring{{target: "demo/shop/orders", topic: "arn:aws:sns:us-east-1:444455556666:alarms"}}}, ""},
		{"a message on a topic that also feeds a queue", payload("doorbell-sns"), wake{rings: []ring{{topic: orders}}}, ""},
		{"several of them by a doorbell queue are one", payload("doorbell-sqs"), wake{rings: []ring{{topic: orders}}, queued: true}, ""},
		{
			"one record that is not understood does not stop the others", `{"Records":[{"eventSource":"aws:sqs","body":"order 17"},{"eventSource":"aws:sqs","body":"{\"TopicArn\":\"` + orders + `\"}"}]}`,
			wake{rings: []ring{{topic: orders}}, queued: true},
			`record 0 of the event ("aws:sqs") is no SNS message with its topic`,
		},
		{"a record of another source", `{"Records":[{"eventSource":"aws:s3"}]}`, wake{}, `record 0 of the event ("aws:s3") is no SNS message`},
		{"another event of EventBridge's", `{"source":"aws.ec2","detail":{"alarmName":"x"}}`, wake{}, "event is not understood"},
		{"an alarm of someone else's", `{"source":"aws.cloudwatch","alarmData":{"alarmName":"cpu"}}`, wake{}, `alarm "cpu" names no target`},
		{"targets", `{"targets":["shop/orders"]}`, wake{rings: []ring{{target: "shop/orders"}}, shards: 1}, ""},
		{"dryRun without targets is all of them", `{"dryRun":true}`, wake{all: true, dryRun: true, shards: 1}, ""},
		{"nothing", `{}`, wake{}, "a tick, a CloudWatch alarm, an SNS message, targets or dryRun was expected, got {}"},
		{"something else", `{"Records":[]}`, wake{}, `got {"Records":[]}`},
		{"no JSON", `hello`, wake{}, "event is not understood"},
		{"a wrong type", `{"targets":"shop/orders"}`, wake{}, "event is not understood"},
	} {
		got, err := parseWake([]byte(row.event))
		if diff := cmp.Diff(row.want, got, cmp.AllowUnexported(wake{}, ring{})); diff != "" {
			t.Errorf("%s: %s", row.rule, diff)
		}
		if (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
			t.Errorf("%s: got error %v, want %q", row.rule, err, row.err)
		}
	}
}

func FuzzParseWake(f *testing.F) {
	f.Add([]byte(`{"tick":{"shard":0,"shards":1}}`))
	f.Add([]byte(`{"source":"aws.cloudwatch","alarmData":{"alarmName":"Leda/demo/shop/orders/s0"}}`))
	for _, name := range []string{"alarm", "alarm-eventbridge", "alarm-sns", "doorbell-sns", "doorbell-sqs"} {
		text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	fleet := fleetOf(3)
	f.Fuzz(func(t *testing.T, event []byte) {
		w, err := parseWake(event)
		if err == nil && w.all && w.shards < 1 {
			t.Fatalf("%s: %+v", event, w)
		}
		targets, unknown := w.of(fleet)
		if err == nil && unknown == nil && len(targets) == 0 && !w.tick {
			t.Fatalf("%s: wakes nobody, and nobody is told: %+v", event, w)
		}
	})
}
