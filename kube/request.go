package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// readTimeout is how long a read may take. A server that needs longer serves nobody.
	readTimeout = 4 * time.Second

	// maxAnswer bounds what is read of an answer with one object. None in etcd is larger than 1.5 MiB.
	maxAnswer = 2 << 20

	// maxPage bounds what is read of an answer with many: a page of a list, or the events of a watch.
	maxPage = 32 << 20

	// maxWait bounds how long a server may make a request wait before it is sent again.
	maxWait = 10 * time.Second
)

// request sends one request to the API server and returns the answer's body. The error of an answer that
// is no success wraps what a caller may want to tell apart, such as [ErrConflict].
//
// A write is sent a second time only where the server has refused it unread (401, 429). What became of a
// write that got no answer, or a 5xx, is for the caller to see by observing anew.
func (c *Cluster) request(ctx context.Context, verb, path string, body []byte) ([]byte, error) {
	return c.exchange(ctx, message{verb: verb, path: path, body: body, contentType: "application/json", most: maxAnswer})
}

// message is what is sent to an API server.
type message struct {
	verb, path  string
	body        []byte // nil for none
	contentType string // of the body
	most        int    // how many bytes the answer may have
}

// exchange is request with a say in the body's type and the answer's size.
func (c *Cluster) exchange(ctx context.Context, m message) ([]byte, error) {
	renewed, waited, moved := false, false, false
	for {
		token, err := c.token(ctx)
		if err != nil {
			return nil, err
		}
		w, err := c.connect(ctx)
		if err != nil {
			return nil, err
		}
		began := c.Now()
		answer, err := w.send(ctx, token, m)
		lost := c.settle(ctx, w, began, m.verb, err)
		var said *refusal
		switch {
		case err == nil:
			return answer, nil
		case errors.Is(err, ErrUnauthorized) && !renewed:
			renewed = true
			c.tokens.forget(token)
		case errors.As(err, &said) && !waited && said.worthAnother(m.verb) && c.wait(ctx, said.retryAfter):
			waited = true
		case (lost || wasReset(err)) && !moved && m.verb == http.MethodGet:
			moved = true // what served until now is broken; the server need not be
		default:
			return nil, err
		}
	}
}

// send sends one HTTP request and reads the answer.
func (w *way) send(ctx context.Context, token string, m message) ([]byte, error) {
	if m.verb == http.MethodGet {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, readTimeout, fmt.Errorf("nothing came within %s", readTimeout))
		defer cancel()
	}
	request, err := http.NewRequestWithContext(ctx, m.verb, w.endpoint+m.path, bytes.NewReader(m.body))
	if err != nil {
		return nil, w.silence(ctx, err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "leda")
	if m.body != nil {
		request.Header.Set("Content-Type", m.contentType)
	}
	response, err := w.client.Do(request)
	if err != nil {
		return nil, w.silence(ctx, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, int64(m.most)+1))
	switch {
	case err != nil:
		return nil, w.silence(ctx, err)
	case response.StatusCode < 200 || response.StatusCode > 299:
		return nil, newRefusal(response, bytes.ReplaceAll(answer, []byte(token), []byte("***"))) // some pages show what was sent
	case len(answer) > m.most:
		return nil, fmt.Errorf("cluster %s: the answer is larger than %d MiB", w.cluster, m.most>>20)
	}
	return answer, nil
}

// wait waits as long as the server asks for, if there is the time for it.
func (c *Cluster) wait(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); d > maxWait || ok && deadline.Sub(c.Now()) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
