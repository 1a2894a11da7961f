package sim

import (
	"time"

	"upgrader.dev/upgrader/engine"
)

// adversity plans what will go wrong while a process lives.
func (t *trial) adversity(p *process) {
	f := t.faults
	if f.kills && t.chance(60) {
		p.kill = kill{turn: t.between(1, t.between(2, 200)), how: howKilled(t.between(int(before), int(howsKilled)-1))}
	}
	soon := func() time.Duration { return t.span(0, t.span(time.Second, 8*time.Minute)) }
	if f.stops && t.chance(50) {
		p.later(soon(), func() { p.tell(engine.Event{Kind: engine.Stopping, Why: "interrupted"}) })
	}
	if f.rivals && t.chance(30) {
		t.chaos(soon(), func() { t.takeOver(p) })
	}
	for range t.times(f.deaths) {
		h := t.aHost()
		t.chaos(soon(), func() { t.die(h, false, t.span(5*time.Second, t.span(time.Minute, 20*time.Minute))) })
	}
	for range t.times(f.cordons) {
		h := t.aHost()
		t.chaos(soon(), func() { t.meddle(h) })
	}
	for range t.times(f.uncordons) {
		h := t.aHost()
		t.chaos(soon(), func() { t.hosts[h].cordoned, t.hosts[h].foreign = false, false })
	}
	for range t.times(f.kept) {
		h := t.aHost()
		t.chaos(t.span(0, soon()), func() { t.hosts[h].kept = t.now + t.span(time.Minute, 20*time.Minute) })
	}
	for range t.times(f.away) {
		t.chaos(soon(), func() { t.apiAway = t.now + t.span(time.Second, t.span(10*time.Second, 15*time.Minute)) })
	}
	if f.shut && t.chance(50) {
		t.closed = t.now + t.span(time.Second, 10*time.Minute)
	}
}

// chaos plans something that no longer happens once the faults have stopped.
func (t *trial) chaos(d time.Duration, do func()) {
	t.after(d, func() {
		if !t.quiet {
			do()
		}
	})
}

func (t *trial) times(on bool) int {
	if !on {
		return 0
	}
	return t.between(0, 3)
}

func (t *trial) aHost() int { return t.between(1, len(t.hosts)-1) }

// meddle is somebody else's cordon, which goes after a while.
func (t *trial) meddle(h int) {
	t.trace("somebody cordons %s", t.names[h])
	t.hosts[h].foreign = true
	t.chaos(t.span(10*time.Second, 15*time.Minute), func() { t.hosts[h].foreign = false })
}

// takeOver is another controller that takes the lock and goes to work.
func (t *trial) takeOver(p *process) {
	if p.over {
		return
	}
	t.trace("a rival takes the lock")
	t.lock = p.epoch + 1
	t.epoch = t.lock
	for range 2 {
		t.meddle(t.aHost())
	}
}

// heal is the end of all faults.
func (t *trial) heal() {
	t.note("the faults have stopped")
	t.quiet = true
	*t.faults = faults{}
	t.apiAway, t.closed = 0, 0
	t.pass(time.Hour) // what is under way comes to its end
	for i := range t.hosts {
		t.hosts[i].foreign, t.hosts[i].kept = false, 0
	}
}
