package engine

import (
	"encoding/json"
	"fmt"
	"time"
)

// GraphFormat is the written form of graphs that this program writes. It reads this one and those before:
//
//	1  every node in full, with the IDs of all that it needs; no barriers, and no word of the format
//	2  what the nodes of a step share is written once; steps, hosts and needs are numbers
const GraphFormat = 2

// graphFile is a graph as it is written.
type graphFile struct {
	Format   int               `json:"format"`
	Plan     string            `json:"plan"`
	From     string            `json:"from,omitempty"`
	To       string            `json:"to,omitempty"`
	Digest   string            `json:"digest"`
	Vars     map[string]string `json:"vars,omitempty"`
	Targets  []Target          `json:"targets"`
	Groups   []Group           `json:"groups,omitempty"`
	Waivers  []Waiver          `json:"waivers,omitempty"`
	Steps    []stepFile        `json:"steps"`
	Barriers []barrierFile     `json:"barriers,omitempty"`
	Nodes    []nodeFile        `json:"nodes"`
}

// stepFile is what nodes share: a step of the plan, or what is the same of it on some of its hosts.
type stepFile struct {
	stepWords
	With map[string]any `json:"with,omitempty"`
}

// stepWords is all of it that can be compared at a glance.
type stepWords struct {
	Step      string        `json:"step"`
	Title     string        `json:"title"`
	Kind      string        `json:"kind"`
	When      string        `json:"when,omitempty"`
	Group     string        `json:"group,omitempty"`
	Timeout   time.Duration `json:"timeout"`
	OnTimeout string        `json:"onTimeout,omitempty"`
	Retry     Retry         `json:"retry"`
	Gate      bool          `json:"gate,omitempty"`
	Finally   bool          `json:"finally,omitempty"`
	At        string        `json:"at,omitempty"`
}

// nodeFile is the rest of a node. There are as many as steps times hosts, hence the short names.
type nodeFile struct {
	ID     string  `json:"id,omitempty"` // where it is not step@host, or step for the cluster
	Step   int     `json:"s"`            // position among the steps
	Host   int     `json:"h,omitempty"`  // position among the targets, counted from 1
	Target *Target `json:"on,omitempty"` // a target that is not among them; without either it is the cluster
	Needs  []int   `json:"n,omitempty"`  // positions of nodes; -1 is the first barrier, -2 the second
	Digest string  `json:"d,omitempty"`
}

type barrierFile struct {
	ID    string `json:"id"`
	Needs []int  `json:"needs"`
}

// MarshalJSON writes the graph in the form GraphFormat. Graphs that are equal give the same bytes.
func (g Graph) MarshalJSON() ([]byte, error) {
	w := newGraphWriter(&g)
	f := graphFile{Format: GraphFormat, Plan: g.Plan, From: g.From, To: g.To, Digest: g.Digest, Vars: g.Vars, Targets: g.Targets,
		Groups: g.Groups, Waivers: g.Waivers, Nodes: make([]nodeFile, len(g.Nodes)), Barriers: make([]barrierFile, len(g.Barriers))}
	for i := range g.Nodes {
		f.Nodes[i] = w.node(&g.Nodes[i])
	}
	for i, b := range g.Barriers {
		f.Barriers[i] = barrierFile{b.ID, w.needs(b.ID, b.Needs)}
	}
	if w.err != nil {
		return nil, w.err
	}
	f.Steps = w.steps
	return json.Marshal(f)
}

// UnmarshalJSON reads a graph in this form or in an older one. Nodes of one step share their settings.
func (g *Graph) UnmarshalJSON(text []byte) error {
	f := graphFile{Format: 1}
	if err := json.Unmarshal(text, &struct{ Format *int }{&f.Format}); err != nil {
		return err
	}
	switch {
	case f.Format == 1:
		type plain Graph // without this method
		if err := json.Unmarshal(text, (*plain)(g)); err != nil {
			return err
		}
		g.Format = 1
		return nil
	case f.Format > GraphFormat:
		return fmt.Errorf("the graph was written by a newer upgrader (format %d, this one reads up to %d): go on with that one", f.Format, GraphFormat)
	case f.Format < 1:
		return fmt.Errorf("the graph has no format that ever was (%d)", f.Format)
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return err
	}
	return f.read(g)
}

// read makes the graph of what is written.
func (f *graphFile) read(g *Graph) error {
	*g = Graph{Format: f.Format, Plan: f.Plan, From: f.From, To: f.To, Digest: f.Digest, Vars: f.Vars, Targets: f.Targets,
		Groups: f.Groups, Waivers: f.Waivers, Nodes: make([]Node, len(f.Nodes))}
	for i, n := range f.Nodes {
		if n.Step < 0 || n.Step >= len(f.Steps) || n.Host < 0 || n.Host > len(f.Targets) {
			return fmt.Errorf("node %d of the graph names step %d of %d on host %d of %d: the file is damaged", i, n.Step, len(f.Steps), n.Host, len(f.Targets))
		}
		g.Nodes[i] = f.node(n)
	}
	for _, b := range f.Barriers {
		g.Barriers = append(g.Barriers, Barrier{ID: b.ID})
	}
	for i, n := range f.Nodes {
		var err error
		if g.Nodes[i].Needs, err = g.names(n.Needs); err != nil {
			return fmt.Errorf("node %s of the graph %w", g.Nodes[i].ID, err)
		}
	}
	for i, b := range f.Barriers {
		var err error
		if g.Barriers[i].Needs, err = g.names(b.Needs); err != nil {
			return fmt.Errorf("barrier %s of the graph %w", b.ID, err)
		}
	}
	return nil
}

// node is a node without its needs.
func (f *graphFile) node(n nodeFile) Node {
	s := &f.Steps[n.Step]
	target := Target{Name: Cluster}
	switch {
	case n.Host > 0:
		target = f.Targets[n.Host-1]
	case n.Target != nil:
		target = *n.Target
	}
	id := n.ID
	if id == "" {
		id = usualID(s.Step, target.Name)
	}
	return Node{ID: id, Step: s.Step, Title: s.Title, Kind: s.Kind, Target: target, With: s.With, When: s.When, Group: s.Group,
		Timeout: s.Timeout, OnTimeout: s.OnTimeout, Retry: s.Retry, Gate: s.Gate, Finally: s.Finally, Digest: n.Digest, At: s.At}
}

// names turns positions into IDs.
func (g *Graph) names(positions []int) ([]string, error) {
	if len(positions) == 0 {
		return nil, nil
	}
	ids := make([]string, len(positions))
	for i, p := range positions {
		switch {
		case p >= 0 && p < len(g.Nodes):
			ids[i] = g.Nodes[p].ID
		case p < 0 && -p <= len(g.Barriers):
			ids[i] = g.Barriers[-p-1].ID
		default:
			return nil, fmt.Errorf("needs number %d, and there are %d nodes and %d barriers: the file is damaged", p, len(g.Nodes), len(g.Barriers))
		}
	}
	return ids, nil
}

// usualID is how nodes are called.
func usualID(step, target string) string {
	if target == Cluster {
		return step
	}
	return step + "@" + target
}
