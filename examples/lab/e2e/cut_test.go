//go:build e2e

package e2e

import (
	"testing"
)

// Every way of losing the connection to a host, in the middle of each kind of work: kubeadm, a package installation and
// a drain. The work goes on without the controller, which finds it again; nothing is done twice and nobody is asked.
func TestConnectionCut(t *testing.T) {
	if testing.Short() {
		t.Skip("make e2e-full")
	}
	t.Parallel()
	l := up(t, 1, 2)
	l.run("workload")
	seen, o := l.watch(), l.operator()
	p := o.run(runbook, "--var", "soak=0s")

	l.cutDuring(p, unplugged(), kubeadm(), "first-control-plane/upgrade@cp1")
	p.cutDrain(l, restarted(), "first-control-plane/drain@cp1")
	l.cutDuring(p, stalled(), dpkg(), "first-control-plane/kubelet@cp1")

	l.cutDuring(p, unplugged(), dpkg(), "workers/kubeadm@w1")
	l.cutDuring(p, restarted(), kubeadm(), "workers/upgrade@w1")
	p.cutDrain(l, stalled(), "workers/drain@w1")

	l.cutDuring(p, stalled(), kubeadm(), "workers/upgrade@w2")
	p.cutDrain(l, unplugged(), "workers/drain@w2")
	l.cutDuring(p, restarted(), dpkg(), "workers/kubelet@w2")

	p.ends(0)
	l.upgraded()
	seen.atMost(l, 2) // one at a time by upgrader, and one whose cable is out
}

// cutDuring cuts the host off in the middle of this work of this step, which goes on while it is cut off.
func (l *lab) cutDuring(p *process, c cut, w work, node string) {
	l.t.Helper()
	host := hostOf(node)
	p.until("start", node)
	frozen, thaw := l.freeze(host, w)
	frozen()
	l.t.Logf("%s: %s on %s", c.name, w.program, host)
	c.do(l, host, thaw)
	p.until("settled", node)
}

// cutDrain cuts the host off while it is drained.
func (p *process) cutDrain(l *lab, c cut, node string) {
	l.t.Helper()
	p.until("intent", node)
	l.t.Logf("%s: drain of %s", c.name, hostOf(node))
	c.do(l, hostOf(node), func() {})
	p.until("settled", node)
}
