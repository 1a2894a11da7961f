package engine

import (
	"upgrader.dev/upgrader/engine/journal"
)

// schedule does what has become right to do, and finishes the run when nothing is left.
func (r *Reducer) schedule() {
	r.ring()
	for again := true; again; again = len(r.dirty) > 0 || r.halted && !r.swept {
		r.sweep()
		r.openGates()
		r.permit()
		r.launch()
		r.attend()
	}
	if r.running == 0 {
		r.end()
	}
	r.wake()
}

// ring does what the clock says.
func (r *Reducer) ring() {
	for t, ok := r.timers.due(r.now); ok; t, ok = r.timers.due(r.now) {
		switch t.What {
		case alarmNode:
			r.ringNode(t.ID)
		case alarmGrant:
			r.lapse(t.ID)
		case alarmSoak:
			r.dried(t.ID)
		case alarmRoom:
			r.ringRoom(t.ID)
		case alarmLook:
			r.coming[of(r.rollouts[t.ID].finally)]--
			r.touch(t.ID)
		case alarmPermit:
		}
	}
}

// attend looks after the rollouts for which something has changed.
func (r *Reducer) attend() {
	list := r.dirty
	r.dirty = nil
	for _, g := range list {
		r.rollouts[g].dirty = false
		r.pursue(g)
	}
}

// capacity is how many more nodes could be at work.
func (r *Reducer) capacity() int { return r.opt.Limit - r.running - r.ready[of(r.last)].len() }

// end finishes the run, after what is done finally.
func (r *Reducer) end() {
	proper := !r.halted && (r.coming[0] > 0 || r.ready[0].len() > 0)
	if proper || r.last && r.coming[1] > 0 && !r.stopped && !r.paused {
		return
	}
	if !r.last && !r.stopped && !r.paused && (!r.failed || !r.planted(30)) && r.startLast() {
		r.schedule()
		return
	}
	if r.running == 0 && !r.finished {
		r.finished = true
		state := r.endState()
		r.record(journal.Record{Kind: journal.End, State: state, Why: r.why})
		r.want(Command{Do: Finish, State: state, Why: r.why})
	}
}

// startLast lets what is done finally begin, and says whether there is any.
func (r *Reducer) startLast() bool {
	r.last = true
	r.handOver()
	any := r.ready[1].len() > 0
	for i := range r.rollouts {
		if g := &r.rollouts[i]; g.finally {
			any = r.listAll(int32(i)) || any
		}
	}
	return any
}

// listAll lists every member of a rollout that could be let in, and says whether there is one.
func (r *Reducer) listAll(i int32) bool {
	g, any := &r.rollouts[i], false
	for m := g.first; m < g.first+int32(len(g.Hosts)); m++ {
		if r.startable(m) {
			r.members[m].listed = false
			r.list(m)
			any = true
		}
	}
	return any
}

func (r *Reducer) endState() string {
	switch {
	case r.failed:
		return Failed
	case r.paused, r.stopped:
		return Paused
	case r.left > 0:
		if r.why == "" {
			r.why = r.stuck()
		}
		return Failed
	}
	return Done
}

// wake asks for the earliest moment at which there is something to do.
func (r *Reducer) wake() {
	if r.finished || len(r.timers.list) == 0 {
		return
	}
	if at := r.timers.list[0].At; at != r.wakeAt && (!r.planted(36) || r.wakeAt <= r.now) {
		r.wakeAt = at
		r.want(Command{Do: Wake, At: at})
	}
}
