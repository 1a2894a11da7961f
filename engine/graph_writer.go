package engine

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// graphWriter turns the names in a graph into positions, and what its nodes share into steps.
type graphWriter struct {
	graph  *Graph
	places map[string]int // of nodes and, below zero, of barriers
	hosts  map[string]int // positions among the targets, counted from 1
	steps  []stepFile
	last   map[string]int // by the path of a step: what the node before it had
	texts  map[string]int // by what is written
	err    error
}

func newGraphWriter(g *Graph) *graphWriter {
	w := &graphWriter{graph: g, places: make(map[string]int, len(g.Nodes)+len(g.Barriers)), hosts: make(map[string]int, len(g.Targets)),
		last: map[string]int{}, texts: map[string]int{}}
	for i := range g.Nodes {
		w.places[g.Nodes[i].ID] = i
	}
	for i := range g.Barriers {
		w.places[g.Barriers[i].ID] = -1 - i
	}
	for i, t := range g.Targets {
		w.hosts[t.Name] = i + 1
	}
	return w
}

func (w *graphWriter) node(n *Node) nodeFile {
	f := nodeFile{Step: w.step(n), Digest: n.Digest, Needs: w.needs(n.ID, n.Needs)}
	if n.ID != usualID(n.Step, n.Target.Name) {
		f.ID = n.ID
	}
	h := w.hosts[n.Target.Name]
	switch {
	case h > 0 && equalTargets(n.Target, w.graph.Targets[h-1]):
		f.Host = h
	case !equalTargets(n.Target, Target{Name: Cluster}):
		f.Target = &n.Target
	}
	return f
}

// step returns the position of what the node shares with others. Mostly it is the very same as that of the last node of
// its step; else what would be written decides.
func (w *graphWriter) step(n *Node) int {
	s := stepFile{n.words(), n.With}
	if i, known := w.last[n.Step]; known && w.steps[i].stepWords == s.stepWords && sameMap(w.steps[i].With, s.With) {
		return i
	}
	text, err := json.Marshal(s)
	if err != nil {
		w.err = fmt.Errorf("writing node %s: %w", n.ID, err)
	}
	i, known := w.texts[string(text)]
	if !known {
		i = len(w.steps)
		w.steps = append(w.steps, s)
		w.texts[string(text)] = i
	}
	w.last[n.Step] = i
	return i
}

func (w *graphWriter) needs(id string, needs []string) []int {
	var positions []int
	for _, need := range needs {
		at, known := w.places[need]
		if !known {
			w.err = fmt.Errorf("writing the graph: %s needs %s, which is not in it", id, need)
		}
		positions = append(positions, at)
	}
	return positions
}

// sameMap says that two maps are one and the same.
func sameMap(a, b map[string]any) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}
