package kube

import (
	"context"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// exampleKeys are the credentials of AWS's own signing examples.
func exampleKeys(expires time.Time) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{
			AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", SessionToken: "session",
			CanExpire: !expires.IsZero(), Expires: expires,
		}, nil
	})
}

func noon() time.Time { return time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC) }

func TestTokenIsWhatEKSVerifies(t *testing.T) {
	source := &TokenSource{Cluster: "demo", Region: "eu-west-1", Credentials: exampleKeys(time.Time{})}
	token, expires, err := source.Token(t.Context(), noon())
	if err != nil {
		t.Fatal(err)
	}
	if want := noon().Add(14 * time.Minute); !expires.Equal(want) {
		t.Errorf("expires %v, want %v", expires, want)
	}
	encoded, ok := strings.CutPrefix(token, "k8s-aws-v1.")
	if !ok || strings.Contains(encoded, "=") {
		t.Fatalf("token has the wrong form: %s", token)
	}
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(string(decoded))
	if err != nil {
		t.Fatal(err)
	}
	// The rules of aws-iam-authenticator v0.6's verifier: regional STS, a lifetime of at most 15 minutes,
	// and the cluster's name signed.
	if got, want := u.Scheme+"://"+u.Host+u.Path, "https://sts.eu-west-1.amazonaws.com/"; got != want {
		t.Errorf("presigned %s, want %s", got, want)
	}
	for key, want := range map[string]string{
		"Action": "GetCallerIdentity", "Version": "2011-06-15", "X-Amz-Expires": "60", "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
		"X-Amz-Date": "20260105T120000Z", "X-Amz-SignedHeaders": "host;x-k8s-aws-id", "X-Amz-Security-Token": "session",
		"X-Amz-Credential": "AKIDEXAMPLE/20260105/eu-west-1/sts/aws4_request",
		// Golden: computed apart from the signer, by the steps of the SigV4 specification.
		"X-Amz-Signature": "015910fbafacea6820b294b2f17838a45106e124a3db3c28a7b5f934b992a882",
	} {
		if got := u.Query().Get(key); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}

func TestTokenIsKeptAndRenewed(t *testing.T) {
	source := &TokenSource{Cluster: "demo", Region: "eu-west-1", Credentials: exampleKeys(time.Time{})}
	at := func(after time.Duration) string {
		t.Helper()
		token, _, err := source.Token(t.Context(), noon().Add(after))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first := at(0)
	if at(13*time.Minute+59*time.Second) != first {
		t.Error("a token is signed anew before its 14 minutes are over")
	}
	second := at(14 * time.Minute)
	if second == first {
		t.Error("a token is used for more than 14 minutes")
	}
	source.forget(second)
	if at(14*time.Minute+time.Second) == second {
		t.Error("a refused token is used again")
	}
}

func TestTokenEndsWithItsCredentials(t *testing.T) {
	soon := noon().Add(3 * time.Minute)
	source := &TokenSource{Cluster: "demo", Region: "cn-north-1", Credentials: exampleKeys(soon)}
	_, expires, err := source.Token(t.Context(), noon())
	if err != nil || !expires.Equal(soon) {
		t.Errorf("expires %v, %v, want %v", expires, err, soon)
	}
}
