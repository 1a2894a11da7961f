package engine

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// Looks: which hosts are out of service is asked when somebody could go on, and at no other time.

// pauses are the lengthening waits between tries of something that fails, and since when it does.
type pauses struct {
	Pause, Next, Since time.Duration
	Why                string
}

// pursue lets hosts in as far as that is known to be right, and asks for a look where it is not.
func (r *Reducer) pursue(i int32) {
	g := &r.rollouts[i]
	if g.gaveUp || g.looking || g.finally != r.last || r.halted && !g.finally || !r.wants(i) {
		return
	}
	if r.now < g.nap || r.now < g.look.Next {
		return // a timer will come back to it
	}
	r.lookAt(i)
}

func (r *Reducer) lookAt(i int32) {
	g := &r.rollouts[i]
	if g.looking {
		return
	}
	g.looking = true
	r.coming[of(g.finally)]++
	r.want(Command{Do: Look, Group: int(i), Extra: r.stranded(i)})
}

// of is the index of what is counted apart: for the run proper, and for what is done finally.
func of(finally bool) int {
	if finally {
		return 1
	}
	return 0
}

// wants says whether a look could let anything go on.
func (r *Reducer) wants(i int32) bool {
	g := &r.rollouts[i]
	if slices.ContainsFunc(r.permits, func(n int32) bool { return r.asksFor(n, i) }) {
		return true
	}
	if r.keepHeld(g); len(g.held) > 0 {
		return true
	}
	if !r.anyWaiting(g) {
		return false
	}
	if r.capacity() <= 0 {
		if !slices.Contains(r.starved, i) {
			r.starved = append(r.starved, i)
		}
		return false
	}
	if g.finally {
		return g.owned-r.lookable(g) < g.MaxUnavailable
	}
	return g.placed-r.lookable(g)-r.idle(g, false) < g.MaxUnavailable
}

// lookable counts the hosts of a rollout whose place a look may give back.
func (r *Reducer) lookable(g *rollout) int {
	n := 0
	for _, i := range r.hosts.loose {
		if h := &r.hosts.hosts[i]; slices.Contains(h.also, r.rolloutIndex(g)) || r.belongs(h, r.rolloutIndex(g)) {
			n++
		}
	}
	return n
}

func (r *Reducer) rolloutIndex(g *rollout) int32 { return r.members[g.first].rollout }

// keepHeld drops hosts from those in the middle that have been let in, or need not be any more.
func (r *Reducer) keepHeld(g *rollout) {
	g.held = slices.DeleteFunc(g.held, func(m int32) bool { return !r.stillHeld(m) })
}

func (r *Reducer) stillHeld(m int32) bool {
	mem := &r.members[m]
	if r.hosts.hosts[mem.host].is == unknown && r.startable(m) {
		return true
	}
	mem.listed = false
	if r.hosts.hosts[mem.host].is == free && r.startable(m) {
		r.list(m) // a look has found its host in service: it is one of those to come
	}
	return false
}

// anyWaiting drops members from the front of the queue that need not be let in any more, and says whether one is left.
func (r *Reducer) anyWaiting(g *rollout) bool {
	for g.waiting.len() > 0 {
		m := g.first + g.waiting.list[0]
		mem := &r.members[m]
		if h := &r.hosts.hosts[mem.host]; mem.is == ahead && (h.is == free || h.is == fallen) && r.startable(m) {
			return true
		}
		g.waiting.take()
		mem.listed = false // it is listed again when its host is free
	}
	return false
}

// asksFor says whether a node of this rollout wants to change its host and has no grant.
func (r *Reducer) asksFor(n, g int32) bool {
	m := r.nodes[n].member
	return m != nobody && r.members[m].rollout == g && !r.mayChange(m)
}

// mayChange says whether a member's host may be changed for it.
func (r *Reducer) mayChange(m int32) bool {
	h := &r.hosts.hosts[r.members[m].host]
	return h.owner == m && (h.is == granted || h.is == disrupted)
}

// recheck withdraws a member's grant that has not been used, where there is no room any more.
func (r *Reducer) recheck(m int32) {
	if i := r.members[m].host; m == r.hosts.hosts[i].owner && r.hosts.hosts[i].is == granted && !r.stillRoom(m) {
		r.withdraw(i)
	}
}

