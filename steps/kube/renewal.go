package kube

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"upgrader.dev/upgrader/engine/printable"
)

// What to do when the credentials of a kubeconfig are not accepted, or end, depends on their kind.
const (
	goesOn     = "; a run goes on with `upgrader resume`"
	loginAgain = "log in again with what wrote it into the kubeconfig, until `kubectl auth whoami` knows you" + goesOn
	getAnother = "get a new one and put it into the kubeconfig, until `kubectl auth whoami` knows you" + goesOn
	getRenewed = "on a control plane `kubeadm certs check-expiration` tells when it ends, and /etc/kubernetes/admin.conf has a renewed one" + goesOn
	notTaken   = "API servers take passwords no more since Kubernetes 1.19, but what stands before one may: see `kubectl auth whoami`" + goesOn
	proveIt    = "put a token, a certificate or a credential plugin into the kubeconfig" + goesOn
)

// pluginAdvice says how to log in by a credential plugin, where its own command is known.
func pluginAdvice(command string) string {
	login := map[string]string{
		"aws": "`aws sso login`", "aws-iam-authenticator": "`aws sso login`", "gke-gcloud-auth-plugin": "`gcloud auth login`", "tsh": "`tsh login`",
	}[filepath.Base(command)]
	if login == "" {
		login = "log in as it wants it"
	}
	return login + ", until `kubectl auth whoami` knows you" + goesOn
}

// Credentials are what a kubeconfig has its user prove who they are with.
type Credentials struct {
	What      string    // for people: "the token of the kubeconfig"
	Ends      time.Time // zero: it is not written in them, or they are given anew when they end
	Renewable bool      // they stand in a file of their own, which is read again and which somebody may renew
	Advice    string    // what to do when they end
}

// Credentials returns what this client proves with who it is. A token that is a JSON Web Token, and a certificate, say
// themselves when they end.
func (c *Client) Credentials() Credentials {
	config, of := c.config, " of the kubeconfig"
	switch {
	case config.BearerToken != "" || config.BearerTokenFile != "":
		return Credentials{"the token" + of, endOfToken(tokenOf(config)), config.BearerTokenFile != "", getAnother}
	case config.Username != "":
		return Credentials{What: "the password" + of, Advice: notTaken}
	case c.giver != nil:
		return Credentials{What: "what " + c.giver.name + " gives", Advice: c.giver.advice}
	case len(config.CertData) > 0 || config.CertFile != "":
		return Credentials{"the certificate" + of, endOfCertificate(config), len(config.CertData) == 0, getRenewed}
	}
	return Credentials{What: "the user" + of, Advice: proveIt}
}

// tokenOf is the token as it is: client-go reads one in a file again and again.
func tokenOf(config *rest.Config) string {
	if config.BearerTokenFile != "" {
		if data, err := os.ReadFile(config.BearerTokenFile); err == nil {
			return strings.TrimSpace(string(data))
		}
	}
	return config.BearerToken
}

// endOfToken is when a JSON Web Token ends by its own account, which nobody here can verify; zero for other tokens.
func endOfToken(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(parts[1]) // its alphabet is that of URLs, and it is not padded
	claims, err := printable.Base64(plain + strings.Repeat("=", -len(plain)&3))
	if err != nil {
		return time.Time{}
	}
	var said struct {
		Ends float64 `json:"exp"` // RFC 7519: seconds since 1970, and they may have a fraction
	}
	if err := printable.JSON(claims, &said); err != nil || said.Ends <= 0 || said.Ends > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(said.Ends), 0)
}

func endOfCertificate(config *rest.Config) time.Time {
	data := config.CertData
	if len(data) == 0 {
		data, _ = os.ReadFile(config.CertFile) // without it there is no end to tell
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return time.Time{}
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}
	}
	return certificate.NotAfter
}

// An unacceptedError is a 401, and what it did not accept.
type unacceptedError struct {
	error
	credentials Credentials
}

// Unwrap is the answer.
func (e *unacceptedError) Unwrap() error { return e.error }

// refused says what a person can do whose credentials are not accepted.
func (c Credentials) refused(err error, now time.Time) error {
	if c.Ends.IsZero() || now.Before(c.Ends) {
		return fmt.Errorf("%w; %s is not accepted: %s", err, c.What, c.Advice)
	}
	return fmt.Errorf("%w; %s expired at %s: %s", err, c.What, c.Ends.Local().Format("15:04 on 2006-01-02"), c.Advice)
}
