package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// What stands between a change and its deed. Before each effect: the run has not stopped, failed or been taken over; no
// other step has the API away; the gates are open; the host may be changed; the lock is held. Then its intent is journaled,
// and then it is made.

// parallel bounds the effects of one step that are under way at once: evictions of a full node.
const parallel = 16

// settleWindow is how long the API may be away, seen from a resume, because of an effect of an earlier process that may
// still be going on: as long as kubeadm waits for one static pod.
const settleWindow = 5 * time.Minute

// lockProof is how long a proof that the lock is held is good for the next effects.
const lockProof = time.Second

// A lockState is what is known of the cluster's lock.
type lockState struct {
	Proved bool
	At     time.Duration // when it was proved
	Asking bool
	Why    string        // why it could not be
	Pause  time.Duration // before it is asked for again
	Next   time.Duration
}

// An outageState is the time in which the cluster's API may be away because of one step. Only that step may act in it.
type outageState struct {
	Node  int32
	Until time.Duration
}

func (o *outageState) open(now time.Duration) bool { return o.Node != nobody && now < o.Until }

func (o *outageState) extend(node int32, until time.Duration) {
	if o.Node != node || until > o.Until {
		o.Node, o.Until = node, until
	}
}

func (o *outageState) end(node int32) {
	if o.Node == node {
		*o = outageState{Node: nobody}
	}
}

// reopenOutage lets the API be away while an effect of an earlier process is settled.
func (r *Reducer) reopenOutage(i int32) {
	if !r.outage.open(r.now) || r.outage.Node == i {
		r.allowOutage(i, settleWindow)
	}
}

// allowOutage lets the API be away for a while because of a step. When that is over others may go on, even if the step is still
// at work.
func (r *Reducer) allowOutage(i int32, d time.Duration) {
	r.outage.extend(i, r.now+d)
	r.timers.add(r.now+d, alarmPermit, 0)
}

// propose takes up what is left to do.
func (r *Reducer) propose(i int32, w *work, changes []Proposal) {
	if bad := r.unfit(i, w, changes); bad != nil {
		r.fail(i, w, bad)
		return
	}
	w.Stage, w.Proposals, w.Next, w.Halt, w.Failures, w.Refusals, w.Unsure = wanting, changes, 0, false, nil, nil, false
	w.forget(func(change string) bool { // it is not asked for any more
		return !slices.ContainsFunc(changes, func(p Proposal) bool { return p.key() == change })
	})
	r.permits = append(r.permits, i)
}

// unfit refuses what only a mistake in a kind could ask for.
func (r *Reducer) unfit(i int32, w *work, changes []Proposal) *Failure {
	kind := r.graph.Nodes[i].Kind
	if w.Once && !w.Undoing && len(changes) > 1 { // which of them were made is not kept apart
		return &Failure{Why: fmt.Sprintf("%s is done when its change was made, and asked for %d, which is an error in upgrader itself", kind, len(changes))}
	}
	for _, p := range changes {
		switch {
		case p.Say == "" || p.Repeat == "":
			return &Failure{Why: fmt.Sprintf("%s asked for an incomplete change %q, which is an error in upgrader itself", kind, p.Say)}
		case w.Made[p.key()] >= rounds:
			return &Failure{Why: w.withLast(fmt.Sprintf("did not converge: %q was done %d times and is still to be done", strings.TrimSpace(p.Say+" "+p.Of), rounds))}
		}
	}
	return nil
}

// permit lets the nodes that want to change something do it, as far as nothing stands in the way.
func (r *Reducer) permit() {
	list := r.permits
	r.permits = nil
	var still []int32
	for _, i := range list {
		w := r.nodes[i].work
		if w != nil && w.Stage == wanting && !r.begins(i, w) || w != nil && w.Stage == making && !r.continues(i, w) {
			still = append(still, i)
		}
	}
	r.permits = append(still, r.permits...)
}

// begins has a node act, or end, and says whether it did.
func (r *Reducer) begins(i int32, w *work) bool {
	why, ok := r.mayAct(i, w)
	switch {
	case w.Stage != wanting: // it has settled
	case ok:
		r.act(i, w)
	default:
		r.say(i, w, why)
		if w.Ring == 0 {
			r.setRing(i, w, w.Deadline)
		}
		return false
	}
	return true
}

// continues has a node begin more of its effects, once the lock is proved anew; it looks again where that takes long.
func (r *Reducer) continues(i int32, w *work) bool {
	why, ok := r.mayHold(i)
	switch {
	case ok && !r.halting(i, w):
		r.beginEffects(i, w)
	case why != "" || r.halting(i, w):
		w.Halt = true
		r.checkEffects(i, w)
	default:
		return false
	}
	return true
}

