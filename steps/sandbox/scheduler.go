package sandbox

import (
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// wakeControllers lets the controllers and the scheduler look around soon, once for all that happens till then.
func (w *world) wakeControllers() {
	if !w.open || w.awake {
		return
	}
	w.awake = true
	w.after(retryPause/5, func() {
		w.awake = false
		if !w.reachable() {
			w.wakeControllers()
			return
		}
		w.reconcile()
	})
}

// reconcile is what all the controllers and the scheduler do when they look around once.
func (w *world) reconcile() {
	byOwner := map[types.UID][]*corev1.Pod{}
	for _, p := range list[*corev1.Pod](w, "pods") {
		if len(p.OwnerReferences) > 0 {
			uid := p.OwnerReferences[0].UID
			byOwner[uid] = append(byOwner[uid], p)
		}
	}
	for _, o := range w.owners {
		switch o.kind {
		case "DaemonSet":
			w.keepDaemons(o, byOwner[o.uid])
		case "StatefulSet":
			w.keepOrdinals(o, byOwner[o.uid])
		default:
			w.keepReplicas(o, byOwner[o.uid])
		}
	}
	w.schedule()
}

// keepReplicas replaces pods as soon as they begin to end, as a ReplicaSet does.
func (w *world) keepReplicas(o *owner, pods []*corev1.Pod) {
	alive := 0
	for _, p := range pods {
		if p.DeletionTimestamp == nil {
			alive++
		}
	}
	for ; alive < o.replicas; alive++ {
		p := w.newPod(o, o.name+"-"+w.suffix(5))
		if len(o.first) > 0 {
			w.bind(p, o.first[alive%len(o.first)])
		}
	}
	o.first = nil
}

// keepOrdinals makes a pod again, under its old name, when the one before it is gone, as a StatefulSet does.
func (w *world) keepOrdinals(o *owner, pods []*corev1.Pod) {
	for i := range o.replicas {
		name := o.name + "-" + strconv.Itoa(i)
		if !slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return p.Name == name }) {
			w.newPod(o, name)
		}
	}
}

// keepDaemons puts a pod on every node that has none.
func (w *world) keepDaemons(o *owner, pods []*corev1.Pod) {
	has := map[string]bool{}
	for _, p := range pods {
		has[p.Spec.NodeName] = true
	}
	for _, name := range w.names {
		if !has[name] {
			w.bind(w.newPod(o, o.name+"-"+w.suffix(5)), name)
		}
	}
}

func (w *world) newPod(o *owner, name string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: w.meta(o.namespace, name, o.labels)}
	controller := true
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: o.kind, Name: o.name, UID: o.uid, Controller: &controller}}
	p.Spec.Containers = []corev1.Container{{Name: "main", Image: o.image, Resources: requests(o.cpu, o.memory)}}
	if ds := find[*appsv1.DaemonSet](w, "daemonsets", key(o.namespace, o.name)); ds != nil {
		p.Spec.Containers[0].Image = ds.Spec.Template.Spec.Containers[0].Image
	}
	grace := int64(30)
	p.Spec.TerminationGracePeriodSeconds = &grace
	if o.tolerates {
		p.Spec.Tolerations = []corev1.Toleration{{Key: controlPlaneLabel, Effect: corev1.TaintEffectNoSchedule}}
	}
	p.Status.Phase = corev1.PodPending
	if o.kind == "StatefulSet" {
		w.claim(p)
	}
	w.put("pods", p)
	return p
}

// schedule puts pods that have no node on the one with the fewest pods among those that take them.
func (w *world) schedule() {
	load := map[string]int{}
	var waiting []*corev1.Pod
	for _, p := range list[*corev1.Pod](w, "pods") {
		load[p.Spec.NodeName]++
		if p.Spec.NodeName == "" && p.DeletionTimestamp == nil {
			waiting = append(waiting, p)
		}
	}
	for _, p := range waiting {
		best := ""
		for _, name := range w.names {
			if w.fits(p, name, load[name]) && (best == "" || load[name] < load[best]) {
				best = name
			}
		}
		if best == "" {
			setCondition(p, corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable", "no node is available: all are unschedulable, tainted or full")
			w.touch(p)
			continue
		}
		load[best]++
		w.bind(p, best)
	}
}

// fits says whether a node takes a pod: not cordoned, no taint that the pod does not bear, room left.
func (w *world) fits(p *corev1.Pod, name string, load int) bool {
	n := w.node(name)
	if n.Spec.Unschedulable || !isReady(n) || load >= int(n.Status.Allocatable.Pods().Value()) {
		return false
	}
	return !slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
		bears := slices.ContainsFunc(p.Spec.Tolerations, func(b corev1.Toleration) bool { return b.Key == t.Key || b.Key == "" })
		return t.Effect != corev1.TaintEffectPreferNoSchedule && !bears
	})
}

