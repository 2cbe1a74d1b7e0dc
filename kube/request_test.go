package kube

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestWhatBecomesOfAnAnswer(t *testing.T) {
	const get, put = "GET " + webScale, "PUT " + webScale
	html := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(code)
			_, _ = w.Write([]byte("<html>sign in</html>"))
		}
	}
	refuse := func(code int, retryAfter, message string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if retryAfter != "" {
				w.Header().Set("Retry-After", retryAfter)
			}
			status(w, code, message)
		}
	}
	plain := func(code int, retryAfter, message string) http.HandlerFunc { // as priority and fairness does
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", retryAfter)
			http.Error(w, message, code)
		}
	}
	for _, row := range []struct {
		rule   string
		verb   string
		first  http.HandlerFunc // answers the first request; the next ones are served
		wanted error            // nil for any
		says   []string         // nil when it succeeds
		sent   int
	}{
		{"forbidden: what to apply", "GET", refuse(403, "", `deployments.apps "web" is forbidden`), ErrForbidden, []string{"the Role in namespace shop does not allow get on deployments/scale of web: apply `leda rbac`", "is forbidden"}, 1},
		{"forbidden to write: the verb it lacks", "PUT", refuse(403, "", "no"), ErrForbidden, []string{"does not allow update on deployments/scale of web"}, 1},
		{"not there: what to create", "GET", refuse(404, "", `deployments.apps "web" not found`), ErrNotFound, []string{"create the workload, or mend scaleTargetRef of ScaledObject shop/web"}, 1},
		{"changed since: the caller decides again, and nothing is sent again", "PUT", refuse(409, "", "the object has been modified"), ErrConflict, []string{"409 Conflict: the object has been modified"}, 1},
		{"a token refused: a fresh one, for a read", "GET", refuse(401, "", "Unauthorized"), nil, nil, 2},
		{"and for a write, which was refused unread", "PUT", refuse(401, "", "Unauthorized"), nil, nil, 2},
		{"too many requests: as long as it says, once", "GET", plain(429, "1", "too many requests"), nil, nil, 2},
		{"and for a write, which was refused unread too", "PUT", plain(429, "1", "too many requests"), nil, nil, 2},
		{"longer than there is time: at once, and how long it asked for", "GET", plain(429, "30", "too many requests"), nil, []string{"429 Too Many Requests: too many requests", "come again after 30s"}, 1},
		{"the server is busy: a read is sent again as it says", "GET", refuse(503, "1", "busy"), nil, nil, 2},
		{"a write is not: nobody knows what became of it", "PUT", refuse(503, "1", "busy"), nil, []string{"set Deployment shop/web to 3 replicas: 503 Service Unavailable: busy", "after 1s"}, 1},
		{"nor after a 500", "PUT", refuse(500, "1", "etcd timed out"), nil, []string{"500 Internal Server Error: etcd timed out"}, 1},
		{"no time is named: nothing is sent again", "GET", refuse(503, "", "busy"), nil, []string{"503 Service Unavailable: busy"}, 1},
		{"a date is no time that API servers name", "GET", refuse(503, "Mon, 05 Jan 2026 12:00:00 GMT", "busy"), nil, []string{"503 Service Unavailable: busy"}, 1},
		{"a page of something between", "GET", html(502), nil, []string{"502 Bad Gateway: the answer is text/html, it does not come from Kubernetes"}, 1},
		{"a page that says it went well", "GET", html(200), nil, []string{"the answer is no Scale"}, 1},
		{"another object", "GET", func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, map[string]any{"kind": "Pod"}) }, nil, []string{`the answer is no Scale but kind "Pod"`}, 1},
		{"a redirect is not followed: the token is for nobody else", "GET", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, nil, []string{"302 Found"}, 1},
		{"more than any object", "GET", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxAnswer+1)) }, nil, []string{"larger than 2 MiB"}, 1},
		{"a read that breaks off is sent again, on another connection", "GET", func(_ http.ResponseWriter, r *http.Request) { cut(r) }, nil, nil, 2},
		{"a read that is reset is sent again", "GET", nil, nil, nil, 2},
		{"a page that says a write went well", "PUT", html(200), nil, []string{"set Deployment shop/web to 3 replicas: the answer is no Scale, and nobody knows whether it was set"}, 1},
		{"another size than the one that was sent", "PUT", func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, scaleOf(2)) }, nil, []string{`to 3 replicas: the answer is kind "Scale" with 2 replicas`}, 1},
		{"a page that shows the request, token and all", "GET", func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("Authorization"), http.StatusForbidden)
		}, nil, []string{"403 Forbidden: Bearer ***"}, 1},
		{"more words than a line should have", "GET", refuse(400, "", strings.Repeat("too much ", 1000)), nil, []string{"too much too much", "…"}, 1},
		{"a write that breaks off is not", "PUT", nil, nil, []string{"set Deployment shop/web to 3 replicas: cluster demo at https://127.0.0.1:", "did not answer", "can the function reach it?"}, 1},
	} {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			asked := 0
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if asked++; asked == 2 { // the first one made the connection
					if row.first == nil {
						panic(http.ErrAbortHandler)
					}
					row.first(w, r)
					return
				}
				reply(w, http.StatusOK, scaleOf(map[string]int{"GET": 2, "PUT": 3}[r.Method]))
			})
			c := at(t, s)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			seen, err := c.Scale(ctx, web())
			if err != nil {
				t.Fatal(err)
			}
			s.requests()
			if row.verb == "GET" {
				_, err = c.Scale(ctx, web())
			} else {
				err = c.SetScale(ctx, web(), seen, 3)
			}
			switch {
			case row.says == nil && err != nil:
				t.Error(err)
			case row.says != nil && err == nil:
				t.Error("no error")
			}
			if err != nil && len(err.Error()) > 2*longest {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			for _, words := range row.says {
				if err != nil && !strings.Contains(err.Error(), words) {
					t.Errorf("got %q, want %q in it", err, words)
				}
			}
			if row.wanted != nil && !errors.Is(err, row.wanted) {
				t.Errorf("got %v, want %v", err, row.wanted)
			}
			want := map[string]string{"GET": get, "PUT": put}[row.verb]
			if got := s.count(want); got != row.sent || len(s.requests()) != row.sent {
				t.Errorf("sent %d times, want %d", got, row.sent)
			}
		})
	}
}

func TestAnswersNeverHoldTheToken(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer k8s-aws-v1.") {
			t.Errorf("got %q, want a bearer token", r.Header.Get("Authorization"))
		}
		panic(http.ErrAbortHandler)
	})
	if _, err := at(t, s).Scale(t.Context(), web()); err == nil || strings.Contains(err.Error(), "k8s-aws") {
		t.Errorf("got %v, want an error without a token", err)
	}
}
