package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	defaultConnectTimeout = 10 * time.Second
	defaultKeepalive      = 5 * time.Second
	// configTimeout bounds `ssh -G`, which may run the commands of `Match exec`.
	configTimeout = 10 * time.Second
)

// An endpoint is everything needed to reach one host, merged from the inventory and the ssh configuration.
type endpoint struct {
	host           string // as the inventory calls it, for messages
	alias          string // what was asked of the ssh configuration
	address        string // name or IP address
	port           int
	user           string
	identities     []string // private keys to try, in order
	explicit       string   // the one that the inventory names; it must be there
	identitiesOnly bool
	agent          string   // path of the agent's socket; empty: no agent
	knownHosts     []string // files, the person's own first
	hostKeyAlias   string
	proxyJump      string
	proxyCommand   string // not supported
	revoked        string // not supported
	connectTimeout time.Duration
	keepalive      time.Duration
}

func (e *endpoint) hostport() string { return net.JoinHostPort(e.address, strconv.Itoa(e.port)) }

// keyName is the name under which known_hosts has the host.
func (e *endpoint) keyName() string {
	if e.hostKeyAlias != "" {
		return e.hostKeyAlias + ":22" // as OpenSSH: the alias stands alone, without the port
	}
	return e.hostport()
}

// String names the endpoint in messages: cp1 (admin@10.0.0.11:22).
func (e *endpoint) String() string { return fmt.Sprintf("%s (%s@%s)", e.host, e.user, e.hostport()) }

// A resolver merges inventory and ssh configuration.
type resolver struct {
	warn func(string)
	ssh  string // path of OpenSSH's client; empty if there is none
}

func newResolver(warn func(string)) *resolver {
	path, err := exec.LookPath("ssh")
	if err != nil {
		path = ""
	}
	return &resolver{warn: warn, ssh: path}
}

// resolve finds out how to reach host, known to the ssh configuration as alias. What want says beats the configuration.
func (r *resolver) resolve(ctx context.Context, host, alias string, want SSH) (*endpoint, error) {
	e, err := defaultEndpoint(host, alias)
	if err != nil {
		return nil, err
	}
	if want.Config != "none" && r.ssh != "" {
		if err := r.ask(ctx, e, want); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			r.warn(fmt.Sprintf("%s: the ssh configuration is left out, because `ssh -G %s` failed: %v", host, alias, err))
		}
	}
	e.user, e.port = cmp.Or(want.User, e.user), cmp.Or(want.Port, e.port)
	e.connectTimeout, e.keepalive = cmp.Or(want.ConnectTimeout, e.connectTimeout), cmp.Or(want.Keepalive, e.keepalive)
	if e.proxyCommand != "" && want.ProxyJump == "" {
		return nil, fmt.Errorf("%s: the ssh configuration reaches it through ProxyCommand, which upgrader does not run; use ProxyJump there, or proxyJump in the inventory", host)
	}
	if e.revoked != "" {
		return nil, fmt.Errorf("%s: the ssh configuration names RevokedHostKeys %s, which upgrader does not read; put those keys into known_hosts, as lines that begin with @revoked *", host, e.revoked)
	}
	e.proxyJump = cmp.Or(want.ProxyJump, e.proxyJump)
	if e.proxyJump == "none" {
		e.proxyJump = ""
	}
	if want.IdentityFile != "" {
		e.explicit = want.IdentityFile
		e.identities = append([]string{want.IdentityFile}, e.identities...)
	}
	if want.KnownHosts != "" {
		e.knownHosts = []string{want.KnownHosts}
	}
	return e, nil
}

// defaultEndpoint is what OpenSSH would do without any configuration.
func defaultEndpoint(host, alias string) (*endpoint, error) {
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("finding out the login name: %w", err)
	}
	home, err := homeDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(home, ".ssh")
	return &endpoint{
		host: host, alias: alias, address: alias, port: 22, user: me.Username, agent: os.Getenv("SSH_AUTH_SOCK"),
		identities:     []string{filepath.Join(dir, "id_ed25519"), filepath.Join(dir, "id_ecdsa"), filepath.Join(dir, "id_rsa")},
		knownHosts:     []string{filepath.Join(dir, "known_hosts"), filepath.Join(dir, "known_hosts2"), "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"},
		connectTimeout: defaultConnectTimeout, keepalive: defaultKeepalive,
	}, nil
}

