package remote

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// Inventory says which hosts there are and how to reach them. What it leaves out comes from the ssh configuration.
type Inventory struct {
	APIVersion string              `yaml:"apiVersion" doc:"version of this file's format" required:"true" enum:"upgrader.dev/v1"`
	Kind       string              `yaml:"kind" doc:"what this file is" required:"true" enum:"Inventory"`
	SSH        SSH                 `yaml:"ssh" doc:"how to reach every host, unless the host says otherwise; beats the ssh configuration"`
	Hosts      []Machine           `yaml:"hosts" doc:"the machines, in the order in which plans count them" required:"true"`
	Groups     map[string][]string `yaml:"groups" doc:"names of hosts by group; control-plane and workers are ordinary groups"`

	file string // for messages
}

// Machine is one host of an inventory.
type Machine struct {
	Name    string            `yaml:"name" doc:"the node's name in Kubernetes" required:"true"`
	Address string            `yaml:"address" doc:"host name, alias of the ssh configuration or IP address; the name if left out"`
	Port    int               `yaml:"port" doc:"short for ssh.port"`
	User    string            `yaml:"user" doc:"short for ssh.user"`
	Groups  []string          `yaml:"groups" doc:"groups that it is in, beside those that list it"`
	Labels  map[string]string `yaml:"labels" doc:"labels for rollouts, such as topology.kubernetes.io/zone"`
	SSH     SSH               `yaml:"ssh" doc:"how to reach this host"`
}

// SSH says how to reach hosts. Whatever is left empty comes from the ssh configuration.
type SSH struct {
	User           string        `yaml:"user" doc:"login name"`
	Port           int           `yaml:"port" doc:"TCP port"`
	IdentityFile   string        `yaml:"identityFile" doc:"private key, tried first; relative to this file"`
	KnownHosts     string        `yaml:"knownHosts" doc:"file of known host keys, instead of those of the ssh configuration; relative to this file"`
	ProxyJump      string        `yaml:"proxyJump" doc:"hosts to go through, as [user@]host[:port],...; none to go straight"`
	Sudo           string        `yaml:"sudo" doc:"auto (sudo without a password unless the user is root), never, or where the password is: env:NAME, file:PATH, cmd:COMMAND"`
	Config         string        `yaml:"config" doc:"ssh configuration file instead of ~/.ssh/config; none to read no configuration"`
	ConnectTimeout time.Duration `yaml:"connectTimeout" doc:"how long connecting may take; 10s if nothing says otherwise"`
	Keepalive      time.Duration `yaml:"keepalive" doc:"how often a silent connection is tried; it is given up after three unanswered tries; 5s"`
}

// LoadInventory reads an inventory file, whose relative paths begin beside it. The error holds every fault of it.
func LoadInventory(path string) (*Inventory, error) { return LoadInventoryOf(path, filepath.Dir(path)) }

// LoadInventoryOf reads a copy of an inventory whose relative paths begin at dir, where the original was.
func LoadInventoryOf(path, dir string) (*Inventory, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	var inv Inventory
	if err := document.Decode(path, data, &inv); err != nil {
		return nil, err
	}
	inv.file = path
	if err := inv.Check(); err != nil {
		return nil, err
	}
	inv.expand(dir)
	return &inv, nil
}

// Node is what the cluster tells about one of its hosts.
type Node struct {
	Name   string
	Labels map[string]string
	Roles  []string // from the node-role.kubernetes.io labels
}

// FromNodes makes an inventory of a cluster's nodes, in their order: those with the role control-plane are the group
// control-plane, the others are the group workers. Everything else comes from the ssh configuration.
func FromNodes(nodes []Node) *Inventory {
	inv := &Inventory{APIVersion: "upgrader.dev/v1", Kind: "Inventory", Groups: map[string][]string{}, file: "the cluster's nodes"}
	for _, n := range nodes {
		group := "workers"
		if slices.Contains(n.Roles, "control-plane") || slices.Contains(n.Roles, "master") {
			group = "control-plane"
		}
		inv.Hosts = append(inv.Hosts, Machine{Name: n.Name, Labels: n.Labels})
		inv.Groups[group] = append(inv.Groups[group], n.Name)
	}
	return inv
}

// Targets returns the hosts for a plan, in the order of the file, each with all its groups.
func (inv *Inventory) Targets() []engine.Target {
	targets := make([]engine.Target, 0, len(inv.Hosts))
	for _, m := range inv.Hosts {
		groups := slices.Clone(m.Groups)
		for name, members := range inv.Groups {
			if slices.Contains(members, m.Name) {
				groups = append(groups, name)
			}
		}
		slices.Sort(groups)
		targets = append(targets, engine.Target{Name: m.Name, Labels: maps.Clone(m.Labels), Groups: slices.Compact(groups)})
	}
	return targets
}