// mayAct says whether a node may make changes now, and what stands in the way. A reason that will be gone in a moment is empty.
func (r *Reducer) mayAct(i int32, w *work) (why string, ok bool) {
	st := &r.nodes[i]
	if st.member != nobody && !w.Undoing {
		r.recheck(st.member)
	}
	switch {
	case r.halting(i, w):
		r.settled(i, Stopped, w.Why)
		return "", false
	case r.now >= w.Deadline:
		r.fail(i, w, r.timedOut(i, w, "to "+strings.TrimSpace(w.Proposals[0].Say+" "+w.Proposals[0].Of)))
		return "", false
	case r.outage.open(r.now) && r.outage.Node != i && !r.planted(44):
		return r.graph.Nodes[r.outage.Node].ID + " has the API away for a moment", false
	case !w.Undoing && !r.graph.Nodes[i].Finally && !r.opened && !r.planted(20):
		return "the gates are looked at again first", false
	case !w.Undoing && !r.graph.Nodes[i].Finally && st.unmet > 0: // its own gate failed on its host, which the rollout tolerates
		r.settled(i, Stopped, w.Why)
		return "", false
	case st.member != nobody && !w.Undoing && !r.mayChange(st.member): // what is taken back makes room
		g := r.members[st.member].rollout
		r.touch(g)
		return r.roomWords(g), false
	case st.member != nobody && !w.Undoing && r.yields(st.member):
		r.settled(i, Stopped, w.Why)
		return "", false
	}
	return r.mayHold(i)
}

// roomWords says what a host waits for that is at work and has no grant any more.
func (r *Reducer) roomWords(i int32) string {
	g := &r.rollouts[i]
	if g.short < 0 || g.looking && !g.napping {
		return ""
	}
	return fmt.Sprintf("there is no room for another host out of service (maxUnavailable %d)", g.MaxUnavailable)
}

// mayHold asks for a proof that the lock is held, where the last one is old. The step that has the API away needs none.
func (r *Reducer) mayHold(i int32) (why string, ok bool) {
	l := &r.lock
	switch {
	case !r.opt.Guarded || r.planted(17) || r.planted(18) && l.Proved || r.outage.open(r.now) && r.outage.Node == i || l.Proved && r.now-l.At < lockProof:
		return "", true
	case !l.Asking && r.now >= l.Next:
		l.Asking = true
		r.want(Command{Do: Hold})
	}
	return l.Why, false
}

// held takes in whether the lock is.
func (r *Reducer) held(ev Event) {
	l := &r.lock
	l.Asking = false
	if ev.Err == nil {
		*l = lockState{Proved: true, At: r.now}
		return
	}
	l.Proved = false
	l.Why = "the cluster's lock cannot be renewed, so nothing new is started: " + ev.Err.Why
	l.Pause = min(max(2*l.Pause, firstPause), longestPause)
	l.Next = r.now + l.Pause
	r.timers.add(l.Next, alarmPermit, 0)
}

// act begins as many of the changes as may be under way at once.
func (r *Reducer) act(i int32, w *work) {
	w.Stage, w.Ring = making, 0
	for c := range w.Proposals {
		if o := w.Proposals[c].Outage; o > 0 {
			r.allowOutage(i, o)
		}
	}
	r.beginEffects(i, w)
}

func (r *Reducer) beginEffects(i int32, w *work) {
	for !w.Halt && w.Next < len(w.Proposals) && w.Inflight < parallel {
		r.beginEffect(i, w)
	}
}

// beginEffect journals the intent of the next change and has it made.
func (r *Reducer) beginEffect(i int32, w *work) {
	n, p, c := &r.graph.Nodes[i], &w.Proposals[w.Next], w.Next
	w.Next++
	w.Inflight++
	ticket := ticketID(r.opt.Run, n.ID, int(r.nodes[i].effects)+1)
	if r.planted(13) {
		ticket = ticketID(r.opt.Run, n.ID, w.Next)
	}
	rec := journal.Record{Kind: journal.Intent, Node: n.ID, Ticket: ticket, Host: n.Target.Name, Uses: n.Kind, Say: p.Say, Of: p.Of,
		Repeat: string(p.Repeat), Why: p.Expects, Digest: n.Digest, Group: n.Group, Outage: p.Outage, Facts: p.Tried}
	r.record(rec)
	r.effects.byTicket[ticket].Change = c
	r.want(Command{Do: Make, Node: int(i), Change: c, Ticket: ticket, Until: w.Deadline, Exempt: r.outage.open(r.now) && r.outage.Node == i})
}

