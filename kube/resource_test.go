package kube

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/leda-autoscaler/leda/scaling"
)

func TestGuessedResources(t *testing.T) {
	for _, row := range []struct{ apiVersion, kind, want string }{
		{"apps/v1", "Deployment", "/apis/apps/v1 deployments"},
		{"v1", "ReplicationController", "/api/v1 replicationcontrollers"},
		{"example.com/v1", "Proxy", "/apis/example.com/v1 proxies"},
		{"example.com/v1", "Gas", "/apis/example.com/v1 gases"},
		{"example.com/v1", "MyEndpoints", "/apis/example.com/v1 myendpoints"},
	} {
		r := guess(scaling.TargetRef{APIVersion: row.apiVersion, Kind: row.kind})
		if got := r.root() + " " + r.name; got != row.want {
			t.Errorf("%s %s: got %s, want %s", row.apiVersion, row.kind, got, row.want)
		}
	}
}

// cattle is a cluster with kinds of its own, of which Ox has a plural that nobody guesses.
type cattle struct {
	*server
	mu        sync.Mutex
	plural    string
	resources []map[string]any
	refuse    int // with this status, if any
}

func (a *cattle) set(change func()) { a.mu.Lock(); defer a.mu.Unlock(); change() }

func newCattle(t *testing.T) *cattle {
	kind := func(name, kind string, namespaced bool) map[string]any {
		return map[string]any{"name": name, "kind": kind, "namespaced": namespaced, "verbs": []string{"get"}}
	}
	a := &cattle{plural: "oxen"}
	a.resources = []map[string]any{
		kind("oxen", "Ox", true), kind("oxen/status", "Ox", true), kind("oxen/scale", "Scale", true),
		kind("carts", "Cart", true), kind("carts/status", "Cart", true),
		kind("farms", "Farm", false), kind("farms/scale", "Scale", false),
	}
	a.server = serve(t, func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		switch {
		case r.URL.Path == "/apis/farm.example/v1" && a.refuse == 404:
			http.Error(w, "404 page not found", http.StatusNotFound)
		case r.URL.Path == "/apis/farm.example/v1" && a.refuse != 0:
			status(w, a.refuse, "no")
		case r.URL.Path == "/apis/farm.example/v1":
			reply(w, 200, map[string]any{"kind": "APIResourceList", "groupVersion": "farm.example/v1", "resources": a.resources})
		case r.URL.Path == "/apis/farm.example/v1/namespaces/shop/"+a.plural+"/bob/scale":
			reply(w, 200, scaleOf(1))
		case strings.HasSuffix(r.URL.Path, "/forbidden/scale"):
			status(w, 403, "no")
		default:
			status(w, 404, "not found")
		}
	})
	return a
}

func of(kind, name string) *scaling.ScaledObject {
	return &scaling.ScaledObject{Namespace: "shop", Name: name, Target: scaling.TargetRef{APIVersion: "farm.example/v1", Kind: kind, Name: name}}
}

const (
	kindsOfFarm = "GET /apis/farm.example/v1"
	scaleOfBob  = "GET /apis/farm.example/v1/namespaces/shop/oxen/bob/scale"
)

func TestTheClusterIsAskedForItsKindsOnce(t *testing.T) {
	farm := newCattle(t)
	c := at(t, farm.server)
	if err := errors.Join(everybody(t, c, of("Ox", "bob"), 50)...); err != nil {
		t.Fatal(err)
	}
	if asked, read := farm.count(kindsOfFarm), farm.count(scaleOfBob); asked != 1 || read != 50 {
		t.Errorf("asked for kinds %d times and for the scale %d times, want 1 and 50", asked, read)
	}
}

