package preflight

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/forecast"
	"upgrader.dev/upgrader/steps/kubeadm"
	"upgrader.dev/upgrader/steps/node"
	"upgrader.dev/upgrader/steps/packages"
)

// What a plan wants of each host is read from its graph: in the order in which the hosts are changed, with the drains of
// one rollout together.
func TestGoalOf(t *testing.T) {
	one := func(step, kind, host, group string, with map[string]any) engine.Node {
		target := engine.Target{Name: host}
		if host == "cp1" {
			target.Groups = []string{"control-plane"}
		}
		return engine.Node{ID: step + "@" + host, Step: step, Kind: kind, Target: target, Group: group, With: with}
	}
	g := &engine.Graph{
		Plan: "p", From: ">=1.27.0", To: "1.28.15", Groups: []engine.Group{{ID: "workers", MaxUnavailable: 2}},
		Targets: []engine.Target{{Name: "w1"}, {Name: "w2"}, {Name: "cp1"}, {Name: "idle"}},
		Nodes: []engine.Node{
			one("repository", "packages.repository", "w1", "", nil), one("repository", "packages.repository", "cp1", "", nil), one("repository", "packages.repository", "idle", "", nil),
			{ID: "backup", Step: "backup", Kind: "etcd.snapshot", Target: engine.Target{Name: "cp1", Groups: []string{"control-plane"}}},
			one("first/kubeadm", "packages.install", "cp1", "first", map[string]any{"packages": map[string]any{"kubeadm": "1.28.15-1.1"}}),
			one("first/upgrade", "kubeadm.upgrade", "cp1", "first", map[string]any{"patches": "/etc/patches"}),
			one("first/drain", "node.drain", "cp1", "first", nil),
			// settings stand in the graph as text
			one("workers/drain", "node.drain", "w2", "workers", map[string]any{"deleteEmptyDir": "true", "force": "true", "gracePeriod": "30s"}),
			one("workers/kubelet", "packages.install", "w2", "workers", map[string]any{"packages": map[string]any{"kubelet": "${{ vars.later }}"}}),
			one("workers/drain", "node.drain", "w1", "workers", map[string]any{"deleteEmptyDir": "true", "force": "true", "gracePeriod": "30s"}),
		},
	}
	got, err := GoalOf(g, outlined(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []HostGoal{
		{Name: "cp1", ControlPlane: true, Revisions: map[string]string{"kubeadm": "1.28.15-1.1"}, Repository: true, Kubeadm: true, Patches: "/etc/patches"},
		{Name: "w2", Revisions: map[string]string{"kubelet": ""}},
		{Name: "w1", Revisions: map[string]string{}, Repository: true},
		{Name: "idle", Revisions: map[string]string{}, Repository: true},
	}
	if d := cmp.Diff(want, got.Hosts); d != "" {
		t.Errorf("hosts (-want +got)\n%s", d)
	}
	drains := []forecast.Group{
		{Nodes: []string{"cp1"}, AtOnce: 1, Rules: eviction.Rules{Settings: eviction.Settings{IgnoreDaemonSets: true}}},
		{Nodes: []string{"w2", "w1"}, AtOnce: 2, Rules: eviction.Rules{Settings: eviction.Settings{IgnoreDaemonSets: true, DeleteEmptyDir: true, Force: true, GracePeriod: 30e9}}},
	}
	if d := cmp.Diff(drains, got.Drains, cmpopts.IgnoreUnexported(eviction.Rules{})); d != "" {
		t.Errorf("drains (-want +got)\n%s", d)
	}
	if !got.Saves || got.To.String() != "1.28.15" {
		t.Errorf("%+v", got)
	}
	if r := got.Host("w2").revisions(); len(r) > 0 {
		t.Errorf("what only a run can know is not asked of apt: %q", r)
	}
}

// outlined makes steps as the program does.
func outlined(t *testing.T) Steps {
	t.Helper()
	catalog, err := engine.NewCatalog(slices.Concat(node.Kinds(nil, nil), packages.Kinds(nil, nil), kubeadm.Kinds(nil, nil), etcd.Kinds(nil))...)
	if err != nil {
		t.Fatal(err)
	}
	return func(n *engine.Node) (engine.Step, error) { return plan.Outline(catalog, n) }
}

// A drain whose settings depend on the host is foretold on each with its own.
func TestEachHostIsDrainedByItsOwnSettings(t *testing.T) {
	var g engine.Graph
	for host, force := range []string{"true", "true", "false"} {
		name := fmt.Sprintf("w%d", host+1)
		g.Nodes = append(g.Nodes, engine.Node{ID: "drain@" + name, Step: "drain", Kind: "node.drain", Target: engine.Target{Name: name}, With: map[string]any{"force": force}})
	}
	got, err := GoalOf(&g, outlined(t))
	if err != nil {
		t.Fatal(err)
	}
	var drains []string
	for _, d := range got.Drains {
		drains = append(drains, fmt.Sprintf("%v force %t", d.Nodes, d.Force))
	}
	if diff := cmp.Diff([]string{"[w1 w2] force true", "[w3] force false"}, drains); diff != "" {
		t.Error(diff)
	}
}

// What a plan leaves out on its hosts, since its condition does not hold there, it neither does nor promises.
func TestWhatNeverRunsIsNoGoal(t *testing.T) {
	g := &engine.Graph{Targets: []engine.Target{{Name: "w1"}}, Nodes: []engine.Node{{ID: "check@w1", Step: "check", Kind: "node.ready", Target: engine.Target{Name: "w1"}}}}
	for _, kind := range []string{"etcd.snapshot", "packages.repository", "packages.install", "kubeadm.upgrade", "node.cordon", "node.drain", "node.uncordon"} {
		g.Nodes = append(g.Nodes, engine.Node{ID: kind + "@w1", Step: kind, Kind: kind, When: "false", Target: engine.Target{Name: "w1"}})
	}
	got, err := GoalOf(g, outlined(t))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]HostGoal{{Name: "w1", Revisions: map[string]string{}}}, got.Hosts); d != "" {
		t.Errorf("hosts (-want +got)\n%s", d)
	}
	if len(got.Drains) > 0 || got.Cordons || got.Saves {
		t.Errorf("drains %v, cordons %t, saves %t", got.Drains, got.Cordons, got.Saves)
	}
}
