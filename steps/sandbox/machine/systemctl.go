package machine

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

func unitCommands() map[string]command {
	return map[string]command{"systemctl": systemctl, "systemd-run": systemdRun, "journalctl": journalctl}
}

// restartTime is how long a service takes to restart at Speed 1.
const restartTime = 40 * time.Millisecond

// A control is one run of systemctl.
type control struct {
	*call
	flags []flag
}

func systemctl(c *call) int {
	fl, rest, ok := c.flags("qaplt", "quiet value all plain no-legend no-pager no-ask-password now full no-block version legend=false", "pnstP", "property lines signal state type kill-who job-mode legend", false)
	if !ok {
		return 1
	}
	if has(fl, "version") {
		c.printf("systemd 252 (252.30-1~deb12u2)\n")
		return 0
	}
	if len(rest) == 0 {
		return c.unknown("systemctl without a verb")
	}
	s := &control{c, fl}
	verb, units := rest[0], rest[1:]
	reads := map[string]func([]string) int{
		"is-active": s.isActive, "is-enabled": s.isEnabled, "is-failed": s.isFailed, "show": s.show, "list-units": s.list, "status": s.status,
		"is-system-running": func([]string) int { c.printf("running\n"); return 0 },
	}
	if f := reads[verb]; f != nil {
		return f(units)
	}
	writes := map[string]func(string) int{
		"start": s.start, "stop": s.stop, "restart": s.restart, "try-restart": s.restart, "reload-or-restart": s.restart,
		"reset-failed": s.resetFailed, "kill": s.kill, "enable": s.enable, "disable": s.enable,
	}
	alone := map[string]func() int{
		"daemon-reload": s.daemonReload, "reboot": func() int { return reboot(c) },
		"poweroff": func() int { c.m.all.Go(func() { c.m.shutdown("poweroff") }); return 0 },
	}
	if writes[verb] == nil && alone[verb] == nil {
		return c.unknown("systemctl " + verb)
	}
	if !c.root() {
		c.eprintf("Failed to %s: Interactive authentication required.\n", verb)
		return 1
	}
	if f := alone[verb]; f != nil {
		return f()
	}
	status := 0
	for _, u := range units {
		if st := writes[verb](unitName(u)); st != 0 {
			status = st
		}
	}
	return status
}

// state is a copy of what matters of a unit.
func (m *Machine) state(name string) (active, enabled string, transient, loaded bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.units[name]
	if u == nil {
		return "inactive", "", false, false
	}
	return u.active, u.enabled, u.transient, true
}

func (s *control) isActive(units []string) int {
	status := 3
	for _, u := range units {
		active, _, _, _ := s.m.state(unitName(u))
		if !has(s.flags, "q", "quiet") {
			s.printf("%s\n", active)
		}
		if active == "active" {
			status = 0
		}
	}
	return status
}

func (s *control) isFailed(units []string) int {
	status := 1
	for _, u := range units {
		active, _, _, _ := s.m.state(unitName(u))
		if !has(s.flags, "q", "quiet") {
			s.printf("%s\n", active)
		}
		if active == "failed" {
			status = 0
		}
	}
	return status
}

func (s *control) isEnabled(units []string) int {
	status := 1
	for _, u := range units {
		_, enabled, _, loaded := s.m.state(unitName(u))
		if !loaded {
			s.eprintf("Failed to get unit file state for %s: No such file or directory\n", unitName(u))
			continue
		}
		if !has(s.flags, "q", "quiet") {
			s.printf("%s\n", enabled)
		}
		if enabled != "disabled" {
			status = 0
		}
	}
	return status
}

