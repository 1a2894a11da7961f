package sim

import (
	"testing"
	"time"
)

// line is a step of a small plan.
func line(k kind, name string, key int) step {
	return step{kind: k, name: name, key: key, attempts: 2, timeout: 10 * time.Minute, backoff: time.Second, again: true}
}

// smallPlans are worlds that can be tried whole.
func smallPlans() map[string]*plan {
	return map[string]*plan{
		"two hosts behind a gate, then a word": {units: []unit{
			{name: "check", hosts: []int{0}, steps: []step{line(gate, "gate", 0)}},
			{name: "roll", hosts: []int{1, 2}, needs: []int{0}, rollout: true, most: 1, canary: 1, soak: 5 * time.Second,
				steps: []step{line(drain, "drain", 1), line(install, "install", 2), line(uncordon, "uncordon", 3)}},
			{name: "last", hosts: []int{0}, finally: true, steps: []step{line(tell, "tell", 4)}},
		}, keys: 5},
		"what happens once": {units: []unit{
			{name: "roll", hosts: []int{1}, rollout: true, most: 1,
				steps: []step{line(drain, "drain", 0), line(reboot, "reboot", 1), line(command, "command", 2), line(uncordon, "uncordon", 3)}},
		}, keys: 4},
		"two rollouts over one host": {units: []unit{
			{name: "a", hosts: []int{1, 2}, rollout: true, most: 1, steps: []step{line(drain, "drain", 0), line(uncordon, "uncordon", 1)}},
			{name: "b", hosts: []int{2, 1}, rollout: true, most: 1, steps: []step{line(install, "install", 2)}},
			{name: "ask", hosts: []int{0}, needs: []int{0, 1}, steps: []step{line(approval, "approval", 3)}},
		}, keys: 4},
	}
}

// die runs a small plan whose first processes are killed so, and says how many turns with records the last of the killed
// had, and whether they all lived to be killed.
func die(t *testing.T, p *plan, kills ...kill) bool {
	t.Helper()
	tr := &trial{seed: 1}
	tr.build(newDice(1), &faults{}, 2, nil)
	copied := *p
	tr.plan = &copied
	tr.open()
	tr.quiet, tr.kills = true, kills
	for range kills {
		if p := tr.live(); !p.killed {
			return false
		}
		tr.meanwhile()
	}
	if tr.broken == nil {
		tr.finish()
	}
	if tr.broken != nil {
		t.Fatalf("killed %+v: %v", kills, tr.broken)
	}
	return true
}

// TestEveryKill kills at every write, before and after it is durable, and then the next process at every write of its own.
func TestEveryKill(t *testing.T) {
	if testing.Short() {
		t.Skip("nine thousand pairs of kills")
	}
	for name, p := range smallPlans() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tried := 0
			for first := (kill{write: 1, how: before}); die(t, p, first); first = first.next() {
				for second := (kill{write: 1, how: before}); die(t, p, first, second); second = second.next() {
					tried++
				}
			}
			t.Logf("%d pairs of kills", tried)
		})
	}
}

// next is the kill after this one: first before a write, then after it.
func (k kill) next() kill {
	if k.how == before {
		return kill{write: k.write, how: written}
	}
	return kill{write: k.write + 1, how: before}
}
