//go:build e2e

package e2e

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The controller is killed with kill -9 at ten random moments of one upgrade; whatever had begun goes on, and the last
// resume ends as if nothing had happened.
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
	for kill := range 10 {
		effects, pause := rnd.IntN(3), time.Duration(rnd.Float64()*float64(4*time.Second))
		p.effects(effects)
		time.Sleep(pause)
		p.kill()
		t.Logf("kill %d: %d effects and %s after the start of this process, %s", kill+1, effects, pause.Round(time.Millisecond), p.last())
		if p.cmd.ProcessState.ExitCode() == 0 {
			t.Fatalf("the upgrade was done after %d kills", kill)
		}
		p = o.resume()
	}
	p.ends(0)
	l.upgraded()
	seen.atMost(l, 1)
}

// effects waits until this process has begun n effects.
func (p *process) effects(n int) {
	p.t.Helper()
	for i := 0; n > 0; i++ {
		e, ok := p.next(i)
		if !ok {
			return
		}
		if e.Kind == "intent" {
			n--
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
