package census

import (
	"fmt"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/facts"
)

// Missing is the refusal of a step on a host that the cluster has no node for: one that never was, or one that somebody, such
// as an autoscaler, took away while the run went on.
func Missing(s engine.Scene) error {
	host := s.Target.Name
	if _, was := s.Fact(facts.Node(host)); !was {
		return engine.Refuse(
			fmt.Sprintf("the cluster has no node %q", host),
			"hosts are found in the cluster by their names in the inventory: compare them with `kubectl get nodes`")
	}
	return engine.Refuse(
		fmt.Sprintf("node %s was there when this run began and is gone since", host),
		fmt.Sprintf("have it join again and `upgrader resume %s`; or go on without it: take it out of the inventory, then `upgrader resume %s --accept-plan-change --settle %s=done`; or, where the cluster names the hosts, begin a new run", s.Run, s.Run, host))
}
