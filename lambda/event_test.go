package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseWake(t *testing.T) {
	alarm, err := os.ReadFile(filepath.Join("testdata", "alarm.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		rule, event string
		want        wake
		err         string
	}{
		{"a tick is all targets of its shard", `{"tick":{"shard":2,"shards":8}}`, wake{all: true, tick: true, shard: 2, shards: 8}, ""},
		{"a shard beyond the last", `{"tick":{"shard":8,"shards":8}}`, wake{}, "shard must be from 0 to shards-1, got shard 8 of 8"},
		{"a tick without shards", `{"tick":{}}`, wake{}, "got shard 0 of 0"},
		{"an alarm names its target; its times are not RFC 3339", string(alarm), wake{targets: []string{"demo/shop/orders"}}, ""},
		{"an alarm of someone else's", `{"source":"aws.cloudwatch","alarmData":{"alarmName":"cpu"}}`, wake{targets: []string{""}}, `alarm "cpu" names no target`},
		{"targets", `{"targets":["shop/orders"]}`, wake{targets: []string{"shop/orders"}, shards: 1}, ""},
		{"dryRun without targets is all of them", `{"dryRun":true}`, wake{all: true, dryRun: true, shards: 1}, ""},
		{"nothing", `{}`, wake{}, "a tick, a CloudWatch alarm, targets or dryRun was expected, got {}"},
		{"something else", `{"Records":[]}`, wake{}, `got {"Records":[]}`},
		{"no JSON", `hello`, wake{}, "event is not understood"},
		{"a wrong type", `{"targets":"shop/orders"}`, wake{}, "event is not understood"},
	} {
		got, err := parseWake([]byte(row.event))
		if diff := cmp.Diff(row.want, got, cmp.AllowUnexported(wake{})); diff != "" {
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
	f.Fuzz(func(t *testing.T, event []byte) {
		w, err := parseWake(event)
		if err == nil && w.all && w.shards < 1 {
			t.Fatalf("%s: %+v", event, w)
		}
	})
}
