package sim

import (
	"time"

	"upgrader.dev/upgrader/engine"
)

// hear takes an event in, before the reducer does.
func (j *judge) hear(ev *engine.Event) {
	j.elapsed = ev.Now
	if ev.Err != nil && ev.Err.Class == engine.Supplanted {
		j.fenced = true
	}
	switch ev.Kind {
	case engine.Stopping:
		j.stopped = true
	case engine.Looked:
		if ev.Err == nil {
			j.looked(ev)
			j.recovered(ev)
		}
	case engine.Held:
		if ev.Err == nil {
			j.held = ev.Now
		}
	case engine.Prepared, engine.Told:
		j.flying--
	case engine.Observed:
		j.flying--
		j.observed(j.cur[ev.Node], ev)
	case engine.Made:
		j.flying--
		j.ended(j.cur[ev.Node], ev.Err)
	case engine.Unwritten:
		j.flying--
		j.cur[ev.Node].inflight--
	case engine.Answered:
		j.answered(ev)
	}
}

// looked keeps a look at a rollout, and what it says of hosts that others share.
func (j *judge) looked(ev *engine.Event) {
	kept := &j.looks[ev.Group]
	copy(kept[1:], kept[:looksKept-1])
	kept[0] = glance{true, ev.Now, ev.Hosts}
	j.merged[ev.Group] = glance{true, ev.Now, map[string]string{}}
	for g := range j.merged {
		if !j.merged[g].taken {
			continue
		}
		for _, h := range j.p.script.units[j.p.script.group[ev.Group]].hosts {
			j.merged[g].down[j.names[h]] = ev.Hosts[j.names[h]]
		}
	}
}

// recovered: a host on which a step failed, and that a look has found in service, begins again.
func (j *judge) recovered(ev *engine.Event) {
	for _, h := range j.p.script.units[j.p.script.group[ev.Group]].hosts {
		if ev.Hosts[j.names[h]] == "" {
			j.begunAgain(h, false)
		}
	}
}

func (j *judge) observed(b *book, ev *engine.Event) {
	b.clean = ev.Err == nil && len(ev.Changes) == 0
	b.changes, b.taken, b.spoilt = len(ev.Changes), 0, false
	if ev.Err != nil && !b.undoing && ev.Err.Class == engine.Plain {
		j.failedOnce(b, ev.Err)
	}
}

func (j *judge) ended(b *book, err *engine.Failure) {
	if b.inflight--; err != nil && err.Class == engine.Plain && !b.undoing {
		j.failedOnce(b, err)
	}
}

// failedOnce counts an attempt that failed, once an observation.
func (j *judge) failedOnce(b *book, err *engine.Failure) {
	if b.spoilt {
		return
	}
	b.spoilt = true
	b.rounds++
	b.rest = j.elapsed
	b.final = b.final || !err.Again
}

func (j *judge) answered(ev *engine.Event) {
	b := j.cur[ev.Node]
	switch ev.Decision.Verdict {
	case engine.Approve:
		b.approved, b.rejected = b.asked, false
	case engine.Reject:
		b.approved, b.rejected = "", true
	}
}

// seen takes in what happens to an effect in the world.
func (j *judge) seen(job *job) {
	if job.stay == nil {
		return
	}
	switch job.is {
	case running:
		job.stay.flying--
		job.stay.touched = true
	case never:
		job.stay.flying--
	}
}

// sent notes that an effect is on its way.
func (j *judge) sent(job *job) {
	j.spent.Effects++
	t := job.toy
	if t.kind.job() {
		key := effectKey{t.host, t.key}
		j.made[key] = append(j.made[key], job)
	}
	if t.group >= 0 {
		job.stay = j.stay(t)
		job.stay.flying++
	}
}

// since says how long ago something was.
func (j *judge) ago(at time.Duration) time.Duration { return j.elapsed - at }
