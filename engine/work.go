package engine

import (
	"fmt"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// The work on one node: its step is bound, what an earlier process left open is settled, then it is observed until there is
// nothing left to do.

// work is what is known of a node only while it is at work.
type work struct {
	Stage    stage
	Early    bool // its turn has not come: it only settles what is open
	Skip     bool // `when` is false: it only settles what is open
	Once     bool
	Undoes   bool
	Undoing  bool
	Asked    bool
	Deadline time.Duration
	Tries    int           // failed attempts
	Backoff  time.Duration // before the next one
	Pause    time.Duration // before the next look
	Ring     time.Duration // when its timer rings; 0: it has none
	Then     stage         // after the pause
	Why      string        // what was last said about waiting
	Made     map[string]int
	Last     mishap   // of attempts
	Cause    *Failure // undoing: why

	Proposals []Proposal
	Next      int // of proposals: to be made
	Inflight  int
	Halt      bool     // no more of the proposals are begun
	Doubts    []string // tickets that nobody knows the end of
	Settling  string   // the one that is asked about
	Failures  []*Failure
	Refusals  []string
	Unsure    bool // nobody knows whether a convergent change was made
}

// While a step waits it looks again after a moment at first and every two seconds later on: often enough for a person
// who watches, and one or two cheap requests each time.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// stage is what a node at work is doing.
type stage uint8

const (
	binding   stage = iota
	settling        // what an earlier process left open
	observing       // an answer is to come
	wanting         // it has proposals, and something stands in the way
	making          // effects are under way
	waiting         // for its timer
	asking          // a person
)

// start launches a node.
func (r *Reducer) start(i int32) {
	n, st := &r.graph.Nodes[i], &r.nodes[i]
	r.setState(i, isRunning)
	st.work = &work{Early: st.unmet > 0 && !r.needsGatesOnly(i), Pause: firstPause, Backoff: n.Retry.Backoff}
	state := Running
	if n.Finally {
		if state = Done; r.failed && !r.planted(41) {
			state = Failed
		}
	}
	r.want(Command{Do: Bind, Node: int(i), Before: st.values, State: state})
}

// hearNode takes in an answer about a node.
func (r *Reducer) hearNode(ev Event) {
	i := int32(ev.Node)
	if ev.Ticket != "" {
		e := r.effects.byTicket[ev.Ticket]
		if e == nil || e.Node == nobody {
			return
		}
		i = e.Node
	}
	w := r.nodes[i].work
	if w == nil {
		return // it has settled: a late answer
	}
	switch {
	case ev.Kind == Prepared && w.Stage == binding:
		r.bound(i, w, ev)
	case ev.Kind == Observed && w.Stage == observing:
		r.observed(i, w, ev)
	case ev.Kind == Made, ev.Kind == Unwritten && ev.Ticket != "":
		r.ended(i, w, ev)
	case ev.Kind == Unwritten:
		r.conclude(i, ev.Err)
	case ev.Kind == Told:
		r.tell(i, w, ev)
	case ev.Kind == Answered && w.Stage == asking:
		r.answered(i, w, ev)
	}
}

// bound begins a node whose step is made.
func (r *Reducer) bound(i int32, w *work, ev Event) {
	n, st := &r.graph.Nodes[i], &r.nodes[i]
	if ev.Err != nil {
		r.conclude(i, ev.Err)
		return
	}
	if ev.Unknown != "" {
		r.record(journal.Record{Kind: journal.Wait, Node: n.ID, Why: "known after " + ev.Unknown})
		ev.Skip = true
	}
	r.record(journal.Record{Kind: journal.Start, Node: n.ID, Attempt: st.attempt + 1, Facts: ev.Values})
	w.Once, w.Undoes = ev.Once && !r.opt.Rehearse, ev.Undoes && !r.opt.Rehearse
	w.Deadline = r.now + max(n.Timeout-st.spent, min(n.Timeout, time.Minute)) // one good look at least
	if r.planted(25) {
		w.Deadline += n.Timeout
	} else if r.planted(26) {
		w.Deadline -= n.Timeout / 2
	}
	w.Skip = ev.Skip
	r.goOn(i, w)
}

// goOn settles what is open, one after the other, and then does what a node is here for.
func (r *Reducer) goOn(i int32, w *work) {
	n := &r.graph.Nodes[i]
	for e := r.effects.open(i); e != nil; e = r.effects.open(i) {
		if e.Repeat != Convergent {
			w.Stage, w.Settling = settling, e.Ticket
			if e.Outage {
				r.reopenOutage(i)
			}
			r.ask(i, e.Ticket)
			return
		}
		r.record(journal.Record{Kind: journal.Outcome, Node: n.ID, Ticket: e.Ticket, State: outcomeDoubt})
	}
	switch {
	case w.Early:
		r.settled(i, Stopped, w.Why)
	case w.Skip:
		r.settled(i, Skipped, "")
	case w.Once && r.nodes[i].made:
		r.settled(i, Done, "")
	case r.effects.undecided(i) != nil && !r.opt.Rehearse && !r.planted(9):
		r.settled(i, Paused, r.question(r.effects.undecided(i)))
	case IsLateAnswer(r.nodes[i].said.Verdict):
		r.takeBack(i, w, r.decidedLate(i, r.nodes[i].said))
	default:
		r.observe(i, w)
	}
}

// ask has the target asked what became of an effect.
func (r *Reducer) ask(i int32, ticket string) {
	r.want(Command{Do: Settle, Node: int(i), Ticket: ticket, Until: r.nodes[i].work.Deadline})
}

func (r *Reducer) observe(i int32, w *work) {
	st := &r.nodes[i]
	w.Stage = observing
	c := Command{Do: Observe, Node: int(i), Until: w.Deadline, Since: st.since, Decision: st.said, Undo: w.Undoing}
	if r.planted(37) {
		c.Since = st.begun
	}
	if r.graph.Nodes[i].Gate && st.done > 0 && !r.planted(38) {
		c.InWork = r.inWork(st.done)
	}
	r.want(c)
}

// observed takes in what is left to do.
func (r *Reducer) observed(i int32, w *work, ev Event) {
	if r.opt.Rehearse && !r.planted(42) {
		r.rehearsed(i, w, ev)
		return
	}
	if why, waits := r.waits(i, w, ev.Err); waits && r.planted(33) {
		r.settled(i, Done, "")
		return
	} else if waits {
		if w.Undoing {
			w.Pause = longestPause
		}
		r.wait(i, w, why, observing)
		return
	}
	switch {
	case ev.Err != nil && w.Undoing:
		r.undone(i, w, ev.Err)
	case ev.Err != nil && ev.Err.Class == Asks:
		r.askPerson(i, w, ev.Err)
	case ev.Err != nil && ev.Err.Late:
		r.fail(i, w, r.timedOut(i, w, ev.Err.Why))
	case ev.Err != nil:
		r.fail(i, w, ev.Err)
	case len(ev.Changes) == 0 && w.Undoing:
		r.undone(i, w, nil)
	case len(ev.Changes) == 0:
		r.settled(i, Done, "")
	default:
		r.propose(i, w, ev.Changes)
	}
}

// waits says whether an error only means to look again later, and why. Before anything was changed a lost connection
// counts as a failed attempt; afterwards, and while some step has the API away, only the deadline ends the looking.
func (r *Reducer) waits(i int32, w *work, err *Failure) (string, bool) {
	switch {
	case err == nil || err.Late:
		return "", false
	case err.Class == Waits:
		return err.Why, true
	case err.Class == Passes && (r.nodes[i].changed > 0 || r.outage.open(r.now)):
		return err.Why, true
	}
	return "", false
}

// wait journals why the node waits, once per reason, and pauses until the next look, the deadline or the end.
func (r *Reducer) wait(i int32, w *work, why string, then stage) {
	if r.halting(i, w) {
		r.settled(i, Stopped, why)
		return
	}
	r.say(i, w, why)
	if r.now >= w.Deadline {
		r.fail(i, w, r.timedOut(i, w, ""))
		return
	}
	w.Stage, w.Then = waiting, then
	r.setRing(i, w, min(r.now+w.Pause, w.Deadline))
	w.Pause = min(2*w.Pause, longestPause)
}

// say journals what is waited for.
func (r *Reducer) say(i int32, w *work, why string) {
	if why != w.Why && why != "" {
		w.Why = why
		r.record(journal.Record{Kind: journal.Wait, Node: r.graph.Nodes[i].ID, Why: why})
	}
}

func (r *Reducer) setRing(i int32, w *work, at time.Duration) {
	w.Ring = at
	r.timers.add(at, alarmNode, i)
}

// ringNode is the end of a pause.
func (r *Reducer) ringNode(i int32) {
	w := r.nodes[i].work
	if w == nil || w.Ring == 0 || r.now < w.Ring {
		return
	}
	w.Ring = 0
	switch {
	case w.Stage == making && w.Settling != "" && r.now < w.Deadline:
		r.ask(i, w.Settling)
	case w.Stage == making && w.Settling != "":
		r.leaveOpen(i, w, r.timedOut(i, w, ""))
	case w.Stage != waiting && w.Stage != wanting:
	case r.now >= w.Deadline:
		r.fail(i, w, r.timedOut(i, w, ""))
	case w.Stage == wanting:
	case w.Then == settling:
		w.Stage = settling
		r.ask(i, w.Settling)
	default:
		r.observe(i, w)
	}
}

func (r *Reducer) timedOut(i int32, w *work, why string) *Failure {
	if w.Why != "" {
		why = w.Why
	}
	long := r.graph.Nodes[i].Timeout
	if w.Undoing {
		long = undoTime
	}
	return &Failure{Late: true, Why: w.withLast(fmt.Sprintf("timed out after %s, still waiting: %s", long, why))}
}

// halting says whether a node stops at its next change; never for what is done finally, or taken back.
func (r *Reducer) halting(i int32, w *work) bool {
	return r.halted && !r.graph.Nodes[i].Finally && !w.Undoing
}

// sweep ends what only waits, once the run halts.
func (r *Reducer) sweep() {
	if !r.halted || r.swept {
		return
	}
	r.swept = true
	for i := range r.nodes {
		w := r.nodes[i].work
		if w == nil || !r.halting(int32(i), w) {
			continue
		}
		switch w.Stage {
		case waiting, wanting:
			r.settled(int32(i), Stopped, w.Why)
		case asking:
			r.want(Command{Do: Unask, Node: i})
		}
	}
}

// count counts a change that was made, or announced, by its words, and returns how often it has come.
func (w *work) count(p *Proposal) int {
	if w.Made == nil {
		w.Made = map[string]int{}
	}
	w.forget(func(change string) bool { return change == p.key() })
	w.Made[p.key()]++
	return w.Made[p.key()]
}
