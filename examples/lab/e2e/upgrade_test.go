//go:build e2e

package e2e

import (
	"testing"
	"time"
)

// upgrade runs the shipped runbook as it is, without any fault: the dry run announces changes and makes none, the run
// makes them, a second run finds nothing left to do. Meanwhile the service stays up, the API is away no longer than for
// outage, and no worker is taken out of service while another one is.
func (l *lab) upgrade(outage time.Duration) {
	l.t.Helper()
	l.run("workload")
	o := l.operator()
	o.run(runbook, "--dry-run", "--detailed-exitcode").ends(2)
	l.untouched()

	report, seen := l.probe(), l.watch()
	p := o.run(runbook, "--var", "soak=5s")
	p.ends(0)
	l.figure("upgrade by upgrader, %d hosts", time.Since(p.began), len(l.hosts))
	l.upgraded()
	seen.atMost(l, 1)
	h := report()
	h.gap(l, "api-read", outage)
	h.gap(l, "service", 10*time.Second)
	l.again(o)
}

// It is done by somebody who may do no more than the examples grant, on the cluster and on the hosts.
//
// The only API server is away while it is replaced, and longer on a machine that is busy; the figure is in the output.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	l := up(t, 1, 1)
	l.leastRights()
	l.upgrade(5 * time.Minute)
}

func TestUpgradeHighlyAvailable(t *testing.T) {
	if testing.Short() {
		t.Skip("make e2e-full")
	}
	t.Parallel()
	up(t, 3, 2).upgrade(20 * time.Second)
}

// again runs the runbook on a cluster that it has upgraded: it takes another snapshot, and touches nothing.
func (l *lab) again(o *operator) {
	l.t.Helper()
	p := o.run(runbook, "--var", "soak=0s")
	p.ends(0)
	for _, e := range p.events {
		if e.Kind == "intent" && e.Node != "backup@cp1" {
			l.t.Errorf("a second run wants to %s (%s)", e.Say, e.Node)
		}
	}
	l.upgraded()
}
