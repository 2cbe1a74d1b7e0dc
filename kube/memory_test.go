package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// kept is an API server with one ConfigMap, which it changes for who knows its version only.
type kept struct {
	*server
	mu      sync.Mutex
	object  map[string]any
	version int
}

func keep(t *testing.T, object map[string]any) *kept {
	k := &kept{object: object}
	k.server = serve(t, func(w http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if r.Method == http.MethodPut {
			var next map[string]any
			if err := json.NewDecoder(r.Body).Decode(&next); err != nil {
				t.Error(err)
			}
			if next["metadata"].(map[string]any)["resourceVersion"] != strconv.Itoa(k.version) {
				status(w, http.StatusConflict, "the object has been modified")
				return
			}
			k.object = next
			k.version++
		}
		k.object["kind"] = "ConfigMap"
		k.object["metadata"] = map[string]any{"name": "leda-memory-0", "namespace": "shop", "resourceVersion": strconv.Itoa(k.version), "managedFields": []string{"long"}}
		reply(w, http.StatusOK, k.object)
	})
	return k
}

// becomes is somebody else's change.
func (k *kept) becomes(object map[string]any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.object = object
	k.version++
}

// data are the ConfigMap's entries.
func (k *kept) data() map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	data := map[string]string{}
	entries, _ := k.object["data"].(map[string]any)
	for name, text := range entries {
		data[name] = text.(string)
	}
	return data
}

func bucket(t *testing.T, s *server, targets ...string) *Bucket {
	c := at(t, s)
	c.Now = noon
	b := NewBucket(c, "shop", 0)
	if targets != nil {
		b.Own(targets...)
	}
	return b
}

