package engine

import (
	"path"
	"slices"
	"strings"
	"time"
)

// A Check is something that gates look for and that a plan may name: in a waiver, it says that what the check finds does
// not matter for a while.
type Check struct {
	Name string // area and what is looked at: "host.swap"
	Doc  string // one sentence: what it finds
	Firm bool   // nobody can waive it, because going on would break the cluster

	// Where is a regular expression (RE2) that the whole place of a waiver has to match; empty: any place will do, or none. It is for
	// checks whose waiver lets something be done, which is never everywhere.
	Where string
}

// A Waiver is a plan's word that what one check finds does not matter for a while.
type Waiver struct {
	Check  string    `json:"check"`
	Where  string    `json:"where,omitempty"` // only what is found in this place, or in those that this pattern fits; empty: everywhere
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"` // the first moment at which it does not hold any more
}

// Covers tells whether the waiver is about what a check found in a place, at this time. Its own place is that place, or a pattern of
// path.Match that fits it; but places are no paths, so * and ? stand for / too.
func (w Waiver) Covers(check, where string, now time.Time) bool {
	return w.Check == check && (w.Where == "" || w.Where == where || fits(w.Where, where)) && now.Before(w.Until)
}

func fits(pattern, where string) bool {
	fit, err := path.Match(flat(pattern), flat(where))
	return err == nil && fit
}

// flat is a place without the one character that path.Match treats apart.
func flat(where string) string { return strings.ReplaceAll(where, "/", "\x00") }

// ValidPlace says what is wrong with the place of a waiver: a pattern that can fit nothing. The error is path.ErrBadPattern.
func ValidPlace(where string) error {
	_, err := path.Match(flat(where), "")
	return err
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
