package preflight

import (
	"fmt"
	"slices"
	"strings"

	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
)

// illDaemons names the pods of DaemonSets that are not well on a node: its network, its storage, its logs. The upgrade goes
// on with them as they are, since it did not break them, and would not see whether it breaks them further. Those of a node
// that is not Ready are told with it. The same on many nodes is told in the same words.
func illDaemons(v *View) (found []finding.Finding) {
	if v.Cluster == nil {
		return nil
	}
	down := func(name string) bool {
		return slices.ContainsFunc(v.Cluster.Census.Nodes, func(n kube.Node) bool { return n.Name == name && !n.Ready })
	}
	for _, p := range v.Cluster.Pods {
		if p.Ails == nil || p.Node == "" || down(p.Node) {
			continue
		}
		found = append(found, finding.Finding{Severity: finding.Warning, Where: p.Node,
			What:     fmt.Sprintf("the pod of DaemonSet %s is not well: %s%s", p.Owner, p.Ails.Why, ofContainer(p.Ails.Container)),
			Evidence: strings.TrimSuffix(p.String()+": "+strings.TrimSpace(p.Ails.Says), ": "),
			Remedy: fmt.Sprintf("see `kubectl -n %s get pods -o wide` and mend those of DaemonSet %s: the upgrade takes them as ill before, and watches them no further on their nodes",
				p.Namespace, p.Owner)})
	}
	return found
}

func ofContainer(name string) string {
	if name == "" {
		return ""
	}
	return " (container " + name + ")"
}
