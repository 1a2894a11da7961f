package kube

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // the auth-provider that kubectl still has
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"upgrader.dev/upgrader/engine"
)

// Requests per second and at once of one client. client-go's own 5 and 10 would make the drain of a full node (110
// pods, kubelet's default) take half a minute; the server's priority and fairness protects it beyond this.
const (
	requestsPerSecond = 50
	requestsAtOnce    = 100
)

// Options say which cluster a client speaks to, and in whose name.
type Options struct {
	Kubeconfig string // a file; empty: $KUBECONFIG, then ~/.kube/config, as kubectl does
	Context    string // of the kubeconfig; empty: its current one
	RunID      string // shown to the API server in the user agent, so that its audit log names the run
	Version    string // of upgrader, for the user agent

	// PluginRunner gives the command that runs the one appended to it, and ends it after so long: for a user that is an
	// exec plugin. None: the plugin is run as it is.
	PluginRunner func(within time.Duration) []string
	AtTerminal   bool         // somebody sits there who can log in where a plugin asks
	Tell         func(string) // is told what is waited for where credentials take long, at any time; nil: nobody is
}

// A Client speaks to one cluster. It is safe for concurrent use.
type Client struct {
	rest   rest.Interface
	config *rest.Config // to make other clients of the same cluster
	lock   *Lock        // that its writes rest on; nil: on none
	giver  *giver       // of the credentials; nil: they are in the configuration
}

// Load makes a client from a kubeconfig, by the loading rules of kubectl. It does not connect. A user that is an exec
// plugin is run, as kubectl runs it: whoever can write the kubeconfig runs programs as the operator. The tokens of a user
// that is an auth-provider oidc are renewed and written back into the kubeconfig, as kubectl writes them: an identity
// provider may take a refresh token only once, and kubectl has to go on with the next one.
func Load(o Options) (*Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	rules.WarnIfAllMissing = false
	raw, err := rules.Load()
	if err != nil {
		return nil, unreadable(o, err)
	}
	if err := checkContext(o, rules, raw); err != nil {
		return nil, err
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.Context}
	config, err := clientcmd.NewNonInteractiveClientConfig(*raw, o.Context, overrides, rules).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s cannot be used: %w; try it with `kubectl%s get nodes`",
			sources(rules), err, kubectlFlags(o))
	}
	return fromConfig(config, o)
}

// New makes a client of the API server at host that sends every request through transport: for a server in the same
// process.
func New(host string, transport http.RoundTripper, o Options) (*Client, error) {
	return fromConfig(&rest.Config{Host: host, Transport: transport}, o)
}

// ReadOnly returns a client of the same cluster that refuses, underneath everything, each request that is not a GET or a
// question about one's own rights, with engine.ErrReadOnly.
func (c *Client) ReadOnly() *Client {
	config := rest.CopyConfig(c.config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return readOnly{next} })
	client, err := c.through(config)
	if err != nil {
		// The same configuration made c; only a programmer's error gets here, and it must not end in a client that writes.
		panic("making the read-only client: " + err.Error())
	}
	return &Client{rest: client, config: config, giver: c.giver}
}

// through makes the client of a configuration.
func (c *Client) through(config *rest.Config) (rest.Interface, error) {
	transport, err := c.transportFor(config)
	if err != nil {
		return nil, err
	}
	return clientBy(config, transport)
}

// clientBy makes the client of a configuration, whose requests go by a transport.
func clientBy(config *rest.Config, transport http.RoundTripper) (rest.Interface, error) {
	return rest.UnversionedRESTClientForConfigAndClient(config, &http.Client{Transport: transport, CheckRedirect: stayHere})
}

// stayHere follows no answer to another server: client-go would hand it the credentials.
func stayHere(next *http.Request, before []*http.Request) error {
	first := before[0].URL
	if next.URL.Scheme != first.Scheme || next.URL.Host != first.Host {
		return fmt.Errorf("%w: to %s://%s; name the API server itself in the kubeconfig", errElsewhere, next.URL.Scheme, next.URL.Host)
	}
	const most = 3
	if len(before) > most {
		return fmt.Errorf("%w, again and again", errElsewhere)
	}
	return nil
}

// errElsewhere says that an answer leads to another server.
var errElsewhere = errors.New("the answer sends this client elsewhere")

