package engine

import (
	"slices"
	"strings"
	"time"
)

// The ledger is the one place that knows which hosts are out of service because of this run, or may be any moment. Every
// rollout draws from it: a host is at work for one of them at a time, and counts in each that it belongs to.

// A standing is what the run has to do with a host.
type standing uint8

const (
	free      standing = iota // nothing
	admitted                  // at work, untouched, and its grant has ended: it may look, and needs a new grant to change anything
	granted                   // at work, untouched, and may be changed: a look has just found room
	disrupted                 // at work and changed: it counts as out of service until it is through
	soaking                   // done, and watched for a while
	fallen                    // a step failed after a change: it counts until a look finds it in service
	unknown                   // changed by an earlier process: keeps its place, may not be changed before a look
)

// grantLasts is how long a look is believed: a host that was let in because of it and changes nothing within this time needs a
// new look before its first change. A drain's first look and its cordon are a second apart.
const grantLasts = 10 * time.Second

// A host is a line of the ledger.
type host struct {
	name    string
	is      standing
	owner   int32  // the member for which it is at work; nobody: none, or one that the plan lacks
	down    string // why it was out of service at the last look; empty: it was in service
	since   time.Duration
	members []int32  // one for every rollout that it belongs to
	also    []int32  // rollouts that it counts in although the plan took it out of them
	lost    []string // groups that were in the middle of it when the plan took it out of them, as far as a replay has come
	at      [4]int   // 1 + index in touched, in loose, in down, in left; 0: not in it
}

func (h *host) busy() bool { return h.is >= granted && h.is <= fallen }

// out says whether the host counts as out of service.
func (h *host) out() bool { return h.busy() || h.down != "" }

// A ledger is all hosts, and lists of some.
type ledger struct {
	hosts   []host
	index   map[string]int32
	touched []int32 // changed by the run, which is in the middle of them
	loose   []int32 // fallen, or in the middle when the plan lost them: a look may free them
	down    []int32 // out of service at the last look
	left    []int32 // in the middle since an earlier process
}

// hostOf is the host in a node's ID.
func hostOf(node string) string { return node[strings.LastIndexByte(node, '@')+1:] }

// enter finds a host's line, or begins one.
func (l *ledger) enter(name string) int32 {
	if i, ok := l.index[name]; ok {
		return i
	}
	i := int32(len(l.hosts))
	l.hosts = append(l.hosts, host{name: name, owner: nobody})
	l.index[name] = i
	return i
}

// setHost changes what the run has to do with a host, and all that is counted.
func (r *Reducer) setHost(i int32, is standing, owner int32) {
	h := &r.hosts.hosts[i]
	r.count(h, -1)
	r.own(h, -1)
	was := h.is
	h.is, h.owner, h.since = is, owner, r.now
	r.own(h, 1)
	r.count(h, 1)
	r.hosts.note(i)
	if is == free && was != free || is == soaking || is == unknown && owner == nobody && was != unknown {
		r.freed(h)
	}
}

// own counts a host for the rollout that it is at work for.
func (r *Reducer) own(h *host, by int) {
	if h.owner == nobody {
		return
	}
	g := r.rolloutOf(h.owner)
	g.owned += by
	if h.is == admitted || h.is == granted || h.is == disrupted {
		g.working += by
	}
}

// setDown notes what a look has found.
func (r *Reducer) setDown(i int32, why string) {
	h := &r.hosts.hosts[i]
	r.count(h, -1)
	h.down = why
	r.count(h, 1)
	r.hosts.note(i)
}

// count adds a host to the sums of its rollouts, or takes it out.
func (r *Reducer) count(h *host, by int) {
	for _, m := range h.members {
		r.rolloutOf(m).count(h, by)
	}
	for _, g := range h.also {
		r.rollouts[g].count(h, by)
	}
}

// note keeps the lists.
func (l *ledger) note(i int32) {
	h := &l.hosts[i]
	l.touched = l.keep(l.touched, 0, i, h.is == disrupted || h.is == unknown)
	l.loose = l.keep(l.loose, 1, i, h.is == fallen || h.is == unknown && h.owner == nobody)
	l.down = l.keep(l.down, 2, i, h.down != "")
	l.left = l.keep(l.left, 3, i, h.is == unknown && h.owner != nobody)
}

// keep puts a host into a list or takes it out, in constant time.
func (l *ledger) keep(list []int32, which int, i int32, in bool) []int32 {
	at := l.hosts[i].at[which] - 1
	switch {
	case in && at < 0:
		list = append(list, i)
		l.hosts[i].at[which] = len(list)
	case !in && at >= 0:
		last := list[len(list)-1]
		list[at], l.hosts[last].at[which] = last, at+1
		list, l.hosts[i].at[which] = list[:len(list)-1], 0
	}
	return list
}

