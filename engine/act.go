package engine

import (
	"fmt"
	"slices"
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
	proved bool
	at     time.Duration // when it was proved
	asking bool
	why    string        // why it could not be
	pause  time.Duration // before it is asked for again
	next   time.Duration
}

// An outageState is the time in which the cluster's API may be away because of one step. Only that step may act in it.
type outageState struct {
	node  int32
	until time.Duration
}

func (o *outageState) open(now time.Duration) bool { return o.node != nobody && now < o.until }

func (o *outageState) extend(node int32, until time.Duration) {
	if o.node != node || until > o.until {
		o.node, o.until = node, until
	}
}

func (o *outageState) end(node int32) {
	if o.node == node {
		*o = outageState{node: nobody}
	}
}

// reopenOutage lets the API be away while an effect of an earlier process is settled.
func (r *Reducer) reopenOutage(i int32) {
	if !r.outage.open(r.now) || r.outage.node == i {
		r.outage.extend(i, r.now+settleWindow)
	}
}

// propose takes up what is left to do.
func (r *Reducer) propose(i int32, w *work, changes []Proposal) {
	for c := range changes {
		if bad := r.unfit(i, w, &changes[c]); bad != nil {
			r.fail(i, w, bad)
			return
		}
	}
	w.stage, w.proposals, w.next, w.halt, w.failures, w.refusals = wanting, changes, 0, false, nil, nil
	r.permits = append(r.permits, i)
}

// unfit refuses what only a mistake in a kind could ask for.
func (r *Reducer) unfit(i int32, w *work, p *Proposal) *Failure {
	switch {
	case p.Say == "" || p.Repeat == "":
		return &Failure{Why: fmt.Sprintf("%s asked for an incomplete change %q, which is an error in upgrader itself", r.graph.Nodes[i].Kind, p.Say)}
	case w.made[p.Say+"\x00"+p.Of] >= rounds:
		return &Failure{Why: fmt.Sprintf("did not converge: %q was done %d times and is still to be done", strings.TrimSpace(p.Say+" "+p.Of), rounds)}
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
		if w != nil && w.stage == wanting && !r.begins(i, w) || w != nil && w.stage == making && !r.continues(i, w) {
			still = append(still, i)
		}
	}
	r.permits = append(still, r.permits...)
}

