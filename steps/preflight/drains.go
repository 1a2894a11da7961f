package preflight

import (
	"fmt"
	"slices"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/forecast"
	"upgrader.dev/upgrader/steps/kube"
)

// foretell foretells every drain of the plan, in its order, once for all who ask: with hundreds of nodes it takes a while.
func (v *View) foretell() {
	if v.Cluster == nil || len(v.Goal.Drains) == 0 {
		return
	}
	v.Drains = forecast.Drains(forecast.Plan{Groups: v.Goal.Drains}, forecast.World{
		Rooms: v.Cluster.Rooms, Pods: v.Cluster.Pods, Budgets: v.Cluster.Budgets, Webhooks: v.Cluster.Webhooks,
	})
}

// drains are the troubles that the drains will meet. The findings carry the names of their own checks.
func drains(v *View) []finding.Finding { return v.Drains.Findings }

// deletions are the pods that their budgets keep now, and of which the plan says that their drain deletes them in the end. Each finding is
// waived by the very words that allow it: they are to be read, and block nothing.
func deletions(v *View) (found []finding.Finding) {
	if !v.Goal.deletes() || v.Cluster == nil {
		return nil
	}
	budgets := eviction.NewBudgets(v.Cluster.Budgets)
	for _, p := range v.Cluster.Pods {
		_, place, may := eviction.MayDelete(v.Goal.Waivers, p.Pod, v.Now)
		if covering := budgets.Over(p.Pod); may && len(covering) == 1 && eviction.Refuses(covering[0], p.Pod) && v.Goal.evicts(p.Pod) {
			found = append(found, finding.Finding{Severity: finding.Warning, Where: place,
				What:     "the drain of " + p.Node + " deletes the pod " + p.String() + " past its budget, if that refuses it until half of the drain's time is over",
				Evidence: covering[0].Words(),
				Remedy:   "take the waiver out of the plan if the pod is to be waited for: then its drain runs out of time"})
		}
	}
	return found
}

// deletes says whether the plan may delete pods past their budgets.
func (g *Goal) deletes() bool {
	return len(g.Drains) > 0 && slices.ContainsFunc(g.Waivers, func(w engine.Waiver) bool { return w.Check == eviction.DeleteCheck })
}

// evicts says whether a drain of the plan sends a pod away.
func (g *Goal) evicts(p kube.Pod) bool {
	return slices.ContainsFunc(g.Drains, func(d forecast.Group) bool {
		fate, _ := d.Judge(p)
		return fate == eviction.Goes && slices.Contains(d.Nodes, p.Node)
	})
}

// longWait is how long a drain may be expected to take without a word: the drain timeout of the shipped plans.
const longWait = 15 * time.Minute

// slowDrains names the node whose drain will take longest, where that is long.
func slowDrains(v *View) (found []finding.Finding) {
	for _, o := range v.Drains.Nodes {
		if o.Wait >= longWait {
			found = append(found, finding.Finding{Severity: finding.Warning, Where: o.Node,
				What: fmt.Sprintf("its drain may take %s", o.Wait), Evidence: o.Why,
				Remedy: "give the drain a longer timeout, or its pods a shorter terminationGracePeriodSeconds"})
		}
	}
	return found
}

// LongestDrain says which node's drain is expected to take longest, in one sentence; "" if the plan drains none or none
// takes any time.
func LongestDrain(v *View) string {
	var longest forecast.Outlook
	for _, o := range v.Drains.Nodes {
		if o.Wait > longest.Wait {
			longest = o
		}
	}
	if longest.Wait == 0 {
		return ""
	}
	return fmt.Sprintf("the longest drain is expected on %s: up to %s (%s)", longest.Node, longest.Wait, longest.Why)
}
