package sim

import (
	"slices"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// A judge keeps books of its own over what the reducer is told, what it wants and what happens in the world, and shares no
// code with the engine. What a crash has lost it forgets: at the start of a process its books are written anew from what was
// durable.
type judge struct {
	*trial
	p       *process
	process int // number of the present one, counted by what it began with
	nodes   map[string]*book
	cur     []*book // by node of the script
	stays   map[stayKey]*stay
	made    map[effectKey][]*job
	tickets map[string]ticketState
	spoken  map[effectKey]int16 // the goal that a person has said to be reached

	entries []entry // durable
	loose   []entry // of this turn

	elapsed time.Duration
	looks   [][looksKept]glance // by rollout: the latest
	merged  []glance            // by rollout: the latest, as looks at others have changed it since
	held    time.Duration       // when the lock was last proved; -1: it was not
	stopped bool
	halted  bool
	paused  bool
	failed  bool
	fenced  bool
	unseen  int // gates that this process has to see open
	flying  int // commands about nodes that have no answer
	outage  outage
}

// An entry is a record as the judge keeps it: with the digest that the node had when it was written.
type entry struct {
	kind    journal.Kind
	node    string
	state   string
	digest  string
	ticket  string
	elapsed time.Duration
	stay    *stay // of an intent: the host in its rollout
	late    bool  // of an end: its time was over and a person is to be asked
	rest    bool  // the time since the node's record before is a person's, who was asked
}

// A book is what the judge knows of a node.
type book struct {
	id       string
	state    string // of its latest end
	done     string // the digest for which it is done; empty: it is not
	person   bool   // because a person said so
	started  bool
	since    time.Duration // first start of the present attempt
	lives    int           // times that it was started since then
	spent    time.Duration // at work, since then, as far as its records tell
	last     time.Duration // its latest record
	process  int           // that wrote it
	approved string        // digest that a person has approved
	rejected bool
	late     bool   // its time was over and a person is to be asked, who has not answered
	word     string // what a person has answered: skip or stop, until the node has ended

	// Of this process.
	asked    string // digest of the open question
	settled  bool
	mustSee  bool // a gate that was open before
	clean    bool // the latest observation found nothing to do
	undoing  bool
	looked   bool // it was observed since it was bound
	begun    bool
	rounds   int // observations of this attempt that failed
	spoilt   bool
	settles  bool // an effect that it was not seen to begin, which may have the API away
	final    bool // it failed for good: nothing more may be tried
	rest     time.Duration
	changes  int
	taken    uint64 // changes of the latest observation that were made
	inflight int
}

type ticketState uint8

const (
	intended ticketState = iota + 1
	used
)

// looksKept is how many looks at a rollout are remembered.
const looksKept = 4

// A glance is a look at a rollout.
type glance struct {
	taken bool
	at    time.Duration
	down  map[string]string
}

// An outage is the time in which one node has the API away.
type outage struct {
	node  int
	until time.Duration
}

type effectKey struct{ host, key int }

func newJudge(t *trial) *judge {
	return &judge{trial: t, nodes: map[string]*book{}, stays: map[stayKey]*stay{}, made: map[effectKey][]*job{}, tickets: map[string]ticketState{}, spoken: map[effectKey]int16{}}
}

// begin opens the books of a new process.
func (j *judge) begin(p *process) {
	j.p, j.process = p, 0
	j.stopped, j.halted, j.paused, j.failed, j.fenced, j.held, j.flying = false, false, false, false, false, -1, 0
	j.outage = outage{node: -1}
	j.looks, j.merged = make([][looksKept]glance, len(p.script.graph.Groups)), make([]glance, len(p.script.graph.Groups))
	j.durable(0)
	clear(j.nodes)
	last := time.Duration(0)
	for i := range j.entries {
		j.enter(&j.entries[i])
		last = max(last, j.entries[i].elapsed)
	}
	if p.base != last {
		j.fail("I10", "the run's clock stands at %s after a replay, and the last record was written at %s", p.base, last)
	}
	j.elapsed = p.base
	j.cur = j.cur[:0]
	for i := range p.script.graph.Nodes {
		b := j.book(p.script.graph.Nodes[i].ID)
		b.forget()
		j.cur = append(j.cur, b)
	}
	j.recallStays()
	j.reopen()
}

// forget is the end of what only one process knows.
func (b *book) forget() {
	*b = book{id: b.id, state: b.state, done: b.done, person: b.person, started: b.started, since: b.since, lives: b.lives, spent: b.spent, last: b.last, process: b.process, approved: b.approved, rejected: b.rejected, late: b.late, word: b.word}
}

// reopen takes back what every process does anew: finally steps, and gates.
func (j *judge) reopen() {
	j.unseen = 0
	for i := range j.cur {
		if j.p.script.units[j.p.script.toys[i].unit].finally {
			j.cur[i].done = ""
		}
	}
	for i, b := range j.cur {
		t := &j.p.script.toys[i]
		guards := t.group < 0 || !j.hostThrough(t) // one of a host's own: what is left to do there
		if t.kind == gate && j.done(i) && j.metBefore(i) && guards {
			b.mustSee = true
			j.unseen++
		}
	}
}

// metBefore says whether all that a gate needs was done before this process. Where a host may still be watched, the gate has its turn
// after that.
func (j *judge) metBefore(i int) bool {
	for _, n := range j.p.script.toys[i].needs {
		need := &j.p.script.toys[n]
		met := j.done(n)
		if need.group >= 0 {
			met = j.hostThrough(need) && j.elapsed >= j.stay(need).soaked && !j.maybeWatched(n)
		}
		if !met || need.kind == gate && !j.metBefore(n) {
			return false
		}
	}
	return true
}

func (j *judge) book(id string) *book {
	b := j.nodes[id]
	if b == nil {
		b = &book{id: id}
		j.nodes[id] = b
	}
	return b
}

// done says whether a node is done as the plan has it now.
func (j *judge) done(i int) bool {
	return j.cur[i].done != "" && j.cur[i].done == j.p.script.graph.Nodes[i].Digest
}

// enter is what a record means.
func (j *judge) enter(e *entry) {
	if e.kind == journal.Begin {
		j.process++
	}
	if e.node == "" {
		return
	}
	b := j.book(e.node)
	if b.started && b.process == j.process && !e.rest {
		b.spent += e.elapsed - b.last
	}
	b.last, b.process = e.elapsed, j.process
	switch e.kind {
	case journal.Start:
		if !b.started {
			b.started, b.since, b.lives, b.spent = true, e.elapsed, 0, 0
		}
		b.lives++
		b.late = false
	case journal.Settled:
		b.process = 0 // what follows is not its time
		if e.state != engine.Stopped {
			b.state = e.state
		}
		if e.state != engine.Stopped && e.state != engine.Paused {
			b.started, b.word = false, ""
		}
		b.late = e.late
		if b.done, b.person = "", false; e.state == engine.Done || e.state == engine.Skipped {
			b.done = e.digest
		}
	case journal.Decision:
		switch e.state {
		case engine.Done:
			b.done, b.person, b.state = e.digest, true, engine.Done
		case engine.TryAgain:
			b.rejected = false
		case engine.Approve:
			b.approved, b.rejected = e.digest, false
		case engine.Reject:
			b.approved, b.rejected = "", true
		case engine.WaitOn:
			b.late, b.spent = false, 0
		case engine.SkipHost, engine.StopRun:
			b.late, b.word = false, e.state
		}
	}
}

// durable moves the records of this turn, or the first of them, to the books that outlive the process. The tickets of the
// others were never used.
func (j *judge) durable(n int) {
	j.entries = append(j.entries, j.loose[:n]...)
	for i := range j.loose[:n] {
		if s := j.loose[i].stay; s != nil {
			s.half, s.ever = true, true
		}
	}
	for i := range j.loose[n:] {
		if lost := &j.loose[n+i]; lost.kind == journal.Intent {
			delete(j.tickets, lost.ticket)
		}
	}
	j.loose = j.loose[:0]
	for _, s := range j.stays {
		s.lost = s.lost || s.end > len(j.entries)
	}
}

// unwritten takes an intent out that the disk had no room for.
func (j *judge) unwritten(ticket string) {
	for i := range j.loose {
		if j.loose[i].ticket == ticket && j.loose[i].kind == journal.Intent {
			j.loose = append(j.loose[:i], j.loose[i+1:]...)
			break
		}
	}
	delete(j.tickets, ticket)
}

// has says whether the plan still has a host in a unit.
func (j *judge) has(key stayKey) bool {
	return slices.ContainsFunc(j.script.units, func(u unit) bool { return u.name == key.unit && slices.Contains(u.hosts, key.host) })
}
