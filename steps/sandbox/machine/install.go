package machine

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// A wish is a package at a revision.
type wish struct{ name, have, want string }

// install is apt-get install: resolve, refuse or unpack and configure.
func (a *aptCall) install(words []string) int {
	simulate := has(a.flags, "s", "simulate", "dry-run", "just-print", "no-act")
	if !simulate {
		if st := a.takeLock(dpkgLocks, "dpkg frontend lock"); st != 0 {
			return st
		}
		defer a.m.locks.release(a.p)
	}
	if _, err := a.m.tree.stat("root", dpkgJournal, true); err == nil {
		a.eprintf("E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem. \n")
		return 100
	}
	a.printf("Reading package lists...\nBuilding dependency tree...\nReading state information...\n")
	wishes, st := a.resolve(words)
	if st != 0 {
		return st
	}
	held, down := a.objections(wishes)
	a.summary(wishes, held, down)
	switch {
	case len(wishes) == 0 && !simulate:
		for _, name := range a.m.unfinished() { // apt tries again what has failed before
			a.configure(name, a.m.packages()[name].version)
		}
		return 0
	case simulate:
		return a.simulate(wishes)
	case len(down) > 0 && !has(a.flags, "allow-downgrades"):
		a.eprintf("E: Packages were downgraded and -y was used without --allow-downgrades.\n")
		return 100
	case len(held) > 0 && !has(a.flags, "allow-change-held-packages"):
		a.eprintf("E: Held packages were changed and -y was used without --allow-change-held-packages.\n")
		return 100
	case !has(a.flags, "y", "yes", "assume-yes"):
		a.printf("Do you want to continue? [Y/n] Abort.\n")
		return 1
	}
	return a.unpack(wishes)
}

// unfinished are the packages that dpkg has not configured.
func (m *Machine) unfinished() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(m.apt.packages)) {
		if m.apt.packages[name].state != 'i' {
			names = append(names, name)
		}
	}
	return names
}

// resolve finds what the words ask for and is not installed yet.
func (a *aptCall) resolve(words []string) ([]wish, int) {
	lists, all := a.m.visible(), a.m.packages()
	var wishes []wish
	missing := 0
	for _, w := range words {
		name, version, exact := strings.Cut(w, "=")
		revisions, _ := offers(lists, name)
		have := all[name].version
		if have != "" && !slices.Contains(revisions, have) {
			revisions = append(revisions, have)
			slices.SortFunc(revisions, func(x, y string) int { return compareVersions(y, x) })
		}
		if len(revisions) == 0 {
			a.eprintf("E: Unable to locate package %s\n", name)
			missing++
			continue
		}
		want := revisions[0]
		if exact {
			i := slices.IndexFunc(revisions, func(r string) bool { ok, _ := path.Match(version, r); return ok })
			if i < 0 {
				a.eprintf("E: Version '%s' for '%s' was not found\n", version, name)
				missing++
				continue
			}
			want = revisions[i]
		}
		if want == have {
			a.printf("%s is already the newest version (%s).\n", name, have)
			continue
		}
		wishes = append(wishes, wish{name, have, want})
	}
	if missing > 0 {
		return nil, 100
	}
	return wishes, 0
}

// objections are the packages that are held and those that would go back.
func (a *aptCall) objections(wishes []wish) (held, down []string) {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	for _, w := range wishes {
		if p := a.m.apt.packages[w.name]; p != nil && p.held {
			held = append(held, w.name)
		}
		if w.have != "" && compareVersions(w.want, w.have) < 0 {
			down = append(down, w.name)
		}
	}
	return held, down
}

func (a *aptCall) summary(wishes []wish, held, down []string) {
	var names []string
	for _, w := range wishes {
		names = append(names, w.name)
	}
	if len(held) > 0 {
		a.printf("The following held packages will be changed:\n  %s\n", strings.Join(held, " "))
	}
	if len(down) > 0 {
		a.printf("The following packages will be DOWNGRADED:\n  %s\n", strings.Join(down, " "))
	} else if len(names) > 0 {
		a.printf("The following packages will be upgraded:\n  %s\n", strings.Join(names, " "))
	}
	downgraded := ""
	if len(down) > 0 {
		downgraded = fmt.Sprintf(" %d downgraded,", len(down))
	}
	a.printf("%d upgraded, 0 newly installed,%s 0 to remove and 0 not upgraded.\n", len(names)-len(down), downgraded)
}

