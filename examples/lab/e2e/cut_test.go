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

	apply := l.freeze("cp1", kubeadm())
	l.cutDuring(p, unplugged(), apply, "first-control-plane/upgrade@cp1")
	kubelet := l.freeze("cp1", dpkg())
	p.cutDrain(l, restarted(), "first-control-plane/drain@cp1")
	l.cutDuring(p, stalled(), kubelet, "first-control-plane/kubelet@cp1")

	p.until("start", "first-control-plane/etcd@cp1")
	install1, node1, node2 := l.freeze("w1", dpkg()), l.freeze("w1", kubeadm()), l.freeze("w2", kubeadm())
	l.cutDuring(p, unplugged(), install1, "workers/kubeadm@w1")
	l.cutDuring(p, restarted(), node1, "workers/upgrade@w1")
	p.cutDrain(l, stalled(), "workers/drain@w1")

	l.cutDuring(p, stalled(), node2, "workers/upgrade@w2")
	kubelet = l.freeze("w2", dpkg())
	p.cutDrain(l, unplugged(), "workers/drain@w2")
	l.cutDuring(p, restarted(), kubelet, "workers/kubelet@w2")

	p.ends(0)
	l.upgraded()
	seen.atMost(l, 2) // one by upgrader, and one whose cable is out
}

// cutDuring cuts the host off in the middle of this step's work, which goes on while it is cut off.
func (l *lab) cutDuring(p *process, c cut, f *frost, node string) {
	l.t.Helper()
	f.wait(p)
	p.until("start", node)
	l.t.Logf("%s: %s on %s", c.name, f.work.program, f.host)
	c.do(l, f.host, f.thaw)
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
