//go:build linux

package cluster

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"upgrader.dev/upgrader/examples/lab/host"
)

const (
	planFile = "lab.json"

	// MostControlPlanes and MostWorkers are how many hosts the addresses, the routes and the balancers are laid out for.
	MostControlPlanes = 3
	MostWorkers       = 4

	// first is the host that the cluster begins with.
	first = "cp1"

	podNetwork     = "10.88.0.0/16"
	serviceNetwork = "10.99.0.0/16"

	coreDNS = "10.99.0.10:9153" // its metrics, by the address that kubeadm gives its service

	apiPort     = 6443 // on the bridge, to the control planes
	servicePort = 8080 // on the bridge, to nodePort of every host
	filesPort   = 8077 // on the bridge: packages and images
	nodePort    = 30080
)

// A Plan says what a lab consists of. Everything else about it follows from this.
type Plan struct {
	Name          string `json:"name"`
	Version       string `json:"version"` // that it was made with, such as 1.27.3
	Net           int    `json:"net"`     // its hosts are 10.77.Net.0/24
	ControlPlanes int    `json:"controlPlanes"`
	Workers       int    `json:"workers"`
}

// checkName keeps names that are part of paths, cgroups and links harmless.
func checkName(name string) error {
	if regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`).MatchString(name) {
		return nil
	}
	return fmt.Errorf("%q is no name for a lab: use up to 32 of a-z, 0-9 and -, as in `--name ci-1`", name)
}

// Hosts names the lab's hosts: control planes first, as an inventory lists them.
func (p Plan) Hosts() []string { return append(p.controlPlanes(), p.workers()...) }

func (p Plan) controlPlanes() []string { return numbered("cp", p.ControlPlanes) }

func (p Plan) workers() []string { return numbered("w", p.Workers) }

// ControlPlaneNames are the names of the control planes, as the inventory's template lists them.
func (p Plan) ControlPlaneNames() string { return strings.Join(p.controlPlanes(), ", ") }

// WorkerNames are the names of the workers.
func (p Plan) WorkerNames() string { return strings.Join(p.workers(), ", ") }

func (p Plan) has(name string) bool { return slices.Contains(p.Hosts(), name) }

func isControlPlane(name string) bool { return strings.HasPrefix(name, "cp") }

func numbered(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = prefix + strconv.Itoa(i+1)
	}
	return names
}

// possible are all hosts that a lab can ever have.
func (p Plan) possible() []string {
	p.ControlPlanes, p.Workers = MostControlPlanes, MostWorkers
	return p.Hosts()
}

// number is the last part of a host's address: cp1 is 11, w1 is 21.
func number(name string) int {
	if i := slices.Index(numbered("cp", MostControlPlanes), name); i >= 0 {
		return 11 + i
	}
	return 21 + slices.Index(numbered("w", MostWorkers), name)
}

// Address is a host's own.
func (p Plan) Address(name string) string { return fmt.Sprintf("10.77.%d.%d", p.Net, number(name)) }

// Gateway is the bridge's address, where packages, images and balancers are.
func (p Plan) Gateway() string { return fmt.Sprintf("10.77.%d.1", p.Net) }

func (p Plan) bridge() string { return "ulab" + strconv.Itoa(p.Net) }

func (p Plan) at(port int) string { return at(p.Gateway(), port) }

// at is an address and a port as package net takes them.
func at(address string, port int) string {
	return netip.AddrPortFrom(netip.MustParseAddr(address), uint16(port)).String() //nolint:gosec // one of the constants above
}

func pods(name string) string { return fmt.Sprintf("10.88.%d.0/24", number(name)) }

// host is what package host is told of one host. The routes lead to hosts that may only come later.
func (p Plan) host(name, rootfs string) host.Config {
	c := host.Config{
		Name:    name,
		Address: p.Address(name),
		Gateway: p.Gateway(),
		Bridge:  p.bridge(),
		Cable:   fmt.Sprintf("ul%d-%s", p.Net, name),
		Cgroup:  "upgrader-lab/" + p.Name + "/" + name,
		Rootfs:  rootfs,
		Pods:    pods(name),
	}
	for _, other := range p.possible() {
		if other != name {
			c.Routes = append(c.Routes, host.Route{To: pods(other), Via: p.Address(other)})
		}
	}
	return c
}
