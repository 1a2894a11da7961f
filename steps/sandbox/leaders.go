package sandbox

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// elected are the components of which one instance works at a time: the one that holds the lease of their name.
var elected = [...]string{"kube-controller-manager", "kube-scheduler"}

// A leader is the instance of such a component that works: one life of the static pod of a host.
type leader struct {
	host     string
	restarts int    // of the static pod; after another one it is a new instance, that waits like any other
	name     string // what it calls itself
	since    time.Time
	renewed  time.Time // its lease
	before   int32     // leaders before it
}

// elect makes the first instance that runs the leader of its component, if there is one.
func (w *world) elect(component string, now time.Time) {
	var before int32
	if l := w.leaders[component]; l != nil {
		before = l.before + 1
	}
	for _, name := range w.controlPlanes() {
		if s := w.hosts[name].statics[component]; s.ready {
			w.leaders[component] = &leader{name, s.restarts, name + "_" + string(uid()), now, now, before}
			w.putLeaderLease(component)
			return
		}
	}
}

// renewLeaders brings the leases of the leaders up to date when somebody looks: each has renewed its own for as long as
// it ran, and when one has been silent for its lease, another instance has followed.
func (w *world) renewLeaders() {
	now := time.Now()
	for _, component := range elected {
		l := w.leaders[component]
		s, silent := w.hosts[l.host].statics[component], now.Sub(l.renewed)
		missed := silent.Truncate(w.pace(renewLeader))
		switch {
		case s.ready && s.restarts == l.restarts && missed > 0:
			l.renewed = l.renewed.Add(missed)
			w.putLeaderLease(component)
		case silent > w.pace(leaderLasts):
			w.elect(component, now)
		}
	}
}

// putLeaderLease writes a leader's lease, anew if somebody deleted it.
func (w *world) putLeaderLease(component string) {
	l, seconds := w.leaders[component], int32(leaderLasts/time.Second)
	lease := find[*coordinationv1.Lease](w, "leases", key(metav1.NamespaceSystem, component))
	if lease == nil {
		lease = &coordinationv1.Lease{ObjectMeta: w.meta(metav1.NamespaceSystem, component, nil)}
	}
	lease.Spec = coordinationv1.LeaseSpec{
		HolderIdentity: &l.name, LeaseTransitions: &l.before, LeaseDurationSeconds: &seconds,
		AcquireTime: &metav1.MicroTime{Time: l.since}, RenewTime: &metav1.MicroTime{Time: l.renewed},
	}
	w.put("leases", lease)
}
