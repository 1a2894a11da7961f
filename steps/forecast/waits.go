package forecast

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/eviction"
)

// longest is how long the pods of a load need to go: those under one budget in rounds of as many as it allows now, all
// others at once. Passing pods that are terminating are waited for as well.
func (f *forecaster) longest(l load, passing []*body, rules eviction.Rules) (time.Duration, string) {
	waits := map[string]*rounds{}
	for _, b := range l.evict {
		key, allowed := "", 0
		if covering := f.budgets.of(b); len(covering) == 1 {
			key, allowed = covering[0].String(), int(max(1, covering[0].Allowed))
		}
		if waits[key] == nil {
			waits[key] = &rounds{budget: key, allowed: allowed}
		}
		waits[key].add(b, rules.Grace(b.Pod))
	}
	for _, b := range passing {
		if fate, _ := rules.Judge(b.Pod); fate == eviction.Passes {
			if waits[""] == nil {
				waits[""] = &rounds{}
			}
			waits[""].add(b, b.Grace)
		}
	}
	return slowest(waits)
}

// rounds are pods that leave together, or as many at a time as their budget allows.
type rounds struct {
	budget        string // empty: all at once
	allowed, pods int
	grace         time.Duration // the longest
	slow          string        // the pod that has it
}

func (r *rounds) add(b *body, grace time.Duration) {
	r.pods++
	if grace > r.grace || grace == r.grace && (r.slow == "" || b.name < r.slow) {
		r.grace, r.slow = grace, b.name
	}
}

func (r *rounds) length() time.Duration {
	if r.budget == "" {
		return r.grace
	}
	return time.Duration((r.pods+r.allowed-1)/r.allowed) * r.grace
}

func (r *rounds) words() string {
	if r.budget == "" || r.pods <= r.allowed {
		return fmt.Sprintf("%s may take %s to end", r.slow, spelled(r.grace))
	}
	return fmt.Sprintf("%d pods under PDB %s leave %d at a time, and each may take %s to end", r.pods, r.budget, r.allowed, spelled(r.grace))
}

func slowest(waits map[string]*rounds) (time.Duration, string) {
	all := slices.SortedFunc(maps.Values(waits), func(a, b *rounds) int {
		return cmp.Or(-cmp.Compare(a.length(), b.length()), strings.Compare(a.budget, b.budget))
	})
	if len(all) == 0 || all[0].length() == 0 {
		return 0, ""
	}
	return all[0].length(), all[0].words()
}

// spelled writes a duration without seconds or minutes that are zero: 30s, 10m, 1h.
func spelled(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