// begins has a node act, or end, and says whether it did.
func (r *Reducer) begins(i int32, w *work) bool {
	why, ok := r.mayAct(i, w)
	switch {
	case w.stage != wanting: // it has settled
	case ok:
		r.act(i, w)
	default:
		r.say(i, w, why)
		if w.ring == 0 {
			r.setRing(i, w, w.deadline)
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
		w.halt = true
		r.checkEffects(i, w)
	default:
		return false
	}
	return true
}

// mayAct says whether a node may make changes now, and what stands in the way. A reason that will be gone in a moment is empty.
func (r *Reducer) mayAct(i int32, w *work) (why string, ok bool) {
	st := &r.nodes[i]
	switch {
	case r.halting(i, w):
		r.settled(i, Stopped, w.why)
		return "", false
	case r.now >= w.deadline:
		r.fail(i, w, r.timedOut(i, w, "to "+strings.TrimSpace(w.proposals[0].Say+" "+w.proposals[0].Of)))
		return "", false
	case r.outage.open(r.now) && r.outage.node != i:
		return r.graph.Nodes[r.outage.node].ID + " has the API away for a moment", false
	case !w.undoing && !r.graph.Nodes[i].Finally && !r.opened:
		return "the gates are looked at again first", false
	case st.member != nobody && !w.undoing && !r.mayChange(st.member): // what is taken back makes room
		g := r.members[st.member].rollout
		r.touch(g)
		return r.roomWords(g), false
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
	case !r.opt.Guarded || r.outage.open(r.now) && r.outage.node == i || l.proved && r.now-l.at < lockProof:
		return "", true
	case !l.asking && r.now >= l.next:
		l.asking = true
		r.want(Command{Do: Hold})
	}
	return l.why, false
}

// held takes in whether the lock is.
func (r *Reducer) held(ev Event) {
	l := &r.lock
	l.asking = false
	if ev.Err == nil {
		*l = lockState{proved: true, at: r.now}
		return
	}
	l.proved = false
	l.why = "the cluster's lock cannot be renewed, so nothing new is started: " + ev.Err.Why
	l.pause = min(max(2*l.pause, firstPause), longestPause)
	l.next = r.now + l.pause
	r.timers.add(l.next, alarmHold, 0)
}

// act begins as many of the changes as may be under way at once.
func (r *Reducer) act(i int32, w *work) {
	w.stage, w.ring = making, 0
	for c := range w.proposals {
		if o := w.proposals[c].Outage; o > 0 {
			r.outage.extend(i, r.now+o)
		}
	}
	r.beginEffects(i, w)
}

func (r *Reducer) beginEffects(i int32, w *work) {
	for !w.halt && w.next < len(w.proposals) && w.inflight < parallel {
		r.beginEffect(i, w)
	}
}

// beginEffect journals the intent of the next change and has it made.
func (r *Reducer) beginEffect(i int32, w *work) {
	n, p, c := &r.graph.Nodes[i], &w.proposals[w.next], w.next
	w.next++
	w.inflight++
	ticket := ticketID(r.opt.Run, n.ID, int(r.nodes[i].effects)+1)
	rec := journal.Record{Kind: journal.Intent, Node: n.ID, Ticket: ticket, Host: n.Target.Name, Uses: n.Kind, Say: p.Say, Of: p.Of,
		Repeat: string(p.Repeat), Why: p.Expects, Digest: n.Digest, Group: n.Group, Outage: p.Outage}
	r.record(rec)
	r.effects.byTicket[ticket].change = c
	r.want(Command{Do: Make, Node: int(i), Change: c, Ticket: ticket, Until: w.deadline, Exempt: r.outage.open(r.now) && r.outage.node == i})
}

// ended takes in the end of an effect, or that nobody knows it.
func (r *Reducer) ended(i int32, w *work, ev Event) {
	e := r.effects.byTicket[ev.Ticket]
	if w.stage != making || e.Cut {
		return
	}
	if ev.Kind == Unwritten {
		r.effects.close(e)
		r.nodes[i].effects-- // no journal knows of it: the next one has its ticket
		w.failures, w.halt = append(w.failures, ev.Err), true
		r.finishEffect(i, w)
		return
	}
	switch err := ev.Err; {
	case err == nil:
		r.outcome(e, outcomeOK, "", ev.Facts)
		w.count(&w.proposals[e.change])
	case err.Class == Doubts && e.Repeat == Convergent:
		r.outcome(e, outcomeDoubt, err.Why, nil)
		w.count(&w.proposals[e.change])
	case err.Class == Doubts:
		w.doubts = append(w.doubts, e)
		r.settleNext(i, w)
		return
	case err.Class == Waits:
		r.outcome(e, outcomeRefused, err.Why, nil)
		w.refusals = append(w.refusals, err.Why)
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
	w.failures, w.halt = append(w.failures, &f), true
}

func (r *Reducer) outcome(e *effect, state, why string, facts map[string]string) {
	r.record(journal.Record{Kind: journal.Outcome, Node: r.graph.Nodes[e.Node].ID, Ticket: e.Ticket, State: state, Why: why, Facts: facts})
}

// settleNext asks about the next effect in doubt: one at a time, since they share their step's patience.
func (r *Reducer) settleNext(i int32, w *work) {
	if w.settling != nil || len(w.doubts) == 0 {
		return
	}
	w.settling, w.doubts = w.doubts[0], w.doubts[1:]
	r.ask(i, w.settling)
}

// tell takes in what became of an effect that was in doubt, or was left open by an earlier process.
func (r *Reducer) tell(i int32, w *work, ev Event) {
	e := w.settling
	if e == nil || e.Ticket != ev.Ticket || w.stage != settling && w.stage != making {
		return
	}
	if ev.Fate == "" {
		r.untold(i, w, e, ev.Err)
		return
	}
	w.settling = nil
	switch {
	case ev.Fate == Ended && ev.Err == nil:
		r.outcome(e, outcomeOK, "", ev.Facts)
	case ev.Fate == Ended:
		r.outcome(e, outcomeFailed, ev.Err.Why, nil)
		r.spoil(w, e, ev.Err)
	case ev.Fate == NeverStarted:
		r.outcome(e, outcomeNever, "", nil)
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
	case passes && r.now < w.deadline && !r.halting(i, w):
		r.say(i, w, why)
		if w.stage == making {
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
	w.ring = min(r.now+w.pause, w.deadline)
	w.pause = min(2*w.pause, longestPause)
	r.timers.add(w.ring, alarmNode, i)
}

// leaveOpen gives up waiting for an effect: the next process settles it.
func (r *Reducer) leaveOpen(i int32, w *work, err *Failure) {
	w.settling = nil
	if w.stage == settling {
		if err == nil {
			r.settled(i, Stopped, w.why)
		} else {
			r.conclude(i, err)
		}
		return
	}
	w.halt = true
	if err != nil {
		w.failures = append(w.failures, err)
	}
	r.finishEffect(i, w)
}

// afterTold goes on where an effect was in doubt. One that ended badly fails the step as if it had been watched.
func (r *Reducer) afterTold(i int32, w *work) {
	switch {
	case w.stage == making:
		r.finishEffect(i, w)
	case len(w.failures) > 0:
		r.giveIn(i, w, w.failures[0])
	default:
		r.goOn(i, w)
	}
}

// finishEffect begins the next change where one has ended, or sums up when all have.
func (r *Reducer) finishEffect(i int32, w *work) {
	w.inflight--
	r.settleNext(i, w)
	if !w.halt && w.next < len(w.proposals) {
		if !slices.Contains(r.permits, i) {
			r.permits = append(r.permits, i) // the next one is begun when nothing stands in its way
		}
		return
	}
	r.checkEffects(i, w)
}

// checkEffects sums up when nothing is under way any more.
func (r *Reducer) checkEffects(i int32, w *work) {
	if w.inflight == 0 && w.settling == nil && (w.halt || w.next == len(w.proposals)) {
		r.sumUp(i, w)
	}
}

// sumUp makes one answer of many: what failed, or waits for a person, or was refused for now, or nothing.
func (r *Reducer) sumUp(i int32, w *work) {
	e := r.effects.undecided(i)
	switch {
	case r.effects.mayRun(i) != nil && len(w.failures) == 0:
		r.settled(i, Stopped, w.why)
	case len(w.failures) > 0:
		r.fail(i, w, joined(w.failures))
	case e != nil:
		r.conclude(i, &Failure{Class: Asks, Why: r.question(e)})
	case len(w.refusals) > 0:
		r.wait(i, w, strings.Join(w.refusals, "; "), observing)
	case r.halting(i, w) && w.next < len(w.proposals):
		r.settled(i, Stopped, w.why)
	case w.once && r.nodes[i].made && w.next == len(w.proposals):
		r.settled(i, Done, "")
	default:
		w.pause = firstPause
		r.observe(i, w)
	}
}

// joined is several failures as one: it may be tried again if each of them may.
func joined(list []*Failure) *Failure {
	f := *list[0]
	for _, more := range list[1:] {
		f.Why += "\n" + more.Why
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

// fnv32 keeps tickets of nodes apart whose names differ only in what a slug leaves out.
func fnv32(s string) uint32 {
	h := uint32(2166136261)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}
