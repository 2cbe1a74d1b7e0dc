package stack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// An authority issues certificates. Each stack makes its own and throws them away.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// lifetime is longer than anyone leaves a local stack running.
const lifetime = 365 * 24 * time.Hour

func newAuthority(name string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	self := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-time.Minute),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	a := &authority{certificate: self, key: key}
	a.certificate, err = a.sign(self, key)
	return a, err
}

// server makes a certificate for whoever listens on the loopback address.
func (a *authority) server(name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:    []string{"localhost"},
	})
}

// client makes a certificate that Kubernetes reads as a user in one group.
func (a *authority) client(user, group string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: []string{group}},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

func (a *authority) issue(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template.NotBefore, template.NotAfter = a.certificate.NotBefore, a.certificate.NotAfter
	certificate, err := a.sign(template, key)
	return certificate, key, err
}

func (a *authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %q: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// writeServer issues a server certificate and writes it and its key.
func (a *authority) writeServer(name, certificateFile, keyFile string) error {
	certificate, key, err := a.server(name)
	if err != nil {
		return err
	}
	return writeCertificate(certificate, key, certificateFile, keyFile)
}

func writeCertificate(certificate *x509.Certificate, key *ecdsa.PrivateKey, certificateFile, keyFile string) error {
	if err := os.WriteFile(certificateFile, certificatePEM(certificate), 0o600); err != nil {
		return err
	}
	return writeKey(key, keyFile)
}

func writeKey(key *ecdsa.PrivateKey, file string) error {
	encoded, err := keyPEM(key)
	if err != nil {
		return err
	}
	return os.WriteFile(file, encoded, 0o600)
}

// writeNewKey writes a key that stands alone.
func writeNewKey(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return writeKey(key, file)
}
