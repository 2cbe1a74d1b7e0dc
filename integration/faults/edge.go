package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const loopback = "127.0.0.1"

// edge is an HTTPS server whose connections, certificate and answers can be made faulty.
type edge struct {
	*authority
	address string
	handler http.Handler // what answers in health
	server  *http.Server
	served  sync.WaitGroup
	busy    sync.WaitGroup // with answers
	asked   atomic.Int64   // requests that came
	hit     atomic.Int64   // requests that met a fault

	mu          sync.Mutex
	certificate *tls.Certificate
	listener    net.Listener
	connections map[net.Conn]bool
	fault       answerer
	faulty      func(*http.Request) bool // which requests meet it; nil for all
}

// answerer answers the nth request, from 0, that meets a fault. healthy is what would have answered it.
type answerer func(w http.ResponseWriter, r *http.Request, healthy http.Handler, nth int64)

func newEdge(a *authority, handler http.Handler) (*edge, error) {
	certificate, err := a.issue(loopback, time.Hour)
	if err != nil {
		return nil, err
	}
	e := &edge{authority: a, handler: handler, certificate: certificate, connections: map[net.Conn]bool{}}
	e.server = &http.Server{
		Handler: e, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			return e.certificate, nil
		}},
		ConnState: func(c net.Conn, s http.ConnState) {
			e.mu.Lock()
			defer e.mu.Unlock()
			switch s {
			case http.StateNew:
				e.connections[c] = true
			case http.StateClosed, http.StateHijacked:
				delete(e.connections, c)
			case http.StateActive, http.StateIdle:
			}
		},
	}
	return e, e.listen()
}

// listen takes the address that it had before, or a free one below those that systems give to outgoing
// connections, so that nobody takes it while it refuses.
func (e *edge) listen() error {
	const first, last = 20000, 32767
	address := e.address
	var listener net.Listener
	var err error
	for range 100 {
		if e.address == "" {
			address = fmt.Sprintf("%s:%d", loopback, first+rand.IntN(last-first+1))
		}
		if listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp4", address); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	e.mu.Lock()
	e.address, e.listener = address, listener
	e.mu.Unlock()
	e.served.Go(func() { _ = e.server.ServeTLS(listener, "", "") }) // it ends when the listener is closed
	return nil
}

func (e *edge) url() string { return "https://" + e.address }

// refuse lets nobody connect, and cuts who is.
func (e *edge) refuse() {
	e.mu.Lock()
	listener := e.listener
	e.mu.Unlock()
	_ = listener.Close()
	e.drop()
}

// drop cuts all connections.
func (e *edge) drop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.connections {
		_ = c.Close()
	}
}

// present has another certificate seen, by new connections too.
func (e *edge) present(c *tls.Certificate) {
	e.mu.Lock()
	e.certificate = c
	e.mu.Unlock()
	e.drop()
}

// fail gives requests that are faulty over to f; nil makes it healthy.
func (e *edge) fail(f answerer, faulty func(*http.Request) bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fault, e.faulty = f, faulty
	e.hit.Store(0)
}

func (e *edge) open() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.connections)
}

// close ends it when the last answer is over.
func (e *edge) close() {
	e.refuse()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = e.server.Shutdown(ctx)
	_ = e.server.Close()
	e.served.Wait()
}

// ServeHTTP implements [http.Handler].
func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.asked.Add(1)
	e.busy.Add(1)
	defer e.busy.Done()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // who asked has gone
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	e.mu.Lock()
	fault := e.fault
	if e.faulty != nil && !e.faulty(r) {
		fault = nil
	}
	e.mu.Unlock()
	if fault == nil {
		e.handler.ServeHTTP(w, r)
		return
	}
	fault(w, r, e.handler, e.hit.Add(1)-1)
}

// recorded is a healthy answer that is yet to be spoilt.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func record(healthy http.Handler, r *http.Request) *recorded {
	a := &recorded{header: http.Header{}, status: http.StatusOK}
	healthy.ServeHTTP(a, r)
	return a
}

// Header implements [http.ResponseWriter], and so do the methods below.
func (a *recorded) Header() http.Header { return a.header }

// WriteHeader keeps the status.
func (a *recorded) WriteHeader(status int) { a.status = status }

// Write keeps the body.
func (a *recorded) Write(p []byte) (int, error) { return a.body.Write(p) }

// start writes the recorded status and headers, for a body of so many bytes.
func (a *recorded) start(w http.ResponseWriter, length int) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", fmt.Sprint(length))
	w.WriteHeader(a.status)
}

func (a *recorded) send(w http.ResponseWriter, body []byte) {
	a.start(w, len(body))
	_, _ = w.Write(body)
}

// errWorld is that something of the test itself failed.
var errWorld = errors.New("the test's own world failed")
