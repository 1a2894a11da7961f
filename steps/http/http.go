// Package http has the kind that asks a web server whether all is well: http.check. It may import engine only.
package http

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
)

const doc = `Waits until a web address answers as it should, asked from the machine that upgrader runs on.
It observes one GET: the status and, if wanted, a piece of the body. It asks again until the step's timeout, saying what came instead. It changes nothing.
It refuses a server whose certificate does not verify. Redirections are followed on the same host only.`

// bodyLimit is how much of an answer is read, and redirects how many are followed (as net/http does by itself).
const (
	bodyLimit = 1 << 20
	redirects = 10
)

// Kinds returns the kinds of this family.
func Kinds() []engine.Kind {
	return []engine.Kind{{
		Name: "http.check", Doc: doc, Scope: engine.OnCluster,
		New: func() engine.Step { return &check{} },
	}}
}

type check struct {
	URL      string        `yaml:"url" required:"true" doc:"The address, http or https."`
	Status   int           `yaml:"status" default:"200" doc:"The status that it must answer with."`
	Contains string        `yaml:"contains" doc:"Text that the body must contain, within its first MiB."`
	Timeout  time.Duration `yaml:"timeout" default:"10s" doc:"How long one question may take."`
	CABundle string        `yaml:"caBundle" doc:"File of PEM certificates that the server's is verified with, instead of the system's."`
}

// Validate checks the address.
func (c *check) Validate() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("url: %q is not an address of http or https", c.URL)
	case u.User != nil:
		return fmt.Errorf("url: holds a password, which would be written to the journal; leave it out")
	case c.Status < 100 || c.Status > 599:
		return fmt.Errorf("status: %d is not a status of HTTP", c.Status)
	case c.Timeout <= 0:
		return fmt.Errorf("timeout: want more than %v", c.Timeout)
	}
	return nil
}

func (c *check) Observe(ctx context.Context, _ engine.Scene) ([]engine.Change, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout) //nolint:forbidigo // net/http says what was cut short, the deadline is all there is to add
	defer cancel()
	transport, err := c.transport()
	if err != nil {
		return nil, err
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.URL, err)
	}
	resp, err := (&http.Client{Transport: transport, CheckRedirect: sameHost}).Do(req)
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return nil, engine.Refuse(fmt.Sprintf("the certificate of %s does not verify: %v", c.URL, bad.Err), "give the certificates of its authority as caBundle, or correct the address")
	}
	if err != nil {
		return nil, engine.NotYet("%s does not answer: %v", c.URL, plain(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != c.Status {
		return nil, engine.NotYet("%s answers %s, want %d", c.URL, resp.Status, c.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit))
	if err != nil {
		return nil, engine.NotYet("%s broke off its answer: %v", c.URL, err)
	}
	if !strings.Contains(string(body), c.Contains) {
		return nil, engine.NotYet("%s answers %s, but not with %q", c.URL, resp.Status, c.Contains)
	}
	return nil, nil
}

func (c *check) transport() (*http.Transport, error) {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	if c.CABundle == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CABundle)
	if err != nil {
		return nil, fmt.Errorf("reading caBundle: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("caBundle %s holds no certificate in PEM", c.CABundle)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}

// sameHost follows a redirection only where the plan has pointed, and never from https to http.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Host != first.Host || first.Scheme == "https" && req.URL.Scheme != "https" || len(via) >= redirects {
		return http.ErrUseLastResponse
	}
	return nil
}

// plain is the error without the address, which is in our words already.
func plain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
