//go:build e2e

package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Preflight finds nothing in a clean cluster, and every trouble that is planted in it: by the right check, in the right
// place, with what to do. What blocks ends it with 4, and `upgrader run` before anything was changed.
func TestPreflight(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		up(t, 1, 1).preflight()
		return
	}
	up(t, 3, 2).preflight()
}

func (l *lab) preflight() {
	l.t.Helper()
	l.equip()
	l.recover()
	clean := map[string]report{}
	for _, v := range []variant{shipped(), careless(), far()} {
		clean[v.name] = l.clean(v)
	}
	l.accepts()
	for _, r := range batches() {
		if len(r.fits(l)) == 0 || r.third && testing.Short() {
			continue
		}
		l.t.Run(r.name, func(t *testing.T) {
			began := time.Now()
			l.in(t).meet(r, clean[r.plan.name])
			l.figure("preflight, %s, %d troubles", time.Since(began), r.name, len(r.fits(l)))
		})
	}
	l.clean(shipped())
}

// clean requires that a plan finds nothing in a clean lab but what it brings along itself.
func (l *lab) clean(v variant) report {
	l.t.Helper()
	got := l.look(batch{plan: v})
	if d := cmp.Diff(v.finds, got.checks()); d != "" {
		l.t.Fatalf("%s finds in a clean cluster (-want +got):\n%s\n%v", v.name, d, got.Findings)
	}
	got.ends(l.t, "")
	l.figure("preflight of a clean cluster, %d hosts, %s", time.Duration(float64(got.Took)*float64(time.Second)), got.Hosts, v.name)
	if got.Took > 60 {
		l.t.Errorf("it took %.0f s", got.Took)
	}
	return got
}

// batches are all troubles. The last ones take the cluster longest to recover from.
func batches() []batch {
	return []batch{
		{name: "hosts that only warn", plan: shipped(), troubles: slices.Concat(untidyHosts(), brokenPackages()), only: "warning"},
		{name: "unfit hosts", plan: shipped(), troubles: unfitHosts()},
		{name: "old settings", plan: shipped(), troubles: slices.Concat(oldSettings(), editedAddons())},
		{name: "a revision that nobody offers", plan: shipped(), vars: []string{"revision=1.28.99-1.1"}, troubles: slices.Concat(noRevision(), crashing())},
		{name: "two minor versions at once", plan: twoAtOnce(), troubles: tooFar(), third: true},
		{name: "as far as anybody can", plan: farthest(), troubles: newFloors()},
		{name: "far away", plan: far(), troubles: farAway()},
		deadHosts(),
		{name: "careless", plan: careless(), troubles: slices.Concat([]trouble{editedManifest()}, carelessPackages(), carelessPlan(), undrainable())},
		{name: "ailing", plan: shipped(), troubles: ailing()},
		{name: "halved", plan: shipped(), troubles: halved()},
	}
}