func (w *world) bind(p *corev1.Pod, node string) {
	p.Spec.NodeName = node
	setCondition(p, corev1.PodScheduled, corev1.ConditionTrue, "", "")
	w.touch(p)
	w.attach(p)
	w.startPod(p)
}

// admit takes in a pod that a client has made: one without an owner, which nothing makes again.
func (w *world) admit(p *corev1.Pod) {
	p.Status = corev1.PodStatus{Phase: corev1.PodPending}
	if p.Spec.TerminationGracePeriodSeconds == nil {
		grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
		p.Spec.TerminationGracePeriodSeconds = &grace
	}
	if p.Spec.NodeName != "" {
		w.bind(p, p.Spec.NodeName)
	}
	w.wakeControllers()
}

// startPod lets the kubelet of the pod's node start it.
func (w *world) startPod(p *corev1.Pod) {
	if !w.open {
		return // settle makes it ready
	}
	w.after(podsStart+w.jitter(podsStart), func() {
		switch {
		case !w.there(p) || p.DeletionTimestamp != nil:
		case !w.kubeletWorks(p.Spec.NodeName), !w.attached(p):
			w.startPod(p)
		default:
			w.setPodReady(p, true)
		}
	})
}

// endPod lets the kubelet of the pod's node end it: the pod is gone when its containers are.
func (w *world) endPod(p *corev1.Pod) {
	if p.DeletionTimestamp != nil {
		return
	}
	end := metav1.Now() // as the API does: when the pod's time is over
	if grace := p.Spec.TerminationGracePeriodSeconds; grace != nil {
		end = metav1.NewTime(end.Add(time.Duration(*grace) * time.Second))
	}
	p.DeletionTimestamp = &end
	p.DeletionGracePeriodSeconds = p.Spec.TerminationGracePeriodSeconds
	w.touch(p)
	w.finishPod(p)
	w.wakeControllers()
}

func (w *world) finishPod(p *corev1.Pod) {
	w.after(podsEnd+w.jitter(2*podsEnd), func() {
		switch {
		case !w.there(p):
		case p.Spec.NodeName != "" && !w.kubeletWorks(p.Spec.NodeName):
			w.finishPod(p)
		default:
			w.erase("pods", p)
			w.after(volumesDetach, func() { w.detach(p) })
			w.wakeControllers()
		}
	})
}

// kubeletWorks says whether a host's kubelet runs and reaches the API.
func (w *world) kubeletWorks(host string) bool {
	h := w.hosts[host]
	return h != nil && h.kubelet.up && w.reachable()
}

// there says whether this very pod still exists.
func (w *world) there(p *corev1.Pod) bool {
	return find[*corev1.Pod](w, "pods", key(p.Namespace, p.Name)) == p
}

func (w *world) jitter(d time.Duration) time.Duration { return time.Duration(w.dice.Int64N(int64(d))) }

func isMirror(p *corev1.Pod) bool { return p.Annotations[corev1.MirrorPodAnnotationKey] != "" }

// setPodReady makes a pod's containers run, or run without being ready.
func (w *world) setPodReady(p *corev1.Pod, ready bool) {
	p.Status.Phase = corev1.PodRunning
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	for _, c := range []corev1.PodConditionType{corev1.PodInitialized, corev1.PodScheduled} {
		setCondition(p, c, corev1.ConditionTrue, "", "")
	}
	for _, c := range []corev1.PodConditionType{corev1.ContainersReady, corev1.PodReady} {
		setCondition(p, c, status, "", "")
	}
	now := metav1.Now()
	if p.Status.StartTime == nil {
		p.Status.StartTime = &now
	}
	p.Status.ContainerStatuses = nil
	for _, c := range p.Spec.Containers {
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: c.Image, Ready: ready, Started: &ready,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		})
	}
	w.touch(p)
}

func setCondition(p *corev1.Pod, kind corev1.PodConditionType, status corev1.ConditionStatus, reason, message string) {
	c := corev1.PodCondition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.Now()}
	i := slices.IndexFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == kind })
	switch {
	case i < 0:
		p.Status.Conditions = append(p.Status.Conditions, c)
	case p.Status.Conditions[i].Status != status || p.Status.Conditions[i].Reason != reason:
		p.Status.Conditions[i] = c
	}
}

func podReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