// ended takes in the end of an effect, or that nobody knows it.
func (r *Reducer) ended(i int32, w *work, ev Event) {
	e := r.effects.byTicket[ev.Ticket]
	if w.Stage != making || e.Cut {
		return
	}
	if ev.Kind == Unwritten {
		r.effects.close(e) // its ticket is not given again: one that came after it may be in the journal
		w.Failures, w.Halt = append(w.Failures, ev.Err), true
		r.finishEffect(i, w)
		return
	}
	switch err := ev.Err; {
	case err == nil:
		r.outcome(e, OutcomeOK, "", ev.Facts)
		w.count(&w.Proposals[e.Change])
	case err.Class == Doubts && e.Repeat == Convergent:
		r.outcome(e, outcomeDoubt, err.Why, nil)
		w.Unsure = true
		r.met(w, e, e.Say+": "+err.Why)
	case err.Class == Doubts:
		w.Doubts = append(w.Doubts, e.Ticket)
		r.settleNext(i, w)
		return
	case err.Class == Waits:
		r.outcome(e, outcomeRefused, err.Why, nil)
		w.Refusals = append(w.Refusals, err.Why)
		r.met(w, e, err.Why)
	case err.Class == Passes: // it may be gone at the next look
		r.outcome(e, outcomeFailed, err.Why, nil)
		w.Refusals, w.Halt = append(w.Refusals, e.Say+": "+err.Why), true
		r.met(w, e, e.Say+": "+err.Why)
	default:
		r.outcome(e, outcomeFailed, err.Why, nil)
		r.spoil(w, e, err)
	}
	r.finishEffect(i, w)
}

// spoil notes a failed effect: nothing more of its observation is begun.
func (r *Reducer) spoil(w *work, e *effect, err *Failure) {
	f := *err
	f.Why = e.Say + ": " + f.Why
	if w.Stage == making { // in a resume nobody has proposed it
		f.Of = w.Proposals[e.Change].Of
	}
	w.Failures, w.Halt = append(w.Failures, &f), true
	r.met(w, e, f.Why)
}

func (r *Reducer) outcome(e *effect, state, why string, facts map[string]string) {
	r.record(journal.Record{Kind: journal.Outcome, Node: r.graph.Nodes[e.Node].ID, Ticket: e.Ticket, State: state, Why: why, Facts: facts})
}

// settleNext asks about the next effect in doubt: one at a time, since they share their step's patience.
func (r *Reducer) settleNext(i int32, w *work) {
	if w.Settling != "" || len(w.Doubts) == 0 {
		return
	}
	w.Settling, w.Doubts = w.Doubts[0], w.Doubts[1:]
	r.ask(i, w.Settling)
}

// tell takes in what became of an effect that was in doubt, or was left open by an earlier process.
func (r *Reducer) tell(i int32, w *work, ev Event) {
	e := r.effects.byTicket[ev.Ticket]
	if w.Settling != ev.Ticket || w.Stage != settling && w.Stage != making {
		return
	}
	if ev.Fate == "" {
		r.untold(i, w, e, ev.Err)
		return
	}
	w.Settling = ""
	switch {
	case ev.Fate == Ended && ev.Err == nil:
		r.outcome(e, OutcomeOK, "", ev.Facts)
		if w.Stage == making { // one of this observation
			w.count(&w.Proposals[e.Change])
		}
	case ev.Fate == Ended:
		r.outcome(e, outcomeFailed, ev.Err.Why, nil)
		r.spoil(w, e, ev.Err)
	case ev.Fate == NeverStarted && !r.planted(35):
		r.outcome(e, outcomeNever, "", nil)
	case ev.Fate == NeverStarted:
		r.outcome(e, OutcomeOK, "", nil)
	case r.planted(34):
		r.outcome(e, OutcomeOK, "", nil)
	default:
		r.outcome(e, outcomeCut, "", nil)
	}
	r.afterTold(i, w)
}

// untold waits and asks again while the target cannot say what became of an effect.
func (r *Reducer) untold(i int32, w *work, e *effect, err *Failure) {
	passes := err.Class == Passes || err.Class == Doubts || err.Late
	why := fmt.Sprintf("%s may still be running on %s: %s", e.Say, e.Host, err.Why)
	switch {
	case passes && r.now < w.Deadline && !r.halting(i, w):
		r.say(i, w, why)
		if w.Stage == making {
			r.retell(i, w)
			return
		}
		r.wait(i, w, why, settling)
		return
	case passes && r.halting(i, w):
		r.leaveOpen(i, w, nil)
	case passes:
		r.say(i, w, why)
		r.leaveOpen(i, w, r.timedOut(i, w, why))
	default:
		r.leaveOpen(i, w, err)
	}
}

