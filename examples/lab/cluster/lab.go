//go:build linux

// Package cluster is a lab: a kubeadm cluster of hosts in namespaces on one machine, with its network, its packages and
// images, its balancers, a workload and a prober.
//
// Everything of a lab lies in one directory, and everything here can be done again: what is there is left alone, what is
// missing is made. It imports the standard library, golang.org/x/sys/unix, build and host.
package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"upgrader.dev/upgrader/examples/lab/build"
	"upgrader.dev/upgrader/examples/lab/host"
)

// ErrNone says that there is no lab of that name.
var ErrNone = errors.New("there is no such lab")

// A Lab is one cluster of hosts and the directory with everything that belongs to it.
type Lab struct {
	Plan
	Dir   string
	cache build.Cache
}

// Open returns the lab of that name.
func Open(c build.Cache, name string) (*Lab, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	l, err := open(c, c.Lab(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %q in %s; start it with `lab up --name %s`", ErrNone, name, filepath.Dir(c.Lab(name)), name)
	}
	return l, err
}

func open(c build.Cache, dir string) (*Lab, error) {
	data, err := os.ReadFile(filepath.Join(dir, planFile))
	if err != nil {
		return nil, fmt.Errorf("reading the lab's plan: %w", err)
	}
	l := &Lab{Dir: dir, cache: c}
	if err := json.Unmarshal(data, &l.Plan); err != nil {
		return nil, fmt.Errorf("reading %s: %w; `lab down` clears the lab away", filepath.Join(dir, planFile), err)
	}
	return l, nil
}

// Names lists the labs of a cache.
func Names(c build.Cache) ([]string, error) {
	plans, err := filepath.Glob(filepath.Join(labs(c), "*", planFile))
	if err != nil {
		return nil, fmt.Errorf("listing labs: %w", err)
	}
	names := make([]string, 0, len(plans))
	for _, p := range plans {
		names = append(names, filepath.Base(filepath.Dir(p)))
	}
	return names, nil
}

// labs is the directory that holds every lab of a cache.
func labs(c build.Cache) string { return filepath.Dir(c.Lab("any")) }

// Host returns a host that has been started. The error lists the hosts that there are.
func (l *Lab) Host(name string) (*host.Host, error) {
	if err := l.Knows(name); err != nil {
		return nil, err
	}
	h, err := host.Open(l.hostDir(name))
	if err != nil {
		return nil, fmt.Errorf("%s has not been started: %w; `lab up` goes on", name, err)
	}
	return h, nil
}

// Knows returns an error that lists the lab's hosts unless name is one of them.
func (l *Lab) Knows(name string) error {
	if l.has(name) {
		return nil
	}
	return fmt.Errorf("lab %s has no host %q; it has %s", l.Name, name, strings.Join(l.Hosts(), ", "))
}

// Inventory is the file for `upgrader run --inventory`.
func (l *Lab) Inventory() string { return filepath.Join(l.Dir, "inventory.yaml") }

// Kubeconfig is the cluster administrator's.
func (l *Lab) Kubeconfig() string { return filepath.Join(l.Dir, "kubeconfig") }

// Key is the private key that root of every host accepts.
func (l *Lab) Key() string { return filepath.Join(l.Dir, "id_ed25519") }

// KnownHosts holds the hosts' real keys.
func (l *Lab) KnownHosts() string { return filepath.Join(l.Dir, "known_hosts") }

// Logs is the directory of what kubeadm, apt and the server said.
func (l *Lab) Logs() string { return filepath.Join(l.Dir, "log") }

func (l *Lab) hostDir(name string) string { return filepath.Join(l.Dir, "hosts", name) }

func (l *Lab) log(name string) string { return filepath.Join(l.Logs(), name+".log") }

// replace writes a file in one piece, so that nobody ever reads half of it.
func replace(path string, data []byte, mode fs.FileMode) error {
	fresh := path + ".new"
	if err := os.WriteFile(fresh, data, mode); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := errors.Join(os.Chmod(fresh, mode), os.Rename(fresh, path)); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
