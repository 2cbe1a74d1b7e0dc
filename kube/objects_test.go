package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const scaledObjects = "/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects"

// listed is a ScaledObject as an API server answers it, kubectl's and the server's own notes included.
func listed(name, version string, most int) map[string]any {
	return map[string]any{
		"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
		"metadata": map[string]any{
			"name": name, "namespace": "shop", "uid": "u-" + name, "resourceVersion": version, "generation": 1,
			"managedFields": []any{map[string]any{"manager": "kubectl"}},
			"annotations":   map[string]any{applied: "{…}", "leda.dev/policy": "keda"},
		},
		"spec":   map[string]any{"maxReplicaCount": most},
		"status": map[string]any{"originalReplicaCount": 2},
	}
}

func page(version, next string, items ...any) map[string]any {
	return map[string]any{"kind": "ScaledObjectList", "apiVersion": "keda.sh/v1alpha1", "metadata": map[string]any{"resourceVersion": version, "continue": next}, "items": items}
}

// change is an event of a watch.
func change(kind string, object any) string {
	text, _ := json.Marshal(map[string]any{"type": kind, "object": object})
	return string(text) + "\n"
}

func stream(w http.ResponseWriter, events ...string) {
	w.Header().Set("Content-Type", "application/json")
	for _, e := range events {
		fmt.Fprint(w, e)
	}
}

// answers serves requests in turn, each by the next one; query checks what the client asked by.
type answers struct {
	t    *testing.T
	next []http.HandlerFunc
	asks []url.Values
}

func (a *answers) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != scaledObjects || r.Method != http.MethodGet {
		a.t.Errorf("got %s %s", r.Method, r.URL.Path)
	}
	a.asks = append(a.asks, r.URL.Query())
	if len(a.next) == 0 {
		a.t.Errorf("nobody expected %s", r.URL)
		http.Error(w, "no", http.StatusTeapot)
		return
	}
	answer := a.next[0]
	a.next = a.next[1:]
	answer(w, r)
}

func (a *answers) say(next ...http.HandlerFunc) { a.next = next; a.asks = nil }

func says(body any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, body) }
}

func streams(events ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { stream(w, events...) }
}

func refuses(code int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { status(w, code, message) }
}

func held(o *Objects) []string {
	var all []string
	for name, object := range o.All() {
		var body struct {
			Spec struct{ MaxReplicaCount int }
		}
		_ = json.Unmarshal(object.Text, &body)
		all = append(all, fmt.Sprintf("%s=%d", name, body.Spec.MaxReplicaCount))
	}
	slices.Sort(all)
	return all
}