// retell asks again after a pause, while other effects of the same observation go on.
func (r *Reducer) retell(i int32, w *work) {
	w.Ring = min(r.now+w.Pause, w.Deadline)
	w.Pause = min(2*w.Pause, longestPause)
	r.timers.add(w.Ring, alarmNode, i)
}

// leaveOpen gives up waiting for an effect: the next process settles it.
func (r *Reducer) leaveOpen(i int32, w *work, err *Failure) {
	w.Settling = ""
	if w.Stage == settling {
		if err == nil {
			r.settled(i, Stopped, w.Why)
		} else {
			r.conclude(i, err)
		}
		return
	}
	w.Halt = true
	if err != nil {
		w.Failures = append(w.Failures, err)
	}
	r.finishEffect(i, w)
}

// afterTold goes on where an effect was in doubt. One that ended badly fails the step as if it had been watched.
func (r *Reducer) afterTold(i int32, w *work) {
	switch {
	case w.Stage == making:
		r.finishEffect(i, w)
	case len(w.Failures) > 0:
		r.giveIn(i, w, w.Failures[0])
	default:
		r.goOn(i, w)
	}
}

// finishEffect begins the next change where one has ended, or sums up when all have.
func (r *Reducer) finishEffect(i int32, w *work) {
	w.Inflight--
	r.settleNext(i, w)
	if !w.Halt && w.Next < len(w.Proposals) {
		if !slices.Contains(r.permits, i) {
			r.permits = append(r.permits, i) // the next one is begun when nothing stands in its way
		}
		return
	}
	r.checkEffects(i, w)
}

// checkEffects sums up when nothing is under way any more.
func (r *Reducer) checkEffects(i int32, w *work) {
	if w.Inflight == 0 && w.Settling == "" && (w.Halt || w.Next == len(w.Proposals)) {
		r.sumUp(i, w)
	}
}

// sumUp makes one answer of many: what failed, or waits for a person, or was refused for now, or nothing.
func (r *Reducer) sumUp(i int32, w *work) {
	e := r.effects.undecided(i)
	switch {
	case r.effects.mayRun(i) != nil && len(w.Failures) == 0:
		r.settled(i, Stopped, w.Why)
	case len(w.Failures) > 0:
		r.fail(i, w, joined(w.Failures))
	case e != nil && r.planted(11):
		r.observe(i, w)
	case e != nil:
		r.conclude(i, &Failure{Class: Asks, Why: r.question(e)})
	case len(w.Refusals) > 0:
		slices.Sort(w.Refusals) // in the order in which they came in the same reason would be another one at each look
		r.wait(i, w, strings.Join(w.Refusals, "; "), observing)
	case r.halting(i, w) && w.Next < len(w.Proposals):
		r.settled(i, Stopped, w.Why)
	case w.Once && r.nodes[i].made && w.Next == len(w.Proposals):
		r.settled(i, Done, "")
	case w.Unsure && !r.halting(i, w):
		r.wait(i, w, w.Last.Why, observing) // a look settles it, and what keeps an answer from coming may last
	default:
		w.Pause = firstPause
		r.observe(i, w)
	}
}

// joined is several failures as one, each reason told once: it may be tried again if each of them may.
func joined(list []*Failure) *Failure {
	f := *list[0]
	f.Why = strings.Join(alike(list), "\n")
	for _, more := range list[1:] {
		f.Again = f.Again && more.Again
		f.Late = f.Late || more.Late
		if more.Class != f.Class {
			f.Class = Plain
		}
	}
	return &f
}

func ticketID(run, node string, ordinal int) string {
	const most = 70 // leaves room for the run's ID in the 120 characters of a ticket
	slug := make([]byte, 0, most)
	for i := 0; i < len(node) && len(slug) < most; i++ {
		c := node[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			slug = append(slug, c)
		case c >= 'A' && c <= 'Z':
			slug = append(slug, c+'a'-'A')
		case len(slug) > 0 && slug[len(slug)-1] != '-':
			slug = append(slug, '-')
		}
	}
	return fmt.Sprintf("%s-%s-%08x-%d", run, slug, fnv32(node), ordinal)
}

// ordinalOf is the ordinal in a ticket. Those of a node may have gaps: a full disk had no room for an intent.
func ordinalOf(ticket string) int32 {
	n, err := strconv.ParseInt(ticket[strings.LastIndexByte(ticket, '-')+1:], 10, 32)
	if err != nil {
		return 0
	}
	return int32(n)
}

// fnv32 keeps tickets of nodes apart whose names differ only in what a slug leaves out.
func fnv32(s string) uint32 {
	h := uint32(2166136261)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}