// show prints properties in systemd's order, which is not the one they were asked for in.
func (s *control) show(units []string) int {
	var wanted []string
	for _, f := range s.flags {
		if f.name == "p" || f.name == "property" || f.name == "P" {
			wanted = append(wanted, strings.Split(f.value, ",")...)
		}
	}
	for i, u := range units {
		if i > 0 {
			s.printf("\n")
		}
		props := s.m.properties(unitName(u))
		for _, k := range showOrder(props) {
			if len(wanted) > 0 && !slices.Contains(wanted, k) {
				continue
			}
			if has(s.flags, "value", "P") {
				s.printf("%s\n", props[k])
			} else {
				s.printf("%s=%s\n", k, props[k])
			}
		}
	}
	return 0
}

// shown are the properties in the order in which systemd 252 shows them: a service's own first, then those of every unit.
var shown = []string{
	"Type", "RemainAfterExit", "MainPID", "Result", "NRestarts", "ExecMainStartTimestamp", "ExecMainStartTimestampMonotonic", "ExecMainExitTimestamp",
	"ExecMainExitTimestampMonotonic", "ExecMainPID", "ExecMainCode", "ExecMainStatus", "ControlGroup", "Id", "Names", "Description", "LoadState", "ActiveState", "SubState", "FragmentPath", "UnitFileState",
	"ActiveEnterTimestamp", "NeedDaemonReload", "Transient", "InvocationID",
}

// showOrder is the order of properties: what has no known place comes last.
func showOrder(props map[string]string) []string {
	names := slices.Sorted(maps.Keys(props))
	place := func(name string) int {
		if i := slices.Index(shown, name); i >= 0 {
			return i
		}
		return len(shown)
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(place(a), place(b)) })
	return names
}

func (s *control) list(patterns []string) int {
	s.m.mu.Lock()
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(s.m.units)) {
		u := s.m.units[name]
		match := len(patterns) == 0
		for _, p := range patterns {
			ok, _ := path.Match(p, name)
			match = match || ok || unitName(p) == name
		}
		state := value(s.flags, "", "state")
		if match && (state == "" || slices.Contains(strings.Split(state, ","), u.active) || state == u.sub) {
			lines = append(lines, name+" loaded "+u.active+" "+u.sub+" "+u.description)
		}
	}
	s.m.mu.Unlock()
	for _, l := range lines {
		s.printf("%s\n", l)
	}
	if !has(s.flags, "no-legend") && value(s.flags, "", "legend") != "false" {
		s.printf("\n%d loaded units listed.\n", len(lines))
	}
	return 0
}

func (s *control) status(units []string) int {
	status := 0
	for _, u := range units {
		p := s.m.properties(unitName(u))
		if p["LoadState"] == "not-found" {
			s.eprintf("Unit %s could not be found.\n", unitName(u))
			status = 4
			continue
		}
		s.printf("* %s - %s\n     Loaded: loaded (%s)\n     Active: %s (%s)\n   Main PID: %s\n", p["Id"], p["Description"], p["FragmentPath"], p["ActiveState"], p["SubState"], p["MainPID"])
		if p["ActiveState"] != "active" {
			status = 3
		}
	}
	return status
}

func (s *control) missing(verb, name string, status int) int {
	s.eprintf("Failed to %s %s: Unit %s not loaded.\n", verb, name, name)
	return status
}

func (s *control) start(name string) int {
	active, _, transient, loaded := s.m.state(name)
	switch {
	case !loaded:
		s.eprintf("Failed to start %s: Unit %s not found.\n", name, name)
		return 5
	case active == "active" || transient:
		return 0
	}
	s.sleep(s.m.scaled(restartTime))
	s.m.startService(name)
	s.m.record(s.p, EffectUnit, "%s started%s", name, s.m.running(name))
	return 0
}

func (s *control) stop(name string) int {
	active, _, transient, loaded := s.m.state(name)
	if !loaded {
		return s.missing("stop", name, 5)
	}
	if !transient {
		if active == "active" {
			s.m.stopService(name)
			s.m.record(s.p, EffectUnit, "%s stopped", name)
		}
		return 0
	}
	s.m.mu.Lock()
	u := s.m.units[name]
	stop, done, running := u.stop, u.done, u.pid != 0
	if !running {
		delete(s.m.units, name)
	}
	s.m.mu.Unlock()
	if running {
		stop(killed{"TERM"})
		if procOf(s.ctx).unit != name {
			select {
			case <-done:
			case <-s.ctx.Done():
			}
		}
	}
	s.m.record(s.p, EffectUnit, "%s stopped", name)
	return 0
}

