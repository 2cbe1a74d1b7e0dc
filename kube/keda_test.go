package kube

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

func TestKEDARuns(t *testing.T) {
	noon := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	lease := func(holder string, ago time.Duration) http.HandlerFunc {
		return says(map[string]any{"kind": "Lease", "spec": map[string]any{"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": noon.Add(-ago).Format("2006-01-02T15:04:05.000000Z")}})
	}
	for _, row := range []struct {
		rule   string
		answer http.HandlerFunc
		want   bool
		err    string
	}{
		{"renewed just now", lease("keda-operator-1", 5*time.Second), true, ""},
		{"by a clock that is ahead", lease("keda-operator-1", -20*time.Second), true, ""},
		{"renewed for the last time a while ago", lease("keda-operator-1", 2*time.Minute), false, ""},
		{"given back", lease("", 5*time.Second), false, ""},
		{"never renewed", says(map[string]any{"kind": "Lease", "spec": map[string]any{"holderIdentity": "x"}}), false, ""},
		{"no lease", refuses(404, "not found"), false, ""},
		{"it may not be read", refuses(403, "no"), false, "the ClusterRole leda does not allow get on leases of operator.keda.sh"},
		{"no answer to rest on", refuses(500, "no"), false, "500"},
		{"another object", says(map[string]any{"kind": "Pod"}), false, `kind "Pod"`},
	} {
		s := serve(t, row.answer)
		c := at(t, s)
		c.Now = func() time.Time { return noon }
		got, err := c.KEDARuns(t.Context(), "keda")
		if got != row.want || (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
			t.Errorf("%s: got %t, %v, want %t, %q", row.rule, got, err, row.want, row.err)
		}
		same(t, row.rule, s.requests(), "GET /apis/coordination.k8s.io/v1/namespaces/keda/leases/operator.keda.sh")
	}
}

func TestHPAs(t *testing.T) {
	const path = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
	hpa := func(name, target string) map[string]any {
		return map[string]any{"metadata": map[string]any{"name": name}, "spec": map[string]any{"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": target}}}
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("continue") == "" {
			reply(w, 200, map[string]any{"kind": "HorizontalPodAutoscalerList", "metadata": map[string]any{"continue": "more"}, "items": []any{hpa("keda-hpa-web", "web")}})
			return
		}
		reply(w, 200, map[string]any{"kind": "HorizontalPodAutoscalerList", "items": []any{hpa("other", "api")}})
	})
	got, err := at(t, s).HPAs(t.Context(), "shop")
	want := []HPA{{"keda-hpa-web", scaling.TargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}}, {"other", scaling.TargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"}}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	same(t, "in pages", s.requests(), "GET "+path, "GET "+path)
	for rule, answer := range map[string]http.HandlerFunc{
		"does not allow list on horizontalpodautoscalers": refuses(403, "no"),
		"500":                refuses(500, "no"),
		"is no list of them": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
	} {
		if _, err := at(t, serve(t, answer)).HPAs(t.Context(), "shop"); err == nil || !strings.Contains(err.Error(), rule) {
			t.Errorf("got %v, want %q", err, rule)
		}
	}
}
