package preflight

import (
	"fmt"
	"slices"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/finding"
)

// idleWaiver is the check of the plan's own words; it looks at what the others have found.
func idleWaiver() engine.Check {
	return of("plan.waiver", "waivers that name a place where nothing was found")
}

// idle are the waivers that hold now, name a place, and cover nothing: the trouble is over, or the place is spelt in another way than
// the report does. One that names no place cannot be spelt wrong.
func idle(v *View, found []finding.Finding) (notes []finding.Finding) {
	for _, w := range v.Goal.Waivers {
		if w.Where == "" || !v.Now.Before(w.Until) || slices.ContainsFunc(found, func(f finding.Finding) bool { return w.Covers(f.Check, f.Where, v.Now) }) {
			continue
		}
		notes = append(notes, finding.Finding{Check: idleWaiver().Name, Severity: finding.Note, Where: w.Where,
			What:     fmt.Sprintf("the plan waives %s here, and it finds nothing in such a place", w.Check),
			Evidence: "the reason given: " + w.Reason,
			Remedy:   "take the waiver out of the plan if the trouble is over; else write its place as the report does"})
	}
	return notes
}
