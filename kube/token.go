package kube

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	// tokenPrefix and clusterHeader are what EKS expects (aws-iam-authenticator pkg/token/token.go, v0.6).
	tokenPrefix   = "k8s-aws-v1."
	clusterHeader = "x-k8s-aws-id"

	// tokenLife is how long a token is used. EKS accepts it for 15 minutes after it was signed; the
	// minute between is for clocks that differ and requests under way.
	tokenLife = 14 * time.Minute

	// emptyPayload is the SHA-256 of an empty body, which a presigned GET has.
	emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// TokenSource makes the bearer tokens with which an EKS cluster knows an AWS identity: a presigned STS
// GetCallerIdentity request that the cluster sends off itself. Signing asks nobody anything.
type TokenSource struct {
	Cluster     string // the EKS cluster's name, which the token is good for
	Region      string // the cluster's region, whose STS endpoint is signed for
	Credentials aws.CredentialsProvider

	mu      sync.Mutex
	token   string
	expires time.Time
}

// Token returns a bearer token and when it must no longer be used: 14 minutes after it was signed, or
// when the credentials that signed it expire, if that is sooner.
func (s *TokenSource) Token(ctx context.Context, now time.Time) (token string, expires time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != "" && now.Before(s.expires) {
		return s.token, s.expires, nil
	}
	credentials, err := s.Credentials.Retrieve(ctx)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign a token for cluster %s: get credentials: %w", s.Cluster, err)
	}
	// Not through an SDK client: with AWS_ENDPOINT_URL set that would sign for another host, and the
	// cluster would refuse the token.
	query := url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}, "X-Amz-Expires": {"60"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://sts."+s.Region+"."+Domain(s.Region)+"/?"+query.Encode(), nil)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign a token for cluster %s: %w", s.Cluster, err)
	}
	request.Header.Set(clusterHeader, s.Cluster)
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, credentials, request, emptyPayload, "sts", s.Region, now)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign a token for cluster %s: %w", s.Cluster, err)
	}
	s.token = tokenPrefix + base64.RawURLEncoding.EncodeToString([]byte(signed))
	s.expires = now.Add(tokenLife)
	if credentials.CanExpire && credentials.Expires.Before(s.expires) {
		s.expires = credentials.Expires
	}
	return s.token, s.expires, nil
}

// forget drops a token that the cluster refused.
func (s *TokenSource) forget(refused string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == refused {
		s.token = ""
	}
}
