package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// A Daemon is a pod of a DaemonSet on its node: the node's network, its storage, its logs.
type Daemon struct {
	Pod
	Ails       *Complaint  // nil: it is well, or on its way
	Changed    time.Time   // when it last became Ready, or was not Ready any more
	Made       time.Time   // when the pod was made
	Containers []Container // those that run before the others first
}

// A Container is what a kubelet tells of a container of a pod.
type Container struct {
	Name     string
	Restarts int           // since the pod was made
	Runs     time.Time     // since when it runs; zero: it does not
	Done     bool          // it has ended well, as one does that runs before the others
	Last     string        // how it ended the time before: "exit code 1: Error"; empty: it never did
	Lasted   time.Duration // how long it had run then
}

// Daemons returns the pods of DaemonSets on a node, by namespace and name. Those that are on their way out, or have failed
// and are replaced by another, are left out.
func (c *Client) Daemons(ctx context.Context, node string) ([]Daemon, error) {
	now := time.Now()
	q := query{what: "the pods of node " + node, path: namespaced(core, "", "pods"), fields: "spec.nodeName=" + node}
	daemons, err := list(ctx, c, q, func(l *corev1.PodList) (found []Daemon) {
		for i := range l.Items {
			if d := toDaemon(&l.Items[i], now); d.OwnerKind == daemonSet && !d.Terminating && !d.Finished {
				found = append(found, d)
			}
		}
		return found
	})
	slices.SortFunc(daemons, func(a, b Daemon) int { return strings.Compare(a.String(), b.String()) })
	return daemons, err
}

const daemonSet = "DaemonSet"

func toDaemon(p *corev1.Pod, now time.Time) Daemon {
	d := Daemon{Pod: toPod(p), Ails: ailment(p, now), Made: p.CreationTimestamp.Time}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			d.Changed = c.LastTransitionTime.Time
		}
	}
	for _, s := range containersOf(p) {
		c := Container{Name: s.Name, Restarts: int(s.RestartCount), Last: lastEnd(s), Lasted: lastLife(s), Done: done(s)}
		if s.State.Running != nil {
			c.Runs = s.State.Running.StartedAt.Time
		}
		d.Containers = append(d.Containers, c)
	}
	return d
}

// done says whether a container has ended well.
func done(s corev1.ContainerStatus) bool {
	return s.State.Terminated != nil && s.State.Terminated.ExitCode == 0
}

func containersOf(p *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses)
}

// lastEnd says how a container ended the last time; "" if it never did.
func lastEnd(s corev1.ContainerStatus) string {
	last := s.LastTerminationState.Terminated
	if last == nil {
		return ""
	}
	return fmt.Sprintf("exit code %d: %s", last.ExitCode, cmp.Or(last.Message, last.Reason))
}

func lastLife(s corev1.ContainerStatus) time.Duration {
	last := s.LastTerminationState.Terminated
	if last == nil {
		return 0
	}
	return last.FinishedAt.Sub(last.StartedAt.Time)
}

// ailment is what ails a pod that has to run all the time; nil: nothing, or it is on its way.
func ailment(p *corev1.Pod, now time.Time) *Complaint {
	c, ill := complaint(p, now)
	if !ill && p.DeletionTimestamp == nil {
		c, ill = loops(c, p, now)
	}
	if !ill {
		return nil
	}
	return &c
}

// A container that has run for ten minutes counts as new: the kubelet forgets how often it had ended before (kubernetes.io,
// pod-lifecycle, "Container restarts"). One that ended more often than Crashes, and not because its node was rebooted, is
// between two crashes while it runs.
const forgiven = 10 * time.Minute

// Crashes is how many restarts of a container are no accident. A kubelet that is replaced or a host that reboots restarts a
// container once, and one that needs the network may fail before that is there.
const Crashes = 3

func loops(c Complaint, p *corev1.Pod, now time.Time) (Complaint, bool) {
	for _, s := range containersOf(p) {
		last := s.LastTerminationState.Terminated
		if s.RestartCount < Crashes || last == nil || done(s) {
			continue
		}
		if now.Sub(last.FinishedAt.Time) < forgiven && lastLife(s) < forgiven {
			c.Container, c.Why = s.Name, "KeepsCrashing"
			c.Says = fmt.Sprintf("restarted %d times, the last time %s ago (it last ended with %s)", s.RestartCount, Lasting(now.Sub(last.FinishedAt.Time)), lastEnd(s))
			return c, true
		}
	}
	return c, false
}
