package kube

import "time"

// Hurry makes everything about the lock last a thousandth or so of what it lasts in earnest, in the same proportions: a
// second is a unit.
func (l *Lock) Hurry(unit time.Duration) {
	l.pace = pace{
		duration: 60 * unit, renewal: 5 * unit, request: 5 * unit, trust: 50 * unit, write: 40 * unit, dial: 10 * unit, transit: 5 * unit, watch: 2 * unit,
	}
}
