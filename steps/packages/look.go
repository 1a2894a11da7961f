package packages

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/remote"
)

// A world is what look.sh and source.sh tell about a host.
type world struct {
	host    string
	states  map[string]state   // of the packages asked for
	offers  map[string][]offer // what apt could install, newest first
	broken  []string           // packages that dpkg was interrupted in configuring: "kubelet (iF)"
	stuck   []string           // packages that it was interrupted in unpacking: only installing again repairs them
	journal bool               // dpkg has unmerged updates
	orphan  string             // a maintainer script that outlived its dpkg: "pid 4711: sh ..."
	owed    []string           // packages to be held again
	lock    string             // who holds a lock of apt or dpkg: "unattended-upgr (pid 812)"
	sources []string           // lines of grep: file:number:text
}

// A state is what dpkg says of a package.
type state struct{ abbrev, revision string }

// whole tells whether the package is unpacked and configured, held or not.
func (s state) whole() bool { return len(s.abbrev) >= 2 && s.abbrev[1] == 'i' }

// installed tells whether something of it is there, not only its configuration files.
func (s state) installed() bool {
	return s.revision != "" && len(s.abbrev) >= 2 && !strings.ContainsAny(s.abbrev[1:2], "cn")
}

func (s state) held() bool { return strings.HasPrefix(s.abbrev, "h") }

// String is the state for people: "1.27.3-1.1, held".
func (s state) String() string {
	switch {
	case s.revision == "" || !s.whole() && s.abbrev == "un":
		return "not installed"
	case !s.whole():
		return s.revision + ", not configured (" + s.abbrev + ")"
	case s.held():
		return s.revision + ", held"
	}
	return s.revision
}

// An offer is a revision that a repository has.
type offer struct{ revision, origin string }

// look asks a host about these packages, in one round trip.
func look(ctx context.Context, hosts remote.Hosts, host string, names []string) (*world, error) {
	text := locksSh + lookSh
	return ask(ctx, hosts, host, remote.Script{Text: text, Env: map[string]string{"PACKAGES": strings.Join(names, " ")}})
}

func ask(ctx context.Context, hosts remote.Hosts, host string, s remote.Script) (*world, error) {
	h, err := hosts.Host(host)
	if err != nil {
		return nil, err
	}
	r, err := h.Query(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("looking at the packages of %s: %w", host, err)
	}
	return readWorld(host, r.Stdout)
}

// readWorld takes in what a script said.
func readWorld(host, stdout string) (*world, error) {
	w := &world{host: host, states: map[string]state{}, offers: map[string][]offer{}}
	for line := range strings.Lines(stdout) {
		if err := w.read(printable.Cut(strings.TrimRight(line, "\n"), printable.Message)); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// read takes in one line of a script. One that it does not know is an error: what is not understood is not fine.
func (w *world) read(line string) error {
	if text, ok := strings.CutPrefix(line, "source "); ok {
		w.sources = append(w.sources, text)
		return nil
	}
	f := strings.SplitN(line, "|", 4)
	for i := range f {
		f[i] = strings.TrimSpace(f[i])
	}
	f = append(f, "", "", "", "")
	switch f[0] {
	case "foreign":
		return engine.Refuse(fmt.Sprintf("%s has %s packages", w.host, f[1]), "only hosts with apt and dpkg are supported yet: upgrade the packages of this one by hand")
	case "state":
		w.states[f[1]] = state{f[2], f[3]}
	case "offer":
		w.offers[f[1]] = append(w.offers[f[1]], offer{f[2], f[3]})
	case "broken":
		if strings.ContainsAny(f[2], "HR") {
			w.stuck = append(w.stuck, f[1])
		} else {
			w.broken = append(w.broken, fmt.Sprintf("%s (%s)", f[1], f[2]))
		}
	case "orphan":
		w.orphan = fmt.Sprintf("pid %s: %s", f[1], f[2])
	case "owed":
		w.owed = append(w.owed, f[1])
	case "lock":
		w.lock = fmt.Sprintf("%s (pid %s)", f[2], f[1])
	case "journal":
		w.journal = true
	case "":
	default:
		return fmt.Errorf("looking at the packages of %s: the answer %q is not understood", w.host, line)
	}
	return nil
}

// has tells whether the package is installed in this revision, fully configured.
func (w *world) has(name, revision string) bool {
	s := w.states[name]
	return s.whole() && s.revision == revision
}

// offered tells whether a repository has this revision of the package.
func (w *world) offered(name, revision string) bool {
	return slices.ContainsFunc(w.offers[name], func(o offer) bool { return o.revision == revision })
}

// missing returns the refusal that names every package of r that no repository offers, or nil. A repository that an
// earlier step has promised may have them: that cannot be known before.
func (w *world) missing(r revisions, promised string) error {
	var all []string
	for _, name := range r.names() {
		rev := r[name]
		if w.offered(name, rev) || promised != "" && line(rev) == promised {
			continue
		}
		all = append(all, fmt.Sprintf("%s %s, only %s", name, rev, w.choice(name)))
	}
	if all == nil {
		return nil
	}
	return engine.Refuse(fmt.Sprintf("the repositories of %s do not offer %s", w.host, strings.Join(all, "; ")),
		"correct the revision, or bring the repository up to date: packages.repository does, by hand it is apt-get update")
}

// choice names what there is of a package, the newest few.
func (w *world) choice(name string) string {
	var all []string
	listed := map[string]bool{}
	for _, o := range w.offers[name] {
		if !listed[o.revision] {
			listed[o.revision], all = true, append(all, o.revision)
		}
	}
	const few = 3
	switch {
	case len(all) == 0:
		return "nothing of that name"
	case len(all) > few:
		return fmt.Sprintf("%s and %d older", strings.Join(all[:few], ", "), len(all)-few)
	}
	return strings.Join(all, ", ")
}
