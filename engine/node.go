package engine

import (
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// The way of one node: its step is bound, what an earlier process left open is settled, then it is observed and changed
// until the goal holds, a person has to be asked, or it has failed for good.

// nodeState is what a node has come to.
type nodeState struct {
	state  condition
	regate bool // a gate that this process has not yet seen open
	queued bool
	made   bool  // the latest effect was made, under the present text of the plan
	told   uint8 // whom it has told that it is settled
	unmet  int32 // needs that are not met
	member int32
	inner  []int32 // nodes on the same host, in the same rollout, that wait for it
	outer  []int32 // all others that do: nodes, and barriers as ^index

	effects int32 // ever begun: the ordinal of the latest ticket
	changed int   // when its first effect was begun, counted in records; 0: none was
	done    int   // when it was first done, counted in records; 0: never
	attempt int   // starts
	values  map[string]string
	said    Decision

	begun, last, spent time.Duration // of the present start, of its latest record, and of the starts before it
	since              time.Duration // first start
	started            bool          // since is set

	work *work // while it is at work
}

// condition is a node's state.
type condition uint8

const (
	isPending condition = iota
	isRunning
	isDone
	isSkipped
	isFailed
	isRefused
	isPaused
)

func (c condition) String() string {
	return [...]string{Pending, Running, Done, Skipped, Failed, Refused, Paused}[c]
}

func conditionOf(state string) condition {
	switch state {
	case Running:
		return isRunning
	case Done:
		return isDone
	case Skipped:
		return isSkipped
	case Failed:
		return isFailed
	case Refused:
		return isRefused
	case Paused:
		return isPaused
	}
	return isPending
}

func isWell(c condition) bool { return c == isDone || c == isSkipped }

// setState changes a node's state and what is counted of it.
func (r *Reducer) setState(i int32, to condition) {
	st := &r.nodes[i]
	was := st.state
	st.state = to
	if was == isRunning {
		r.running--
	}
	if to == isRunning {
		r.running++
	}
	by := 0
	switch {
	case isWell(was) && !isWell(to):
		by = 1
	case !isWell(was) && isWell(to):
		by = -1
	}
	if by == 0 {
		return
	}
	if st.member != nobody {
		r.members[st.member].left += by
	}
	if !r.graph.Nodes[i].Finally {
		r.left += by
	}
}

// reopen is what a new process does to a node that had not ended well, or that is done by every process.
func (r *Reducer) reopen(i int32) {
	st := &r.nodes[i]
	if st.state == isRunning {
		st.spent += max(0, r.now-st.begun)
		st.begun, st.last = r.now, r.now
	}
	st.work, st.queued, st.regate = nil, false, false
	if r.graph.Nodes[i].Finally || !isWell(st.state) {
		r.setState(i, isPending)
	}
}

// used counts the time of a node: only that in which somebody was at work on it.
func (r *Reducer) used(i int32) {
	if i != nobody {
		r.nodes[i].last = r.now
	}
}

// takeNode is what the beginning and the end of a node mean.
func (r *Reducer) takeNode(i int32, ev *journal.Record) {
	st := &r.nodes[i]
	if ev.Kind == journal.Start {
		r.takeStart(i, ev)
		return
	}
	halts := ev.Late && r.stopsLate(i)
	if ev.State != Stopped && ev.State != Paused { // that attempt has ended; the clock starts again
		r.forgetLateAnswer(i)
		st.started, st.since, st.begun, st.last, st.spent = false, 0, 0, 0, 0
	}
	if ev.State == Stopped || ev.State == Paused {
		st.spent += max(0, r.now-st.begun)
		st.begun, st.last = r.now, r.now
	}
	if ev.Digest != "" && ev.Digest != r.graph.Nodes[i].Digest {
		r.setState(i, isPending) // what was done is not what the plan says now
		st.done, st.made = 0, false
		r.wasThrough(st.member, ev.Group)
		return
	}
	r.settle(i, conditionOf(ev.State))
	r.wasThrough(st.member, ev.Group)
	if halts && !r.planted(47) {
		r.halted = true // however many failures its rollout tolerates
	}
}

func (r *Reducer) takeStart(i int32, ev *journal.Record) {
	st := &r.nodes[i]
	r.setState(i, isRunning)
	if !st.started {
		st.started, st.since = true, r.now
	}
	st.attempt, st.begun = ev.Attempt, r.now
	if ev.Facts != nil {
		st.values = ev.Facts
	}
	if st.member == nobody {
		return
	}
	m := &r.members[st.member]
	m.begun = true
	if h := &r.hosts.hosts[m.host]; h.is == free && !st.regate { // in a replay: what let it in was no record
		r.setHost(m.host, admitted, st.member)
	}
}

// settle is the end of a node.
func (r *Reducer) settle(i int32, to condition) {
	st, n := &r.nodes[i], &r.graph.Nodes[i]
	r.setState(i, to)
	switch to {
	case isDone, isSkipped:
		if st.regate {
			st.regate = false
			r.gates--
		}
		if st.done == 0 {
			st.done = r.taken
		}
		if to == isDone {
			st.made = false // what is done and yet to be done was edited since, or is done at the end of every process
		}
		if n.Finally {
			st.values = nil
		}
		r.settledWell(i)
	case isPaused:
		r.paused, r.halted = true, true
	case isFailed, isRefused:
		if n.Finally {
			st.values = nil // the next process may be a better one
		}
		r.settledBadly(i, to == isRefused)
	}
}

func (r *Reducer) settledWell(i int32) {
	st := &r.nodes[i]
	r.releaseInner(i)
	m := st.member
	if m == nobody {
		r.releaseOuter(i)
		return
	}
	r.checkMember(m)
	if r.members[m].hurt {
		r.fall(m)
	}
}

func (r *Reducer) settledBadly(i int32, refused bool) {
	st, n := &r.nodes[i], &r.graph.Nodes[i]
	r.failed = true
	tolerated := st.member != nobody && r.fall(st.member) && !refused
	if tolerated && r.planted(48) {
		r.releaseInner(i)
	}
	if tolerated && st.regate { // what it would have said of its host is no matter of the others any more
		st.regate = false
		r.gates--
	}
	if !tolerated && !r.planted(15) {
		r.halted = true
	}
	if n.Finally && !r.planted(31) {
		r.releaseInner(i)
		if st.member == nobody {
			r.releaseOuter(i)
		}
	}
}
