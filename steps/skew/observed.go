package skew

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Observed is what runs in a cluster, by host, and where it is to go. A component that is not there has no entry; a
// zero Version says that it is there and its version could not be found out, which no rule lets pass.
type Observed struct {
	Target  Version   // what the cluster is upgraded to; zero: judge only what runs
	From    string    // a constraint on where the upgrade may start; empty: anywhere
	Through []Version // stations between From and Target where an interrupted upgrade may be found

	APIServers         map[string]Version // by host
	ControllerManagers map[string]Version // by host
	Schedulers         map[string]Version // by host
	Kubelets           map[string]Version // by host
	Proxies            map[string]Version // kube-proxy, by host
	Kubectls           map[string]Version // by host
	Kubeadms           map[string]Version // by host: what is installed now

	// etcd and CoreDNS have versions of their own. What they are held against comes from the caller; where it is zero,
	// nobody asked.
	Etcds        map[string]EtcdVersion    // by host; by the name of the member where etcd runs elsewhere
	EtcdTo       EtcdVersion               // what the upgrade brings: the tag that the operator pinned, else kubeadm's choice; zero for external etcd
	EtcdFloors   []EtcdFloor               // for every member
	CoreDNS      map[string]CoreDNSVersion // by ReplicaSet
	CoreDNSTo    CoreDNSVersion            // what the target's kubeadm brings
	CoreDNSKnown []CoreDNSVersion          // what it can migrate the Corefile from
}

// A Violation is one rule broken in one place.
type Violation struct {
	Rule      string // its short name, such as kubelet-too-old
	Where     string // the component and its host: "kubelet on w1"
	Have      string // the version found
	Want      string // what the rule asks for, in words: "1.27 or older: the oldest API server (cp2) is 1.27.3"
	Mandatory bool   // kubeadm or Kubernetes breaks otherwise; false: kubeadm's --force skips it, or only a tool is concerned
}

// Advice tells that neither kubeadm nor the cluster insists: a tool that is too far away, a patch of etcd that is merely
// better.
func (v Violation) Advice() bool {
	return v.Rule == "kubectl-skew" || v.Rule == "etcd-too-old" && !v.Mandatory
}

// String is the violation as one sentence.
func (v Violation) String() string {
	return fmt.Sprintf("%s is %s, want %s (%s)", v.Where, v.Have, v.Want, v.Rule)
}

// Check returns every violation of the version skew policy (kubernetes.io, releases/version-skew-policy) and of
// kubeadm's own rules (cmd/kubeadm/app/phases/upgrade/policy.go), sorted by rule and place. None means that the upgrade
// may begin, or go on: what an upgrade by kubeadm's documented order passes through is not a violation.
func Check(o Observed) []Violation {
	c := check{Observed: o}
	c.unknown()
	c.unknownAddons()
	c.Observed = o.known()
	c.etcds()
	c.coreDNS()
	if len(c.APIServers) == 0 {
		c.add("apiserver-unknown", "kube-apiserver", "", Version{}, "at least one of a known version", true)
		return c.sorted()
	}
	c.oldestHost, c.newestHost = extremes(c.APIServers)
	c.oldest, c.newest = c.APIServers[c.oldestHost], c.APIServers[c.newestHost]
	c.apiServers()
	c.start()
	c.controlPlane("kube-controller-manager", c.ControllerManagers)
	c.controlPlane("kube-scheduler", c.Schedulers)
	c.nodes("kubelet", c.Kubelets)
	c.nodes("kube-proxy", c.Proxies)
	c.proxiesBesideKubelets()
	c.kubectls()
	c.kubeadms()
	c.kubeletsForKubeadm()
	return c.sorted()
}

// check gathers violations.
type check struct {
	Observed
	oldest, newest         Version // of the API servers
	oldestHost, newestHost string
	found                  []Violation
}

func (c *check) add(rule, component, host string, have fmt.Stringer, want string, mandatory bool) {
	where := component
	if host != "" {
		where += " on " + host
	}
	c.found = append(c.found, Violation{rule, where, have.String(), want, mandatory})
}

func (c *check) sorted() []Violation {
	slices.SortFunc(c.found, func(a, b Violation) int {
		return cmp.Or(strings.Compare(a.Rule, b.Rule), strings.Compare(a.Where, b.Where), strings.Compare(a.Want, b.Want))
	})
	return c.found
}

// components are the maps of an Observed, with their names, in one fixed order.
func (o *Observed) components() []component {
	return []component{
		{"kube-apiserver", &o.APIServers}, {"kube-controller-manager", &o.ControllerManagers},
		{"kube-scheduler", &o.Schedulers}, {"kubelet", &o.Kubelets}, {"kube-proxy", &o.Proxies},
		{"kubectl", &o.Kubectls}, {"kubeadm", &o.Kubeadms},
	}
}

type component struct {
	name string
	on   *map[string]Version
}

func (c *check) unknown() {
	for _, x := range c.components() {
		for host, v := range hosts(*x.on) {
			if v.IsZero() {
				c.add("version-unknown", x.name, host, v, "a version that can be read", x.on != &c.Kubectls)
			}
		}
	}
}

// known returns a copy without the versions that are not known.
func (o Observed) known() Observed {
	for _, x := range o.components() {
		*x.on = withoutZero(*x.on)
	}
	o.Etcds, o.CoreDNS = withoutZero(o.Etcds), withoutZero(o.CoreDNS)
	return o
}

func withoutZero[V interface{ IsZero() bool }](m map[string]V) map[string]V {
	m = maps.Clone(m)
	maps.DeleteFunc(m, func(_ string, v V) bool { return v.IsZero() })
	return m
}

// hosts ranges over a map in the order of its hosts.
func hosts[V any](m map[string]V) func(yield func(string, V) bool) {
	return func(yield func(string, V) bool) {
		for _, h := range slices.Sorted(maps.Keys(m)) {
			if !yield(h, m[h]) {
				return
			}
		}
	}
}

// extremes returns the hosts of the oldest and of the newest version, the first in the order of the hosts among equals.
func extremes[V interface{ Compare(V) int }](m map[string]V) (oldest, newest string) {
	for h, v := range hosts(m) {
		if oldest == "" || v.Compare(m[oldest]) < 0 {
			oldest = h
		}
		if newest == "" || v.Compare(m[newest]) > 0 {
			newest = h
		}
	}
	return oldest, newest
}
