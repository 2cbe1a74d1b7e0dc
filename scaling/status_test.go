package scaling

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lookedAt is when the looks of these tests were.
func lookedAt() time.Time { return time.Date(2026, 3, 2, 9, 3, 0, 500_000_000, time.UTC) }

func conditions(s Status) string {
	var parts []string
	for _, c := range s.Conditions {
		parts = append(parts, c.Type+"="+string(c.Status)+" "+c.Reason)
	}
	return strings.Join(parts, ", ")
}

func TestStatusHasKEDAsConditions(t *testing.T) {
	denied := errors.New("operation error SQS: GetQueueAttributes, https response error StatusCode: 403, RequestID: 6f1c-77, api error AccessDenied: not authorized")
	const quiet, unpaused = "Fallback=False NoFallbackFound", "Paused=False "
	zero, two := number32(0), number32(2)
	idle := []Reading{{Trigger: "s0"}}
	for _, row := range []struct {
		rule     string
		object   ScaledObject
		decision Decision
		problems Problems
		want     string
		message  string // a part of Ready's
	}{
		{"with work", ScaledObject{}, Decision{Active: true, To: 3}, nil, "Ready=True ScaledObjectReady, Active=True ScalerActive, " + quiet + ", " + unpaused, readyMessage},
		{"without work, at zero", ScaledObject{}, Decision{Readings: idle}, nil, "Ready=True ScaledObjectReady, Active=False ScalerNotActive, " + quiet + ", " + unpaused, ""},
		{"without work, above zero", ScaledObject{}, Decision{To: 1, Readings: idle}, nil, "Ready=True ScaledObjectReady, Active=False ScalerCooldown, " + quiet + ", " + unpaused, ""},
		{"without work, and never to go to zero", ScaledObject{MinReplicaCount: two}, Decision{To: 2, Readings: idle}, nil, "Ready=True ScaledObjectReady, Active=False ScalerNotActive, " + quiet + ", " + unpaused, ""},
		{"without work, above idle", ScaledObject{IdleReplicaCount: zero, MinReplicaCount: two}, Decision{To: 2, Readings: idle}, nil, "Ready=True ScaledObjectReady, Active=False ScalerCooldown, " + quiet + ", " + unpaused, ""},
		{"a reading failed", ScaledObject{}, Decision{To: 1, Readings: []Reading{{Trigger: "s0", Err: denied}}}, nil, "Ready=False TriggerError, Active=False ScalerNotActive, " + quiet + ", " + unpaused, "not working correctly: s0: operation error SQS: GetQueueAttributes, https response error StatusCode: 403, api error AccessDenied: not authorized"},
		{"a reading failed beside an active one", ScaledObject{}, Decision{Active: true, To: 1, Readings: []Reading{{Trigger: "s0", Err: denied}, {Trigger: "s1", Active: true}}}, nil, "Ready=Unknown PartialTriggerError, Active=True ScalerActive, " + quiet + ", " + unpaused, "Some triggers defined"},
		{"a fallback not yet in force", ScaledObject{Fallback: &Fallback{FailureThreshold: 3, Replicas: 1}}, Decision{To: 1, Readings: []Reading{{Trigger: "s0", Err: denied}}, Memory: Memory{Failures: []Failure{{"s0", 3, lookedAt()}}}}, nil, "Ready=True ScaledObjectReady, Active=False ScalerNotActive, " + quiet + ", " + unpaused, ""},
		{"a fallback in force", ScaledObject{Fallback: &Fallback{FailureThreshold: 3, Replicas: 1}}, Decision{Active: true, To: 1, Readings: []Reading{{Trigger: "s0", Err: denied}}, Memory: Memory{Failures: []Failure{{"s0", 4, lookedAt()}}}}, nil, "Ready=Unknown PartialTriggerError, Active=True ScalerActive, Fallback=True FallbackExists, " + unpaused, ""},
		{"forced", ScaledObject{ForceActivation: true}, Decision{Active: true, To: 1}, nil, "Ready=True ScaledObjectReady, Active=True ScalerActive, " + quiet + ", " + unpaused, ""},
		{"paused: Active is what it was", ScaledObject{Pause: Pause{Paused: true}}, Decision{To: 1}, nil, "Ready=True ScaledObjectReady, Active=Unknown , " + quiet + ", Paused=True ScaledObjectPaused", pausedMessage},
		{"paused in one direction goes on", ScaledObject{Pause: Pause{ScaleIn: true}}, Decision{To: 1}, nil, "Ready=True ScaledObjectReady, Active=False ScalerNotActive, " + quiet + ", Paused=True ScaledObjectPaused", readyMessage},
		{
			"not valid: all problems, without the object's own name",
			ScaledObject{},
			Decision{},
			Problems{{Object: "ScaledObject shop/orders", Path: "spec.a", Message: "must be 1"}, {Object: "TriggerAuthentication shop/aws", Path: "spec.b", Message: "must be 2"}},
			"Ready=False ScaledObjectCheckFailed, Active=Unknown UnknownState, " + quiet + ", " + unpaused, "ScaledObject check failed: spec.a: must be 1; TriggerAuthentication shop/aws: spec.b: must be 2",
		},
	} {
		row.decision.At = lookedAt()
		got := StatusOf(&row.object, row.decision, row.problems, nil)
		if conditions(got) != row.want {
			t.Errorf("%s: got  %s\nwant %s", row.rule, conditions(got), row.want)
		}
		if message := got.Condition(ConditionReady).Message; !strings.Contains(message, row.message) {
			t.Errorf("%s: Ready says %q, want %q in it", row.rule, message, row.message)
		}
	}
}