// A morning of one namespace, as the function sees it minute by minute.
func TestObjectsAreListedThenWatched(t *testing.T) {
	a := &answers{t: t}
	o := at(t, serve(t, a.serve)).Objects(ScaledObjects, "shop")
	gone := change("ERROR", map[string]any{"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 11 (20)"})
	for _, step := range []struct {
		what    string
		answers []http.HandlerFunc
		asks    []string // parts of each request's query
		changed bool
		err     string
		want    []string
	}{
		{
			"a list in two pages",
			[]http.HandlerFunc{says(page("10", "more", listed("a", "3", 1), listed("b", "4", 2))), says(page("10", "", listed("c", "5", 3)))},
			[]string{"limit=500", "continue=more&limit=500"},
			true, "",
			[]string{"a=1", "b=2", "c=3"},
		},
		{"nothing changes", []http.HandlerFunc{streams()}, []string{"allowWatchBookmarks=true&resourceVersion=10&timeoutSeconds=1&watch=1"}, false, "", []string{"a=1", "b=2", "c=3"}},
		{
			"one is made, one changed, one deleted",
			[]http.HandlerFunc{streams(change("ADDED", listed("d", "11", 4)), change("MODIFIED", listed("a", "12", 9)), change("DELETED", listed("b", "13", 2)))},
			[]string{"resourceVersion=10"},
			true, "",
			[]string{"a=9", "c=3", "d=4"},
		},
		{
			"a bookmark moves the place from which the next watch goes on",
			[]http.HandlerFunc{streams(change("BOOKMARK", map[string]any{"metadata": map[string]any{"resourceVersion": "15"}}))},
			[]string{"resourceVersion=13"},
			false, "",
			[]string{"a=9", "c=3", "d=4"},
		},
		{"the server is busy: all stays", []http.HandlerFunc{refuses(500, "etcd timed out")}, []string{"resourceVersion=15"}, false, "watch scaledobjects of namespace shop: 500", []string{"a=9", "c=3", "d=4"}},
		{
			"a stream that breaks off within a change: nothing of it is taken",
			[]http.HandlerFunc{streams(change("DELETED", listed("a", "16", 9)), `{"type":"DEL`)},
			[]string{"resourceVersion=15"},
			false, "broke off",
			[]string{"a=9", "c=3", "d=4"},
		},
		{
			"and it is asked for again from where it was",
			[]http.HandlerFunc{streams(change("DELETED", listed("a", "16", 9)), change("DELETED", listed("d", "17", 4)))},
			[]string{"resourceVersion=15"},
			true, "",
			[]string{"c=3"},
		},
		{"a change of a kind that nobody knows", []http.HandlerFunc{streams(change("RENAMED", listed("c", "18", 3)))}, []string{"resourceVersion=17"}, false, `"RENAMED" is not understood`, []string{"c=3"}},
		{
			"deleted and made again between two looks",
			[]http.HandlerFunc{streams(change("DELETED", listed("c", "19", 3)), change("ADDED", listed("c", "20", 7)))},
			[]string{"resourceVersion=17"},
			true, "",
			[]string{"c=7"},
		},
		{
			"the server does not remember that far back: they are listed",
			[]http.HandlerFunc{streams(gone), says(page("30", "", listed("e", "25", 5)))},
			[]string{"resourceVersion=20", "limit=500"},
			true, "",
			[]string{"e=5"},
		},
		{
			"which it may say at once",
			[]http.HandlerFunc{refuses(410, "too old"), says(page("40", "", listed("e", "25", 5), listed("f", "39", 6)))},
			[]string{"resourceVersion=30", "limit=500"},
			true, "",
			[]string{"e=5", "f=6"},
		},
		{
			"a list of which the second page fails is no list",
			[]http.HandlerFunc{refuses(410, "too old"), says(page("50", "more", listed("e", "25", 5))), refuses(500, "etcd timed out")},
			[]string{"resourceVersion=40", "limit=500", "continue=more"},
			false, "list scaledobjects of namespace shop: 500",
			[]string{"e=5", "f=6"},
		},
		{
			"a list that lasts too long for the server begins anew",
			[]http.HandlerFunc{refuses(410, "too old"), says(page("50", "more", listed("e", "25", 5))), refuses(410, "continue expired"), says(page("60", "", listed("g", "59", 1)))},
			[]string{"resourceVersion=40", "limit=500", "continue=more", "limit=500"},
			true, "",
			[]string{"g=1"},
		},
	} {
		a.say(step.answers...)
		changed, err := o.Update(t.Context())
		if changed != step.changed || (err == nil) != (step.err == "") || err != nil && !strings.Contains(err.Error(), step.err) {
			t.Errorf("%s: got %t, %v; want %t, %q", step.what, changed, err, step.changed, step.err)
		}
		if got := held(o); !slices.Equal(got, step.want) {
			t.Errorf("%s: got %q, want %q", step.what, got, step.want)
		}
		if len(a.asks) != len(step.asks) {
			t.Errorf("%s: it was asked %q, want %q", step.what, a.asks, step.asks)
			continue
		}
		for i, ask := range step.asks {
			wanted, _ := url.ParseQuery(ask)
			for key := range wanted {
				if a.asks[i].Get(key) != wanted.Get(key) {
					t.Errorf("%s: request %d has %q, want %q", step.what, i, a.asks[i].Encode(), ask)
				}
			}
		}
	}
}

func TestWhatIsNoListChangesNothing(t *testing.T) {
	for _, row := range []struct {
		rule   string
		answer http.HandlerFunc
		wanted error
		says   string
	}{
		{"no right", refuses(403, "scaledobjects.keda.sh is forbidden"), ErrForbidden, "the Role in namespace shop does not allow list on scaledobjects: apply `leda rbac -source cluster`"},
		{"no such kind", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, ErrNotFound, "the cluster has no scaledobjects of keda.sh/v1alpha1: apply `leda crds`, or install KEDA's"},
		{"another list", says(map[string]any{"kind": "PodList", "metadata": map[string]any{"resourceVersion": "1"}, "items": []any{}}), nil, `kind "PodList"`},
		{"a list without a version", says(page("", "")), nil, "no list of them"},
		{"a page of something between", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, nil, "no list"},
		{"an item that is no object", says(page("1", "", map[string]any{"metadata": map[string]any{"name": "x"}})), nil, "it has no resourceVersion"},
	} {
		first := true
		o := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case first:
				first = false
				reply(w, http.StatusOK, page("1", "", listed("a", "1", 1)))
			case r.URL.Query().Get("watch") == "1":
				status(w, 410, "too old")
			default:
				row.answer(w, r)
			}
		})).Objects(ScaledObjects, "shop")
		if _, err := o.Update(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := o.Update(t.Context())
		if err == nil || !strings.Contains(err.Error(), row.says) || row.wanted != nil && !errors.Is(err, row.wanted) {
			t.Errorf("%s: got %v, want %q", row.rule, err, row.says)
		}
		if got := held(o); !slices.Equal(got, []string{"a=1"}) {
			t.Errorf("%s: got %q, want what there was", row.rule, got)
		}
	}
}

