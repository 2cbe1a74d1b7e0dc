package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A wake says which targets an event asks to be looked at, and how. An event is a doorbell: nothing
// else in it is believed, so a late, repeated, reordered or forged one does no harm.
type wake struct {
	all     bool     // every target of the shard
	targets []string // else these: cluster/namespace/name, or namespace/name

	tick          bool // carry on looking until shortly before the next tick
	shard, shards int
	dryRun        bool // decide and report, change nothing
}

// parseWake reads the events that may wake the function:
//
//	{"tick":{"shard":0,"shards":1}}                      the schedule's
//	{"source":"aws.cloudwatch","alarmData":{…}}          a CloudWatch alarm's Lambda action
//	{"targets":["shop/orders"],"dryRun":true}            a direct invoke; each of the two may be left out
func parseWake(event json.RawMessage) (wake, error) {
	var e struct {
		Tick *struct {
			Shard  int `json:"shard"`
			Shards int `json:"shards"`
		} `json:"tick"`
		Source    string `json:"source"`
		AlarmData *struct {
			AlarmName string `json:"alarmName"`
		} `json:"alarmData"`
		Targets []string `json:"targets"`
		DryRun  bool     `json:"dryRun"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return wake{}, fmt.Errorf("event is not understood: %w: %s", err, excerpt(event))
	}
	switch {
	case e.Tick != nil:
		if e.Tick.Shards < 1 || e.Tick.Shard < 0 || e.Tick.Shard >= e.Tick.Shards {
			return wake{}, fmt.Errorf("event tick: shard must be from 0 to shards-1, got shard %d of %d", e.Tick.Shard, e.Tick.Shards)
		}
		return wake{all: true, tick: true, shard: e.Tick.Shard, shards: e.Tick.Shards}, nil
	case e.Source == "aws.cloudwatch" && e.AlarmData != nil:
		target, err := targetOfAlarm(e.AlarmData.AlarmName)
		return wake{targets: []string{target}}, err
	case len(e.Targets) > 0 || e.DryRun:
		return wake{all: len(e.Targets) == 0, targets: e.Targets, dryRun: e.DryRun, shards: 1}, nil
	}
	return wake{}, fmt.Errorf("event is not understood: a tick, a CloudWatch alarm, targets or dryRun was expected, got %s", excerpt(event))
}

// targetOfAlarm takes the target out of an alarm's name, <stack>/<cluster>/<namespace>/<name>/s<trigger>.
func targetOfAlarm(alarm string) (string, error) {
	parts := strings.Split(alarm, "/")
	if len(parts) != 5 || slices.Contains(parts, "") {
		return "", fmt.Errorf("alarm %q names no target: STACK/CLUSTER/NAMESPACE/NAME/TRIGGER was expected", alarm)
	}
	return strings.Join(parts[1:4], "/"), nil
}

// excerpt is enough of an event to recognise it by.
func excerpt(event json.RawMessage) string {
	const enough = 200
	if len(event) > enough {
		return string(event[:enough]) + "…"
	}
	return string(event)
}

// of returns the targets that w asks for. Unknown names are an error each; the others are served.
func (w wake) of(fleet []*target) ([]*target, error) {
	if w.all {
		return slices.DeleteFunc(slices.Clone(fleet), func(t *target) bool { return t.shard(w.shards) != w.shard }), nil
	}
	var wanted []*target
	var errs []error
	for _, name := range w.targets {
		var found []*target
		for _, t := range fleet {
			if t.ID() == name || t.Namespace+"/"+t.Name == name {
				found = append(found, t)
			}
		}
		switch len(found) {
		case 0:
			errs = append(errs, fmt.Errorf("there is no target %q: it may have been removed since, else deploy it", name))
		case 1:
			if !slices.Contains(wanted, found[0]) {
				wanted = append(wanted, found[0])
			}
		default:
			errs = append(errs, fmt.Errorf("target %q is in several clusters: name it as CLUSTER/%s", name, name))
		}
	}
	return wanted, errors.Join(errs...)
}
