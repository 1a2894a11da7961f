package engine

import (
	"fmt"
	"slices"
)

// Whose turn it is: every node counts the needs that are not met, and whoever meets one tells those that wait for it. A
// need within a rollout, on the same host, is met when the node is done; one from outside when its host is through, and was watched.

// A barrierState counts what a barrier waits for.
type barrierState struct {
	unmet   int32
	deps    []int32 // who waits for it: nodes, and barriers as ^index
	finally bool    // all that it needs is done finally
}

// addEdges turns needs, which are names, into lists of who waits for whom.
func (r *Reducer) addEdges() {
	r.barriers = make([]barrierState, len(r.graph.Barriers))
	for b := range r.graph.Barriers {
		r.barriers[b].finally = true
		for _, need := range r.graph.Barriers[b].Needs {
			r.addEdge(need, ^int32(b))
		}
	}
	for i := range r.graph.Nodes {
		for _, need := range r.graph.Nodes[i].Needs {
			r.addEdge(need, int32(i))
		}
	}
}

// addEdge notes that somebody waits for a node or a barrier. What barriers need stands before them.
func (r *Reducer) addEdge(need string, who int32) {
	j := r.find(need)
	b, isBarrier := r.names.Barrier(need)
	if who < 0 && (isBarrier && !r.barriers[b].finally || j != nobody && !r.graph.Nodes[j].Finally) {
		r.barriers[^who].finally = false
	}
	switch {
	case isBarrier:
		r.barriers[b].deps = append(r.barriers[b].deps, who)
	case j == nobody:
	case who >= 0 && r.nodes[j].member != nobody && r.nodes[who].member == r.nodes[j].member:
		r.nodes[j].inner = append(r.nodes[j].inner, who)
	default:
		r.nodes[j].outer = append(r.nodes[j].outer, who)
		if m := r.nodes[j].member; m != nobody {
			r.rolloutOf(m).needed = true
		}
	}
}

// connect counts anew what everybody waits for, and lists those who wait for nothing. Once a process.
func (r *Reducer) connect() {
	for i := range r.nodes {
		r.nodes[i].unmet, r.nodes[i].told = 0, 0
	}
	for b := range r.barriers {
		r.barriers[b].unmet = 0
	}
	for j := range r.nodes {
		r.countNeeds(int32(j))
	}
	r.raiseBarriers()
	for i := range r.nodes {
		if r.nodes[i].unmet == 0 || r.effects.open(int32(i)) != nil {
			r.enqueue(int32(i))
		}
	}
}

// raiseBarriers has those counted that are not met, each before those that need it.
func (r *Reducer) raiseBarriers() {
	if r.planted(21) {
		return
	}
	for b := range r.barriers {
		if r.barriers[b].unmet > 0 {
			r.raiseAll(r.barriers[b].deps, r.barriers[b].finally)
		}
	}
}

func (r *Reducer) countNeeds(j int32) {
	st := &r.nodes[j]
	within, outside := r.owes(j)
	if within {
		r.raiseAll(st.inner, r.graph.Nodes[j].Finally)
	} else {
		st.told |= toldInner
	}
	if outside {
		r.raiseAll(st.outer, r.graph.Nodes[j].Finally)
	} else {
		st.told |= toldOuter
	}
}

// owes says who still waits for a node: those on its host within its rollout, and those outside.
func (r *Reducer) owes(j int32) (within, outside bool) {
	m := r.nodes[j].member
	within = !r.settledFor(j)
	return within, within || m != nobody && r.members[m].is != through
}

func (r *Reducer) raiseAll(list []int32, finally bool) {
	for _, who := range list {
		r.raise(who, finally)
	}
}

// raise has one more need counted. What is done finally waits for the run proper in any case, however that went.
func (r *Reducer) raise(who int32, finally bool) {
	switch {
	case who < 0:
		r.barriers[^who].unmet++
	case finally || !r.graph.Nodes[who].Finally:
		r.nodes[who].unmet++
	}
}

// settledFor says whether a node is settled well enough for those after it. What is done finally also follows what failed.
func (r *Reducer) settledFor(j int32) bool {
	s := r.nodes[j].state
	return isWell(s) || !r.planted(31) && r.graph.Nodes[j].Finally && s != isPending && s != isRunning
}

// Whom a node has told that it is settled.
const (
	toldInner uint8 = 1 << iota
	toldOuter
)

func (r *Reducer) releaseInner(j int32) {
	if st := &r.nodes[j]; st.told&toldInner == 0 {
		st.told |= toldInner
		r.lower(st.inner, r.graph.Nodes[j].Finally)
	}
}

func (r *Reducer) releaseOuter(j int32) {
	if st := &r.nodes[j]; st.told&toldOuter == 0 {
		st.told |= toldOuter
		r.lower(st.outer, r.graph.Nodes[j].Finally)
	}
}

// lower has one need less counted by each of these.
func (r *Reducer) lower(list []int32, finally bool) {
	for _, who := range list {
		switch {
		case who < 0:
			b := &r.barriers[^who]
			if b.unmet--; b.unmet == 0 {
				r.lower(b.deps, b.finally)
			}
		case finally || !r.graph.Nodes[who].Finally:
			st := &r.nodes[who]
			if st.unmet--; st.unmet == 0 {
				r.enqueue(who)
			}
		}
	}
}

// unlocked says whether the gates let a node start.
func (r *Reducer) unlocked(i int32) bool {
	return r.opened || r.nodes[i].regate || r.graph.Nodes[i].Finally || r.planted(20)
}

