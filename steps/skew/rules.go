package skew

import "fmt"

// line numbers minor versions so that neighbours differ by 1. A change of the major version is out of every range.
func (v Version) line() int { return int(v.major)*1000 + int(v.minor) } //nolint:gosec // versions are small numbers

// named is the minor version that a line number stands for.
func named(line int) string { return fmt.Sprintf("%d.%d", line/1000, line%1000) }

// The minors at which the rules changed.
const (
	line125 = 1025 // kubelet and kube-proxy may be three minors older instead of two (KEP-3935)
	line127 = 1027 // the last whose first `kubeadm upgrade apply` moves kube-proxy on all nodes at once (addons phase)
	line128 = 1028 // the last whose kubeadm wants kubelets at most one minor older (MinimumKubeletVersion)
	line131 = 1031 // the first whose kubelet asks older API servers for what they do not know (kubernetes#127316), and the first without the gate UpgradeAddonsBeforeControlPlane
)

// apiServers: the newest and the oldest within one minor; none newer than the target; the oldest at most one minor
// below it, because kubeadm and the storage migrations of the API go one minor at a time.
func (c *check) apiServers() {
	const name = "kube-apiserver"
	if c.newest.line()-c.oldest.line() > 1 {
		c.add("apiserver-skew", name, c.oldestHost, c.oldest,
			fmt.Sprintf("%s or newer: the API server on %s is %s", named(c.newest.line()-1), c.newestHost, c.newest), true)
	}
	if c.Target.IsZero() {
		return
	}
	if c.Target.Prerelease() {
		c.add("target-prerelease", "the target", "", c.Target, "a release", false)
	}
	if c.Target.line()-c.oldest.line() > 1 {
		c.add("target-too-far", name, c.oldestHost, c.oldest,
			fmt.Sprintf("%s or newer to upgrade to %s: one minor version at a time", named(c.Target.line()-1), c.Target), true)
	}
	c.downgrades(name, c.APIServers)
	c.downgrades("kubelet", c.Kubelets)
}

func (c *check) downgrades(name string, m map[string]Version) {
	for host, v := range hosts(m) {
		if v.Compare(c.Target) > 0 {
			c.add("downgrade", name, host, v, fmt.Sprintf("%s or older: nothing is ever downgraded", c.Target), true)
		}
	}
}

// start: an API server is where the upgrade may begin, where it ends, or at a station between. Kubelets may lag behind
// the control plane by policy and have their own rules.
func (c *check) start() {
	if c.From == "" {
		return
	}
	passes := append([]Version{c.Target}, c.Through...)
	for host, v := range hosts(c.APIServers) {
		ok, err := Allows(c.From, v)
		if err != nil {
			c.add("from", "versions.from", "", v, err.Error(), true)
			return
		}
		for _, p := range passes {
			ok = ok || v == p
		}
		if !ok {
			want := c.From
			for _, p := range passes {
				if !p.IsZero() {
					want += " or " + p.String()
				}
			}
			c.add("from", "kube-apiserver", host, v, want, true)
		}
	}
}

// controlPlane: not newer than any API server that it may reach, at most one minor older. kubeadm points them at the API
// server of their own host, so that one counts where it is known.
func (c *check) controlPlane(name string, m map[string]Version) {
	for host, v := range hosts(m) {
		oldest, newest, of := c.oldest, c.newest, "the oldest API server"
		if own, ok := c.APIServers[host]; ok {
			oldest, newest, of = own, own, "the API server beside it"
		}
		if v.line() > oldest.line() {
			c.add("control-plane-too-new", name, host, v, fmt.Sprintf("%s or older: %s is %s", oldest.Line(), of, oldest), true)
		}
		if newest.line()-v.line() > 1 {
			c.add("control-plane-too-old", name, host, v, fmt.Sprintf("%s or newer: an API server is %s", named(newest.line()-1), newest), true)
		}
	}
}

// reach is how many minors a kubelet or a kube-proxy may be older than an API server.
func reach(v Version) int {
	if v.line() >= line125 {
		return 3
	}
	return 2
}

