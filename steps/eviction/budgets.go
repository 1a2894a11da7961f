package eviction

import (
	"slices"
	"strings"

	"upgrader.dev/upgrader/steps/kube"
)

// Counts says whether the API server asks budgets before it evicts a pod: it asks none for one that does not run
// (eviction.go, canIgnorePDB).
func Counts(p kube.Pod) bool { return (p.Phase == "Running" || p.Phase == "Unknown") && !p.Terminating }

// Refuses says whether the API server would refuse now to evict a pod that a budget covers, by the numbers of the last look. Only the
// server itself knows: what it would refuse is asked for all the same, and a controller may act on the very request. A pod that is not
// Ready may go while the others suffice, or where the budget says so (eviction.go, unhealthyPodEvictionPolicy).
func Refuses(b kube.Budget, p kube.Pod) bool {
	if !Counts(p) {
		return false
	}
	if !p.Ready && (b.UnreadyMayGo || b.Healthy >= b.Desired && b.Desired > 0) {
		return false
	}
	return b.Exhausted()
}

// Budgets are the PodDisruptionBudgets of a cluster. It is not safe for concurrent use.
type Budgets struct {
	byNamespace map[string][]kube.Budget // in the order of their names
}

// NewBudgets takes budgets in any order.
func NewBudgets(all []kube.Budget) *Budgets {
	b := &Budgets{byNamespace: map[string][]kube.Budget{}}
	for _, budget := range slices.SortedFunc(slices.Values(all), func(a, b kube.Budget) int { return strings.Compare(a.String(), b.String()) }) {
		b.byNamespace[budget.Namespace] = append(b.byNamespace[budget.Namespace], budget)
	}
	return b
}

// Over are the budgets that the API server asks before it evicts a pod. If they are more than one, it never evicts it.
func (b *Budgets) Over(p kube.Pod) (covering []kube.Budget) {
	if !Counts(p) {
		return nil
	}
	for _, budget := range b.byNamespace[p.Namespace] {
		if budget.Covers(p) {
			covering = append(covering, budget)
		}
	}
	return covering
}
