package kube

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/client-go/rest"

	"upgrader.dev/upgrader/steps/redact"
)

// A connection is the way to the API for one request.
type connection struct {
	http.RoundTripper
	below *http.Transport
	giver *giver
}

// fresh makes a way of its own, with the credentials of the client and none of its connections.
func (c *Client) fresh() (*connection, error) {
	if c.config.Transport != nil { // in the same process
		return &connection{RoundTripper: c.config.Transport, below: &http.Transport{}, giver: c.giver}, nil
	}
	tls, err := rest.TLSConfigFor(c.config)
	if err != nil {
		return nil, fmt.Errorf("the certificates of the kubeconfig: %w", err)
	}
	below := &http.Transport{TLSClientConfig: tls, DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: answerWithin}
	if c.config.Proxy != nil {
		below.Proxy = c.config.Proxy
	}
	wrapped, err := rest.HTTPWrappersForConfig(c.config, below)
	if err != nil {
		return nil, fmt.Errorf("the credentials of the kubeconfig: %w", err)
	}
	return &connection{RoundTripper: wrapped, below: below, giver: c.giver}, nil
}

// answerWithin is how long one new connection may take to be answered.
const answerWithin = 5 * time.Second

// CloseIdleConnections ends what is left of it.
func (c *connection) CloseIdleConnections() { c.below.CloseIdleConnections() }

func (c *connection) get(ctx context.Context, url string) ([]byte, error) {
	if err := c.giver.ready(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerWithin, fmt.Errorf("no answer within %s", answerWithin))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := c.RoundTrip(req)
	if err != nil {
		return nil, redact.Error(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d %s", url, answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	const most = 1 << 20
	return io.ReadAll(io.LimitReader(answer.Body, most))
}
