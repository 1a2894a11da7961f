package remote

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// Check looks for faults that the file's grammar does not show: hosts that are named twice or nowhere, values that
// mean nothing. It returns all of them.
func (inv *Inventory) Check() error {
	c := &check{file: cmp.Or(inv.file, "inventory"), hosts: make(map[string]bool, len(inv.Hosts))}
	for i, m := range inv.Hosts {
		c.host(i, m)
	}
	c.ssh(document.Pos{}, "ssh", inv.SSH)
	for _, name := range slices.Sorted(maps.Keys(inv.Groups)) {
		c.group(name, inv.Groups[name])
	}
	return c.faults.Err()
}

// check is one look through an inventory.
type check struct {
	file   string
	hosts  map[string]bool
	names  []string
	faults document.Faults
}

func (c *check) fault(at document.Pos, hint, format string, args ...any) {
	at.File = cmp.Or(at.File, c.file)
	c.faults.Add(at, hint, format, args...)
}

func (c *check) host(i int, m Machine) {
	switch {
	case m.Name == "":
		c.fault(m.At, "", "hosts[%d] has no name", i)
	case m.Name == engine.Cluster || m.Name == engine.AllHosts:
		c.fault(m.At, "", "no host can be called %q: the word has a meaning in plans", m.Name)
	case c.hosts[m.Name]:
		c.fault(m.At, "", "two hosts are called %q", m.Name)
	}
	c.hosts[m.Name] = true
	c.names = append(c.names, m.Name)
	c.ssh(m.At, "host "+m.Name, m.SSH)
	c.port(m.At, "host "+m.Name, m.Port)
}

func (c *check) group(name string, members []document.Text) {
	listed := make(map[string]bool, len(members))
	for _, m := range members {
		switch {
		case !c.hosts[m.Text]:
			hint := ""
			if !c.faults.Full() {
				hint = document.Suggest(m.Text, c.names)
			}
			c.fault(m.Pos, hint, "group %s lists %q, which is not among the hosts", name, m.Text)
		case listed[m.Text]:
			c.fault(m.Pos, "", "group %s lists %q twice", name, m.Text)
		}
		listed[m.Text] = true
	}
}

func (c *check) ssh(at document.Pos, where string, s SSH) {
	c.port(at, where, s.Port)
	how, what, _ := strings.Cut(s.Sudo, ":")
	ref := (how == "env" || how == "file" || how == "cmd") && what != ""
	if s.Sudo != "" && s.Sudo != "auto" && s.Sudo != "never" && !ref {
		c.fault(at, "", "%s: sudo: want auto, never, env:NAME, file:PATH or cmd:COMMAND; a password itself does not belong in a file", where)
	}
	if s.ConnectTimeout < 0 || s.Keepalive < 0 {
		c.fault(at, "", "%s: connectTimeout and keepalive cannot be negative", where)
	}
}

func (c *check) port(at document.Pos, where string, p int) {
	if p < 0 || p > 65535 {
		c.fault(at, "", "%s: port %d: want 1 to 65535", where, p)
	}
}
