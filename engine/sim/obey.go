package sim

import (
	"time"

	"upgrader.dev/upgrader/engine"
)

// obey begins what a command says. Its answer comes later, or never.
func (p *process) obey(c engine.Command) {
	if p.over {
		return
	}
	switch c.Do {
	case engine.Bind:
		p.later(0, func() { p.bind(c) })
	case engine.Observe:
		p.observe(c)
	case engine.Make:
		p.make(c)
	case engine.Settle:
		p.settle(c)
	case engine.Look:
		p.later(p.span(20*time.Millisecond, 400*time.Millisecond), func() { p.look(c) })
	case engine.Hold:
		p.later(p.span(10*time.Millisecond, 80*time.Millisecond), p.hold)
	case engine.Ask:
		p.ask(c)
	case engine.Unask:
		p.answer(c.Node, engine.Decision{})
	case engine.Wake:
		p.wake(c.At)
	case engine.Finish:
		p.over, p.state, p.why = true, c.State, c.Why
	case engine.Announce:
		p.announce(c)
	case engine.Append, engine.Leave:
	}
}

func (p *process) bind(c engine.Command) {
	t := &p.script.toys[c.Node]
	p.tell(engine.Event{Kind: engine.Prepared, Node: c.Node, Skip: t.skip, Once: t.kind == command || t.kind == tell, Undoes: t.kind == drain,
		Values: map[string]string{"key": t.name}})
}

func (p *process) observe(c engine.Command) {
	takes := p.span(10*time.Millisecond, 300*time.Millisecond)
	if p.faults.slow && p.chance(3) {
		takes = p.span(time.Second, 40*time.Second)
	}
	if left := p.until(c.Until); takes > left {
		p.later(left, func() {
			p.tell(engine.Event{Kind: engine.Observed, Node: c.Node, Err: &engine.Failure{Class: engine.Passes, Why: "deadline exceeded", Late: true}})
		})
		return
	}
	p.later(takes, func() { p.tell(p.observed(c)) })
}

func (p *process) observed(c engine.Command) engine.Event {
	t := &p.script.toys[c.Node]
	s := scene{undo: c.Undo, now: p.elapsed(), since: c.Since, inWork: c.InWork,
		approved: c.Decision.Verdict == engine.Approve, rejected: c.Decision.Verdict == engine.Reject}
	if t.kind == gate {
		s.after = p.script.keysAfter(c.Node)
	}
	ev := engine.Event{Kind: engine.Observed, Node: c.Node}
	p.deeds[c.Node], ev.Err = p.world.observe(t, s)
	for _, d := range p.deeds[c.Node] {
		ev.Changes = append(ev.Changes, d.proposal(t))
	}
	t.judges(ev.Err)
	return ev
}

// judges is the plan's word on a failure: retry.on.
func (t *toy) judges(err *engine.Failure) {
	if err != nil {
		err.Again = t.again
	}
}

// make sends an effect off. What happens to it on its host goes on without this process.
func (p *process) make(c engine.Command) {
	t := &p.script.toys[c.Node]
	j := &job{ticket: c.Ticket, toy: t, deed: p.deeds[c.Node][c.Change]}
	p.noteWords(c.Node, j.deed)
	p.jobs[c.Ticket] = j
	p.judge.sent(j)
	answered := false
	answer := func(err *engine.Failure) {
		if !answered && !p.over {
			answered = true
			t.judges(err)
			p.tell(engine.Event{Kind: engine.Made, Node: c.Node, Ticket: c.Ticket, Err: err})
		}
	}
	p.after(p.span(5*time.Millisecond, 150*time.Millisecond), func() { p.arrive(j, answer) })
	if t.kind.job() {
		p.later(p.until(c.Until), func() { answer(&engine.Failure{Class: engine.Doubts, Why: "deadline exceeded", Late: true}) })
	}
}

// arrive is an effect reaching its host, or not.
func (p *process) arrive(j *job, answer func(*engine.Failure)) {
	lost := p.faults.doubts && p.chance(6) || p.over && p.chance(50)
	if lost && p.chance(50) {
		if j.is == sent {
			j.turn(p.world, never)
		}
		answer(failure(engine.Doubts, "the connection was lost"))
		return
	}
	if !j.toy.kind.job() {
		err := j.write(p.world, p.epoch)
		if lost {
			err = failure(engine.Doubts, "the connection was lost")
		}
		p.later(p.span(5*time.Millisecond, 50*time.Millisecond), func() { answer(err) })
		return
	}
	if err := j.begin(p.world, p.epoch); err != nil {
		answer(err)
		return
	}
	j.watch = append(j.watch, func() {
		if fate, err := j.verdict(); fate == engine.Ended {
			answer(err)
		} else {
			answer(failure(engine.Doubts, "the host went away"))
		}
	})
	if lost || p.faults.lost && p.chance(15) {
		p.later(p.span(0, 10*time.Second), func() { answer(failure(engine.Doubts, "the connection was lost")) })
	}
}

func (p *process) settle(c engine.Command) {
	t := &p.script.toys[c.Node]
	answered := false
	tell := func(fate engine.Fate, err *engine.Failure) {
		if answered || p.over {
			return
		}
		answered = true
		p.tell(engine.Event{Kind: engine.Told, Node: c.Node, Ticket: c.Ticket, Fate: fate, Err: err})
	}
	p.later(p.span(10*time.Millisecond, 200*time.Millisecond), func() {
		if p.faults.blind && p.chance(10) {
			tell("", failure(engine.Passes, "the connection was reset"))
			return
		}
		if p.world.settle(c.Ticket, t, tell) != nil {
			p.later(p.until(c.Until), func() { tell("", &engine.Failure{Class: engine.Passes, Why: "deadline exceeded", Late: true}) })
		}
	})
}

func (p *process) look(c engine.Command) {
	ev := engine.Event{Kind: engine.Looked, Group: c.Group}
	if p.away() || p.faults.blind && p.chance(8) {
		ev.Err = failure(engine.Passes, "the API is away")
		p.tell(ev)
		return
	}
	ev.Hosts = map[string]string{}
	for _, h := range p.script.units[p.script.group[c.Group]].hosts {
		if p.hosts[h].out() {
			ev.Hosts[p.names[h]] = p.hosts[h].because()
		}
	}
	for _, name := range c.Extra {
		for h := range p.names {
			if p.names[h] == name && p.hosts[h].out() {
				ev.Hosts[name] = p.hosts[h].because()
			}
		}
	}
	p.tell(ev)
}

func (p *process) hold() {
	ev := engine.Event{Kind: engine.Held}
	switch {
	case p.lock > p.epoch:
		ev.Err = failure(engine.Supplanted, "another upgrader has taken over")
	case p.away():
		ev.Err = failure(engine.Passes, "the lock cannot be renewed")
	}
	p.tell(ev)
}

func (p *process) wake(at time.Duration) {
	p.wakes++
	mine := p.wakes
	p.later(p.until(at), func() {
		if mine == p.wakes {
			p.tell(engine.Event{Kind: engine.Ticked})
		}
	})
}
