package machine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// aptState is what apt and dpkg know. It is guarded by Machine.mu.
type aptState struct {
	packages map[string]*pkg
	lists    map[int]string // fetched: minor version 1.N of Kubernetes and the address of its repository
	next     postinst       // of the next installation
}

// A postinst is what the script does that a package brings for its own configuration.
type postinst int

const (
	postinstSucceeds postinst = iota
	postinstFails
	postinstHangs
)

// A pkg is an installed package.
type pkg struct {
	version string // "1.28.15-1.1"
	state   byte   // i installed, F half-configured, U unpacked: the second letter of dpkg's status
	held    bool
}

// patches are the newest patch releases of the minors that pkgs.k8s.io serves (the tags of kubernetes/kubernetes).
var patches = map[int]int{24: 17, 25: 16, 26: 15, 27: 16, 28: 15, 29: 15, 30: 14, 31: 14, 32: 13, 33: 13, 34: 13, 35: 10, 36: 6, 37: 2}

// The times of apt at Speed 1.
const (
	updateTime  = 60 * time.Millisecond
	installTime = 40 * time.Millisecond // and as much again for every package
)

// dpkgLocks are the files that an installation locks, and aptLists the one of apt-get update.
var dpkgLocks = []string{"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"}

const aptLists = "/var/lib/apt/lists/lock"

// version is the upstream version of an installed package, "" if it is none.
func (a *aptState) version(name string) string {
	p := a.packages[name]
	if p == nil {
		return ""
	}
	v, _, _ := strings.Cut(p.version, "-")
	return v
}

// packages is a copy of what dpkg knows, so that nothing is printed while the machine's lock is held.
func (m *Machine) packages() map[string]pkg {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[string]pkg, len(m.apt.packages))
	for name, p := range m.apt.packages {
		all[name] = *p
	}
	return all
}

// installed is the upstream version of an installed package.
func (m *Machine) installed(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.apt.version(name)
}

