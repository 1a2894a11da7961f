package engine

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// A Runner carries a graph out, or rehearses it. Its fields are set once and not changed while it runs.
type Runner struct {
	Graph        *Graph
	Run          string // the run's ID, part of every ticket
	Log          Log    // where records become durable; nil in a rehearsal
	Past         *Past  // what earlier processes of this run recorded: the runner's alone from Start on; nil: nothing
	Facts        Facts  // known at the start, recorded with it: versions before
	Binder       Binder
	Settler      Settler              // may be nil if no step makes guarded effects
	Guard        Guard                // nil: nobody else can act, as in a test
	Availability Availability         // nil: every host is in service
	Inbox        Inbox                // nil: nobody answers
	Output       Output               // nil: output is dropped
	Watch        func(journal.Record) // told of every record once it is durable, in order, one at a time; a Progress makes a Summary of them
	Rehearse     bool                 // observe and announce, change nothing, record nothing
	Parallel     int                  // nodes at work at once; 0 means 32
}

// interrupted is why a run stops that a person stopped.
const interrupted = "interrupted"

// errDetached ends what is under way without a word: this process lets go, the run is not over.
var errDetached = errors.New("detached")

// errTimeout is why a context ends at a node's deadline.
var errTimeout = errors.New("timed out")

// errOtherPast is a programmer's error: what was read for another graph means something else.
var errOtherPast = errors.New("what earlier processes recorded was read for another graph than the one to carry out")

// Start carries the graph out and returns when nothing is running and nothing can start any more. Closing stop makes
// running steps stop at their next change and nothing new start. Cancelling ctx lets go at once: jobs on hosts go on,
// and a later process attaches to them. The error is nil unless the run could not be recorded or the lock was lost;
// what became of the steps, the records tell.
func (r *Runner) Start(ctx context.Context, stop <-chan struct{}) error {
	if r.Past != nil && r.Past.graph != r.Graph {
		return errOtherPast
	}
	x := newExecution(r)
	if err := x.reducer.Keeps(); err != nil {
		return err
	}
	return x.run(ctx, stop)
}

// An execution is one process's work on a run. Its goroutine alone owns the reducer: it feeds it what workers bring back,
// makes its records durable, and starts a goroutine for each of its other commands.
type execution struct {
	*Runner
	reducer  *Reducer
	machines *Machines
	hands    []*hand // by node: what is kept while it is at work
	clock    clock
	timer    *time.Timer
	workers  sync.WaitGroup
	inbox    mailbox
	written  time.Duration // when the latest record was, in elapsed time

	mu     sync.RWMutex
	facts  Facts
	expect Facts // promised in a rehearsal
}

// A clock measures how long processes have been at work on the run: what earlier ones have, and this one by a clock that nobody
// sets.
type clock struct {
	before time.Duration
	began  time.Time
}

func (c clock) now() time.Duration                 { return c.before + time.Since(c.began) }
func (c clock) at(elapsed time.Duration) time.Time { return c.began.Add(elapsed - c.before) }

func newExecution(r *Runner) *execution {
	past := r.Past
	if past == nil {
		past = NewPast(r.graphToRun())
	}
	x := &execution{Runner: r, reducer: past.reducer, machines: past.machines, hands: make([]*hand, len(r.Graph.Nodes)), inbox: newMailbox(), facts: past.facts, expect: Facts{}, timer: time.NewTimer(time.Hour)}
	x.reducer.rely(Options{Run: r.Run, Limit: r.Parallel, Guarded: r.Guard != nil, Inbox: r.Inbox != nil, Rehearse: r.Rehearse})
	maps.Copy(x.facts, r.Facts)
	x.clock = clock{before: x.reducer.Now(), began: time.Now()}
	return x
}

// graphToRun is the graph itself, or for a rehearsal one without soaks: time does not pass in it.
func (r *Runner) graphToRun() *Graph {
	if !r.Rehearse {
		return r.Graph
	}
	g := *r.Graph
	g.Groups = append([]Group(nil), g.Groups...)
	for i := range g.Groups {
		g.Groups[i].Soak = 0
	}
	return &g
}

