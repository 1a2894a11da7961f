package remote

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// Inventory says which hosts there are and how to reach them. What it leaves out comes from the ssh configuration.
type Inventory struct {
	APIVersion string                     `yaml:"apiVersion" doc:"version of this file's format" required:"true" enum:"upgrader.dev/v1"`
	Kind       string                     `yaml:"kind" doc:"what this file is" required:"true" enum:"Inventory"`
	SSH        SSH                        `yaml:"ssh" doc:"how to reach every host, unless the host says otherwise; beats the ssh configuration"`
	Hosts      []Machine                  `yaml:"hosts" doc:"the machines, in the order in which plans count them" required:"true"`
	Groups     map[string][]document.Text `yaml:"groups" doc:"names of hosts by group; control-plane and workers are ordinary groups"`

	file string // for messages
	path string // empty: it is not in a file
	text []byte // of the file
}

// Machine is one host of an inventory.
type Machine struct {
	At      document.Pos      // where it is written
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

// Limits are how large an inventory may be: 10,000 hosts take 3 MB and 250,000 values when each has an address, three
// labels and two groups of its own.
const (
	maxBytes  = 16 << 20
	maxValues = 1_000_000
)

// LoadInventory reads an inventory file, whose relative paths begin beside it. The error holds every fault of it.
func LoadInventory(path string) (*Inventory, error) { return LoadInventoryOf(path, filepath.Dir(path)) }

// LoadInventoryOf reads a copy of an inventory whose relative paths begin at dir, where the original was.
func LoadInventoryOf(path, dir string) (*Inventory, error) {
	data, err := readFile(path, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	var inv Inventory
	limits := document.Limits{Bytes: maxBytes, Nodes: maxValues, Split: "keep an inventory of its own for each cluster"}
	if err := limits.Decode(path, data, &inv); err != nil {
		return nil, err
	}
	inv.file, inv.path, inv.text = path, path, data
	if err := inv.Check(); err != nil {
		return nil, err
	}
	inv.expand(dir)
	return &inv, nil
}

// File is where the inventory was read from; empty if it was not a file.
func (inv *Inventory) File() string { return inv.path }

// Text is what the file said; empty if it was not a file. A pipe says it only once.
func (inv *Inventory) Text() []byte { return inv.text }

// readFile reads a file of at most so many bytes. One more of a longer one shows that it is too long.
func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most+1))
}

// Node is what the cluster tells about one of its hosts.
type Node struct {
	Name         string
	Labels       map[string]string
	ControlPlane bool // it has the role, by its labels
}

// FromNodes makes an inventory of a cluster's nodes, in their order: those of the control plane are that group, the others
// are the group workers. Everything else comes from the ssh configuration.
func FromNodes(nodes []Node) *Inventory {
	inv := &Inventory{APIVersion: "upgrader.dev/v1", Kind: "Inventory", Groups: map[string][]document.Text{}, file: "the cluster's nodes"}
	for _, n := range nodes {
		group := engine.Workers
		if n.ControlPlane {
			group = engine.ControlPlane
		}
		inv.Hosts = append(inv.Hosts, Machine{Name: n.Name, Labels: n.Labels})
		inv.Groups[group] = append(inv.Groups[group], document.Text{Text: n.Name})
	}
	return inv
}

// Targets returns the hosts for a plan, in the order of the file, each with all its groups.
func (inv *Inventory) Targets() []engine.Target {
	listed := map[string][]string{} // the groups that list a host
	for name, members := range inv.Groups {
		for _, m := range members {
			listed[m.Text] = append(listed[m.Text], name)
		}
	}
	targets := make([]engine.Target, 0, len(inv.Hosts))
	for _, m := range inv.Hosts {
		groups := append(slices.Clone(m.Groups), listed[m.Name]...)
		slices.Sort(groups)
		targets = append(targets, engine.Target{Name: m.Name, Labels: maps.Clone(m.Labels), Groups: slices.Compact(groups)})
	}
	return targets
}

// noHost says that there is no host of this name, and which one may be meant.
func (inv *Inventory) noHost(name string) error {
	var names []string
	for _, m := range inv.Hosts {
		names = append(names, m.Name)
	}
	hint := cmp.Or(document.Suggest(name, names), fmt.Sprintf("it has %d others", len(names)))
	return fmt.Errorf("the inventory has no host %q; %s", name, hint)
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
