package sandbox

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// computeBudgets brings the status of every budget up to date, as the disruption controller does.
func (w *world) computeBudgets() {
	for _, b := range list[*policyv1.PodDisruptionBudget](w, "poddisruptionbudgets") {
		w.computeBudget(b)
	}
}

// computeBudget counts as pkg/controller/disruption/disruption.go does: a pod that is ending is not healthy, and the
// number of pods expected is the owner's with maxUnavailable and percentages, and the pods' own with a plain minAvailable.
func (w *world) computeBudget(b *policyv1.PodDisruptionBudget) {
	was := b.Status.DeepCopy()
	pods := selected(b, list[*corev1.Pod](w, "pods"))
	scale, err := 0, error(nil)
	if b.Spec.MaxUnavailable != nil || b.Spec.MinAvailable != nil && b.Spec.MinAvailable.Type == intstr.String {
		scale, err = w.scaleOf(pods)
	}
	if err != nil {
		failSafe(b, err)
	} else {
		countBudget(b, pods, scale)
	}
	if !reflect.DeepEqual(*was, b.Status) {
		w.touch(b)
	}
}

// failSafe lets nothing go and leaves the numbers as they were.
func failSafe(b *policyv1.PodDisruptionBudget, err error) {
	b.Status.DisruptionsAllowed = 0
	sayAllowed(b, policyv1.SyncFailedReason, err.Error())
}

func sayAllowed(b *policyv1.PodDisruptionBudget, reason, message string) {
	c := metav1.Condition{Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: reason, Message: message,
		ObservedGeneration: b.Status.ObservedGeneration}
	if b.Status.DisruptionsAllowed > 0 {
		c.Status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&b.Status.Conditions, c)
}

// scaleOf is how many pods their controllers want, all together. A pod without a controller counts for none.
func (w *world) scaleOf(pods []*corev1.Pod) (scale int, err error) {
	seen := map[*owner]bool{}
	for _, p := range pods {
		o, controller := w.ownerOf(p), metav1.GetControllerOf(p)
		switch {
		case controller == nil:
		case controller.Kind == "DaemonSet":
			return 0, errors.New("daemonsets.apps does not implement the scale subresource")
		case controller.Kind == "Node": // of a static pod
			return 0, errors.New("nodes does not implement the scale subresource")
		case o == nil:
			return 0, fmt.Errorf("found no controllers for pod %q", p.Name)
		case !seen[o]:
			seen[o] = true
			scale += o.replicas
		}
	}
	return scale, nil
}

func countBudget(b *policyv1.PodDisruptionBudget, pods []*corev1.Pod, scale int) {
	b.Status.CurrentHealthy, b.Status.ExpectedPods, b.Status.DesiredHealthy = 0, 0, 0
	for _, p := range pods {
		if p.DeletionTimestamp == nil && podReady(p) {
			b.Status.CurrentHealthy++
		}
	}
	switch {
	case b.Spec.MaxUnavailable != nil:
		b.Status.ExpectedPods = int32(scale)
		b.Status.DesiredHealthy = max(0, int32(scale-scaled(b.Spec.MaxUnavailable, scale)))
	case b.Spec.MinAvailable != nil && b.Spec.MinAvailable.Type == intstr.String:
		b.Status.ExpectedPods = int32(scale)
		b.Status.DesiredHealthy = int32(scaled(b.Spec.MinAvailable, scale))
	case b.Spec.MinAvailable != nil:
		b.Status.ExpectedPods = int32(len(pods))
		b.Status.DesiredHealthy = b.Spec.MinAvailable.IntVal
	}
	b.Status.DisruptionsAllowed = max(0, b.Status.CurrentHealthy-b.Status.DesiredHealthy)
	if b.Status.ExpectedPods <= 0 {
		b.Status.DisruptionsAllowed = 0
	}
	b.Status.ObservedGeneration = b.Generation
	reason := policyv1.InsufficientPodsReason
	if b.Status.DisruptionsAllowed > 0 {
		reason = policyv1.SufficientPodsReason
	}
	sayAllowed(b, reason, "")
}

func scaled(n *intstr.IntOrString, of int) int {
	v, err := intstr.GetScaledValueFromIntOrPercent(n, of, true)
	if err != nil {
		return 0
	}
	return v
}

func selected(b *policyv1.PodDisruptionBudget, pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(pods, func(p *corev1.Pod) bool { return !selects(b, p) })
}

func selects(b *policyv1.PodDisruptionBudget, p *corev1.Pod) bool {
	s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	return err == nil && b.Namespace == p.Namespace && s.Matches(labels.Set(p.Labels))
}

func (w *world) ownerOf(p *corev1.Pod) *owner {
	for _, o := range w.owners {
		if len(p.OwnerReferences) > 0 && p.OwnerReferences[0].UID == o.uid {
			return o
		}
	}
	return nil
}

// evict is the eviction subresource of a pod (pkg/registry/core/pod/storage/eviction.go).
func (w *world) evict(p *corev1.Pod, options *metav1.DeleteOptions, by client) error {
	if err := precondition(options, "Pod", p); err != nil {
		return err
	}
	ignored := p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodPending || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	if !ignored {
		if err := w.askBudget(p); err != nil {
			return err
		}
	}
	if isDryRun(options.DryRun) {
		return nil
	}
	if p.DeletionTimestamp == nil {
		w.effects.add(Effect{Host: p.Spec.NodeName, What: EffectEvict, Detail: key(p.Namespace, p.Name) + " " + string(p.UID), Run: by.run})
		setCondition(p, corev1.DisruptionTarget, corev1.ConditionTrue, "EvictionByEvictionAPI", "Eviction API: evicting")
	}
	w.endPod(p)
	return nil
}

// askBudget refuses with kube-apiserver's own words when the pod's budget is used up.
func (w *world) askBudget(p *corev1.Pod) error {
	var mine []*policyv1.PodDisruptionBudget
	for _, b := range list[*policyv1.PodDisruptionBudget](w, "poddisruptionbudgets") {
		if selects(b, p) {
			w.computeBudget(b)
			mine = append(mine, b)
		}
	}
	if len(mine) == 0 {
		return nil
	}
	if len(mine) > 1 {
		return &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: 500,
			Message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
		}}
	}
	b := mine[0]
	if !podReady(p) {
		always := b.Spec.UnhealthyPodEvictionPolicy != nil && *b.Spec.UnhealthyPodEvictionPolicy == policyv1.AlwaysAllow
		if always || b.Status.DesiredHealthy > 0 && b.Status.CurrentHealthy >= b.Status.DesiredHealthy {
			return nil
		}
	}
	if b.Status.DisruptionsAllowed > 0 {
		return nil
	}
	err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
		Type: policyv1.DisruptionBudgetCause,
		Message: fmt.Sprintf("The disruption budget %s needs %d healthy pods and has %d currently",
			b.Name, b.Status.DesiredHealthy, b.Status.CurrentHealthy),
	})
	return err
}
