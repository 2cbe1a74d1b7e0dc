package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What a caller may want to tell apart in an API server's answer.
var (
	ErrConflict     = errors.New("it was changed in the meantime")
	ErrGone         = errors.New("the server does not remember that far back")
	ErrNotFound     = errors.New("it is not there")
	ErrForbidden    = errors.New("it is not allowed")
	ErrUnauthorized = errors.New("the caller is not known")
)

// refusal is an answer of the API server that is no success.
type refusal struct {
	status     string        // as HTTP has it: "409 Conflict"
	code       int           // the number in it
	message    string        // the server's own words
	structured bool          // they come as a Status of Kubernetes: of an object, not of an address
	object     string        // the name of the object that they are about
	retryAfter time.Duration // how long the server asks to wait; 0 when it does not
}

func newRefusal(response *http.Response, body []byte) *refusal {
	r := &refusal{status: response.Status, code: response.StatusCode}
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil {
		seconds = 0 // none, or a date, which no API server sends
	}
	var status struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
		Details struct {
			Name              string `json:"name"`
			RetryAfterSeconds int    `json:"retryAfterSeconds"`
		} `json:"details"`
	}
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" {
		r.structured, r.message, r.object = true, Shorten(status.Message), status.Details.Name
		seconds = max(seconds, status.Details.RetryAfterSeconds)
	} else {
		r.message = excerpt(response.Header.Get("Content-Type"), body)
	}
	r.retryAfter = time.Duration(seconds) * time.Second
	return r
}

// excerpt is what can be shown of an answer that is not Kubernetes' own.
func excerpt(contentType string, body []byte) string {
	const enough = 200
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(body[:min(len(body), enough)]), "")), " ")
	switch {
	case strings.HasPrefix(contentType, "text/plain") && text != "":
		return text
	case contentType == "":
		return "the answer does not come from Kubernetes"
	}
	return "the answer is " + contentType + ", it does not come from Kubernetes"
}

// Error implements error.
func (r *refusal) Error() string {
	text := r.status + ": " + r.message
	if r.retryAfter > 0 {
		text += fmt.Sprintf(" (it asks to come again after %s)", r.retryAfter)
	}
	return text
}

// Is makes a refusal one of the errors that callers know.
func (r *refusal) Is(target error) bool {
	switch r.code {
	case http.StatusConflict:
		return target == ErrConflict
	case http.StatusGone:
		return target == ErrGone
	case http.StatusNotFound:
		return target == ErrNotFound
	case http.StatusForbidden:
		return target == ErrForbidden
	case http.StatusUnauthorized:
		return target == ErrUnauthorized
	}
	return false
}

// worthAnother says whether a request may be sent again: any that was refused unread, and a read that the
// server asks to be repeated.
func (r *refusal) worthAnother(verb string) bool {
	if r.retryAfter == 0 {
		return false
	}
	return r.code == http.StatusTooManyRequests || r.code >= 500 && verb == http.MethodGet
}
