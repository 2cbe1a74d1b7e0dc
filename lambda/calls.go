package main

import (
	"net/http"
	"sync/atomic"
)

// calls counts the HTTP requests that the function sends: what a pass costs.
type calls struct {
	sent atomic.Int64
}

// around counts what next sends.
func (c *calls) around(next http.RoundTripper) http.RoundTripper { return counted{c, next} }

type counted struct {
	calls *calls
	next  http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (c counted) RoundTrip(request *http.Request) (*http.Response, error) {
	c.calls.sent.Add(1)
	return c.next.RoundTrip(request)
}
