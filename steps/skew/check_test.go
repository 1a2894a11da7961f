package skew

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oldestKubelet and oldestForKubeadm are written off the policy and off kubeadm's sources, minor by minor (kubelet_oldest:
// the oldest kubelet that the version skew policy allows against an API server; kubeadm: the oldest that `upgrade
// apply` to that minor accepts without --force), not computed as the rules do.
var (
	oldestKubelet = map[int]int{
		20: 18, 21: 19, 22: 20, 23: 21, 24: 22, 25: 23, 26: 24, 27: 25, 28: 25, 29: 26, 30: 27, 31: 28, 32: 29, 33: 30, 34: 31, 35: 32, 36: 33, 37: 34,
	}
	oldestForKubeadm = map[int]int{
		20: 19, 21: 20, 22: 21, 23: 22, 24: 23, 25: 24, 26: 25, 27: 26, 28: 27, 29: 26, 30: 27, 31: 28, 32: 29, 33: 30, 34: 31, 35: 32, 36: 33, 37: 34,
	}
)

func minor(n int) Version { return Version{1, uint64(n), 5, "", ""} }

func rules(vs []Violation) []string {
	var all []string
	for _, v := range vs {
		all = append(all, v.Rule)
	}
	return slices.Compact(all)
}

// Every combination of two API servers, the kubelet of a worker and a target, over all minors with known rules.
func TestEveryCombinationOfMinors(t *testing.T) {
	n := 0
	for a := 20; a <= 36; a++ {
		for _, b := range []int{a, a + 1} {
			for kubelet := a - 6; kubelet <= b+1; kubelet++ {
				for target := b; target <= b+2 && target <= 37; target++ {
					n++
					o := Observed{
						Target:     minor(target),
						APIServers: map[string]Version{"cp1": minor(b), "cp2": minor(a)},
						Kubelets:   map[string]Version{"w1": minor(kubelet)},
					}
					want := map[string]bool{
						"target-too-far":              target > a+1,
						"kubelet-too-new":             kubelet > a,
						"kubelet-too-old":             kubelet < oldestKubelet[b],
						"kubelet-too-old-for-target":  kubelet < oldestKubelet[target] && kubelet >= oldestKubelet[b],
						"kubelet-too-old-for-kubeadm": kubelet < oldestForKubeadm[target],
						"downgrade":                   kubelet > target,
					}
					got := map[string]bool{}
					for _, r := range rules(Check(o)) {
						got[r] = true
					}
					for rule := range want {
						if want[rule] != got[rule] {
							t.Errorf("API servers 1.%d and 1.%d, kubelet 1.%d, target 1.%d: %s is %v", b, a, kubelet, target, rule, got[rule])
						}
						delete(got, rule)
					}
					if len(got) > 0 {
						t.Errorf("API servers 1.%d and 1.%d, kubelet 1.%d, target 1.%d: also %v", b, a, kubelet, target, got)
					}
				}
			}
		}
	}
	if n < 500 {
		t.Errorf("only %d combinations were tried", n)
	}
}

// cluster is two control planes and a worker at 1.27.3, on their way to 1.28.15.
func cluster() Observed {
	v := func() map[string]Version { return map[string]Version{"cp1": v1273, "cp2": v1273} }
	o := Observed{
		Target: v12815, From: ">=1.27.0 <1.28.0",
		APIServers: v(), ControllerManagers: v(), Schedulers: v(), Kubelets: v(), Proxies: v(), Kubectls: v(), Kubeadms: v(),
	}
	o.Kubelets["w1"], o.Proxies["w1"] = v1273, v1273
	return o
}

var (
	v1263  = Version{1, 26, 3, "", ""}
	v1273  = Version{1, 27, 3, "", ""}
	v1283  = Version{1, 28, 3, "", ""}
	v12815 = Version{1, 28, 15, "", ""}
)

