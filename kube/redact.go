package kube

import (
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// redacted is an error whose text had credentials in it.
type redacted struct {
	text string
	err  error
}

func (r redacted) Error() string { return r.text }
func (r redacted) Unwrap() error { return r.err }

// longest is how much of what a server says is shown: its errors are a sentence or two.
const longest = 1000

// Shorten cuts what a server says to what can be shown.
func Shorten(text string) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}

// Redact takes credentials out of an error's text, and the end of a long one: when a signature does not match, AWS
// answers with the whole request as it should have been signed, the session token included.
func Redact(err error, c aws.Credentials) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, secret := range []string{c.SessionToken, c.SecretAccessKey, c.AccessKeyID} {
		if secret != "" {
			text = strings.NewReplacer(secret, "***", url.QueryEscape(secret), "***").Replace(text)
		}
	}
	if text = Shorten(text); text == err.Error() {
		return err
	}
	return redacted{text, err}
}
