package sandbox

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"upgrader.dev/upgrader/steps/sandbox/machine"
)

// A pki is the cluster's certificate authorities, which its machines know too, with a certificate for the API's real door.
type pki struct {
	*machine.Common
	server tls.Certificate
}

func newPKI() (*pki, error) {
	common, err := machine.NewCommon()
	if err != nil {
		return nil, fmt.Errorf("making the sandbox's certificates: %w", err)
	}
	p := &pki{Common: common}
	cert, key, err := p.Kubernetes.Issue(machine.Leaf{
		Name: "kube-apiserver", Servers: []string{"127.0.0.1", "localhost", "kubernetes", "kubernetes.default"},
	})
	if err != nil {
		return nil, err
	}
	p.server, err = tls.X509KeyPair(cert, key)
	return p, err
}

// admin issues the certificate of a cluster administrator, as kubeadm's admin.conf has it.
func (p *pki) admin() (cert, key []byte, err error) {
	return p.Kubernetes.Issue(machine.Leaf{Name: "kubernetes-admin", Groups: []string{"system:masters"}, Client: true})
}

func (p *pki) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.Kubernetes.Certificate)
	return pool
}
