package sim

import (
	"slices"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// A kill is the death of a process: in which turn, or in which turn that has records, counted from 1, and how. The zero
// kill is none.
type kill struct {
	turn  int
	write int
	how   howKilled
}

type howKilled uint8

const (
	anyhow  howKilled = iota // one of the others, drawn
	before                   // nothing of the turn is durable
	torn                     // some of its records are
	written                  // all are, and nothing else that was wanted is begun
	obeying                  // some of that is begun
	howsKilled
)

// A process is one controller at work on the run: it tells a reducer what happens and does what the reducer wants. When it
// dies, the reducer and all answers that are on their way die with it.
type process struct {
	*trial
	r      *engine.Reducer
	opt    engine.Options
	script *script
	epoch  int64
	start  time.Duration // when it began, in the world's time
	base   time.Duration // and in the run's
	over   bool
	killed bool
	state  string // of Finish
	why    string

	inbox   []engine.Event // happened, and not taken in
	spare   []engine.Event
	turning bool // a turn is planned
	want    []engine.Command
	records []journal.Record
	deeds   [][]deed // by node: of the latest observation
	asked   []bool
	wakes   int
	events  int
	turns   int
	writes  int // turns that had records
	kill    kill
	moves   int // the turn before which the reducer is written down and taken up again; 0: none
}

func (p *process) elapsed() time.Duration { return p.base + p.now - p.start }

// until is a moment of the run as a time to wait in the world.
func (p *process) until(at time.Duration) time.Duration { return at - p.elapsed() }

// later plans something that only happens if the process lives to see it.
func (p *process) later(d time.Duration, do func()) {
	p.after(d, func() {
		if !p.over {
			do()
		}
	})
}

// tell brings an event before the reducer. Events that happen while the disk is at work wait for the next turn together.
func (p *process) tell(ev engine.Event) {
	if p.over {
		return
	}
	p.inbox = append(p.inbox, ev)
	if p.turning {
		return
	}
	p.turning = true
	var disk time.Duration
	if p.faults.slowDisk && p.chance(20) {
		disk = p.span(0, 400*time.Millisecond)
	}
	p.later(disk, p.turn)
}

// turn takes in all that has happened, makes the records durable, and only then begins what is wanted.
func (p *process) turn() {
	p.turning = false
	p.turns++
	if p.turns == p.moves {
		p.move()
	}
	events := p.inbox
	p.inbox, p.spare = p.spare[:0], events
	p.want, p.records = p.want[:0], p.records[:0]
	for _, ev := range events {
		p.take(ev)
		if p.broken != nil {
			return
		}
	}
	if !p.write() {
		return
	}
	for i := range p.want {
		if p.dies(i) {
			return
		}
		p.obey(p.want[i])
	}
}

// move writes the reducer down and goes on with what is read back: nothing may be lost on the way.
func (p *process) move() {
	data, err := p.r.Snapshot()
	if err == nil {
		p.r, err = engine.Restore(p.script.graph, p.opt, data)
	}
	if err != nil {
		p.fail("snapshot", "the reducer cannot be written down and taken up again: %v", err)
		return
	}
	plant(p.r, p.bug)
	p.note("the reducer is taken up again from %d bytes", len(data))
}

// take has the reducer answer one event.
func (p *process) take(ev engine.Event) {
	ev.Now = p.elapsed()
	p.events++
	if p.tracef != nil {
		p.tracef("%s", eventWords(p.script, ev))
	}
	if !p.rehearsing {
		p.judge.hear(&ev)
	}
	for _, c := range p.r.Next(ev) {
		if p.tracef != nil {
			p.tracef("    %s", commandWords(p.script, c))
		}
		p.weigh(&c)
		if c.Do == engine.Append {
			p.records = append(p.records, c.Record)
		} else {
			p.want = append(p.want, c)
		}
	}
}

// weigh has a command judged. A rehearsal may look and announce, and nothing else.
func (p *process) weigh(c *engine.Command) {
	switch {
	case !p.rehearsing:
		p.judge.want(c)
	case c.Do == engine.Make || c.Do == engine.Settle || c.Do == engine.Ask:
		p.fail("I11", "the rehearsal wants to %s %s", c.Do, p.script.graph.Nodes[c.Node].ID)
	}
}

// write makes the records of a turn durable and says whether the process is still alive.
func (p *process) write() bool {
	if p.rehearsing {
		return true
	}
	if len(p.records) > 0 {
		p.writes++
	}
	if p.due() && p.kill.how != obeying {
		keep := map[howKilled]int{before: 0, torn: p.IntN(len(p.records) + 1), written: len(p.records)}[p.kill.how]
		p.commit(p.records[:keep])
		p.die()
		return false
	}
	if p.faults.full && p.chance(3) {
		p.records = slices.DeleteFunc(p.records, p.refused)
	}
	p.commit(p.records)
	return true
}

// due says whether the turn has come in which the process dies.
func (p *process) due() bool {
	return p.kill.turn > 0 && p.turns >= p.kill.turn || p.kill.write > 0 && p.writes >= p.kill.write
}

// commit adds records to the journal, stamped by a clock that may have jumped.
func (p *process) commit(records []journal.Record) {
	if p.faults.clocks && p.chance(3) {
		p.skew += p.span(-24*time.Hour, 24*time.Hour)
	}
	for i := range records {
		p.append(records[i])
	}
	p.judge.durable(len(records))
}

// refused keeps an intent off a full disk: its effect is not begun, and the reducer hears of it.
func (p *process) refused(rec journal.Record) bool {
	if rec.Kind != journal.Intent {
		return false
	}
	p.want = slices.DeleteFunc(p.want, func(c engine.Command) bool { return c.Do == engine.Make && c.Ticket == rec.Ticket })
	p.judge.unwritten(rec.Ticket)
	p.tell(engine.Event{Kind: engine.Unwritten, Node: p.find(rec.Node), Ticket: rec.Ticket, Err: failure(engine.Plain, "no space left on device")})
	return true
}

func (p *process) find(node string) int {
	return slices.IndexFunc(p.script.graph.Nodes, func(n engine.Node) bool { return n.ID == node })
}

// dies cuts a turn off between two commands.
func (p *process) dies(command int) bool {
	if !p.due() || command == 0 && len(p.want) > 1 && p.chance(50) {
		return false
	}
	p.die()
	return true
}

func (p *process) die() {
	p.over, p.killed = true, true
	p.note("the process is killed")
}
