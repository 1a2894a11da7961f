package sim

import (
	"strings"

	"upgrader.dev/upgrader/engine"
)

// A step that ran out of time: its host is left out, or the run stops, or a person is asked.

func timedOut(why string) bool { return strings.HasPrefix(why, "timed out") }

// asksLate: a person is asked about no other step than one that the plan wants them to be asked about, and not before its time is over.
func (j *judge) asksLate(b *book, t *toy) {
	switch b.late = true; {
	case t.late != engine.AskPerson:
		j.fail("late", "a person is asked about %s, and the plan does not say so", b.id)
	case j.ago(b.since) < t.timeout:
		j.fail("late", "a person is asked about %s after %s, and its timeout is %s", b.id, j.ago(b.since), t.timeout)
	}
}

// stops says whether the end of a node has the run stop, because its time was over. It also notes that its host is left out.
func (j *judge) stops(b *book, t *toy, why string) bool {
	if !timedOut(why) {
		return false
	}
	if t.late == engine.AskPerson && b.word == "" && !t.kind.job() && t.kind != approval {
		j.fail("late", "%s is given up, and nobody has answered how to go on", b.id)
	}
	if t.group >= 0 {
		j.stay(t).left = j.p.epoch
	}
	return b.word == engine.StopRun || b.word == "" && t.late == engine.StopRun
}

// leftOut: the process that has left a host out of a rollout changes nothing on it any more for that.
func (j *judge) leftOut(b *book, t *toy, finally bool) {
	if !finally && j.stay(t).left == j.p.epoch {
		j.fail("late", "an effect of %s is begun on a host that was left out", b.id)
	}
}
