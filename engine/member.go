package engine

import (
	"slices"
	"time"
)

// The way of a host through its rollout.

// A member is a host in a rollout.
type member struct {
	rollout, host, pos int32
	nodes              []int32
	left               int // nodes that are not settled well
	is                 progress
	touched            int           // when its first effect was begun, counted in records; 0: none was
	soaked             time.Duration // soaking: until then
	listed             bool          // in waiting, or held
	begun              bool          // a node of it was launched by this process
	hurt               bool          // a step of what is done finally failed, and others are still to come
}

// progress is how far a member is.
type progress uint8

const (
	ahead   progress = iota // not begun, or in the middle
	watched                 // done, and its host is watched
	through                 // done
	failed                  // a step failed
)

// checkMember lets a host whose last node has settled out of the rollout, through a soak if anything was changed on it and
// something is still to come: another host, or a step that needs this rollout.
func (r *Reducer) checkMember(m int32) {
	mem := &r.members[m]
	if mem.left > 0 || mem.is == through || mem.is == watched {
		return
	}
	g, own := r.rolloutOf(m), r.hosts.hosts[mem.host].owner == m
	if mem.is == failed { // a person has said that it is done
		g.failed--
	}
	more := g.needed || g.through+g.soaks+g.failed+g.working < len(g.Hosts)
	if g.Soak > 0 && mem.touched > 0 && own && more && !r.planted(22) {
		mem.is, mem.soaked = watched, r.now+g.Soak
		g.soaks++
		r.coming[of(g.finally)]++
		r.setHost(mem.host, soaking, m)
		r.timers.add(mem.soaked, alarmSoak, m)
		return
	}
	r.pass(m, own)
}

// wasThrough frees a host that was through its rollout when the plan was edited: more may be to do on it now, but it is not in the
// middle of anything.
func (r *Reducer) wasThrough(m int32, group string) {
	if group == "" || m == nobody || r.members[m].left == 0 {
		return
	}
	mem := &r.members[m]
	mem.touched = 0
	if r.hosts.hosts[mem.host].owner == m {
		r.handBack(mem.host)
	}
}

// throughAgain is a member that was through, and was changed since by a step that the plan has no more.
func (r *Reducer) throughAgain(m int32) {
	mem, g := &r.members[m], r.rolloutOf(m)
	if mem.left > 0 || r.hosts.hosts[mem.host].owner != m {
		r.wasThrough(m, g.ID)
		return
	}
	switch mem.is {
	case through:
		g.through--
	case watched:
		g.soaks--
		r.coming[of(g.finally)]--
	}
	mem.is = ahead
	r.checkMember(m)
}

// pass is the end of a member's way through a rollout.
func (r *Reducer) pass(m int32, own bool) {
	mem, g := &r.members[m], r.rolloutOf(m)
	mem.is, mem.touched = through, 0
	g.through++
	if own {
		r.handBack(mem.host)
	}
	for _, n := range mem.nodes {
		r.releaseOuter(n)
	}
	g.nap = 0
	r.touch(mem.rollout)
	r.over(mem.rollout)
}

// dried ends a soak.
func (r *Reducer) dried(m int32) {
	mem := &r.members[m]
	if mem.is != watched || r.now < mem.soaked {
		return
	}
	g := r.rolloutOf(m)
	g.soaks--
	r.coming[of(g.finally)]--
	r.pass(m, r.hosts.hosts[mem.host].owner == m)
}

// fall notes a failed host and says whether the run goes on without it. A host that was not touched gives its place back. What
// is done finally goes on on the host all the same.
func (r *Reducer) fall(m int32) bool {
	mem, g := &r.members[m], r.rolloutOf(m)
	if mem.hurt = g.finally && r.nextOf(m); mem.hurt {
		return true
	}
	if mem.is != failed {
		mem.is = failed
		g.failed++
	}
	if h := &r.hosts.hosts[mem.host]; h.owner == m && mem.touched == 0 {
		r.handBack(mem.host)
	} else if h.owner == m {
		r.setHost(mem.host, fallen, m)
	}
	r.touch(mem.rollout)
	r.over(mem.rollout)
	return g.failed <= g.MaxFailures || r.planted(24) && g.failed == g.MaxFailures+1
}

// nextOf says whether a member still has a node to do.
func (r *Reducer) nextOf(m int32) bool {
	return slices.ContainsFunc(r.members[m].nodes, func(n int32) bool { return r.nodes[n].state == isPending || r.nodes[n].state == isRunning })
}

// over lets what comes after a rollout start when every host is through or has failed.
func (r *Reducer) over(i int32) {
	g := &r.rollouts[i]
	if g.failed == 0 || g.failed > g.MaxFailures && !g.finally || g.failed+g.through+g.soaks < len(g.Hosts) {
		return
	}
	for m := g.first; m < g.first+int32(len(g.Hosts)); m++ {
		if r.members[m].is == failed {
			for _, n := range r.members[m].nodes {
				r.releaseOuter(n)
			}
		}
	}
}
