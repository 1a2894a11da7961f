package kube

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// A Complaint is what the API says of a pod that is not well.
type Complaint struct {
	Pod
	Container string // the one that it is about; empty: the pod itself
	Why       string // the reason in one word: ImagePullBackOff, CrashLoopBackOff, Unschedulable, NotReady
	Says      string // the message behind it
}

// String is what the API says, in one line: "pod kube-system/coredns-x: ImagePullBackOff: Back-off pulling image ...".
func (c Complaint) String() string {
	s := "pod " + c.Pod.String() + ": " + c.Why
	if c.Says != "" {
		s += ": " + strings.TrimSpace(c.Says)
	}
	return s
}

// settling is how long a pod may be on its way before it counts as not well: pulling an image takes a while, and
// readiness is asked for every few seconds.
const settling = 2 * time.Minute

// PodsAndComplaints returns the pods of a namespace, and what ails them, at most one complaint each, both by the pods' names.
// What has finished, what is being removed and what is on its way for less than two minutes is well.
func (c *Client) PodsAndComplaints(ctx context.Context, namespace string) (pods []Pod, ill []Complaint, err error) {
	now := time.Now()
	type patient struct {
		Complaint
		ill bool
	}
	q := query{what: "the pods of " + namespace, path: namespaced(core, namespace, "pods")}
	all, err := list(ctx, c, q, func(l *corev1.PodList) []patient {
		return convert(l.Items, func(p *corev1.Pod) patient { c, ill := complaint(p, now); return patient{c, ill} })
	})
	slices.SortFunc(all, func(a, b patient) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range all {
		pods = append(pods, p.Pod)
		if p.ill {
			ill = append(ill, p.Complaint)
		}
	}
	return pods, ill, err
}

func complaint(p *corev1.Pod, now time.Time) (Complaint, bool) {
	c := Complaint{Pod: toPod(p)}
	if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodSucceeded {
		return c, false
	}
	if p.Status.Phase == corev1.PodFailed { // of what a controller made, another has taken its place
		c.Why, c.Says = cmp.Or(p.Status.Reason, "Failed"), p.Status.Message
		return c, c.Mirror
	}
	for _, s := range containersOf(p) {
		if s.State.Waiting == nil || onItsWay(s.State.Waiting.Reason) {
			continue
		}
		c.Container, c.Why, c.Says = s.Name, s.State.Waiting.Reason, s.State.Waiting.Message
		if last := lastEnd(s); last != "" {
			c.Says += " (it last ended with " + last + ")"
		}
		return c, true
	}
	for _, condition := range p.Status.Conditions {
		if condition.Status != corev1.ConditionFalse || now.Sub(condition.LastTransitionTime.Time) < settling {
			continue
		}
		switch condition.Type {
		case corev1.PodScheduled:
			c.Why, c.Says = cmp.Or(condition.Reason, "Unschedulable"), condition.Message
			return c, true
		case corev1.PodReady:
			c.Why, c.Says = "NotReady", condition.Message
		}
	}
	return c, c.Why != ""
}

// onItsWay are the reasons of containers that only have to be waited for (pkg/kubelet/kubelet_pods.go).
func onItsWay(reason string) bool {
	return reason == "" || reason == "ContainerCreating" || reason == "PodInitializing"
}
