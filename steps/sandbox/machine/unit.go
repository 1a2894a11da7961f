package machine

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"mvdan.cc/sh/v3/expand"
)

// A unit is a service that systemd knows on this machine. Its fields are guarded by Machine.mu.
type unit struct {
	name        string // with .service
	description string
	transient   bool
	enabled     string // what is-enabled says
	active, sub string
	result      string
	status      int // ExecMainStatus
	code        int // ExecMainCode: 1 exited, 2 killed
	pid         int // of the main process; 0 when it is gone
	lastPID     int
	remain      bool // RemainAfterExit
	collect     bool // unload it even when it failed
	reload      bool // NeedDaemonReload
	restarts    int
	started     time.Time
	ended       time.Time
	invocation  string
	props       map[string]string
	stop        context.CancelCauseFunc
	done        chan struct{} // closed when the main process is gone
	journal     []string
	jmu         sync.Mutex
}

// ticketOf is the ID of the upgrader job that a unit runs, "" if it runs none.
func ticketOf(unit string) string {
	id, ok := strings.CutPrefix(strings.TrimSuffix(unit, ".service"), "upgrader-")
	if !ok {
		return ""
	}
	return id
}

func unitName(name string) string {
	switch name {
	case "sshd", "sshd.service":
		return "ssh.service"
	}
	if strings.Contains(name, ".") && slices.Contains([]string{"service", "timer", "socket", "target", "slice", "scope", "mount"}, name[strings.LastIndex(name, ".")+1:]) {
		return name
	}
	return name + ".service"
}

// log adds a line to the unit's journal.
func (u *unit) log(text string) {
	u.jmu.Lock()
	defer u.jmu.Unlock()
	u.journal = append(u.journal, text)
	if len(u.journal) > 200 {
		u.journal = u.journal[100:]
	}
}

// last are the newest lines of the unit's journal.
func (u *unit) last(n int) []string {
	u.jmu.Lock()
	defer u.jmu.Unlock()
	return slices.Clone(u.journal[max(0, len(u.journal)-n):])
}

// A journalWriter is the output of a unit that goes to the journal.
type journalWriter struct {
	u    *unit
	mu   sync.Mutex
	part string // the beginning of a line whose end has not been written yet
}

func (w *journalWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := strings.Split(w.part+string(b), "\n")
	w.part = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		w.u.log(line)
	}
	return len(b), nil
}

// startUnits starts the services that a Debian host with kubeadm starts at boot.
func (m *Machine) startUnits() {
	for _, s := range [][2]string{
		{"ssh", "OpenBSD Secure Shell server"}, {"containerd", "containerd container runtime"}, {"kubelet", "kubelet: The Kubernetes Node Agent"},
	} {
		name, what := s[0], s[1]
		m.mu.Lock()
		m.units[name+".service"] = &unit{name: name + ".service", description: what, enabled: "enabled", active: "inactive", sub: "dead", result: "success"}
		m.mu.Unlock()
		m.startService(name + ".service")
	}
}

// startService starts a service of the host and tells the world when it is the kubelet.
func (m *Machine) startService(name string) {
	ctx, on := m.up()
	if !on {
		return
	}
	program := strings.TrimSuffix(name, ".service")
	exe := map[string]string{"ssh": "/usr/sbin/sshd"}[program]
	if exe == "" {
		exe = "/usr/bin/" + program
	}
	words := []string{exe}
	if program == "kubelet" {
		words = m.kubeletCommand()
	}
	_, p := m.spawn(ctx, program, cmdline(words), func(p *proc) { p.unit, p.exe = name, exe })
	m.mu.Lock()
	u := m.units[name]
	u.active, u.sub, u.pid, u.lastPID, u.started, u.invocation = "active", "running", p.pid, p.pid, time.Now(), newInvocation()
	u.stop = func(error) { m.end(p) }
	boot := m.power.bootID
	version := m.apt.version("kubelet")
	if program == "kubelet" {
		m.kubelet = version
	}
	m.mu.Unlock()
	u.log(fmt.Sprintf("Started %s - %s.", name, u.description))
	if program == "kubelet" {
		m.world.KubeletStarted(m.cfg.Name, version, boot)
		m.runManifests()
	}
}

// stopService stops a service of the host.
func (m *Machine) stopService(name string) {
	m.mu.Lock()
	u := m.units[name]
	stop := u.stop
	was := u.active
	u.active, u.sub, u.pid, u.stop = "inactive", "dead", 0, nil
	if name == "kubelet.service" {
		m.kubelet = ""
	}
	m.mu.Unlock()
	if was == "active" && stop != nil {
		stop(nil)
		u.log("Stopped " + u.description + ".")
	}
	if name == "kubelet.service" {
		m.world.KubeletStopped(m.cfg.Name)
	}
}

