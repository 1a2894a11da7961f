//go:build e2e

package e2e

import (
	"os"
	"strings"
	"testing"
)

// accepts requires that a waiver lets a finding pass as long as it holds and no longer, that none is taken of what does
// not exist or would break the cluster, and that a blocker ends a run before anything was changed.
func (l *lab) accepts() {
	l.t.Helper()
	swap := trouble{host: "w1", plant: swapOn, cure: swapOff}
	defer l.on(swap, swap.cure)
	l.on(swap, swap.plant)
	l.t.Run("a waiver", func(t *testing.T) {
		got := l.in(t).look(batch{plan: waiving("host.swap", "2099-12-31")})
		if len(got.Findings) != 1 || got.code != 0 {
			t.Fatalf("exit code %d, %v", got.code, got.Findings)
		}
		if f := got.Findings[0]; f.Check != "host.swap" || f.Waived == nil || f.Waived.Reason != "nobody uses it" {
			t.Errorf("waived %+v:\n%s", f.Waived, f)
		}
	})
	l.t.Run("a waiver of long ago", func(t *testing.T) {
		got := l.in(t).look(batch{plan: waiving("host.swap", "2024-12-31")})
		if len(got.Findings) != 1 || !swapFound.is(got.Findings[0], nil) || got.code != 4 {
			t.Errorf("exit code %d, %v", got.code, got.Findings)
		}
	})
	l.t.Run("no waiver", func(t *testing.T) {
		l := l.in(t)
		l.invalid(waiving("etcd.quorum", "2099-12-31"), "etcd.quorum cannot be waived")
		l.invalid(waiving("host.swop", "2099-12-31"), `there is no check "host.swop"`, "host.swap")
	})
	l.t.Run("a run", func(t *testing.T) { l.in(t).endsBefore() })
}

// endsBefore requires that a run of the shipped runbook finds swap on w1, and leaves everything as it is.
func (l *lab) endsBefore() {
	l.t.Helper()
	o := l.operator()
	o.run(runbook).ends(4, "host.swap", "w1", "swapoff -a")
	if made, err := os.ReadDir(o.state); err != nil || len(made) > 0 {
		l.t.Errorf("the run that was refused left %v (%v)", made, err)
	}
	l.untouched()
}

// invalid requires that a plan is found invalid, in these words.
func (l *lab) invalid(v variant, words ...string) {
	l.t.Helper()
	cmd := l.upgrader("validate", l.write(v))
	out, _ := cmd.CombinedOutput() // the exit code says it
	if got := cmd.ProcessState.ExitCode(); got != 3 {
		l.t.Errorf("%s: exit code %d, want 3", v.name, got)
	}
	for _, w := range words {
		if !strings.Contains(string(out), w) {
			l.t.Errorf("%q is not in what it said:\n%s", w, out)
		}
	}
}
