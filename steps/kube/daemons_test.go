package kube

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A container between two crashes looks well, and is ill where it keeps ending soon after it began. One that was restarted
// with its host, long ago, or until what it waits for was there, is well.
func TestWhatAilsAPodThatHasToRun(t *testing.T) {
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	running := func(restarts int32, lasted, ended time.Duration) corev1.ContainerStatus {
		at := metav1.NewTime(now.Add(-ended))
		s := corev1.ContainerStatus{Name: "node", RestartCount: restarts, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}}}
		s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled", StartedAt: metav1.NewTime(at.Add(-lasted)), FinishedAt: at}
		return s
	}
	done := running(5, time.Second, time.Minute)
	done.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}
	for name, tt := range map[string]struct {
		status corev1.PodStatus
		want   string
	}{
		"it crashes every minute":          {corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{running(3, time.Minute, 30*time.Second)}}, "pod kube-system/p: KeepsCrashing: restarted 3 times, the last time 30s ago (it last ended with exit code 137: OOMKilled)"},
		"one beside a well one does":       {corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "well"}, running(9, time.Minute, time.Minute)}}, "pod kube-system/p: KeepsCrashing: restarted 9 times, the last time 1m ago (it last ended with exit code 137: OOMKilled)"},
		"it crashed twice":                 {corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{running(2, time.Minute, 30*time.Second)}}, ""},
		"it crashed, and runs since":       {corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{running(30, time.Minute, time.Hour)}}, ""},
		"its host was booted now and then": {corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{running(5, 24*time.Hour, time.Minute)}}, ""},
		"what runs first succeeded":        {corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{done}}, ""},
	} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "p"}, Status: tt.status}
		got := ""
		if c := ailment(p, now); c != nil {
			got = c.String()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		p.DeletionTimestamp = &metav1.Time{Time: now}
		if ailment(p, now) != nil {
			t.Errorf("%s: a pod on its way out is ill", name)
		}
	}
}
