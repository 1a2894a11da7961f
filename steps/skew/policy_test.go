package skew

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The version policy, written down a second time as data; see there.
//
//go:embed testdata/policy.txt
var policyText string

// policy is that text, by the two words that each line begins with.
type policy map[key][]string

type key struct {
	what  string // "serve"
	minor int    // 28 of 1.28, 5 of etcd's 3.5
}

func readPolicy(t *testing.T) policy {
	t.Helper()
	p := policy{}
	for line := range strings.Lines(policyText) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		k := key{f[0], number(f[1])}
		if p[k] != nil {
			t.Fatalf("policy.txt has two lines %v", k)
		}
		p[k] = f[2:]
	}
	return p
}

// span is a range of minors, both ends allowed.
type span struct{ oldest, newest int }

func (p policy) line(what string, minor int) []string {
	l := p[key{what, minor}]
	if l == nil {
		panic(fmt.Sprintf("policy.txt has no line for %s and minor %d", what, minor))
	}
	return l
}

func (p policy) has(what string, minor int) bool { return p[key{what, minor}] != nil }

// spans reads the pairs of a line.
func (p policy) spans(what string, minor int) []span {
	var all []span
	for pair := range slices.Chunk(p.line(what, minor), 2) {
		all = append(all, span{number(pair[0]), number(pair[1])})
	}
	return all
}

func number(s string) int {
	_, minor, _ := strings.Cut(s, ".")
	n, err := strconv.Atoi(minor)
	if err != nil {
		panic(s + " is no minor version")
	}
	return n
}

// columns are the components in the order of the table, with where each is observed.
func columns() []string {
	return []string{"kubelet", "kube-proxy", "kube-controller-manager", "kube-scheduler", "kubectl"}
}

// A cell is one component of one minor in one cluster.
type cell struct {
	newest, oldest int // of the API servers: cp1 has the newest, cp2, if there is one, the oldest
	servers        int
	column         int
	host           string
	minor          int
	target         int // 0: none
}

func (c cell) String() string {
	return fmt.Sprintf("%d API servers 1.%d to 1.%d, %s 1.%d on %s, target 1.%d", c.servers, c.newest, c.oldest, columns()[c.column], c.minor, c.host, c.target)
}

func (c cell) observed() Observed {
	o := Observed{APIServers: map[string]Version{"cp1": minor(c.newest)}}
	if c.servers > 1 {
		o.APIServers["cp2"] = minor(c.oldest)
	}
	if c.target > 0 {
		o.Target = minor(c.target)
	}
	m := map[string]Version{c.host: minor(c.minor)}
	switch c.column {
	case 0:
		o.Kubelets = m
	case 1:
		o.Proxies = m
	case 2:
		o.ControllerManagers = m
	case 3:
		o.Schedulers = m
	default:
		o.Kubectls = m
	}
	return o
}

// verdicts are rules with the place they are broken in; true: mandatory.
type verdicts map[string]bool

func found(o Observed) verdicts {
	all := verdicts{}
	for _, v := range Check(o) {
		all[v.Rule+": "+v.Where] = v.Mandatory
	}
	return all
}

// differ is cmp.Diff, for tens of thousands of cells that are equal.
func differ(want, got verdicts) string {
	if maps.Equal(want, got) {
		return ""
	}
	return cmp.Diff(want, got)
}

// want is what the table says of a cell.
func (p policy) want(c cell) verdicts {
	all := verdicts{}
	p.wantOfServers(c, all)
	switch columns()[c.column] {
	case "kubelet", "kube-proxy":
		p.wantOfNode(c, all)
	case "kubectl":
		if s := p.span(c); c.minor < s.oldest || c.minor > s.newest {
			all["kubectl-skew: kubectl on "+c.host] = false
		}
	default:
		where := columns()[c.column] + " on " + c.host
		if s := p.span(c); c.minor < s.oldest {
			all["control-plane-too-old: "+where] = true
		} else if c.minor > s.newest {
			all["control-plane-too-new: "+where] = true
		}
	}
	return all
}

// span is the one of the table for a cell: serve, roll, or, for what kubeadm points at its own API server, serve of that.
func (p policy) span(c cell) span {
	own := map[string]int{"cp1": c.newest, "cp2": c.oldest}[c.host]
	name := columns()[c.column]
	if (name == "kube-controller-manager" || name == "kube-scheduler") && own > 0 {
		return p.spans("serve", own)[c.column]
	}
	if c.newest != c.oldest {
		return p.spans("roll", c.newest)[c.column]
	}
	return p.spans("serve", c.newest)[c.column]
}

