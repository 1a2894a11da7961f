package engine

import (
	"slices"
)

// Room: whether one more host may be out of service, or at work.

// mayTakeOver says whether a host that is at work, or in the middle, is a member's: its own, or nobody's; or left behind by a
// rollout that cannot go on with it.
func (r *Reducer) mayTakeOver(h *host, m int32) bool {
	switch {
	case h.owner == m, h.owner == nobody, r.planted(3):
		return true
	case h.is != unknown:
		return false
	}
	return r.rolloutOf(m).finally || !r.alive(h.owner)
}

// yields gives a host back that another rollout had left in the middle when this one was let in, if that can go on with it now
// and nothing was changed for this one.
func (r *Reducer) yields(m int32) bool {
	mem := &r.members[m]
	if mem.touched > 0 || r.rolloutOf(m).finally {
		return false
	}
	for _, other := range r.hosts.hosts[mem.host].members {
		if o := &r.members[other]; other != m && o.is == ahead && o.touched > 0 && r.startable(other) {
			r.setHost(mem.host, unknown, other)
			r.list(other)
			return true
		}
	}
	return false
}

// alive says whether a member has a step at work, or one that only waits for its host.
func (r *Reducer) alive(m int32) bool {
	return r.startable(m) || slices.ContainsFunc(r.members[m].nodes, func(i int32) bool { return r.nodes[i].state == isRunning })
}

// roomFor says whether one more host of a rollout may be out of service because of the run: this one. Others that are busy or
// down count; a host that is down itself makes nothing worse.
func (g *rollout) roomFor(h *host) bool {
	busy, out := g.busy, g.out
	if h.busy() {
		busy--
	}
	if h.out() {
		out--
	}
	return busy < g.MaxUnavailable && (h.down != "" || out < g.MaxUnavailable)
}

// placeFor says whether one more host may be at work: this one. What the run proper has in the middle is no place of what is done
// finally.
func (r *Reducer) placeFor(g *rollout, h *host) bool {
	if g.finally {
		return g.owned < g.MaxUnavailable
	}
	placed := g.placed - r.idle(g, false)
	if h.is != free {
		placed--
	}
	return placed < g.MaxUnavailable
}

// idle counts the hosts of a rollout that are in the middle of one that cannot go on with them, another or any: they hold no place,
// or the two could wait for each other for ever. Where they are out of service, they still count as that.
func (r *Reducer) idle(g *rollout, any bool) int {
	n, i := 0, r.rolloutIndex(g)
	for _, j := range r.hosts.left {
		h := &r.hosts.hosts[j]
		if (any || r.members[h.owner].rollout != i) && r.belongs(h, i) && !r.alive(h.owner) {
			n++
		}
	}
	return n
}

// mayGrant says whether a host may be changed for a member: in its own rollout, and in every other that counts it and is at work,
// or could be. A host in the middle has its place, and waits for no rollout that has not begun. One that is in the middle of another
// rollout is a new one here.
func (r *Reducer) mayGrant(m int32) bool {
	h, own := &r.hosts.hosts[r.members[m].host], r.rolloutOf(m)
	inside := h.is == unknown && r.members[m].touched > 0 || h.is == admitted
	if h.is != fallen && h.is != free && !r.mayTakeOver(h, m) || !own.roomFor(h) && !r.planted(4) || !inside && !r.placeFor(own, h) {
		return false // another rollout is at work on it, or there is no room
	}
	return r.roomBeside(m, h, inside)
}

// roomBeside says whether the other rollouts that a member's host belongs to have room for it too.
func (r *Reducer) roomBeside(m int32, h *host, inside bool) bool {
	for _, other := range h.members {
		g := r.rolloutOf(other)
		switch {
		case other == m, r.planted(5), r.last && !g.finally: // when the run proper is over, what is done finally can only make room there
		case g.owned == 0 && (inside || !r.anyWaiting(g)):
		case !g.roomFor(h), !inside && g.placed-r.idle(g, true) >= g.MaxUnavailable:
			return false
		}
	}
	return true
}

// stillRoom says whether a grant holds that has not been used. A host in the middle of which nothing is left to change ends its
// steps without a grant, is watched, and may have taken the last room so.
func (r *Reducer) stillRoom(m int32) bool {
	h, own := &r.hosts.hosts[r.members[m].host], r.rolloutOf(m)
	return (own.roomFor(h) || r.planted(4)) && r.roomBeside(m, h, true)
}

// inWork names the hosts that the run has begun to change since a moment, and is in the middle of.
func (r *Reducer) inWork(since int) []string {
	var names []string
	for _, i := range r.hosts.touched {
		h := &r.hosts.hosts[i]
		if h.owner != nobody && r.members[h.owner].touched > since {
			names = append(names, h.name)
		}
	}
	slices.Sort(names)
	return names
}
