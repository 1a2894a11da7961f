package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
)

// An elected component of the control plane has one instance that works, its leader; the others wait for its lease, which
// goes on for 15 s after it died (kube-controller-manager --leader-elect-lease-duration). So for a quarter of a minute
// after a control plane was restarted there may be none.
type elected struct{ component, without string }

// evictionNeeds are those that give an evicted pod a successor, and what becomes of it without them.
var evictionNeeds = []elected{
	{"kube-controller-manager", "no pod would be made anew, and services would go on sending to those that are gone"},
	{"kube-scheduler", "no pod made anew would be placed on a node"},
}

// led waits until each of these components has a leader. A component without a lease is elected in another way, or not
// at all, and is not judged.
func (d *drain) led(ctx context.Context, now time.Time) error {
	for _, e := range evictionNeeds {
		leader, err := d.cluster.Leader(ctx, e.component)
		if errors.Is(err, kube.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if !d.leads(e.component, leader, now) {
			return engine.NotYet("nobody leads %s at the moment: %s%s", e.component, e.without, abandoned(e.component, leader, now))
		}
	}
	return nil
}

// abandoned is what to do about a lease that is older than any election takes.
func abandoned(component string, leader kube.Leader, now time.Time) string {
	silent := now.Sub(leader.Renewed)
	if silent < 4*leader.Lasts {
		return ""
	}
	return fmt.Sprintf("; its lease was last renewed %s ago: see why with `kubectl -n kube-system logs -l component=%[2]s`, or, if it runs with "+
		"--leader-elect=false, remove the lease with `kubectl -n kube-system delete lease %[2]s`", kube.Lasting(silent), component)
}

// leads says whether a leader lives: it renews its lease seven times while it lasts (every 2 of 15 s), so one third is
// patience enough. The clock is that of a control plane; where it is far from this machine's, a lease that changes from
// one look to the next is the sign of life.
func (d *drain) leads(component string, leader kube.Leader, now time.Time) bool {
	before, looked := d.renewals[component]
	if d.renewals == nil {
		d.renewals = map[string]time.Time{}
	}
	d.renewals[component] = leader.Renewed
	fresh := now.Sub(leader.Renewed).Abs() <= leader.Lasts/3
	return leader.Name != "" && (fresh || looked && !leader.Renewed.Equal(before))
}
