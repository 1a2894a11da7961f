package sim

import (
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// want judges a command at the moment at which the reducer gives it.
func (j *judge) want(c *engine.Command) {
	switch c.Do {
	case engine.Append:
		j.appended(&c.Record)
	case engine.Bind:
		j.flying++
		j.bind(c)
	case engine.Observe:
		j.flying++
		j.observe(c)
	case engine.Settle:
		j.flying++
		j.cur[c.Node].settles = true
	case engine.Make:
		j.flying++
		j.make(c)
	case engine.Ask:
		j.cur[c.Node].asked = j.p.script.graph.Nodes[c.Node].Digest
		if t := &j.p.script.toys[c.Node]; t.kind != approval {
			j.asksLate(j.cur[c.Node], t)
		}
	}
}

func (j *judge) bind(c *engine.Command) {
	b, t := j.cur[c.Node], &j.p.script.toys[c.Node]
	b.begun, b.rounds, b.final, b.looked, b.undoing = true, 0, false, false, false
	if !j.p.script.units[t.unit].finally {
		return
	}
	if j.failed && c.State != engine.Failed {
		j.fail("I12", "%s, which is done finally, is told that the run is %s, and it has failed", b.id, c.State)
	}
}

func (j *judge) observe(c *engine.Command) {
	b := j.cur[c.Node]
	if b.undoing = c.Undo; c.Undo {
		return
	}
	b.looked = true
	j.attempts(b, &j.p.script.toys[c.Node])
	if c.Since != b.since || !b.started {
		j.fail("I10", "%s is told that it was first started at %s, and that was at %s", b.id, c.Since, b.since)
	}
	j.inTime(b, &j.p.script.toys[c.Node])
	if c.Decision.Verdict == engine.Approve && b.approved != j.p.script.graph.Nodes[c.Node].Digest {
		j.fail("approval", "%s is told that it is approved, and nobody has approved this text", b.id)
	}
}

// attempts are bounded, and what failed for good is not tried again.
func (j *judge) attempts(b *book, t *toy) {
	if b.rounds >= t.attempts && b.spoilt {
		j.fail("retry", "%s is tried again after %d failed attempts of %d", b.id, b.rounds, t.attempts)
	}
	if b.final && b.spoilt {
		j.fail("retry", "%s is tried again although its failure is not one to be retried", b.id)
	}
	if b.spoilt && j.ago(b.rest) < t.backoff {
		j.fail("retry", "%s is tried again after %s, and its backoff is %s", b.id, j.ago(b.rest), t.backoff)
	}
}

// inTime: nothing is begun for a node whose time is up. Each process has one good look of a minute.
func (j *judge) inTime(b *book, t *toy) {
	if over := b.spent + j.ago(b.last) - t.timeout - time.Duration(b.lives)*time.Minute; over > 0 {
		j.fail("deadline", "%s is at work %s after its timeout of %s", b.id, over, t.timeout)
	}
}

func (j *judge) appended(rec *journal.Record) {
	if j.fenced {
		j.fail("I6", "a %s record is written after another upgrader has taken over", rec.Kind)
	}
	e := entry{kind: rec.Kind, node: rec.Node, state: rec.State, ticket: rec.Ticket, elapsed: rec.Elapsed}
	if rec.Elapsed != j.elapsed {
		j.fail("I10", "a %s record says %s, and it is %s", rec.Kind, rec.Elapsed, j.elapsed)
	}
	if i := j.p.find(rec.Node); rec.Node != "" && i >= 0 {
		e.digest = j.p.script.graph.Nodes[i].Digest
		switch rec.Kind {
		case journal.Intent:
			j.intent(i, rec)
			if j.p.script.toys[i].group >= 0 {
				e.stay = j.stay(&j.p.script.toys[i])
			}
		case journal.Settled:
			j.settles(i, rec)
			e.rest = j.cur[i].late
			e.late = rec.State == engine.Paused && engine.AsksLate(rec.Why) // the others ask about effects that were cut off
		}
	}
	if rec.Kind == journal.Stop {
		j.stopped = true
	}
	j.loose = append(j.loose, e)
	j.enter(&e)
	if i := j.p.find(rec.Node); rec.Kind == journal.Settled && i >= 0 {
		j.leaves(i, rec.State)
	}
}

func (j *judge) intent(i int, rec *journal.Record) {
	t, n := &j.p.script.toys[i], &j.p.script.graph.Nodes[i]
	repeat := engine.Convergent
	if t.kind.once() {
		repeat = engine.Once
	} else if t.kind.job() {
		repeat = engine.Guarded
	}
	switch {
	case j.tickets[rec.Ticket] != 0:
		j.fail("I5", "ticket %s of %s was given before", rec.Ticket, n.ID)
	case rec.Repeat != string(repeat) || rec.Host != n.Target.Name || rec.Uses != n.Kind || rec.Digest != n.Digest:
		j.fail("I5", "the intent of %s says %s of %s on %s for %s", n.ID, rec.Repeat, rec.Uses, rec.Host, rec.Digest)
	}
	j.tickets[rec.Ticket] = intended
}

// settles judges the end of a node.
func (j *judge) settles(i int, rec *journal.Record) {
	b, t := j.cur[i], &j.p.script.toys[i]
	finally := j.p.script.units[t.unit].finally
	switch rec.State {
	case engine.Done:
		j.reallyDone(b, t)
		j.seenEnough(b)
	case engine.Skipped:
		if !t.skip {
			j.fail("I12", "%s is skipped, and the plan does not say so", b.id)
		}
	case engine.Failed, engine.Refused:
		j.failed = true
		j.tooSoon(b, t, rec.Why)
		j.takenBack(b, t, rec.State)
		tolerated := j.tolerated(i, rec.State)
		j.halted = j.halted || !finally && !tolerated || j.stops(b, t, rec.Why)
		if tolerated {
			j.seenEnough(b)
		}
	case engine.Paused:
		j.paused, j.halted = true, true
	}
	b.settled = b.settled || rec.State != engine.Stopped
	if j.outage.node == i {
		j.outage.node = -1
	}
	if b.inflight > 0 {
		j.fail("I12", "%s is %s, and %d of its effects are under way", b.id, rec.State, b.inflight)
	}
}

// seenEnough takes a gate off those that nothing may be changed before: it was open, or its own host has fallen out of a rollout that
// goes on without it.
func (j *judge) seenEnough(b *book) {
	if b.mustSee {
		b.mustSee = false
		j.unseen--
	}
}

// reallyDone: the report says what is.
func (j *judge) reallyDone(b *book, t *toy) {
	switch {
	case t.kind == command || t.kind == tell:
		if !j.holds(t) && !j.byWord(t) {
			j.fail("I12", "%s is done, and its effect never was", b.id)
		}
	case !b.clean:
		j.fail("I12", "%s is done, and its latest observation found something to do", b.id)
	case t.kind.job() && !j.holds(t):
		j.fail("I12", "%s is done, and its goal does not hold", b.id)
	case t.kind == approval && b.approved == "":
		j.fail("approval", "%s is done, and nobody has approved it", b.id)
	case t.kind == wait && j.ago(b.since) < t.lasts:
		j.fail("soak", "%s has waited %s of %s", b.id, j.ago(b.since), t.lasts)
	}
}

// tooSoon: a node has the time that the plan gives it.
func (j *judge) tooSoon(b *book, t *toy, why string) {
	if timedOut(why) && j.ago(b.since) < t.timeout {
		j.fail("deadline", "%s is given up after %s, and its timeout is %s", b.id, j.ago(b.since), t.timeout)
	}
}

// takenBack: a drain that has failed of itself was asked to take its cordon back.
func (j *judge) takenBack(b *book, t *toy, state string) {
	if t.kind == drain && state == engine.Failed && b.looked && !b.undoing {
		j.fail("undo", "%s has failed, and was not asked what is to be taken back", b.id)
	}
}