func (a *aptCall) simulate(wishes []wish) int {
	for _, w := range wishes {
		a.printf("Inst %s [%s] (%s kubernetes [amd64])\n", w.name, w.have, w.want)
	}
	for _, w := range wishes {
		a.printf("Conf %s (%s kubernetes [amd64])\n", w.name, w.want)
	}
	return 0
}

// unpack is what dpkg does: all packages are unpacked first, and then configured. dpkg-query shows the new version from
// the moment of unpacking.
func (a *aptCall) unpack(wishes []wish) int {
	a.m.mu.Lock()
	script := a.m.apt.next
	a.m.apt.next = postinstSucceeds
	a.m.mu.Unlock()
	a.m.tree.put(dpkgJournal, "", 0o644) // stays when dpkg is killed
	for _, w := range wishes {
		a.printf("Preparing to unpack .../%s_%s_amd64.deb ...\nUnpacking %s (%s) over (%s) ...\n", w.name, w.want, w.name, w.want, w.have)
		if !a.sleep(a.m.scaled(installTime)) {
			return 130
		}
		a.m.set(w.name, w.want, 'U')
		a.m.record(a.p, EffectPackage, "unpacked %s %s (was %s)", w.name, w.want, w.have)
	}
	a.m.set(wishes[0].name, wishes[0].want, 'F')
	if script == postinstHangs {
		<-a.ctx.Done()
	}
	if !a.sleep(a.m.scaled(installTime)) {
		return 130
	}
	_ = a.m.tree.remove("root", dpkgJournal, false)
	if script == postinstFails {
		a.eprintf("dpkg: error processing package %s (--configure):\n installed %s package post-installation script subprocess returned error exit status 1\n", wishes[0].name, wishes[0].name)
		a.eprintf("Errors were encountered while processing:\n %s\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n", wishes[0].name)
		return 100
	}
	for _, w := range wishes {
		a.configure(w.name, w.want)
	}
	return 0
}

// dpkgJournal is what dpkg has not merged into its database yet: apt refuses everything while it is there.
const dpkgJournal = "/var/lib/dpkg/updates/0001"

func (c *call) configure(name, version string) {
	c.printf("Setting up %s (%s) ...\n", name, version)
	c.m.set(name, version, 'i')
	c.m.record(c.p, EffectPackage, "installed %s %s", name, version)
}

// set notes the state of a package. apt forgets the hold of a package that it changes.
func (m *Machine) set(name, version string, state byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.apt.packages[name]
	if p == nil {
		p = &pkg{}
		m.apt.packages[name] = p
	}
	if p.version != version {
		p.held = false
		for _, running := range m.procs {
			if running.exe == "/usr/bin/"+name {
				running.replaced = true
			}
		}
		if u := m.units[name+".service"]; u != nil {
			u.reload = true // the package brings the unit's drop-in
		}
	}
	p.version, p.state = version, state
}

func dpkg(c *call) int {
	fl, rest, ok := c.flags("aslC", "configure audit print-architecture pending force-confdef force-confold force-confnew status list version compare-versions", "", "force", false)
	if !ok {
		return 2
	}
	switch {
	case has(fl, "print-architecture"):
		c.printf("amd64\n")
	case has(fl, "version"):
		c.printf("Debian 'dpkg' package management program version 1.21.22 (amd64).\n")
	case has(fl, "audit", "C"):
		return c.audit()
	case has(fl, "configure"):
		return c.configureAll(has(fl, "a", "pending"), rest)
	case has(fl, "compare-versions"):
		return compareDpkg(c, rest)
	case has(fl, "s", "status"):
		return c.dpkgStatus(rest)
	default:
		return c.unknown(strings.Join(c.args, " "))
	}
	return 0
}

