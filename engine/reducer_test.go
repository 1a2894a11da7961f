package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"upgrader.dev/upgrader/engine/journal"
)

// drawGraph makes a random plan: single steps and rollouts in a chain or beside each other, each host with a few steps.
func drawGraph(t *rapid.T) *Graph {
	g := &Graph{}
	var before []string
	for s := range rapid.IntRange(1, 4).Draw(t, "sections") {
		var ids []string
		needs := before
		if rapid.Bool().Draw(t, "independent") {
			needs = nil
		}
		hosts := rapid.IntRange(0, 5).Draw(t, "hosts")
		if hosts == 0 {
			id := fmt.Sprintf("s%d", s)
			g.Nodes = append(g.Nodes, Node{ID: id, Needs: needs, Digest: id, Gate: rapid.Bool().Draw(t, "gate"), Target: Target{Name: Cluster}})
			before = []string{id}
			continue
		}
		grp := Group{ID: fmt.Sprintf("g%d", s), MaxUnavailable: rapid.IntRange(1, 3).Draw(t, "max"), Canary: rapid.IntRange(0, 2).Draw(t, "canary"),
			Soak: time.Duration(rapid.IntRange(0, 2).Draw(t, "soak")) * time.Minute, MaxFailures: rapid.IntRange(0, 1).Draw(t, "failures")}
		for h := range hosts {
			host := fmt.Sprintf("h%d-%d", s, h)
			grp.Hosts = append(grp.Hosts, host)
			prev := needs
			for k := range rapid.IntRange(1, 3).Draw(t, "steps") {
				id := fmt.Sprintf("s%d.%d@%s", s, k, host)
				g.Nodes = append(g.Nodes, Node{ID: id, Needs: prev, Group: grp.ID, Digest: id, Target: Target{Name: host}})
				prev = []string{id}
				ids = append(ids, id)
			}
		}
		g.Groups = append(g.Groups, grp)
		before = ids
	}
	return g
}

// A judge follows a reducer's commands with books of its own.
type judge struct {
	t       *rapid.T
	g       *Graph
	r       *Reducer
	log     []journal.Record
	now     time.Time
	state   map[string]string
	running []string
	open    map[string]bool // nodes with an effect that nobody saw the end of
	idle    map[string]bool // hosts that an edited plan gave something more to do, and that have not begun with it
	foreign map[string]bool // hosts out of service by somebody else
	looks   []string
	stopped bool
	end     string
}

func (j *judge) send(ev journal.Record) {
	j.now = j.now.Add(time.Second)
	ev.Time = j.now
	if ev.Kind != Tick {
		j.log = append(j.log, ev)
	}
	for _, c := range j.r.Next(ev) {
		j.obey(c)
	}
}

func (j *judge) obey(c Command) {
	switch c.Do {
	case Launch:
		j.launch(c.Node)
	case Look:
		j.looks = append(j.looks, c.Group)
	case Finish:
		if len(j.running) > 0 {
			j.t.Fatalf("finished while %v run", j.running)
		}
		j.end = c.State
	}
}

func (j *judge) launch(id string) {
	n := j.g.Lookup(id)
	if j.stopped {
		j.t.Fatalf("%s was started after a stop", id)
	}
	if s := j.state[id]; s != "" && s != Pending && !n.Gate {
		j.t.Fatalf("%s was started although it is %s", id, s)
	}
	for _, need := range n.Needs {
		if s := j.state[need]; !j.open[id] && s != Done && s != Skipped && !j.excused(need) {
			j.t.Fatalf("%s was started before %s, which is %q", id, need, s)
		}
	}
	j.state[id] = Running
	delete(j.idle, n.Group+n.Target.Name)
	j.running = append(j.running, id)
	j.log = append(j.log, journal.Record{Kind: journal.Start, Node: id, Time: j.now})
	j.countUnavailable(n)
}

// excused: the host failed in a rollout that tolerates failures.
func (j *judge) excused(need string) bool {
	for _, grp := range j.g.Groups {
		if grp.ID == j.g.Lookup(need).Group {
			return grp.MaxFailures > 0
		}
	}
	return false
}