func (p policy) wantOfServers(c cell, all verdicts) {
	if c.target == 0 {
		return
	}
	for host, has := range map[string]int{"cp1": c.newest, "cp2": c.oldest} {
		if has > c.target && (host == "cp1" || c.servers > 1) {
			all["downgrade: kube-apiserver on "+host] = true
		}
	}
	if p.has("target", c.target) && c.oldest < number(p.line("target", c.target)[0]) {
		host := "cp1"
		if c.oldest < c.newest {
			host = "cp2"
		}
		all["target-too-far: kube-apiserver on "+host] = true
	}
}

func (p policy) wantOfNode(c cell, all verdicts) {
	name, s := columns()[c.column], p.span(c)
	where := name + " on " + c.host
	if c.minor > s.newest {
		if word := p.passage(c); word != "free" {
			all[name+"-too-new: "+where] = word == "barred"
		}
	}
	switch {
	case c.minor < s.oldest:
		all[name+"-too-old: "+where] = true
	case c.target > 0 && c.minor < p.spans("serve", c.target)[c.column].oldest:
		all[name+"-too-old-for-target: "+where] = true
	}
	if name != "kubelet" || c.target == 0 {
		return
	}
	if c.minor > c.target {
		all["downgrade: "+where] = true
	}
	if c.minor < number(p.line("target", c.target)[1]) {
		all["kubelet-too-old-for-kubeadm: "+where] = false
	}
}

// passage is the word of the table for what is a minor ahead in the middle of a roll. A target further on is no roll.
func (p policy) passage(c cell) string {
	if c.newest == c.oldest || c.minor != c.newest || c.target > 0 && c.target != c.newest {
		return "barred"
	}
	if columns()[c.column] == "kubelet" && c.host != "cp1" {
		return "barred"
	}
	return p.line("pass", c.newest)[c.column]
}

// Every component of every minor, on every kind of host, beside every control plane, with and without a target: the rules
// say what the table says, no more and no less.
func TestPolicyCellByCell(t *testing.T) {
	p, cells := readPolicy(t), 0
	for newest := 20; newest <= 37; newest++ {
		for _, servers := range []struct{ n, oldest int }{{1, newest}, {2, newest}, {2, newest - 1}} {
			if servers.oldest < 20 {
				continue
			}
			for _, target := range []int{0, newest - 1, newest, newest + 1, newest + 2} {
				if target != 0 && !p.has("target", target) {
					continue
				}
				for column := range columns() {
					for _, host := range []string{"cp1", "cp2", "w1"} {
						for m := 16; m <= 39; m++ {
							c := cell{newest, servers.oldest, servers.n, column, host, m, target}
							if host == "cp2" && servers.n == 1 {
								continue
							}
							cells++
							if d := differ(p.want(c), found(c.observed())); d != "" {
								t.Errorf("%s (-table +rules):\n%s", c, d)
							}
						}
					}
				}
			}
		}
	}
	const all = 676 * 5 * 24 // control planes with their targets and hosts, components, minors
	t.Logf("%d cells", cells)
	if cells != all {
		t.Errorf("%d cells were held against the table, want all %d", cells, all)
	}
}

// Every kubeadm with every target, every kubelet and every control plane that such an upgrade may go out from.
func TestKubeadmCellByCell(t *testing.T) {
	p, cells := readPolicy(t), 0
	for target := 20; target <= 37; target++ {
		for kubeadm := 20; kubeadm <= 39; kubeadm++ {
			for kubelet := 16; kubelet <= 39; kubelet++ {
				cells++
				o := Observed{Target: minor(target), APIServers: map[string]Version{"cp1": minor(target)},
					Kubeadms: map[string]Version{"cp1": minor(kubeadm)}, Kubelets: map[string]Version{"w1": minor(kubelet)}}
				c := cell{newest: target, oldest: target, servers: 1, column: 0, host: "w1", minor: kubelet, target: target}
				want := p.want(c)
				if deploys := p.spans("deploy", kubeadm)[0]; target < deploys.newest {
					want["kubeadm-too-new: kubeadm on cp1"] = target < deploys.oldest
				}
				if d := differ(want, found(o)); d != "" {
					t.Errorf("kubeadm 1.%d, target 1.%d, kubelet 1.%d (-table +rules):\n%s", kubeadm, target, kubelet, d)
				}
			}
		}
	}
	const all = 18 * 20 * 24
	if t.Logf("%d cells", cells); cells != all {
		t.Errorf("%d cells, want %d", cells, all)
	}
}