// nodes are the rules that kubelet and kube-proxy share: never newer than the oldest API server, at most their reach
// older than the newest, and than the one that the upgrade will bring.
func (c *check) nodes(name string, m map[string]Version) {
	for host, v := range hosts(m) {
		if p := c.passage(name, host, v); v.line() > c.oldest.line() && p != free {
			c.add(name+"-too-new", name, host, v,
				fmt.Sprintf("%s or older: the oldest API server (%s) is %s", c.oldest.Line(), c.oldestHost, c.oldest), p == barred)
		}
		want := "at most %d minor versions older than %s %s"
		switch {
		case c.newest.line()-v.line() > reach(v):
			c.add(name+"-too-old", name, host, v, fmt.Sprintf(want, reach(v), "the newest API server", c.newest), true)
		case !c.Target.IsZero() && c.Target.line()-v.line() > reach(v):
			c.add(name+"-too-old-for-target", name, host, v, fmt.Sprintf(want, reach(v), "the target", c.Target), true)
		}
	}
}

// A passage says how what is newer than the oldest API server is taken while an upgrade is under way.
type passage int

const (
	barred passage = iota // no documented order passes through this
	told                  // one does, but not safely everywhere: it is told, and locks nothing out
	free                  // kubeadm's documented order passes through this
)

// passage: the kubelet of a control plane host is upgraded right after that host's own API server, before the next
// host's; from 1.31 on that works only while the kubelet reaches its own API server. kubeadm up to 1.27 upgrades
// kube-proxy everywhere with the first control plane; up to 1.30 the feature gate UpgradeAddonsBeforeControlPlane brings
// that back. Without a target the upgrade under way is the one to the newest API server.
func (c *check) passage(name, host string, v Version) passage {
	target := c.Target.line()
	if c.Target.IsZero() {
		target = c.newest.line()
	}
	own, ok := c.APIServers[host]
	switch {
	case v.line() != target || c.oldest.line() != target-1 || c.newest.line() != target:
		return barred
	case name == "kube-proxy" && target <= line127:
		return free
	case name == "kube-proxy" && target < line131:
		return told
	case name == "kube-proxy" || !ok || own.line() != target:
		return barred
	case target >= line131:
		return told
	}
	return free
}

// proxiesBesideKubelets: kube-proxy within its reach of the kubelet on its node, in both directions.
func (c *check) proxiesBesideKubelets() {
	for host, v := range hosts(c.Proxies) {
		kubelet, ok := c.Kubelets[host]
		if !ok {
			continue
		}
		if d := v.line() - kubelet.line(); d > reach(v) || -d > reach(v) {
			c.add("kube-proxy-beside-kubelet", "kube-proxy", host, v,
				fmt.Sprintf("within %d minor versions of the kubelet %s beside it", reach(v), kubelet), true)
		}
	}
}

// kubectls: within one minor of every API server. A tool out of range breaks nothing but its own answers.
func (c *check) kubectls() {
	for host, v := range hosts(c.Kubectls) {
		if v.line()-c.oldest.line() > 1 || c.newest.line()-v.line() > 1 {
			c.add("kubectl-skew", "kubectl", host, v,
				fmt.Sprintf("within one minor version of every API server (%s to %s)", c.oldest, c.newest), false)
		}
	}
}

// kubeadms: a kubeadm deploys its own minor and the one below; to go below its own it wants --force. Without a target it
// is held against what runs, which it could not upgrade from further below. An older one is no violation: the upgrade
// replaces it first.
func (c *check) kubeadms() {
	for host, v := range hosts(c.Kubeadms) {
		if c.Target.IsZero() {
			if v.line()-c.oldest.line() > 1 {
				c.add("kubeadm-too-new", "kubeadm", host, v,
					fmt.Sprintf("%s or older: the oldest API server (%s) is %s", named(c.oldest.line()+1), c.oldestHost, c.oldest), true)
			}
			continue
		}
		if ahead := v.line() - c.Target.line(); ahead > 0 {
			c.add("kubeadm-too-new", "kubeadm", host, v, fmt.Sprintf("%s for an upgrade to %s", c.Target.Line(), c.Target), ahead > 1)
		}
	}
}

// kubeletsForKubeadm: kubeadm refuses to upgrade past kubelets that would be more than one minor older than the
// target, three from 1.29 on; --force skips it (phases/upgrade/policy.go).
func (c *check) kubeletsForKubeadm() {
	if c.Target.IsZero() {
		return
	}
	allowed := 3
	if c.Target.line() <= line128 {
		allowed = 1
	}
	for host, v := range hosts(c.Kubelets) {
		if c.Target.line()-v.line() > allowed {
			c.add("kubelet-too-old-for-kubeadm", "kubelet", host, v,
				fmt.Sprintf("%s or newer: kubeadm %s refuses older ones", named(c.Target.line()-allowed), c.Target.Line()), false)
		}
	}
}