func (j *judge) countUnavailable(n *Node) {
	for _, grp := range j.g.Groups {
		if grp.ID != n.Group {
			continue
		}
		atWork, unavailable := 0, 0
		for _, h := range grp.Hosts {
			busy := j.busy(grp.ID, h)
			if busy {
				atWork++
			}
			if busy || j.foreign[h] {
				unavailable++
			}
		}
		if atWork > grp.MaxUnavailable {
			j.t.Fatalf("%s: %d hosts of %s at work, %d allowed", n.ID, atWork, grp.ID, grp.MaxUnavailable)
		}
		if first := j.first(n); first && unavailable > grp.MaxUnavailable && !j.foreign[n.Target.Name] {
			j.t.Fatalf("%s was let in with %d of %s unavailable, %d allowed", n.ID, unavailable, grp.ID, grp.MaxUnavailable)
		}
	}
}

// busy: begun, and neither finished nor untouched.
func (j *judge) busy(group, host string) bool {
	begun, open := false, false
	for _, n := range j.g.Nodes {
		if n.Group != group || n.Target.Name != host {
			continue
		}
		switch j.state[n.ID] {
		case "", Pending:
			open = true
		case Done, Skipped:
			begun = true
		default:
			begun, open = true, true
		}
	}
	return begun && open && !j.idle[group+host]
}

func (j *judge) first(n *Node) bool {
	for _, o := range j.g.Nodes {
		if o.Group == n.Group && o.Target.Name == n.Target.Name {
			return o.ID == n.ID
		}
	}
	return false
}

func (j *judge) settle(i int, state string) {
	id := j.running[i]
	j.running = append(j.running[:i:i], j.running[i+1:]...)
	j.state[id] = state
	if rapid.Bool().Draw(j.t, "changed") {
		j.send(journal.Record{Kind: journal.Intent, Node: id, Ticket: id, Repeat: string(Guarded)})
		if rapid.IntRange(0, 9).Draw(j.t, "ended") > 0 {
			j.send(journal.Record{Kind: journal.Outcome, Node: id, Ticket: id, State: outcomeOK})
			delete(j.open, id)
		} else {
			j.open[id] = true
		}
	}
	j.send(journal.Record{Kind: journal.Settled, Node: id, State: state, Digest: id})
}

// edit gives every host of every rollout one more step, as an edited plan does that a resume accepts.
func (j *judge) edit() {
	g := *j.g
	g.Nodes = slices.Clone(j.g.Nodes)
	j.idle = map[string]bool{}
	for _, grp := range g.Groups {
		for _, h := range grp.Hosts {
			id := fmt.Sprintf("more%d@%s", len(g.Nodes), h)
			var last string
			j.idle[grp.ID+h] = true // and in service, as a look will show
			for _, n := range j.g.Nodes {
				if n.Group == grp.ID && n.Target.Name == h {
					last = n.ID
				}
			}
			g.Nodes = append(g.Nodes, Node{ID: id, Needs: []string{last}, Group: grp.ID, Digest: id, Gate: rapid.Bool().Draw(j.t, "gate"), Target: Target{Name: h}})
		}
	}
	j.g = &g
	j.crash()
}

// crash starts a new process on what was recorded.
func (j *judge) crash() {
	for _, id := range j.running {
		j.state[id] = Pending
	}
	for id, s := range j.state {
		if s == Failed || s == Refused || s == Paused {
			j.state[id] = Pending
		}
	}
	j.running, j.looks, j.end, j.stopped = nil, nil, "", false
	j.r = NewReducer(j.g, 8)
	j.r.Replay(j.log)
	j.send(journal.Record{Kind: journal.Begin})
}

func (j *judge) answer() {
	group := j.looks[0]
	j.looks = j.looks[1:]
	down := map[string]string{}
	for _, grp := range j.g.Groups {
		for _, h := range grp.Hosts {
			if grp.ID == group && (j.foreign[h] || j.busy(group, h) && rapid.Bool().Draw(j.t, "cordoned")) {
				down[h] = "cordoned"
			}
		}
	}
	j.send(journal.Record{Kind: journal.Down, Group: group, Hosts: down})
}

