package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/redact"
)

// How long credentials may take. kubectl waits for ever; nobody sits before an upgrade all the time.
const (
	givenWithin = time.Minute
	loginWithin = 5 * time.Minute // where a person may have to log in
	toldAfter   = 3 * time.Second // what is waited for
)

// A giver is who gives the credentials of a kubeconfig's user when they are needed: a credential plugin, or an identity
// provider. client-go asks it in the middle of a request and with no regard to its time. So it is asked before: what it
// takes is nobody's time, not a request's and not that of the lock that a write rests on. All who wait share one answer.
type giver struct {
	name   string            // for people
	advice string            // what to do where it gives none
	within time.Duration     // how long it may take
	way    http.RoundTripper // has the credentials put on a request, which it sends nowhere
	tell   func(string)

	mu    sync.Mutex
	asked *asking // nil: nobody waits
}

// An asking is one question to a giver.
type asking struct {
	ended chan struct{}
	err   error // once it has ended
}

// newGiver finds who gives the credentials of a configuration: nil if they are in it. It has a plugin run by the options'
// runner.
func newGiver(config *rest.Config, o Options) (*giver, error) {
	g := &giver{within: givenWithin, tell: o.Tell}
	var err error
	switch {
	case config.ExecProvider != nil:
		err = g.byPlugin(config, o)
	case config.AuthProvider != nil:
		err = g.byProvider(config.AuthProvider.Name)
	default:
		return nil, nil
	}
	if err == nil {
		g.way, err = rest.HTTPWrappersForConfig(config, nowhere{})
	}
	return g, err
}

func (g *giver) byPlugin(config *rest.Config, o Options) error {
	plugin := config.ExecProvider
	if strings.HasSuffix(plugin.APIVersion, "/v1alpha1") {
		return fmt.Errorf("its credential plugin speaks %s, which was removed in Kubernetes 1.24: upgrade %s and have it write the user anew (`aws eks update-kubeconfig` for aws)",
			plugin.APIVersion, plugin.Command)
	}
	if o.AtTerminal && plugin.InteractiveMode != clientcmdapi.NeverExecInteractiveMode {
		g.within = loginWithin
	}
	g.name, g.advice = "the credential plugin "+plugin.Command+" of the kubeconfig", pluginAdvice(plugin.Command)
	supervise(config, o.PluginRunner, g.within)
	return nil
}

func (g *giver) byProvider(name string) error {
	g.name, g.advice = "the auth-provider "+name+" of the kubeconfig", loginAgain
	return removedProvider(name)
}

// Login waits until there are credentials, where somebody has to be asked for them; it asks the cluster nothing. A caller
// with little time of its own does it before: a person may have to log in, within five minutes.
func (c *Client) Login(ctx context.Context) error { return c.giver.ready(ctx) }

// ready waits until there are credentials that have not expired. The errors are engine.Transient where the giver could
// not be reached, and errNoCredentials where it gives none.
func (g *giver) ready(ctx context.Context) error {
	if g == nil {
		return nil
	}
	a := g.ask()
	select {
	case <-a.ended:
		return a.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s: %w", g.name, context.Cause(ctx))
	}
}

// ask joins the question under way, or asks.
func (g *giver) ask() *asking {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked == nil {
		g.asked = &asking{ended: make(chan struct{})}
		go g.answer(g.asked)
	}
	return g.asked
}

func (g *giver) answer(a *asking) {
	if g.tell != nil {
		slow := time.AfterFunc(toldAfter, func() { g.tell("waiting for " + g.name + ", for " + g.within.String() + " at most ...") })
		defer slow.Stop()
	}
	a.err = printable.Error(redact.Error(g.judge(g.inTime())))
	g.mu.Lock()
	g.asked = nil
	g.mu.Unlock()
	close(a.ended)
}

// inTime has the credentials given, or gives up. A plugin that is given up is ended by its runner.
func (g *giver) inTime() error {
	given := make(chan error, 1)
	go func() { given <- g.give() }()
	late := time.NewTimer(g.within)
	defer late.Stop()
	select {
	case err := <-given:
		return err
	case <-late.C:
		return fmt.Errorf("it gave no answer within %s", g.within)
	}
}

func (g *giver) give() error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://nowhere.invalid", http.NoBody)
	if err != nil {
		return err
	}
	answer, err := g.way.RoundTrip(req)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// judge tells a giver that was not reached, and may be soon, from one that gives nothing.
func (g *giver) judge(err error) error {
	var onTheWay *url.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &onTheWay) && judgeTransport(err) != permanent:
		return engine.Transient(fmt.Errorf("asking %s: %w", g.name, err))
	}
	return fmt.Errorf("%w from %s: %w; %s", errNoCredentials, g.name, err, g.advice)
}

// errNoCredentials says that nothing was sent, since there is nobody in whose name to send it.
var errNoCredentials = errors.New("no credentials")

// nowhere is where a request goes that is made for its credentials.
type nowhere struct{}

// RoundTrip answers without having sent anything.
func (nowhere) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

// removedProvider says what there is in the place of an auth-provider that Kubernetes has removed from its clients, as the
// stubs that kubectl has for them do (k8s.io/client-go plugin/pkg/client/auth/gcp and azure).
func removedProvider(name string) error {
	switch name {
	case "oidc":
		return nil
	case "gcp":
		return errors.New("its auth-provider gcp was removed in Kubernetes 1.26: install gke-gcloud-auth-plugin, then `gcloud container clusters get-credentials CLUSTER` writes a user with it")
	case "azure":
		return errors.New("its auth-provider azure was removed in Kubernetes 1.26: install kubelogin, then `kubelogin convert-kubeconfig`, or `az aks get-credentials` anew")
	}
	return fmt.Errorf("its auth-provider %s is none that Kubernetes has: the user needs a credential plugin (exec), a token or a certificate in its place", name)
}