// Whatever moment an upgrade in kubeadm's documented order is interrupted at, the policy lets it go on.
func TestInterruptedUpgradeIsNeverLockedOut(t *testing.T) {
	o := cluster()
	steps := []struct {
		what string
		do   func()
	}{
		{"nothing", func() {}},
		{"kubeadm on cp1", func() { o.Kubeadms["cp1"] = v12815 }},
		{"API server of cp1", func() { o.APIServers["cp1"] = v12815 }},
		{"controller manager of cp1", func() { o.ControllerManagers["cp1"] = v12815 }},
		{"scheduler of cp1", func() { o.Schedulers["cp1"] = v12815 }},
		{"kubelet of cp1", func() { o.Kubelets["cp1"], o.Kubectls["cp1"] = v12815, v12815 }},
		{"API server of cp2", func() { o.APIServers["cp2"] = v12815 }},
		{"the rest of cp2", func() {
			o.ControllerManagers["cp2"], o.Schedulers["cp2"], o.Kubelets["cp2"] = v12815, v12815, v12815
		}},
		{"kube-proxy", func() { o.Proxies["cp1"], o.Proxies["cp2"], o.Proxies["w1"] = v12815, v12815, v12815 }},
		{"the worker", func() { o.Kubelets["w1"] = v12815 }},
	}
	for _, s := range steps {
		s.do()
		if found := Check(o); found != nil {
			t.Errorf("after %s: %v", s.what, found)
		}
	}
}

type violationCase struct {
	name   string
	change func(*Observed)
	want   []string // Violation.String, with ! in front of the mandatory ones
}

func (tt violationCase) check(t *testing.T) {
	t.Helper()
	o := cluster()
	tt.change(&o)
	var got []string
	for _, v := range Check(o) {
		mark := ""
		if v.Mandatory {
			mark = "!"
		}
		got = append(got, mark+v.String())
	}
	if diff := cmp.Diff(tt.want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", tt.name, diff)
	}
	if again := fmt.Sprint(Check(o)); again != fmt.Sprint(Check(o)) {
		t.Errorf("%s: the order changes", tt.name)
	}
}

