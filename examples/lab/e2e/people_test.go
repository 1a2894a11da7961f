//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The people beside an upgrade, in one night's story: an operator has cordoned w2 for reasons of their own; a colleague
// starts a second upgrade; somebody uncordons w1 while it is drained, and once more when it is; and a disruption budget
// that allows nothing holds the drain up until it is mended.
func TestPeople(t *testing.T) {
	if testing.Short() {
		t.Skip("make e2e-full")
	}
	t.Parallel()
	l := up(t, 1, 2)
	l.kubectl("cordon", "w2")
	l.run("workload", "--stubborn") // so that it stands on w1
	seen, o := l.watch(), l.operator()

	// What stands in the way is told before anything begins: the budget, and that nothing takes the pods of w1 while w2 is
	// cordoned. They know, and say so in the plan.
	o.run(runbook).ends(4, "drain.budget", "drain.capacity")
	p := o.run(l.waiving("drain.budget", "drain.capacity"), "--var", "soak=0s", "--var", "maxUnavailable=2", "--var", "drainTimeout=40s")
	p.until("start", "first-control-plane/upgrade@cp1")
	run := o.runID()
	l.operator().run(runbook).ends(6, run)
	o.run(runbook).ends(6, run)

	// The budget holds the drain of w1 up, and somebody takes the cordon away.
	p.until("wait", "workers/drain@w1")
	l.kubectl("uncordon", "w1")
	p.ends(4, "w1 was uncordoned by somebody else", "kubectl annotate node w1")
	l.kubectl("annotate", "node", "w1", "upgrader.dev/cordoned-by-")

	// Told to go on, the drain waits for the budget, names it, and gives up; w1 takes pods again, and w2 is left alone.
	p = o.resume()
	p.ends(1, "shop/stubborn", "PDB shop/stubborn")
	l.cordoned(map[string]bool{"cp1": false, "w1": false, "w2": true})

	// The budget is mended. Once w1 is empty somebody uncordons it again, before its kubelet is restarted.
	l.kubectl("-n", "shop", "patch", "pdb", "stubborn", "--type=merge", "-p", `{"spec":{"maxUnavailable":1}}`)
	kubelet := l.freeze("w1", dpkg())
	p = o.resume()
	kubelet.wait(p)
	p.until("start", "workers/kubelet@w1")
	l.kubectl("uncordon", "w1")
	kubelet.thaw()
	p.ends(4, "w1 was uncordoned by somebody else", "kubectl drain w1")
	l.kubectl("drain", "w1", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")

	o.resume().ends(0)
	l.upgraded("w2")
	seen.atMost(l, 2)
}

// cordoned requires that exactly these nodes are cordoned, and that none has a mark.
func (l *lab) cordoned(want map[string]bool) {
	l.t.Helper()
	for name, n := range l.nodes() {
		if n.Spec.Unschedulable != want[name] || n.mark() != "" {
			l.t.Errorf("%s: cordoned %v, want %v; mark %q", name, n.Spec.Unschedulable, want[name], n.mark())
		}
	}
}

// waiving is the shipped runbook, with what these checks find accepted.
func (l *lab) waiving(checks ...string) string {
	l.t.Helper()
	text, err := os.ReadFile(runbook)
	if err != nil {
		l.t.Fatal(err)
	}
	waivers := "waivers:\n"
	for _, c := range checks {
		waivers += "  - {check: " + c + ", reason: it is the test, until: 2999-12-31}\n"
	}
	file := filepath.Join(l.t.TempDir(), "plan.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "\nsteps:\n", "\n"+waivers+"\nsteps:\n", 1)), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return file
}