// A connection that ends within a watch costs the changes of that watch, until the next one.
func TestAWatchThatIsCut(t *testing.T) {
	n := 0
	o := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch n++; n {
		case 1:
			reply(w, http.StatusOK, page("1", "", listed("a", "1", 1)))
		case 2, 3: // it is tried once more over a new connection
			stream(w, change("DELETED", listed("a", "2", 1)))
			w.(http.Flusher).Flush()
			cut(r)
		default:
			stream(w)
		}
	})).Objects(ScaledObjects, "shop")
	for range 2 {
		_, _ = o.Update(t.Context())
	}
	if got := held(o); !slices.Equal(got, []string{"a=1"}) {
		t.Errorf("got %q, want what there was", got)
	}
	if _, err := o.Update(t.Context()); err != nil {
		t.Errorf("the next watch: %v", err)
	}
}

// What the server, kubectl and controllers note in an object is no reason to look at it anew.
func TestOnlyWhatPeopleWriteIsInTheText(t *testing.T) {
	o := (&Cluster{}).Objects(ScaledObjects, "shop")
	texts := map[string]bool{}
	for _, patch := range []map[string]any{
		{},
		{"resourceVersion": "8", "generation": 7},
		{"annotations": map[string]any{"leda.dev/policy": "keda", applied: "{another}"}},
		{"deletionTimestamp": "2026-01-05T12:00:00Z", "finalizers": []string{"finalizer.keda.sh"}},
	} {
		object := listed("a", "3", 1)
		metadata, _ := object["metadata"].(map[string]any)
		maps.Copy(metadata, patch)
		object["status"] = map[string]any{"n": len(texts)}
		text, _ := json.Marshal(object)
		opened, err := o.open(text)
		if err != nil {
			t.Fatal(err)
		}
		if opened.Deleting != (patch["deletionTimestamp"] != nil) || opened.UID != "u-a" || opened.Status == nil {
			t.Errorf("%v: got %+v", patch, opened)
		}
		texts[string(opened.Text)] = true
	}
	const want = `{"apiVersion":"keda.sh/v1alpha1","kind":"ScaledObject","metadata":{"name":"a","namespace":"shop","annotations":{"leda.dev/policy":"keda"}},"spec":{"maxReplicaCount":1}}`
	if len(texts) != 1 || !texts[want] {
		t.Errorf("got %q, want always %s", slices.Collect(maps.Keys(texts)), want)
	}
}

func TestExists(t *testing.T) {
	notFound := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			reply(w, 404, map[string]any{"kind": "Status", "code": 404, "reason": "NotFound", "message": `scaledobjects.keda.sh "orders" not found`, "details": map[string]any{"name": name, "group": "keda.sh", "kind": "scaledobjects"}})
		}
	}
	for _, row := range []struct {
		rule   string
		answer http.HandlerFunc
		want   bool
		err    string
	}{
		{"it is there", says(listed("orders", "1", 1)), true, ""},
		{"it is not", notFound("orders"), false, ""},
		{"the server does not know the kind", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, false, "leda crds"},
		{"it says so of another one", notFound(""), false, "leda crds"},
		{"it may not be asked for", refuses(403, "no"), false, "does not allow get"},
		{"no answer to rest on", refuses(500, "no"), false, "500"},
	} {
		s := serve(t, row.answer)
		got, err := at(t, s).Objects(ScaledObjects, "shop").Exists(t.Context(), "orders")
		if got != row.want || (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
			t.Errorf("%s: got %t, %v, want %t, %q", row.rule, got, err, row.want, row.err)
		}
		same(t, row.rule, s.requests(), "GET "+scaledObjects+"/orders")
	}
}