// Check looks for faults that the file's grammar does not show: hosts that are named twice or nowhere, values that
// mean nothing. It returns all of them.
func (inv *Inventory) Check() error {
	var faults *multierror.Error
	fault := func(format string, args ...any) {
		faults = multierror.Append(faults, fmt.Errorf("%s: "+format, append([]any{inv.name()}, args...)...))
	}
	seen := map[string]bool{}
	for i, m := range inv.Hosts {
		switch {
		case m.Name == "":
			fault("hosts[%d] has no name", i)
		case m.Name == engine.Cluster || m.Name == "all":
			fault("no host can be called %q: the word has a meaning in plans", m.Name)
		case seen[m.Name]:
			fault("two hosts are called %q", m.Name)
		}
		seen[m.Name] = true
		checkSSH(m.SSH, "host "+m.Name, fault)
		checkPort(m.Port, "host "+m.Name, fault)
	}
	checkSSH(inv.SSH, "ssh", fault)
	for _, g := range slices.Sorted(maps.Keys(inv.Groups)) {
		listed := map[string]bool{}
		for _, h := range inv.Groups[g] {
			switch {
			case !seen[h]:
				fault("group %s lists %q, which is not among the hosts (%s)", g, h, strings.Join(inv.names(), ", "))
			case listed[h]:
				fault("group %s lists %q twice", g, h)
			}
			listed[h] = true
		}
	}
	return faults.ErrorOrNil()
}

func checkSSH(s SSH, where string, fault func(string, ...any)) {
	checkPort(s.Port, where, fault)
	how, what, _ := strings.Cut(s.Sudo, ":")
	ref := (how == "env" || how == "file" || how == "cmd") && what != ""
	if s.Sudo != "" && s.Sudo != "auto" && s.Sudo != "never" && !ref {
		fault("%s: sudo: want auto, never, env:NAME, file:PATH or cmd:COMMAND; a password itself does not belong in a file", where)
	}
	if s.ConnectTimeout < 0 || s.Keepalive < 0 {
		fault("%s: connectTimeout and keepalive cannot be negative", where)
	}
}

func checkPort(p int, where string, fault func(string, ...any)) {
	if p < 0 || p > 65535 {
		fault("%s: port %d: want 1 to 65535", where, p)
	}
}

func (inv *Inventory) name() string {
	if inv.file == "" {
		return "inventory"
	}
	return inv.file
}

func (inv *Inventory) names() []string {
	var names []string
	for _, m := range inv.Hosts {
		names = append(names, m.Name)
	}
	return names
}

// expand makes the paths of the file absolute: they are relative to dir, and ~ is the home directory.
func (inv *Inventory) expand(dir string) {
	inv.SSH.expand(dir)
	for i := range inv.Hosts {
		inv.Hosts[i].SSH.expand(dir)
	}
}

func (s *SSH) expand(dir string) {
	s.IdentityFile, s.KnownHosts = expandPath(dir, s.IdentityFile), expandPath(dir, s.KnownHosts)
	if s.Config != "none" {
		s.Config = expandPath(dir, s.Config)
	}
	if path, ok := strings.CutPrefix(s.Sudo, "file:"); ok {
		s.Sudo = "file:" + expandPath(dir, path)
	}
}

func expandPath(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/') {
		if home, err := homeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return filepath.Join(dir, path)
}

func homeDir() (string, error) {
	if home := os.Getenv("HOME"); home != "" {
		return home, nil
	}
	u, err := user.Current()
	if err != nil {
		return "", errors.New("the home directory is unknown: set HOME")
	}
	return u.HomeDir, nil
}

// over returns s with what it leaves empty taken from base.
func (s SSH) over(base SSH) SSH {
	s.User = cmp.Or(s.User, base.User)
	s.Port = cmp.Or(s.Port, base.Port)
	s.IdentityFile = cmp.Or(s.IdentityFile, base.IdentityFile)
	s.KnownHosts = cmp.Or(s.KnownHosts, base.KnownHosts)
	s.ProxyJump = cmp.Or(s.ProxyJump, base.ProxyJump)
	s.Sudo = cmp.Or(s.Sudo, base.Sudo)
	s.Config = cmp.Or(s.Config, base.Config)
	s.ConnectTimeout = cmp.Or(s.ConnectTimeout, base.ConnectTimeout)
	s.Keepalive = cmp.Or(s.Keepalive, base.Keepalive)
	return s
}
