package preflight

import (
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/forecast"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/survey"
)

// Who reads the report is told of each pod that a drain would delete past its budget, with the waiver that lets it, and nothing is blocked
// by that. Where the budget has room, where no drain comes by, and without such a waiver nobody is told anything.
func TestDeletionsAreTold(t *testing.T) {
	for name, tt := range map[string]struct {
		check, where string
		node         string
		allowed      int32
		told         string
	}{
		"a pod":                {"drain.delete", "shop/cart-*", "w1", 0, "shop/cart-0"},
		"its controller":       {"drain.delete", "shop/cart", "w1", 0, "shop/cart"},
		"of its budget only":   {"drain.budget", "PodDisruptionBudget shop/cart", "w1", 0, ""},
		"another pod":          {"drain.delete", "shop/web", "w1", 0, ""},
		"a budget with room":   {"drain.delete", "shop/cart-*", "w1", 1, ""},
		"on a node that stays": {"drain.delete", "shop/cart-*", "w2", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			pod := kube.Pod{Namespace: "shop", Name: "cart-0", UID: "u", Node: tt.node, OwnerKind: "StatefulSet", Owner: "cart", Phase: "Running", Ready: true}
			budget := kube.Budget{Namespace: "shop", Name: "cart", Allowed: tt.allowed, Healthy: 1, Desired: 1, Expected: 1, Selects: func(map[string]string) bool { return true }}
			settings := eviction.Settings{IgnoreDaemonSets: true}
			rules, err := settings.Rules()
			if err != nil {
				t.Fatal(err)
			}
			v := &View{Now: now, Cluster: &survey.Cluster{Pods: []kube.PlacedPod{{Pod: pod}}, Budgets: []kube.Budget{budget}},
				Goal: Goal{Drains: []forecast.Group{{Nodes: []string{"w1"}, Rules: rules}},
					Waivers: []engine.Waiver{{Check: tt.check, Where: tt.where, Reason: "CHG-4711", Until: now.Add(time.Hour)}}}}
			told := ""
			for _, f := range Judge(v, nodeDrainable) {
				if f.Check == "drain.delete" {
					told += f.Where
					if f.Waived == nil || f.Waived.Reason != "CHG-4711" || f.Blocks() {
						t.Errorf("%+v", f)
					}
				}
			}
			if told != tt.told {
				t.Errorf("told of %q, want %q", told, tt.told)
			}
		})
	}
}
