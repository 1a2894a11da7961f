package plan

import (
	"slices"

	"upgrader.dev/upgrader/engine"
)

// edges gives the nodes of a unit what they need. What a unit waits for, and what is waited for where it ends, is worked
// out once, and what is more than one thing for more than one node is a barrier: so there are as many edges as steps,
// hosts and written needs, not as many as their product.
func (x *expander) edges(u *unit) {
	switch {
	case u.group() && u.Hosts != nil:
		x.chains(u)
	case u.group():
		for _, c := range u.children {
			x.edges(c)
		}
	default:
		for _, i := range x.nodes[u] {
			x.out.Nodes[i].Needs = x.before(u)
		}
	}
}

// chains are the steps of a group on each of its hosts: the first waits for what the group waits for, the others for the
// one before.
func (x *expander) chains(u *unit) {
	for i, c := range u.children {
		for h, n := range x.nodes[c] {
			if i == 0 {
				x.out.Nodes[n].Needs = x.before(u)
				continue
			}
			last := x.nodes[u.children[i-1]][h]
			x.out.Nodes[n].Needs = []string{x.out.Nodes[last].ID}
		}
	}
}

// before returns the IDs of what must be settled before a unit starts.
func (x *expander) before(u *unit) []string {
	if ids, known := x.starts[u]; known {
		return ids
	}
	var ids []string
	sibling := false
	for _, n := range u.needs {
		ids = appendID(ids, x.end(n))
		sibling = sibling || n.within == u.within
	}
	if u.within != nil && !sibling {
		ids = append(ids, x.before(u.within)...)
	}
	if len(ids) == 0 && x.guard != "" && !u.finally && u.path != x.guard {
		ids = []string{x.guard}
	}
	ids = unique(ids)
	if len(ids) > 1 && x.wide(u) {
		ids = []string{x.barrier("*/"+u.path, ids)}
	}
	x.starts[u] = ids
	return ids
}

// wide says whether more than one node starts with a unit.
func (x *expander) wide(u *unit) bool {
	if u.group() && u.Hosts == nil {
		return len(u.children) > 1
	}
	return len(x.hostsOf(u)) > 1
}

// end returns the ID of what is waited for where a unit is needed: its only last node, or a barrier. A unit without nodes
// passes on what it waits for itself; "" is nothing at all.
func (x *expander) end(u *unit) string {
	if id, known := x.finish[u]; known {
		return id
	}
	ids := x.last(u)
	if len(ids) == 0 {
		ids = x.before(u)
	}
	id := ""
	switch len(ids) {
	case 0:
	case 1:
		id = ids[0]
	default:
		id = x.barrier(u.path+"/*", ids)
	}
	x.finish[u] = id
	return id
}

// last returns the IDs of the nodes, or of the units inside, that a unit ends with.
func (x *expander) last(u *unit) []string {
	var ids []string
	switch {
	case u.group() && u.Hosts != nil:
		return x.ids(x.nodes[u.children[len(u.children)-1]])
	case u.group():
		needed := map[*unit]bool{}
		for _, c := range u.children {
			for _, n := range c.needs {
				needed[n] = true
			}
		}
		for _, c := range u.children {
			if !needed[c] {
				ids = appendID(ids, x.end(c))
			}
		}
		return unique(ids)
	default:
		return x.ids(x.nodes[u])
	}
}

func (x *expander) ids(list []int) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = x.out.Nodes[n].ID
	}
	return out
}

// barrier makes a barrier. What it needs stands before it: whoever asks for one has asked for those first.
func (x *expander) barrier(id string, needs []string) string {
	x.out.Barriers = append(x.out.Barriers, engine.Barrier{ID: id, Needs: needs})
	return id
}

func appendID(ids []string, id string) []string {
	if id == "" {
		return ids
	}
	return append(ids, id)
}

func unique(ids []string) []string {
	if len(ids) < 2 {
		return ids
	}
	seen := make(map[string]bool, len(ids))
	return slices.DeleteFunc(ids, func(id string) bool {
		twice := seen[id]
		seen[id] = true
		return twice
	})
}