// Host is the address of the API server, for people.
func (c *Client) Host() string { return c.config.Host }

func fromConfig(config *rest.Config, o Options) (*Client, error) {
	config.QPS, config.Burst = requestsPerSecond, requestsAtOnce
	config.UserAgent = userAgent(o)
	config.WarningHandler = rest.NoWarnings{} // they would be written across the progress view
	config.Timeout = 0                        // every request has its own, see request.go
	config.ContentType = runtime.ContentTypeJSON
	config.AcceptContentTypes = runtime.ContentTypeJSON
	config.DisableCompression = true // it is asked for, and bounded, in bounded.go
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return bounded{next, mostBytes} })
	codecs, err := newCodecs()
	if err != nil {
		return nil, err
	}
	config.NegotiatedSerializer = codecs.WithoutConversion()
	c := &Client{config: config}
	if c.giver, err = newGiver(config, o); err == nil {
		c.rest, err = c.through(config)
	}
	if err != nil {
		return nil, fmt.Errorf("making a client of %s: %w; check the cluster and user entries of the kubeconfig", config.Host, err)
	}
	return c, nil
}

// newCodecs knows the few API groups that are used, instead of all that client-go has: a third of the program's size.
func newCodecs() (serializer.CodecFactory, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, coordinationv1.AddToScheme, policyv1.AddToScheme, storagev1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return serializer.CodecFactory{}, fmt.Errorf("registering API types: %w", err)
		}
	}
	return serializer.NewCodecFactory(scheme), nil
}

func userAgent(o Options) string {
	agent := "upgrader/" + o.Version
	if o.Version == "" {
		agent = "upgrader/dev"
	}
	if o.RunID != "" {
		agent += " run/" + o.RunID
	}
	return agent
}

func unreadable(o Options, err error) error {
	if o.Kubeconfig != "" && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("kubeconfig %s does not exist; give another one with --kubeconfig, or copy /etc/kubernetes/admin.conf from a control plane", o.Kubeconfig)
	}
	return fmt.Errorf("reading the kubeconfig: %w; try it with `kubectl%s config view`", err, kubectlFlags(o))
}

// checkContext says in words what clientcmd says in riddles: which file, which context, which ones there are.
func checkContext(o Options, rules *clientcmd.ClientConfigLoadingRules, raw *clientcmdapi.Config) error {
	if len(raw.Clusters) == 0 && len(raw.Contexts) == 0 {
		return fmt.Errorf("no cluster in the kubeconfig: looked in %s; give one with --kubeconfig, or copy /etc/kubernetes/admin.conf from a control plane", sources(rules))
	}
	name := o.Context
	if name == "" {
		name = raw.CurrentContext
	}
	if name == "" {
		return fmt.Errorf("kubeconfig %s has no current context; choose one with --context: %s", sources(rules), contexts(raw))
	}
	chosen, ok := raw.Contexts[name]
	if !ok {
		return fmt.Errorf("kubeconfig %s has no context %q; choose one with --context: %s", sources(rules), name, contexts(raw))
	}
	if _, ok := raw.Clusters[chosen.Cluster]; !ok {
		return fmt.Errorf("kubeconfig %s: context %q names the cluster %q, which is not in it; choose another with --context: %s",
			sources(rules), name, chosen.Cluster, contexts(raw))
	}
	return nil
}

func contexts(raw *clientcmdapi.Config) string {
	return strings.Join(slices.Sorted(maps.Keys(raw.Contexts)), ", ")
}

func sources(rules *clientcmd.ClientConfigLoadingRules) string {
	return strings.Join(rules.GetLoadingPrecedence(), ", ")
}

func kubectlFlags(o Options) string {
	flags := ""
	if o.Kubeconfig != "" {
		flags += " --kubeconfig " + o.Kubeconfig
	}
	if o.Context != "" {
		flags += " --context " + o.Context
	}
	return flags
}

// readOnly lets only GETs through, and questions about one's own rights.
type readOnly struct{ next http.RoundTripper }

func (r readOnly) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet || req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, reviews) {
		return r.next.RoundTrip(req)
	}
	drop(req)
	return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, engine.ErrReadOnly)
}

// WrappedRoundTripper lets client-go find the transport that keeps the connections.
func (r readOnly) WrappedRoundTripper() http.RoundTripper { return r.next }
