package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// fault is one way in which something the function asks may fail it.
type fault struct {
	name string
	// answer is the fault of one answer, spoil of everything behind an address; one of them is there.
	answer func(d dependency) answerer
	spoil  func(w *world, d dependency) (heal func() error, err error)
	says   string                       // what the victim's line must say of it: a regular expression
	expect func(dependency) expectation // nil where it holds the victim
	heavy  bool                         // it takes the look's whole time
	clock  time.Duration                // by how much a clock is wrong beyond what AWS takes
}

// expectation is what a look must come to.
type expectation int

const (
	held   expectation = iota // nothing shrinks, and the line says why
	served                    // the fault is overcome within the look
	either
)

func (f fault) expects(d dependency) expectation {
	if f.expect == nil {
		return held
	}
	return f.expect(d)
}

func always(e expectation) func(dependency) expectation {
	return func(dependency) expectation { return e }
}

// same is for answers that do not depend on who is asked.
func same(a answerer) func(dependency) answerer { return func(dependency) answerer { return a } }

// faults are all there are. Those that a client overcomes by asking again say so in expect.
func faults() []fault {
	const (
		gone  = `EOF|reset by peer|closed|INTERNAL_ERROR|stream error|broken pipe`
		late  = `deadline exceeded|nothing came within|Client\.Timeout|timeout`
		wrong = `invalid character|unexpected end|cannot unmarshal|no XML|not understood|has no|is no|not JSON|no endpoint|deserialization`
	)
	retried := func(d dependency) expectation { // by AWS's rules
		if d.kind == ofAWS {
			return served
		}
		return held
	}
	return []fault{
		{name: "refused", spoil: refused, says: `connection refused`},
		{name: "cut before the answer", answer: same(cutBefore), says: gone},
		{name: "cut mid-body", answer: same(cutMidBody), says: gone},
		{name: "hangs, unread", answer: same(hang), says: late, heavy: true},
		{name: "hangs, done", answer: same(hangDone), says: late, heavy: true},
		{name: "429, always", answer: throttles(-1, ""), says: `429|[Tt]hrottl`},
		{name: "429 once, Retry-After: 1", answer: throttles(1, "1"), says: `429`, expect: func(d dependency) expectation {
			if d.kind == ofEKS || d.grows { // EKS is asked again 15 s later; growth does not wait for memory
				return held
			}
			return served
		}},
		{name: "429, Retry-After: 3600", answer: throttles(-1, "3600"), says: `429|[Tt]hrottl`},
		{name: "500, twice", answer: breaks(2, http.StatusInternalServerError), says: `500`, expect: retried},
		{name: "503, always", answer: breaks(-1, http.StatusServiceUnavailable), says: `503`},
		{name: "slow, within the budget", answer: same(slow(400 * time.Millisecond)), expect: always(served)},
		{name: "slow, past it", answer: same(slow(11 * time.Second)), says: late, heavy: true},
		{name: "malformed body", answer: same(instead(`{"half`)), says: wrong},
		{name: "truncated body", answer: same(truncated), says: wrong + `|unexpected EOF|EOF`},
		{name: "empty body", answer: same(instead("")), says: wrong + `|EOF`},
		{name: "huge body", answer: same(huge), says: `larger than|` + wrong + `|` + late},
		{name: "huge error", answer: hugeError, says: `400|larger than`},
		{name: "wrong types", answer: wrongTypes, says: wrong},
		{name: "a web page", answer: same(webPage), says: wrong + `|text/html|no ConfigMap|no Scale`},
		{name: "redirected", answer: same(nil), says: `307|301|302|[Rr]edirect`},
		{name: "credentials expired", answer: expired, says: `Expired|401`},
		{name: "echoes what it was sent", answer: echoes, says: `403`},
		{name: "clock 4:50 ahead", spoil: skewed(290 * time.Second), expect: always(served)},
		{name: "clock 4:50 behind", spoil: skewed(-290 * time.Second), expect: always(served)},
		{name: "clock 6 minutes off", clock: 6 * time.Minute, spoil: skewed(6 * time.Minute), says: `Skewed|401`, expect: always(either)},
		{name: "certificate rotated", spoil: rotated, expect: func(d dependency) expectation {
			if d.kind == ofKubernetes {
				return either // EKS is asked for the new authority 15 s after it named the old one
			}
			return served
		}, says: `certificate|being tried again`},
		{name: "certificate of another", spoil: ofAnother, says: `certificate`},
		{name: "certificate expired", spoil: certified(-time.Hour, loopback), says: `certificate`},
		{name: "certificate for another", spoil: certified(time.Hour, "127.0.0.2"), says: `certificate`},
	}
}

func refused(w *world, d dependency) (func() error, error) {
	e := d.edge(w)
	e.refuse()
	return e.listen, nil
}

func cutBefore(http.ResponseWriter, *http.Request, http.Handler, int64) { panic(http.ErrAbortHandler) }

