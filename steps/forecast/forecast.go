// Package forecast says, before anything is changed, what the drains of a plan will meet: the pods that a drain refuses
// or waits for, and those that would find no other node. It moves the pods of a cluster about in memory, node by node in
// the plan's order, by the rules of kubectl drain and of the scheduler; it reads nothing and changes nothing. It may
// import eviction, finding and kube.
//
// What it does not foretell: preemption, an autoscaler that adds nodes, limits of attachable volumes, and devices that
// are claimed (resource.k8s.io). Pods that have no node when it begins compete for none.
package forecast

import (
	"slices"
	"time"

	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
)

// A Plan is which nodes are drained, in this order.
type Plan struct {
	Groups []Group
}

// A Group is nodes that are drained in the same way, one after the other or several at once.
type Group struct {
	Nodes  []string
	AtOnce int // how many of them may be out of service at a time: maxUnavailable; less than 1 is 1
	eviction.Rules
}

// A World is the cluster before the first drain.
type World struct {
	Rooms    []kube.Room
	Pods     []kube.PlacedPod
	Budgets  []kube.Budget
	Webhooks []kube.Webhook
}

// A Forecast is what the drains will meet.
type Forecast struct {
	Findings []finding.Finding // the worst first
	Nodes    []Outlook         // one for each drain, in the plan's order
}

// An Outlook is what the drain of one node will meet.
type Outlook struct {
	Node   string
	Moves  []Move        // first of pods that waited for a node until one came back before this drain, then of those that it evicts and that come back
	Wait   time.Duration // the longest that is to be expected until its pods are gone, if their replacements are ready at once
	Why    string        // what makes the wait so long; empty: there is none
	Blocks []string      // the checks whose blockers are met here; what comes after is foretold as if they were cured
}

// A Move is where a pod will be after its eviction.
type Move struct {
	Pod      string // namespace/name of the pod that was seen; the one in its place may have another name
	From, To string // nodes; From is empty where it waited for one, To where no node takes it before one is back in service
}

// Blocked returns the nodes whose drains blockers stand in the way of, in the plan's order.
func (f Forecast) Blocked() []string {
	var nodes []string
	for _, o := range f.Nodes {
		if len(o.Blocks) > 0 && !slices.Contains(nodes, o.Node) {
			nodes = append(nodes, o.Node)
		}
	}
	return nodes
}

// Drains foretells the drains of a plan. The same world in whatever order has the same forecast.
func Drains(p Plan, w World) Forecast {
	f := &forecaster{layout: newLayout(w), told: map[string]bool{}, budgets: newGuards(w.Budgets)}
	f.webhooks = f.answered(w.Webhooks)
	f.replicas = f.running()
	for _, g := range p.Groups {
		f.roll(g)
	}
	f.tellBudgets()
	finding.Sort(f.found)
	return Forecast{Findings: f.found, Nodes: f.outlooks}
}

// A forecaster moves through a plan.
type forecaster struct {
	*layout
	budgets  *guards
	webhooks []webhook
	waiting  []*body // evicted, and no node took it yet
	settled  []Move  // of those that waited, since the last drain
	told     map[string]bool
	found    []finding.Finding
	outlooks []Outlook
	replicas map[string][]*body // running pods of each owner, as they were at the beginning
}

// roll drains a group as a rollout does: up to AtOnce nodes are out of service, and when one is back the next begins.
func (f *forecaster) roll(g Group) {
	atOnce := max(1, g.AtOnce)
	back := 0
	for i, node := range g.Nodes {
		for ; back <= i-atOnce; back++ {
			f.reopen(g.Nodes[back])
		}
		together := g.Nodes[back:min(max(i+1, atOnce), len(g.Nodes))]
		for _, out := range together {
			f.close(out)
		}
		f.outlooks = append(f.outlooks, f.drain(node, together, g.Rules))
	}
	for ; back < len(g.Nodes); back++ {
		f.reopen(g.Nodes[back])
	}
}

// reopen puts a node back into service, and on it what waits for one.
func (f *forecaster) reopen(node string) {
	f.open(node)
	s := f.byName[node]
	if s == nil || s.Unschedulable {
		return
	}
	f.waiting = slices.DeleteFunc(f.waiting, func(b *body) bool {
		if !f.place(b, []*spot{s}) {
			return false
		}
		f.settled = append(f.settled, Move{Pod: b.name, To: node})
		return true
	})
}

// drain foretells the drain of one node, while those of together are out of service.
func (f *forecaster) drain(node string, together []string, rules eviction.Rules) Outlook {
	t := &telling{forecaster: f, rules: rules, outlook: Outlook{Node: node, Moves: f.settled}, together: together}
	f.settled = nil
	s := f.byName[node]
	if s == nil {
		t.unknown()
		return t.outlook
	}
	l := sort(rules, s.standing)
	t.refusals(l)
	t.budgets(l)
	t.webhooks(l)
	t.singles(l)
	t.local(l)
	t.outlook.Wait, t.outlook.Why = f.longest(l, f.passing[node], rules)
	t.capacity(l, f.leave(l, &t.outlook))
	return t.outlook
}

// leave evicts pods from their node and places those that come back; it returns those that no node takes. Pods whose
// volumes are only here are not among them: they wait for this node and no other.
func (f *forecaster) leave(l load, o *Outlook) (homeless []*body) {
	for _, b := range l.evict {
		f.take(b)
	}
	back := slices.DeleteFunc(slices.Clone(l.evict), func(b *body) bool { return b.OwnerKind == "" }) // nobody makes these anew
	homeless = f.settle(back)
	f.waiting = slices.Concat(f.waiting, homeless)
	slices.SortFunc(f.waiting, first)
	for _, b := range back {
		to := ""
		if b.at != nil {
			to = b.at.Node
		}
		o.Moves = append(o.Moves, Move{Pod: b.name, From: o.Node, To: to})
	}
	return slices.DeleteFunc(homeless, func(b *body) bool { return len(b.bound) > 0 })
}

// settle places pods on the freest nodes that take them and returns those that none takes. One that has its place may
// make one for another, where rules say how they stand; such pods are tried again as long as that helps.
func (f *forecaster) settle(all []*body) []*body {
	left := slices.DeleteFunc(slices.Clone(all), func(b *body) bool { return f.place(b, f.spots) })
	for tried := 0; len(left) != tried; {
		tried = len(left)
		left = slices.DeleteFunc(left, func(b *body) bool {
			return len(b.together)+len(b.spread) > 0 && f.place(b, f.spots)
		})
	}
	return left
}
