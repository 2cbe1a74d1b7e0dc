package main

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

// apiServer answers reads of the objects that it has.
type apiServer struct {
	*httptest.Server
	cluster *kube.Cluster

	mu      sync.Mutex
	objects map[string]string // by path
	seen    map[string]int    // how often each was read
}

func serveKubernetes(t *testing.T, a *amazon) *apiServer {
	t.Helper()
	s := &apiServer{objects: map[string]string{}, seen: map[string]int{}}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	s.cluster = &kube.Cluster{
		Cluster: scaling.Cluster{Name: "demo", Region: "eu-west-1", Endpoint: s.URL, CertificateAuthority: base64.StdEncoding.EncodeToString(authority)},
		AWS:     a.config(), Now: now,
	}
	t.Cleanup(s.cluster.Close)
	return s
}

// ServeHTTP implements [http.Handler].
func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[r.URL.Path]++
	w.Header().Set("Content-Type", "application/json")
	object, ok := s.objects[r.URL.Path]
	switch {
	case r.Method != http.MethodGet || r.Header.Get("Authorization") == "":
		w.WriteHeader(http.StatusForbidden)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"not found"}`)
	case object == "forbidden":
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"leda cannot get it"}`)
	default:
		_, _ = io.WriteString(w, object)
	}
}

func (s *apiServer) put(path, object string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[path] = object
}

// putSecret writes a Secret of pairs of entries and texts.
func (s *apiServer) putSecret(namespace, name string, pairs ...string) {
	data := map[string][]byte{}
	for i := 0; i < len(pairs); i += 2 {
		data[pairs[i]] = []byte(pairs[i+1])
	}
	object, _ := json.Marshal(map[string]any{"kind": "Secret", "data": data})
	s.put("/api/v1/namespaces/"+namespace+"/secrets/"+name, string(object))
}

// reads is how often an object was read since the last call.
func (s *apiServer) reads(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.seen[path]
	s.seen[path] = 0
	return n
}