func TestViolations(t *testing.T) {
	tests := []violationCase{
		{"a worker ahead of an API server", func(o *Observed) { o.APIServers["cp1"], o.Kubelets["w1"] = v12815, v12815 },
			[]string{"!kubelet on w1 is 1.28.15, want 1.27 or older: the oldest API server (cp2) is 1.27.3 (kubelet-too-new)"}},
		{"API servers two minors apart", func(o *Observed) { o.APIServers["cp1"], o.APIServers["cp2"] = v12815, v1263 },
			[]string{
				"!kube-apiserver on cp2 is 1.26.3, want 1.27 or newer: the API server on cp1 is 1.28.15 (apiserver-skew)",
				"!kube-controller-manager on cp2 is 1.27.3, want 1.26 or older: the API server beside it is 1.26.3 (control-plane-too-new)",
				"!kube-scheduler on cp2 is 1.27.3, want 1.26 or older: the API server beside it is 1.26.3 (control-plane-too-new)",
				"!kube-apiserver on cp2 is 1.26.3, want >=1.27.0 <1.28.0 or 1.28.15 (from)",
				"!kube-proxy on cp1 is 1.27.3, want 1.26 or older: the oldest API server (cp2) is 1.26.3 (kube-proxy-too-new)",
				"!kube-proxy on cp2 is 1.27.3, want 1.26 or older: the oldest API server (cp2) is 1.26.3 (kube-proxy-too-new)",
				"!kube-proxy on w1 is 1.27.3, want 1.26 or older: the oldest API server (cp2) is 1.26.3 (kube-proxy-too-new)",
				"!kubelet on cp1 is 1.27.3, want 1.26 or older: the oldest API server (cp2) is 1.26.3 (kubelet-too-new)",
				"!kubelet on cp2 is 1.27.3, want 1.26 or older: the oldest API server (cp2) is 1.26.3 (kubelet-too-new)",
				"!kubelet on w1 is 1.27.3, want 1.26 or older: the oldest API server (cp2) is 1.26.3 (kubelet-too-new)",
				"!kube-apiserver on cp2 is 1.26.3, want 1.27 or newer to upgrade to 1.28.15: one minor version at a time (target-too-far)",
			}},
		{"a station on the way", func(o *Observed) { o.APIServers["cp1"], o.Through = v1283, []Version{v1283} }, nil},
		{"not a station", func(o *Observed) { o.APIServers["cp1"] = v1283 },
			[]string{"!kube-apiserver on cp1 is 1.28.3, want >=1.27.0 <1.28.0 or 1.28.15 (from)"}},
		{"a downgrade by a patch", func(o *Observed) { o.Target, o.APIServers["cp1"] = v1283, v12815 },
			[]string{
				"!kube-apiserver on cp1 is 1.28.15, want 1.28.3 or older: nothing is ever downgraded (downgrade)",
				"!kube-apiserver on cp1 is 1.28.15, want >=1.27.0 <1.28.0 or 1.28.3 (from)",
			}},
		{"unknown", func(o *Observed) { o.Kubelets["w1"], o.Kubectls["cp1"] = Version{}, Version{} },
			[]string{
				"kubectl on cp1 is unknown, want a version that can be read (version-unknown)",
				"!kubelet on w1 is unknown, want a version that can be read (version-unknown)",
			}},
		{"no API server", func(o *Observed) { o.APIServers = nil },
			[]string{"!kube-apiserver is unknown, want at least one of a known version (apiserver-unknown)"}},
		{"kubeadm ahead", func(o *Observed) { o.Kubeadms["cp1"], o.Kubeadms["cp2"] = minor(29), minor(30) },
			[]string{
				"kubeadm on cp1 is 1.29.5, want 1.28 for an upgrade to 1.28.15 (kubeadm-too-new)",
				"!kubeadm on cp2 is 1.30.5, want 1.28 for an upgrade to 1.28.15 (kubeadm-too-new)",
			}},
		{"kube-proxy far behind its kubelet", func(o *Observed) { o.Proxies["w1"] = Version{1, 24, 1, "", ""} },
			[]string{
				"!kube-proxy on w1 is 1.24.1, want within 2 minor versions of the kubelet 1.27.3 beside it (kube-proxy-beside-kubelet)",
				"!kube-proxy on w1 is 1.24.1, want at most 2 minor versions older than the newest API server 1.27.3 (kube-proxy-too-old)",
			}},
		{"kubectl two behind", func(o *Observed) { o.APIServers["cp1"], o.Kubectls["cp1"] = v12815, v1263 },
			[]string{"kubectl on cp1 is 1.26.3, want within one minor version of every API server (1.27.3 to 1.28.15) (kubectl-skew)"}},
		{"a scheduler two behind", func(o *Observed) { o.APIServers["cp1"], o.Schedulers["cp1"] = v12815, v1263 },
			[]string{"!kube-scheduler on cp1 is 1.26.3, want 1.27 or newer: an API server is 1.28.15 (control-plane-too-old)"}},
		{"a prerelease", func(o *Observed) { o.Target = Version{1, 28, 16, "rc.0", ""} },
			[]string{"the target is 1.28.16-rc.0, want a release (target-prerelease)"}},
		{"an unreadable constraint", func(o *Observed) { o.From = "old" },
			[]string{`!versions.from is 1.27.3, want "old" is not a version constraint: want one such as ">=1.27.0 <1.28.0" (from)`}},
	}
	for _, tt := range tests {
		tt.check(t)
	}
}

// A control plane's own kubelet may run ahead of another control plane during a roll; from 1.31 on that is told,
// because such a kubelet may reach the older API server through a load balancer, but it locks nothing.
func TestRollingKubeletFrom131(t *testing.T) {
	for target, want := range map[int]int{30: 0, 31: 1} {
		o := Observed{Target: minor(target), APIServers: map[string]Version{"cp1": minor(target), "cp2": minor(target - 1)},
			Kubelets: map[string]Version{"cp1": minor(target), "cp2": minor(target - 1)}}
		got := Check(o)
		if len(got) != want || want == 1 && got[0].Mandatory {
			t.Errorf("1.%d: %v", target, got)
		}
	}
}

// kubeadm up to 1.27 moves kube-proxy on every node with the first control plane; later ones with the last.
func TestRollingKubeProxy(t *testing.T) {
	for target, want := range map[int][]string{27: nil, 28: {"kube-proxy-too-new"}} {
		o := Observed{Target: minor(target), APIServers: map[string]Version{"cp1": minor(target), "cp2": minor(target - 1)},
			Proxies: map[string]Version{"w1": minor(target)}}
		if diff := cmp.Diff(want, rules(Check(o))); diff != "" {
			t.Errorf("1.%d: %s", target, diff)
		}
	}
}
