package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// SnapshotFormat is the format of the snapshots that this program writes, and the only one that it takes up again.
const SnapshotFormat = 1

// ErrSnapshot says that a snapshot cannot be taken up: it is of another format, or of another graph.
var ErrSnapshot = errors.New("this snapshot cannot be taken up")

// A snapshot is a reducer written down between two events: what is not as NewReducer made it. What follows from the graph and
// from the rest, the sums of rollouts and who waits for whom, is counted anew.
type snapshot struct {
	Format int    `json:"format"`
	Graph  string `json:"graph"` // its digest

	Now    time.Duration `json:"now"`
	Since  int           `json:"since"` // format of the records so far
	Wall   time.Time     `json:"wall,omitzero"`
	Taken  int           `json:"taken"`
	Flags  []bool        `json:"flags"`
	Why    string        `json:"why,omitempty"`
	Gates  int           `json:"gates,omitempty"`
	Coming [2]int        `json:"coming"`
	WakeAt time.Duration `json:"wakeAt"`

	Nodes    []nodeSnapshot    `json:"nodes,omitempty"`
	Members  []memberSnapshot  `json:"members,omitempty"`
	Hosts    []hostSnapshot    `json:"hosts,omitempty"`
	Rollouts []rolloutSnapshot `json:"rollouts,omitempty"`
	Effects  []*effect         `json:"effects,omitempty"`
	Made     map[string]bool   `json:"made,omitempty"`
	Passed   map[string]int    `json:"passed,omitempty"`

	Ready   [2][]int32  `json:"ready"`
	Gated   []int32     `json:"gated,omitempty"`
	Dirty   []int32     `json:"dirty,omitempty"`
	Starved []int32     `json:"starved,omitempty"`
	Permits []int32     `json:"permits,omitempty"`
	Timers  []timer     `json:"timers,omitempty"`
	Set     int         `json:"set"`
	Touched []int32     `json:"touched,omitempty"`
	Loose   []int32     `json:"loose,omitempty"`
	Down    []int32     `json:"down,omitempty"`
	Left    []int32     `json:"left,omitempty"`
	Lock    lockState   `json:"lock"`
	Outage  outageState `json:"outage"`
}

type nodeSnapshot struct {
	I       int32             `json:"i"`
	State   condition         `json:"s"`
	Regate  bool              `json:"regate,omitempty"`
	Queued  bool              `json:"queued,omitempty"`
	Made    bool              `json:"made,omitempty"`
	Told    uint8             `json:"told,omitempty"`
	Effects int32             `json:"effects,omitempty"`
	Changed int               `json:"changed,omitempty"`
	Done    int               `json:"done,omitempty"`
	Attempt int               `json:"attempt,omitempty"`
	Values  map[string]string `json:"values,omitempty"`
	Said    *Decision         `json:"said,omitempty"`
	Begun   time.Duration     `json:"begun,omitempty"`
	Last    time.Duration     `json:"last,omitempty"`
	Spent   time.Duration     `json:"spent,omitempty"`
	Since   time.Duration     `json:"since,omitempty"`
	Started bool              `json:"started,omitempty"`
	Work    *work             `json:"work,omitempty"`
}

type memberSnapshot struct {
	I       int32         `json:"i"`
	Is      progress      `json:"is,omitempty"`
	Touched int           `json:"touched,omitempty"`
	Soaked  time.Duration `json:"soaked,omitempty"`
	Listed  bool          `json:"listed,omitempty"`
	Begun   bool          `json:"begun,omitempty"`
	Hurt    bool          `json:"hurt,omitempty"`
}

type hostSnapshot struct {
	Name  string        `json:"name"`
	Is    standing      `json:"is"`
	Owner int32         `json:"owner"`
	Down  string        `json:"down,omitempty"`
	Since time.Duration `json:"since,omitempty"`
	Also  []int32       `json:"also,omitempty"`
}

type rolloutSnapshot struct {
	Waiting []int32       `json:"waiting,omitempty"`
	Held    []int32       `json:"held,omitempty"`
	Looking bool          `json:"looking,omitempty"`
	Look    pauses        `json:"look"`
	Napping bool          `json:"napping,omitempty"`
	Nap     time.Duration `json:"nap,omitempty"`
	Short   time.Duration `json:"short"`
	GaveUp  bool          `json:"gaveUp,omitempty"`
	Dirty   bool          `json:"dirty,omitempty"`
}

// flags are the reducer's own, in an order that belongs to the format.
func (r *Reducer) flags() []*bool {
	return []*bool{&r.begun, &r.stopped, &r.paused, &r.failed, &r.finished, &r.opened, &r.last, &r.halted, &r.swept}
}

