//go:build e2e

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What would stop an upgrade in the middle is refused before the first drain: nothing is cordoned, no package is
// touched, and the words name the host and the thing.
func TestRefusedBeforeTheFirstDrain(t *testing.T) {
	t.Parallel()
	l := up(t, 1, 1)
	l.run("workload")

	t.Run("somebody else's apt-get waits at its prompt", func(t *testing.T) {
		l := l.in(t)
		l.prompt("w1")
		l.operator().run(l.impatient()).ends(1, "w1", "dpkg on w1 is locked by apt-get")
		l.untouched()
	})
	t.Run("the repository is not there", func(t *testing.T) {
		l := l.in(t)
		before := l.sh("w1", `f=/etc/apt/sources.list.d/kubernetes.list; cat $f; sed -i 's#/core:#/nowhere/core:#' $f; rm -f /var/lib/apt/lists/*Packages*`)
		wrong := l.sh("w1", `cat /etc/apt/sources.list.d/kubernetes.list`)
		l.operator().run(runbook).ends(4, "packages.offered  w1", "404")
		l.untouched()
		if after := l.sh("w1", `cat /etc/apt/sources.list.d/kubernetes.list`); after != wrong {
			t.Errorf("the source was touched:\n%s", after)
		}
		l.sh("w1", `printf '%s' "$1" >/etc/apt/sources.list.d/kubernetes.list; apt-get update -q`, before)
	})
	t.Run("there is no such version", func(t *testing.T) {
		l := l.in(t)
		l.operator().run(runbook, "--var", "version=1.28.99", "--var", "revision=1.28.99-1.1").ends(4, "no repository offers kubeadm 1.28.99-1.1", "kube-apiserver:v1.28.99")
		l.untouched()
	})
}

// prompt leaves an apt-get at its question, as somebody who went for lunch does, until the test ends.
func (l *lab) prompt(host string) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := l.command(ctx, "exec", host, "sh", "-c", "sleep 3600 | apt-get remove less")
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		l.sh(host, "pkill -x sleep; pkill -x apt-get || :")
		cancel()
		_ = cmd.Wait()
	})
	l.sh(host, `for i in $(seq 100); do grep -q ":$(stat -c %i /var/lib/dpkg/lock-frontend) " /proc/locks && exit; sleep 0.1; done; exit 1`)
}

// impatient is the shipped runbook, but for its five minutes of patience with a lock.
func (l *lab) impatient() string {
	l.t.Helper()
	text, err := os.ReadFile(runbook)
	if err != nil {
		l.t.Fatal(err)
	}
	if !strings.Contains(string(text), "timeout: 5m\n") {
		l.t.Fatal("the runbook has no five minutes to shorten")
	}
	file := filepath.Join(l.t.TempDir(), "plan.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "timeout: 5m\n", "timeout: 20s\n")), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return file
}
