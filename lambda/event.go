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
	all   bool   // every target of the shard
	rings []ring // else these

	tick          bool // carry on looking until shortly before the next tick
	shard, shards int
	dryRun        bool // decide and report, change nothing
	queued        bool // SQS gives the event again after an error
}

// ring is one doorbell: a target by name, or those that are fed from a topic, or either.
type ring struct {
	target string // cluster/namespace/name, or namespace/name
	topic  string // the ARN of an SNS topic
}

// event is what there may be in one, of every kind that parseWake knows.
type event struct {
	Tick *struct {
		Shard  int `json:"shard"`
		Shards int `json:"shards"`
	} `json:"tick"`

	Source    string `json:"source"`
	AlarmData *struct {
		AlarmName string `json:"alarmName"`
	} `json:"alarmData"`
	Detail *struct {
		AlarmName string `json:"alarmName"`
	} `json:"detail"`

	Records []struct {
		EventSource string        `json:"eventSource"` // SNS writes it with a capital, which is the same to encoding/json
		Body        string        `json:"body"`
		SNS         *notification `json:"Sns"`
	} `json:"Records"`

	Targets []string `json:"targets"`
	DryRun  bool     `json:"dryRun"`
}

// notification is a message as SNS delivers it.
type notification struct {
	Type     string `json:"Type"`
	TopicARN string `json:"TopicArn"`
	Message  string `json:"Message"`
}

// parseWake reads the events that may wake the function:
//
//	{"tick":{"shard":0,"shards":1}}                       the schedule's
//	{"source":"aws.cloudwatch","alarmData":{…}}           a CloudWatch alarm's Lambda action
//	{"source":"aws.cloudwatch","detail":{"alarmName":…}}  the same alarm by EventBridge
//	{"Records":[{"EventSource":"aws:sns","Sns":{…}}]}     an SNS message: an alarm's, or of a topic that also feeds a queue
//	{"Records":[{"eventSource":"aws:sqs","body":"{…}"}]}  the same by way of a doorbell queue
//	{"targets":["shop/orders"],"dryRun":true}             a direct invoke; each of the two may be left out
//
// What is understood of an event with several records is returned with the error about the others.
func parseWake(text json.RawMessage) (wake, error) {
	var e event
	if err := json.Unmarshal(text, &e); err != nil {
		return wake{}, fmt.Errorf("event is not understood: %w: %s", err, excerpt(text))
	}
	switch {
	case e.Tick != nil:
		if e.Tick.Shards < 1 || e.Tick.Shard < 0 || e.Tick.Shard >= e.Tick.Shards {
			return wake{}, fmt.Errorf("event tick: shard must be from 0 to shards-1, got shard %d of %d", e.Tick.Shard, e.Tick.Shards)
		}
		return wake{all: true, tick: true, shard: e.Tick.Shard, shards: e.Tick.Shards}, nil
	case e.Source == "aws.cloudwatch" && e.AlarmData != nil:
		return ofAlarm(e.AlarmData.AlarmName)
	case e.Source == "aws.cloudwatch" && e.Detail != nil && e.Detail.AlarmName != "":
		return ofAlarm(e.Detail.AlarmName)
	case len(e.Records) > 0:
		return ofRecords(e)
	case len(e.Targets) > 0 || e.DryRun:
		w := wake{all: len(e.Targets) == 0, dryRun: e.DryRun, shards: 1}
		for _, name := range e.Targets {
			w.rings = append(w.rings, ring{target: name})
		}
		return w, nil
	}
	return wake{}, fmt.Errorf("event is not understood: a tick, a CloudWatch alarm, an SNS message, targets or dryRun was expected, got %s", excerpt(text))
}

func ofAlarm(name string) (wake, error) {
	target, ok := targetOfAlarm(name)
	if !ok {
		return wake{}, fmt.Errorf("alarm %q names no target: STACK/CLUSTER/NAMESPACE/NAME/TRIGGER was expected", name)
	}
	return wake{rings: []ring{{target: target}}}, nil
}

// targetOfAlarm takes the target out of an alarm's name, <stack>/<cluster>/<namespace>/<name>/s<trigger>.
func targetOfAlarm(name string) (target string, ok bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 5 || slices.Contains(parts, "") {
		return "", false
	}
	return strings.Join(parts[1:4], "/"), true
}

func ofRecords(e event) (wake, error) {
	var w wake
	var errs []error
	for i, r := range e.Records {
		message := r.SNS
		if r.EventSource == "aws:sqs" {
			w.queued = true
			if json.Unmarshal([]byte(r.Body), &message) != nil {
				message = nil
			}
		}
		if message == nil || message.TopicARN == "" {
			errs = append(errs, fmt.Errorf("record %d of the event (%q) is no SNS message with its topic; a subscription must not be one with raw message delivery", i, r.EventSource))
			continue
		}
		found := ring{topic: message.TopicARN}
		var alarm struct {
			AlarmName string `json:"AlarmName"`
		}
		if json.Unmarshal([]byte(message.Message), &alarm) == nil { // else it is whatever feeds the queue
			found.target, _ = targetOfAlarm(alarm.AlarmName)
		}
		if !slices.Contains(w.rings, found) {
			w.rings = append(w.rings, found)
		}
	}
	return w, errors.Join(errs...)
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
	for _, r := range w.rings {
		found, err := r.of(fleet)
		if err != nil {
			errs = append(errs, err)
		}
		for _, t := range found {
			if !slices.Contains(wanted, t) {
				wanted = append(wanted, t)
			}
		}
	}
	return wanted, errors.Join(errs...)
}

func (r ring) of(fleet []*target) ([]*target, error) {
	var named, fed []*target
	for _, t := range fleet {
		if t.ID() == r.target || t.Namespace+"/"+t.Name == r.target {
			named = append(named, t)
		}
		if r.topic != "" && t.Doorbell == r.topic {
			fed = append(fed, t)
		}
	}
	switch {
	case len(named) > 1:
		return fed, fmt.Errorf("target %q is in several clusters: name it as CLUSTER/%s", r.target, r.target)
	case len(named)+len(fed) > 0:
		return append(fed, named...), nil
	case r.target != "":
		return nil, fmt.Errorf("there is no target %q: it may have been removed since, else deploy it", r.target)
	}
	return nil, fmt.Errorf("no target has topic %s in its annotation leda.dev/doorbell: it may have been removed since, else deploy it", r.topic)
}
