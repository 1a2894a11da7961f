package sim

import (
	"slices"

	"upgrader.dev/upgrader/engine"
)

// rehearse judges that a rehearsal of the plan says what a run without faults does (I11), and does nothing itself.
func (t *trial) rehearse() {
	said, run := newTrial(t.seed, nil), newTrial(t.seed, nil)
	for _, own := range []*trial{said, run} {
		own.tracef, own.bug, own.quiet = t.tracef, t.bug, true
		*own.faults = faults{}
		own.words = make([][]string, len(own.script.toys))
		for i := range own.script.toys {
			own.script.toys[i].outage = false
		}
		for i := range own.hosts {
			own.hosts[i].foreign = false
		}
	}
	t.note("the plan is rehearsed")
	said.rehearsing = true
	said.live()
	t.note("and run without faults")
	if p := run.live(); run.broken == nil && p.state != engine.Done {
		if !t.plan.reboots() { // a reboot is a fault to what is at work on the host beside it
			t.fail("I14", "a run without faults ends %s: %s", p.state, p.why)
		}
		return
	}
	for _, own := range []*trial{said, run} {
		if t.broken == nil {
			t.broken = own.broken
		}
	}
	t.compare(said, run)
}

// compare holds the words of a rehearsal against those of the run, node by node: the order between nodes is not promised.
func (t *trial) compare(said, run *trial) {
	for i := range run.words {
		would, did := once(said.words[i]), once(run.words[i])
		if !slices.Equal(would, did) {
			t.fail("I11", "the rehearsal says that %s would do %v, and the run did %v", run.script.graph.Nodes[i].ID, would, did)
		}
	}
	if len(said.jobs) > 0 || len(said.journal) > 0 {
		t.fail("I11", "the rehearsal has made effects or records")
	}
}

func (p *plan) reboots() bool {
	return slices.ContainsFunc(p.units, func(u unit) bool {
		return slices.ContainsFunc(u.steps, func(s step) bool { return s.kind == reboot })
	})
}

// once is words sorted, each once: what was tried while the API was away is tried again.
func once(words []string) []string {
	slices.Sort(words)
	return slices.Compact(words)
}

// noteWords notes the words of a change that is made, or would be.
func (t *trial) noteWords(node int, d deed) {
	if t.words == nil {
		return
	}
	p := d.proposal(&t.script.toys[node])
	t.words[node] = append(t.words[node], p.Say+" "+p.Of)
}

// announce has the toy world be as the changes promise.
func (p *process) announce(c engine.Command) {
	t := &p.script.toys[c.Node]
	for _, i := range c.Changes {
		d := p.deeds[c.Node][i]
		p.noteWords(c.Node, d)
		switch d.what {
		case doCordon:
			p.cordon(t.host, t.key)
		case doUncordon:
			p.uncordon(t.host)
		case doEvict:
			p.hosts[t.host].pods &^= 1 << d.pod
			p.world.note(&p.hosts[t.host])
		case doApply, doJob:
			p.bring(t)
		}
	}
}