func cutMidBody(w http.ResponseWriter, r *http.Request, healthy http.Handler, _ int64) {
	a := record(healthy, r)
	a.start(w, a.body.Len())
	_, _ = w.Write(a.body.Bytes()[:a.body.Len()/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func hang(_ http.ResponseWriter, r *http.Request, _ http.Handler, _ int64) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

func hangDone(_ http.ResponseWriter, r *http.Request, healthy http.Handler, _ int64) {
	record(healthy, r)
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// throttles refuses so many requests, or all.
func throttles(times int64, retryAfter string) func(dependency) answerer {
	return func(d dependency) answerer {
		return func(w http.ResponseWriter, r *http.Request, healthy http.Handler, nth int64) {
			if times >= 0 && nth >= times {
				healthy.ServeHTTP(w, r)
				return
			}
			if retryAfter != "" {
				w.Header().Set("Retry-After", retryAfter)
			}
			d.refuse(w, http.StatusTooManyRequests, "ThrottlingException", "Throttling: rate exceeded")
		}
	}
}

func breaks(times int64, status int) func(dependency) answerer {
	return func(d dependency) answerer {
		return func(w http.ResponseWriter, r *http.Request, healthy http.Handler, nth int64) {
			if times >= 0 && nth >= times {
				healthy.ServeHTTP(w, r)
				return
			}
			d.refuse(w, status, "InternalFailure", "something is wrong here")
		}
	}
}

// slow does what it was asked later, whether or not anybody still waits for it.
func slow(by time.Duration) answerer {
	return func(w http.ResponseWriter, r *http.Request, healthy http.Handler, _ int64) {
		time.Sleep(by)
		a := record(healthy, r.WithContext(context.WithoutCancel(r.Context())))
		a.send(w, a.body.Bytes())
	}
}

func instead(body string) answerer {
	return func(w http.ResponseWriter, r *http.Request, healthy http.Handler, _ int64) {
		record(healthy, r).send(w, []byte(body))
	}
}

func truncated(w http.ResponseWriter, r *http.Request, healthy http.Handler, _ int64) {
	a := record(healthy, r)
	a.send(w, a.body.Bytes()[:a.body.Len()/2])
}

// hugeSize is more than Lambda gives the function where it has few targets.
const hugeSize = 192 << 20

func huge(w http.ResponseWriter, r *http.Request, healthy http.Handler, _ int64) {
	a := record(healthy, r)
	a.body.Reset()
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Del("Content-Length")
	_, _ = w.Write([]byte(`{"kind":"`))
	part := bytes.Repeat([]byte("7"), 1<<20)
	for range hugeSize >> 20 {
		if _, err := w.Write(part); err != nil {
			return // nobody reads it any more
		}
	}
	_, _ = w.Write([]byte(`"}`))
}

func hugeError(d dependency) answerer {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler, _ int64) {
		d.refuse(w, http.StatusBadRequest, "ValidationError", strings.Repeat("too much ", 100_000))
	}
}

func wrongTypes(d dependency) answerer {
	if d.name == "STS AssumeRole" {
		return instead(`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>7</AccessKeyId><Expiration>soon</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`)
	}
	return instead(`{"Attributes":{"ApproximateNumberOfMessages":true},"MetricDataResults":{"m0":7},"cluster":"demo","kind":["Scale"],"metadata":7,"spec":{"replicas":"many"},"data":[]}`)
}

func webPage(w http.ResponseWriter, _ *http.Request, _ http.Handler, _ int64) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte("<!DOCTYPE html><html><body>Please sign in to the network</body></html>"))
}

// redirect sends to the trap, which must never be asked.
func redirect(to string) answerer {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler, _ int64) {
		http.Redirect(w, r, to+r.URL.Path, http.StatusTemporaryRedirect)
	}
}

func expired(d dependency) answerer {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler, _ int64) {
		if d.kind == ofKubernetes {
			kubernetesRefuses(w, http.StatusUnauthorized, "Unauthorized")
			return
		}
		d.refuse(w, http.StatusForbidden, "ExpiredTokenException", "The security token included in the request is expired")
	}
}

// echoes is a proxy's page for those who look for a fault: it shows the request's headers.
func echoes(d dependency) answerer {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler, _ int64) {
		var shown strings.Builder
		for _, name := range []string{"X-Amz-Security-Token", "Authorization"} {
			fmt.Fprintf(&shown, "%s: %s ", name, r.Header.Get(name))
		}
		if d.kind == ofKubernetes {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(shown.String()))
			return
		}
		d.refuse(w, http.StatusForbidden, "AccessDenied", shown.String())
	}
}

// skewed moves AWS's clock, by which signatures and tokens are judged.
func skewed(by time.Duration) func(*world, dependency) (func() error, error) {
	return func(w *world, _ dependency) (func() error, error) {
		w.aws.set(func() { w.aws.skew = by })
		return func() error { w.aws.set(func() { w.aws.skew = 0 }); return nil }, nil
	}
}

// rotated is a new certificate: of the same authority at AWS, of a new one, which EKS names, at a cluster.
func rotated(w *world, d dependency) (func() error, error) {
	e := d.edge(w)
	authority := e.authority
	if d.kind == ofKubernetes {
		var err error
		if authority, err = newAuthority("kubernetes anew"); err != nil {
			return nil, err
		}
		w.tell(authority)
	}
	certificate, err := authority.issue(loopback, time.Hour)
	if err != nil {
		return nil, err
	}
	e.present(certificate)
	return func() error { return nil }, nil // it stays so
}

func ofAnother(w *world, d dependency) (func() error, error) {
	certificate, err := w.another.issue(loopback, time.Hour)
	if err != nil {
		return nil, err
	}
	return d.presents(w, certificate), nil
}

func certified(left time.Duration, address string) func(*world, dependency) (func() error, error) {
	return func(w *world, d dependency) (func() error, error) {
		certificate, err := d.edge(w).issue(address, left)
		if err != nil {
			return nil, err
		}
		return d.presents(w, certificate), nil
	}
}

// presents shows a certificate until it is healed.
func (d dependency) presents(w *world, c *tls.Certificate) (heal func() error) {
	e := d.edge(w)
	e.mu.Lock()
	was := e.certificate
	e.mu.Unlock()
	e.present(c)
	return func() error { e.present(was); return nil }
}
