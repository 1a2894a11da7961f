package kubetest

import (
	"strings"

	"upgrader.dev/upgrader/steps/kube"
)

// SetDaemon adds or replaces a pod of a DaemonSet. A container waits for the reason that Ails gives for it; one that has
// ended before (Last) did so with exit code 1, Error.
func (s *Server) SetDaemon(d kube.Daemon) {
	d.OwnerKind, d.Phase = "DaemonSet", "Running"
	s.SetPod(d.Pod)
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[podPath(d.Namespace, d.Name)]
	set(o, stamp(d.Made), "metadata", "creationTimestamp")
	var statuses []any
	for _, c := range d.Containers {
		statuses = append(statuses, containerStatus(d, c))
	}
	set(o, statuses, "status", "containerStatuses")
	set(o, []any{object{"type": "Ready", "status": truth(d.Ready), "lastTransitionTime": stamp(d.Changed)}}, "status", "conditions")
}

func containerStatus(d kube.Daemon, c kube.Container) object {
	state := object{"running": object{"startedAt": stamp(c.Runs)}}
	if c.Done {
		state = object{"terminated": object{"exitCode": 0, "reason": "Completed"}}
	}
	if d.Ails != nil && d.Ails.Container == c.Name {
		state = object{"waiting": object{"reason": d.Ails.Why, "message": strings.TrimSpace(d.Ails.Says)}}
	}
	status := object{"name": c.Name, "restartCount": c.Restarts, "state": state}
	if c.Last != "" {
		status["lastState"] = object{"terminated": object{"exitCode": 1, "reason": "Error", "startedAt": stamp(c.Runs.Add(-c.Lasted)), "finishedAt": stamp(c.Runs)}}
	}
	return status
}