// enqueue lists a node whose needs are met, or whose effects are open: as ready if its host is at work, else its host as one that
// could be let in.
func (r *Reducer) enqueue(i int32) {
	st := &r.nodes[i]
	if st.state != isPending || st.queued {
		return
	}
	settles := r.effects.open(i) != nil
	switch {
	case settles: // finding out what became of an effect comes before everything else, and changes nothing
	case st.unmet > 0:
		return
	case !r.unlocked(i):
		r.gated = append(r.gated, i)
		return
	case st.member != nobody && !st.regate && !r.placed(st.member): // a gate that is looked at again changes nothing
		r.list(st.member)
		return
	}
	st.queued = true
	r.ready[of(r.graph.Nodes[i].Finally)].put(i)
}

// placed says whether a member's host is at work for it in this process.
func (r *Reducer) placed(m int32) bool {
	h := &r.hosts.hosts[r.members[m].host]
	return h.owner == m && (h.is == admitted || h.is == granted || h.is == disrupted)
}

// launch starts every node that may start.
func (r *Reducer) launch() {
	q := &r.ready[of(r.last)]
	for r.running < r.opt.Limit && q.len() > 0 && r.mayLaunch() {
		i := q.take()
		st := &r.nodes[i]
		st.queued = false
		settles := r.effects.open(i) != nil
		if st.state != isPending || !settles && st.unmet > 0 {
			continue
		}
		if !settles && !st.regate && st.member != nobody && !r.placed(st.member) {
			r.list(st.member)
			continue
		}
		r.start(i)
	}
	if r.capacity() > 0 {
		for _, g := range r.starved {
			r.touch(g)
		}
		r.starved = r.starved[:0]
	}
}

func (r *Reducer) mayLaunch() bool { return !r.stopped && !r.paused && (!r.halted || r.last) }

// regate marks the gates that this process has to see open again before it changes anything: those that were open, but for those
// that wait for something else than such gates, which are looked at in their turn.
func (r *Reducer) regate() {
	if r.planted(19) {
		return
	}
	for i := range r.nodes {
		n, st := &r.graph.Nodes[i], &r.nodes[i]
		st.regate = false
		if n.Gate && !n.Finally && st.done > 0 && st.state != isSkipped && (st.member == nobody || r.members[st.member].is == ahead) {
			st.regate = true
		}
	}
	passed := make([]bool, len(r.barriers))
	for i := range r.nodes {
		if !r.nodes[i].regate {
			r.comesFirst(int32(i), passed)
		}
	}
	r.gates = 0
	for i := range r.nodes {
		if r.nodes[i].regate {
			r.setState(int32(i), isPending)
			r.gates++
		}
	}
}

// comesFirst takes the mark off the gates that wait for a node, and off those that wait for them. Nothing is gone through twice.
func (r *Reducer) comesFirst(j int32, passed []bool) {
	for list := r.waitingFor(j); len(list) > 0; {
		who := list[len(list)-1]
		list = list[:len(list)-1]
		switch {
		case who < 0 && !passed[^who]:
			passed[^who] = true
			list = append(list, r.barriers[^who].deps...)
		case who >= 0 && r.nodes[who].regate:
			r.nodes[who].regate = false
			if !r.isBehind(who) {
				r.setState(who, isPending)
			}
			list = append(list, r.waitingFor(who)...)
		}
	}
}

// isBehind says whether a gate guards nothing any more on its host: what comes after it there is done.
func (r *Reducer) isBehind(i int32) bool {
	return len(r.nodes[i].inner) > 0 && !slices.ContainsFunc(r.nodes[i].inner, func(next int32) bool {
		return !isWell(r.nodes[next].state) || r.nodes[next].regate
	})
}

// waitingFor are those to whom a node is a need that is not met: nodes, and barriers as ^index.
func (r *Reducer) waitingFor(j int32) []int32 {
	within, outside := r.owes(j)
	var list []int32
	if within {
		list = append(list, r.nodes[j].inner...)
	}
	if outside {
		list = append(list, r.nodes[j].outer...)
	}
	if m := r.nodes[j].member; within && m != nobody { // nor is its host through, whatever gates it has
		for _, n := range r.members[m].nodes {
			if r.nodes[n].regate {
				list = append(list, r.nodes[n].outer...)
			}
		}
	}
	return list
}

// needsGatesOnly says whether all that a node still waits for is gates that are looked at again.
func (r *Reducer) needsGatesOnly(i int32) bool {
	return !slices.ContainsFunc(r.names.Behind(r.graph.Nodes[i].Needs), func(j int) bool {
		return !r.wellFor(i, int32(j)) && !r.nodes[j].regate
	})
}

// wellFor says whether node j is settled well enough for node i.
func (r *Reducer) wellFor(i, j int32) bool {
	m := r.nodes[j].member
	return r.settledFor(j) && (m == nobody || m == r.nodes[i].member || r.members[m].is == through)
}

// openGates lets effects be made once every gate has been seen open.
func (r *Reducer) openGates() {
	if r.opened || r.gates > 0 {
		return
	}
	r.opened = true
	list := r.gated
	r.gated = nil
	for _, i := range list {
		r.enqueue(i)
	}
	for g := range r.rollouts {
		r.touch(int32(g))
	}
}

// stuck says why a run ends although steps are left: the first of them that nothing started, and what it waits for.
func (r *Reducer) stuck() string {
	for i := range r.nodes {
		st := &r.nodes[i]
		if isWell(st.state) || r.graph.Nodes[i].Finally {
			continue
		}
		n := &r.graph.Nodes[i]
		for _, j := range r.names.Behind(n.Needs) {
			if !r.wellFor(int32(i), int32(j)) {
				return fmt.Sprintf("%s could never start: it needs %s", n.ID, r.graph.Nodes[j].ID)
			}
		}
		return fmt.Sprintf("%s could never start", n.ID)
	}
	return ""
}
