package packages

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/skew"
)

const repositoryDoc = `Points a host's package repository to the minor version that is wanted, and fetches its lists.
Kubernetes has one repository per minor version. It observes the sources of apt and which kubeadm they offer; the goal is
that the wanted one is on offer. It rewrites only the minor version in the source that is there, so a mirror's address
and its key stay; where there is none, it adds one. The signing key is fetched, over https, only if it is missing or does not fit.
It refuses hosts that still list the repositories removed in 2024. If the lists cannot be had, the source stays as it was.`

const (
	officialURL  = "https://pkgs.k8s.io/core:/stable:"
	officialFile = "/etc/apt/sources.list.d/kubernetes.list" // as Kubernetes' installation guide names them
	officialKey  = "/etc/apt/keyrings/kubernetes-apt-keyring.gpg"
)

type repository struct {
	hosts   remote.Hosts
	Version string `yaml:"version" default:"${{ versions.to }}" doc:"The version that has to be on offer, or only its minor version: 1.28.15 or 1.28."`
	URL     string `yaml:"url" default:"https://pkgs.k8s.io/core:/stable:" doc:"Address of the repositories, over https or http, up to the part that names the minor version; used where a host has no source yet, and to recognise a mirror with a layout of its own."`
	Key     string `yaml:"key" doc:"Address of the signing key, over https only; without it Release.key of the repository, if that is served over https."`
}

var minorForm = regexp.MustCompile(`^[0-9]+\.[0-9]+$`)

// Validate checks the version and the addresses.
func (r *repository) Validate() error {
	if _, _, err := r.want(); err != nil {
		return fmt.Errorf("version: %w", err)
	}
	if r.URL == "" {
		return fmt.Errorf("url: is empty; leave it out for %s", officialURL)
	}
	if err := checkAddress(r.URL, "https", "http"); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if r.Key == "" {
		return nil
	}
	if err := checkAddress(r.Key, "https"); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	return nil
}

// checkAddress says what is wrong with the address of a repository or of its key. A repository may be served over http, as many
// mirrors are: apt verifies what it gets by the key. Nothing verifies the key but how it came.
func checkAddress(address string, schemes ...string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme == "" || u.Scheme != "file" && u.Host == "" || strings.ContainsAny(address, " \t\n'\"\\#&|"):
		return fmt.Errorf("%q is not an address such as %s", withoutUser(address), officialURL)
	case u.User != nil:
		return fmt.Errorf("%s has a user or a password in it, which would be shown and written down; put them into a file of /etc/apt/auth.conf.d on the hosts (apt_auth.conf(5)), for root only", withoutUser(address))
	case !slices.Contains(schemes, u.Scheme):
		return fmt.Errorf("%q is not served over %s", address, strings.Join(schemes, " or "))
	}
	return nil
}

// withoutUser is an address without the user and the password that it may hold, whatever else is wrong with it.
func withoutUser(address string) string {
	scheme, rest, found := strings.Cut(address, "://")
	if at := strings.LastIndexByte(rest, '@'); found && at >= 0 {
		return scheme + "://***@" + rest[at+1:]
	}
	return address
}

// want returns the minor version of the repository, and how a version of kubeadm from it begins.
func (r *repository) want() (minor, prefix string, err error) {
	if minorForm.MatchString(r.Version) {
		return r.Version, r.Version + ".", nil
	}
	v, err := skew.Parse(r.Version)
	if err != nil {
		return "", "", err
	}
	// a prerelease is written 1.30.0~rc.1-1.1 in a package
	return v.Line(), strings.Replace(v.String(), "-", "~", 1) + "-", nil
}

func (r *repository) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	host := s.Target.Name
	minor, prefix, err := r.want()
	if err != nil || s.Promised(facts.Repository(host)) == minor {
		return nil, err
	}
	w, err := ask(ctx, r.hosts, host, sourceScript())
	if err != nil {
		return nil, err
	}
	for _, o := range w.offers["kubeadm"] {
		if strings.HasPrefix(o.revision, prefix) {
			return nil, nil
		}
	}
	src, err := r.source(w, minor)
	if err != nil {
		return nil, err
	}
	c, env := r.change(host, minor, prefix, src)
	c.Do = func(ctx context.Context, t engine.Ticket) error {
		h, err := r.hosts.Host(host)
		if err != nil {
			return err
		}
		// fetching lists changes nothing that half-done would harm, and the source is written whole
		return h.Do(ctx, t, remote.Job{Name: c.Say, Safe: true, Script: remote.Script{Text: locksSh + repositorySh, Env: env}})
	}
	return []engine.Change{c}, nil
}

func sourceScript() remote.Script { return remote.Script{Text: sourceSh} }

// change is what has to be done about the source, and the values of the job that does it.
func (r *repository) change(host, minor, prefix string, src source) (c engine.Change, env map[string]string) {
	wanted := src.at(minor)
	env = map[string]string{
		"FILE": src.file, "KEYRING": src.keyring, "WANT": "| " + prefix, "LINE": "", "OLD": "", "NEW": "",
		"LOCK_TIMEOUT": strconv.Itoa(int(lockTimeout.Seconds())),
	}
	env["KEY_URL"], env["NO_KEY"] = r.key(src, wanted)
	c = engine.Change{Then: engine.Facts{facts.Repository(host): minor}, Repeat: engine.Guarded}
	switch src.minor {
	case minor:
		c.Say = "fetch the package lists of v" + minor
	case "":
		c.Say = "add the package repository v" + minor
		env["LINE"] = fmt.Sprintf("deb [signed-by=%s] %s/ /", src.keyring, wanted)
	default:
		c.Say = "point the package repository to v" + minor
		c.Expects = "v" + src.minor + " in " + src.file
		env["OLD"], env["NEW"] = regexp.QuoteMeta(src.at(src.minor)), strings.ReplaceAll(wanted, "&", `\&`)
	}
	return c, env
}

// key returns where the signing key may be fetched, or why it may not.
func (r *repository) key(src source, wanted string) (from, why string) {
	switch {
	case src.keyring == "":
		return "", src.file + " names no keyring (signed-by); put the key in place by hand"
	case r.Key != "":
		return r.Key, ""
	case strings.Contains(wanted, "@"):
		return "", src.file + " has a password in its address, which the programs that fetch the key would show; move it to a file of /etc/apt/auth.conf.d, or put the key in place by hand"
	case strings.HasPrefix(wanted, "https://"):
		return wanted + "/Release.key", ""
	}
	return "", "the repository is not served over https, so a key from there proves nothing; put it in place by hand, or name its address as `key`"
}
