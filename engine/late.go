package engine

import (
	"fmt"
	"strings"
)

// What becomes of a step whose time is over where the plan has a person asked: nothing, until they have answered. A process that nobody
// answers ends, and the next one takes the answer that was given meanwhile.

const lateQuestion = "give it as much time again (wait), leave its host out (skip), or begin nothing new (stop)? It "

// AsksLate says whether the words of a node that waits or has paused are the question about a step that ran out of time.
func AsksLate(words string) bool { return strings.HasPrefix(words, lateQuestion) }

// IsLateAnswer says whether a word is what a person may answer of a step that ran out of time.
func IsLateAnswer(verdict string) bool {
	return verdict == WaitOn || verdict == SkipHost || verdict == StopRun
}

// mayAskLate says whether a step that ran out of time can wait for a person: nothing of it may be going on, or is to be settled first,
// and it has put no question of its own, whose time was over.
func (r *Reducer) mayAskLate(i int32, w *work, err *Failure) bool {
	return !w.Asked && !r.planted(49) && (err.Class == Plain || err.Class == Passes) && r.effects.open(i) == nil && r.effects.undecided(i) == nil
}

// takeLateAnswer is what the answer means for what is kept of the step: its clock starts again, or its end is decided.
func (r *Reducer) takeLateAnswer(i int32, d Decision) {
	st := &r.nodes[i]
	if st.said = d; d.Verdict == WaitOn {
		st.said = Decision{}
		st.spent, st.begun, st.last = 0, r.now, r.now
	}
}

// answeredLate does what a person has answered.
func (r *Reducer) answeredLate(i int32, w *work) {
	if said := r.nodes[i].said; said.Verdict != "" {
		r.takeBack(i, w, r.decidedLate(i, said))
		return
	}
	w.Asked, w.Why, w.Pause, w.Deadline = false, "", firstPause, r.now+r.graph.Nodes[i].Timeout
	r.observe(i, w)
}

// decidedLate is the failure of a step whose time is over, and of which a person has said how to go on.
func (r *Reducer) decidedLate(i int32, said Decision) *Failure {
	rec := said.Record("")
	return &Failure{Late: true, Why: fmt.Sprintf("timed out after %s, and %s was decided by %s", r.graph.Nodes[i].Timeout, said.Verdict, DecidedBy(&rec))}
}

// stopsLate says whether nothing new begins when a step has run out of time, by a person's word or else by the plan's.
func (r *Reducer) stopsLate(i int32) bool {
	if said := r.nodes[i].said.Verdict; IsLateAnswer(said) {
		return said == StopRun
	}
	return r.graph.Nodes[i].OnTimeout == StopRun
}

// forgetLateAnswer has a person asked anew: what they answered was about an attempt that has ended, in whatever way.
func (r *Reducer) forgetLateAnswer(i int32) {
	if st := &r.nodes[i]; IsLateAnswer(st.said.Verdict) {
		st.said = Decision{}
	}
}
