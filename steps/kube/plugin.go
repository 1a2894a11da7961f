package kube

import (
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

// supervise has the credential plugin of a kubeconfig, if it has one, run by a program that ends it in time, and
// remembers its name for errors.
func supervise(config *rest.Config, runner []string) (plugin string) {
	if config.ExecProvider == nil {
		return ""
	}
	plugin = config.ExecProvider.Command
	if _, err := exec.LookPath(plugin); err == nil && len(runner) > 0 { // of one that is not there client-go says how to get it
		supervised := config.ExecProvider.DeepCopy()
		supervised.Command = runner[0]
		supervised.Args = slices.Concat(runner[1:], []string{plugin}, config.ExecProvider.Args)
		config.ExecProvider = supervised
	}
	return plugin
}

// transportFor is the way to the API with the credentials of a configuration.
func (c *Client) transportFor(config *rest.Config) (http.RoundTripper, error) {
	transport, err := rest.TransportFor(config)
	if err != nil || c.plugin == "" {
		return transport, err
	}
	return impatient{transport, c.plugin}, nil
}

// impatient ends a request with its context. client-go asks a credential plugin before it looks at that.
type impatient struct {
	next   http.RoundTripper
	plugin string
}

// RoundTrip makes the request, and leaves it to itself when the time is over. Nothing is sent any more then: below, a
// request whose context has ended is refused before anything else.
func (i impatient) RoundTrip(req *http.Request) (*http.Response, error) {
	type end struct {
		answer *http.Response
		err    error
	}
	ended := make(chan end, 1)
	go func() {
		answer, err := i.next.RoundTrip(req) //nolint:bodyclose // whoever called gets it; one that comes too late has no connection left
		ended <- end{answer, err}
	}()
	select {
	case e := <-ended:
		return e.answer, i.named(e.err)
	case <-req.Context().Done():
	}
	const moment = 100 * time.Millisecond // for what heeds its context
	select {
	case e := <-ended:
		return e.answer, i.named(e.err)
	case <-time.After(moment):
		return nil, fmt.Errorf("the credential plugin %s of the kubeconfig gives no answer: %w", i.plugin, req.Context().Err())
	}
}

// named says whose failure it was, where it was the plugin's.
func (i impatient) named(err error) error {
	if err == nil || !strings.Contains(err.Error(), gettingCredentials) {
		return err
	}
	return fmt.Errorf("the credential plugin %s of the kubeconfig: %w", i.plugin, err)
}

// gettingCredentials is in the errors of a plugin that failed; client-go has no type for them.
const gettingCredentials = "getting credentials"

// CloseIdleConnections makes the next request dial anew.
func (i impatient) CloseIdleConnections() { utilnet.CloseIdleConnectionsFor(i.next) }