// ask lets OpenSSH itself read the configuration: its Match and Include rules are nobody else's business.
func (r *resolver) ask(ctx context.Context, e *endpoint, want SSH) error {
	ctx, cancel := context.WithTimeoutCause(ctx, configTimeout, fmt.Errorf("no answer within %s", configTimeout))
	defer cancel()
	args := []string{"-G"}
	if want.Config != "" {
		args = append(args, "-F", want.Config)
	}
	if want.User != "" {
		args = append(args, "-l", want.User)
	}
	if want.Port != 0 {
		args = append(args, "-p", strconv.Itoa(want.Port))
	}
	if strings.HasPrefix(e.alias, "-") {
		return errors.New("a host's name cannot begin with a dash")
	}
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, r.ssh, append(args, "--", e.alias)...)
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return e.read(string(out))
}

// read takes over the answer of `ssh -G`: one lower-case keyword and its value per line.
func (e *endpoint) read(answer string) error {
	options := map[string][]string{}
	for line := range strings.Lines(answer) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		options[key] = append(options[key], value)
	}
	get := func(key string) string {
		if v := options[key]; len(v) > 0 && v[0] != "none" {
			return v[0]
		}
		return ""
	}
	e.address, e.user = cmp.Or(get("hostname"), e.address), cmp.Or(get("user"), e.user)
	if p := get("port"); p != "" {
		port, err := strconv.Atoi(p)
		if err != nil {
			return fmt.Errorf("it says port %q", p)
		}
		e.port = port
	}
	e.proxyJump, e.hostKeyAlias, e.proxyCommand = get("proxyjump"), get("hostkeyalias"), get("proxycommand")
	e.revoked = get("revokedhostkeys")
	e.identitiesOnly = get("identitiesonly") == "yes"
	if s, err := strconv.Atoi(get("connecttimeout")); err == nil && s > 0 {
		e.connectTimeout = time.Duration(s) * time.Second
	}
	e.readFiles(options)
	return nil
}

func (e *endpoint) readFiles(options map[string][]string) {
	if files := options["identityfile"]; len(files) > 0 {
		e.identities = slices.DeleteFunc(e.tokens(files), func(f string) bool { return f == "none" })
	}
	if a := options["identityagent"]; len(a) > 0 {
		switch {
		case a[0] == "none":
			e.agent = ""
		case a[0] == "SSH_AUTH_SOCK":
		case strings.HasPrefix(a[0], "$"):
			e.agent = os.Getenv(strings.Trim(a[0], "${}"))
		default:
			e.agent = e.tokens(a)[0]
		}
	}
	var known []string
	for _, key := range []string{"userknownhostsfile", "globalknownhostsfile"} {
		for _, v := range options[key] {
			known = append(known, e.tokens(fields(v))...)
		}
	}
	if len(known) > 0 {
		e.knownHosts = slices.DeleteFunc(known, func(f string) bool { return f == "none" || f == "/dev/null" })
	}
}

// tokens expands ~ and the percent tokens that file names may hold (ssh_config(5), TOKENS).
func (e *endpoint) tokens(paths []string) []string {
	home, _ := homeDir()
	me := ""
	if u, err := user.Current(); err == nil {
		me = u.Username
	}
	replace := strings.NewReplacer("%%", "%", "%d", home, "%h", e.address, "%n", e.alias, "%p", strconv.Itoa(e.port), "%r", e.user, "%u", me,
		"%k", cmp.Or(e.hostKeyAlias, e.alias))
	out := make([]string, 0, len(paths))
	for _, p := range paths {
		if rest, ok := strings.CutPrefix(p, "~/"); ok {
			p = filepath.Join(home, rest)
		}
		out = append(out, replace.Replace(p))
	}
	return out
}

// fields splits at spaces outside double quotes.
func fields(s string) []string {
	quoted := false
	parts := strings.FieldsFunc(s, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	})
	for i := range parts {
		parts[i] = strings.Trim(parts[i], `"`)
	}
	return parts
}

// A hop is one stop of a ProxyJump chain.
type hop struct {
	user, address string
	port          int
}

// parseJumps reads ProxyJump's value: [user@]host[:port] or ssh://[user@]host[:port], separated by commas.
func parseJumps(spec string) ([]hop, error) {
	var hops []hop
	for part := range strings.SplitSeq(spec, ",") {
		h := hop{address: strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(part), "ssh://"), "/")}
		if i := strings.LastIndexByte(h.address, '@'); i >= 0 {
			h.user, h.address = h.address[:i], h.address[i+1:]
		}
		if host, port, err := net.SplitHostPort(h.address); err == nil {
			n, err := strconv.Atoi(port)
			if err != nil || n < 1 || n > 65535 {
				return nil, fmt.Errorf("proxyJump %q: %q is no port", spec, port)
			}
			h.address, h.port = host, n
		}
		h.address = strings.Trim(h.address, "[]")
		if h.address == "" {
			return nil, fmt.Errorf("proxyJump %q: a host is missing", spec)
		}
		hops = append(hops, h)
	}
	return hops, nil
}