// visible are the lists that were fetched and whose source the host still names.
func (m *Machine) visible() map[int]string {
	a := &aptCall{call: &call{m: m}}
	named := map[int]bool{}
	for _, s := range a.sources(a.sourceFiles()) {
		if v := minorPath.FindStringSubmatch(s.address); v != nil {
			named[int(number(v[1]))] = true
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	lists := maps.Clone(m.apt.lists)
	maps.DeleteFunc(lists, func(minor int, _ string) bool { return !named[minor] })
	return lists
}

// offers are the revisions of a package that the lists know, newest first, with the address of each.
func offers(lists map[int]string, name string) (revisions []string, from map[string]string) {
	from = map[string]string{}
	for _, minor := range slices.Backward(slices.Sorted(maps.Keys(lists))) {
		var of []string
		switch name {
		case "kubeadm", "kubelet", "kubectl":
			for p := patches[minor]; p >= 0; p-- {
				of = append(of, fmt.Sprintf("1.%d.%d-1.1", minor, p))
			}
		case "kubernetes-cni":
			of = []string{"1.2.0-2.1"}
		case "cri-tools":
			of = []string{fmt.Sprintf("1.%d.0-1.1", minor)}
		}
		for _, r := range of {
			if from[r] == "" {
				from[r] = lists[minor]
				revisions = append(revisions, r)
			}
		}
	}
	return revisions, from
}

// lockDpkg takes the locks of dpkg for a process; limit 0 does not wait, below 0 for ever.
func (m *Machine) lockDpkg(ctx context.Context, p *proc, limit time.Duration) bool {
	for _, name := range dpkgLocks {
		if !m.lockFile(ctx, p, name, limit) {
			m.locks.release(p)
			return false
		}
	}
	return true
}

func (m *Machine) lockFile(ctx context.Context, p *proc, name string, limit time.Duration) bool {
	ino := m.inode(name)
	return m.locks.take(ctx, limit, func() bool { return m.locks.try(ino, p, "POSIX", p.pid, false) })
}

func (m *Machine) inode(name string) uint64 {
	i, err := m.tree.stat("root", name, true)
	if err != nil {
		m.tree.put(name, "", 0o640)
		if i, err = m.tree.stat("root", name, true); err != nil {
			return 0
		}
	}
	return i.(info).ino
}

// An aptCall is one run of apt-get.
type aptCall struct {
	*call
	flags   []flag
	options map[string]string // of -o
}

func aptGet(c *call) int {
	fl, rest, ok := c.flags("ysqfVdum", "yes assume-yes simulate dry-run just-print no-act quiet fix-broken allow-downgrades allow-change-held-packages no-install-recommends no-install-suggests reinstall only-upgrade no-remove no-upgrade allow-unauthenticated fix-missing download-only", "ot", "option default-release quiet", false)
	if !ok {
		return 100
	}
	a := &aptCall{c, fl, map[string]string{}}
	for _, f := range fl {
		if f.name == "o" || f.name == "option" {
			k, v, _ := strings.Cut(f.value, "=")
			a.options[strings.ToLower(k)] = v
		}
	}
	if len(rest) == 0 {
		return c.unknown("apt-get without a command")
	}
	switch verb := rest[0]; verb {
	case "update":
		return a.update()
	case "install":
		return a.install(rest[1:])
	case "clean", "autoclean", "check":
		return 0
	default:
		return c.unknown("apt-get " + verb)
	}
}

// takeLock waits for a lock as long as the options say, and names who holds it when that is not long enough.
func (a *aptCall) takeLock(names []string, what string) int {
	if !a.root() {
		a.eprintf("E: Could not open lock file %s - open (13: Permission denied)\n", names[0])
		a.eprintf("E: Unable to acquire the %s (%s), are you root?\n", what, names[0])
		return 100
	}
	limit := time.Duration(number(a.options["dpkg::lock::timeout"])) * time.Second
	if names[0] == aptLists {
		limit = 0 // apt-get update never waits
	}
	for _, name := range names {
		pid := a.m.locks.holder(a.m.inode(name))
		if pid != 0 && limit != 0 {
			a.printf("Waiting for cache lock: Could not get lock %s. It is held by process %d (%s)...\n", name, pid, a.m.comm(pid))
		}
		if a.m.lockFile(a.ctx, a.p, name, a.m.scaled(limit)) {
			continue
		}
		pid = cmp.Or(a.m.locks.holder(a.m.inode(name)), pid)
		if limit == 0 { // who has waited has been told already
			a.eprintf("E: Could not get lock %s. It is held by process %d (%s)\n", name, pid, a.m.comm(pid))
		}
		if name == aptLists {
			a.eprintf("E: Unable to lock directory %s\n", path.Dir(name)+"/")
			return 100
		}
		a.eprintf("E: Unable to acquire the %s (%s), is another process using it?\n", what, name)
		return 100
	}
	return 0
}

func (m *Machine) comm(pid int) string {
	if p := m.process(pid); p != nil {
		return p.name
	}
	return "N/A"
}

var (
	sourceLine = regexp.MustCompile(`^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)`)
	minorPath  = regexp.MustCompile(`:/v1\.(\d+)/deb/?$`)
)

// update reads the sources and fetches their lists.
func (a *aptCall) update() int {
	if st := a.takeLock([]string{aptLists}, "lock"); st != 0 {
		return st
	}
	defer a.m.locks.release(a.p)
	files := a.sourceFiles()
	if !a.sleep(a.m.scaled(updateTime)) {
		return 130
	}
	lists, faults := map[int]string{}, 0
	for _, source := range a.sources(files) {
		if !a.fetch(lists, source) {
			faults++
		}
	}
	fetched := maps.Clone(lists)
	a.m.mu.Lock()
	if a.options["apt::get::list-cleanup"] == "0" { // what other sources gave stays
		for minor, address := range a.m.apt.lists {
			if _, ok := lists[minor]; !ok {
				lists[minor] = address
			}
		}
	}
	a.m.apt.lists = lists
	a.m.mu.Unlock()
	a.m.writeLists()
	a.printf("Reading package lists...\n")
	if faults > 0 {
		return 100
	}
	a.m.record(a.p, EffectLists, "package lists updated: %s", offered(fetched))
	return 0
}

// A source is one line of a file of sources.
type source struct{ options, address string }

func (a *aptCall) sources(files []string) []source {
	var all []source
	for _, file := range files {
		data, err := a.m.tree.read("root", file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if m := sourceLine.FindStringSubmatch(line); m != nil {
				all = append(all, source{m[1], m[2]})
			}
		}
	}
	return all
}

func offered(lists map[int]string) string {
	var names []string
	for _, minor := range slices.Sorted(maps.Keys(lists)) {
		names = append(names, fmt.Sprintf("v1.%d", minor))
	}
	return strings.Join(names, " ")
}

// sourceFiles are the files that the options name, or those of the host.
func (a *aptCall) sourceFiles() []string {
	list, parts := a.options["dir::etc::sourcelist"], a.options["dir::etc::sourceparts"]
	files := []string{absolute("/etc/apt", cmp.Or(list, "sources.list"))}
	if parts == "-" || parts == "/dev/null" {
		return files
	}
	entries, err := a.m.tree.list("root", "/etc/apt/sources.list.d")
	if err != nil {
		return files
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".list") {
			files = append(files, path.Join("/etc/apt/sources.list.d", e.Name()))
		}
	}
	return files
}

// fetch gets the list of one source; false means that apt complains.
func (a *aptCall) fetch(lists map[int]string, from source) bool {
	address := from.address
	if regexp.MustCompile(`^https?://(127\.0\.0\.1|localhost)\b`).MatchString(address) { // no pretend host serves packages
		a.eprintf("E: Failed to fetch %sInRelease  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)\nE: Some index files failed to download. They have been ignored, or old ones used instead.\n", address)
		return false
	}
	if strings.Contains(address, "apt.kubernetes.io") || strings.Contains(address, "packages.cloud.google.com") {
		a.eprintf("E: The repository '%s kubernetes-xenial Release' does not have a Release file.\n", address)
		return false
	}
	m := minorPath.FindStringSubmatch(address)
	if m == nil {
		a.printf("Hit:1 %s InRelease\n", address)
		return true
	}
	minor := int(number(m[1]))
	if _, ok := patches[minor]; !ok {
		a.printf("Err:1 %s  InRelease\n  403  Forbidden\n", address)
		a.eprintf("E: Failed to fetch %sInRelease  403  Forbidden\nE: The repository '%s  InRelease' is not signed.\n", address, strings.TrimSuffix(address, "/"))
		return false
	}
	for option := range strings.FieldsSeq(from.options) {
		ring, ok := strings.CutPrefix(option, "signed-by=")
		if !ok {
			continue
		}
		key, _ := a.m.tree.read("root", ring)
		if verdict := judge(key, listText(minor)); verdict != goodSignature {
			return a.unsigned(minor, address, verdict)
		}
	}
	a.printf("Get:1 %s  InRelease [1186 B]\n", address)
	lists[minor] = strings.TrimSuffix(address, "/")
	return true
}

// unsigned complains of a list whose signature no key fits, or a key of the past. A list that apt has of before stays.
func (a *aptCall) unsigned(minor int, address, verdict string) bool {
	why := "The following signatures couldn't be verified because the public key is not available: NO_PUBKEY " + keyID
	if verdict == expiredKey {
		why = "The following signatures were invalid: EXPKEYSIG " + keyID + " " + keyOwner
	}
	a.printf("Err:1 %s  InRelease\n", strings.TrimSuffix(address, "/"))
	a.m.mu.Lock()
	_, had := a.m.apt.lists[minor]
	a.m.mu.Unlock()
	if !had {
		a.eprintf("W: GPG error: %s  InRelease: %s\n", strings.TrimSuffix(address, "/"), why)
		a.eprintf("E: The repository '%s  InRelease' is not signed.\n", strings.TrimSuffix(address, "/"))
		return false
	}
	a.eprintf("W: An error occurred during the signature verification. The repository is not updated and the previous index files will be used. GPG error: %s  InRelease: %s\n", strings.TrimSuffix(address, "/"), why)
	a.eprintf("E: Failed to fetch %sInRelease  %s\n", address, why)
	a.eprintf("E: Some index files failed to download. They have been ignored, or old ones used instead.\n")
	return false
}

func aptMark(c *call) int {
	_, rest, ok := c.flags("q", "quiet", "o", "option", false)
	if !ok || len(rest) == 0 {
		return 100
	}
	verb, names := rest[0], rest[1:]
	switch verb {
	case "showhold":
		all := c.m.packages()
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if all[name].held && (len(names) == 0 || slices.Contains(names, name)) {
				c.printf("%s\n", name)
			}
		}
		return 0
	case "hold", "unhold":
	default:
		return c.unknown("apt-mark " + verb)
	}
	if !c.root() {
		c.eprintf("E: Could not create temporary file for /var/lib/apt/extended_states - mkstemp (13: Permission denied)\n")
		return 100
	}
	if pid := c.m.locks.holder(c.m.inode(dpkgLocks[0])); pid != 0 { // apt-mark runs dpkg --set-selections
		c.eprintf("dpkg: error: dpkg frontend lock was locked by another process with pid %d\nNote: removing the lock file is always wrong, can damage the locked area\nand the entire system. See <https://wiki.debian.org/Teams/Dpkg/FAQ#db-lock>.\nE: Sub-process dpkg --set-selections returned an error code (2)\nE: Executing dpkg failed. Are you root?\n", pid)
		return 100
	}
	return c.mark(verb, names)
}

