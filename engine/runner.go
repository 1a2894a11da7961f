package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// A Runner carries a graph out, or rehearses it. Its fields are set once and not changed while it runs.
type Runner struct {
	Graph        *Graph
	Run          string           // the run's ID, part of every ticket
	Log          Log              // where records become durable; nil in a rehearsal
	Past         []journal.Record // what earlier processes of this run recorded
	Facts        Facts            // known at the start, recorded with it: versions before
	Binder       Binder
	Settler      Settler      // may be nil if no step makes guarded effects
	Guard        Guard        // nil: nobody else can act, as in a test
	Availability Availability // nil: every host is in service
	Inbox        Inbox        // nil: nobody answers
	Output       Output       // nil: output is dropped
	Watch        func(journal.Record)
	Rehearse     bool // observe and announce, change nothing, record nothing
	Parallel     int  // nodes at work at once; 0 means 32
}

// An execution is one process's work on a run. The loop goroutine owns the reducer; workers append to the journal and
// the loop learns from what they appended.
type execution struct {
	*Runner
	nodes  map[string]*Node
	logged chan struct{} // something is in queue
	halt   chan struct{} // closed: steps stop at their next change
	gates  chan struct{} // closed: effects may be made
	window *window

	mu      sync.Mutex
	records []journal.Record // all of the run, past and present
	queue   []journal.Record // appended and not yet seen by the loop
	facts   Facts
	expect  Facts // promised in a rehearsal
	fatal   error // the journal cannot be written
}

// errDetached ends a worker without a record: this process lets go, the run is not over.
var errDetached = errors.New("detached")

// Start carries the graph out and returns when nothing is running and nothing can start any more. Closing stop makes
// running steps stop at their next change and nothing new start. Cancelling ctx lets go at once: jobs on hosts go on,
// and a later process attaches to them. The error is nil unless the run could not be recorded or the lock was lost;
// what became of the steps is in the Summary.
func (r *Runner) Start(ctx context.Context, stop <-chan struct{}) (Summary, error) {
	x := newExecution(r)
	reducer := NewReducer(r.graphToRun(), cmp.Or(r.Parallel, 32))
	reducer.Replay(r.Past)
	if err := r.Graph.Keeps(r.Past); err != nil {
		return x.summary(), err
	}
	begin := journal.Record{Kind: journal.Begin, Digest: r.Graph.Digest, Epoch: x.epoch(), Facts: r.Facts}
	if err := x.append(begin); err != nil {
		return x.summary(), err
	}
	err := x.loop(ctx, reducer, stop)
	return x.summary(), err
}

// interrupted is why a run stops that a person stopped.
const interrupted = "interrupted"

func newExecution(r *Runner) *execution {
	x := &execution{Runner: r, nodes: map[string]*Node{}, logged: make(chan struct{}, 1), halt: make(chan struct{}), gates: make(chan struct{}), window: &window{}, facts: Facts{}, expect: Facts{}}
	for i := range r.Graph.Nodes {
		x.nodes[r.Graph.Nodes[i].ID] = &r.Graph.Nodes[i]
	}
	x.records = append(x.records, r.Past...)
	for _, rec := range r.Past {
		if rec.Kind == journal.Outcome || rec.Kind == journal.Begin {
			maps.Copy(x.facts, rec.Facts)
		}
	}
	maps.Copy(x.facts, r.Facts)
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

func (x *execution) summary() Summary {
	x.mu.Lock()
	defer x.mu.Unlock()
	return Report(x.Graph, x.records)
}

// append makes records durable, and only then lets the loop and the watcher know of them, in the order of the journal.
func (x *execution) append(records ...journal.Record) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.fatal != nil {
		return x.fatal
	}
	for i := range records {
		records[i].Time = time.Now()
	}
	if x.Log != nil && !x.Rehearse {
		if err := x.Log.Append(records...); errors.Is(err, journal.ErrFull) {
			return err
		} else if err != nil {
			x.fatal = err
			x.nudge()
			return err
		}
	}
	x.records = append(x.records, records...)
	x.queue = append(x.queue, records...)
	for _, rec := range records {
		if rec.Kind == journal.Outcome {
			maps.Copy(x.facts, rec.Facts)
		}
		if x.Watch != nil {
			x.Watch(rec)
		}
	}
	x.nudge()
	return nil
}

// nudge tells the loop that there is something to see.
func (x *execution) nudge() {
	select {
	case x.logged <- struct{}{}:
	default:
	}
}

func (x *execution) drainQueue() []journal.Record {
	x.mu.Lock()
	defer x.mu.Unlock()
	q := x.queue
	x.queue = nil
	return q
}

