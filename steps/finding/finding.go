// Package finding is how the program says that something stands in the way of an upgrade: what, where, how it was seen,
// and what to do. Checks make findings, reports show them. It imports nothing.
package finding

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Severity says what a finding means for an upgrade.
type Severity string

const (
	Blocker Severity = "blocker" // the upgrade would fail, or break something, in the middle
	Warning Severity = "warning" // it may, or something is lost; the operator should know before it begins
	Note    Severity = "note"    // worth knowing; nothing has to be done
)

// rank orders severities, the worst first.
func (s Severity) rank() int { return slices.Index([]Severity{Blocker, Warning, Note}, s) }

// A Finding is one trouble in one place.
type Finding struct {
	Check    string   `json:"check"` // the name of the check, such as api.removed; waivers name it
	Severity Severity `json:"severity"`
	Where    string   `json:"where"`              // a host as the inventory calls it, an object ("pod shop/cart-0 on w1"), or "cluster"
	What     string   `json:"what"`               // one sentence without a full stop
	Evidence string   `json:"evidence,omitempty"` // what was seen, and where: "/var/lib/kubelet/kubeadm-flags.env: --network-plugin=cni"; a diff has several lines
	Remedy   string   `json:"remedy"`             // what to do, in the imperative, with the command where there is one
	Waived   *Waiver  `json:"waived,omitempty"`   // set where the plan lets it pass
}

// A Waiver is the plan's word that findings of one check do not matter for a while.
type Waiver struct {
	Check  string    `json:"check"`
	Where  string    `json:"where,omitempty"` // only findings in this place; empty: everywhere
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"` // the first moment at which it does not hold any more
}

// Covers tells whether the waiver is about the finding, at this time.
func (w Waiver) Covers(f Finding, now time.Time) bool {
	return w.Check == f.Check && (w.Where == "" || w.Where == f.Where) && now.Before(w.Until)
}

// Blocks tells whether the finding closes the way: a blocker that nobody waived.
func (f Finding) Blocks() bool { return f.Severity == Blocker && f.Waived == nil }

// Sort orders findings for people: the worst first, those waived last, then by check and place.
func Sort(all []Finding) {
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(boolean(a.Waived != nil), boolean(b.Waived != nil)),
			cmp.Compare(a.Severity.rank(), b.Severity.rank()),
			strings.Compare(a.Check, b.Check),
			strings.Compare(a.Where, b.Where),
			strings.Compare(a.What, b.What),
		)
	})
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}
