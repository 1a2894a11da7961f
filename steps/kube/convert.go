package kube

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"upgrader.dev/upgrader/engine/printable"
)

const configHashAnnotation = "kubernetes.io/config.hash" // kubelet: pkg/kubelet/types, ConfigHashAnnotationKey

// String is namespace/name.
func (p Pod) String() string { return p.Namespace + "/" + p.Name }

// String is namespace/name.
func (b Budget) String() string { return b.Namespace + "/" + b.Name }

// Exhausted says whether the budget allows no disruption, by the numbers of the last look.
func (b Budget) Exhausted() bool { return b.Allowed <= 0 || b.Pending }

// Words say how many disruptions the budget allows, why, and who else than a person decides that.
func (b Budget) Words() string {
	if b.Owner != "" {
		return b.counts() + ", and " + b.Owner + " decides that"
	}
	return b.counts()
}

func (b Budget) counts() string {
	switch {
	case b.Uncomputed != "": // also where it was never counted, and so is pending
		return fmt.Sprintf("PDB %s cannot be computed: %s", b, b.Uncomputed)
	case b.Pending:
		return fmt.Sprintf("PDB %s has changed and is not counted yet", b)
	case b.Expected == 0 && b.Healthy > 0: // with maxUnavailable or a percentage pods without a controller count for none, and then none may go
		return fmt.Sprintf("PDB %s allows %d: it expects no pods (expectedPods 0), as no controller wants the %d that it has", b, b.Allowed, b.Healthy)
	case b.Expected == 0:
		return fmt.Sprintf("PDB %s allows %d: no pods match it (expectedPods 0)", b, b.Allowed)
	}
	return fmt.Sprintf("PDB %s allows %d (%d healthy, needs %d)", b, b.Allowed, b.Healthy, b.Desired)
}

// Covers says whether the budget counts this pod.
func (b Budget) Covers(p Pod) bool { return b.Namespace == p.Namespace && b.Selects(p.Labels) }

// Selector reads a label selector as kubectl's --selector has it. The empty one selects everything.
func Selector(text string) (func(labels map[string]string) bool, error) {
	selector, err := labels.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no label selector: %w; write it as for kubectl --selector: app=shop,tier!=cache", text, err)
	}
	return func(set map[string]string) bool { return selector.Matches(labels.Set(set)) }, nil
}

func toNode(n *corev1.Node) Node {
	_, controlPlane := n.Labels[ControlPlaneLabel]
	node := Node{
		Name: n.Name, UID: string(n.UID), ResourceVersion: n.ResourceVersion,
		Labels: n.Labels, Annotations: n.Annotations,
		ControlPlane:   controlPlane,
		Unschedulable:  n.Spec.Unschedulable,
		ReadyReason:    "its kubelet has not reported yet",
		KubeletVersion: word(plainVersion(n.Status.NodeInfo.KubeletVersion)),
		BootID:         word(n.Status.NodeInfo.BootID),
		MachineID:      word(n.Status.NodeInfo.MachineID),
		Runtime:        word(n.Status.NodeInfo.ContainerRuntimeVersion),
	}
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP && node.InternalIP == "" {
			node.InternalIP = word(a.Address)
		}
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			node.Ready = c.Status == corev1.ConditionTrue
			node.ReadySince = c.LastTransitionTime.Time
			node.ReadyReason = reason(c)
		}
		if pressure(c) {
			node.Pressure = string(c.Type) + " (" + c.Message + ")"
		}
	}
	return node
}

// plainVersion leaves out the v before the numbers of a version. What begins with another word, such as "vendor-2", keeps it.
func plainVersion(s string) string {
	if rest, ok := strings.CutPrefix(s, "v"); ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
		return rest
	}
	return s
}

// word bounds what a kubelet says of itself, which nobody checks, to what fits a table.
func word(s string) string { return printable.Line(s, printable.Word) }

// pressure tells whether the kubelet says that it evicts pods for want of something.
func pressure(c corev1.NodeCondition) bool {
	switch c.Type {
	case corev1.NodeDiskPressure, corev1.NodeMemoryPressure, corev1.NodePIDPressure:
		return c.Status == corev1.ConditionTrue
	}
	return false
}

func reason(c corev1.NodeCondition) string {
	if c.Status == corev1.ConditionTrue {
		return ""
	}
	return because(c.Reason, c.Message)
}

// because is why a condition is as it is.
func because(reason, message string) string {
	if message == "" {
		return reason
	}
	return reason + ": " + message
}