func TestStatusIsWrittenAsKEDAWritesIt(t *testing.T) {
	parsed, err := Parse(File{"f.yaml", []byte(manifest(`
  fallback: {failureThreshold: 3, replicas: 2}
  triggers:
  - {type: aws-sqs-queue, authenticationRef: {name: leda}, metadata: {queueURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo", awsRegion: eu-west-1}}
  - {type: cron, name: day, metadata: {timezone: Europe/Berlin, start: "0 8 * * 1,2", end: "*/5 18 * * ?", desiredReplicas: "2"}}
`))})
	if err != nil {
		t.Fatal(err)
	}
	now := lookedAt()
	got, err := json.Marshal(StatusOf(&parsed.ScaledObjects[0], Decision{
		At: now, To: 2, Active: true,
		Readings: []Reading{{Trigger: "s0", Err: errors.New("timeout")}, {Trigger: "day", Active: true}},
		Memory:   Memory{LastActive: now.Add(time.Minute), Failures: []Failure{{"s0", 2, now}}}, // as read from what was stored
	}, nil, number32(4)))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"scaleTargetKind":"apps/v1.Deployment","scaleTargetGVKR":{"group":"apps","version":"v1","kind":"Deployment","resource":"deployments"},` +
		`"originalReplicaCount":4,"lastActiveTime":"2026-03-02T09:03:00Z",` +
		`"externalMetricNames":["s0-aws-sqs-orders-fifo","s1-cron-Europe-Berlin-08xx1Cm2-xSl518xxQm"],` +
		`"conditions":[` +
		`{"type":"Ready","status":"Unknown","reason":"PartialTriggerError","message":"Some triggers defined in ScaledObject are not working correctly: s0: timeout"},` +
		`{"type":"Active","status":"True","reason":"ScalerActive","message":"Scaling is performed because triggers are active"},` +
		`{"type":"Fallback","status":"False","reason":"NoFallbackFound","message":"No fallbacks are active on this scaled object"},` +
		`{"type":"Paused","status":"False"}],` +
		`"health":{"s0-aws-sqs-orders-fifo":{"numberOfFailures":2,"status":"Failing"},"s1-cron-Europe-Berlin-08xx1Cm2-xSl518xxQm":{"numberOfFailures":0,"status":"Happy"}},` +
		`"triggersActivity":{"s0-aws-sqs-orders-fifo":{"isActive":false},"s1-cron-Europe-Berlin-08xx1Cm2-xSl518xxQm":{"isActive":true}},` +
		`"triggersTypes":"aws-sqs-queue,cron","authenticationsTypes":"leda"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestStatusRemembersWhatWasBefore(t *testing.T) {
	now := lookedAt()
	status := func(o ScaledObject, d Decision) Status { d.At = now; return StatusOf(&o, d, nil, nil) }
	active := StatusOf(&ScaledObject{}, Decision{At: now, Active: true, To: 3, Memory: Memory{LastActive: now}}, nil, number32(5))
	paused := status(ScaledObject{Pause: Pause{Paused: true}}, Decision{To: 3}).After(active)
	unpaused := status(ScaledObject{}, Decision{To: 3}).After(paused)
	for _, row := range []struct{ rule, got, want string }{
		{"Active stays what it was through a pause", paused.Condition(ConditionActive).Reason, "ScalerActive"},
		{"the end of a pause is said", unpaused.Condition(ConditionPaused).Reason, "ScaledObjectUnpaused"},
		{"and goes on being said", status(ScaledObject{}, Decision{}).After(unpaused).Condition(ConditionPaused).Message, "pause annotation removed for ScaledObject"},
		{"what was never paused says nothing", status(ScaledObject{}, Decision{}).After(active).Condition(ConditionPaused).Reason, ""},
		{"the last active time stays", unpaused.LastActiveTime.Format(time.RFC3339), "2026-03-02T09:03:00Z"},
	} {
		if row.got != row.want {
			t.Errorf("%s: got %q, want %q", row.rule, row.got, row.want)
		}
	}
	if got := StatusOf(&ScaledObject{}, Decision{}, nil, number32(9)).After(unpaused).OriginalReplicaCount; got == nil || *got != 5 {
		t.Errorf("the first original size stays: got %v, want 5", got)
	}
}

func TestStatusIsWrittenOnlyWhenItChanged(t *testing.T) {
	status := func(change func(*Status)) Status {
		s := Status{
			ScaleTargetKind: "apps/v1.Deployment", ScaleTargetGVKR: &GVKR{Kind: "Deployment"}, OriginalReplicaCount: number32(1),
			LastActiveTime: lookedAt(), ExternalMetricNames: []string{"s0-aws-sqs-orders"},
			Conditions:       []Condition{{ConditionReady, False, "TriggerError", "dial tcp 10.0.0.1:443"}},
			Health:           map[string]Health{"s0-aws-sqs-orders": {1, "Failing"}},
			TriggersActivity: map[string]IsActive{"s0-aws-sqs-orders": {true}},
		}
		change(&s)
		return s
	}
	before := status(func(*Status) {})
	for _, row := range []struct {
		rule   string
		change func(*Status)
		same   bool
	}{
		{"nothing", func(*Status) {}, true},
		{"equal values elsewhere in memory", func(s *Status) { s.OriginalReplicaCount, s.ScaleTargetGVKR = number32(1), &GVKR{Kind: "Deployment"} }, true},
		{"the last active time, by less than a minute", func(s *Status) { s.LastActiveTime = s.LastActiveTime.Add(59 * time.Second) }, true},
		{"the last active time, by a minute", func(s *Status) { s.LastActiveTime = s.LastActiveTime.Add(time.Minute) }, false},
		{"a limit in a sentence", func(s *Status) {
			s.Conditions = []Condition{{ConditionReady, False, "TriggerError", "dial tcp 10.0.0.1:443: 9"}}
		}, false},
		{"an address in a sentence", func(s *Status) {
			s.Conditions = []Condition{{ConditionReady, False, "TriggerError", "dial tcp 10.0.0.2:443"}}
		}, true},
		{"a sentence", func(s *Status) { s.Conditions = []Condition{{ConditionReady, False, "TriggerError", "no such queue"}} }, false},
		{"a condition's status", func(s *Status) {
			s.Conditions = []Condition{{ConditionReady, True, "TriggerError", "dial tcp 10.0.0.1:443"}}
		}, false},
		{"a condition more", func(s *Status) { s.Conditions = append(s.Conditions, Condition{Type: ConditionPaused}) }, false},
		{"a trigger's activity", func(s *Status) { s.TriggersActivity = map[string]IsActive{"s0-aws-sqs-orders": {}} }, false},
		{"a failure more", func(s *Status) { s.Health = map[string]Health{"s0-aws-sqs-orders": {2, "Failing"}} }, false},
		{"a size set for a pause", func(s *Status) { s.PausedReplicaCount = number32(0) }, false},
		{"another kind", func(s *Status) { s.ScaleTargetGVKR = &GVKR{Kind: "StatefulSet"} }, false},
		{"another queue", func(s *Status) { s.ExternalMetricNames = []string{"s0-aws-sqs-bills"} }, false},
	} {
		if got := status(row.change).Same(before); got != row.same {
			t.Errorf("%s: the same: %t, want %t", row.rule, got, row.same)
		}
	}
}

func TestPatchTakesAwayWhatIsNoMore(t *testing.T) {
	before := Status{PausedReplicaCount: number32(3), TriggersActivity: map[string]IsActive{"old": {true}, "kept": {true}}, CompositeScalerName: "composite-metric"}
	got, err := Status{TriggersTypes: "cron", TriggersActivity: map[string]IsActive{"kept": {false}}}.Patch(before)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"status":{"compositeScalerName":null,"pausedReplicaCount":null,"triggersActivity":{"kept":{"isActive":false},"old":null},"triggersTypes":"cron"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestResourcesAreNamedAsKubernetesWould(t *testing.T) {
	for _, row := range []struct {
		target TargetRef
		want   [3]string
	}{
		{TargetRef{APIVersion: "apps/v1", Kind: "Deployment"}, [3]string{"apps", "v1", "deployments"}},
		{TargetRef{APIVersion: "v1", Kind: "ReplicationController"}, [3]string{"", "v1", "replicationcontrollers"}},
		{TargetRef{APIVersion: "example.com/v1", Kind: "Proxy"}, [3]string{"example.com", "v1", "proxies"}},
		{TargetRef{APIVersion: "example.com/v1", Kind: "Redis"}, [3]string{"example.com", "v1", "redises"}},
	} {
		if group, version, resource := row.target.Resource(); [3]string{group, version, resource} != row.want {
			t.Errorf("%v: got %s %s %s, want %v", row.target, group, version, resource, row.want)
		}
	}
}