func newInvocation() string { return strings.ReplaceAll(newUUID(), "-", "") }

// A start is what systemd-run asks for.
type start struct {
	unit    *unit
	args    []string
	env     []string
	dir     string
	user    string
	out     string // StandardOutput
	err     string // StandardError
	oneshot bool
}

// errLoaded says that a unit of that name is there already.
type errLoaded struct{ name string }

func (e errLoaded) Error() string {
	return "Unit " + e.name + " was already loaded or has a fragment file."
}

// run starts a transient unit: a process of its own that lives as long as the machine is up.
func (m *Machine) run(s start) error {
	m.mu.Lock()
	if _, ok := m.units[s.unit.name]; ok {
		m.mu.Unlock()
		return errLoaded{s.unit.name}
	}
	s.unit.started, s.unit.invocation, s.unit.done = time.Now(), newInvocation(), make(chan struct{})
	s.unit.active, s.unit.sub, s.unit.result, s.unit.enabled = "active", "running", "success", "transient"
	if s.oneshot {
		s.unit.active, s.unit.sub = "activating", "start"
	}
	m.units[s.unit.name] = s.unit
	m.mu.Unlock()
	began := make(chan struct{})
	if !m.during(func(boot context.Context) { m.mainProcess(boot, s, began) }) {
		return fmt.Errorf("the machine is going down")
	}
	<-began
	return nil
}

// mainProcess runs the main process of a transient unit to its end.
func (m *Machine) mainProcess(boot context.Context, s start, began chan<- struct{}) {
	u := s.unit
	defer close(u.done)
	ctx, p := m.spawn(boot, baseName(s.args[0]), cmdline(s.args), func(p *proc) { p.user, p.unit = s.user, u.name })
	defer m.end(p)
	m.mu.Lock()
	u.pid, u.lastPID, u.stop = p.pid, p.pid, p.cancel
	m.mu.Unlock()
	u.log("Started " + u.name + " - " + u.description + ".")
	m.record(p, EffectJobStart, "%s: %s", u.name, u.description)
	close(began)
	if s.user != "root" { // as with User=; root's units have no HOME
		s.env = append([]string{"HOME=" + home(s.user)}, s.env...)
	}
	c := &call{
		ctx: ctx, m: m, p: p, args: s.args, dir: s.dir,
		env: expand.ListEnviron(append([]string{"PATH=" + defaultPath, "LANG=C.UTF-8", "UID=" + uid(s.user), "EUID=" + uid(s.user), "GID=" + uid(s.user), "INVOCATION_ID=" + u.invocation, "TMPDIR=/tmp"}, s.env...)...),
	}
	status, stdout, stderr := 0, (*handle)(nil), (*handle)(nil)
	var err error
	if c.out, stdout, err = m.unitOutput(p, u, s.out, &journalWriter{u: u}); err == nil {
		c.err, stderr, err = m.unitOutput(p, u, s.err, c.out)
	}
	if err != nil {
		u.log(fmt.Sprintf("Failed to set up standard output: %s", reason(err)))
		status = 209 // EXIT_STDOUT in systemd.exec(5)
	} else {
		status = m.execIn(c)
	}
	for _, h := range []*handle{stdout, stderr} {
		if h != nil {
			h.Close()
		}
	}
	if boot.Err() != nil {
		return // cut by the machine going down: nobody is left to note how it ended
	}
	m.exited(ctx, p, u, status)
}

func baseName(name string) string { return name[strings.LastIndex(name, "/")+1:] }

// exited notes how the main process of a unit ended.
func (m *Machine) exited(ctx context.Context, p *proc, u *unit, status int) {
	sig := killedBy(ctx)
	m.mu.Lock()
	u.pid, u.ended, u.status, u.code = 0, time.Now(), status, 1
	failed := status != 0
	u.active, u.sub = "inactive", "dead"
	switch {
	case sig == "TERM" || sig == "HUP" || sig == "INT" || sig == "PIPE":
		u.code, u.status, failed = 2, signals[sig], false // systemd counts these as a clean end
	case sig != "":
		u.code, u.status, u.result = 2, signals[sig], "signal"
	case failed:
		u.result = "exit-code"
	case u.remain:
		u.active, u.sub = "active", "exited"
	}
	if failed {
		u.active, u.sub = "failed", "failed"
	}
	if u.active == "inactive" || u.collect && u.active == "failed" {
		delete(m.units, u.name)
	}
	m.mu.Unlock()
	u.logEnd(status, sig)
	m.record(p, EffectJobEnd, "%s: exit status %d", u.name, status)
}

