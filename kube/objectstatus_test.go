package kube

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/leda-autoscaler/leda/scaling"
)

// A status is written over the version that was read, and takes away what is no more so.
func TestSetStatus(t *testing.T) {
	var body, contentType string
	code := 200
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		body, contentType = string(text), r.Header.Get("Content-Type")
		if code != 200 {
			status(w, code, "no")
			return
		}
		reply(w, 200, listed("a", "8", 1))
	})
	o := at(t, s).Objects(ScaledObjects, "shop")
	one := int32(1)
	before := scaling.Status{OriginalReplicaCount: &one, PausedReplicaCount: &one}
	now, err := o.SetStatus(t.Context(), Object{Name: "a", Version: "7"}, before, scaling.Status{OriginalReplicaCount: &one})
	if err != nil || now.Version != "8" {
		t.Errorf("got %+v, %v, want the version after", now, err)
	}
	var patch map[string]map[string]any
	if err := json.Unmarshal([]byte(body), &patch); err != nil {
		t.Fatal(err)
	}
	paused, there := patch["status"]["pausedReplicaCount"]
	if patch["metadata"]["resourceVersion"] != "7" || patch["status"]["originalReplicaCount"] != 1.0 || !there || paused != nil || contentType != "application/merge-patch+json" {
		t.Errorf("got %s of type %s", body, contentType)
	}
	same(t, "the subresource", s.requests(), "PATCH "+scaledObjects+"/a/status")
	if code = 409; !errors.Is(second(o.SetStatus(t.Context(), Object{Name: "a", Version: "7"}, before, before)), ErrConflict) {
		t.Error("changed since: want a conflict")
	}
	if code = 403; !strings.Contains(second(o.SetStatus(t.Context(), Object{Name: "a", Version: "7"}, before, before)).Error(), "does not allow patch on scaledobjects/status") {
		t.Error("forbidden: want what to apply")
	}
}

func second(_ Object, err error) error { return err }