// looked takes the answer to a look.
func (r *Reducer) looked(ev Event) {
	g := &r.rollouts[ev.Group]
	if !g.looking {
		return
	}
	g.looking = false
	r.coming[of(g.finally)]--
	if ev.Err != nil {
		r.blind(int32(ev.Group), ev.Err)
		return
	}
	g.look = pauses{}
	r.record(journal.Record{Kind: journal.Down, Group: g.ID, Hosts: r.foreign(ev.Hosts)})
	if (!r.halted || g.finally) && r.wants(int32(ev.Group)) {
		r.letIn(int32(ev.Group))
	}
}

// blind waits before it looks again, and ends the run when nobody could tell for too long.
func (r *Reducer) blind(i int32, err *Failure) {
	g := &r.rollouts[i]
	if g.look.Why == "" {
		g.look.Since = r.now
	}
	if r.now-g.look.Since > patience {
		r.record(journal.Record{Kind: journal.Stop, Why: fmt.Sprintf("%s: for %s nobody could tell which hosts are in service: %s", g.ID, patience, err.Why)})
		return
	}
	if g.look.Why != err.Why {
		g.look.Why = err.Why
		r.record(journal.Record{Kind: journal.Wait, Group: g.ID, Why: err.Why})
	}
	g.look.Pause = min(max(2*g.look.Pause, 200*time.Millisecond), lookAgain)
	g.look.Next = r.now + g.look.Pause
	r.coming[of(g.finally)]++ // the timer stands for it
	r.timers.add(g.look.Next, alarmLook, i)
}

// foreign leaves out the hosts that the run itself has out of service: they are counted anyway.
func (r *Reducer) foreign(down map[string]string) map[string]string {
	var out map[string]string
	for name, why := range down {
		if i, ok := r.hosts.index[name]; ok {
			if h := &r.hosts.hosts[i]; h.is == disrupted || h.is == soaking || r.planted(40) {
				continue
			}
			if out == nil {
				out = map[string]string{}
			}
			out[name] = why
		}
	}
	return out
}

// takeDown notes what a look has found, and gives the places of hosts back that failed and are in service.
func (r *Reducer) takeDown(ev *journal.Record) {
	i, ok := r.byGroup[ev.Group]
	if !ok {
		return
	}
	for _, h := range slices.Clone(r.hosts.down) {
		if ev.Hosts[r.hosts.hosts[h].name] == "" && r.belongs(&r.hosts.hosts[h], i) {
			r.setDown(h, "")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ev.Hosts)) {
		if h, known := r.hosts.index[name]; known && ev.Hosts[name] != "" {
			r.setDown(h, ev.Hosts[name])
		}
	}
	r.recover(i)
}

// recover frees the hosts of a rollout that failed, or that the plan lost in the middle, where a look has found them in
// service and nothing is going on on them. What the plan lost since, the look of an earlier process may have left out.
func (r *Reducer) recover(g int32) {
	for _, i := range slices.Clone(r.hosts.loose) {
		h := &r.hosts.hosts[i]
		if r.edited && h.owner == nobody {
			continue
		}
		if (h.down == "" || r.planted(46)) && r.effects.quiet(h.name) && r.belongs(h, g) {
			r.forget(i)
		}
	}
}

// forget frees a host, and counts it only where the plan has it.
func (r *Reducer) forget(i int32) {
	r.setHost(i, free, nobody)
	r.unlose(i)
}

// unlose has a host counted nowhere but where the plan has it.
func (r *Reducer) unlose(i int32) {
	h := &r.hosts.hosts[i]
	r.count(h, -1)
	for _, g := range h.also {
		lost := &r.rollouts[g].lost
		*lost = slices.DeleteFunc(*lost, func(j int32) bool { return j == i })
	}
	h.also, h.lost = nil, nil
	r.count(h, 1)
}

// stranded names the hosts that a look at a rollout has to ask about beside its own: those that the plan lost there in the middle,
// whatever another rollout does with them now.
func (r *Reducer) stranded(g int32) []string {
	var names []string
	if r.planted(39) {
		return nil
	}
	for _, i := range r.rollouts[g].lost {
		names = append(names, r.hosts.hosts[i].name)
	}
	slices.Sort(names)
	return names
}
