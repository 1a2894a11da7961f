package engine

import (
	"cmp"
	"fmt"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// How a node ends: tried again, taken back, asked about, failed.

// undoTime is what taking a step back may last beyond the step's own deadline.
const undoTime = time.Minute

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
	if err.Late || err.Class == Asks || err.Class == Doubts || r.effects.mayRun(i) != nil || r.effects.undecided(i) != nil || r.halting(i, w) {
		return false
	}
	if r.graph.Nodes[i].Retry.On != "" {
		return err.Again
	}
	return err.Class == Passes
}

// giveIn ends a step that has failed for good, unless it ran out of time and a person is to be asked about that.
func (r *Reducer) giveIn(i int32, w *work, err *Failure) {
	err.Late = err.Late || r.now >= w.Deadline // an effect that its deadline ended says so in words of its own
	if err.Late && r.graph.Nodes[i].OnTimeout == AskPerson && r.mayAskLate(i, w, err) {
		r.askPerson(i, w, &Failure{Class: Asks, Late: true, Why: lateQuestion + err.Why})
		return
	}
	r.takeBack(i, w, err)
}

// takeBack takes a step back that has failed for good, if it can be and nothing of it is in doubt.
func (r *Reducer) takeBack(i int32, w *work, err *Failure) {
	if !w.Undoes || r.effects.open(i) != nil || r.planted(45) {
		r.conclude(i, err)
		return
	}
	w.Undoing, w.Cause, w.Deadline, w.Why, w.Last, w.Pause = true, err, r.now+undoTime, "", mishap{}, longestPause
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
	r.ends(i, journal.Record{State: state, Why: err.Why, Late: err.Late && state == Failed})
}

// settled ends a node.
func (r *Reducer) settled(i int32, state, why string) {
	r.ends(i, journal.Record{State: state, Why: why})
}

// ends journals the end of a node: how, and why.
func (r *Reducer) ends(i int32, rec journal.Record) {
	n, st := &r.graph.Nodes[i], &r.nodes[i]
	r.outage.end(i)
	if st.work != nil {
		r.want(Command{Do: Leave, Node: int(i)})
	}
	st.work = nil
	rec.Kind, rec.Node, rec.Digest = journal.Settled, n.ID, n.Digest
	if m := st.member; m != nobody && isWell(conditionOf(rec.State)) && r.members[m].left == 1 && !isWell(st.state) {
		rec.Group = n.Group // its host is through: an edited plan may have more to do there, but it is in the middle of nothing
	}
	r.record(rec)
	if rec.State == Stopped && (!r.halted || n.Finally) {
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
	until := w.Deadline
	if err.Late {
		until = r.now + r.graph.Nodes[i].Timeout
	}
	r.want(Command{Do: Ask, Node: int(i), Why: err.Why, Until: until})
}

func (r *Reducer) answered(i int32, w *work, ev Event) {
	n := &r.graph.Nodes[i]
	d := ev.Decision
	switch {
	case d.Verdict != "":
		if d.Digest == "" {
			d.Digest = n.Digest
		}
		late := w.Cause.Late
		r.record(d.Record(n.ID))
		w.Cause = nil
		if late {
			r.answeredLate(i, w)
		} else {
			r.observe(i, w)
		}
	case r.halting(i, w):
		r.settled(i, Stopped, w.Why)
	case r.now >= w.Deadline && !w.Cause.Late:
		r.fail(i, w, r.timedOut(i, w, w.Cause.Why))
	default:
		r.conclude(i, cmp.Or(ev.Err, w.Cause))
	}
}
