package eviction

import (
	"time"

	"upgrader.dev/upgrader/steps/kube"
)

// Fate is what becomes of a pod when its node is drained.
type Fate int

const (
	Goes    Fate = iota // it is evicted
	Stays               // it is left alone, without a word
	Passes              // it is on its way out already, and waited for
	Refused             // it must not be evicted, and the drain refuses to begin
)

// Reason is why a pod is Refused.
type Reason int

const (
	OfDaemonSet Reason = iota + 1 // it would be placed here again
	WithData                      // what it keeps in emptyDir volumes would be lost
	Unmanaged                     // nobody would make it anew
)

// Reasons are all of them, in the order in which a pod is asked about them.
func Reasons() []Reason { return []Reason{OfDaemonSet, WithData, Unmanaged} }

// String is kubectl's words for it, with the plan's way out in place of kubectl's.
func (r Reason) String() string {
	switch r {
	case OfDaemonSet:
		return "DaemonSet-managed Pods (use " + r.WayOut() + " to ignore)"
	case WithData:
		return "Pods with local storage (use " + r.WayOut() + " to override)"
	case Unmanaged:
		return "Pods that declare no controller (use " + r.WayOut() + " to override)"
	}
	return ""
}

// WayOut is what a plan says to have such pods not refused.
func (r Reason) WayOut() string {
	return [...]string{OfDaemonSet: "`with: {ignoreDaemonSets: true}`", WithData: "`with: {deleteEmptyDir: true}`", Unmanaged: "`with: {force: true}`"}[r]
}

// Judge says what becomes of a pod of a drained node; the reason is 0 unless it is Refused. A finished pod always may go, and one
// that only waits for a finalizer holds nothing up.
func (r Rules) Judge(p kube.Pod) (Fate, Reason) {
	switch {
	case r.selects != nil && !r.selects(p.Labels), p.Mirror:
		return Stays, 0
	case heldAlone(p):
		return Stays, 0
	case p.Finished && !p.Terminating:
		return Goes, 0
	case resident(p) && r.IgnoreDaemonSets:
		return Stays, 0
	case p.Terminating: // whatever it is, it is not this drain that ends it
		return Passes, 0
	}
	if why := r.refuses(p); why != 0 {
		return Refused, why
	}
	return Goes, 0
}

func (r Rules) refuses(p kube.Pod) Reason {
	switch {
	case resident(p):
		return OfDaemonSet
	case p.EmptyDir && !r.DeleteEmptyDir:
		return WithData
	case p.OwnerKind == "" && !r.Force:
		return Unmanaged
	}
	return 0
}

// heldAlone says whether nothing but finalizers keeps a pod in the API. While a deleted pod has ended and its grace is above 0, its
// kubelet still unmounts its volumes; after that it deletes it with a grace of 0 (pkg/kubelet/status/status_manager.go, canBeDeleted).
func heldAlone(p kube.Pod) bool { return p.Finished && p.Terminating && p.Grace == 0 }

// slack is how long after its grace a pod may still be there without a word: its kubelet kills what is left of it, unmounts its
// volumes and tells the API.
const slack = 5 * time.Minute

// Overdue says whether a pod should have ended long ago.
func Overdue(p kube.Pod, now time.Time) bool {
	return p.Terminating && !p.Mirror && now.Sub(p.TerminatingSince) > p.Grace+slack
}

// resident says whether a pod is a DaemonSet's and does its work, as one for each node does.
func resident(p kube.Pod) bool { return p.OwnerKind == "DaemonSet" && !p.Finished }