func (j *judge) step() {
	switch dice := rapid.IntRange(0, 19).Draw(j.t, "dice"); {
	case dice < 10 && len(j.running) > 0:
		i := rapid.IntRange(0, len(j.running)-1).Draw(j.t, "which")
		j.settle(i, rapid.SampledFrom([]string{Done, Done, Done, Done, Done, Done, Skipped, Failed}).Draw(j.t, "as"))
	case dice < 14 && len(j.looks) > 0:
		j.answer()
	case dice < 17:
		j.now = j.now.Add(30 * time.Second)
		j.send(journal.Record{Kind: Tick})
	case dice == 17:
		j.crash()
	case dice == 18 && rapid.IntRange(0, 5).Draw(j.t, "stop") == 0:
		j.stopped = true
		j.send(journal.Record{Kind: journal.Stop})
	}
}

// Whatever happens in whatever order, nothing starts before its needs or after a stop, and no rollout has more hosts
// out of service because of it than it may, across crashes.
func TestReducerProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		j := &judge{t: t, g: g, r: NewReducer(g, 8), state: map[string]string{}, foreign: map[string]bool{}, open: map[string]bool{}, now: time.Unix(0, 0)}
		for _, grp := range g.Groups {
			for _, h := range grp.Hosts {
				j.foreign[h] = rapid.IntRange(0, 9).Draw(t, "foreign") == 0
			}
		}
		j.send(journal.Record{Kind: journal.Begin})
		for range 80 {
			if j.end != "" {
				break
			}
			j.step()
		}
	})
}

// Without failures and stops every run ends, and ends well: the reducer never waits for something that nobody will send.
func TestReducerFinishes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		j := &judge{t: t, g: g, r: NewReducer(g, rapid.IntRange(1, 8).Draw(t, "limit")), state: map[string]string{}, foreign: map[string]bool{}, open: map[string]bool{}, now: time.Unix(0, 0)}
		j.send(journal.Record{Kind: journal.Begin})
		edits := rapid.IntRange(0, 60).Draw(t, "edit")
		for i := range 2000 {
			switch {
			case i == edits:
				j.edit()
			case j.end != "":
				if j.end != Done {
					t.Fatalf("ended %s", j.end)
				}
				return
			case len(j.running) > 0:
				j.settle(rapid.IntRange(0, len(j.running)-1).Draw(t, "which"), Done)
			case len(j.looks) > 0:
				j.answer()
			default:
				j.now = j.now.Add(time.Minute)
				j.send(journal.Record{Kind: Tick})
			}
		}
		t.Fatal("did not end")
	})
}

// What comes after a rollout begins when its last host has been watched, too; a host on which nothing was changed needs
// no watching.
func TestWhatNeedsARolloutWaitsForItsLastSoak(t *testing.T) {
	for _, changed := range []bool{true, false} {
		g := &Graph{
			Nodes: []Node{
				{ID: "up@h", Group: "g", Target: Target{Name: "h"}},
				{ID: "next", Needs: []string{"up@h"}, Target: Target{Name: Cluster}},
			},
			Groups: []Group{{ID: "g", Hosts: []string{"h"}, MaxUnavailable: 1, Soak: time.Minute}},
		}
		r, at := NewReducer(g, 8), time.Unix(0, 0)
		next := func(ev journal.Record) (launched []string, wake time.Time) {
			ev.Time = at
			for _, c := range r.Next(ev) {
				switch c.Do {
				case Launch:
					launched = append(launched, c.Node)
				case Wake:
					wake = c.At
				}
			}
			return launched, wake
		}
		next(journal.Record{Kind: journal.Begin})
		next(journal.Record{Kind: journal.Down, Group: "g"})
		if changed {
			next(journal.Record{Kind: journal.Intent, Node: "up@h", Repeat: string(Convergent)})
		}
		launched, wake := next(journal.Record{Kind: journal.Settled, Node: "up@h", State: Done})
		if !changed {
			if len(launched) != 1 {
				t.Errorf("nothing was changed, and yet %v was launched", launched)
			}
			continue
		}
		if len(launched) != 0 || !wake.Equal(at.Add(time.Minute)) {
			t.Errorf("launched %v, wakes at %v; want nothing before a minute has passed", launched, wake)
		}
		at = wake
		if launched, _ = next(journal.Record{Kind: Tick}); len(launched) != 1 {
			t.Errorf("after the soak: launched %v", launched)
		}
	}
}
