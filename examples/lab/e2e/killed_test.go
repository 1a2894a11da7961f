//go:build e2e

package e2e

import (
	"math/rand/v2"
	"testing"
	"time"
)

// stretches are what an upgrade of 1+1 is at, in order, and for how long at least.
var stretches = []struct {
	node  string
	lasts time.Duration
}{
	{"repository@cp1", 500 * time.Millisecond},
	{"backup@cp1", 300 * time.Millisecond},
	{"first-control-plane/kubeadm@cp1", time.Second},
	{"first-control-plane/upgrade@cp1", 90 * time.Second},
	{"first-control-plane/drain@cp1", 5 * time.Second},
	{"first-control-plane/kubelet@cp1", 2 * time.Second},
	{"first-control-plane/etcd@cp1", 10 * time.Second},
	{"workers/kubeadm@w1", time.Second},
	{"workers/drain@w1", 5 * time.Second},
	{"workers/kubelet@w1", 2 * time.Second},
}

// The controller is killed with kill -9 at ten random moments of one upgrade, one in each stretch of it; whatever had
// begun goes on, and the last resume ends as if nothing had happened.
func TestControllerKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("make e2e-full")
	}
	t.Parallel()
	l := up(t, 1, 1)
	l.run("workload")
	seen, o := l.watch(), l.operator()
	rnd := rand.New(rand.NewPCG(*seed, 0))
	p := o.run(runbook, "--var", "soak=5s")
	for i, stretch := range stretches {
		pause := time.Duration(rnd.Float64() * float64(stretch.lasts))
		p.reaches(i)
		time.Sleep(pause)
		p.kill()
		t.Logf("kill %d: %s into %s, %s", i+1, pause.Round(time.Millisecond), stretch.node, p.last())
		if p.cmd.ProcessState.ExitCode() == 0 {
			t.Fatalf("the upgrade was done after %d kills", i)
		}
		p = o.resume()
	}
	p.ends(0)
	l.upgraded()
	seen.atMost(l, 1)
}

// reaches waits until this process is in that stretch, or in one after it.
func (p *process) reaches(stretch int) {
	p.t.Helper()
	for i := 0; ; i++ {
		e, ok := p.next(i)
		if !ok {
			p.t.Fatalf("it never came to %s: %s", stretches[stretch].node, p.story())
		}
		for _, s := range stretches[stretch:] {
			if e.Node == s.node {
				return
			}
		}
	}
}

// last is what the process was at when it ended.
func (p *process) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.events) == 0 {
		return "before its first word"
	}
	e := p.events[len(p.events)-1]
	return "after " + e.Kind + " of " + e.Node
}
