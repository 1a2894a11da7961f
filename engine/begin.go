package engine

// begin is a process taking the run up: whatever was under way or went wrong is looked at again, gates are too, and hosts in the
// middle of their steps keep their places but must be allowed to go on.
func (r *Reducer) begin() {
	r.adopt()
	r.begun, r.halted, r.stopped, r.paused, r.failed, r.finished, r.opened, r.last, r.swept, r.why = true, false, false, false, false, false, false, false, false, ""
	r.timers, r.coming, r.permits, r.dirty, r.starved, r.gated = timers{}, [2]int{}, nil, nil, nil, nil
	r.ready = [2]queue{}
	r.lock, r.outage = lockState{}, outageState{Node: nobody}
	r.wakeAt = -1
	for i := range r.nodes {
		r.reopen(int32(i))
	}
	r.suspend()
	for m := range r.members {
		r.resumeMember(int32(m))
	}
	r.regate()
	r.left = r.countLeft()
	r.connect()
	for g := range r.rollouts {
		r.touch(int32(g))
	}
}

// resumeMember brings a member where a new process finds it.
func (r *Reducer) resumeMember(m int32) {
	mem := &r.members[m]
	g := r.rolloutOf(m)
	if m == g.first {
		r.resumeRollout(g)
	}
	mem.listed, mem.begun, mem.hurt = false, false, false
	switch {
	case g.finally: // it is done again at the end of every process
		if mem.is == watched && r.hosts.hosts[mem.host].owner == m {
			r.setFree(mem.host)
		}
		mem.is, mem.touched = ahead, 0
	case mem.is == failed, mem.left > 0:
		mem.is = ahead
	case mem.is == watched && (r.now >= mem.soaked || r.planted(23)):
		mem.is = through
		if r.hosts.hosts[mem.host].owner == m {
			r.setFree(mem.host)
		}
	case mem.is == watched:
		g.soaks++
		r.coming[0]++
		r.timers.add(mem.soaked, alarmSoak, m)
		if h := &r.hosts.hosts[mem.host]; h.is == free { // what was done finally has done with it
			r.setHost(mem.host, soaking, m)
		}
	}
	h := &r.hosts.hosts[mem.host]
	if mem.is == through {
		g.through++
		if h.is == unknown && h.owner == m { // by a step that the plan has no more: a look frees it
			r.setHost(mem.host, unknown, nobody)
		}
	}
	if mem.is == ahead && mem.touched > 0 && h.is == free { // it failed in the middle, and was let go
		r.setHost(mem.host, unknown, m)
	}
}

func (r *Reducer) resumeRollout(g *rollout) {
	g.through, g.soaks, g.failed = 0, 0, 0
	g.waiting, g.held = queue{}, nil
	g.looking, g.look, g.napping, g.nap, g.short, g.gaveUp, g.dirty = false, pauses{}, false, 0, -1, false, false
}