func (c *call) mark(verb string, names []string) int {
	status := 0
	for _, name := range names {
		c.m.mu.Lock()
		p := c.m.apt.packages[name]
		differs := p != nil && p.held != (verb == "hold")
		if differs {
			p.held = verb == "hold"
		}
		c.m.mu.Unlock()
		switch {
		case p == nil:
			c.eprintf("E: Unable to locate package %s\n", name)
			status = 100
		case differs && verb == "hold":
			c.printf("%s set on hold.\n", name)
		case differs:
			c.printf("Canceled hold on %s.\n", name)
		default:
			c.printf("%s was already %s.\n", name, map[string]string{"hold": "set on hold", "unhold": "not on hold"}[verb])
		}
		if differs {
			c.m.record(c.p, EffectHold, "%s %s", verb, name)
		}
	}
	return status
}

func aptCache(c *call) int {
	_, rest, ok := c.flags("q", "", "o", "option", false)
	if !ok || len(rest) == 0 {
		return 100
	}
	if rest[0] == "madison" {
		return c.madison(rest[1:])
	}
	return c.unknown("apt-cache " + rest[0])
}

func (c *call) madison(names []string) int {
	lists := c.m.visible()
	for _, name := range names {
		revisions, from := offers(lists, name)
		for _, r := range revisions { // of a package that no list knows nothing is said
			c.printf("%10s | %10s | %s  Packages\n", name, r, from[r])
		}
	}
	return 0
}
