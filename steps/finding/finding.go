// Package finding is how the program says that something stands in the way of an upgrade: what, where, how it was seen,
// and what to do. Checks make findings, reports show them. It may import engine.
package finding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
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
	Check    string         `json:"check"` // the name of the check, such as api.removed; waivers name it
	Severity Severity       `json:"severity"`
	Where    string         `json:"where"`              // a host as the inventory calls it, an object ("pod shop/cart-0 on w1"), or "cluster"
	What     string         `json:"what"`               // one sentence without a full stop
	Evidence string         `json:"evidence,omitempty"` // what was seen, and where: "/var/lib/kubelet/kubeadm-flags.env: --network-plugin=cni"; a diff has several lines
	Remedy   string         `json:"remedy"`             // what to do, in the imperative, with the command where there is one
	Waived   *engine.Waiver `json:"waived,omitempty"`   // set where the plan lets it pass
}

// Waive marks the findings that a waiver covers at this time. Those of firm checks never are.
func Waive(all []Finding, waivers []engine.Waiver, firm func(check string) bool, now time.Time) {
	for i := range all {
		for _, w := range waivers {
			if w.Covers(all[i].Check, all[i].Where, now) && !firm(all[i].Check) {
				all[i].Waived = &w
			}
		}
	}
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

// Few joins the first of many words and says how many more there are.
func Few(words []string) string {
	const most = 5
	if len(words) <= most {
		return strings.Join(words, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(words[:most], "; "), len(words)-most)
}

// Plural is a number with the word that fits it: "1 pod", "2 pods".
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}