// Snapshot writes the reducer down, between two events, so that Restore can take it up again: in another process, another
// engine, another program of the same snapshot format. Commands that were returned and not answered yet are not part of it:
// their answers are still awaited.
func (r *Reducer) Snapshot() ([]byte, error) {
	s := snapshot{Format: SnapshotFormat, Graph: r.graph.Digest, Now: r.now, Since: r.format, Wall: r.wall, Taken: r.taken, Why: r.why,
		Gates: r.gates, Coming: r.coming, WakeAt: r.wakeAt, Made: r.effects.made, Passed: r.effects.passed, Ready: [2][]int32{r.ready[0].list, r.ready[1].list},
		Gated: r.gated, Dirty: r.dirty, Starved: r.starved, Permits: r.permits, Timers: r.timers.list, Set: r.timers.set,
		Touched: r.hosts.touched, Loose: r.hosts.loose, Down: r.hosts.down, Left: r.hosts.left, Lock: r.lock, Outage: r.outage}
	for _, f := range r.flags() {
		s.Flags = append(s.Flags, *f)
	}
	s.Nodes, s.Members, s.Hosts, s.Rollouts = r.nodeSnapshots(), r.memberSnapshots(), r.hostSnapshots(), r.rolloutSnapshots()
	s.Effects = r.effects.all()
	return json.Marshal(s)
}

// all is every effect: within nodes and within hosts in the order in which they were begun.
func (t *effectTable) all() (list []*effect) {
	for _, e := range t.byTicket {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *effect) int { return a.Order - b.Order })
	return list
}

func (r *Reducer) nodeSnapshots() (list []nodeSnapshot) {
	for i := range r.nodes {
		st := &r.nodes[i]
		if st.state == isPending && st.attempt == 0 && !st.queued && st.told == 0 && st.effects == 0 && st.said == (Decision{}) && !st.made {
			continue // as it was made
		}
		n := nodeSnapshot{I: int32(i), State: st.state, Regate: st.regate, Queued: st.queued, Made: st.made, Told: st.told,
			Effects: st.effects, Changed: st.changed, Done: st.done, Attempt: st.attempt, Values: st.values, Begun: st.begun,
			Last: st.last, Spent: st.spent, Since: st.since, Started: st.started, Work: st.work}
		if st.said != (Decision{}) {
			n.Said = &st.said
		}
		list = append(list, n)
	}
	return list
}

func (r *Reducer) memberSnapshots() (list []memberSnapshot) {
	for i := range r.members {
		m := &r.members[i]
		if s := (memberSnapshot{int32(i), m.is, m.touched, m.soaked, m.listed, m.begun, m.hurt}); s != (memberSnapshot{I: int32(i)}) {
			list = append(list, s)
		}
	}
	return list
}

func (r *Reducer) hostSnapshots() (list []hostSnapshot) {
	for i := range r.hosts.hosts {
		if h := &r.hosts.hosts[i]; h.is != free || h.down != "" || h.also != nil || h.members == nil {
			list = append(list, hostSnapshot{h.name, h.is, h.owner, h.down, h.since, h.also})
		}
	}
	return list
}

func (r *Reducer) rolloutSnapshots() (list []rolloutSnapshot) {
	for i := range r.rollouts {
		g := &r.rollouts[i]
		list = append(list, rolloutSnapshot{g.waiting.list, g.held, g.looking, g.look, g.napping, g.nap, g.short, g.gaveUp, g.dirty})
	}
	return list
}

// Restore takes up what Snapshot wrote down. The graph must be the same, and the options are to be.
func Restore(g *Graph, o Options, data []byte) (*Reducer, error) {
	var s snapshot
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	r := NewReducer(g, o)
	flags := r.flags()
	switch {
	case s.Format != SnapshotFormat:
		return nil, fmt.Errorf("%w: it has format %d, and this program knows format %d", ErrSnapshot, s.Format, SnapshotFormat)
	case s.Graph != g.Digest:
		return nil, fmt.Errorf("%w: it is of another graph", ErrSnapshot)
	case !r.fits(&s) || len(s.Flags) != len(flags):
		return nil, fmt.Errorf("%w: it does not fit its graph", ErrSnapshot)
	}
	for i, f := range flags {
		*f = s.Flags[i]
	}
	r.now, r.format, r.wall, r.taken, r.why, r.gates, r.wakeAt = s.Now, s.Since, s.Wall, s.Taken, s.Why, s.Gates, s.WakeAt
	r.gated, r.dirty, r.starved, r.permits = s.Gated, s.Dirty, s.Starved, s.Permits
	r.ready = [2]queue{{s.Ready[0]}, {s.Ready[1]}}
	r.timers = timers{s.Timers, s.Set}
	r.lock, r.outage = s.Lock, s.Outage
	r.restoreNodes(s.Nodes)
	r.restoreHosts(&s)
	r.restoreEffects(&s)
	r.recount()
	r.coming = s.Coming
	return r, nil
}

