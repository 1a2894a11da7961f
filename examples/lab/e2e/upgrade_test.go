//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"
)

// The shipped runbook as it is, without any fault: the dry run announces changes and makes none, the run makes them, a
// second run finds nothing left to do. Meanwhile the service stays up, the API is away only where there is one control
// plane, and no worker is taken out of service while another one is.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	for _, size := range []struct {
		controlPlanes, workers int
		outage                 time.Duration // of the API, at most; the figure itself is in the output
	}{
		{controlPlanes: 1, workers: 1, outage: 5 * time.Minute},
		{controlPlanes: 3, workers: 2, outage: 20 * time.Second},
	} {
		t.Run(fmt.Sprintf("%d+%d", size.controlPlanes, size.workers), func(t *testing.T) {
			if testing.Short() && size.controlPlanes > 1 {
				t.Skip("make e2e-full")
			}
			t.Parallel()
			l := up(t, size.controlPlanes, size.workers)
			l.run("workload")
			o := l.operator()
			o.run(runbook, "--dry-run", "--detailed-exitcode").ends(2)
			l.untouched()

			report, seen := l.probe(), l.watch()
			p := o.run(runbook, "--var", "soak=5s")
			p.ends(0)
			l.figure("upgrade by upgrader, %d+%d", time.Since(p.began), size.controlPlanes, size.workers)
			l.upgraded()
			seen.atMost(l, 1)
			h := report()
			h.gap(l, "api-read", size.outage)
			h.gap(l, "service", 10*time.Second)
			l.again(o)
		})
	}
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
