package preflight

import (
	"fmt"
	"maps"
	"slices"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/forecast"
	"upgrader.dev/upgrader/steps/skew"
)

// A Goal is what a plan, laid out over its hosts, wants of a cluster.
type Goal struct {
	Plan    string
	From    string           // constraint on where it may begin
	To      skew.Version     // zero: the plan names no version
	Hosts   []HostGoal       // in the order in which the plan changes them; those that it never changes come last
	Drains  []forecast.Group // in the plan's order
	Cordons bool             // the plan takes nodes out of service, or puts them back
	Saves   bool             // the plan takes a snapshot of etcd
	Waivers []engine.Waiver

	last string // the rollout and step of the last of Drains
}

// A HostGoal is what a plan does to a host, as far as it matters beforehand.
type HostGoal struct {
	Name         string
	ControlPlane bool
	Revisions    map[string]string // packages to be installed, and in which revision; empty where only the run can tell
	Repository   bool              // the plan moves its package repository to the target's minor version
	Kubeadm      bool              // kubeadm upgrade is run on it
	Patches      string            // the directory of patches that kubeadm is given
}

// Steps make the step of a node with the settings that are known before the run: plan.Outline does.
type Steps func(n *engine.Node) (engine.Step, error)

// What steps tell of themselves, as far as a goal depends on their settings.
type (
	drainer   interface{ Drains() eviction.Settings }   // evicts the pods of its host
	installer interface{ Installs() map[string]string } // revisions of packages; empty: only the run can tell
	patcher   interface{ PatchedBy() string }           // runs kubeadm upgrade, with this directory of patches
)

// GoalOf reads a goal out of a plan's graph.
func GoalOf(g *engine.Graph, steps Steps) (Goal, error) {
	goal := Goal{Plan: g.Plan, From: g.From, Waivers: g.Waivers}
	if g.To != "" {
		var err error
		if goal.To, err = skew.Parse(g.To); err != nil {
			return goal, fmt.Errorf("versions.to: %w", err)
		}
	}
	hosts, listed := map[string]*HostGoal{}, map[string]bool{}
	var order []string
	for i := range g.Nodes {
		n := &g.Nodes[i]
		name := n.Target.Name
		if name == engine.Cluster {
			continue
		}
		if hosts[name] == nil {
			hosts[name] = &HostGoal{Name: name, Revisions: map[string]string{}, ControlPlane: n.Target.In(engine.ControlPlane)}
		}
		changes, err := goal.learn(g, n, hosts[name], steps)
		if err != nil {
			return goal, err
		}
		if changes && !listed[name] {
			listed[name], order = true, append(order, name)
		}
	}
	for _, t := range g.Targets {
		if !listed[t.Name] && hosts[t.Name] != nil {
			order = append(order, t.Name)
		}
	}
	for _, name := range order {
		goal.Hosts = append(goal.Hosts, *hosts[name])
	}
	return goal, nil
}

// learn takes in one step on a host, and tells whether it changes what runs there. One that never runs there wants nothing.
func (g *Goal) learn(graph *engine.Graph, n *engine.Node, h *HostGoal, steps Steps) (bool, error) {
	if n.When == engine.Never {
		return false, nil
	}
	switch n.Kind {
	case "etcd.snapshot":
		g.Saves = true
	case "packages.repository":
		h.Repository = true
	case "node.cordon", "node.uncordon":
		g.Cordons = true
	}
	step, err := steps(n)
	if err != nil {
		return false, err
	}
	switch s := step.(type) {
	case installer:
		maps.Copy(h.Revisions, s.Installs())
	case patcher:
		h.Kubeadm, h.Patches = true, s.PatchedBy()
		return true, nil
	case drainer:
		g.Cordons = true
		return true, g.drain(graph, n, s.Drains())
	}
	return n.Kind == "systemd.restart", nil
}

// drain takes in one drain. Those of one step in one rollout go together, as long as their settings are the same.
func (g *Goal) drain(graph *engine.Graph, n *engine.Node, settings eviction.Settings) error {
	name := n.Group + "/" + n.Step
	if last := len(g.Drains) - 1; last >= 0 && g.last == name && g.Drains[last].Settings == settings {
		g.Drains[last].Nodes = append(g.Drains[last].Nodes, n.Target.Name)
		return nil
	}
	rules, err := settings.Rules()
	if err != nil {
		return fmt.Errorf("%s: %w", n.ID, err)
	}
	g.last = name
	g.Drains = append(g.Drains, forecast.Group{Nodes: []string{n.Target.Name}, AtOnce: atOnce(graph, n), Rules: rules})
	return nil
}

// atOnce is how many hosts of a step's rollout may be out of service together.
func atOnce(graph *engine.Graph, n *engine.Node) int {
	for _, group := range graph.Groups {
		if group.ID == n.Group {
			return group.MaxUnavailable
		}
	}
	return 1
}

// Host is what the plan does to a host; nothing for one that it does not name.
func (g *Goal) Host(name string) HostGoal {
	for _, h := range g.Hosts {
		if h.Name == name {
			return h
		}
	}
	return HostGoal{Name: name}
}

// revisions are what is to be installed as apt wants it: "kubeadm=1.28.15-1.1".
func (h HostGoal) revisions() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(h.Revisions)) {
		if h.Revisions[name] != "" {
			all = append(all, name+"="+h.Revisions[name])
		}
	}
	return all
}
