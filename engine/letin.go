package engine

import (
	"cmp"
	"fmt"
	"slices"
)

// Who is let in after a look.

// letIn grants what there is room for, after a look: first to the canaries, then to hosts in the middle, then to hosts that are
// down anyway, then to the next ones.
func (r *Reducer) letIn(i int32) {
	g := &r.rollouts[i]
	asking := r.asking(i)
	any, all := false, true
	for _, m := range asking {
		if r.canaryAllows(g, m) && r.mayGrant(m) {
			r.grant(m)
			any = true
		} else {
			all = false
		}
	}
	for _, h := range slices.Clone(r.hosts.down) {
		if m := r.memberIn(h, i); m != nobody && r.members[m].listed && r.hosts.hosts[h].is == free && r.capacity() > 0 && r.canaryAllows(g, m) && r.mayGrant(m) {
			r.grant(m)
			any = true
		}
	}
	more := r.letNextIn(g)
	if any || more {
		g.short = -1
	} else if !all || r.anyWaiting(g) {
		r.waitForRoom(i)
	}
	r.touch(i)
}

// asking are the members that are at work, or were, and need a grant: canaries first.
func (r *Reducer) asking(i int32) []int32 {
	g := &r.rollouts[i]
	r.keepHeld(g)
	list := slices.Clone(g.held)
	for _, n := range r.permits {
		if r.asksFor(n, i) && !slices.Contains(list, r.nodes[n].member) {
			list = append(list, r.nodes[n].member)
		}
	}
	for pos := range g.canaries() { // one that has something more to do goes before hosts in the middle
		if m := g.first + pos; r.members[m].listed && !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (g *rollout) canaries() int32 { return int32(min(g.Canary, len(g.Hosts))) }

func (r *Reducer) memberIn(h, g int32) int32 {
	for _, m := range r.hosts.hosts[h].members {
		if r.members[m].rollout == g {
			return m
		}
	}
	return nobody
}

// letNextIn admits hosts in the order of the rollout as long as there is room, and says whether it admitted any.
func (r *Reducer) letNextIn(g *rollout) bool {
	any := false
	for r.capacity() > 0 && r.anyWaiting(g) {
		m := g.first + g.waiting.list[0]
		if !r.canaryAllows(g, m) || !r.mayGrant(m) {
			break
		}
		g.waiting.take()
		r.grant(m)
		any = true
	}
	return any
}

// canaryAllows holds everybody back until the canaries are through. A host in the middle goes on where no canary can.
func (r *Reducer) canaryAllows(g *rollout, m int32) bool {
	mem := &r.members[m]
	if mem.pos < g.canaries() || r.planted(6) {
		return true
	}
	proved, able := true, false
	for pos := range g.canaries() {
		c := &r.members[g.first+pos]
		h := &r.hosts.hosts[c.host]
		proved = proved && c.is == through
		able = able || h.owner == g.first+pos && h.is != unknown && h.is != fallen
	}
	h := &r.hosts.hosts[mem.host]
	return proved || !able && h.is == unknown && mem.touched > 0
}

// grant lets a member's host in, or on.
func (r *Reducer) grant(m int32) {
	mem := &r.members[m]
	mem.listed, mem.is = false, ahead
	r.setHost(mem.host, granted, m)
	r.timers.add(r.now+grantLasts, alarmGrant, mem.host)
	for _, n := range mem.nodes {
		r.enqueue(n)
	}
}

// lapse ends a grant that was not used in time.
func (r *Reducer) lapse(i int32) {
	h := &r.hosts.hosts[i]
	if h.is == granted && r.now >= h.since+grantLasts && !r.planted(7) {
		r.withdraw(i)
	}
}

// withdraw takes a grant back that was not used: who has begun to look needs another for its first change, who has not gives its
// place back.
func (r *Reducer) withdraw(i int32) {
	h := &r.hosts.hosts[i]
	if m := &r.members[h.owner]; m.begun && m.touched == 0 {
		r.setHost(i, admitted, h.owner)
	} else {
		r.letGo(i)
	}
}

// letGo takes back that a host was let in: it is free, or as unknown as before where it is in the middle.
func (r *Reducer) letGo(i int32) {
	h := &r.hosts.hosts[i]
	if h.owner != nobody && r.members[h.owner].touched > 0 {
		r.setHost(i, unknown, h.owner)
		if r.startable(h.owner) {
			r.list(h.owner)
		}
		return
	}
	r.setFree(i)
}

// waitForRoom looks again after a while, as long as patience lasts.
func (r *Reducer) waitForRoom(i int32) {
	g := &r.rollouts[i]
	if g.short < 0 || r.running > 0 || g.soaks > 0 {
		g.short = r.now // room may come of itself
	}
	if r.now-g.short > patience {
		r.giveUp(i)
		return
	}
	r.lookBeside(i)
	g.nap = r.now + lookAgain
	if !g.napping {
		g.napping = true
		r.coming[of(g.finally)]++
		r.timers.add(g.nap, alarmRoom, i)
	}
}

// lookBeside looks at the rollouts in which hosts are out of service that this one does not have. They count where the two share a
// host, and nobody else looks whether they are back when nothing in theirs could go on.
func (r *Reducer) lookBeside(i int32) {
	for _, h := range r.hosts.down {
		if r.belongs(&r.hosts.hosts[h], i) {
			continue
		}
		for _, m := range r.hosts.hosts[h].members {
			if g := r.rolloutOf(m); g.finally == r.rollouts[i].finally && !g.gaveUp && !g.napping && r.now >= g.look.Next {
				r.lookAt(r.members[m].rollout)
			}
		}
	}
}

// ringRoom has a rollout look again, unless it has looked since the timer was set.
func (r *Reducer) ringRoom(i int32) {
	g := &r.rollouts[i]
	if r.now < g.nap {
		r.timers.add(g.nap, alarmRoom, i)
		return
	}
	g.napping = false
	r.coming[of(g.finally)]--
	r.touch(i)
}

// giveUp ends a rollout that has no room. What is done finally goes on behind it.
func (r *Reducer) giveUp(i int32) {
	g := &r.rollouts[i]
	g.gaveUp, r.failed = true, true
	if r.why == "" {
		r.why = r.noRoom(i)
	}
	if !g.finally {
		return
	}
	for m := g.first; m < g.first+int32(len(g.Hosts)); m++ {
		for _, n := range r.members[m].nodes {
			if r.nodes[n].state == isPending {
				r.conclude(n, &Failure{Why: r.noRoom(i)})
			}
		}
	}
}

// noRoom names the hosts that are in the way: out of service, here or in a rollout that shares a host with this one, or in the
// middle of their steps.
func (r *Reducer) noRoom(i int32) string {
	g := &r.rollouts[i]
	why := fmt.Sprintf("%s: for %s there was no room for another host (maxUnavailable %d)", g.ID, patience, g.MaxUnavailable)
	in := slices.Concat(r.hosts.down, r.hosts.left, r.hosts.loose)
	slices.Sort(in)
	in = slices.Compact(in)
	for n, j := range in {
		if n == mostNamed {
			return fmt.Sprintf("%s; and %d more", why, len(in)-n)
		}
		why += "; " + r.inTheWay(i, &r.hosts.hosts[j])
	}
	return why
}

// mostNamed is how many hosts a reason names.
const mostNamed = 20

func (r *Reducer) inTheWay(i int32, h *host) string {
	words := h.name + ": " + cmp.Or(h.down, "in the middle of its steps")
	switch {
	case slices.Contains(h.also, i):
		words += fmt.Sprintf(", and it was in the middle of its steps when the plan lost it: bring it back, or say that it does not matter: upgrader resume %s --settle %s=done", r.opt.Run, h.name)
	case !r.belongs(h, i) && len(h.members) > 0:
		words += ", which counts in " + r.rolloutOf(h.members[0]).ID
	}
	return words
}
