package preflight

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
)

// A grip is what keeps pods that should have ended: on one node, in one way.
type grip struct{ node, what string }

// terminating: no pod should have ended long ago. A drain waits for those that it finds. One that has finished and that only
// a finalizer keeps holds nothing but its name.
func terminating(v *View) (found []finding.Finding) {
	if v.Cluster == nil {
		return nil
	}
	for _, kept := range batches(v.Cluster.Pods, func(p kube.PlacedPod) (grip, bool) {
		if !eviction.Overdue(p.Pod, v.Now) {
			return grip{}, false
		}
		return v.grip(p.Pod), true
	}) {
		found = append(found, kept.kind.finding(kept.all, v.Now))
	}
	return found
}

// What keeps pods after the end of their grace.
const (
	finishedAndKept = "finished and only kept by finalizers: no drain waits for that"
	keptNowhere     = "still there long past the grace period, on no node"
	keptByGone      = "still there long past the grace period, on a node that the cluster does not have any more"
	keptByUnready   = "still there long past the grace period: the node is not Ready, and only its kubelet can say that a pod has ended"
	keptByFinalizer = "still there long past the grace period, for finalizers that nobody takes off"
	keptByKubelet   = "still there long past the grace period, though the node is Ready"
)

func (v *View) grip(p kube.Pod) grip {
	i := slices.IndexFunc(v.Cluster.Census.Nodes, func(n kube.Node) bool { return n.Name == p.Node })
	switch {
	case p.Finished && len(p.Finalizers) > 0:
		return grip{engine.Cluster, finishedAndKept}
	case p.Node == "":
		return grip{engine.Cluster, keptNowhere}
	case i < 0 && len(p.Finalizers) == 0: // no force deletes a pod that has any
		return grip{p.Node, keptByGone}
	case i >= 0 && !v.Cluster.Census.Nodes[i].Ready:
		return grip{p.Node, keptByUnready}
	case len(p.Finalizers) > 0:
		return grip{p.Node, keptByFinalizer}
	}
	return grip{p.Node, keptByKubelet}
}

func (g grip) finding(pods []kube.PlacedPod, now time.Time) finding.Finding {
	words := make([]string, len(pods))
	for i, p := range pods {
		words[i] = fmt.Sprintf("%s, terminating for %s", p, days(now.Sub(p.TerminatingSince)))
		if len(p.Finalizers) > 0 {
			words[i] += ", finalizers " + strings.Join(p.Finalizers, ", ")
		}
	}
	f := finding.Finding{Severity: finding.Warning, Where: g.node, What: finding.Plural(len(pods), "pod is", "pods are") + " " + g.what,
		Evidence: finding.Few(words), Remedy: g.remedy(pods[0].Pod)}
	if g.what == finishedAndKept {
		f.Severity = finding.Note
	}
	return f
}

// remedy is what to do, by the example of one of the pods.
func (g grip) remedy(p kube.Pod) string {
	get := fmt.Sprintf("`kubectl -n %s get pod %s -o yaml`", p.Namespace, p.Name)
	switch g.what {
	case finishedAndKept:
		return "nothing has to be done; whose finalizers they are shows " + get
	case keptByGone:
		return fmt.Sprintf("once that machine is off for good: `kubectl -n %s delete pod %s --force --grace-period=0`", p.Namespace, p.Name)
	case keptByUnready:
		return "bring its kubelet back: `upgrader doctor " + p.Node + "`"
	case keptByFinalizer:
		return "see that what has to take the finalizers off runs; whose they are shows " + get
	case keptByKubelet:
		return "see what keeps its kubelet, such as a mount that hangs: `journalctl -u kubelet` there, or `upgrader doctor " + p.Node + "`"
	}
	return "see what keeps them: " + get
}
