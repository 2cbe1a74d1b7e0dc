package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// role is an IAM role as it is assumed. Whoever names the same one shares its credentials.
type role struct {
	arn, externalID string
	region          string // whose STS is asked
}

// roles are the credentials of roles, by STS AssumeRole with the function's own.
type roles struct {
	sts     signed
	session string // the name that CloudTrail shows
	kept    kept[role, aws.Credentials]
}

// renewal is how long before they expire credentials are renewed. Should that fail, they serve to their end.
const renewal = 5 * time.Minute

// get returns a role's credentials, and what forgets them.
func (r *roles) get(ctx context.Context, of role) (credentials aws.Credentials, forget func(), err error) {
	v, err := r.kept.get(ctx, of, func(ctx context.Context) (aws.Credentials, span, error) {
		r.kept.sweep()
		c, err := r.assume(ctx, of)
		return c, span{fresh: c.Expires.Add(-renewal), good: c.Expires}, err
	})
	if err != nil {
		return aws.Credentials{}, nil, err
	}
	return v.is, func() { r.kept.forget(of, v) }, nil
}

// assume asks STS for an hour, the longest that a role may have which another role assumes.
func (r *roles) assume(ctx context.Context, of role) (aws.Credentials, error) {
	wrap := func(err error) error { return fmt.Errorf("assume role %s: %w", of.arn, err) }

	own, err := r.sts.aws.Credentials.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, wrap(err)
	}
	form := url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {of.arn}, "RoleSessionName": {r.session}}
	if of.externalID != "" {
		form.Set("ExternalId", of.externalID)
	}
	answer, err := r.sts.send(ctx, call{
		place: place{region: of.region}, credentials: own, body: []byte(form.Encode()), most: shortAnswer, explain: explainXML,
		header: map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
	})
	if err != nil {
		return aws.Credentials{}, wrap(adviseRole(err, of))
	}
	c, err := parseAssumed(answer)
	if err != nil {
		return aws.Credentials{}, wrap(err)
	}
	return c, nil
}

// adviseRole says what to do about the answer that people meet.
func adviseRole(err error, of role) error {
	var said *apiError
	if !errors.As(err, &said) || said.code != "AccessDenied" {
		return err
	}
	condition := ""
	if of.externalID != "" {
		condition = " with the external ID of the TriggerAuthentication"
	}
	return fmt.Errorf("%w; the role's trust policy must allow sts:AssumeRole to the function's role%s, and the function's role needs sts:AssumeRole on it", err, condition)
}

// parseAssumed reads an answer to AssumeRole. An error does not show it.
func parseAssumed(answer []byte) (aws.Credentials, error) {
	var a struct {
		Credentials struct {
			AccessKeyID     string `xml:"AccessKeyId"`
			SecretAccessKey string
			SessionToken    string
			Expiration      string
		} `xml:"AssumeRoleResult>Credentials"`
	}
	if xml.Unmarshal(answer, &a) != nil {
		return aws.Credentials{}, errors.New("the answer of STS is no XML")
	}
	expires, err := time.Parse(time.RFC3339, a.Credentials.Expiration)
	if err != nil || a.Credentials.AccessKeyID == "" || a.Credentials.SecretAccessKey == "" || a.Credentials.SessionToken == "" {
		return aws.Credentials{}, errors.New("the answer of STS has no credentials")
	}
	return aws.Credentials{
		AccessKeyID: a.Credentials.AccessKeyID, SecretAccessKey: a.Credentials.SecretAccessKey, SessionToken: a.Credentials.SessionToken,
		CanExpire: true, Expires: expires,
	}, nil
}

// explainXML reads an error as STS writes it.
func explainXML(_ http.Header, body []byte) (code, message string) {
	var e struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	if xml.Unmarshal(body, &e) != nil {
		return "unknown", "the answer of STS is no XML"
	}
	return e.Code, e.Message
}

// asRole is a role's credentials for who takes them from a provider.
type asRole struct {
	roles *roles
	role  role
}

// Retrieve implements [aws.CredentialsProvider].
func (a asRole) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, _, err := a.roles.get(ctx, a.role)
	return c, err
}

var _ aws.CredentialsProvider = asRole{}