func (s *control) restart(name string) int {
	_, _, transient, loaded := s.m.state(name)
	if !loaded || transient {
		s.eprintf("Failed to restart %s: Unit %s not found.\n", name, name)
		return 5
	}
	was := s.m.running(name)
	s.m.stopService(name)
	s.sleep(s.m.scaled(restartTime))
	s.m.mu.Lock()
	s.m.units[name].reload = false
	s.m.mu.Unlock()
	s.m.startService(name)
	if name == "ssh.service" {
		s.m.server.refuse(s.m.scaled(sshdTime))
	}
	is := s.m.running(name)
	if is != was && was != "" {
		is = " (" + strings.Trim(is, " ()") + ", was " + strings.Trim(was, " ()") + ")"
	}
	s.m.record(s.p, EffectUnit, "%s restarted%s", name, is)
	return 0
}

// running is the version that a unit runs, in brackets, where there is one.
func (m *Machine) running(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if name != "kubelet.service" || m.kubelet == "" {
		return ""
	}
	return " (" + m.kubelet + ")"
}

func (s *control) resetFailed(name string) int {
	s.m.mu.Lock()
	u := s.m.units[name]
	if u != nil && u.transient && u.active == "failed" {
		delete(s.m.units, name)
	}
	s.m.mu.Unlock()
	if u == nil {
		s.eprintf("Failed to reset failed state of unit %s: Unit %s not loaded.\n", name, name)
		return 1
	}
	return 0
}

func (s *control) kill(name string) int {
	s.m.mu.Lock()
	u := s.m.units[name]
	s.m.mu.Unlock()
	sig := strings.TrimPrefix(value(s.flags, "TERM", "s", "signal"), "SIG")
	for n, i := range signals {
		if sig == strconv.Itoa(i) {
			sig = n
		}
	}
	if u == nil || u.stop == nil || signals[sig] == 0 {
		return s.missing("kill unit", name, 1)
	}
	u.stop(killed{sig})
	return 0
}

func (s *control) enable(name string) int {
	s.m.mu.Lock()
	u := s.m.units[name]
	to := map[bool]string{true: "enabled", false: "disabled"}[slices.Contains(s.args, "enable")]
	differs := u != nil && u.enabled != to
	if differs {
		u.enabled = to
	}
	s.m.mu.Unlock()
	if u == nil {
		s.eprintf("Failed to enable unit: Unit file %s does not exist.\n", name)
		return 1
	}
	if differs {
		s.m.record(s.p, EffectUnit, "%s %s", name, to)
	}
	return 0
}

func (s *control) daemonReload() int {
	s.m.mu.Lock()
	for _, u := range s.m.units {
		u.reload = false
	}
	s.m.mu.Unlock()
	s.m.record(s.p, EffectUnit, "systemd reloaded")
	return 0
}

func journalctl(c *call) int {
	fl, _, ok := c.flags("qrxeb", "quiet no-pager no-hostname reverse", "uno", "unit lines output since", false)
	if !ok {
		return 1
	}
	name := unitName(value(fl, "", "u", "unit"))
	c.m.mu.Lock()
	u := c.m.units[name]
	c.m.mu.Unlock()
	if u == nil {
		if !has(fl, "q", "quiet") {
			c.printf("-- No entries --\n")
		}
		return 0
	}
	for _, l := range u.last(int(number(value(fl, "10", "n", "lines")))) {
		if value(fl, "short", "o", "output") != "cat" {
			c.printf("%s %s systemd[1]: ", time.Now().UTC().Format("Jan 02 15:04:05"), c.m.cfg.Name)
		}
		c.printf("%s\n", l)
	}
	return 0
}
