package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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

// Defaults of a node, where the plan and the kind say nothing.
const (
	defaultTimeout  = 10 * time.Minute
	defaultAttempts = 3
	defaultBackoff  = 2 * time.Second
	defaultMaxPause = 30 * time.Second
)

// skewKind is the gate that every plan with versions has, and skewGuard the step that is added for it.
const (
	skewKind  = "version.skew"
	skewGuard = "skew-guard"
)

// Expand makes the graph of a plan over a list of hosts. It is pure: the same input gives the same bytes. The error
// holds every *document.Fault, those of Check among them.
func (p *Plan) Expand(o Options) (*engine.Graph, error) {
	s, err := newSession(p, o.Catalog, &hostSet{o.Targets}, o.Vars)
	if err != nil {
		return nil, err
	}
	s.missing(o.Vars)
	s.targets(o.Targets)
	s.check()
	if s.faults.Len() > 0 {
		return nil, s.faults.Err()
	}
	x := &expander{session: s, options: o, nodes: map[*unit][]int{}}
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
	nodes   map[*unit][]int // indexes in out.Nodes
	guard   string          // ID of the added skew guard
}

func (x *expander) graph() *engine.Graph {
	p := x.plan
	x.out = engine.Graph{Plan: p.Name, To: x.to, Vars: x.values(), Targets: x.options.Targets, Waivers: x.waivers()}
	if p.file.Versions != nil {
		x.out.From = p.file.Versions.From.Text
		x.addGuard()
	}
	all := slices.Concat(p.steps, p.finally)
	for _, u := range all {
		x.unit(u)
	}
	for _, u := range all {
		x.edges(u)
	}
	return &x.out
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
		for i := range hosts {
			for _, c := range u.children {
				x.add(c, &hosts[i], u.path)
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
		}
		for i := range hosts {
			x.add(u, &hosts[i], group)
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

// hostsOf returns the hosts of a unit in the order of their rollout.
func (x *expander) hostsOf(u *unit) []engine.Target {
	if u.Hosts == nil {
		return nil
	}
	list, err := x.hosts.pick(u.Hosts.terms)
	if err != nil {
		x.faults.Add(u.Hosts.Pos, "", "%s", err)
		return nil
	}
	if u.Rollout == nil || u.Rollout.SpreadBy.Text == "" {
		return list
	}
	return spread(list, u.Rollout.SpreadBy.Text)
}

// add makes one node.
func (x *expander) add(u *unit, host *engine.Target, group string) {
	n := engine.Node{ID: u.path, Step: u.path, Title: u.Name.Text, Kind: u.Uses.Text, Target: engine.Target{Name: engine.Cluster},
		Group: group, Finally: u.finally, At: u.Pos.String()} //nolint:staticcheck // u.String() would not say of what
	if n.Title == "" {
		n.Title = u.Uses.Text
	}
	if host != nil {
		n.ID, n.Target = u.path+"@"+host.Name, *host
	}
	x.fill(&n, u, host)
	n.Digest = nodeDigest(&n)
	x.nodes[u] = append(x.nodes[u], len(x.out.Nodes))
	x.out.Nodes = append(x.out.Nodes, n)
}

func (x *expander) ids(list []int) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = x.out.Nodes[n].ID
	}
	return out
}

// edges gives the nodes of a unit what they need.
func (x *expander) edges(u *unit) {
	switch {
	case u.group() && u.Hosts != nil:
		hosts := len(x.nodes[u.children[0]])
		for h := range hosts {
			for i, c := range u.children {
				n := &x.out.Nodes[x.nodes[c][h]]
				if i == 0 {
					n.Needs = x.before(u)
				} else {
					n.Needs = []string{x.out.Nodes[x.nodes[u.children[i-1]][h]].ID}
				}
			}
		}
	case u.group():
		for _, c := range u.children {
			x.edges(c)
		}
	default:
		for _, i := range x.nodes[u] {
			x.out.Nodes[i].Needs = x.before(u)
		}
	}
}

// before returns the IDs of the nodes that must be settled before a unit starts.
func (x *expander) before(u *unit) []string {
	var ids []string
	sibling := false
	for _, n := range u.needs {
		ids = append(ids, x.ends(n)...)
		sibling = sibling || n.within == u.within
	}
	if u.within != nil && !sibling {
		ids = append(ids, x.before(u.within)...)
	}
	if len(ids) == 0 && x.guard != "" && !u.finally && u.path != x.guard {
		ids = []string{x.guard}
	}
	return unique(ids)
}

// ends returns the IDs of the nodes that end a unit. A unit without nodes passes on what it needs itself.
func (x *expander) ends(u *unit) []string {
	var ids []string
	switch {
	case u.group() && u.Hosts != nil:
		ids = x.ids(x.nodes[u.children[len(u.children)-1]])
	case u.group():
		for _, c := range u.children {
			if !slices.ContainsFunc(u.children, func(other *unit) bool { return slices.Contains(other.needs, c) }) {
				ids = append(ids, x.ends(c)...)
			}
		}
	default:
		ids = x.ids(x.nodes[u])
	}
	if len(ids) == 0 {
		return x.before(u)
	}
	return unique(ids)
}

func unique(ids []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(ids, func(id string) bool {
		twice := seen[id]
		seen[id] = true
		return twice
	})
}

// nodeDigest is over what a node does and where: a resume repeats nothing whose digest is unchanged.
func nodeDigest(n *engine.Node) string {
	return digest(map[string]any{"kind": n.Kind, "target": n.Target.Name, "with": n.With, "when": n.When})
}

// graphDigest is over everything but the places in the plan, which move when a comment is added.
func graphDigest(g *engine.Graph) string {
	c := *g
	c.Digest = ""
	c.Nodes = slices.Clone(g.Nodes)
	for i := range c.Nodes {
		c.Nodes[i].At = ""
	}
	return digest(c)
}

// digest is the first half of the SHA-256 of canonical JSON: encoding/json sorts the keys of maps.
func digest(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // strings, lists and maps of them only
		return fmt.Sprintf("not digestible: %v", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:32]
}
