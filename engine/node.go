package engine

import (
	"fmt"
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
	Cause    *Failure // undoing: why

	Proposals []Proposal
	Next      int // of proposals: to be made
	Inflight  int
	Halt      bool     // no more of the proposals are begun
	Doubts    []string // tickets that nobody knows the end of
	Settling  string   // the one that is asked about
	Failures  []*Failure
	Refusals  []string
}

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

// While a step waits it looks again after a moment at first and every two seconds later on: often enough for a person
// who watches, and one or two cheap requests each time.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// undoTime is what taking a step back may last beyond the step's own deadline.
const undoTime = time.Minute

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
	if ev.State != Stopped && ev.State != Paused { // that attempt has ended; the clock starts again
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

// takeDecision is what a person's word means: about a node as it was when they gave it, or about a host.
func (r *Reducer) takeDecision(ev *journal.Record) {
	if ev.Node == "" {
		r.writeOff(ev)
		return
	}
	i := r.find(ev.Node)
	if i == nobody {
		r.decideStrays(ev)
		return
	}
	st, same := &r.nodes[i], ev.Digest == "" || ev.Digest == r.graph.Nodes[i].Digest
	switch {
	case ev.State == Done, ev.State == "retry": // what became of the effects is true whatever the plan says now
		r.decide(i)
		st.said = Decision{}
		if st.made = false; same && ev.State == Done {
			r.settle(i, isDone)
		}
	case same || r.planted(29):
		st.said = Decision{Verdict: ev.State, Who: ev.Who, At: ev.Time, Digest: ev.Digest}
	}
}

// writeOff frees a host of which a person says that what became of it does not matter any more.
func (r *Reducer) writeOff(ev *journal.Record) {
	i, ok := r.hosts.index[ev.Host]
	if !ok || ev.State != Done {
		return
	}
	for _, e := range append([]*effect(nil), r.effects.byHost[ev.Host]...) {
		r.effects.close(e)
	}
	for _, m := range r.hosts.hosts[i].members {
		r.members[m].touched = 0
	}
	r.setDown(i, "")
	r.forget(i)
}

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
	return &Failure{Late: true, Why: fmt.Sprintf("timed out after %s, still waiting: %s", r.graph.Nodes[i].Timeout, why)}
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
		switch {
		case w.Stage == waiting, w.Stage == wanting:
			r.settled(int32(i), Stopped, w.Why)
		case w.Stage == asking:
			r.want(Command{Do: Unask, Node: i})
		}
	}
}

// fail ends an attempt, and makes another if that may help.
func (r *Reducer) fail(i int32, w *work, err *Failure) {
	n := &r.graph.Nodes[i]
	if w.Undoing {
		r.undone(i, w, err)
		return
	}
	w.Tries++
	if w.Tries >= n.Retry.Attempts && !r.planted(27) || !r.again(i, w, err) {
		r.giveIn(i, w, err)
		return
	}
	w.Pause = w.Backoff
	if r.planted(28) {
		w.Pause = 0
	}
	w.Backoff = min(2*w.Backoff, max(n.Retry.Max, n.Retry.Backoff))
	r.wait(i, w, fmt.Sprintf("%s; attempt %d of %d follows", err.Why, w.Tries+1, n.Retry.Attempts), observing)
	w.Pause = firstPause
}

// again says whether a failed attempt may be made again: never while an effect of it may be going on, or waits for a person.
func (r *Reducer) again(i int32, w *work, err *Failure) bool {
	if err.Late || err.Class == Asks || err.Class == Refuses || err.Class == Doubts || r.effects.mayRun(i) != nil || r.effects.undecided(i) != nil || r.halting(i, w) {
		return false
	}
	if r.graph.Nodes[i].Retry.On != "" {
		return err.Again
	}
	return err.Class == Passes
}

// giveIn takes a step back that has failed for good, if it can be and nothing of it is in doubt.
func (r *Reducer) giveIn(i int32, w *work, err *Failure) {
	if !w.Undoes || r.effects.open(i) != nil || r.planted(45) {
		r.conclude(i, err)
		return
	}
	w.Undoing, w.Cause, w.Deadline, w.Why, w.Pause = true, err, r.now+undoTime, "", longestPause
	r.observe(i, w)
}

