package plan

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"upgrader.dev/upgrader/engine"
)

// hostSet is every host of the inventory, in its order. Hosts are picked by their positions.
type hostSet struct {
	targets []engine.Target
	all     []int
	groups  map[string][]int
	names   map[string]int
	objects []*object          // of expressions, made when first asked for
	lists   map[string]ref.Val // what hosts() gave for a pattern
}

func newHostSet(targets []engine.Target) *hostSet {
	h := &hostSet{targets: targets, groups: map[string][]int{}, names: map[string]int{},
		objects: make([]*object, len(targets)), lists: map[string]ref.Val{}}
	for i, t := range targets {
		h.all = append(h.all, i)
		for _, g := range t.Groups {
			if list := h.groups[g]; len(list) == 0 || list[len(list)-1] != i {
				h.groups[g] = append(list, i)
			}
		}
		if _, taken := h.names[t.Name]; !taken {
			h.names[t.Name] = i
		}
	}
	return h
}

// words lists every word that a pattern may begin with.
func (h *hostSet) words() []string {
	list := append([]string{engine.AllHosts, engine.ControlPlane, engine.Workers}, sortedKeys(h.groups)...)
	for _, t := range h.targets {
		list = append(list, t.Name)
	}
	return list
}

// emptyIsFine says which patterns may select no host: a cluster without workers, the rest of a single control plane.
func (t term) emptyIsFine() bool { return t.open || t.name == engine.Workers }

// selectTerm returns the hosts of one term in the inventory's order.
func (h *hostSet) selectTerm(t term) ([]int, error) {
	if len(t.labels) > 0 {
		return h.labelled(t.labels)
	}
	found, known := h.members(t.name)
	if !known {
		return nil, &noHosts{why: fmt.Sprintf(unknownHosts, t.name), name: t.name}
	}
	total := len(found)
	if t.slice {
		to := total
		if t.to >= 0 {
			to = min(t.to, total)
		}
		found = found[min(t.from, to):to]
	}
	if len(found) == 0 && !t.emptyIsFine() {
		return nil, &noHosts{why: fmt.Sprintf("%s has %d hosts, so this selects none", t.name, total), hint: "check the inventory"}
	}
	return found, nil
}

func (h *hostSet) labelled(labels []requirement) ([]int, error) {
	var found []int
	for i, target := range h.targets {
		if !slices.ContainsFunc(labels, func(r requirement) bool { return !r.holds(target.Labels) }) {
			found = append(found, i)
		}
	}
	if len(found) == 0 {
		return nil, &noHosts{why: "no host has these labels", hint: "see the labels of the inventory"}
	}
	return found, nil
}

// members returns the hosts of a group, or the host of that name. A group goes before a host.
func (h *hostSet) members(name string) ([]int, bool) {
	if name == engine.AllHosts {
		return h.all, true
	}
	if found := h.groups[name]; len(found) > 0 || name == engine.ControlPlane || name == engine.Workers {
		return found, true
	}
	i, known := h.names[name]
	return []int{i}, known
}

// pick returns the hosts of several terms, each once, in the inventory's order.
func (h *hostSet) pick(terms []term) ([]int, error) {
	var chosen []int
	for i, t := range terms {
		list, err := h.selectTerm(t)
		if err != nil {
			return nil, err
		}
		if i == 0 && len(terms) == 1 {
			return list, nil
		}
		chosen = append(chosen, list...)
	}
	slices.Sort(chosen)
	return slices.Compact(chosen), nil
}

// spread lets the values of a label take turns, in the order in which they first appear. Hosts without the label are
// together one more value, so a label that no host has changes nothing.
func (h *hostSet) spread(hosts []int, label string) []int {
	var turns []string
	by := map[string][]int{}
	for _, i := range hosts {
		v := h.targets[i].Labels[label]
		if _, seen := by[v]; !seen {
			turns = append(turns, v)
		}
		by[v] = append(by[v], i)
	}
	out := make([]int, 0, len(hosts))
	for len(turns) > 0 {
		for _, v := range turns {
			out = append(out, by[v][0])
			by[v] = by[v][1:]
		}
		turns = slices.DeleteFunc(turns, func(v string) bool { return len(by[v]) == 0 })
	}
	return out
}

// object is a host as expressions see it.
func (h *hostSet) object(i int) *object {
	if h.objects[i] == nil {
		h.objects[i] = hostObject(h.targets[i])
	}
	return h.objects[i]
}

// list is what hosts('pattern') gives in expressions.
func (h *hostSet) list(text string) ref.Val {
	if list, known := h.lists[text]; known {
		return list
	}
	t, err := parseTerm(text)
	if err != nil {
		return types.NewErr("%s", err)
	}
	found, err := h.selectTerm(t)
	if err != nil {
		return types.NewErr("hosts('%s'): %s", text, err)
	}
	objects := make([]ref.Val, len(found))
	for j, i := range found {
		objects[j] = h.object(i)
	}
	h.lists[text] = types.NewRefValList(types.DefaultTypeAdapter, objects)
	return h.lists[text]
}

const unknownHosts = "no group or host is called %q"

// noHosts says why a pattern selects nothing.
type noHosts struct {
	why, hint string
	name      string // that is neither a group's nor a host's
}

func (e *noHosts) Error() string { return e.why }
