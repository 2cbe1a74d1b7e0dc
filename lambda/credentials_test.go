package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/leda-autoscaler/leda/scaling"
)

const (
	readRole   = "arn:aws:iam::123456789012:role/read"
	secretPath = "/api/v1/namespaces/shop/secrets/aws"
)

// assumes makes an AWS that lets the function's own role assume any other, for an hour.
func assumes(a *amazon, c *clock) func(asked) answer {
	n := 0
	return func(r asked) answer {
		if r.key != "OWNKEY" {
			return failure("sts", http.StatusForbidden, "AccessDenied", "not by "+r.key)
		}
		n++
		role := aws.Credentials{AccessKeyID: fmt.Sprintf("ROLEKEY%d", n), SecretAccessKey: fmt.Sprintf("role-canary-secret-%d", n), SessionToken: fmt.Sprintf("role-canary-session-%d", n)}
		a.know(role)
		return answer{http.StatusOK, fmt.Sprintf(`<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>%s</AccessKeyId>`+
			`<SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
			role.AccessKeyID, role.SecretAccessKey, role.SessionToken, c.now().Add(time.Hour).Format(time.RFC3339))}
	}
}

func fromSecret(key string) scaling.Source {
	return scaling.Source{Kind: scaling.FromSecret, Name: "aws", Key: key}
}

func keysFrom(session bool) scaling.Authentication {
	keys := &scaling.KeyReferences{AccessKeyID: fromSecret("id"), SecretAccessKey: fromSecret("secret")}
	if session {
		keys.SessionToken = fromSecret("session")
	}
	return scaling.Authentication{Keys: keys}
}

func assumedBy(arn, externalID string) scaling.Authentication {
	return scaling.Authentication{Role: scaling.Role{ARN: arn, ExternalID: externalID}}
}

// reads is one reading, which must be good.
func reads(t *testing.T, m *meter, on *target) {
	t.Helper()
	if got := m.read(t.Context(), on)[0]; got.Err != nil {
		t.Fatal(got.Err)
	}
}

func TestAssumedRole(t *testing.T) {
	a, c := serveAWS(t), newClock()
	a.answer["sqs"], a.answer["sts"] = depth(7), assumes(a, c)
	m := newMeter(a, c)
	target := onQueue(nil, scaling.SQSTrigger{}, assumedBy(readRole, "canary-external"))

	reads(t, m, target)
	sts, sqs := a.requests("sts"), a.requests("sqs")
	if len(sts) != 1 || len(sqs) != 1 || sqs[0].key != "ROLEKEY1" || sts[0].region != "eu-west-1" {
		t.Fatalf("STS was asked %+v, SQS %+v", sts, sqs)
	}
	form, err := url.ParseQuery(sts[0].body)
	if err != nil || form.Get("RoleArn") != readRole || form.Get("ExternalId") != "canary-external" || form.Get("RoleSessionName") != "leda" || form.Get("Action") != "AssumeRole" {
		t.Errorf("STS was asked %v, %v", form, err)
	}

	c.pass(54 * time.Minute)
	reads(t, m, target)
	if n := len(a.requests("sts")); n != 0 {
		t.Errorf("6 minutes before they expire the credentials are renewed %d times", n)
	}
	c.pass(time.Minute)
	reads(t, m, target)
	reads(t, m, target)
	if n := len(a.requests("sts")); n != 1 {
		t.Errorf("5 minutes before they expire the credentials are renewed %d times, want once", n)
	}
	if sqs := a.requests("sqs"); sqs[len(sqs)-1].key != "ROLEKEY2" {
		t.Errorf("SQS was asked with %s", sqs[len(sqs)-1].key)
	}
}

func TestRolesAreShared(t *testing.T) {
	a, c := serveAWS(t), newClock()
	a.answer["sqs"], a.answer["sts"] = depth(7), assumes(a, c)
	m := newMeter(a, c)
	target := onQueue(nil, scaling.SQSTrigger{}, assumedBy(readRole, ""))
	for range 9 {
		target.Triggers = append(target.Triggers, target.Triggers[0])
	}
	for _, reading := range m.read(t.Context(), target) {
		if reading.Err != nil {
			t.Fatal(reading.Err)
		}
	}
	if _, err := (asRole{m.identities.roles, role{arn: readRole, region: "eu-west-1"}}).Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(a.requests("sts")); n != 1 {
		t.Errorf("ten triggers and a cluster with one role asked STS %d times", n)
	}
	for _, other := range []struct{ arn, externalID, region string }{
		{readRole, "x", "eu-west-1"}, {readRole, "", "ap-south-2"}, {"arn:aws:iam::123456789012:role/other", "", "eu-west-1"},
	} {
		another := onQueue(nil, scaling.SQSTrigger{}, assumedBy(other.arn, other.externalID))
		another.Triggers[0].SQS.Region = other.region
		reads(t, m, another)
		if sts := a.requests("sts"); len(sts) != 1 || sts[0].region != other.region {
			t.Errorf("%+v: STS was asked %+v", other, sts)
		}
	}
}

func TestRoleDenied(t *testing.T) {
	a, c := serveAWS(t), newClock()
	a.answer["sqs"] = depth(7)
	a.answer["sts"] = func(asked) answer {
		return failure("sts", http.StatusForbidden, "AccessDenied", "User: arn:aws:sts::1:assumed-role/leda/leda is not authorized to perform: sts:AssumeRole on resource: "+readRole)
	}
	got := newMeter(a, c).read(t.Context(), onQueue(nil, scaling.SQSTrigger{}, assumedBy(readRole, "canary-external")))[0]
	want := `read depth of queue "orders": assume role ` + readRole + `: 403 Forbidden: AccessDenied: User: arn:aws:sts::1:assumed-role/leda/leda is not authorized to perform: sts:AssumeRole on resource: ` + readRole +
		`; the role's trust policy must allow sts:AssumeRole to the function's role with the external ID of the TriggerAuthentication, and the function's role needs sts:AssumeRole on it`
	if got.Err == nil || got.Err.Error() != want {
		t.Errorf("got %v\nwant %s", got.Err, want)
	}
	if n := len(a.requests("sts")); n != 2 {
		t.Errorf("STS was asked %d times, want twice", n)
	}
}

func TestARoleServesToItsEndWhenRenewingFails(t *testing.T) {
	a, c := serveAWS(t), newClock()
	a.answer["sqs"], a.answer["sts"] = depth(7), assumes(a, c)
	m := newMeter(a, c)
	target := onQueue(nil, scaling.SQSTrigger{}, assumedBy(readRole, ""))
	reads(t, m, target)
	a.answer["sts"] = func(asked) answer { return failure("sts", http.StatusServiceUnavailable, "ServiceUnavailable", "") }
	c.pass(56 * time.Minute)
	a.requests("sts")
	reads(t, m, target)
	asked := len(a.requests("sts"))
	reads(t, m, target)
	if n := len(a.requests("sts")); asked != 3 || n != 0 {
		t.Errorf("STS was asked %d times and %d more at once, want 3 as the SDK does, and 0", asked, n)
	}
	c.pass(4 * time.Minute)
	if got := m.read(t.Context(), target)[0]; got.Err == nil {
		t.Error("credentials are used after they expired")
	}
}

// What AWS does not know any more is read anew, once; what fails for another reason is kept.
func TestKeysAreReadAnew(t *testing.T) {
	for _, row := range []struct {
		rule   string
		before func(a *amazon, s *apiServer) // what happens between two readings
		good   bool
		reads  int // of the Secret, by the second reading
	}{
		{"nothing happens", func(*amazon, *apiServer) {}, true, 0},
		{"the session expires, and there is another", func(a *amazon, s *apiServer) {
			a.revoke("KEY1")
			a.know(aws.Credentials{AccessKeyID: "KEY2", SecretAccessKey: "canary-secret-2", SessionToken: "canary-session-2"})
			s.putSecret("shop", "aws", "id", "KEY2", "secret", "canary-secret-2\n", "session", "canary-session-2")
		}, true, 1},
		{"the Secret is wrong at first", func(a *amazon, s *apiServer) {
			a.revoke("KEY1")
			s.putSecret("shop", "aws", "id", "KEY2", "secret", "canary-secret-1", "session", "canary-session-1")
		}, false, 1},
		{"the queue is gone", func(a *amazon, _ *apiServer) {
			a.answer["sqs"] = func(asked) answer { return failure("sqs", http.StatusBadRequest, "QueueDoesNotExist", "") }
		}, false, 0},
		{"SQS cannot now", func(a *amazon, _ *apiServer) {
			a.answer["sqs"] = func(asked) answer { return failure("sqs", http.StatusServiceUnavailable, "ServiceUnavailable", "") }
		}, false, 0},
		{"the key may not", func(a *amazon, _ *apiServer) {
			a.answer["sqs"] = func(asked) answer { return failure("sqs", http.StatusForbidden, "AccessDenied", "") }
		}, false, 1},
	} {
		a, c := serveAWS(t), newClock()
		s := serveKubernetes(t, a)
		a.answer["sqs"] = depth(7)
		a.know(aws.Credentials{AccessKeyID: "KEY1", SecretAccessKey: "canary-secret-1", SessionToken: "canary-session-1"})
		s.putSecret("shop", "aws", "id", "KEY1", "secret", "canary-secret-1", "session", "canary-session-1")
		m := newMeter(a, c)
		target := onQueue(s.cluster, scaling.SQSTrigger{}, keysFrom(true))
		reads(t, m, target)
		if n := s.reads(secretPath); n != 1 {
			t.Errorf("%s: the Secret's three entries are read %d times, want together", row.rule, n)
		}
		c.pass(24 * time.Hour)
		row.before(a, s)
		got := m.read(t.Context(), target)[0]
		if (got.Err == nil) != row.good {
			t.Errorf("%s: got %v", row.rule, got.Err)
		}
		if n := s.reads(secretPath); n != row.reads {
			t.Errorf("%s: the Secret is read %d times, want %d", row.rule, n, row.reads)
		}
		noCanary(t, row.rule, got)
	}
}

// noCanary fails when a reading shows what nobody is to see.
func noCanary(t *testing.T, rule string, got scaling.Reading) {
	t.Helper()
	if text := fmt.Sprintf("%v %+v", got.Err, got); strings.Contains(text, "canary") {
		t.Errorf("%s: a secret is shown: %s", rule, text)
	}
}

func TestWhereKeysAreKept(t *testing.T) {
	const template = `{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"ID","value":"KEY1"},{"name":"KEY","value":"canary-secret-1"},{"name":"FROM","valueFrom":{"secretKeyRef":{}}}]},
		{"name":"side","env":[{"name":"KEY","value":"canary-other"}]}]}}}}`
	configMap := scaling.Source{Kind: scaling.FromConfigMap, Name: "ids", Key: "id"}
	env := func(name, container string) scaling.Source {
		return scaling.Source{Kind: scaling.FromEnv, Name: name, Key: container}
	}
	both := func(id, secret scaling.Source, cluster bool) scaling.Authentication {
		return scaling.Authentication{Keys: &scaling.KeyReferences{AccessKeyID: id, SecretAccessKey: secret}, Cluster: cluster}
	}
	for _, row := range []struct {
		rule string
		as   scaling.Authentication
		want string // in the error; empty for a good reading
	}{
		{"a Secret", keysFrom(false), ""},
		{"a ConfigMap and a Secret", both(configMap, fromSecret("secret"), false), ""},
		{"the environment of the first container", both(env("ID", ""), env("KEY", ""), false), ""},
		{"of the one that is named", both(env("ID", "main"), env("KEY", "main"), false), ""},
		{"a variable with another source", both(env("ID", ""), env("FROM", ""), false), "read env FROM of Deployment shop/orders: container main: it has valueFrom, which is not read"},
		{"a container that is not there", both(env("ID", ""), env("KEY", "other"), false), "read env KEY of Deployment shop/orders: it has no container other"},
		{"the namespace of cluster objects", both(fromSecret("id"), fromSecret("secret"), true), "read Secret keda/aws: it has no entry \"id\""},
		{"a cluster's, but of the workload's environment", both(env("ID", ""), env("KEY", ""), true), ""},
		{"a Secret that is not there", both(scaling.Source{Kind: scaling.FromSecret, Name: "none", Key: "id"}, fromSecret("secret"), false), "read Secret shop/none: create it, or mend what refers to it"},
		{"a right that is not there", both(scaling.Source{Kind: scaling.FromSecret, Name: "hidden", Key: "id"}, fromSecret("secret"), false), "the Role in namespace shop does not allow get on secrets of hidden: apply `leda rbac`"},
		{"an entry that is not there", both(fromSecret("none"), fromSecret("secret"), false), `read Secret shop/aws: it has no entry "none", or an empty one`},
		{"what is no Secret", both(scaling.Source{Kind: scaling.FromSecret, Name: "broken", Key: "id"}, fromSecret("secret"), false), "read Secret shop/broken: the answer is no Secret"},
		{"what is not base64", both(scaling.Source{Kind: scaling.FromSecret, Name: "plain", Key: "id"}, fromSecret("secret"), false), `read Secret shop/plain: its entry "id" is not base64`},
		{"a role's ARN", scaling.Authentication{Role: scaling.Role{ARNFrom: scaling.Source{Kind: scaling.FromConfigMap, Name: "ids", Key: "role"}}}, ""},
		{"what is no role's ARN", scaling.Authentication{Role: scaling.Role{ARNFrom: fromSecret("secret")}}, "Secret aws: must be arn:aws:iam::ACCOUNT:role/NAME"},
	} {
		a, c := serveAWS(t), newClock()
		s := serveKubernetes(t, a)
		a.answer["sqs"], a.answer["sts"] = depth(7), assumes(a, c)
		a.know(aws.Credentials{AccessKeyID: "KEY1", SecretAccessKey: "canary-secret-1"})
		s.putSecret("shop", "aws", "id", "KEY1", "secret", "canary-secret-1")
		s.putSecret("keda", "aws", "other", "canary-other")
		s.put("/api/v1/namespaces/shop/secrets/hidden", "forbidden")
		s.put("/api/v1/namespaces/shop/secrets/broken", `{"data":"canary"}`)
		s.put("/api/v1/namespaces/shop/secrets/plain", `{"data":{"id":"canary!"}}`)
		s.put("/api/v1/namespaces/shop/configmaps/ids", `{"data":{"id":"KEY1","role":"`+readRole+`"}}`)
		s.put("/apis/apps/v1/namespaces/shop/deployments/orders", template)
		got := newMeter(a, c).read(t.Context(), onQueue(s.cluster, scaling.SQSTrigger{}, row.as))[0]
		switch {
		case row.want == "" && got.Err != nil:
			t.Errorf("%s: %v", row.rule, got.Err)
		case row.want != "" && (got.Err == nil || !strings.Contains(got.Err.Error(), row.want)):
			t.Errorf("%s: got %v, want %s", row.rule, got.Err, row.want)
		}
		noCanary(t, row.rule, got)
	}
}

// A role's ARN that is kept in the cluster is followed within a minute, and at once when AWS refuses the old one.
func TestRoleARNIsReadAnew(t *testing.T) {
	a, c := serveAWS(t), newClock()
	s := serveKubernetes(t, a)
	a.answer["sqs"], a.answer["sts"] = depth(7), assumes(a, c)
	s.putSecret("shop", "aws", "role", readRole)
	m := newMeter(a, c)
	target := onQueue(s.cluster, scaling.SQSTrigger{}, scaling.Authentication{Role: scaling.Role{ARNFrom: fromSecret("role")}})
	reads(t, m, target)
	reads(t, m, target)
	if n := s.reads(secretPath); n != 1 {
		t.Errorf("read %d times, want once", n)
	}
	c.pass(time.Minute)
	reads(t, m, target)
	if n := s.reads(secretPath); n != 1 {
		t.Errorf("read %d times after a minute, want once", n)
	}
	a.revoke("ROLEKEY1")
	reads(t, m, target)
	if n, sts := s.reads(secretPath), len(a.requests("sts")); n != 1 || sts != 2 {
		t.Errorf("after a refusal read %d times, and assumed %d times in all; want 1 and 2", n, sts)
	}
}

func TestQueueURLFromTheEnvironment(t *testing.T) {
	const path = "/apis/apps/v1/namespaces/shop/deployments/orders"
	deployment := func(queue string) string {
		return `{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"QUEUE","value":"` + queue + `"}]}]}}}}`
	}
	a, c := serveAWS(t), newClock()
	s := serveKubernetes(t, a)
	a.answer["sqs"] = func(r asked) answer {
		if strings.Contains(r.body, "gone") {
			return failure("sqs", http.StatusBadRequest, "QueueDoesNotExist", "")
		}
		return depth(7)(r)
	}
	m := newMeter(a, c)
	target := onQueue(s.cluster, scaling.SQSTrigger{QueueURLFrom: scaling.Source{Kind: scaling.FromEnv, Name: "QUEUE"}}, scaling.Authentication{})
	for _, step := range []struct {
		what   string
		passes time.Duration
		queue  string // in the Deployment from now on
		asked  string // for which queue, at last; empty for none
		reads  int
	}{
		{"the first look", 0, "orders", "orders", 1},
		{"changed at once is not seen", time.Second, "orders-2", "orders", 0},
		{"but within a minute", 59 * time.Second, "orders-2", "orders-2", 1},
		{"a URL", time.Minute, "https://sqs.eu-west-1.amazonaws.com/123456789012/gone", "https://sqs.eu-west-1.amazonaws.com/123456789012/gone", 2},
		{"a failure reads anew", time.Second, "orders-3", "orders-3", 1},
		{"what is no queue", time.Minute, "canary://x", "", 2},
	} {
		c.pass(step.passes)
		s.put(path, deployment(step.queue))
		got := m.read(t.Context(), target)[0]
		requests, n := a.requests("sqs"), s.reads(path)
		if step.asked == "" {
			if got.Err == nil || !strings.Contains(got.Err.Error(), "env QUEUE of Deployment shop/orders: must be https://sqs.REGION") || len(requests) != 0 {
				t.Errorf("%s: got %+v, %v", step.what, got, requests)
			}
		} else if url, _ := attributes(t, requests[len(requests)-1]); url != step.asked || n != step.reads {
			t.Errorf("%s: asked for %s with %d reads of the Deployment, want %s with %d", step.what, url, n, step.asked, step.reads)
		}
		noCanary(t, step.what, got)
	}
}
