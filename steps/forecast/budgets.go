package forecast

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
)

// guards are the PodDisruptionBudgets, by namespace, with what they were seen to stop.
type guards struct {
	byNamespace map[string][]kube.Budget
	byKin       map[string][]kube.Budget // those that cover a kind of pods, once they were asked for
	stopped     map[string]*stop
}

// A stop is what a budget stops, or several that cover the same pod.
type stop struct {
	budgets []kube.Budget
	pods    []string // with their nodes, in the plan's order
	unready bool     // all of them run without being Ready
}

func newGuards(budgets []kube.Budget) *guards {
	g := &guards{byNamespace: map[string][]kube.Budget{}, byKin: map[string][]kube.Budget{}, stopped: map[string]*stop{}}
	for _, b := range slices.SortedFunc(slices.Values(budgets), func(a, b kube.Budget) int { return strings.Compare(a.String(), b.String()) }) {
		g.byNamespace[b.Namespace] = append(g.byNamespace[b.Namespace], b)
	}
	return g
}

// of are the budgets that the API server asks before it evicts a pod; it asks none for one that does not run
// (pkg/registry/core/pod/storage/eviction.go, canIgnorePDB).
func (g *guards) of(b *body) []kube.Budget {
	if b.Phase != "Running" {
		return nil
	}
	covering, ok := g.byKin[b.kin]
	if !ok {
		covering = slices.DeleteFunc(slices.Clone(g.byNamespace[b.Namespace]), func(budget kube.Budget) bool { return !budget.Covers(b.Pod) })
		g.byKin[b.kin] = covering
	}
	return covering
}

// refuses says whether the API server would refuse to evict a pod that runs, by the budget's numbers of now. A pod that
// is not Ready may go while the others suffice, or where the budget says so (eviction.go, unhealthyPodEvictionPolicy).
func refuses(budget kube.Budget, b *body) bool {
	if !b.Ready && (budget.UnreadyMayGo || budget.Healthy >= budget.Desired && budget.Desired > 0) {
		return false
	}
	return budget.Allowed <= 0
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
		case len(covering) == 1 && refuses(covering[0], b):
			t.forecaster.budgets.note(covering, b)
			t.block("drain.budget")
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
			f.found = append(f.found, s.blocker(s.budgets[0]))
		}
	}
}

func (s *stop) overlap(key string) finding.Finding {
	return finding.Finding{
		Check: "drain.overlap", Severity: finding.Blocker, Where: "PodDisruptionBudgets " + key,
		What:     fmt.Sprintf("%s covered by more than one PodDisruptionBudget: the API server never evicts such a pod", plural(len(s.pods), "pod is", "pods are")),
		Evidence: few(s.pods),
		Remedy:   "change the selectors so that one budget covers each pod, or delete the others: `kubectl -n " + s.budgets[0].Namespace + " get pdb -o wide`",
	}
}

func (s *stop) blocker(b kube.Budget) finding.Finding {
	edit := fmt.Sprintf("`kubectl -n %s edit pdb %s`", b.Namespace, b.Name)
	found := finding.Finding{
		Check: "drain.budget", Severity: finding.Blocker, Where: "PodDisruptionBudget " + b.String(),
		Evidence: fmt.Sprintf("%s of %d expected; %s", b.Words(), b.Expected, few(s.pods)),
	}
	count := plural(len(s.pods), "pod", "pods")
	switch {
	case b.Pending:
		found.What = fmt.Sprintf("it has changed and is not counted yet, and allows none of %s to be evicted", count)
		found.Remedy = fmt.Sprintf("look again in a moment: `kubectl -n %s get pdb %s`; if it stays so, look after kube-controller-manager", b.Namespace, b.Name)
	case b.Expected > 0 && b.Desired >= b.Expected:
		found.What = fmt.Sprintf("it never allows %s to be evicted: it wants all %d healthy", count, b.Expected)
		found.Remedy = "let one pod go at a time (maxUnavailable: 1), for now or for good: " + edit + "; or run one more replica than it needs"
	case s.unready:
		found.What = fmt.Sprintf("it keeps %s that run and are not Ready: too few of the others are healthy", count)
		found.Remedy = fmt.Sprintf("cure them (`kubectl -n %s describe pod`), or let such pods go with unhealthyPodEvictionPolicy: AlwaysAllow: %s", b.Namespace, edit)
	default:
		found.What = fmt.Sprintf("it allows none of %s to be evicted now: too few are healthy", count)
		found.Remedy = fmt.Sprintf("see why pods are not Ready: `kubectl -n %s get pods`; or ask for fewer: %s", b.Namespace, edit)
	}
	return found
}