func (x *execution) epoch() int64 {
	if x.Guard == nil {
		return 0
	}
	return x.Guard.Epoch()
}

// run feeds the reducer until it says that the run has ended, until ctx is cancelled, or until the journal fails; in every case
// it returns after the last worker has ended.
func (x *execution) run(ctx context.Context, stop <-chan struct{}) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer x.timer.Stop()
	pulse := time.NewTicker(beatTime)
	defer pulse.Stop()
	defer x.workers.Wait()
	defer cancel(errDetached)
	defer x.machines.close()
	events := []Event{{Kind: Began, Epoch: x.epoch(), Facts: x.Facts}}
	for {
		ended, err := x.turn(ctx, events)
		events = nil
		if ended || err != nil {
			cancel(cmp.Or(err, errDetached))
			return err
		}
		select {
		case <-x.inbox.full:
			events = x.inbox.take()
		case first := <-x.machines.asked:
			if err := x.enroll(x.machines.with(first)); err != nil {
				cancel(err)
				return err
			}
		case <-x.timer.C:
			events = []Event{{Kind: Ticked}}
		case <-stop:
			stop = nil
			events = []Event{{Kind: Stopping, Why: interrupted}}
		case <-pulse.C:
			if err := x.beat(beatTime); err != nil {
				cancel(err)
				return err
			}
		case <-ctx.Done():
			return x.beat(time.Second)
		}
	}
}

// beatTime is how much of a wait may be lost to a process that is killed in it: the next one knows of time only what is recorded.
const beatTime = 30 * time.Second

// beat records that the process is at work, if it has recorded nothing for so long.
func (x *execution) beat(silence time.Duration) error {
	now := x.clock.now()
	if x.Log == nil || x.Rehearse || now-x.written < silence {
		return nil
	}
	x.written = now
	err := x.Log.Append(journal.Record{Kind: journal.Beat, Time: time.Now(), Elapsed: now})
	if errors.Is(err, journal.ErrFull) {
		return nil // it was only for the time
	}
	return err
}

// turn has the reducer take events, makes all its records durable at once, and obeys its other commands.
func (x *execution) turn(ctx context.Context, events []Event) (ended bool, err error) {
	var records []journal.Record
	var commands []Command
	now := x.clock.now()
	for _, ev := range events {
		ev.Now = now
		for _, c := range x.reducer.Next(ev) {
			if c.Do == Append {
				records = append(records, c.Record)
			} else {
				commands = append(commands, c)
			}
		}
	}
	unwritten, err := x.append(records)
	if err != nil {
		return false, err
	}
	for i := range commands {
		if ended, err := x.obey(ctx, &commands[i], unwritten); ended || err != nil {
			return ended, err
		}
	}
	return false, nil
}

// append makes records durable, and only then lets the watcher know of them. Where the disk has room for nothing new, it
// records what has happened and returns what was not recorded.
func (x *execution) append(records []journal.Record) (unwritten unwritten, err error) {
	if len(records) == 0 {
		return unwritten, nil
	}
	now := time.Now()
	for i := range records {
		records[i].Time = now
	}
	if x.Log != nil && !x.Rehearse {
		err := x.Log.Append(records...)
		if errors.Is(err, journal.ErrFull) && records[0].Kind != journal.Begin {
			records, unwritten = split(records, err)
			err = nil
			if len(records) > 0 {
				err = x.Log.Append(records...)
			}
		}
		if err != nil {
			return unwritten, err
		}
	}
	x.written = x.clock.now()
	x.tell(records)
	for _, ev := range unwritten.events {
		if ev.Ticket == "" {
			ev.Node = int(x.reducer.find(ev.Why))
		}
		x.inbox.put(ev)
	}
	return unwritten, nil
}

// tell lets everybody know of records that are durable.
func (x *execution) tell(records []journal.Record) {
	x.mu.Lock()
	for i := range records {
		x.facts.learn(&records[i])
	}
	x.mu.Unlock()
	if x.Watch == nil {
		return
	}
	for _, rec := range records {
		x.Watch(rec)
	}
}