// store remembers something of a target.
func store(t *testing.T, b *Bucket, target string, m scaling.Memory) error {
	t.Helper()
	r, err := b.Recall(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	return b.Remember(t.Context(), target, r, m)
}

func memory(age time.Duration) scaling.Memory {
	return scaling.Memory{Since: noon().Add(-age), Latest: scaling.Recommendation{Replicas: 3, At: noon().Add(-age)}}
}

func text(t *testing.T, age time.Duration) string {
	t.Helper()
	s, _, err := memory(age).Text(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMemoryOfTargetsThatAreGone(t *testing.T) {
	full := func(age time.Duration) map[string]any {
		data := map[string]any{}
		for i := range 600 { // 100 KB
			data[fmt.Sprintf("gone-%03d", i)] = text(t, age+time.Duration(i)*time.Minute) + strings.Repeat(" ", 60)
		}
		return data
	}
	for _, row := range []struct {
		rule string
		own  []string
		data map[string]any
		want func(map[string]string) bool
	}{
		{"another installation's is left alone", []string{"web"}, map[string]any{"theirs": text(t, 6*24*time.Hour)}, func(d map[string]string) bool { return d["theirs"] != "" }},
		{"until it is a week old", []string{"web"}, map[string]any{"theirs": text(t, 7*24*time.Hour+time.Minute)}, func(d map[string]string) bool { return len(d) == 1 }},
		{"ours is kept for ever", []string{"web", "idle"}, map[string]any{"idle": text(t, 1000*24*time.Hour)}, func(d map[string]string) bool { return d["idle"] != "" }},
		{"nothing is dropped where nobody says what is ours", nil, map[string]any{"theirs": text(t, 1000*24*time.Hour)}, func(d map[string]string) bool { return d["theirs"] != "" }},
		{"what is no memory is somebody else's", []string{"web"}, map[string]any{"notes": "do not touch"}, func(d map[string]string) bool { return d["notes"] == "do not touch" }},
		{"where there is no room the oldest go", []string{"web"}, full(time.Hour), func(d map[string]string) bool {
			size := 0
			for name, entry := range d {
				size += len(name) + len(entry)
			}
			return size <= bucketSize && size > bucketSize-1000 && d["gone-000"] != "" && d["gone-599"] == ""
		}},
	} {
		k := keep(t, map[string]any{"data": row.data})
		b := bucket(t, k.server, row.own...)
		if err := store(t, b, "web", memory(0)); err != nil {
			t.Errorf("%s: %v", row.rule, err)
		}
		if d := k.data(); d["web"] == "" || !row.want(d) {
			t.Errorf("%s: it holds %d entries, %q…", row.rule, len(d), slices.Sorted(maps.Keys(d))[:1])
		}
	}
}

func TestWhatElseAConfigMapMayBe(t *testing.T) {
	k := keep(t, map[string]any{"binaryData": map[string]any{"logo": "AAEC"}, "immutable": false})
	if err := store(t, bucket(t, k.server), "web", memory(0)); err != nil {
		t.Fatal(err)
	}
	if binary, ok := k.object["binaryData"].(map[string]any); !ok || binary["logo"] != "AAEC" {
		t.Errorf("somebody's binaryData is lost: %v", k.object)
	}

	k = keep(t, map[string]any{"immutable": true, "data": map[string]any{"web": text(t, time.Hour)}})
	b := bucket(t, k.server)
	if err := store(t, b, "web", memory(0)); err == nil || !strings.Contains(err.Error(), "it is immutable: delete it and apply `leda rbac`") {
		t.Errorf("got %v, want what to do", err)
	}
	if r, err := b.Recall(t.Context(), "web"); err != nil || r.Memory.Latest.Replicas != 3 {
		t.Errorf("it can be read all the same: got %+v, %v", r, err)
	}
	k.becomes(map[string]any{"data": map[string]any{"web": text(t, time.Hour)}})
	if err := store(t, b, "web", memory(0)); err != nil {
		t.Errorf("it was deleted and applied, and the same process has not noticed: %v", err)
	}

	k = keep(t, map[string]any{"data": map[string]any{"film": strings.Repeat("x", 100<<10)}})
	b = bucket(t, k.server, "web")
	if err := store(t, b, "web", memory(0)); err == nil || !strings.Contains(err.Error(), "65536 are the most: remove with kubectl edit what is not Leda's in it") {
		t.Errorf("got %v, want what to do", err)
	}
	if slices.ContainsFunc(k.requests(), func(r string) bool { return strings.HasPrefix(r, "PUT") }) {
		t.Error("what is too large was sent")
	}
	k.becomes(map[string]any{"data": map[string]any{}})
	if err := store(t, b, "web", memory(0)); err != nil {
		t.Errorf("somebody made room, and the same process has not noticed: %v", err)
	}
}

func TestMemoryThatIsNotUnderstoodIsLost(t *testing.T) {
	for rule, entry := range map[string]string{
		"of a newer version": `{"since":"2026-01-05T11:00:00Z","frozenUntil":"2026-01-05T13:00:00Z"}`,
		"of the far future":  `{"since":"2026-01-05T11:00:00Z","lastActive":"2027-01-05T13:00:00Z"}`,
		"no JSON":            `remember the milk`,
	} {
		k := keep(t, map[string]any{"data": map[string]any{"web": entry}})
		b := bucket(t, k.server)
		r, err := b.Recall(t.Context(), "web")
		if err != nil || r.Memory.Known() || r.Broken == nil || !strings.Contains(r.Broken.Error(), "memory shop/leda-memory-0, entry web is not what this version of Leda writes") {
			t.Errorf("%s: got %+v, %v", rule, r, err)
		}
		if err := b.Remember(t.Context(), "web", r, memory(0)); err != nil {
			t.Errorf("%s: %v", rule, err)
		}
		if r, err := bucket(t, k.server).Recall(t.Context(), "web"); err != nil || r.Broken != nil || !r.Memory.Known() {
			t.Errorf("%s, after the next write: got %+v, %v", rule, r, err)
		}
	}
}

func TestFiftyLongMemoriesFit(t *testing.T) {
	var long scaling.Memory
	for i := range 600 {
		at := noon().Add(time.Duration(i-600) * 5 * time.Second)
		long.Higher = append(long.Higher, scaling.Recommendation{Replicas: int32(600 - i), At: at})
		long.ScaleDowns = append(long.ScaleDowns, scaling.ScaleEvent{Change: 1, At: at})
		long.ScaleUps = append(long.ScaleUps, scaling.ScaleEvent{Change: 1, At: at})
	}
	long.Since, long.LastActive, long.Latest = noon().Add(-time.Hour), noon(), scaling.Recommendation{Replicas: 0, At: noon()}
	k := keep(t, map[string]any{})
	b := bucket(t, k.server)
	for i := range 50 {
		if err := store(t, b, fmt.Sprintf("%0253d", i), long); err != nil {
			t.Fatal(err)
		}
	}
	size := 0
	for name, entry := range k.data() {
		size += len(name) + len(entry)
	}
	if size > bucketSize {
		t.Errorf("50 targets take %d bytes, want at most %d", size, bucketSize)
	}
	if r, err := b.Recall(t.Context(), fmt.Sprintf("%0253d", 7)); err != nil || len(r.Memory.ScaleUps) != 600 {
		t.Errorf("who wrote it knows all of it: got %d of 600 events, %v", len(r.Memory.ScaleUps), err)
	}
}

func TestAWriteThatWasNotAnsweredIsReadAgain(t *testing.T) {
	k := keep(t, map[string]any{})
	serve := k.Config.Handler
	drop := false
	k.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve.ServeHTTP(w, r)
		if drop && r.Method == http.MethodPut {
			drop = false
			panic(http.ErrAbortHandler) // it is done, and nobody hears of it
		}
	})
	b := bucket(t, k.server)
	if err := store(t, b, "web", memory(time.Minute)); err != nil {
		t.Fatal(err)
	}
	drop = true
	if err := store(t, b, "web", memory(0)); err == nil {
		t.Fatal("nobody can know that it was stored")
	}
	if err := store(t, b, "web", memory(0)); err == nil || !strings.Contains(err.Error(), ErrConflict.Error()) {
		t.Errorf("got %v, want that it has changed: by the write before", err)
	}
	if err := store(t, b, "web", memory(0)); err != nil {
		t.Errorf("after it was read again: %v", err)
	}
}

// A target's memory that goes along with another's write is still what a look under way rests on: to have it look and
// ask again would cost two requests a target and minute.
func TestMemoryThatGoesAlong(t *testing.T) {
	for _, row := range []struct {
		rule  string
		other bool // somebody else writes the target's memory too
		want  error
	}{
		{"what this process renewed is no conflict", false, nil},
		{"what somebody else wrote since is one", true, ErrConflict},
	} {
		k := keep(t, map[string]any{})
		b := bucket(t, k.server, "web", "cart")
		if err := store(t, b, "web", memory(9*time.Minute)); err != nil {
			t.Fatal(err)
		}
		recall := func() Recollection {
			r, err := b.Recall(t.Context(), "web")
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		b.Keep("web", recall(), memory(8*time.Minute))
		look := recall()
		if err := store(t, b, "cart", memory(0)); err != nil { // web's goes along
			t.Fatal(err)
		}
		if k.data()["web"] == look.text {
			t.Fatalf("%s: web's memory did not go along", row.rule)
		}
		b.Keep("web", look, memory(7*time.Minute))
		if got := recall().Memory.Latest.At; !got.Equal(noon().Add(-7 * time.Minute)) {
			t.Errorf("%s: it remembers %s, want what was kept last", row.rule, got)
		}
		if row.other {
			if err := store(t, bucket(t, k.server, "web", "cart"), "web", memory(6*time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Remember(t.Context(), "web", look, memory(5*time.Minute)); !errors.Is(err, row.want) {
			t.Errorf("%s: got %v, want %v", row.rule, err, row.want)
		}
	}
}
