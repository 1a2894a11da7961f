package engine

import (
	"slices"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// A Command is what the Reducer wants done. The runner obeys; it decides nothing.
type Command struct {
	Do     Verb
	Node   string    // Launch
	Group  string    // Look
	At     time.Time // Wake
	State  string    // Finish
	Why    string    // Finish, where no node tells
	Settle bool      // Launch: only find out what became of its effects; its turn has not come
}

// Verb is one of the things a Reducer may want.
type Verb string

const (
	Launch Verb = "launch" // start this node
	Look   Verb = "look"   // find out which hosts of this group are out of service, and answer with a Down record
	Wake   Verb = "wake"   // send a Tick no earlier than At
	Open   Verb = "open"   // every gate that a resume looks at again is open: effects may be made
	Halt   Verb = "halt"   // running steps stop at their next change
	Finish Verb = "finish" // nothing is running and nothing will: the run has ended in State
)

// Tick is the one event that is no journal record: time has passed.
const Tick journal.Kind = "tick"

// States of nodes and runs, as journaled and shown.
const (
	Pending = "pending"
	Running = "running"
	Waiting = "waiting" // shown only: running, with nothing to do but wait
	Done    = "done"
	Skipped = "skipped"
	Failed  = "failed"
	Refused = "refused"
	Paused  = "paused"
	Stopped = "stopped" // left at a change boundary because the run stops; pending to a resume
)

// A Reducer decides what may start. It is driven by journal records alone: feeding it the records of a past process
// brings it where that process was. It does no I/O, reads no clock, starts no goroutine and ranges over no map, so the
// same records always give the same commands.
type Reducer struct {
	graph  *Graph
	nodes  []nodeState
	index  map[string]int
	groups []*groupState
	byName map[string]*groupState
	limit  int // nodes running at once

	now      time.Time
	events   int // taken so far
	begun    bool
	halted   bool // nothing new starts, but for what is to be done finally
	stopped  bool // by a person: nothing starts at all
	paused   bool
	failed   bool
	finished bool
	opened   bool
	running  int
	out      []Command
	why      string // of an end that no node tells
}

type nodeState struct {
	state   string
	needs   []int
	group   *groupState
	regate  bool     // a gate that this process has not yet seen open
	changed int      // when its first effect was begun, counted in events; 0: none was
	done    int      // when it was first done, counted in events; 0: never
	tickets []string // of effects that were begun and are not known to have ended, but for convergent ones
}

// NewReducer prepares a run of this graph with at most limit nodes at a time.
func NewReducer(g *Graph, limit int) *Reducer {
	r := &Reducer{graph: g, nodes: make([]nodeState, len(g.Nodes)), index: make(map[string]int, len(g.Nodes)), byName: map[string]*groupState{}, limit: limit}
	for i := range g.Nodes {
		r.index[g.Nodes[i].ID] = i
	}
	for i := range g.Groups {
		gs := newGroupState(&g.Groups[i])
		r.groups = append(r.groups, gs)
		r.byName[gs.ID] = gs
	}
	for i := range g.Nodes {
		n, st := &g.Nodes[i], &r.nodes[i]
		st.state = Pending
		st.needs = r.resolve(nil, n.Needs)
		if st.group = r.byName[n.Group]; st.group != nil {
			st.group.add(n.Target.Name, i)
			st.group.finally = n.Finally
		}
	}
	r.noteNeeded()
	return r
}

// resolve finds the nodes behind needs, through barriers.
func (r *Reducer) resolve(found []int, needs []string) []int {
	for _, need := range needs {
		if j, ok := r.index[need]; ok {
			found = append(found, j)
		} else if b := slices.IndexFunc(r.graph.Barriers, func(b Barrier) bool { return b.ID == need }); b >= 0 {
			found = r.resolve(found, r.graph.Barriers[b].Needs)
		}
	}
	return found
}

// Next takes one event and returns what is to be done now, in order.
func (r *Reducer) Next(ev journal.Record) []Command {
	r.out = nil
	if ev.Time.After(r.now) {
		r.now = ev.Time
	}
	r.take(ev)
	if r.begun && !r.finished {
		r.schedule()
	}
	return r.out
}

// noteNeeded finds the rollouts that something else comes after.
func (r *Reducer) noteNeeded() {
	for i := range r.nodes {
		for _, j := range r.nodes[i].needs {
			if g := r.nodes[j].group; g != nil && g != r.nodes[i].group {
				g.needed = true
			}
		}
	}
}

// Replay takes the records of earlier processes, whose commands have been carried out or lost with them. Begin, as the
// next event, takes the run up from there.
func (r *Reducer) Replay(past []journal.Record) {
	for _, ev := range past {
		if ev.Time.After(r.now) {
			r.now = ev.Time
		}
		r.take(ev)
	}
	r.begun, r.out = false, nil
}

func (r *Reducer) want(c Command) { r.out = append(r.out, c) }

func (r *Reducer) take(ev journal.Record) {
	r.events++
	switch ev.Kind {
	case journal.Begin:
		r.begin()
	case journal.Stop:
		r.stopped = true
		r.halt()
	case journal.Down:
		if g := r.byName[ev.Group]; g != nil {
			g.answer(ev.Hosts, r.now)
		}
	case journal.Start, journal.Intent, journal.Outcome, journal.Settled, journal.Decision:
		if i, ok := r.index[ev.Node]; ok {
			r.takeNode(i, ev)
		}
	}
}

func (r *Reducer) takeNode(i int, ev journal.Record) {
	n, st := &r.graph.Nodes[i], &r.nodes[i]
	switch ev.Kind {
	case journal.Start:
		r.setState(st, Running)
		if st.group != nil {
			st.group.activate(n.Target.Name)
		}
	case journal.Intent:
		if st.changed == 0 {
			st.changed = r.events
		}
		if ev.Repeat != string(Convergent) {
			st.tickets = append(st.tickets, ev.Ticket)
		}
	case journal.Outcome:
		st.tickets = slices.DeleteFunc(st.tickets, func(t string) bool { return t == ev.Ticket })
	case journal.Decision:
		if ev.State == Done && (ev.Digest == "" || ev.Digest == n.Digest) {
			r.settle(i, Done)
		}
	case journal.Settled:
		if ev.Digest != "" && ev.Digest != n.Digest {
			r.setState(st, Pending) // what was done is not what the plan says now
			st.done = 0
			return
		}
		r.settle(i, ev.State)
	}
}

func (r *Reducer) setState(st *nodeState, state string) {
	if st.state == Running {
		r.running--
	}
	if state == Running {
		r.running++
	}
	st.state = state
}

func (r *Reducer) settle(i int, state string) {
	st := &r.nodes[i]
	if state == Stopped {
		state = Pending
	}
	r.setState(st, state)
	switch state {
	case Done, Skipped:
		st.regate = false
		if st.done == 0 {
			st.done = r.events
		}
		if st.group != nil {
			st.group.check(r, r.graph.Nodes[i].Target.Name)
		}
	case Paused:
		r.paused = true
		r.halt()
	case Failed, Refused:
		r.failed = true
		if st.group == nil || state == Refused || !st.group.tolerate(r.graph.Nodes[i].Target.Name) {
			r.halt()
		}
	}
}

func (r *Reducer) halt() {
	if !r.halted {
		r.halted = true
		if r.begun {
			r.want(Command{Do: Halt})
		}
	}
}

// begin is a process taking the run up: whatever was under way or went wrong is looked at again, gates are too, and
// hosts in the middle of their steps keep their slots but must be allowed to go on.
func (r *Reducer) begin() {
	r.begun, r.halted, r.stopped, r.paused, r.failed, r.finished, r.opened, r.why = true, false, false, false, false, false, false, ""
	for _, g := range r.groups {
		if g.resume(); g.finally { // done again at the end of every process
			clear(g.stage)
		}
	}
	for i := range r.nodes {
		n, st := &r.graph.Nodes[i], &r.nodes[i]
		switch {
		case n.Finally, st.state != Done && st.state != Skipped:
			r.setState(st, Pending)
		case n.Gate && (st.group == nil || !st.group.done(n.Target.Name)) && st.state == Done:
			r.setState(st, Pending)
			st.regate = true
		}
	}
	for i := range r.nodes {
		if r.nodes[i].regate && !r.regateable(i) {
			r.nodes[i].regate = false // it comes again in its turn
		}
	}
}

// regateable says whether a gate can be observed before anything else starts.
func (r *Reducer) regateable(i int) bool {
	for _, j := range r.nodes[i].needs {
		if st := &r.nodes[j]; st.state == Pending && !st.regate {
			return false
		}
	}
	return true
}

// schedule starts what may start, and finishes the run when nothing can.
func (r *Reducer) schedule() {
	for _, g := range r.groups {
		g.expire(r.now)
	}
	if !r.opened && r.gatesOpen() {
		r.opened = true
		r.want(Command{Do: Open})
	}
	if !r.halted {
		r.launch(false)
	}
	if !r.halted && r.pursue(false) || r.running > 0 {
		return
	}
	if !r.stopped && !r.paused && (r.launch(true) || r.pursue(true)) {
		return
	}
	if r.running == 0 {
		r.finished = true
		r.want(Command{Do: Finish, State: r.endState(), Why: r.why})
	}
}

// pursue lets hosts into the rollouts of the run proper, or of what is done finally, and starts what may start on them.
// It says whether one was started, or a look or a wake-up will bring another event.
func (r *Reducer) pursue(finally bool) bool {
	waiting, coming := false, false
	for _, g := range r.groups {
		if g.finally == finally {
			waiting = g.pursue(r) || waiting
			coming = coming || g.looking || !g.wakeAt.IsZero()
		}
	}
	return waiting && (r.launch(finally) || coming)
}

// launch starts every node that may start, of the run proper or of what is done finally, and says whether it did.
func (r *Reducer) launch(finally bool) bool {
	any, gates := false, r.gatesOpen()
	for i := range r.nodes {
		if r.running >= r.limit {
			break
		}
		if r.graph.Nodes[i].Finally != finally || !r.ready(i, gates) {
			continue
		}
		early := !r.inTurn(i)
		r.setState(&r.nodes[i], Running)
		r.want(Command{Do: Launch, Node: r.graph.Nodes[i].ID, Settle: early})
		any = true
	}
	return any
}

// gatesOpen says whether every gate that a resume observes again has been seen open.
func (r *Reducer) gatesOpen() bool {
	for i := range r.nodes {
		if r.nodes[i].regate {
			return false
		}
	}
	return true
}

func (r *Reducer) ready(i int, gates bool) bool {
	st := &r.nodes[i]
	switch {
	case st.state != Pending:
		return false
	case len(st.tickets) > 0:
		return true // finding out what became of an effect comes before everything else, and changes nothing
	case !r.satisfied(i) || !gates && !st.regate && !r.graph.Nodes[i].Finally:
		return false
	}
	return st.group == nil || st.group.admitted(r.graph.Nodes[i].Target.Name)
}

func (r *Reducer) satisfied(i int) bool {
	for _, j := range r.nodes[i].needs {
		if !r.well(i, j) {
			return false
		}
	}
	return true
}

// inTurn says whether all that a node waits for is a gate that is looked at again: it may find out what became of its
// effects in the meantime, and go on once that is open.
func (r *Reducer) inTurn(i int) bool {
	for _, j := range r.nodes[i].needs {
		if !r.well(i, j) && !r.nodes[j].regate {
			return false
		}
	}
	return true
}

// well says whether node j is settled well enough for node i to start: done, skipped, or on a failed host that the
// rollout tolerates once it is over. What comes finally also follows nodes that never ran.
func (r *Reducer) well(i, j int) bool {
	a, b := &r.graph.Nodes[i], &r.graph.Nodes[j]
	switch r.nodes[j].state {
	case Done, Skipped:
		g := r.nodes[j].group
		return g == nil || g == r.nodes[i].group || g.stage[b.Target.Name] != soaking
	case Running:
		return false
	}
	if a.Finally {
		return !b.Finally || r.nodes[j].state != Pending
	}
	g := r.nodes[j].group
	return g != nil && g != r.nodes[i].group && g.tolerated(b.Target.Name) && g.over()
}

// InWork names the hosts that this run, in this process or an earlier one, has begun to change since a node was first
// done, and is in the middle of. What happened to them since is the run's own doing and no reason for that node, a gate
// that is looked at again, to stay closed. Hosts that failed are not among them: nobody is at work there any more.
func (r *Reducer) InWork(node string) []string {
	i, ok := r.index[node]
	if !ok || r.nodes[i].done == 0 {
		return nil
	}
	var hosts []string
	for _, g := range r.groups {
		for _, h := range g.Hosts {
			s, begun := g.stage[h], g.begun(r, h)
			if (s == held || s == inside) && begun > r.nodes[i].done && !slices.Contains(hosts, h) {
				hosts = append(hosts, h)
			}
		}
	}
	return hosts
}

func (r *Reducer) endState() string {
	switch {
	case r.failed:
		return Failed
	case r.paused, r.stopped:
		return Paused
	}
	for i := range r.nodes {
		if s := r.nodes[i].state; s != Done && s != Skipped && !r.graph.Nodes[i].Finally {
			return Failed // something could never start: a rollout without room
		}
	}
	return Done
}