// disrupt notes an effect on a host. The first one of a rollout spends its grant.
func (r *Reducer) disrupt(node int32, name, group string) {
	if node == nobody {
		r.strand(name, group)
		return
	}
	m := r.nodes[node].member
	if m == nobody {
		return
	}
	mem := &r.members[m]
	if mem.touched == 0 {
		mem.touched = r.taken
	}
	if h := &r.hosts.hosts[mem.host]; h.is != disrupted || h.owner != m {
		r.setHost(mem.host, disrupted, m)
	}
}

// strand keeps a host in mind that was in the middle of its steps when the plan lost it, or them.
func (r *Reducer) strand(name, group string) {
	if group == "" {
		return // a step of no rollout
	}
	i := r.hosts.enter(name)
	owner := nobody
	if g, ok := r.byGroup[group]; ok {
		owner = r.memberIn(i, g)
	}
	if owner == nobody {
		r.countAlso(i, group)
		if lost := &r.hosts.hosts[i].lost; !slices.Contains(*lost, group) {
			*lost = append(*lost, group)
		}
	} else if m := &r.members[owner]; m.touched == 0 {
		m.touched = r.taken
	}
	if h := &r.hosts.hosts[i]; h.is != disrupted {
		r.setHost(i, disrupted, owner)
	}
}

// found is a host that was through a rollout before the plan took it out of there: it is not in the middle of that.
func (r *Reducer) found(name, group string) {
	i, ok := r.hosts.index[name]
	if !ok || group == "" {
		return
	}
	h := &r.hosts.hosts[i]
	was := len(h.lost)
	h.lost = slices.DeleteFunc(h.lost, func(g string) bool { return g == group })
	if h.owner == nobody && was > 0 && len(h.lost) == 0 {
		r.forget(i)
	}
}

// countAlso has a host counted in the rollout that it was taken out of, or in all if that is gone.
func (r *Reducer) countAlso(i int32, group string) {
	h := &r.hosts.hosts[i]
	r.count(h, -1)
	for g := range r.rollouts {
		if (r.rollouts[g].ID == group || !r.known(group)) && !r.belongs(h, int32(g)) {
			h.also = append(h.also, int32(g))
			r.rollouts[g].lost = append(r.rollouts[g].lost, i)
		}
	}
	r.count(h, 1)
}

// Lost says whether a host was in the middle of a rollout when the plan took it out of there, and still counts in it. The host may
// have other steps in the plan.
func (r *Reducer) Lost(host string) bool {
	i, ok := r.hosts.index[host]
	return ok && len(r.hosts.hosts[i].also) > 0
}

func (r *Reducer) known(group string) bool { _, ok := r.byGroup[group]; return ok }

func (r *Reducer) belongs(h *host, g int32) bool {
	return slices.Contains(h.also, g) || slices.ContainsFunc(h.members, func(m int32) bool { return r.members[m].rollout == g })
}

// suspend is what the end of a process does to the hosts that were at work: what was changed is unknown until a look, what was
// not is free.
func (r *Reducer) suspend() {
	for i := range r.hosts.hosts {
		h := &r.hosts.hosts[i]
		if r.planted(8) {
			continue
		}
		switch h.is {
		case admitted, granted:
			r.letGo(int32(i))
		case disrupted, fallen:
			r.setHost(int32(i), unknown, h.owner)
			if r.planted(2) {
				r.forget(int32(i))
			}
		}
	}
}

// handOver leaves the hosts that the run proper has in the middle to what is done finally.
func (r *Reducer) handOver() {
	for i := range r.hosts.hosts {
		switch h := &r.hosts.hosts[i]; h.is {
		case admitted, granted:
			r.letGo(int32(i))
		case disrupted, soaking:
			r.setHost(int32(i), unknown, h.owner)
		}
	}
}

// handBack frees a host, or returns it to the rollout of the run proper that is in the middle of it.
func (r *Reducer) handBack(i int32) {
	for _, m := range r.hosts.hosts[i].members {
		mem := &r.members[m]
		switch {
		case r.rolloutOf(m).finally || mem.touched == 0:
		case mem.is == ahead:
			r.setHost(i, unknown, m)
			if r.begun && r.startable(m) {
				r.list(m) // it may have become so meanwhile
			}
			return
		case mem.is == watched:
			r.setHost(i, soaking, m)
			return
		}
	}
	r.setFree(i)
}

// setFree frees a host. One that the plan lost in the middle is as unknown as before: only a look frees it.
func (r *Reducer) setFree(i int32) {
	if len(r.hosts.hosts[i].also) > 0 {
		r.setHost(i, unknown, nobody)
	} else {
		r.setHost(i, free, nobody)
	}
}