// undone ends a node whose step was taken back, or could not be.
func (r *Reducer) undone(i int32, w *work, err *Failure) {
	cause := *w.Cause
	if err != nil {
		cause.Why += "\nand it could not be taken back: " + err.Why
	}
	r.conclude(i, &cause)
}

// conclude ends a node that failed, was refused or asks a person.
func (r *Reducer) conclude(i int32, err *Failure) {
	state := Failed
	switch err.Class {
	case Refuses:
		state = Refused
	case Asks:
		state = Paused
	}
	r.settled(i, state, err.Why)
}

// settled journals the end of a node.
func (r *Reducer) settled(i int32, state, why string) {
	n, st := &r.graph.Nodes[i], &r.nodes[i]
	r.outage.end(i)
	if st.work != nil {
		r.want(Command{Do: Leave, Node: int(i)})
	}
	st.work = nil
	rec := journal.Record{Kind: journal.Settled, Node: n.ID, Digest: n.Digest, State: state, Why: why}
	if m := st.member; m != nobody && isWell(conditionOf(state)) && r.members[m].left == 1 && !isWell(st.state) {
		rec.Group = n.Group // its host is through: an edited plan may have more to do there, but it is in the middle of nothing
	}
	r.record(rec)
	if state == Stopped && (!r.halted || n.Finally) {
		r.enqueue(i) // its turn may have come while it settled what was open
	}
}

// askPerson brings a step's question to a person, once.
func (r *Reducer) askPerson(i int32, w *work, err *Failure) {
	if !r.opt.Inbox || w.Asked {
		r.conclude(i, err)
		return
	}
	if r.halting(i, w) {
		r.settled(i, Stopped, w.Why)
		return
	}
	w.Asked, w.Stage, w.Cause = true, asking, err
	r.say(i, w, err.Why)
	r.want(Command{Do: Ask, Node: int(i), Why: err.Why, Until: w.Deadline})
}

func (r *Reducer) answered(i int32, w *work, ev Event) {
	n := &r.graph.Nodes[i]
	d := ev.Decision
	switch {
	case d.Verdict != "":
		if d.Digest == "" {
			d.Digest = n.Digest
		}
		r.record(journal.Record{Kind: journal.Decision, Node: n.ID, State: d.Verdict, Who: d.Who, Time: d.At, Digest: d.Digest})
		w.Cause = nil
		r.observe(i, w)
	case r.halting(i, w):
		r.settled(i, Stopped, w.Why)
	case r.now >= w.Deadline:
		r.fail(i, w, r.timedOut(i, w, w.Cause.Why))
	default:
		r.conclude(i, w.Cause)
	}
}

// rehearsed announces what would be made until there is nothing new to say. Time does not pass in a rehearsal, and nobody
// is asked.
func (r *Reducer) rehearsed(i int32, w *work, ev Event) {
	n := &r.graph.Nodes[i]
	switch {
	case ev.Err == nil:
		if fresh := r.announce(i, w, ev.Changes); fresh && !r.planted(43) {
			r.observe(i, w)
			return
		}
		r.settled(i, Done, "")
	case ev.Err.Class == Waits, ev.Err.Class == Asks:
		words := map[Class]string{Waits: "waits until this holds: ", Asks: "asks a person: "}[ev.Err.Class]
		r.record(journal.Record{Kind: journal.Wait, Node: n.ID, Why: words + ev.Err.Why})
		r.settled(i, Done, "")
	default:
		r.fail(i, w, ev.Err)
	}
}

// announce says what changes would be made, and tells whether any was new; a change asked for again is one that no promise makes
// go away.
func (r *Reducer) announce(i int32, w *work, changes []Proposal) bool {
	var fresh []int
	for c := range changes {
		p := &changes[c]
		if w.count(p) > 1 {
			continue
		}
		fresh = append(fresh, c)
		r.record(journal.Record{Kind: journal.Intent, Node: r.graph.Nodes[i].ID, State: outcomeWould, Say: p.Say, Of: p.Of, Repeat: string(p.Repeat), Why: p.If})
	}
	if len(fresh) > 0 {
		r.want(Command{Do: Announce, Node: int(i), Changes: fresh})
	}
	return len(fresh) > 0
}

// count counts a change by its words, and returns how often it has come.
func (w *work) count(p *Proposal) int {
	if w.Made == nil {
		w.Made = map[string]int{}
	}
	key := p.Say + "\x00" + p.Of
	w.Made[key]++
	return w.Made[key]
}
