package plan

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine/document"
)

// A unit is a step with everything around it resolved: its path, its scope, its conditions, its children.
type unit struct {
	*step
	id       string // unique among its siblings
	path     string // unique in the plan
	scope    *scope // of its expressions
	whens    []condition
	children []*unit // of a group, fragments taken apart
	needs    []*unit // siblings, or steps of the top level
	finally  bool
	within   *unit // the group around it
}

// A condition is a `when` and the scope that it is written in.
type condition struct {
	text  document.Text
	scope *scope
}

// group says that the unit consists of other steps.
func (u *unit) group() bool { return len(u.Steps) > 0 || u.children != nil }

// onHosts returns the pattern of the hosts that the unit's expressions see one of: its own or its group's.
func (u *unit) onHosts() *pattern {
	if u.Hosts == nil && u.within != nil {
		return u.within.onHosts()
	}
	return u.Hosts
}

var (
	idSyntax = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
	notInID  = regexp.MustCompile(`[^a-z0-9]+`)
)

// resolve makes the units of the whole plan.
func (l *loader) resolve() {
	p := l.plan
	l.open = []string{p.main}
	p.steps = l.units(p.file.Steps, nil, p.scope, nil)
	p.finally = l.units(p.file.Finally, nil, p.scope, nil)
	for _, u := range p.finally {
		u.markFinally(l.faults)
	}
	if p.file.Steps != nil && len(p.file.Steps) == 0 {
		l.faults.Add(p.file.Pos, "", `"steps" must hold at least one step`)
	}
	l.name(slices.Concat(p.steps, p.finally), "")
	l.order(p)
}

func (u *unit) markFinally(faults *document.Faults) {
	u.finally = true
	if u.Needs != nil && u.within == nil {
		faults.Add(u.Pos, "remove needs", "the steps of finally run in order")
	}
	for _, c := range u.children {
		c.markFinally(faults)
	}
}

// units resolves a list of steps. Fragments inside a group are taken apart in place.
func (l *loader) units(list []*step, within *unit, sc *scope, whens []condition) []*unit {
	var out []*unit
	for _, s := range list {
		if s == nil || s.Line == 0 { // not a mapping: told already
			continue
		}
		if l.tooMany(s.Pos) {
			return out
		}
		u := &unit{step: s, scope: sc, whens: slices.Clone(whens), within: within}
		if s.When.Text != "" {
			u.whens = append(u.whens, condition{s.When, sc})
		}
		l.shape(u)
		switch {
		case isFragment(s.Uses.Text) && within != nil:
			out = append(out, l.splice(u, within)...)
		case isFragment(s.Uses.Text):
			l.asGroup(u)
			out = append(out, u)
		default:
			u.children = l.units(s.Steps, u, sc, u.whens)
			out = append(out, u)
		}
	}
	return out
}

// tooMany counts the steps as they are taken apart, those of a fragment at every use, and reports once that it is enough:
// fragments in fragments are a few lines and may be thousands of millions of steps. The place is that in the plan itself.
func (l *loader) tooMany(at document.Pos) bool {
	if len(l.open) == 1 {
		l.outer = at
	}
	if l.steps++; l.steps == maxSteps+1 {
		l.faults.Add(l.outer, "divide the plan", "the plan has more than %d steps here, those of fragments counted at every use", maxSteps)
	}
	return l.steps > maxSteps
}

// asGroup makes a step of the top level that uses a fragment a group of the fragment's steps.
func (l *loader) asGroup(u *unit) {
	l.inside(u, func(f *fragmentFile, sc *scope) { u.children = l.units(f.Steps, u, sc, u.whens) })
}

// splice puts the steps of a fragment in the place of the step that uses it; their IDs begin with that step's.
func (l *loader) splice(u *unit, within *unit) []*unit {
	var out []*unit
	l.inside(u, func(f *fragmentFile, sc *scope) {
		out = l.units(f.Steps, within, sc, u.whens)
		for _, c := range out {
			own := *c.step // the fragment is read once and may be used again
			c.step = &own
			c.id = u.wantedID() + "/" + c.wantedID()
			if c.Needs != nil {
				l.faults.Add(c.Pos, "use the fragment as a step of the top level", "inside a group the steps of a fragment run in order; they have no needs")
			}
			if u.Needs != nil && c == out[0] {
				c.Needs = u.Needs
			}
			if u.Hosts != nil && c.Hosts == nil {
				c.Hosts = u.Hosts
			}
		}
	})
	return out
}

// inside reads a fragment and calls f with its contents while it is open.
func (l *loader) inside(u *unit, f func(*fragmentFile, *scope)) {
	file, name := l.fragment(u.step)
	if file == nil {
		return
	}
	l.open = append(l.open, name)
	f(&file.fragmentFile, u.scope.fragment(file.words, u, l.faults))
	l.open = l.open[:len(l.open)-1]
}

// wantedID is the ID given, or the last word of what the step uses.
func (u *unit) wantedID() string {
	if u.id != "" {
		return u.id
	}
	if u.ID.Text != "" {
		return u.ID.Text
	}
	base := strings.TrimSuffix(strings.TrimSuffix(path.Base(u.Uses.Text), ".yaml"), ".yml")
	word := base[strings.LastIndexByte(base, '.')+1:]
	word = strings.Trim(notInID.ReplaceAllString(strings.ToLower(word), "-"), "-")
	if word == "" {
		return "step"
	}
	return word[:min(len(word), 30)]
}

// name gives every unit an ID that is unique among its siblings: those written first, then the others by number.
func (l *loader) name(list []*unit, prefix string) {
	taken := map[string]document.Pos{}
	for _, u := range list {
		if u.ID.Text == "" || u.id != "" {
			continue
		}
		id := u.ID.Text
		if first, twice := taken[id]; twice {
			l.faults.Add(u.ID.Pos, "give one of them another", "id %q is there twice, first in line %d", id, first.Line)
		}
		if !idSyntax.MatchString(id) {
			l.faults.Add(u.ID.Pos, "write small letters, digits and dashes, 40 at most", "%q cannot be an id", id)
		}
		taken[id], u.id = u.ID.Pos, id
	}
	next := map[string]int{} // the number to try for a word that is taken
	for _, u := range list {
		if u.ID.Text == "" || u.id != u.ID.Text {
			wanted := u.wantedID()
			u.id = wanted
			for _, twice := taken[u.id]; twice; _, twice = taken[u.id] {
				next[wanted]++
				u.id = fmt.Sprintf("%s-%d", wanted, next[wanted]+1)
			}
			taken[u.id] = u.Pos
		}
		u.path = path.Join(prefix, u.id)
		l.name(u.children, u.path)
	}
}
