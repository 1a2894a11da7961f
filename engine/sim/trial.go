package sim

import (
	"fmt"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// A Violation is an invariant that did not hold.
type Violation struct {
	Seed      uint64
	Invariant string // such as I1
	What      string
}

// Error is the invariant and what was seen.
func (v *Violation) Error() string {
	return fmt.Sprintf("seed %d: %s: %s", v.Seed, v.Invariant, v.What)
}

// A trial is one seed: a plan, a world, one run of as many processes as it takes, and a judge.
type trial struct {
	*world
	seed    uint64
	plan    *plan
	script  *script
	journal []journal.Record
	judge   *judge
	epoch   int64
	skew    time.Duration // of the wall clock
	quiet   bool          // faults have stopped
	said    string        // why the latest process ended
	broken  *Violation
	spent   Effort

	bug        int    // planted in the reducer; 0: none
	kills      []kill // of the processes to come
	rehearsing bool
	words      [][]string // by node: of the changes made, or announced; nil: nobody wants to know
}

// Effort is what trials took.
type Effort struct {
	Processes, Events, Effects int
	Elapsed                    time.Duration // of the worlds
}

func (e *Effort) add(more Effort) {
	e.Processes += more.Processes
	e.Events += more.Events
	e.Effects += more.Effects
	e.Elapsed += more.Elapsed
}

// Bounds of one process: what needs more spins or hangs.
const (
	mostEvents  = 20_000
	mostElapsed = 12 * time.Hour
	mostRounds  = 16 // processes after the faults have stopped, and one more for each cordon that an edited plan may leave to a person
)

// Run carries one seed out and says which invariant did not hold; nil: all did. trace is told everything that happens, in
// words, and may be nil.
func Run(seed uint64, trace func(format string, args ...any)) (Effort, *Violation) {
	return tryWith(0, seed, trace)
}

// tryWith is Run with a bug planted in the reducer.
func tryWith(bug int, seed uint64, trace func(format string, args ...any)) (Effort, *Violation) {
	t := newTrial(seed, trace)
	t.bug = bug
	t.run()
	if t.broken == nil && seed%rehearsed == 0 {
		t.rehearse()
	}
	return t.spent, t.broken
}

// rehearsed is the share of seeds whose plan is also rehearsed: one in so many.
const rehearsed = 8

func newTrial(seed uint64, trace func(format string, args ...any)) *trial {
	d := newDice(seed)
	t := &trial{seed: seed}
	t.build(d, d.drawFaults(), d.between(1, d.between(1, d.between(2, 12))), trace)
	t.plan = d.draw(len(t.hosts) - 1)
	t.open()
	return t
}

// build gives a trial its world.
func (t *trial) build(d dice, f *faults, hosts int, trace func(format string, args ...any)) {
	t.world = newWorld(&agenda{}, d, f, hosts)
	if trace != nil {
		t.tracef = func(format string, args ...any) {
			trace("%11.3fs "+format, append([]any{t.now.Seconds()}, args...)...)
		}
	}
}

// open readies a trial that has a world and a plan.
func (t *trial) open() {
	t.script = t.plan.expand(t.names)
	t.judge = newJudge(t)
	t.seen = t.judge.seen
}

func (t *trial) run() {
	for range t.between(1, 4) {
		if t.live(); t.broken != nil {
			return
		}
		t.meanwhile()
	}
	t.heal()
	t.finish()
}

// finish resumes until the run is done, as it has to be.
func (t *trial) finish() {
	rounds := mostRounds + len(t.plan.units)*len(t.hosts)
	for range rounds {
		p := t.live()
		if t.broken != nil {
			return
		}
		if p.state == engine.Done {
			t.judge.close()
			return
		}
		t.meanwhile()
	}
	t.fail("I14", "the faults have stopped, everybody has decided, and %d resumes did not end the run", rounds)
}

// fail notes the first invariant that did not hold.
func (t *trial) fail(invariant, format string, args ...any) {
	if t.broken == nil {
		t.broken = &Violation{t.seed, invariant, fmt.Sprintf(format, args...)}
		t.note("VIOLATION %s", t.broken.What)
	}
}

func (t *trial) note(format string, args ...any) {
	if t.tracef != nil {
		t.tracef("------ "+format, args...)
	}
}

// live is the life of one process, to its end.
func (t *trial) live() *process {
	p := t.begin()
	if p == nil || t.broken != nil {
		return p
	}
	for !p.over && t.broken == nil {
		switch {
		case !t.next():
			t.fail("I14", "the process waits for nothing and has not finished")
		case p.events > mostEvents:
			t.fail("I14", "the process spins: %d events", p.events)
		case p.now-p.start > mostElapsed:
			t.fail("I14", "the process is at work for %s", mostElapsed)
		}
	}
	p.over, t.said = true, p.why
	t.spent.Processes++
	t.spent.Events += p.events
	t.spent.Elapsed += p.now - p.start
	if !p.killed && t.broken == nil && !t.rehearsing {
		t.judge.finished(p.state, p.why)
		t.note("the process has finished: %s %s", p.state, p.why)
	}
	return p
}

// begin starts a process on the journal as it is. A plan that lacks an effect which may be going on is put back.
func (t *trial) begin() *process {
	o := engine.Options{Run: "r", Limit: t.limit(), Guarded: true, Inbox: true, Rehearse: t.rehearsing}
	r := engine.NewReducer(t.script.graph, o)
	plant(r, t.bug)
	r.Replay(t.journal)
	t.epoch++
	p := &process{trial: t, r: r, opt: o, script: t.script, epoch: t.epoch, start: t.now, base: r.Now(), deeds: make([][]deed, len(t.script.toys)), asked: make([]bool, len(t.script.toys))}
	if d := newDice(t.seed ^ uint64(t.epoch)<<48); d.chance(10) {
		p.moves = d.between(1, 60)
	}
	t.judge.begin(p)
	t.note("process %d begins, elapsed %s", t.epoch, p.base)
	if !t.quiet {
		t.adversity(p)
	}
	if len(t.kills) > 0 {
		p.kill, t.kills = t.kills[0], t.kills[1:]
	}
	p.tell(engine.Event{Kind: engine.Began, Epoch: t.epoch})
	return p
}

func (t *trial) limit() int {
	if t.chance(20) {
		return t.between(1, 3)
	}
	return 32
}

// append makes a record durable.
func (t *trial) append(rec journal.Record) {
	rec.Seq = int64(len(t.journal)) + 1
	rec.Time = time.Unix(1_700_000_000, 0).Add(t.now + t.skew)
	t.journal = append(t.journal, rec)
}
