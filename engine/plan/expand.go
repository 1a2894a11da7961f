package plan

import (
	"slices"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// Options say what a plan is expanded over.
type Options struct {
	Catalog  *engine.Catalog
	Targets  []engine.Target   // every host, in the order of the inventory
	Vars     map[string]string // values given for variables, as text
	Compress time.Duration     // if positive, no soak and no `stableFor` is longer: for demonstrations
}

// defaultTimeout is how long a node may take where neither the plan nor the kind says so.
const defaultTimeout = 10 * time.Minute

// maxNodes bounds what a plan becomes over its hosts: a hundred steps on each of 10,000 hosts.
const maxNodes = 1_000_000

// skewKind is the gate that every plan with versions has, and skewGuard the step that is added for it.
const (
	skewKind  = "version.skew"
	skewGuard = "skew-guard"
)

// Expand makes the graph of a plan over a list of hosts. It is pure: the same input gives the same bytes. The error
// holds every *document.Fault, those of Check among them.
func (p *Plan) Expand(o Options) (*engine.Graph, error) {
	s, err := newSession(p, o.Catalog, newHostSet(o.Targets), o.Vars)
	if err != nil {
		return nil, err
	}
	s.missing(o.Vars)
	s.targets(o.Targets)
	s.check()
	if s.faults.Len() > 0 {
		return nil, s.faults.Err()
	}
	x := newExpander(s, o)
	g := x.graph()
	if s.faults.Len() > 0 {
		return nil, s.faults.Err()
	}
	g.Digest = graphDigest(g)
	return g, nil
}

// targets refuses inventories whose names would collide with each other or with the cluster's.
func (s *session) targets(list []engine.Target) {
	seen := map[string]bool{engine.Cluster: true}
	for _, t := range list {
		if t.Name == "" || seen[t.Name] {
			s.faults.Add(document.Pos{File: "inventory"}, "give every host a name of its own", "the host name %q is taken", t.Name)
		}
		seen[t.Name] = true
	}
}

// expander makes nodes of units, first all of them in order, then the edges between them.
type expander struct {
	*session
	options Options
	out     engine.Graph
	picked  map[*unit][]int      // positions of its hosts in the inventory, in the order of its rollout
	nodes   map[*unit][]int      // indexes in out.Nodes
	known   map[*unit]*knowledge // what the nodes of a unit have in common
	starts  map[*unit][]string   // what a unit waits for, once that is known
	finish  map[*unit]string     // what others wait for that need it
	guard   string               // ID of the added skew guard
}

func newExpander(s *session, o Options) *expander {
	return &expander{session: s, options: o, picked: map[*unit][]int{}, nodes: map[*unit][]int{}, known: map[*unit]*knowledge{},
		starts: map[*unit][]string{}, finish: map[*unit]string{}}
}

func (x *expander) graph() *engine.Graph {
	p := x.plan
	x.out = engine.Graph{Format: engine.GraphFormat, Plan: p.Name, To: x.to, Vars: x.values(), Targets: x.options.Targets, Waivers: x.waivers()}
	all := slices.Concat(p.steps, p.finally)
	if !x.reserve(all) {
		return nil
	}
	if p.file.Versions != nil {
		x.out.From = p.file.Versions.From.Text
		x.addGuard()
	}
	for _, u := range all {
		x.unit(u)
	}
	for _, u := range all {
		x.edges(u)
	}
	return &x.out
}

// reserve makes room for all nodes, unless they are too many.
func (x *expander) reserve(all []*unit) bool {
	total := 1 // the guard
	for _, u := range leaves(all) {
		if at := u.onHosts(); at == nil {
			total++
		} else if total += len(x.hostsOf(u.placed())); total > maxNodes {
			x.faults.Add(at.Pos, "divide the plan, or the hosts among several runs", "the plan comes to more than %d steps over its hosts", maxNodes)
			return false
		}
	}
	x.out.Nodes = make([]engine.Node, 0, total)
	return true
}

// placed is the unit that says which hosts this one is done on: itself or the group around it.
func (u *unit) placed() *unit {
	if u.Hosts == nil && u.within != nil {
		return u.within.placed()
	}
	return u
}

// values are the variables as text; secrets as references.
func (x *expander) values() map[string]string {
	if len(x.vars) == 0 {
		return nil
	}
	out := map[string]string{}
	for name, v := range x.vars {
		text, err := valueOf(document.Pos{}, v)
		if err == nil {
			out[name], _ = flat(text)
		}
	}
	return out
}

// addGuard puts the skew guard first, unless the plan begins with it or the catalog has none.
func (x *expander) addGuard() {
	if _, ok := x.catalog.Lookup(skewKind); !ok || x.guarded() {
		return
	}
	at := x.plan.file.Versions.Pos
	id := skewGuard
	for slices.ContainsFunc(slices.Concat(x.plan.steps, x.plan.finally), func(u *unit) bool { return u.id == id }) {
		id += "-0"
	}
	u := &unit{step: &step{Pos: at, Uses: document.Text{Pos: at, Text: skewKind}}, id: id, path: id, scope: x.plan.scope}
	x.session.unit(u)
	x.unit(u)
	x.guard = id
}

// guarded says whether the plan begins with the skew gate, or other gates and then it. One that comes later, or only on some
// condition, guards nothing.
func (x *expander) guarded() bool {
	for _, u := range leaves(x.plan.steps) {
		kind, ok := x.catalog.Lookup(u.Uses.Text)
		if !ok {
			return false
		}
		if kind.Name == skewKind {
			return len(u.whens) == 0
		}
		if _, gate := kind.New().(engine.Gate); !gate {
			return false
		}
	}
	return false
}

// leaves are the steps that do something, in order.
func leaves(list []*unit) (all []*unit) {
	for _, u := range list {
		if u.group() {
			all = append(all, leaves(u.children)...)
		} else {
			all = append(all, u)
		}
	}
	return all
}

// unit makes the nodes of a step or a group.
func (x *expander) unit(u *unit) {
	hosts := x.hostsOf(u)
	switch {
	case u.group() && u.Hosts != nil:
		for _, h := range hosts {
			for _, c := range u.children {
				x.add(c, &x.hosts.targets[h], u.path)
			}
		}
		x.group(u, hosts)
	case u.group():
		for _, c := range u.children {
			x.unit(c)
		}
	case u.Hosts != nil:
		group := ""
		if u.Rollout != nil || x.disruptive(u) && len(hosts) > 1 {
			group = u.path
			x.group(u, hosts)
		} else {
			x.skipsNobody(u)
		}
		for _, h := range hosts {
			x.add(u, &x.hosts.targets[h], group)
		}
	default:
		x.add(u, nil, "")
	}
}

// disruptive says whether a kind may take its host out of service: it is not let loose on all hosts at once by default.
func (x *expander) disruptive(u *unit) bool {
	kind, ok := x.options.Catalog.Lookup(u.Uses.Text)
	if !ok {
		return false
	}
	_, disrupts := kind.New().(engine.Disruptive)
	return disrupts
}

// hostsOf returns the positions of a unit's hosts in the inventory, in the order of their rollout.
func (x *expander) hostsOf(u *unit) []int {
	if u.Hosts == nil {
		return nil
	}
	if list, known := x.picked[u]; known {
		return list
	}
	list, err := x.hosts.pick(u.Hosts.terms)
	if err != nil {
		x.faults.Add(u.Hosts.Pos, "", "%s", err)
	} else if u.Rollout != nil && u.Rollout.SpreadBy.Text != "" {
		list = x.hosts.spread(list, u.Rollout.SpreadBy.Text)
	}
	x.picked[u] = list
	return list
}

// add makes one node.
func (x *expander) add(u *unit, host *engine.Target, group string) {
	n := engine.Node{ID: u.path, Step: u.path, Title: u.Name.Text, Kind: u.Uses.Text, Target: engine.Target{Name: engine.Cluster},
		Group: group, Finally: u.finally}
	if n.Title == "" {
		n.Title = u.Uses.Text
	}
	if host != nil {
		n.ID, n.Target = u.path+"@"+host.Name, *host
	}
	x.fill(&n, u, host)
	x.nodes[u] = append(x.nodes[u], len(x.out.Nodes))
	x.out.Nodes = append(x.out.Nodes, n)
}
