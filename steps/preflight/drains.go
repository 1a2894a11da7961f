package preflight

import (
	"fmt"
	"time"

	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/forecast"
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