func compareDpkg(c *call, rest []string) int {
	if len(rest) != 3 {
		return 2
	}
	d := compareVersions(rest[0], rest[2])
	yes, ok := map[string]bool{"lt": d < 0, "le": d <= 0, "eq": d == 0, "ne": d != 0, "ge": d >= 0, "gt": d > 0}[rest[1]]
	if !ok {
		return 2
	}
	if yes {
		return 0
	}
	return 1
}

func (c *call) dpkgStatus(names []string) int {
	all := c.m.packages()
	for _, n := range names {
		p, there := all[n]
		if !there {
			c.eprintf("dpkg-query: package '%s' is not installed and no information is available\n", n)
			return 1
		}
		c.printf("Package: %s\nStatus: %s\nVersion: %s\n", n, p.status(), p.version)
	}
	return 0
}

func (p pkg) status() string {
	return map[bool]string{true: "hold", false: "install"}[p.held] + " ok " + map[byte]string{'i': "installed", 'F': "half-configured", 'U': "unpacked"}[p.state]
}

func (c *call) audit() int {
	names := c.m.unfinished()
	if len(names) == 0 {
		return 0
	}
	c.printf("The following packages are only half configured, probably due to problems\nconfiguring them the first time.  The configuration should be retried using\ndpkg --configure <package> or the configure menu option in dselect:\n")
	for _, n := range names {
		c.printf(" %-20s (a package)\n", n)
	}
	c.printf("\n")
	return 0
}

func (c *call) configureAll(all bool, names []string) int {
	if !c.root() {
		return c.fail(2, "error: requested operation requires superuser privilege")
	}
	if !c.m.lockDpkg(c.ctx, c.p, 0) {
		pid := c.m.locks.holder(c.m.inode(dpkgLocks[0]))
		return c.fail(2, "error: dpkg frontend lock was locked by another process with pid %d\nNote: removing the lock file is always wrong, can damage the locked area\nand the entire system. See <https://wiki.debian.org/Teams/Dpkg/FAQ#db-lock>.", pid)
	}
	defer c.m.locks.release(c.p)
	_ = c.m.tree.remove("root", dpkgJournal, false) // missing unless dpkg was killed
	for _, n := range c.m.unfinished() {
		if !all && !slices.Contains(names, n) {
			continue
		}
		if !c.sleep(c.m.scaled(installTime)) {
			return 130
		}
		c.m.mu.Lock()
		version := c.m.apt.packages[n].version
		c.m.mu.Unlock()
		c.configure(n, version)
	}
	return 0
}

func dpkgQuery(c *call) int {
	fl, names, ok := c.flags("Wls", "show list status", "f", "showformat", false)
	if !ok {
		return 2
	}
	if !has(fl, "W", "show") {
		return c.unknown("dpkg-query without -W")
	}
	format := value(fl, `${binary:Package}\t${Version}\n`, "f", "showformat")
	all, status := c.m.packages(), 0
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(all))
	}
	for _, n := range names {
		p, there := all[n]
		if !there {
			c.eprintf("dpkg-query: no packages found matching %s\n", n)
			status = 1
			continue
		}
		want := map[bool]string{true: "h", false: "i"}[p.held]
		c.printf("%s", strings.NewReplacer(
			"${Package}", n, "${binary:Package}", n, "${Version}", p.version, "${Architecture}", "amd64",
			"${db:Status-Abbrev}", want+string(p.state)+" ", "${Status}", p.status(),
			"${db:Status-Want}", map[bool]string{true: "hold", false: "install"}[p.held],
			"${db:Status-Status}", strings.Fields(p.status())[2],
			`\n`, "\n", `\t`, "\t",
		).Replace(format))
	}
	return status
}

func packageCommands() map[string]command {
	return map[string]command{
		"apt-get": aptGet, "apt-mark": aptMark, "apt-cache": aptCache, "apt-config": aptConfig, "dpkg": dpkg, "dpkg-query": dpkgQuery,
		"gpg": gpg, "gpgv": gpgv,
	}
}
