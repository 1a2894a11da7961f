//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The addresses of two workers are mixed up in the inventory, before a run and in the middle of it: neither is drained or
// changed, both are named, and with the right addresses the run goes on to its end.
func TestSwappedAddresses(t *testing.T) {
	t.Parallel()
	l := up(t, 1, 2)
	l.run("workload")
	right := l.inventory(filepath.Join(l.dir, "inventory.yaml"), func(_ *lab, text string) string { return text })
	wrong := l.inventory(filepath.Join(l.dir, "inventory.yaml"), func(_ *lab, text string) string {
		return strings.NewReplacer(".21}", ".22}", ".22}", ".21}").Replace(text)
	})
	both := []string{"host w1 (", ") is the machine of node w2", "host w2 (", ") is the machine of node w1", "correct the address of w1 in"}

	l.operator().run(runbook, "--inventory", wrong, "--dry-run").ends(4, both...)
	before := l.operator()
	before.run(runbook, "--inventory", wrong).ends(4, both...)
	if _, err := os.Stat(filepath.Join(before.state, "runs")); err == nil {
		t.Error("a run was begun")
	}
	out, err := l.upgrader("doctor", "--kubeconfig", filepath.Join(l.dir, "kubeconfig"), "--inventory", wrong, "--output", "json").Output()
	if err == nil || !strings.Contains(string(out), `"hosts": 3`) || strings.Count(string(out), `is the machine of node w`) != 2 {
		t.Errorf("doctor: %v\n%s", err, out)
	}
	l.untouched()

	file, o := l.file("inventory.yaml", textOf(t, right)), l.operator()
	p := o.run(runbook, "--inventory", file, "--var", "soak=5s")
	p.until("settled", "first-control-plane/etcd@cp1")
	p.kill()
	if err := os.WriteFile(file, []byte(textOf(t, wrong)), 0o600); err != nil {
		t.Fatal(err)
	}
	o.resume().ends(4, "is the machine of node w", "nothing was done")
	for name, n := range l.nodes() {
		if n.controlPlane() {
			continue
		}
		if n.Spec.Unschedulable || n.mark() != "" || n.Status.NodeInfo.KubeletVersion != "v"+from {
			t.Errorf("%s: cordoned %v, mark %q, kubelet %s", name, n.Spec.Unschedulable, n.mark(), n.Status.NodeInfo.KubeletVersion)
		}
		if log := l.sh(name, `grep " upgrade " /var/log/dpkg.log || :`); log != "" {
			t.Errorf("%s upgraded packages: %s", name, log)
		}
	}
	journal, err := filepath.Glob(filepath.Join(o.state, "*", "*", "journal.jsonl"))
	if err != nil || len(journal) != 1 {
		t.Fatalf("journals: %v, %v", journal, err)
	}
	for _, word := range []string{`"state":"refused"`, ") is the machine of node w", `"kind":"machine"`} {
		if !strings.Contains(textOf(t, journal[0]), word) {
			t.Errorf("%s is not in the journal", word)
		}
	}

	if err := os.WriteFile(file, []byte(textOf(t, right)), 0o600); err != nil {
		t.Fatal(err)
	}
	o.resume().ends(0)
	l.upgraded()
}

func textOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
