package machine

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"time"
)

// template is the certificate that is to be signed.
func (l Leaf) template(since time.Time) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: l.Name, Organization: l.Groups},
		NotBefore: since, NotAfter: l.NotAfter, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	if t.NotAfter.IsZero() {
		t.NotAfter = time.Now().Add(leafLasts)
	}
	if len(l.Servers) > 0 {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if l.Client {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	for _, s := range l.Servers {
		if ip := net.ParseIP(s); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, s)
		}
	}
	return t
}
