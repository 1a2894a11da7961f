package sim

import (
	"time"

	"upgrader.dev/upgrader/engine"
)

// freshLook is how old a look may be that lets a host in.
const freshLook = 15 * time.Second

// freshLock is how old a proof may be that the lock is held.
const freshLock = 5 * time.Second

// make judges an effect at the moment at which the reducer wants it made.
func (j *judge) make(c *engine.Command) {
	i, b, t := c.Node, j.cur[c.Node], &j.p.script.toys[c.Node]
	finally := j.p.script.units[t.unit].finally
	b.inflight++
	if t.skip {
		j.fail("I11", "an effect of %s is begun, and the plan skips it", b.id)
	}
	j.allowed(b, finally)
	j.ticket(b, c)
	j.locked(b, c)
	if !b.undoing {
		j.inTime(b, t)
		j.inTurn(i)
		j.gates(b, finally)
	}
	j.once(b, t, finally)
	if t.group >= 0 && !b.undoing {
		j.leftOut(b, t, finally)
		j.room(b, t)
	}
}

// allowed: nothing is begun by a process that was fenced, stopped or halted (I6).
func (j *judge) allowed(b *book, finally bool) {
	switch {
	case j.fenced:
		j.fail("I6", "an effect of %s is begun after another upgrader has taken over", b.id)
	case finally || b.undoing:
	case j.stopped:
		j.fail("I6", "an effect of %s is begun after a stop", b.id)
	case j.halted:
		j.fail("I6", "an effect of %s is begun after a failure", b.id)
	}
}

// ticket: an effect has an intent, and each change of an observation is made once (I5).
func (j *judge) ticket(b *book, c *engine.Command) {
	switch {
	case j.tickets[c.Ticket] != intended:
		j.fail("I5", "an effect of %s is begun without an intent of its own: %s", b.id, c.Ticket)
	case c.Change < 0 || c.Change >= b.changes:
		j.fail("I5", "%s makes change %d of %d", b.id, c.Change, b.changes)
	case b.taken&(1<<c.Change) != 0:
		j.fail("I5", "%s makes change %d of one observation twice", b.id, c.Change)
	}
	b.taken |= 1 << c.Change
	j.tickets[c.Ticket] = used
}

// locked: an effect rests on a lock that was proved just now, and on an API that nobody else has away.
func (j *judge) locked(b *book, c *engine.Command) {
	if j.outage.node >= 0 && j.outage.node != c.Node && j.elapsed < j.outage.until {
		j.fail("outage", "an effect of %s is begun while %s has the API away", b.id, j.cur[j.outage.node].id)
	}
	if j.p.script.toys[c.Node].outage {
		j.outage = outage{c.Node, j.elapsed + time.Minute}
	} else if c.Exempt && !b.settles {
		j.fail("outage", "%s is exempt from the lock, and its API is not away", b.id)
	}
	if !c.Exempt && (j.held < 0 || j.ago(j.held) > freshLock) {
		j.fail("I6", "an effect of %s is begun, and the lock was last proved at %s", b.id, j.held)
	}
}

// inTurn: what a node needs is settled well.
func (j *judge) inTurn(i int) {
	for _, n := range j.p.script.toys[i].needs {
		if !j.well(i, n) {
			j.fail("needs", "an effect of %s is begun before %s is done", j.cur[i].id, j.cur[n].id)
			return
		}
	}
}

// well says whether node n has come far enough for node i.
func (j *judge) well(i, n int) bool {
	a, b := &j.p.script.toys[i], &j.p.script.toys[n]
	if j.p.script.units[a.unit].finally {
		return !j.p.script.units[b.unit].finally || j.cur[n].settled
	}
	switch {
	case a.unit == b.unit || b.group < 0:
		return j.done(n) && j.seenOpen(n)
	case j.hostThrough(b):
		return j.elapsed >= j.stay(b).soaked
	}
	return j.endured(n)
}

// seenOpen says of a gate that this process has seen it open, or that nobody has to. What an earlier process saw is no answer:
// also a gate that comes after something which has failed since is looked at again, in its turn.
func (j *judge) seenOpen(n int) bool {
	b := j.cur[n]
	return j.p.script.toys[n].kind != gate || b.settled || b.state == engine.Skipped
}

// gates: each process has seen open what was open before, and what comes before the node (I10).
func (j *judge) gates(b *book, finally bool) {
	if finally || j.unseen == 0 {
		return
	}
	for i, g := range j.cur {
		if g.mustSee {
			j.fail("I10", "an effect of %s is begun before the gate %s is looked at again", b.id, j.cur[i].id)
			return
		}
	}
}

// once: a once-effect happens once unless a person says retry, and no effect is given a second ticket while the first may
// be going on (I4).
func (j *judge) once(b *book, t *toy, finally bool) {
	if !t.kind.job() {
		return
	}
	for _, old := range j.made[effectKey{t.host, t.key}] {
		switch {
		case !old.over() && !old.decided:
			j.fail("I4", "%s is begun again while %s may be going on", b.id, old.ticket)
		case !t.kind.once():
		case old.is == cut && !old.decided:
			j.fail("I4", "%s is repeated although it was cut off and nobody has said retry", b.id)
		case old.is == ended && !old.failed && old.toy.text == t.text && !old.again && !finally:
			j.fail("I4", "%s is repeated although it was done", b.id)
		}
	}
}
