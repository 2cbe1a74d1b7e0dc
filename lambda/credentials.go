package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/leda-autoscaler/leda/scaling"
)

// identities say with whose credentials each trigger's source is read.
type identities struct {
	own            aws.CredentialsProvider // the function's
	roles          *roles
	clusterObjects string // the namespace of what a ClusterTriggerAuthentication refers to

	keys  kept[keysAt, aws.Credentials] // for ever: until AWS refuses them
	texts kept[textAt, string]          // ARNs and URLs
}

// textFresh is how long a text that is read from the cluster is kept: an ARN or a queue's URL that someone
// changes is followed within a minute, and costs one request a minute.
const textFresh = time.Minute

// keysAt is where an access key is kept; workload is empty unless a part of it is in the environment.
type keysAt struct {
	cluster, namespace, workload string
	scaling.KeyReferences
}

// textAt is where a text is kept.
type textAt struct {
	cluster, namespace, workload string
	scaling.Source
}

// identity is with whose credentials a source is read, once.
type identity struct {
	aws.Credentials
	forget func(err error) // drops what AWS has refused and may have been replaced
}

func newIdentities(own aws.CredentialsProvider, roles *roles, clusterObjects string, now func() time.Time) *identities {
	return &identities{
		own: own, roles: roles, clusterObjects: clusterObjects,
		keys: kept[keysAt, aws.Credentials]{now: now}, texts: kept[textAt, string]{now: now},
	}
}

// of returns the credentials for a trigger of t whose source is in region.
func (i *identities) of(ctx context.Context, t *target, a scaling.Authentication, region string) (identity, error) {
	namespace := t.Namespace
	if a.Cluster {
		namespace = i.clusterObjects
	}
	switch {
	case a.Keys != nil:
		return i.fromKeys(ctx, t, namespace, *a.Keys)
	case a.Role.ARN != "":
		c, forget, err := i.roles.get(ctx, role{a.Role.ARN, a.Role.ExternalID, region})
		return identity{c, onRefusal(forget, isUnknown)}, err
	case a.Role.ARNFrom.Name != "":
		return i.fromRoleAt(ctx, t, namespace, a.Role, region)
	}
	c, err := i.own.Retrieve(ctx)
	return identity{c, func(error) {}}, err
}

// fromKeys puts an access key together.
func (i *identities) fromKeys(ctx context.Context, t *target, namespace string, keys scaling.KeyReferences) (identity, error) {
	at := keysAt{t.Cluster, namespace, "", keys}
	parts := []scaling.Source{keys.AccessKeyID, keys.SecretAccessKey}
	if keys.SessionToken.Name != "" {
		parts = append(parts, keys.SessionToken)
	}
	if slices.ContainsFunc(parts, func(s scaling.Source) bool { return s.Kind == scaling.FromEnv }) {
		at.workload = workloadOf(t)
	}
	v, err := i.keys.get(ctx, at, func(ctx context.Context) (aws.Credentials, span, error) {
		texts, err := t.cluster.Texts(ctx, t.ScaledObject, namespace, parts...)
		if err != nil {
			return aws.Credentials{}, span{}, err
		}
		for n := range texts {
			texts[n] = strings.TrimSpace(texts[n]) // a Secret made from a file ends with a new line
		}
		c := aws.Credentials{AccessKeyID: texts[0], SecretAccessKey: texts[1]}
		if len(texts) > 2 {
			c.SessionToken = texts[2]
		}
		return c, span{}, nil
	})
	if err != nil {
		return identity{}, err
	}
	return identity{v.is, onRefusal(func() { i.keys.forget(at, v) }, isRefused)}, nil
}

// fromRoleAt assumes the role whose ARN is kept in the cluster.
func (i *identities) fromRoleAt(ctx context.Context, t *target, namespace string, r scaling.Role, region string) (identity, error) {
	arn, forgetText, err := i.text(ctx, t, namespace, r.ARNFrom)
	if err != nil {
		return identity{}, err
	}
	if !scaling.ValidRoleARN(arn) { // and perhaps something that must not be shown
		return identity{}, fmt.Errorf("%s %s: must be arn:aws:iam::ACCOUNT:role/NAME", r.ARNFrom.Kind, r.ARNFrom.Name)
	}
	c, forget, err := i.roles.get(ctx, role{arn, r.ExternalID, region})
	if err != nil {
		forgetText()
		return identity{}, err
	}
	return identity{c, func(err error) {
		onRefusal(forget, isUnknown)(err)
		onRefusal(forgetText, isRefused)(err)
	}}, nil
}

// text reads a text from the target's cluster, and returns what forgets it.
func (i *identities) text(ctx context.Context, t *target, namespace string, from scaling.Source) (text string, forget func(), err error) {
	at := textAt{t.Cluster, namespace, "", from}
	if from.Kind == scaling.FromEnv {
		at.workload = workloadOf(t)
	}
	v, err := i.texts.get(ctx, at, func(ctx context.Context) (string, span, error) {
		texts, err := t.cluster.Texts(ctx, t.ScaledObject, namespace, from)
		if err != nil {
			return "", span{}, err
		}
		return strings.TrimSpace(texts[0]), span{fresh: i.texts.now().Add(textFresh)}, nil
	})
	if err != nil {
		return "", nil, err
	}
	return v.is, func() { i.texts.forget(at, v) }, nil
}

// workloadOf names a target's workload within its cluster.
func workloadOf(t *target) string {
	return strings.Join([]string{t.Namespace, t.Target.APIVersion, t.Target.Kind, t.Target.Name}, "/")
}

func onRefusal(forget func(), when func(error) bool) func(error) {
	return func(err error) {
		if when(err) {
			forget()
		}
	}
}

// isUnknown says whether AWS does not know the credentials, or not any more.
func isUnknown(err error) bool {
	var said interface{ ErrorCode() string }
	if !errors.As(err, &said) {
		return false
	}
	switch said.ErrorCode() {
	case "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId",
		"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature",
		"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidToken",
		"InvalidSecurity", "AuthFailure", "MissingAuthenticationToken":
		return true
	}
	return false
}

// isRefused says whether AWS does not know the credentials or does not let them. Someone else's may be in
// their place by now.
func isRefused(err error) bool {
	var said interface{ HTTPStatusCode() int }
	return isUnknown(err) || errors.As(err, &said) && said.HTTPStatusCode() == 403
}
