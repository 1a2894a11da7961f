package kube

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What the API says of a pod is a complaint only where waiting does not help.
func TestComplaintsOfPods(t *testing.T) {
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	waiting := func(reason, message string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: "c", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
	}
	crashed := waiting("CrashLoopBackOff", "back-off 10s")
	crashed.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}
	condition := func(kind corev1.PodConditionType, ago time.Duration) []corev1.PodCondition {
		return []corev1.PodCondition{{Type: kind, Status: corev1.ConditionFalse, Message: "because", LastTransitionTime: metav1.NewTime(now.Add(-ago))}}
	}
	for name, c := range map[string]struct {
		status corev1.PodStatus
		mirror bool
		gone   bool
		want   string // empty: it is well
	}{
		"it runs":                          {status: corev1.PodStatus{Phase: corev1.PodRunning}},
		"it is being created":              {status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{waiting("ContainerCreating", "")}}},
		"its image cannot be pulled":       {status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{waiting("ImagePullBackOff", "Back-off pulling")}}, want: "pod kube-system/p: ImagePullBackOff: Back-off pulling"},
		"an init container cannot start":   {status: corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{waiting("CreateContainerError", "no")}}, want: "pod kube-system/p: CreateContainerError: no"},
		"it crashes":                       {status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{crashed}}, want: "pod kube-system/p: CrashLoopBackOff: back-off 10s (it last ended with exit code 1: Error)"},
		"it has not been Ready for long":   {status: corev1.PodStatus{Conditions: condition(corev1.PodReady, 3*time.Minute)}, want: "pod kube-system/p: NotReady: because"},
		"it is not Ready since a moment":   {status: corev1.PodStatus{Conditions: condition(corev1.PodReady, time.Minute)}},
		"it finds no node":                 {status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: condition(corev1.PodScheduled, 3*time.Minute)}, want: "pod kube-system/p: Unschedulable: because"},
		"it was done and is not Ready":     {status: corev1.PodStatus{Phase: corev1.PodSucceeded, Conditions: condition(corev1.PodReady, time.Hour)}},
		"it was evicted, and replaced":     {status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}},
		"a static pod was rejected":        {status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "NodePorts", Message: "Pod was rejected"}, mirror: true, want: "pod kube-system/p: NodePorts: Pod was rejected"},
		"it crashes, and is being removed": {status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{crashed}}, gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "p"}, Status: c.status}
			if c.mirror {
				p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
			}
			if c.gone {
				p.DeletionTimestamp = &metav1.Time{Time: now}
			}
			said, ill := complaint(p, now)
			if !ill && c.want != "" || ill && said.String() != c.want {
				t.Errorf("ill is %t: %q, want %q", ill, said, c.want)
			}
		})
	}
}
