package engine

import (
	"slices"
	"time"
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
	lost    []int32 // hosts that count in it although the plan took them out

	looking bool
	look    pauses
	napping bool          // a timer will have it look again
	nap     time.Duration // not to look before
	short   time.Duration // since when there has been no room, -1: there was
	gaveUp  bool
	dirty   bool // something has changed for it
}

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

// freed tells the rollouts of a host that there may be room now, and that it is nobody's if it is.
func (r *Reducer) freed(h *host) {
	for _, m := range h.members {
		g := r.rolloutOf(m)
		g.nap = 0
		r.touch(r.members[m].rollout)
		if h.is != soaking && r.startable(m) {
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