// loop owns the reducer. It ends when the reducer says that the run has ended, when ctx is cancelled, or when the
// journal fails; in every case after the last worker has.
func (x *execution) loop(ctx context.Context, reducer *Reducer, stop <-chan struct{}) error {
	ctx, cancel := context.WithCancelCause(ctx)
	l := &loop{execution: x, reducer: reducer, timer: time.NewTimer(time.Hour)}
	defer l.timer.Stop()
	defer l.workers.Wait()
	defer cancel(errDetached)
	for {
		for _, rec := range x.drainQueue() {
			l.obey(ctx, reducer.Next(rec))
		}
		if l.ended {
			return x.end(l.state, l.why)
		}
		if err := x.broken(); err != nil {
			cancel(err)
			return err
		}
		select {
		case <-x.logged:
		case now := <-l.timer.C:
			l.wakes = slices.DeleteFunc(l.wakes, func(at time.Time) bool { return !at.After(now) })
			l.arm()
			l.obey(ctx, reducer.Next(journal.Record{Kind: Tick, Time: now}))
		case <-stop:
			stop = nil
			if err := x.append(journal.Record{Kind: journal.Stop, Why: interrupted}); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (x *execution) end(state, why string) error {
	return x.append(journal.Record{Kind: journal.End, State: state, Why: why})
}

func (x *execution) broken() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.fatal
}

func (x *execution) fail(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.fatal == nil {
		x.fatal = err
	}
	x.nudge()
}

// A loop carries out commands on behalf of the goroutine that owns the reducer.
type loop struct {
	*execution
	reducer *Reducer
	workers sync.WaitGroup
	timer   *time.Timer
	wakes   []time.Time // every moment asked for that has not come: each rollout has its own
	halted  bool
	ended   bool
	state   string
	why     string
}

func (l *loop) obey(ctx context.Context, commands []Command) {
	for _, c := range commands {
		switch c.Do {
		case Launch:
			w := l.worker(c)
			l.workers.Go(func() { w.work(ctx) })
		case Look:
			l.workers.Go(func() { l.look(ctx, c.Group) })
		case Wake:
			l.wakes = append(l.wakes, c.At)
			l.arm()
		case Halt:
			if !l.halted {
				l.halted = true
				close(l.halt)
			}
		case Open:
			close(l.gates)
		case Finish:
			l.ended, l.state, l.why = true, c.State, c.Why
		}
	}
}

// worker prepares for the node of a launch what only the reducer knows.
func (l *loop) worker(c Command) *worker {
	return &worker{execution: l.execution, node: l.nodes[c.Node], early: c.Settle, inWork: l.reducer.InWork(c.Node),
		out: io.Discard, made: map[string]int{}, settling: make(chan struct{}, 1)}
}

// arm sets the one timer for the earliest moment asked for. The reducer asks once for each, so none may be forgotten.
func (l *loop) arm() {
	if len(l.wakes) > 0 {
		at := slices.MinFunc(l.wakes, time.Time.Compare)
		l.timer.Reset(max(time.Until(at), time.Millisecond))
	}
}

// look asks which hosts of a rollout are out of service, until there is an answer. As no step is at work whose deadline
// would end it, patience does: the run stops, and can be resumed.
func (l *loop) look(ctx context.Context, group string) {
	var hosts []string
	for _, g := range l.Graph.Groups {
		if g.ID == group {
			hosts = g.Hosts
		}
	}
	down, since, said := map[string]string{}, time.Now(), ""
	for wait := 200 * time.Millisecond; l.Availability != nil && !l.Rehearse; wait = min(2*wait, 5*time.Second) {
		var err error
		if down, err = l.Availability.Down(ctx, hosts); err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		rec := journal.Record{Kind: journal.Wait, Group: group, Why: err.Error()}
		if time.Since(since) > patience {
			rec.Kind, rec.Why = journal.Stop, fmt.Sprintf("%s: for %s nobody could tell which hosts are in service: %v", group, patience, err)
		}
		if said != rec.Why && l.append(rec) != nil || rec.Kind == journal.Stop {
			return
		}
		said = rec.Why
		if !sleep(ctx, wait) {
			return
		}
	}
	if err := l.append(journal.Record{Kind: journal.Down, Group: group, Hosts: down}); err != nil {
		return // the loop sees that the journal is broken
	}
}

// sleep waits, and says whether ctx is still good.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (x *execution) output(node string) io.Writer {
	if x.Output == nil || x.Rehearse {
		return io.Discard
	}
	return x.Output(node)
}

// known returns a copy of the facts so far.
func (x *execution) known() Facts {
	x.mu.Lock()
	defer x.mu.Unlock()
	return maps.Clone(x.facts)
}

// promised returns a copy of what a rehearsal's changes have promised; nil in a real run.
func (x *execution) promised() Facts {
	if !x.Rehearse {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return maps.Clone(x.expect)
}

func (x *execution) promise(f Facts) {
	x.mu.Lock()
	defer x.mu.Unlock()
	maps.Copy(x.expect, f)
	maps.Copy(x.facts, f)
}

// history is what earlier processes, and this one so far, recorded of a node.
func (x *execution) history(node string) []journal.Record {
	x.mu.Lock()
	defer x.mu.Unlock()
	var own []journal.Record
	for _, rec := range x.records {
		if rec.Node == node {
			own = append(own, rec)
		}
	}
	return own
}

// decided returns the latest decision about a node.
func (x *execution) decided(node string) Decision {
	var d Decision
	for _, rec := range x.history(node) {
		if rec.Kind == journal.Decision {
			d = Decision{Verdict: rec.State, Who: rec.Who, At: rec.Time}
		}
	}
	return d
}

func ticketID(run, node string, ordinal int) string {
	const most = 70 // leaves room for the run's ID in the 120 characters of a ticket
	slug := make([]byte, 0, most)
	for i := 0; i < len(node) && len(slug) < most; i++ {
		c := node[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			slug = append(slug, c)
		case c >= 'A' && c <= 'Z':
			slug = append(slug, c+'a'-'A')
		case len(slug) > 0 && slug[len(slug)-1] != '-':
			slug = append(slug, '-')
		}
	}
	return fmt.Sprintf("%s-%s-%08x-%d", run, slug, fnv32(node), ordinal)
}

// fnv32 keeps tickets of nodes apart whose names differ only in what a slug leaves out.
func fnv32(s string) uint32 {
	h := uint32(2166136261)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}