func TestKindsThatCannotBeScaled(t *testing.T) {
	for _, row := range []struct {
		rule   string
		o      *scaling.ScaledObject
		refuse int
		want   string
	}{
		{"no such kind", of("Horse", "x"), 0, "farm.example/v1 has no kind Horse in this cluster: mend apiVersion and kind of scaleTargetRef"},
		{"no scale subresource", of("Cart", "x"), 0, "kind Cart of farm.example/v1 has no scale subresource"},
		{"a kind that is in no namespace", of("Farm", "x"), 0, "has no kind Farm"},
		{"no such group", of("Ox", "bob"), 404, "the cluster has no farm.example/v1: install what brings kind Ox, or mend"},
		{"discovery is not allowed", of("Ox", "bob"), 403, "bind ClusterRole system:discovery"},
		{"discovery fails", of("Ox", "bob"), 500, "the cluster does not say what kinds farm.example/v1 has (500"},
		{"a Role for the guessed name", of("Ox", "forbidden"), 0, "the cluster calls kind Ox oxen, and `leda rbac` can only guess oxs; put its name into the Role"},
		{"no such workload", of("Ox", "alice"), 0, "create the workload"},
	} {
		farm := newCattle(t)
		farm.refuse = row.refuse
		c := at(t, farm.server)
		for range 3 {
			if _, err := c.Scale(t.Context(), row.o); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%s: got %v, want %q", row.rule, err, row.want)
			}
		}
		if n := farm.count(kindsOfFarm); n != 1 {
			t.Errorf("%s: three looks asked for kinds %d times, want 1", row.rule, n)
		}
	}
}

func TestKindsThatChange(t *testing.T) {
	farm, clock := newCattle(t), &clock{now: noon()}
	c := at(t, farm.server)
	c.Now = clock.Now
	read := func() error { _, err := c.Scale(t.Context(), of("Ox", "bob")); return err }

	farm.set(func() { farm.refuse = 404 })
	if err := read(); !errors.Is(err, ErrNotFound) {
		t.Errorf("before the kind is installed: got %v", err)
	}
	farm.set(func() { farm.refuse = 0 })
	clock.pass(rediscoverInterval)
	if err := read(); err != nil {
		t.Errorf("a minute after it was: %v", err)
	}

	farm.set(func() {
		farm.plural = "oxes"
		farm.resources[0]["name"], farm.resources[2]["name"] = "oxes", "oxes/scale"
	})
	if err := read(); err == nil {
		t.Error("within the minute it is not asked again")
	}
	clock.pass(rediscoverInterval)
	if err := read(); err != nil {
		t.Errorf("its path answers 404, so it is asked again: %v", err)
	}

	farm.set(func() { farm.plural, farm.resources = "none", farm.resources[:1] })
	clock.pass(rediscoverInterval)
	if err := read(); err == nil || !strings.Contains(err.Error(), "has no scale subresource") {
		t.Errorf("got %v, want that it cannot be scaled any more", err)
	}
}

func TestReady(t *testing.T) {
	const path = "/apis/apps/v1/namespaces/shop/deployments/web/status"
	for _, row := range []struct {
		rule   string
		code   int
		answer map[string]any
		want   int32
		says   string
	}{
		{"as many as the controller counts", 200, map[string]any{"kind": "Deployment", "status": map[string]any{"replicas": 3, "readyReplicas": 2}}, 2, ""},
		{"none are not written", 200, map[string]any{"kind": "Deployment", "status": map[string]any{"replicas": 3}}, 0, ""},
		{"another object", 200, map[string]any{"kind": "Scale"}, 0, `the answer is kind "Scale"`},
		{"no right", 403, map[string]any{"kind": "Status", "message": "no"}, 0, "does not allow get on deployments/status of web: apply `leda rbac`"},
		{"no status", 404, map[string]any{"kind": "Status", "message": "no"}, 0, "has no status subresource, or the workload is gone"},
	} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, row.code, row.answer) })
		got, err := at(t, s).Ready(t.Context(), web())
		if got != row.want || (err == nil) != (row.says == "") || err != nil && !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: got %d, %v, want %d, %q", row.rule, got, err, row.want, row.says)
		}
		same(t, row.rule, s.requests(), "GET "+path)
	}
}