// unwritten is what a full disk had no room for: nothing of it may be begun.
type unwritten struct {
	events  []Event
	tickets map[string]bool
	nodes   map[string]bool
}

// split parts records of what has happened from those that would begin something.
func split(records []journal.Record, why error) (kept []journal.Record, un unwritten) {
	un.tickets, un.nodes = map[string]bool{}, map[string]bool{}
	err := &Failure{Why: why.Error()}
	for _, rec := range records {
		switch rec.Kind {
		case journal.Intent:
			un.tickets[rec.Ticket] = true
			un.events = append(un.events, Event{Kind: Unwritten, Ticket: rec.Ticket, Err: err})
		case journal.Start:
			un.nodes[rec.Node] = true
			un.events = append(un.events, Event{Kind: Unwritten, Why: rec.Node, Err: err})
		default:
			kept = append(kept, rec)
		}
	}
	return kept, un
}

// obey carries out one command, or has a goroutine do it.
func (x *execution) obey(ctx context.Context, c *Command, un unwritten) (ended bool, err error) {
	switch c.Do {
	case Finish:
		if c.State == Fenced {
			return true, &fencedError{c.Why}
		}
		return true, nil
	case Wake:
		x.timer.Reset(max(time.Until(x.clock.at(c.At)), 0))
	case Announce:
		x.announce(c)
	case Leave:
		x.leave(c.Node)
	case Unask:
		if h := x.hands[c.Node]; h != nil && h.unask != nil {
			h.unask()
		}
	case Make:
		if !un.tickets[c.Ticket] {
			x.work(ctx, *c)
		}
	default:
		if len(un.nodes) > 0 && un.nodes[x.Graph.Nodes[c.Node].ID] && c.Do != Look && c.Do != Hold {
			return false, nil
		}
		x.work(ctx, *c)
	}
	return false, nil
}

// work does a command in a goroutine of its own, and brings back what came of it.
func (x *execution) work(ctx context.Context, c Command) {
	do := x.prepare(ctx, c)
	x.workers.Go(func() {
		ev := do()
		if ctx.Err() != nil && (ev.Err == nil || ev.Err.Class != Supplanted) {
			return // this process lets go: whatever came back, the next one finds out
		}
		x.inbox.put(ev)
	})
}

// A mailbox holds the events that workers bring until the reducer takes them.
type mailbox struct {
	full chan struct{}
	mu   *sync.Mutex
	list *[]Event
}

func newMailbox() mailbox { return mailbox{make(chan struct{}, 1), &sync.Mutex{}, &[]Event{}} }

func (m mailbox) put(ev Event) {
	m.mu.Lock()
	*m.list = append(*m.list, ev)
	m.mu.Unlock()
	select {
	case m.full <- struct{}{}:
	default:
	}
}

func (m mailbox) take() []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := *m.list
	*m.list = nil
	return list
}

func (x *execution) output(node string) io.Writer {
	if x.Output == nil || x.Rehearse {
		return io.Discard
	}
	return x.Output(node)
}

// Fact returns what is known by a name.
func (x *execution) Fact(name string) (string, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	v, ok := x.facts[name]
	return v, ok
}

// All returns a copy of all that is known.
func (x *execution) All() Facts {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return maps.Clone(x.facts)
}

// promises are what a rehearsal's changes have promised; nil in a real run.
func (x *execution) promises() Promises {
	if !x.Rehearse {
		return nil
	}
	return announced{x}
}

// announced are the promises of a rehearsal so far, whichever goroutine asks.
type announced struct{ x *execution }

func (a announced) Promised(name string) string {
	a.x.mu.RLock()
	defer a.x.mu.RUnlock()
	return a.x.expect[name]
}

// announce promises what changes would bring about.
func (x *execution) announce(c *Command) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, i := range c.Changes {
		then := x.hands[c.Node].changes[i].Then
		maps.Copy(x.expect, then)
		maps.Copy(x.facts, then)
	}
}
