package plan

import (
	"regexp"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/document"
)

// waivers checks what the plan says it accepts, and returns it.
func (s *session) waivers() []engine.Waiver {
	var all []engine.Waiver
	for _, w := range s.plan.file.Waivers {
		last, err := time.Parse(time.DateOnly, w.Until.Text)
		if err != nil && w.Until.Text != "" {
			s.faults.Add(w.Until.Pos, "give the last day on which it holds: 2026-12-31", "%q is not a day", w.Until.Text)
		}
		s.waivable(w)
		if err := engine.ValidPlace(w.Where.Text); err != nil {
			s.faults.Add(w.Where.Pos, `write \[ for a [ that means itself`, "%q is no pattern: %s", w.Where.Text, err)
		}
		all = append(all, engine.Waiver{Check: w.Check.Text, Where: w.Where.Text, Reason: w.Reason.Text, Until: last.AddDate(0, 0, 1)})
	}
	return all
}

// waivable reports a waiver of what does not exist, and of what nobody may waive.
func (s *session) waivable(w waiver) {
	if w.Check.Text == "" {
		return // reported already: it is required
	}
	var names []string
	for _, c := range s.catalog.Checks() {
		names = append(names, c.Name)
	}
	check, ok := s.catalog.LookupCheck(w.Check.Text)
	switch {
	case !ok:
		s.faults.Add(w.Check.Pos, document.Suggest(w.Check.Text, names), "there is no check %q", w.Check.Text)
	case check.Firm:
		s.faults.Add(w.Check.Pos, "mend what it finds", "%s cannot be waived: going on would break the cluster", w.Check.Text)
	case w.Where.Text == "" && check.Where != "":
		s.faults.Add(w.Check.Pos, "add where", "%s is waived place by place, and this names none", w.Check.Text)
	case !regexp.MustCompile(`^(?:`+check.Where+`)$`).MatchString(w.Where.Text) && check.Where != "":
		s.faults.Add(w.Where.Pos, "see upgrader explain checks", "%s is waived for places that match %s, and %q does not", w.Check.Text, check.Where, w.Where.Text)
	}
}
