package engine

import (
	"slices"
	"time"
)

// A Check is something that gates look for and that a plan may name: in a waiver, it says that what the check finds does
// not matter for a while.
type Check struct {
	Name string // area and what is looked at: "host.swap"
	Doc  string // one sentence: what it finds
	Firm bool   // nobody can waive it, because going on would break the cluster
}

// A Waiver is a plan's word that what one check finds does not matter for a while.
type Waiver struct {
	Check  string    `json:"check"`
	Where  string    `json:"where,omitempty"` // only what is found in this place; empty: everywhere
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"` // the first moment at which it does not hold any more
}

// Covers tells whether the waiver is about what a check found in a place, at this time.
func (w Waiver) Covers(check, where string, now time.Time) bool {
	return w.Check == check && (w.Where == "" || w.Where == where) && now.Before(w.Until)
}

// WithChecks returns the catalog with the checks that its gates make.
func (c *Catalog) WithChecks(checks ...Check) *Catalog {
	return &Catalog{kinds: c.kinds, checks: slices.Clone(checks)}
}

// Checks returns every check, in the order in which it was listed.
func (c *Catalog) Checks() []Check { return slices.Clone(c.checks) }

// LookupCheck finds a check by its name.
func (c *Catalog) LookupCheck(name string) (Check, bool) {
	i := slices.IndexFunc(c.checks, func(k Check) bool { return k.Name == name })
	if i < 0 {
		return Check{}, false
	}
	return c.checks[i], true
}