func toPod(p *corev1.Pod) Pod {
	_, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]
	pod := Pod{
		Namespace: p.Namespace, Name: p.Name, UID: string(p.UID),
		Node: p.Spec.NodeName, Labels: p.Labels, Created: p.CreationTimestamp.Time,
		Phase:      string(p.Status.Phase),
		Mirror:     mirror,
		ConfigHash: p.Annotations[configHashAnnotation],
		Finished:   p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed,
		Finalizers: p.Finalizers,
		Ready: slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}),
	}
	pod.Tolerates = slices.ContainsFunc(p.Spec.Tolerations, func(t corev1.Toleration) bool {
		return (t.Key == corev1.TaintNodeUnschedulable || t.Key == "" && t.Operator == corev1.TolerationOpExists) &&
			(t.Effect == "" || t.Effect == corev1.TaintEffectNoSchedule)
	})
	if owner := metav1.GetControllerOf(p); owner != nil {
		pod.OwnerKind, pod.Owner = owner.Kind, owner.Name
	}
	if s := p.Spec.TerminationGracePeriodSeconds; s != nil {
		pod.Grace = time.Duration(*s) * time.Second
	}
	if p.DeletionTimestamp != nil {
		pod.Terminating = true
		pod.Grace = given(p)
		pod.TerminatingSince = p.DeletionTimestamp.Add(-pod.Grace) // the API keeps when the grace ends
	}
	for _, c := range p.Spec.Containers {
		pod.Images = append(pod.Images, c.Image)
	}
	for _, v := range p.Spec.Volumes {
		pod.EmptyDir = pod.EmptyDir || v.EmptyDir != nil
		if claim := claimOf(p, v); claim != "" {
			pod.Claims = append(pod.Claims, claim)
		}
	}
	return pod
}

// given is the grace that a pod's deletion was asked for with.
func given(p *corev1.Pod) time.Duration {
	if s := p.DeletionGracePeriodSeconds; s != nil {
		return time.Duration(*s) * time.Second
	}
	return 0
}

func claimOf(p *corev1.Pod, v corev1.Volume) string {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName
	case v.Ephemeral != nil:
		return p.Name + "-" + v.Name // the name that the API gives to the claim of a generic ephemeral volume
	}
	return ""
}

func toBudget(b *policyv1.PodDisruptionBudget) Budget {
	selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	if err != nil {
		selector = labels.Nothing() // the API server lets no such budget in
	}
	return Budget{
		Namespace: b.Namespace, Name: b.Name,
		Allowed: b.Status.DisruptionsAllowed, Healthy: b.Status.CurrentHealthy,
		Desired: b.Status.DesiredHealthy, Expected: b.Status.ExpectedPods,
		Pending:      b.Status.ObservedGeneration < b.Generation,
		Uncomputed:   uncomputed(b.Status.Conditions),
		UnreadyMayGo: b.Spec.UnhealthyPodEvictionPolicy != nil && *b.Spec.UnhealthyPodEvictionPolicy == policyv1.AlwaysAllow,
		Owner:        writer(b),
		Selects:      func(set map[string]string) bool { return selector.Matches(labels.Set(set)) },
	}
}

// writer is who writes an object: its controller, whoever else owns it, or who has put a label of its own group on it, as Longhorn
// does (longhorn.io/managed-by). The common label app.kubernetes.io/managed-by names what a person installed it with.
func writer(o metav1.Object) string {
	owner := metav1.GetControllerOf(o)
	if all := o.GetOwnerReferences(); owner == nil && len(all) > 0 {
		owner = &all[0]
	}
	if owner == nil {
		return manager(o.GetLabels())
	}
	return owner.Kind + " " + o.GetNamespace() + "/" + owner.Name
}

func manager(set map[string]string) string {
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if group, ok := strings.CutSuffix(key, "/managed-by"); ok && group != "app.kubernetes.io" {
			return set[key]
		}
	}
	return ""
}

func toAttachment(a *storagev1.VolumeAttachment) Attachment {
	out := Attachment{
		Name: a.Name, Attacher: a.Spec.Attacher, Volume: attachedVolume(a), Node: a.Spec.NodeName,
		Attached: a.Status.Attached, Since: a.CreationTimestamp.Time,
	}
	failed := a.Status.AttachError
	if a.DeletionTimestamp != nil {
		out.Deleting, out.Since = true, a.DeletionTimestamp.Time
		failed = cmp.Or(a.Status.DetachError, failed) // one that never came to be attached may have to be detached
	}
	if failed != nil {
		out.Error = failed.Message
	}
	return out
}

// uncomputed says why the disruption controller cannot count a budget (pkg/controller/disruption/disruption.go, failSafe): with
// maxUnavailable or a percentage it asks the pods' controllers how many there should be, and not each can say.
func uncomputed(conditions []metav1.Condition) string {
	for _, c := range conditions {
		if c.Type == policyv1.DisruptionAllowedCondition && c.Status == metav1.ConditionFalse && c.Reason == policyv1.SyncFailedReason {
			return because(c.Reason, c.Message)
		}
	}
	return ""
}

func attachedVolume(a *storagev1.VolumeAttachment) string {
	if name := a.Spec.Source.PersistentVolumeName; name != nil {
		return *name
	}
	return a.Name
}
