package preflight

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/forecast"
	"upgrader.dev/upgrader/steps/kube"
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
	Revisions    map[string]string // packages to be installed, and in which revision
	Repository   bool              // the plan moves its package repository to the target's minor version
	Kubeadm      bool              // kubeadm upgrade is run on it
	Patches      string            // the directory of patches that kubeadm is given
}

// GoalOf reads a goal out of a plan's graph.
func GoalOf(g *engine.Graph) (Goal, error) {
	goal := Goal{Plan: g.Plan, From: g.From, Waivers: g.Waivers}
	if g.To != "" {
		var err error
		if goal.To, err = skew.Parse(g.To); err != nil {
			return goal, fmt.Errorf("versions.to: %w", err)
		}
	}
	hosts := map[string]*HostGoal{}
	var order []string
	for i := range g.Nodes {
		n := &g.Nodes[i]
		name := n.Target.Name
		if name == engine.Cluster {
			continue
		}
		if hosts[name] == nil {
			hosts[name] = &HostGoal{Name: name, Revisions: map[string]string{}, ControlPlane: slices.Contains(n.Target.Groups, "control-plane")}
		}
		goal.Saves = goal.Saves || n.Kind == "etcd.snapshot"
		goal.Cordons = goal.Cordons || slices.Contains([]string{"node.cordon", "node.drain", "node.uncordon"}, n.Kind)
		if n.Kind == "node.drain" {
			if err := goal.drain(g, n); err != nil {
				return goal, err
			}
		}
		if hosts[name].learn(n) && !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	for _, t := range g.Targets {
		if !slices.Contains(order, t.Name) && hosts[t.Name] != nil {
			order = append(order, t.Name)
		}
	}
	for _, name := range order {
		goal.Hosts = append(goal.Hosts, *hosts[name])
	}
	return goal, nil
}

// learn takes in one step on the host, and tells whether it changes what runs there.
func (h *HostGoal) learn(n *engine.Node) bool {
	switch n.Kind {
	case "packages.repository":
		h.Repository = true
	case "packages.install":
		maps.Copy(h.Revisions, texts(n.With["packages"]))
	case "kubeadm.upgrade":
		h.Kubeadm = true
		h.Patches, _ = n.With["patches"].(string)
		return true
	}
	return n.Kind == "systemd.restart" || n.Kind == "node.drain"
}

// drain takes in one drain. Those of one step in one rollout go together.
func (g *Goal) drain(graph *engine.Graph, n *engine.Node) error {
	selector, _ := n.With["podSelector"].(string)
	selects, err := kube.Selector(selector)
	if err != nil {
		return fmt.Errorf("%s: podSelector: %w", n.ID, err)
	}
	name := n.Group + "/" + n.Step
	if last := len(g.Drains) - 1; last >= 0 && g.last == name {
		g.Drains[last].Nodes = append(g.Drains[last].Nodes, n.Target.Name)
		return nil
	}
	g.last = name
	g.Drains = append(g.Drains, forecast.Group{Nodes: []string{n.Target.Name}, AtOnce: atOnce(graph, n), Options: forecast.Options{
		IgnoreDaemonSets: truth(n.With, "ignoreDaemonSets", true), DeleteEmptyDir: truth(n.With, "deleteEmptyDir", false),
		Force: truth(n.With, "force", false), GracePeriod: span(n.With["gracePeriod"]), PodSelector: selects,
	}})
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

// span reads a duration out of a step's settings.
func span(v any) time.Duration {
	text, _ := v.(string)
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0 // each pod's own
	}
	return d
}

// texts reads a table of texts out of a step's settings.
func texts(v any) map[string]string {
	table, _ := v.(map[string]any)
	out := map[string]string{}
	for name, value := range table {
		out[name] = fmt.Sprint(value)
	}
	return out
}

// truth reads a switch out of a step's settings, which have it as the plan writes it: as text.
func truth(with map[string]any, name string, otherwise bool) bool {
	switch fmt.Sprint(with[name]) {
	case "true":
		return true
	case "false":
		return false
	}
	return otherwise
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
		if !strings.Contains(h.Revisions[name], "${{") { // known to a run only
			all = append(all, name+"="+h.Revisions[name])
		}
	}
	return all
}
