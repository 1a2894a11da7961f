package engine

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// lookAgain is how long a rollout without room waits before it looks again whether a host that is out of service for
// somebody else's reasons has come back.
const lookAgain = 5 * time.Second

// patience is how long a rollout waits in all for such hosts, or for an answer to a look, before the run ends. It is twice the
// six minutes after which Kubernetes itself gives a dead node's volumes up.
const patience = 12 * time.Minute

// A rollout is a Group at work: which of its hosts may be next.
type rollout struct {
	*Group
	first   int32 // of its members, which stand in a row
	finally bool  // of steps that are done finally
	needed  bool  // something outside comes after it, and waits for the last soak too

	placed, busy, out      int // its hosts that are at work for anybody, busy, out of service
	owned, working         int // hosts that are at work for it; that are by this process
	through, soaks, failed int // its members so far

	waiting queue   // members whose next step could start, by position; some have been let in since
	held    []int32 // members whose host is unknown, and whose next step could start

	looking bool
	look    pauses
	napping bool          // a timer will have it look again
	nap     time.Duration // not to look before
	short   time.Duration // since when there has been no room, -1: there was
	gaveUp  bool
	dirty   bool // something has changed for it
}

// pauses are the lengthening waits between tries of something that fails, and since when it does.
type pauses struct {
	Pause, Next, Since time.Duration
	Why                string
}

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

func (g *rollout) count(h *host, by int) {
	if h.is != free {
		g.placed += by
	}
	if h.busy() {
		g.busy += by
	}
	if h.out() {
		g.out += by
	}
}

func (r *Reducer) rolloutOf(m int32) *rollout { return &r.rollouts[r.members[m].rollout] }

// addRollouts makes the rollouts of the graph, their members and the lines of their hosts.
func (r *Reducer) addRollouts() {
	r.rollouts = make([]rollout, len(r.graph.Groups))
	for i := range r.graph.Groups {
		g := &r.rollouts[i]
		*g = rollout{Group: &r.graph.Groups[i], first: int32(len(r.members)), short: -1}
		for pos, name := range g.Hosts {
			h := r.hosts.enter(name)
			m := int32(len(r.members))
			r.hosts.hosts[h].members = append(r.hosts.hosts[h].members, m)
			r.members = append(r.members, member{rollout: int32(i), host: h, pos: int32(pos)})
		}
	}
}

// memberOf finds the member that a node belongs to.
func (r *Reducer) memberOf(group map[string]int32, n *Node) int32 {
	g, ok := group[n.Group]
	h, known := r.hosts.index[n.Target.Name]
	if !ok || !known {
		return nobody
	}
	for _, m := range r.hosts.hosts[h].members {
		if r.members[m].rollout == g {
			return m
		}
	}
	return nobody
}

// touch has a rollout looked after in this turn.
func (r *Reducer) touch(g int32) {
	if !r.rollouts[g].dirty {
		r.rollouts[g].dirty = true
		r.dirty = append(r.dirty, g)
	}
}

// freed tells the rollouts of a host that there may be room now.
func (r *Reducer) freed(h *host) {
	for _, m := range h.members {
		g := r.rolloutOf(m)
		g.nap = 0
		r.touch(r.members[m].rollout)
		if h.is == free && r.startable(m) {
			r.list(m)
		}
	}
	for _, g := range h.also {
		r.rollouts[g].nap = 0
		r.touch(g)
	}
}

// startable says whether a member has a step that only waits for its host to be let in.
func (r *Reducer) startable(m int32) bool {
	return slices.ContainsFunc(r.members[m].nodes, func(i int32) bool {
		st := &r.nodes[i]
		return st.state == isPending && st.unmet == 0 && r.unlocked(i)
	})
}

// list puts a member among those that could be let in.
func (r *Reducer) list(m int32) {
	mem := &r.members[m]
	g := r.rolloutOf(m)
	h := &r.hosts.hosts[mem.host]
	if mem.listed || h.is == unknown && !r.mayTakeOver(h, m) {
		return // it is listed when the other rollout has done with it
	}
	mem.listed = true
	if h.is == unknown {
		g.held = append(g.held, m)
	} else {
		g.waiting.put(mem.pos)
	}
	r.touch(mem.rollout)
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
	g.held = slices.DeleteFunc(g.held, func(m int32) bool { return !r.stillHeld(m) })
	if len(g.held) > 0 {
		return true
	}
	if !r.anyWaiting(g) {
		return false
	}
	if r.capacity() <= 0 {
		r.starved = append(r.starved, i)
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

func (r *Reducer) stillHeld(m int32) bool {
	mem := &r.members[m]
	if r.hosts.hosts[mem.host].is == unknown && r.startable(m) {
		return true
	}
	if mem.listed = false; r.startable(m) && r.hosts.hosts[mem.host].is != unknown {
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
	if !r.halted || g.finally {
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
			if h := &r.hosts.hosts[i]; h.is == granted || h.is == disrupted || h.is == soaking || r.planted(40) {
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
// service and nothing is going on on them.
func (r *Reducer) recover(g int32) {
	for _, i := range slices.Clone(r.hosts.loose) {
		h := &r.hosts.hosts[i]
		if (h.down == "" || r.planted(46)) && r.effects.quiet(h.name) && r.belongs(h, g) {
			r.forget(i)
		}
	}
}

// forget frees a host, and counts it only where the plan has it.
func (r *Reducer) forget(i int32) {
	r.setHost(i, free, nobody)
	h := &r.hosts.hosts[i]
	r.count(h, -1)
	h.also = nil
	r.count(h, 1)
}

// stranded names the hosts that a look at a rollout has to ask about beside its own.
func (r *Reducer) stranded(g int32) []string {
	var names []string
	if r.planted(39) {
		return nil
	}
	for _, i := range r.hosts.loose {
		if h := &r.hosts.hosts[i]; slices.Contains(h.also, g) {
			names = append(names, h.name)
		}
	}
	return names
}

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

// lapse ends a grant that was not used: who has begun to look needs another for its first change, who has not gives its place back.
func (r *Reducer) lapse(i int32) {
	h := &r.hosts.hosts[i]
	if h.is != granted || r.now < h.since+grantLasts || r.planted(7) {
		return
	}
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
	r.setHost(i, free, nobody)
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
	g.nap = r.now + lookAgain
	if !g.napping {
		g.napping = true
		r.coming[of(g.finally)]++
		r.timers.add(g.nap, alarmRoom, i)
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

// noRoom names the hosts that are out of service.
func (r *Reducer) noRoom(i int32) string {
	g := &r.rollouts[i]
	why := fmt.Sprintf("%s: for %s there was no room for another host (maxUnavailable %d)", g.ID, patience, g.MaxUnavailable)
	for _, j := range slices.Sorted(slices.Values(r.hosts.down)) {
		h := &r.hosts.hosts[j]
		if !r.belongs(h, i) {
			continue
		}
		why += fmt.Sprintf("; %s: %s", h.name, h.down)
		if slices.Contains(h.also, i) {
			why += fmt.Sprintf(", and it was in the middle of its steps when the plan lost it: bring it back, or say that it does not matter: upgrader resume %s --settle %s=done", r.opt.Run, h.name)
		}
	}
	return why
}

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
