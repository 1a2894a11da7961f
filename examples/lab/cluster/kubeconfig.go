//go:build linux

package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
)

// A kubeconfig is as much of one as kubeadm writes: one cluster, one user with a client certificate.
type kubeconfig struct {
	Clusters []struct {
		Cluster struct {
			Server string `json:"server"`
			CA     []byte `json:"certificate-authority-data"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		User struct {
			Certificate []byte `json:"client-certificate-data"`
			Key         []byte `json:"client-key-data"`
		} `json:"user"`
	} `json:"users"`
}

// access is the address of the API server, through the balancer, and how to be its administrator. kubectl reads the
// file, so that the lab need not read YAML.
func (l *Lab) access(ctx context.Context) (string, *tls.Config, error) {
	text, err := output(l.Kubectl(ctx, "config", "view", "--raw", "--output", "json"))
	if err != nil {
		return "", nil, fmt.Errorf("reading %s: %w; `lab up` writes it", l.Kubeconfig(), err)
	}
	var k kubeconfig
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		return "", nil, fmt.Errorf("reading %s: %w", l.Kubeconfig(), err)
	}
	if len(k.Clusters) != 1 || len(k.Users) != 1 {
		return "", nil, fmt.Errorf("%s is not what kubeadm writes; `lab up` writes it anew", l.Kubeconfig())
	}
	config, err := k.tls()
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", l.Kubeconfig(), err)
	}
	return k.Clusters[0].Cluster.Server, config, nil
}

func (k kubeconfig) tls() (*tls.Config, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(k.Clusters[0].Cluster.CA) {
		return nil, errors.New("it holds no certificate authority")
	}
	pair, err := tls.X509KeyPair(k.Users[0].User.Certificate, k.Users[0].User.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the client certificate: %w", err)
	}
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
