//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A controller that is stopped in the middle of a drain, as a laptop is whose lid is shut, loses its lock to another one
// by `upgrader unlock`; when it wakes up it writes nothing and says why it ends. Nor does a copy of its state directory
// get the lock while it is alive.
func TestStaleController(t *testing.T) {
	t.Parallel()
	l := up(t, 1, 1)
	l.run("workload", "--stubborn")
	o, plan := l.operator(), l.drains()
	old := o.run(plan)
	old.until("wait", "drain@w1") // the budget holds it up

	copied := l.operator()
	if err := os.CopyFS(copied.state, os.DirFS(o.state)); err != nil {
		t.Fatal(err)
	}
	copied.resume().ends(6, "waiting 1m0s for a sign of life", "of this very run")

	old.signal(syscall.SIGSTOP)
	o.start("unlock", "--yes", "--run", o.runID(), "--kubeconfig", filepath.Join(l.dir, "kubeconfig")).ends(0, "waiting 55s", "is refused from now on")
	next := l.operator().run(plan)
	next.until("wait", "drain@w1")

	// Now nothing but its lock keeps the old one from evicting what is left.
	next.signal(syscall.SIGSTOP)
	l.kubectl("-n", "shop", "delete", "pdb", "--all")
	before := l.picture()
	old.signal(syscall.SIGCONT)
	old.ends(6, "another upgrader has taken over", "has the lock since")
	if after := l.picture(); after != before {
		t.Errorf("it wrote; before:\n%s\nafter:\n%s", before, after)
	}
	next.signal(syscall.SIGCONT)
	next.ends(0)
}

// drains is a plan that drains the workers, whatever a preflight thinks of it.
func (l *lab) drains() string {
	l.t.Helper()
	file := filepath.Join(l.t.TempDir(), "drains.yaml")
	text := `apiVersion: upgrader.dev/v1
kind: Plan
name: drains
waivers:
  - {check: drain.budget, reason: it is the test, until: 2999-12-31}
  - {check: drain.capacity, reason: it is the test, until: 2999-12-31}
steps:
  - {id: drain, uses: node.drain, hosts: workers, timeout: 10m, with: {deleteEmptyDir: true, force: true}}
  - {id: after, uses: ssh.run, hosts: workers, with: {run: "true"}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return file
}

// picture is what a controller would change: the Lease, the node and its pods.
func (l *lab) picture() string {
	l.t.Helper()
	return l.kubectl("-n", "kube-system", "get", "lease", "upgrader", "-o", "jsonpath={.metadata.resourceVersion} {.spec.holderIdentity}") + "\n" +
		l.kubectl("get", "node", "w1", "-o", `jsonpath={.spec.unschedulable} {.metadata.annotations.upgrader\.dev/cordoned-by} {.metadata.annotations.upgrader\.dev/epoch}`) + "\n" +
		l.kubectl("-n", "shop", "get", "pods", "--sort-by=.metadata.uid", "-o", "jsonpath={range .items[*]}{.metadata.uid} {.metadata.deletionTimestamp} {end}")
}

// signal sends the process a signal.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}
