package skew

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// For every rule, what a person is told to do about it on host w1.
func TestRemedyOfEveryRule(t *testing.T) {
	where := map[string]string{
		"apiserver-unknown": "kube-apiserver", "kubeadm-config": "kubernetesVersion in kubeadm-config", "target-prerelease": "the target",
		"coredns-too-new": "CoreDNS (ReplicaSet coredns-5d7)", "coredns-not-known": "CoreDNS (ReplicaSet coredns-5d7)",
	}
	want := map[string]string{
		"apiserver-unknown": "kubectl -n kube-system get pods -l component=kube-apiserver", "version-unknown": "kubectl get nodes",
		"from": "run the runbook for the minor before", "kubeadm-config": "run the runbook for the minor before", "target-too-far": "run the runbook for the minor before, then this one",
		"target-prerelease": "choose a release", "downgrade": "choose a newer versions.to",
		"apiserver-skew": "run kubeadm.upgrade on w1 first", "control-plane-too-new": "finish kubeadm.upgrade on w1 first", "control-plane-too-old": "run kubeadm.upgrade on w1 first",
		"kubelet-too-new": "the older package of kubelet on w1", "kubelet-too-old": "upgrade the kubelet on w1 first: `kubectl drain w1`",
		"kubelet-too-old-for-target": "upgrade the kubelet on w1 before the control plane", "kubelet-too-old-for-kubeadm": "upgrade the kubelet on w1 before the control plane",
		"kube-proxy-too-new": "set the image of kube-proxy back", "kube-proxy-too-old": "bring kube-proxy to the control plane's version first",
		"kube-proxy-too-old-for-target": "the control plane's present version", "kube-proxy-beside-kubelet": "kube-proxy and the kubelet on w1",
		"kubectl-skew": "install the package of kubectl of the control plane's minor version on w1", "kubeadm-too-new": "install the package of kubeadm of that minor version on w1",
		"etcd-skew": "upgrade the older members of etcd first", "etcd-too-far": "upgrade etcd on w1 by one minor version first", "etcd-too-old": "etcd.local.imageTag in kubeadm-config",
		"coredns-too-new": "set the image of the Deployment kube-system/coredns back", "coredns-not-known": "to a version that kubeadm knows",
	}
	for rule, words := range want {
		v := Violation{Rule: rule, Where: "it on w1"}
		if w, ok := where[rule]; ok {
			v.Where = w
		}
		if got := v.Remedy(); !strings.Contains(got, words) || strings.Contains(got, "HOST") || strings.Contains(got, "that host") {
			t.Errorf("%s: %q, want %q in it", rule, got, words)
		}
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(remedies)), slices.Sorted(maps.Keys(want))); d != "" {
		t.Errorf("rules with a remedy (-) and with a test (+):\n%s", d)
	}
	if got := (Violation{Rule: "of another package"}).Remedy(); got != "" {
		t.Errorf("a rule that is none has the remedy %q", got)
	}
}

// Every rule that the source can break has a remedy: the first argument of add, and what is put together from a name.
func TestEveryRuleOfTheSourceHasARemedy(t *testing.T) {
	count := 0
	for _, file := range []string{"rules.go", "addons.go", "observed.go"} {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for n := range ast.Preorder(tree) {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				continue
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "add" {
				continue
			}
			for _, rule := range ruleOf(t, call.Args[0]) {
				if count++; remedies[rule] == "" {
					t.Errorf("%s: the rule %s has no remedy", file, rule)
				}
			}
		}
	}
	if count < len(remedies) { // kubeadm-config is the caller's, some rules are broken in two places
		t.Errorf("only %d places that break a rule were found", count)
	}
}

func ruleOf(t *testing.T, arg ast.Expr) []string {
	t.Helper()
	literal := func(e ast.Expr) string {
		s, err := strconv.Unquote(e.(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if sum, ok := arg.(*ast.BinaryExpr); ok { // name+"-too-new" in nodes
		return []string{"kubelet" + literal(sum.Y), "kube-proxy" + literal(sum.Y)}
	}
	return []string{literal(arg)}
}

// Whatever is observed: every violation says what to do, and taking away what it names takes the violation away.
func TestViolationsNameWhatBreaksThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Custom(func(t *rapid.T) Version { return minor(rapid.IntRange(23, 33).Draw(t, "minor")) })
		some := func(what string) map[string]Version {
			return rapid.MapOfN(rapid.SampledFrom([]string{"cp1", "cp2", "w1"}), version, 0, 3).Draw(t, what)
		}
		o := Observed{Target: version.Draw(t, "target"), APIServers: some("API servers"), ControllerManagers: some("controller managers"),
			Schedulers: some("schedulers"), Kubelets: some("kubelets"), Proxies: some("proxies"), Kubectls: some("kubectls"), Kubeadms: some("kubeadms")}
		if rapid.Bool().Draw(t, "no target") {
			o.Target = Version{}
		}
		for _, v := range Check(o) {
			if v.Remedy() == "" {
				t.Fatalf("%s: no remedy", v)
			}
			component, host, found := strings.Cut(v.Where, " on ")
			if !found {
				continue
			}
			without := o.known() // a deep copy
			for _, x := range without.components() {
				if x.name == component {
					delete(*x.on, host)
				}
			}
			if slices.ContainsFunc(Check(without), func(w Violation) bool { return w.Rule == v.Rule && w.Where == v.Where }) {
				t.Fatalf("%s: still there without it", v)
			}
		}
	})
}