// Without a target a kubeadm is held against the control plane that it would have to upgrade.
func TestKubeadmBesideTheControlPlaneCellByCell(t *testing.T) {
	p, cells := readPolicy(t), 0
	for oldest := 20; oldest <= 37; oldest++ {
		for kubeadm := 20; kubeadm <= 39; kubeadm++ {
			cells++
			want := verdicts{}
			if oldest < p.spans("deploy", kubeadm)[0].oldest {
				want["kubeadm-too-new: kubeadm on cp1"] = true
			}
			o := Observed{APIServers: map[string]Version{"cp1": minor(oldest + 1), "cp2": minor(oldest)}, Kubeadms: map[string]Version{"cp1": minor(kubeadm)}}
			if d := differ(want, found(o)); d != "" {
				t.Errorf("kubeadm 1.%d, control plane 1.%d (-table +rules):\n%s", kubeadm, oldest, d)
			}
		}
	}
	if t.Logf("%d cells", cells); cells != 18*20 {
		t.Errorf("%d cells", cells)
	}
}

// Every kube-proxy beside every kubelet.
func TestKubeProxyBesideKubeletCellByCell(t *testing.T) {
	p, cells := readPolicy(t), 0
	for proxy := 20; proxy <= 37; proxy++ {
		for kubelet := 16; kubelet <= 41; kubelet++ {
			cells++
			o := Observed{APIServers: map[string]Version{"cp1": minor(proxy)}, Proxies: map[string]Version{"w1": minor(proxy)}, Kubelets: map[string]Version{"w1": minor(kubelet)}}
			mandatory, got := found(o)["kube-proxy-beside-kubelet: kube-proxy on w1"]
			if s := p.spans("beside", proxy)[0]; got != (kubelet < s.oldest || kubelet > s.newest) || got && !mandatory {
				t.Errorf("kube-proxy 1.%d beside kubelet 1.%d: %v", proxy, kubelet, got)
			}
		}
	}
	if t.Logf("%d cells", cells); cells != 18*26 {
		t.Errorf("%d cells", cells)
	}
}

// Every member of etcd beside every other, with every etcd that an upgrade may bring.
func TestEtcdCellByCell(t *testing.T) {
	p, cells := readPolicy(t), 0
	etcd := func(n int) EtcdVersion { return EtcdVersion{tag{3, uint64(n), 9, "0"}} }
	for a := 2; a <= 8; a++ {
		for b := 2; b <= a; b++ {
			for to := 2; to <= 8; to++ {
				cells++
				want := verdicts{}
				line := p.line("etcd", a)
				if b < number(line[0]) {
					want["etcd-skew: etcd on cp2"] = true
				}
				for host, has := range map[string]int{"cp1": a, "cp2": b} {
					if has < number(p.line("etcd", to)[2]) {
						want["etcd-too-far: etcd on "+host] = true
					}
				}
				o := Observed{APIServers: map[string]Version{"cp1": minor(28)}, Etcds: map[string]EtcdVersion{"cp1": etcd(a), "cp2": etcd(b)}, EtcdTo: etcd(to)}
				if d := differ(want, found(o)); d != "" {
					t.Errorf("etcd 3.%d beside 3.%d, to 3.%d (-table +rules):\n%s", a, b, to, d)
				}
			}
		}
	}
	if t.Logf("%d cells", cells); cells != 28*7 {
		t.Errorf("%d cells", cells)
	}
}

// The table itself: every minor has every line that it needs.
func TestTableIsWhole(t *testing.T) {
	p := readPolicy(t)
	count := map[string]int{}
	for k := range p {
		count[k.what]++
	}
	want := map[string]int{"serve": 18, "roll": 17, "pass": 17, "target": 18, "deploy": 20, "beside": 18, "etcd": 7}
	if d := cmp.Diff(want, count); d != "" {
		t.Error(d)
	}
}
