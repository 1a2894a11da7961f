package machine

import (
	"fmt"
	"io/fs"
	"strconv"
	"time"
)

// mountProc fills /proc and /dev: what scripts read there is made up while they read it.
func (m *Machine) mountProc() {
	m.tree.mount("/dev/null", nil)
	m.tree.mount("/proc/sys/kernel/random/boot_id", func() []byte { return []byte(m.bootID() + "\n") })
	m.tree.mount("/proc/sys/kernel/random/uuid", func() []byte { return []byte(newUUID() + "\n") })
	m.tree.mount("/proc/sys/kernel/hostname", func() []byte { return []byte(m.cfg.Name + "\n") })
	m.tree.mount("/proc/uptime", func() []byte {
		m.mu.Lock()
		since := m.power.since
		m.mu.Unlock()
		up := time.Since(since).Seconds()
		return fmt.Appendf(nil, "%.2f %.2f\n", up, up)
	})
	m.tree.mount("/proc/locks", m.locks.text)
	m.tree.put("/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n", 0o444)
	m.tree.mount("/proc/loadavg", func() []byte { return []byte("0.10 0.12 0.09 1/180 4711\n") })
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	proc, err := m.tree.find("root", "/proc", true)
	if err != nil {
		panic("machine: /proc is missing: " + err.Error())
	}
	proc.more = m.processNodes
}

// processNodes is a directory for every process: comm, cmdline, stat, environ and exe.
func (m *Machine) processNodes() map[string]*node {
	m.mu.Lock()
	defer m.mu.Unlock()
	nodes := make(map[string]*node, len(m.procs))
	for pid, p := range m.procs {
		nodes[strconv.Itoa(pid)] = p.node()
	}
	return nodes
}

func (p *proc) node() *node {
	file := func(text string) *node {
		return &node{mode: 0o444, owner: p.user, group: p.user, device: device{is: true, read: func() []byte { return []byte(text) }}}
	}
	exe := p.exe
	if exe == "" {
		exe = "/usr/bin/" + p.name
	}
	if p.replaced {
		exe += " (deleted)"
	}
	cgroup := "0::/user.slice/user-0.slice/session-1.scope\n"
	if p.unit != "" {
		cgroup = "0::/system.slice/" + p.unit + "\n"
	}
	comm := p.name[:min(len(p.name), 15)] // TASK_COMM_LEN
	return &node{
		ino: uint64(1<<32 + p.pid), mode: fs.ModeDir | 0o555, owner: p.user, group: p.user,
		kids: map[string]*node{
			"comm": file(comm + "\n"), "cmdline": file(p.line), "environ": file(""), "cgroup": file(cgroup),
			"stat":   file(fmt.Sprintf("%d (%s) S %d %d %d 0 -1\n", p.pid, comm, p.ppid, p.pid, p.pid)),
			"status": file(fmt.Sprintf("Name:\t%s\nState:\tS (sleeping)\nPid:\t%d\nPPid:\t%d\n", comm, p.pid, p.ppid)),
			"exe":    {mode: fs.ModeSymlink | 0o777, owner: p.user, target: exe},
		},
	}
}
