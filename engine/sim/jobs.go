package sim

import (
	"slices"
	"time"

	"upgrader.dev/upgrader/engine"
)

// A job is an effect under its ticket, from the moment the controller has sent it off.
type job struct {
	ticket string
	toy    *toy
	deed   deed
	is     fate
	failed bool
	watch  []func()

	stay    *stay // the judge's: the host in its rollout
	decided bool  // a person has said what is true of it
	hasty   bool  // and it went on at that time
	again   bool  // a person has said that it may be repeated
}

// fate is how far a job is.
type fate uint8

const (
	sent    fate = iota // on its way: it may begin
	never               // it never began, and never will
	running             // on its host
	ended               // with or without success
	cut                 // by the death of its host
)

// over says whether nothing more will come of it.
func (j *job) over() bool { return j.is == never || j.is >= ended }

// spokenOf notes that a person has said what is true of a job.
func (j *job) spokenOf() { j.decided, j.hasty = true, j.hasty || !j.over() }

// turn is every change of a job's fate: the judge sees it, and those who wait for the end are told.
func (j *job) turn(w *world, to fate) {
	j.is = to
	w.seen(j)
	if !j.over() {
		return
	}
	list := j.watch
	j.watch = nil
	for _, tell := range list {
		tell()
	}
}

// begin starts a durable job on its host. One that may not begin never will.
func (j *job) begin(w *world, epoch int64) *engine.Failure {
	h := &w.hosts[j.toy.host]
	switch {
	case j.is == never:
		return failure(engine.Plain, "the host refuses this ticket")
	case epoch < w.lock:
		j.turn(w, never)
		return failure(engine.Supplanted, "another upgrader has taken over")
	case !h.alive:
		j.turn(w, never)
		return failure(engine.Passes, "the host cannot be reached")
	}
	w.trace("%s begins on %s (%s)", j.toy.kind, w.names[j.toy.host], j.ticket)
	j.turn(w, running)
	h.jobs = append(h.jobs, j)
	lasts := w.span(2*time.Second, 20*time.Second)
	if w.faults.slow && w.chance(15) {
		lasts = w.span(time.Minute, 6*time.Minute)
	}
	if j.toy.outage {
		w.apiAway = max(w.apiAway, w.now+min(lasts, 50*time.Second))
	}
	if j.toy.kind == reboot {
		w.die(j.toy.host, true, lasts)
		return nil
	}
	w.after(lasts, func() { j.end(w, !w.faults.fails || !w.chance(10)) })
	return nil
}

// end is the job's own end.
func (j *job) end(w *world, well bool) {
	if j.is != running {
		return
	}
	j.leave(w)
	j.failed = !well
	if well {
		w.bring(j.toy)
	}
	if j.toy.kind == reboot && w.faults.cuts && w.chance(20) {
		j.turn(w, cut) // the host is back, and nothing on it says how far it came
		return
	}
	j.turn(w, ended)
}

// cutOff ends a job in the middle: what it did may be there or not.
func (j *job) cutOff(w *world) {
	if j.leave(w); w.chance(50) {
		w.bring(j.toy)
	}
	j.turn(w, cut)
}

// leave takes a job off its host.
func (j *job) leave(w *world) {
	h := &w.hosts[j.toy.host]
	h.jobs = slices.DeleteFunc(h.jobs, func(o *job) bool { return o == j })
}

// bring makes what a step wants true.
func (w *world) bring(t *toy) { w.hosts[t.host].text[t.key] = t.goal() }

// goal is what a step writes.
func (t *toy) goal() int16 { return int16(t.text) + 1 }

// write carries out a convergent change by way of the API.
func (j *job) write(w *world, epoch int64) *engine.Failure {
	switch {
	case epoch < w.lock:
		j.turn(w, never)
		return failure(engine.Supplanted, "another upgrader has taken over")
	case w.away():
		j.turn(w, never)
		return failure(engine.Passes, "the API is away")
	case j.deed.what == doEvict && (w.faults.budgets && w.chance(30) || j.deed.pod == 0 && w.now < w.hosts[j.toy.host].kept):
		j.turn(w, never)
		return failure(engine.Waits, "the budget allows no disruption")
	case w.faults.fails && w.chance(2):
		j.turn(w, never)
		return failure(engine.Plain, "the API said no")
	}
	w.trace("%s on %s (%s)", j.deed.proposal(j.toy).Say, w.names[j.toy.host], j.ticket)
	switch j.deed.what {
	case doCordon:
		w.cordon(j.toy.host, j.toy.key)
	case doUncordon:
		w.uncordon(j.toy.host)
	case doEvict:
		w.evict(j.toy.host, j.deed.pod)
	case doApply:
		w.bring(j.toy)
	}
	j.is = running
	w.seen(j)
	j.turn(w, ended)
	return nil
}

// settle answers what became of a ticket, once it is known, and keeps one that has not begun from ever beginning.
func (w *world) settle(ticket string, t *toy, tell func(engine.Fate, *engine.Failure)) (waits *job) {
	j := w.jobs[ticket]
	if !w.hosts[t.host].alive {
		tell("", failure(engine.Passes, "the host cannot be asked"))
		return nil
	}
	if j == nil {
		j = &job{ticket: ticket, toy: t, is: never}
		w.jobs[ticket] = j
	}
	if j.is == sent {
		j.turn(w, never)
	}
	answer := func() { tell(j.verdict()) }
	if j.over() {
		answer()
		return nil
	}
	j.watch = append(j.watch, answer)
	return j
}

func (j *job) verdict() (engine.Fate, *engine.Failure) {
	switch {
	case j.is == never:
		return engine.NeverStarted, nil
	case j.is == cut:
		return engine.Cut, nil
	case j.failed:
		return engine.Ended, failure(engine.Plain, "exit status 1")
	}
	return engine.Ended, nil
}
