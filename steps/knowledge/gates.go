package knowledge

import "fmt"

type gateChanges struct {
	In        Minor    `yaml:"in" required:"true" doc:"the minor that made the changes"`
	Removed   []string `yaml:"removed" doc:"gates that are not known any more"`
	LockedOn  []string `yaml:"lockedOn" doc:"gates that can only be true from now on"`
	LockedOff []string `yaml:"lockedOff" doc:"gates that can only be false from now on"`
	Source    string   `yaml:"source" required:"true"`
}

// A gate is what has become of one feature gate.
type gate struct {
	locked  change // zero: never
	on      bool   // what it is locked to
	removed change // zero: never
}

type change struct {
	in     Minor
	source string
}

// gatesOf turns the changes by minor into changes by gate.
func gatesOf(all []gateChanges) map[string]gate {
	gates := map[string]gate{}
	set := func(names []string, f func(*gate)) {
		for _, name := range names {
			g := gates[name]
			f(&g)
			gates[name] = g
		}
	}
	for _, c := range all {
		now := change{c.In, c.Source}
		set(c.Removed, func(g *gate) { g.removed = now })
		set(c.LockedOn, func(g *gate) { g.locked, g.on = now, true })
		set(c.LockedOff, func(g *gate) { g.locked, g.on = now, false })
	}
	return gates
}

// GateProblem tells whether naming a feature gate with this value keeps a component from starting in any minor newer than
// after and not newer than upTo. A gate that is locked refuses the other value until it is removed, and a gate that was
// removed refuses to be named at all; both also where that began in after or before, since a setting that a component
// does not run with yet (in kubeadm-config) takes hold with the upgrade. Where both are met, the lock is returned, which
// is met first.
func (b *Base) GateProblem(name string, on bool, after, upTo Minor) (Removal, bool) {
	g, known := b.gates[name]
	if !known {
		return Removal{}, false
	}
	switch {
	case g.refuses(on, after, upTo):
		return Removal{In: g.locked.in, What: fmt.Sprintf("locked to %t", g.on), Note: g.whenRemoved(), Source: g.locked.source}, true
	case g.removed.in != 0 && g.removed.in <= upTo:
		return Removal{In: g.removed.in, What: "removed", Note: g.whenLocked(), Source: g.removed.source}, true
	}
	return Removal{}, false
}

// refuses tells whether the lock is met before the gate is gone altogether.
func (g gate) refuses(on bool, after, upTo Minor) bool {
	first := max(g.locked.in, after+1)
	return g.locked.in != 0 && on != g.on && first <= upTo && (g.removed.in == 0 || first < g.removed.in)
}

// whenRemoved is the note of a lock, whenLocked that of a removal.
func (g gate) whenRemoved() string {
	if g.removed.in == 0 {
		return ""
	}
	return fmt.Sprintf("%s does not know it any more", g.removed.in)
}

func (g gate) whenLocked() string {
	if g.locked.in == 0 {
		return ""
	}
	return fmt.Sprintf("it has been locked to %t since %s", g.on, g.locked.in)
}
