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

// supervise has the credential plugin of a kubeconfig run by a program that ends it in time.
func supervise(config *rest.Config, runner func(time.Duration) []string, within time.Duration) {
	plugin := config.ExecProvider
	if _, err := exec.LookPath(plugin.Command); err != nil || runner == nil { // of one that is not there client-go says how to get it
		return
	}
	command := runner(within)
	supervised := plugin.DeepCopy()
	supervised.Command = command[0]
	supervised.Args = slices.Concat(command[1:], []string{plugin.Command}, plugin.Args)
	config.ExecProvider = supervised
}

// transportFor is the way to the API with the credentials of a configuration.
func (c *Client) transportFor(config *rest.Config) (http.RoundTripper, error) {
	transport, err := rest.TransportFor(config)
	if err != nil || c.giver == nil {
		return transport, err
	}
	return impatient{transport, c.giver.name}, nil
}

// impatient ends a request with its context. client-go asks who gives the credentials before it looks at that: in the middle
// of a request still where they have just expired, or are not accepted any more.
type impatient struct {
	next  http.RoundTripper
	giver string
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
		return nil, fmt.Errorf("%s gives no answer: %w", i.giver, req.Context().Err())
	}
}

// named says whose failure it was, where it was the plugin's.
func (i impatient) named(err error) error {
	if err == nil || !strings.Contains(err.Error(), gettingCredentials) {
		return err
	}
	return fmt.Errorf("%s: %w", i.giver, err)
}

// gettingCredentials is in the errors of a plugin that failed; client-go has no type for them.
const gettingCredentials = "getting credentials"

// CloseIdleConnections makes the next request dial anew.
func (i impatient) CloseIdleConnections() { utilnet.CloseIdleConnectionsFor(i.next) }
