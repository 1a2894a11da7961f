//go:build e2e

package e2e

import (
	"testing"
	"time"
)

// Hosts are lost in the middle of a package installation: one reboots, one loses its power and gets it back, the only
// control plane among them. The controller waits for each, finds out how far the installation came, and finishes it.
func TestHostLost(t *testing.T) {
	if testing.Short() {
		t.Skip("make e2e-full")
	}
	t.Parallel()
	l := up(t, 1, 1)
	l.run("workload")
	p := l.operator().run(runbook, "--var", "soak=0s")

	p.until("settled", "first-control-plane/upgrade@cp1")
	l.loseDuring(p, l.freeze("cp1", dpkg()), "first-control-plane/kubelet@cp1", func() {
		l.run("kill", "cp1")
		time.Sleep(10 * time.Second)
		l.run("boot", "cp1")
	})
	p.until("start", "first-control-plane/etcd@cp1")
	l.loseDuring(p, l.freeze("w1", dpkg()), "workers/kubeadm@w1", func() {
		l.sh("w1", "systemctl reboot --force")
	})
	p.until("settled", "workers/upgrade@w1")
	l.loseDuring(p, l.freeze("w1", dpkg()), "workers/kubelet@w1", func() {
		l.run("kill", "w1")
		time.Sleep(10 * time.Second)
		l.run("boot", "w1")
	})

	p.ends(0)
	l.upgraded()
}

// loseDuring loses the host in the middle of the package installation of this step.
func (l *lab) loseDuring(p *process, f *frost, node string, lose func()) {
	l.t.Helper()
	l.cutDown[f.host] = true
	f.wait(p)
	p.until("start", node)
	l.t.Logf("%s is lost in the middle of %s", f.host, node)
	lose()
	p.until("settled", node)
}
