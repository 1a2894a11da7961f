package engine

import (
	"maps"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine/journal"
)

// A place is where a node counts.
type place struct {
	stage   int   // in stages
	host    int   // in unwell
	rollout int   // in rollouts; -1: in none
	after   []int // other rollouts that it comes after
}

// A Tally counts nodes by their state.
type Tally map[string]int

// Well is the number of nodes that ended well.
func (t Tally) Well() int { return t[Done] + t[Skipped] }

// AtWork is the number of nodes that have begun and not ended.
func (t Tally) AtWork() int { return t[Running] + t[Waiting] }

// Wrong is the number of nodes that failed or refused.
func (t Tally) Wrong() int { return t[Failed] + t[Refused] }

func (t Tally) move(from, to string) {
	t[from]--
	t[to]++
}

// A Stage is a step of the plan's top level, with all that is inside.
type Stage struct {
	Name        string
	Hosts, Done int // Done: hosts on which all of it is
	Tally       Tally
}

// A Rollout is how far a Group is.
type Rollout struct {
	Group   *Group
	Tally   Tally
	Awaited int            // nodes outside that have not begun and need one inside
	Changed bool           // something was changed: what ended is watched for the group's soak
	Ended   Moment         // when the last of its nodes ended
	Down    []OutOfService // as this process saw it last, by name
}

// OutOfService is a host that cannot be used, and why.
type OutOfService struct{ Host, Why string }

// placeAll finds out where each node counts, and counts them all as pending.
func (p *Progress) placeAll() {
	stages, hosts := map[string]int{}, map[[2]string]int{}
	behind := p.barriers()
	for i := range p.graph.Nodes {
		n, at := &p.graph.Nodes[i], &p.places[i]
		name, _, _ := strings.Cut(n.Step, "/")
		if _, known := stages[name]; !known {
			stages[name] = len(p.stages)
			p.stages = append(p.stages, Stage{Name: name, Tally: Tally{}})
		}
		at.stage = stages[name]
		cell := [2]string{name, n.Target.Name}
		if _, known := hosts[cell]; !known {
			hosts[cell] = len(p.unwell)
			p.unwell = append(p.unwell, 0)
			p.stages[at.stage].Hosts++
		}
		at.host, at.rollout = hosts[cell], -1
		if r, ok := p.rollout[n.Group]; ok {
			at.rollout = r
			p.rollouts[r].Tally[Pending]++
		}
		at.after = slices.DeleteFunc(p.behind(n.Needs, behind), func(r int) bool { return r == at.rollout })
		for _, r := range at.after {
			p.rollouts[r].Awaited++
		}
		p.unwell[at.host]++
		p.stages[at.stage].Tally[Pending]++
	}
}

// barriers are the rollouts behind each barrier. What a barrier needs stands before it.
func (p *Progress) barriers() map[string][]int {
	found := make(map[string][]int, len(p.graph.Barriers))
	for _, b := range p.graph.Barriers {
		found[b.ID] = p.behind(b.Needs, found)
	}
	return found
}

// behind are the rollouts that these needs belong to, each once.
func (p *Progress) behind(needs []string, barriers map[string][]int) []int {
	var found []int
	for _, need := range needs {
		those := barriers[need]
		if i, ok := p.past.reducer.names.Node(need); ok {
			those = nil
			if r, ok := p.rollout[p.graph.Nodes[i].Group]; ok {
				those = []int{r}
			}
		}
		for _, r := range those {
			if !slices.Contains(found, r) {
				found = append(found, r)
			}
		}
	}
	return found
}

// move counts a node in another state than before.
func (p *Progress) move(i int, to string) {
	n, at := &p.summary.Nodes[i], p.places[i]
	from := n.State
	if from == to {
		return
	}
	n.State = to
	p.tally.move(from, to)
	p.stages[at.stage].Tally.move(from, to)
	if at.rollout >= 0 {
		p.rollouts[at.rollout].Tally.move(from, to)
	}
	for _, r := range at.after {
		p.rollouts[r].Awaited += tallied(to == Pending) - tallied(from == Pending)
	}
	p.moveHost(at, tallied(!isWell(conditionOf(to)))-tallied(!isWell(conditionOf(from))))
	if isAtWork(from) != isAtWork(to) {
		p.moveWork(i)
	}
}

func tallied(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// moveHost counts a host of a stage as done once every node of it there is, and not any more when one is to be done again.
func (p *Progress) moveHost(at place, by int) {
	was := p.unwell[at.host]
	p.unwell[at.host] += by
	p.stages[at.stage].Done += tallied(was+by == 0) - tallied(was == 0)
}

// moveWork puts a node among those at work, or takes it away from there.
func (p *Progress) moveWork(i int) {
	at, there := slices.BinarySearch(p.atWork, i)
	if there {
		p.atWork = slices.Delete(p.atWork, at, at+1)
		return
	}
	p.atWork = slices.Insert(p.atWork, at, i)
}

// note lets a node's rollout know what a record tells of it.
func (p *Progress) note(i int, rec *journal.Record) {
	r := p.places[i].rollout
	if r < 0 {
		return
	}
	switch rec.Kind {
	case journal.Intent:
		p.rollouts[r].Changed = true
	case journal.Settled, journal.Decision:
		if n := &p.summary.Nodes[i]; !n.Ended.IsZero() {
			p.rollouts[r].Ended = p.latest
		}
	}
}

// look is what was found out about the hosts of a rollout.
func (p *Progress) look(rec *journal.Record) {
	r, ok := p.rollout[rec.Group]
	if !ok {
		return
	}
	p.rollouts[r].Down = nil
	for _, host := range slices.Sorted(maps.Keys(rec.Hosts)) {
		p.rollouts[r].Down = append(p.rollouts[r].Down, OutOfService{host, rec.Hosts[host]})
	}
}
