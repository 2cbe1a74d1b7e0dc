package stack

import (
	"crypto/tls"
	"crypto/x509"
	"path/filepath"
	"testing"
	"time"
)

func TestCertificates(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ours, err := newAuthority("ours", now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newAuthority("other", now)
	if err != nil {
		t.Fatal(err)
	}
	server, _, err := ours.server("server")
	if err != nil {
		t.Fatal(err)
	}
	client, _, err := ours.client("admin", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	if got := client.Subject.String(); got != "CN=admin,O=system:masters" {
		t.Errorf("the user and group that Kubernetes reads: got %s, want CN=admin,O=system:masters", got)
	}

	for _, test := range []struct {
		name        string
		certificate *x509.Certificate
		authority   *authority
		host        string
		usage       x509.ExtKeyUsage
		at          time.Time
		valid       bool
	}{
		{"a server is trusted by its address", server, ours, "127.0.0.1", x509.ExtKeyUsageServerAuth, now, true},
		{"a server is trusted as localhost", server, ours, "localhost", x509.ExtKeyUsageServerAuth, now, true},
		{"a server is trusted at no other address", server, ours, "127.0.0.2", x509.ExtKeyUsageServerAuth, now, false},
		{"a server is not trusted by the other authority", server, other, "127.0.0.1", x509.ExtKeyUsageServerAuth, now, false},
		{"a server is no client", server, ours, "", x509.ExtKeyUsageClientAuth, now, false},
		{"a client is trusted", client, ours, "", x509.ExtKeyUsageClientAuth, now, true},
		{"a client is no server", client, ours, "", x509.ExtKeyUsageServerAuth, now, false},
		{"a clock that is a few seconds late does no harm", server, ours, "127.0.0.1", x509.ExtKeyUsageServerAuth, now.Add(-10 * time.Second), true},
		{"it ends some day", server, ours, "127.0.0.1", x509.ExtKeyUsageServerAuth, now.Add(lifetime + time.Second), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			roots := x509.NewCertPool()
			roots.AddCert(test.authority.certificate)
			_, err := test.certificate.Verify(x509.VerifyOptions{
				Roots: roots, DNSName: test.host, KeyUsages: []x509.ExtKeyUsage{test.usage}, CurrentTime: test.at,
			})
			if valid := err == nil; valid != test.valid {
				t.Errorf("valid: got %v (%v), want %v", valid, err, test.valid)
			}
		})
	}
}

func TestWrittenKeyBelongsToItsCertificate(t *testing.T) {
	ca, err := newAuthority("ca", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	crt, key := filepath.Join(t.TempDir(), "crt"), filepath.Join(t.TempDir(), "key")
	if err := ca.writeServer("server", crt, key); err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(crt, key); err != nil {
		t.Error(err)
	}
}
