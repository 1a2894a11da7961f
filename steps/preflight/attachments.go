package preflight

import (
	"fmt"
	"slices"
	"time"

	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
)

// attachmentPatience is how long a volume may be on its way without a word: as long as Kubernetes waits for one to be
// unmounted before it detaches it all the same (ReconcilerMaxWaitForUnmountDuration in
// pkg/controller/volume/attachdetach/attach_detach_controller.go).
const attachmentPatience = 6 * time.Minute

// A hitch is what is wrong with volume attachments: of one node, by one driver, in one way.
type hitch struct{ node, attacher, what string }

// What is wrong with a volume attachment.
const (
	orphaned    = "still attached to this node, which the cluster does not have any more"
	notDetached = "still attached to this node, long after the detachment was asked for"
	notAttached = "not attached to this node, long after that was asked for"
)

// attachments: no volume is stuck on its way. A drain waits for those of the pods that it evicts to be detached, and the
// pods for theirs to be attached elsewhere.
func attachments(v *View) (found []finding.Finding) {
	if v.Cluster == nil {
		return nil
	}
	for _, stuck := range batches(v.Cluster.Attachments, func(a kube.Attachment) (hitch, bool) {
		h := hitch{a.Node, a.Attacher, v.hitch(a)}
		return h, h.what != ""
	}) {
		found = append(found, stuck.kind.finding(stuck.all, v.Now))
	}
	return found
}

func (v *View) hitch(a kube.Attachment) string {
	late := v.Now.Sub(a.Since) > attachmentPatience
	switch {
	case !slices.ContainsFunc(v.Cluster.Census.Nodes, func(n kube.Node) bool { return n.Name == a.Node }) && (late || !a.Deleting):
		return orphaned
	case a.Deleting && late:
		return notDetached
	case !a.Deleting && !a.Attached && late:
		return notAttached
	}
	return ""
}

func (h hitch) finding(stuck []kube.Attachment, now time.Time) finding.Finding {
	words := make([]string, len(stuck))
	for i, a := range stuck {
		words[i] = fmt.Sprintf("volume %s (%s, for %s)", a.Volume, a.Name, days(now.Sub(a.Since)))
		if a.Error != "" {
			words[i] += ": " + a.Error
		}
	}
	f := finding.Finding{Severity: finding.Warning, Where: h.node,
		What:     fmt.Sprintf("%s of %s: %s", finding.Plural(len(stuck), "volume", "volumes"), h.attacher, h.what),
		Evidence: finding.Few(words),
		Remedy:   fmt.Sprintf("see what ails the driver: `kubectl describe volumeattachment %s`, and its controller's log", stuck[0].Name)}
	if h.what == orphaned {
		f.Remedy = fmt.Sprintf("once that machine is off for good and writes to none of them: `kubectl delete volumeattachment %s`", stuck[0].Name)
	}
	return f
}
