package sandbox

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	crashRuns  = 20 * time.Millisecond // a container that crashes runs for so long
	crashWaits = 50 * time.Millisecond // and is started again after so long, and so much longer each time; real: 10 s, doubled
)

// FailDaemon has the pod of a DaemonSet of kube-system, such as "cni", crash on a node while the kubelet there has one of these
// versions, as a network plugin does that does not get on with it: the node is Ready all the same. With other versions, or
// none, a pod that crashes runs again and stays.
func (c *Cluster) FailDaemon(set, node string, versions ...string) {
	w := c.world
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing[key(node, set)] = versions
	w.failDaemons(w.hosts[node])
}

// failDaemons begins to crash what does not get on with the kubelet of a host.
func (w *world) failDaemons(h *host) {
	for _, p := range list[*corev1.Pod](w, "pods") {
		if p.Spec.NodeName == h.name && w.fails(p) && p.Status.ContainerStatuses[0].RestartCount == 0 {
			w.crash(p)
		}
	}
}

// fails says whether a pod of a DaemonSet does not get on with the kubelet of its node.
func (w *world) fails(p *corev1.Pod) bool {
	owner, h := metav1.GetControllerOf(p), w.hosts[p.Spec.NodeName]
	return h != nil && owner != nil && owner.Kind == "DaemonSet" && slices.Contains(w.failing[key(h.name, owner.Name)], h.kubelet.version) && len(p.Status.ContainerStatuses) > 0
}

// crash ends a pod's containers, which the kubelet starts again after a while.
func (w *world) crash(p *corev1.Pod) {
	if !w.there(p) || !w.fails(p) {
		return
	}
	now := metav1.Now()
	w.setContainers(p, false, func(s *corev1.ContainerStatus) {
		s.RestartCount++
		ended := &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", StartedAt: metav1.NewTime(now.Add(-crashRuns)), FinishedAt: now}
		s.LastTerminationState = corev1.ContainerState{Terminated: ended}
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off restarting failed container=" + s.Name + " pod=" + p.Name}}
	})
	w.after(crashWaits*time.Duration(p.Status.ContainerStatuses[0].RestartCount), func() { w.crashAgain(p) })
}

func (w *world) crashAgain(p *corev1.Pod) {
	if !w.there(p) {
		return
	}
	w.setContainers(p, true, func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	})
	w.after(crashRuns, func() { w.crash(p) })
}

// setContainers changes what the kubelet tells of the containers of a pod, and of the pod with them.
func (w *world) setContainers(p *corev1.Pod, ready bool, change func(*corev1.ContainerStatus)) {
	was := slices.Clone(p.Status.ContainerStatuses)
	w.setPodReady(p, ready)
	for i := range p.Status.ContainerStatuses {
		s := &p.Status.ContainerStatuses[i]
		if i < len(was) {
			s.RestartCount, s.LastTerminationState = was[i].RestartCount, was[i].LastTerminationState
		}
		change(s)
	}
}
