package engine

import (
	"maps"

	"upgrader.dev/upgrader/engine/journal"
)

// A Past is what earlier processes of a run recorded, as the next one goes on from it. It is fed with their records one at a
// time, in their order, and keeps none of them. It is not safe for concurrent use.
type Past struct {
	graph    *Graph
	reducer  *Reducer
	facts    Facts
	machines *Machines
}

// NewPast is the past of a run of this graph that has not begun.
func NewPast(g *Graph) *Past {
	return &Past{graph: g, reducer: NewReducer(g, Options{}), facts: Facts{}, machines: newMachines()}
}

// Take takes the next record in.
func (p *Past) Take(rec *journal.Record) {
	p.reducer.replay(rec)
	p.facts.learn(rec)
	p.machines.learn(rec)
}

// learn takes in what a record says became known.
func (f Facts) learn(rec *journal.Record) {
	switch rec.Kind {
	case journal.Begin, journal.Intent, journal.Outcome:
		maps.Copy(f, rec.Facts)
	}
}

// Machines are the machines that hosts were bound to so far. While a runner goes on from this past, more can be.
func (p *Past) Machines() *Machines { return p.machines }

// Underway says whether an effect was begun that may still be going on, see Reducer.Underway.
func (p *Past) Underway() bool { return p.reducer.Underway() }

// Keeps refuses a graph that lacks the step of an effect which may be going on, see Reducer.Keeps.
func (p *Past) Keeps() error { return p.reducer.Keeps() }

// Lost says whether a host counts in a rollout that the plan took it out of, see Reducer.Lost.
func (p *Past) Lost(host string) bool { return p.reducer.Lost(host) }
