package engine

import (
	"iter"
	"maps"
	"slices"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// A Progress is a run as it stands, fed with its records one at a time. A record costs the same however large the run
// is, but for a Begin, of which there is one per process; and what a screen shows is at hand without a walk over all
// nodes. It only tells: the states are those of a Past, the words and times are the records'. It is not safe for concurrent use,
// and what its methods return is good until the next Take.
//
// It shares nothing with the run's own reducer, which is ahead of it: that one knows of a record when it is decided, a
// progress when it is durable, and who looks at it may be in another goroutine.
type Progress struct {
	graph    *Graph
	past     *Past   // whose word the states are
	summary  Summary // but for its facts, and what it concludes from all nodes
	latest   Moment
	places   []place // of nodes
	unwell   []int   // nodes that are not done, by stage and host
	tally    Tally
	atWork   []int // nodes running or waiting, ascending
	stages   []Stage
	rollouts []Rollout
	rollout  map[string]int // index of rollouts, by ID
}

// A Moment is when a record was written: on the clock, and in the elapsed time of the run's processes, where it has that.
type Moment struct {
	Time    time.Time
	Elapsed time.Duration
}

// NewProgress is the progress of a run of this graph that has not begun.
func NewProgress(g *Graph) *Progress {
	p := &Progress{graph: g, past: NewPast(g), places: make([]place, len(g.Nodes)), tally: Tally{Pending: len(g.Nodes)},
		summary: Summary{State: Running, Nodes: make([]NodeStatus, len(g.Nodes))}, rollout: make(map[string]int, len(g.Groups))}
	for i := range g.Groups {
		p.rollout[g.Groups[i].ID] = i
		p.rollouts = append(p.rollouts, Rollout{Group: &g.Groups[i], Tally: Tally{}})
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		p.summary.Nodes[i] = NodeStatus{ID: n.ID, Step: n.Step, Host: n.Target.Name, Kind: n.Kind, State: Pending}
	}
	p.placeAll()
	return p
}

// Take takes the next record of the run in. It keeps none.
func (p *Progress) Take(rec *journal.Record) {
	p.past.Take(rec)
	p.latest = Moment{rec.Time, rec.Elapsed}
	p.summary.take(rec)
	switch rec.Kind {
	case journal.Begin:
		p.begin()
	case journal.Down:
		p.look(rec)
	}
	if i, ok := p.past.reducer.names.Node(rec.Node); ok {
		p.move(i, p.stateAfter(i, rec))
		p.summary.Nodes[i].tell(rec)
		p.note(i, rec)
	}
}

// stateAfter is the state that a node is in after a record about it: the reducer's word, and whether it only waits.
func (p *Progress) stateAfter(i int, rec *journal.Record) string {
	state, was := p.past.reducer.nodes[i].state.String(), p.summary.Nodes[i].State
	switch {
	case state != Running:
		return state
	case rec.Kind == journal.Wait, isRefusal(rec):
		return Waiting
	case rec.Kind != journal.Start && rec.Kind != journal.Intent && isAtWork(was):
		return was
	}
	return state
}

// isRefusal says whether an effect was refused for now, and will be tried again.
func isRefusal(rec *journal.Record) bool {
	return rec.Kind == journal.Outcome && rec.State == outcomeRefused
}

func isAtWork(state string) bool { return state == Running || state == Waiting }

// begin is the next process taking the run up: it has seen nothing yet, and nothing is at work. What it will do again is pending.
func (p *Progress) begin() {
	for i := range p.summary.Nodes {
		n, state := &p.summary.Nodes[i], p.past.reducer.nodes[i].state
		if state.String() != n.State || !isWell(state) {
			p.move(i, state.String())
			n.Ended, n.Message = time.Time{}, ""
		}
	}
	for r := range p.rollouts {
		p.rollouts[r].Down = nil
	}
}

// Summary tells what became of the run so far. It walks over all nodes.
func (p *Progress) Summary() Summary {
	s := p.summary
	s.Nodes, s.Facts = slices.Clone(s.Nodes), maps.Clone(p.past.facts)
	s.conclude()
	return s
}

// Underway says whether an effect was begun that may still be going on, see Reducer.Underway.
func (p *Progress) Underway() bool { return p.past.Underway() }

// Node is the node of this ID, or nil.
func (p *Progress) Node(id string) *Node { return p.past.reducer.names.Lookup(id) }

// AtWork are the nodes that run or wait, in the order of the graph.
func (p *Progress) AtWork() iter.Seq[*NodeStatus] {
	return func(yield func(*NodeStatus) bool) {
		for _, i := range p.atWork {
			if !yield(&p.summary.Nodes[i]) {
				return
			}
		}
	}
}

// Tally counts all nodes.
func (p *Progress) Tally() Tally { return p.tally }

// Stages are the steps of the plan's top level, in its order.
func (p *Progress) Stages() []Stage { return p.stages }

// Rollouts are the groups of the graph, in its order.
func (p *Progress) Rollouts() []Rollout { return p.rollouts }

// Fact is what became known under this name; nothing if nothing did.
func (p *Progress) Fact(name string) string { return p.past.facts[name] }

// Interrupted says whether a person has stopped the process.
func (p *Progress) Interrupted() bool { return p.summary.Interrupted }

// Since is how long ago a moment of the run is: in the time of its processes where records have it, which no clock that
// is set can change and which stands still between them, and otherwise on the clock.
func (p *Progress) Since(m Moment, now time.Time) time.Duration {
	if p.latest.Elapsed == 0 {
		return now.Sub(m.Time)
	}
	return p.latest.Elapsed - m.Elapsed + now.Sub(p.latest.Time)
}
