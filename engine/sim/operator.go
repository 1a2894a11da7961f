package sim

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// The operator: answers questions, late or never; between processes edits the plan, says what is true of effects that were
// cut off, and repairs by hand what the plan no longer covers.

// ask puts a question before the operator.
func (p *process) ask(c engine.Command) {
	p.asked[c.Node] = true
	if p.until(c.Until) > 0 {
		p.later(p.until(c.Until), func() { p.answer(c.Node, engine.Decision{}) })
	}
	if p.script.toys[c.Node].kind != approval && !p.judge.cur[c.Node].late || p.faults.silent && p.chance(50) {
		return
	}
	d := engine.Decision{Verdict: engine.Approve, Who: "op", Digest: p.script.graph.Nodes[c.Node].Digest}
	switch {
	case p.judge.cur[c.Node].late:
		d.Verdict = p.lateWord()
	case p.faults.rejects && p.chance(20):
		d.Verdict = engine.Reject
	}
	takes := p.span(time.Second, 20*time.Second)
	if p.faults.silent {
		takes = p.span(time.Second, 4*time.Minute)
	}
	p.later(takes, func() { p.answer(c.Node, d) })
}

// lateWord is how a person goes on with a step that ran out of time. Who only ever waits may wait for what the step itself holds up.
func (t *trial) lateWord() string {
	return [...]string{engine.WaitOn, engine.SkipHost, engine.StopRun}[t.IntN(3)]
}

// answer answers a question, once.
func (p *process) answer(node int, d engine.Decision) {
	if p.asked[node] {
		p.asked[node] = false
		p.tell(engine.Event{Kind: engine.Answered, Node: node, Decision: d})
	}
}

// meanwhile is the time between two processes.
func (t *trial) meanwhile() {
	down := t.span(0, 2*time.Minute)
	if t.chance(20) {
		down = t.span(0, 3*time.Hour)
	}
	t.pass(down)
	t.lock = 0
	if t.faults.edits && t.chance(60) {
		t.edit()
	}
	t.decide()
	if t.quiet {
		t.repair()
	}
}

// decide says what is true of effects that wait for a person.
func (t *trial) decide() {
	for i := range t.script.toys {
		toy, b := &t.script.toys[i], t.judge.nodes[t.script.graph.Nodes[i].ID]
		cut := t.judge.undecided(toy) || b != nil && b.state == engine.Paused && toy.kind.once()
		switch {
		case b != nil && b.late && b.state == engine.Paused:
			if t.quiet || t.chance(70) {
				t.sayWord(i, t.lateWord())
			}
		case b != nil && b.rejected && (t.quiet || t.chance(50)):
			t.say(i, false)
		case cut && (t.quiet || t.chance(80)):
			done := t.holds(toy)
			if t.faults.lies && t.chance(20) {
				done = !done
			}
			t.say(i, done)
		case t.faults.hurries && b != nil && (b.state == engine.Failed || b.state == engine.Paused) && toy.kind != gate && t.chance(15):
			t.say(i, true)
		}
	}
	t.writeOff()
}

// writeOff says of hosts that the plan lost in the middle that they are in order, mostly before the run could see it.
func (t *trial) writeOff() {
	if !t.faults.edits {
		return
	}
	past := t.past(t.script)
	for h := 1; h < len(t.hosts); h++ {
		if past.Lost(t.names[h]) && t.chance(30) {
			t.note("the operator says that %s is in order", t.names[h])
			t.append(journal.Record{Kind: journal.Decision, Host: t.names[h], State: engine.Done, Who: "op", Elapsed: t.judge.elapsed})
			t.judge.writtenOff(h)
		}
	}
}

// say records what a person has found out about a node.
func (t *trial) say(node int, done bool) {
	word := engine.TryAgain
	if done {
		word = engine.Done
	}
	t.sayWord(node, word)
}

// sayWord records a person's word about a node.
func (t *trial) sayWord(node int, word string) {
	n := &t.script.graph.Nodes[node]
	rec := journal.Record{Kind: journal.Decision, Node: n.ID, State: word, Who: "op", Digest: n.Digest, Elapsed: t.judge.elapsed}
	t.note("the operator says %s of %s", rec.State, n.ID)
	t.append(rec)
	t.judge.decided(node, rec)
}

// repair uncordons by hand the hosts that the run has left out of service and is not in the middle of, and those of which it
// has said that they stand in its way.
func (t *trial) repair() {
	for h := 1; h < len(t.hosts); h++ {
		if t.hosts[h].cordoned && (!t.judge.inMiddle(h) || strings.Contains(t.said, t.names[h]+": cordoned")) {
			t.note("the operator uncordons %s", t.names[h])
			t.hosts[h].cordoned = false
		}
	}
}

// edit changes the plan in one or two places. One that the engine refuses is taken back.
func (t *trial) edit() {
	old := *t.plan
	t.plan.units = slices.Clone(t.plan.units)
	t.plan.edits++
	for range t.between(1, 2) {
		u := &t.plan.units[t.IntN(len(t.plan.units))]
		u.hosts, u.steps = slices.Clone(u.hosts), slices.Clone(u.steps)
		t.change(u)
	}
	s := t.plan.expand(t.names)
	if err := t.past(s).Keeps(); err != nil {
		t.note("the plan is put back: %v", err)
		*t.plan = old
		return
	}
	t.script = s
}

// past is what the journal is for a plan, as the operator's program sees it.
func (t *trial) past(s *script) *engine.Past {
	past := engine.NewPast(s.graph)
	for i := range t.journal {
		past.Take(&t.journal[i])
	}
	return past
}

// change is one edit of one unit.
func (t *trial) change(u *unit) {
	i := t.IntN(len(u.steps))
	s := &u.steps[i]
	what := t.IntN(9)
	t.note("edit %d of %s, step %s", what, u.name, s.name)
	switch what {
	case 0:
		s.name += "x"
	case 1:
		if k := s.kind; k != drain && k != uncordon && (k != gate || !s.strict) {
			s.text++
		}
	case 2:
		at := t.IntN(len(u.hosts))
		if middle := slices.IndexFunc(u.hosts, func(h int) bool { return t.judge.stayIn(u.name, h).open() }); middle >= 0 && t.chance(70) {
			at = middle
		}
		if len(u.hosts) > 1 {
			u.hosts = slices.Delete(u.hosts, at, at+1)
		}
	case 3:
		if len(u.steps) > 1 {
			u.steps = slices.Delete(u.steps, i, i+1)
		}
	case 4:
		t.addStep(u, i)
	case 5:
		t.Shuffle(len(u.hosts), func(a, b int) { u.hosts[a], u.hosts[b] = u.hosts[b], u.hosts[a] })
	case 6:
		u.most = t.IntN(3) + 1
	case 7:
		u.canary = t.IntN(3)
	case 8:
		s.late = t.late()
	}
}

func (t *trial) addStep(u *unit, at int) {
	if !u.rollout || u.finally || t.plan.keys >= mostKeys {
		return
	}
	s := t.step(install)
	s.key, s.name = t.plan.keys, "added"+strconv.Itoa(t.plan.keys)
	t.plan.keys++
	u.steps = slices.Insert(u.steps, at, s)
}
