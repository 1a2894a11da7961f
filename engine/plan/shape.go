package plan

import (
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine/document"
)

// shape checks what a single step may and may not have, by what it is and where it stands.
func (l *loader) shape(u *unit) {
	switch {
	case u.Uses.Text == "" && u.Steps == nil:
		l.faults.Add(u.Pos, "give it a kind, such as uses: node.drain", `a step needs "uses", or "steps" to be a group`)
	case u.Uses.Text != "" && u.Steps != nil:
		l.faults.Add(u.Uses.Pos, "remove one of them", `a step has "uses" or "steps", not both`)
	case u.Steps != nil && len(u.Steps) == 0:
		l.faults.Add(u.Pos, "", "the group has no steps")
	case u.Steps != nil && u.ID.Text == "":
		l.faults.Add(u.Pos, "the steps inside are named after it", `a group needs an "id"`)
	}
	if u.Steps != nil && u.within != nil {
		l.faults.Add(u.Pos, "move its steps up, or make it a step of its own", "a group stands inside a group")
	}
	if u.Steps != nil || isFragment(u.Uses.Text) {
		l.notOnGroups(u)
	}
	if u.Rollout != nil && u.Hosts == nil {
		l.faults.Add(u.Rollout.Pos, "add hosts", `"rollout" goes over hosts, and there are none`)
	}
	if isFragment(u.Uses.Text) && u.within != nil && u.within.Hosts == nil && u.Hosts != nil {
		l.faults.Add(u.Hosts.Pos, "make it a step of the top level", "a fragment inside a group takes neither hosts nor a rollout: its steps stand in the group one by one")
	}
	if u.within != nil && u.within.Hosts != nil {
		l.notInHostGroups(u)
	}
	if strings.Contains(u.Name.Text, marker) {
		l.faults.Add(u.Name.Pos, "", `"name" takes no expression`)
	}
	if strings.HasPrefix(strings.TrimSpace(u.When.Text), marker) {
		l.faults.Add(u.When.Pos, "write it without ${{ }}", `"when" is an expression already`)
	}
}

// notOnGroups refuses what belongs to the steps inside a group.
func (l *loader) notOnGroups(u *unit) {
	const move = "move it to the steps inside"
	if u.Timeout != nil {
		l.faults.Add(u.Timeout.Pos, move, `a group has no "timeout"`)
	}
	if u.Late.Text != "" {
		l.faults.Add(u.Late.Pos, move, `a group has no "onTimeout"`)
	}
	if u.Retry != nil {
		l.faults.Add(u.Retry.Pos, move, `a group has no "retry"`)
	}
	if u.With != nil && u.Steps != nil {
		l.faults.Add(u.With.Pos, move, `a group has no "with"`)
	}
}

// notInHostGroups refuses what the group around decides.
func (l *loader) notInHostGroups(u *unit) {
	const decides = "the group decides; remove it"
	if u.Hosts != nil {
		l.faults.Add(u.Hosts.Pos, decides, `a step inside a group with hosts has no "hosts" of its own`)
	}
	if u.Rollout != nil {
		l.faults.Add(u.Rollout.Pos, decides, `a step inside a group with hosts has no "rollout" of its own`)
	}
	if u.Needs != nil {
		at := u.Pos
		if len(u.Needs) > 0 {
			at = u.Needs[0].Pos
		}
		l.faults.Add(at, "remove needs", "the steps of a group run in order on each host")
	}
}

// order finds the units that each one needs, and cycles among them.
func (l *loader) order(p *Plan) {
	top := byID(p.steps)
	l.needs(p.steps, nil, top)
	for _, u := range p.steps {
		l.needs(u.children, byID(u.children), top)
	}
	inOrder(p.finally)
	for _, u := range p.finally {
		l.needs(u.children, byID(u.children), nil)
	}
	l.cycles(p.steps)
	l.cycles(p.finally)
}

func byID(list []*unit) map[string]*unit {
	ids := make(map[string]*unit, len(list))
	for _, u := range list {
		ids[u.id] = u
	}
	return ids
}

func inOrder(list []*unit) {
	for i := 1; i < len(list); i++ {
		list[i].needs = list[i-1 : i]
	}
}

// needs resolves the names under `needs` among the siblings, then among the steps of the top level.
func (l *loader) needs(list []*unit, siblings, top map[string]*unit) {
	if len(list) > 0 && list[0].within != nil && list[0].within.Hosts != nil {
		inOrder(list)
		return
	}
	for i, u := range list {
		if u.Needs == nil && i > 0 {
			u.needs = list[i-1 : i]
		}
		for _, n := range u.Needs {
			if found := l.need(u, n, siblings, top); found != nil {
				u.needs = append(u.needs, found)
			}
		}
	}
}

func (l *loader) need(u *unit, n document.Text, siblings, top map[string]*unit) *unit {
	if n.Text == u.id {
		l.faults.Add(n.Pos, "", "step %q needs itself", n.Text)
		return nil
	}
	if u.within != nil && n.Text == u.within.id {
		l.faults.Add(n.Pos, "", "step %q needs the group that it is in", u.id)
		return nil
	}
	for _, among := range []map[string]*unit{siblings, top} {
		if found := among[n.Text]; found != nil {
			return found
		}
	}
	hint := ""
	if !l.faults.Full() {
		ids := append(sortedKeys(siblings), sortedKeys(top)...)
		hint = document.Suggest(n.Text, slices.DeleteFunc(ids, func(id string) bool { return id == u.id }))
	}
	l.faults.Add(n.Pos, hint, "no step has the id %q", n.Text)
	return nil
}

// cycles reports steps that wait for each other.
func (l *loader) cycles(list []*unit) {
	state := map[*unit]int{} // 1: on the way, 2: done
	var way []*unit
	var visit func(u *unit)
	visit = func(u *unit) {
		if state[u] == 2 {
			return
		}
		if state[u] == 1 {
			l.cycle(way, u)
			return
		}
		state[u] = 1
		way = append(way, u)
		for _, n := range u.needs {
			visit(n)
		}
		for _, c := range u.children { // a group is done when its steps are
			visit(c)
		}
		way = way[:len(way)-1]
		state[u] = 2
	}
	for _, u := range list {
		visit(u)
	}
}

// cycle names the path, from the step that comes first in the file, and points at the first
// `needs` on it.
func (l *loader) cycle(way []*unit, back *unit) {
	for len(way) > 0 && way[0] != back {
		way = way[1:]
	}
	first := 0
	for i, u := range way {
		if f := way[first]; u.Line < f.Line || (u.Line == f.Line && u.Col < f.Col) {
			first = i
		}
	}
	at := document.Pos{}
	var names []string
	for i := range len(way) + 1 {
		u, next := way[(first+i)%len(way)], way[(first+i+1)%len(way)]
		names = append(names, u.id)
		for _, n := range u.Needs {
			if n.Text == next.id && at.Line == 0 {
				at = n.Pos
			}
		}
	}
	l.faults.Add(at, "a step without needs waits for the one before it", "steps wait for each other: %s", strings.Join(names, " -> "))
}
