package forecast

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
)

// guards are the PodDisruptionBudgets, with what they were seen to stop.
type guards struct {
	budgets *eviction.Budgets
	byKin   map[string][]kube.Budget // those that cover a kind of pods, once they were asked for
	stopped map[string]*stop
}

// A stop is what a budget stops, or several that cover the same pod.
type stop struct {
	budgets []kube.Budget
	pods    []string // with their nodes, in the plan's order
	unready bool     // all of them run without being Ready
}

func newGuards(budgets []kube.Budget) *guards {
	return &guards{budgets: eviction.NewBudgets(budgets), byKin: map[string][]kube.Budget{}, stopped: map[string]*stop{}}
}

// of are the budgets that the API server asks before it evicts a pod. Selectors cannot tell pods of one kin apart.
func (g *guards) of(b *body) []kube.Budget {
	if !eviction.Counts(b.Pod) {
		return nil
	}
	covering, ok := g.byKin[b.kin]
	if !ok {
		covering = g.budgets.Over(b.Pod)
		g.byKin[b.kin] = covering
	}
	return covering
}

// budgets notes the pods that their budgets keep on the node. Those that came here by an earlier drain were noted there.
func (t *telling) budgets(l load) {
	for _, b := range l.evict {
		covering := t.forecaster.budgets.of(b)
		switch {
		case b.moved:
		case len(covering) > 1:
			t.forecaster.budgets.note(covering, b)
			t.block("drain.overlap")
		case len(covering) == 1 && eviction.Refuses(covering[0], b.Pod):
			t.forecaster.budgets.note(covering, b)
			if severity(covering[0]) == finding.Blocker {
				t.block("drain.budget")
			}
		}
	}
}

func (g *guards) note(covering []kube.Budget, b *body) {
	key := names(covering)
	if g.stopped[key] == nil {
		g.stopped[key] = &stop{budgets: covering, unready: true}
	}
	s := g.stopped[key]
	s.pods = append(s.pods, b.name+" on "+b.at.Node)
	s.unready = s.unready && !b.Ready
}

func names(budgets []kube.Budget) string {
	all := make([]string, len(budgets))
	for i, b := range budgets {
		all[i] = b.String()
	}
	return strings.Join(all, ", ")
}

// tellBudgets makes one finding for each budget, whatever the nodes are.
func (f *forecaster) tellBudgets() {
	for _, key := range slices.Sorted(maps.Keys(f.budgets.stopped)) {
		s := f.budgets.stopped[key]
		if len(s.budgets) > 1 {
			f.found = append(f.found, s.overlap(key))
		} else {
			f.found = append(f.found, s.told(s.budgets[0]))
		}
	}
}

func (s *stop) overlap(key string) finding.Finding {
	found := finding.Finding{
		Check: "drain.overlap", Severity: finding.Blocker, Where: "PodDisruptionBudgets " + key,
		What: fmt.Sprintf("%s covered by more than one PodDisruptionBudget: the API server never evicts such a pod", finding.Plural(len(s.pods), "pod is", "pods are")),
	}
	owned, free := s.writers()
	found.Evidence = finding.Few(s.pods)
	if len(owned) > 0 {
		found.Evidence = strings.Join(owned, "; ") + "; " + found.Evidence
	}
	switch {
	case len(owned) == 0:
		found.Remedy = "change the selectors so that one budget covers each pod, or delete the others"
	case len(free) == 0:
		found.Remedy = "ask whoever runs the owners of these budgets which of them is to leave the pods out"
	default:
		found.Remedy = "change the selector of " + strings.Join(free, " and ") + ", so that it leaves these pods out, or delete it"
	}
	found.Remedy += ": `kubectl -n " + s.budgets[0].Namespace + " get pdb -o wide`"
	return found
}

// writers are who writes those of the budgets that have an owner, and the names of the others.
func (s *stop) writers() (owned, free []string) {
	for _, b := range s.budgets {
		if b.Owner == "" {
			free = append(free, b.String())
		} else {
			owned = append(owned, fmt.Sprintf("PDB %s is written by %s", b, b.Owner))
		}
	}
	return owned, free
}

// severity says what a budget that allows nothing means: one that somebody else than a person writes, or that is about to be counted,
// may allow more when the drain asks.
func severity(b kube.Budget) finding.Severity {
	if b.Owner != "" || b.Pending && b.Allowed > 0 && b.Uncomputed == "" {
		return finding.Warning
	}
	return finding.Blocker
}

func (s *stop) told(b kube.Budget) finding.Finding {
	words := b.Words()
	if b.Expected > 0 && b.Uncomputed == "" && !b.Pending && b.Owner == "" {
		words += fmt.Sprintf(" of %d expected", b.Expected)
	}
	found := finding.Finding{
		Check: "drain.budget", Severity: severity(b), Where: "PodDisruptionBudget " + b.String(), Evidence: words + "; " + finding.Few(s.pods),
	}
	found.What, found.Remedy = s.advice(b, finding.Plural(len(s.pods), "pod", "pods"))
	return found
}

// advice says what a budget does to so many pods, and what helps. One with an owner is never to be edited: that would not last.
func (s *stop) advice(b kube.Budget, count string) (what, remedy string) {
	edit := fmt.Sprintf("`kubectl -n %s edit pdb %s`", b.Namespace, b.Name)
	switch {
	case b.Owner != "":
		return fmt.Sprintf("it allows none of %s to be evicted now, and %s decides when that changes", count, b.Owner),
			fmt.Sprintf("nothing has to be done if it moves pods that are to be evicted, as the drain asks for each and waits; else see `kubectl -n %s describe pdb %s`, and ask whoever runs it",
				b.Namespace, b.Name)
	case b.Uncomputed != "":
		return fmt.Sprintf("it cannot be computed, and allows none of %s to be evicted", count),
			"give it minAvailable as a number, which asks no controller how many pods there should be: " + edit
	case b.Pending:
		return fmt.Sprintf("it has changed and is not counted yet, and allows none of %s to be evicted", count),
			fmt.Sprintf("look again in a moment: `kubectl -n %s get pdb %s`; if it stays so, look after kube-controller-manager", b.Namespace, b.Name)
	case b.Expected == 0:
		return fmt.Sprintf("it expects no pods, and allows none of %s to be evicted", count),
			"give the pods a controller, or the budget minAvailable as a number, which counts the pods themselves: " + edit
	case b.Desired >= b.Expected:
		return fmt.Sprintf("it never allows %s to be evicted: it wants all %d healthy", count, b.Expected),
			"let one pod go at a time (maxUnavailable: 1), for now or for good: " + edit + "; or run one more replica than it needs"
	case s.unready:
		return fmt.Sprintf("it keeps %s that run and are not Ready: too few of the others are healthy", count),
			fmt.Sprintf("cure them (`kubectl -n %s describe pod`), or let such pods go with unhealthyPodEvictionPolicy: AlwaysAllow: %s", b.Namespace, edit)
	}
	return fmt.Sprintf("it allows none of %s to be evicted now: too few are healthy", count),
		fmt.Sprintf("see why pods are not Ready: `kubectl -n %s get pods`; or ask for fewer: %s", b.Namespace, edit)
}