// lsb are the names that systemd gives to exit statuses (exit-status.c).
var lsb = map[int]string{1: "FAILURE", 2: "INVALIDARGUMENT", 3: "NOTIMPLEMENTED", 4: "NOPERMISSION", 5: "NOTINSTALLED", 6: "NOTCONFIGURED", 7: "NOTRUNNING"}

// logEnd is what systemd itself notes in the journal of a unit that has ended.
func (u *unit) logEnd(status int, signal string) {
	if status == 0 || signal != "" && u.result != "signal" {
		u.log(u.name + ": Deactivated successfully.")
		return
	}
	how := fmt.Sprintf("code=exited, status=%d/%s", status, cmp.Or(lsb[status], "n/a"))
	if signal != "" {
		how = fmt.Sprintf("code=killed, status=%d/%s", signals[signal], signal)
	}
	u.log(u.name + ": Main process exited, " + how)
	u.log(u.name + ": Failed with result '" + u.result + "'.")
}

// unitOutput opens what StandardOutput and StandardError name.
func (m *Machine) unitOutput(p *proc, u *unit, spec string, inherit io.Writer) (io.Writer, *handle, error) {
	how, name, _ := strings.Cut(spec, ":")
	switch how {
	case "append", "file", "truncate":
		h, err := m.openFile(p, name, how != "truncate", false)
		if err != nil {
			return nil, nil, err
		}
		return h, h, nil
	case "null":
		return io.Discard, nil, nil
	case "journal", "syslog", "kmsg":
		return &journalWriter{u: u}, nil, nil
	}
	return inherit, nil, nil
}

// properties are what systemctl show prints of a unit.
func (m *Machine) properties(name string) map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.units[name]
	if u == nil {
		// A unit that does not exist looks like one that succeeded: only LoadState tells.
		return map[string]string{
			"Id": name, "LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead", "Result": "success",
			"ExecMainStatus": "0", "ExecMainCode": "0", "MainPID": "0", "ExecMainPID": "0", "NeedDaemonReload": "no", "NRestarts": "0",
			"UnitFileState": "", "ControlGroup": "", "InvocationID": "", "Description": name, "Names": name, "FragmentPath": "",
			"ExecMainStartTimestamp": "", "ExecMainExitTimestamp": "", "ActiveEnterTimestamp": "", "Type": "", "RemainAfterExit": "no",
			"ExecMainStartTimestampMonotonic": "0", "ExecMainExitTimestampMonotonic": "0",
		}
	}
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format("Mon 2006-01-02 15:04:05 UTC")
	}
	monotonic := func(t time.Time) string { // microseconds since the boot, and 0 for what was not
		if t.IsZero() {
			return "0"
		}
		return fmt.Sprint(max(1, t.Sub(m.power.since).Microseconds()))
	}
	yes := map[bool]string{true: "yes", false: "no"}
	fragment := "/lib/systemd/system/" + name
	if u.transient {
		fragment = "/run/systemd/transient/" + name
	}
	p := map[string]string{
		"Id": name, "Names": name, "LoadState": "loaded", "ActiveState": u.active, "SubState": u.sub, "Result": u.result,
		"ExecMainStatus": fmt.Sprint(u.status), "ExecMainCode": fmt.Sprint(u.code), "MainPID": fmt.Sprint(u.pid), "ExecMainPID": fmt.Sprint(u.lastPID),
		"NeedDaemonReload": yes[u.reload], "NRestarts": fmt.Sprint(u.restarts), "UnitFileState": u.enabled, "Transient": yes[u.transient],
		"ControlGroup": "/system.slice/" + name, "InvocationID": u.invocation, "Description": u.description, "FragmentPath": fragment,
		"ExecMainStartTimestamp": stamp(u.started), "ExecMainExitTimestamp": stamp(u.ended), "ActiveEnterTimestamp": stamp(u.started),
		"ExecMainStartTimestampMonotonic": monotonic(u.started), "ExecMainExitTimestampMonotonic": monotonic(u.ended),
		"RemainAfterExit": yes[u.remain], "Type": "exec",
	}
	if u.pid == 0 && u.active != "active" {
		p["ControlGroup"] = ""
	}
	maps.Copy(p, u.props)
	return p
}