// fits says whether all numbers of a snapshot are those of this graph.
func (r *Reducer) fits(s *snapshot) bool {
	below := func(n int, lists ...[]int32) bool {
		for _, list := range lists {
			if slices.ContainsFunc(list, func(i int32) bool { return i < 0 || int(i) >= n }) {
				return false
			}
		}
		return true
	}
	bad := slices.ContainsFunc(s.Nodes, func(n nodeSnapshot) bool { return !below(len(r.nodes), []int32{n.I}) || n.State > isPaused }) ||
		slices.ContainsFunc(s.Members, func(m memberSnapshot) bool { return !below(len(r.members), []int32{m.I}) }) ||
		slices.ContainsFunc(s.Hosts, func(h hostSnapshot) bool { return h.Owner >= int32(len(r.members)) || !below(len(r.rollouts), h.Also) }) ||
		slices.ContainsFunc(s.Effects, func(e *effect) bool { return e == nil || e.Node >= int32(len(r.nodes)) })
	return !bad && len(s.Rollouts) == len(r.rollouts) && s.Outage.Node < int32(len(r.nodes)) &&
		below(len(r.nodes), s.Ready[0], s.Ready[1], s.Gated, s.Permits) && below(len(r.rollouts), s.Dirty, s.Starved)
}

func (r *Reducer) restoreNodes(list []nodeSnapshot) {
	for _, n := range list {
		st := &r.nodes[n.I]
		r.setState(n.I, n.State)
		st.regate, st.queued, st.made, st.told = n.Regate, n.Queued, n.Made, n.Told
		st.effects, st.changed, st.done, st.attempt, st.values = n.Effects, n.Changed, n.Done, n.Attempt, n.Values
		st.begun, st.last, st.spent, st.since, st.started, st.work = n.Begun, n.Last, n.Spent, n.Since, n.Started, n.Work
		if n.Said != nil {
			st.said = *n.Said
		}
	}
}

func (r *Reducer) restoreHosts(s *snapshot) {
	for _, m := range s.Members {
		mem := &r.members[m.I]
		mem.is, mem.touched, mem.soaked, mem.listed, mem.begun, mem.hurt = m.Is, m.Touched, m.Soaked, m.Listed, m.Begun, m.Hurt
	}
	for _, h := range s.Hosts {
		i := r.hosts.enter(h.Name)
		r.hosts.hosts[i].also = h.Also
		for _, g := range h.Also {
			r.rollouts[g].lost = append(r.rollouts[g].lost, i)
		}
		r.setDown(i, h.Down)
		r.setHost(i, h.Is, h.Owner)
		r.hosts.hosts[i].since = h.Since
	}
	for i := range r.hosts.hosts {
		r.hosts.hosts[i].at = [4]int{}
	}
	for which, list := range [][]int32{s.Touched, s.Loose, s.Down, s.Left} { // in their order
		for at, i := range list {
			r.hosts.hosts[i].at[which] = at + 1
		}
	}
	r.hosts.touched, r.hosts.loose, r.hosts.down, r.hosts.left = s.Touched, s.Loose, s.Down, s.Left
	for i, g := range s.Rollouts {
		to := &r.rollouts[i]
		to.waiting, to.held, to.looking, to.look = queue{g.Waiting}, g.Held, g.Looking, g.Look
		to.napping, to.nap, to.short, to.gaveUp, to.dirty = g.Napping, g.Nap, g.Short, g.GaveUp, g.Dirty
	}
	r.dirty = s.Dirty
}

func (r *Reducer) restoreEffects(s *snapshot) {
	for _, e := range s.Effects {
		r.effects.add(e)
	}
	if s.Made != nil {
		r.effects.made = s.Made
	}
	if s.Passed != nil {
		r.effects.passed = s.Passed
	}
}

// recount counts what follows from the rest: the members of rollouts by how far they are, and who waits for whom.
func (r *Reducer) recount() {
	for m := range r.members {
		switch g := r.rolloutOf(int32(m)); r.members[m].is {
		case through:
			g.through++
		case watched:
			g.soaks++
		case failed:
			g.failed++
		}
	}
	for j := range r.nodes {
		st := &r.nodes[j]
		if st.told&toldInner == 0 {
			for _, who := range st.inner {
				r.raise(who, r.graph.Nodes[j].Finally)
			}
		}
		if st.told&toldOuter == 0 {
			for _, who := range st.outer {
				r.raise(who, r.graph.Nodes[j].Finally)
			}
		}
	}
	r.raiseBarriers()
}
