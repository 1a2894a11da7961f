package machine

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// How long certificates of kubeadm last (kubeadm/app/constants: CertificateValidity, CACertificateValidity), and how old
// a pretend cluster is.
const (
	leafLasts      = 365 * 24 * time.Hour
	authorityLasts = 10 * leafLasts
	clusterAge     = 30 * 24 * time.Hour
)

// Authorities are the three certificate authorities of a kubeadm cluster. Its control planes share them.
type Authorities struct {
	Kubernetes, Etcd, FrontProxy *Authority
	Since                        time.Time // when kubeadm init ran: the authorities and the first certificates are from then
}

// newAuthorities makes the authorities of a cluster that has been there for a month.
func newAuthorities() (*Authorities, error) {
	a := &Authorities{Since: time.Now().Add(-clusterAge).Truncate(time.Second)}
	var err error
	for _, of := range []struct {
		to   **Authority
		name string
	}{{&a.Kubernetes, "kubernetes"}, {&a.Etcd, "etcd-ca"}, {&a.FrontProxy, "front-proxy-ca"}} {
		if *of.to, err = newAuthority(of.name, a.Since, authorityLasts); err != nil {
			return nil, fmt.Errorf("making the certificate authority %s: %w", of.name, err)
		}
	}
	return a, nil
}

// An Authority signs certificates.
type Authority struct {
	Certificate *x509.Certificate
	key         crypto.Signer
}

func newAuthority(name string, since time.Time, lasts time.Duration) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: since, NotAfter: since.Add(lasts), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	return &Authority{parsed, key}, err
}

// A Leaf is what a certificate of kubeadm is for.
type Leaf struct {
	Name     string // the common name
	Groups   []string
	Servers  []string // the names and addresses of what it proves, of a server
	Client   bool
	NotAfter time.Time // a year from now when zero
}

// Issue signs a certificate with a key of its own. Both are PEM. Like kubeadm's its validity begins with its authority's.
func (a *Authority) Issue(l Leaf) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("issuing the certificate of %s: %w", l.Name, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, l.template(a.Certificate.NotBefore), a.Certificate, private.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("issuing the certificate of %s: %w", l.Name, err)
	}
	text, err := keyPEM(private)
	return certificatePEM(der), text, err
}

// PEM is the authority's own certificate.
func (a *Authority) PEM() []byte { return certificatePEM(a.Certificate.Raw) }

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key crypto.Signer) ([]byte, error) {
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a key of type %T is none of the sandbox's", key)
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return big.NewInt(time.Now().UnixNano())
	}
	return n
}
