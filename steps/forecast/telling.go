package forecast

import (
	"fmt"
	"slices"
	"strings"

	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
)

// A telling makes the findings of one drain.
type telling struct {
	*forecaster
	rules    eviction.Rules
	outlook  Outlook
	together []string // nodes that are out of service at the same time, this one included
}

// stays says whether a drain by these rules leaves a pod on its node, or refuses because it would be placed there again.
func (t *telling) stays(b *body) bool {
	fate, why := t.rules.Judge(b.Pod)
	return fate == eviction.Stays || why == eviction.OfDaemonSet
}

// block notes that a blocker of this check is met on the node.
func (t *telling) block(check string) {
	if !slices.Contains(t.outlook.Blocks, check) {
		t.outlook.Blocks = append(t.outlook.Blocks, check)
	}
}

// tell adds a finding about the node.
func (t *telling) tell(check string, s finding.Severity, what, evidence, remedy string) {
	if s == finding.Blocker {
		t.block(check)
	}
	t.found = append(t.found, finding.Finding{Check: check, Severity: s, Where: t.outlook.Node, What: what, Evidence: evidence, Remedy: remedy})
}

// news are the pods that nothing was said about in the name of a check. A pod is met again wherever it moves.
func (t *telling) news(check string, all []*body) (pods []*body) {
	for _, b := range all {
		key := check + " " + b.name
		if !t.told[key] {
			t.told[key] = true
			pods = append(pods, b)
		}
	}
	return pods
}

func (t *telling) unknown() {
	t.tell("drain.unknown", finding.Blocker, "the cluster has no node of this name, so nothing can be drained",
		"", "call the host as its node is called, or take it out of the inventory: `kubectl get nodes`")
}

// refusals are the pods that the drain refuses before it cordons the node.
func (t *telling) refusals(l load) {
	if pods := t.news("drain.bare", l.refused[eviction.Unmanaged]); len(pods) > 0 {
		t.tell("drain.bare", finding.Blocker,
			fmt.Sprintf("the drain refuses %s without a controller: nobody would make them anew", finding.Plural(len(pods), "pod", "pods")),
			described(pods), "delete them or give them a controller, or let the plan evict them for good: "+eviction.Unmanaged.WayOut())
	}
	if pods := t.news("drain.emptydir", l.refused[eviction.WithData]); len(pods) > 0 {
		t.tell("drain.emptydir", finding.Blocker,
			fmt.Sprintf("the drain refuses %s with emptyDir volumes: what is in these would be lost", finding.Plural(len(pods), "pod", "pods")),
			described(pods), "save what must not be lost and let the plan evict them: "+eviction.WithData.WayOut())
	}
	if pods := l.refused[eviction.OfDaemonSet]; len(pods) > 0 {
		t.tell("drain.daemonset", finding.Blocker,
			fmt.Sprintf("the drain refuses %s of DaemonSets: they would be placed here again", finding.Plural(len(pods), "pod", "pods")),
			described(pods), "let the plan leave them where they are: "+eviction.OfDaemonSet.WayOut())
	}
}

// singles are workloads that are out of service while their pods move, for want of another anywhere else. Those of
// kube-system are the cluster's own: who upgrades it knows them. Where a budget covers a workload, somebody has decided how
// many of its pods may go.
func (t *telling) singles(l load) {
	var alone, united []string
	away := t.outOfService()
	for _, b := range l.evict {
		all := t.replicas[b.owner]
		switch {
		case b.owner == "" || b.Namespace == "kube-system" || b.Phase != "Running" || len(t.forecaster.budgets.of(b)) > 0:
		case !t.leave(all, away):
		case len(all) == 1:
			alone = append(alone, b.owner)
		case !t.told["drain.together "+b.owner]:
			t.told["drain.together "+b.owner] = true
			united = append(united, fmt.Sprintf("%s (%d pods)", b.owner, len(all)))
		}
	}
	if len(alone) > 0 {
		slices.Sort(alone)
		t.tell("drain.single", finding.Note,
			fmt.Sprintf("%s out of service until the only pod runs elsewhere", finding.Plural(len(alone), "workload is", "workloads are")),
			finding.Few(alone), "run two replicas of what must stay in service: `kubectl scale --replicas=2`")
	}
	if len(united) > 0 {
		slices.Sort(united)
		t.tell("drain.together", finding.Note,
			fmt.Sprintf("%s out of service until new pods run elsewhere: all of the old ones leave together", finding.Plural(len(united), "workload is", "workloads are")),
			finding.Few(united), "give what must stay in service a PodDisruptionBudget with maxUnavailable: 1, and its pods go one after the other; or spread them over the nodes")
	}
}

func (t *telling) outOfService() map[string]bool {
	away := map[string]bool{}
	for _, node := range t.together {
		away[node] = true
	}
	return away
}

// leave says whether all of these pods are driven from the nodes that are out of service. It is not said of pods that an
// earlier drain has moved: where they stand is a guess.
func (t *telling) leave(pods []*body, away map[string]bool) bool {
	return !slices.ContainsFunc(pods, func(b *body) bool { return b.moved || b.at == nil || !away[b.at.Node] || t.stays(b) })
}

// running are the running pods of each owner.
func (l *layout) running() map[string][]*body {
	replicas := map[string][]*body{}
	for _, b := range l.bodies {
		if b.Phase == "Running" {
			replicas[b.owner] = append(replicas[b.owner], b)
		}
	}
	return replicas
}

// owner is what a pod is one replica of, with its kind; empty: nothing that has replicas.
func owner(p kube.Pod) string {
	switch p.OwnerKind {
	case "ReplicaSet":
		// A Deployment names its ReplicaSets after itself and their pods' hash.
		if name, ok := strings.CutSuffix(p.Owner, "-"+p.Labels["pod-template-hash"]); ok {
			return "Deployment " + p.Namespace + "/" + name
		}
		return "ReplicaSet " + p.Namespace + "/" + p.Owner
	case "StatefulSet":
		return "StatefulSet " + p.Namespace + "/" + p.Owner
	}
	return ""
}

// described names pods, and says of those that an earlier drain brought where they come from.
func described(pods []*body) string {
	words := make([]string, len(pods))
	for i, b := range pods {
		words[i] = b.name
		if b.moved {
			words[i] += " (moved from " + b.Node + ")"
		}
	}
	return finding.Few(words)
}
