package engine

import (
	"time"

	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/printable"
)

// States of nodes and runs, as journaled and shown.
const (
	Pending = "pending"
	Running = "running"
	Waiting = "waiting" // shown only: running, with nothing to do but wait
	Done    = "done"
	Skipped = "skipped"
	Failed  = "failed"
	Refused = "refused"
	Paused  = "paused"
	Stopped = "stopped" // left at a change boundary because the run stops; pending to a resume
	Fenced  = "fenced"  // of a run: another upgrader has taken over, nothing is recorded any more
)

// Options say what a Reducer may count on.
type Options struct {
	Run      string // the run's ID, part of every ticket
	Limit    int    // nodes at work at once; 0 means 32
	Guarded  bool   // a lock has to be held for every effect
	Inbox    bool   // somebody can be asked
	Rehearse bool   // nothing is made: what would be is announced, and time does not pass
}

// A Reducer decides. It holds every effect, every host and every deadline of a run; who drives it tells it events and does
// what its commands say. Records reach it in two ways and mean the same: those of earlier processes by Replay, those that
// it writes itself by its own Append commands. It does no I/O, reads no clock, starts no goroutine and ranges over no map
// where order could matter, so the same events always give the same commands. No event costs more as the run grows.
//
// doc.go says which file decides what.
type Reducer struct {
	graph   *Graph
	opt     Options
	names   *Index
	byGroup map[string]int32

	nodes    []nodeState
	barriers []barrierState
	rollouts []rollout
	members  []member
	hosts    ledger
	effects  effectTable
	timers   timers

	now    time.Duration
	format int       // of the records that are replayed
	wall   time.Time // of the last record of format 1
	edited bool      // the records that are replayed are of a process that had another plan
	taken  int       // records so far

	begun, stopped, paused, failed, finished, opened, last bool
	halted                                                 bool // nothing new starts, but for what is to be done finally
	swept                                                  bool // those who wait know that the run halts
	why                                                    string

	running int
	left    int    // nodes of the run proper that are not settled well
	gates   int    // that a resume looks at again, and has not seen open
	coming  [2]int // answers, timers and soaks that will have a rollout go on: of the run proper, of what is done finally

	ready   [2]queue // nodes that may start: of the run proper, of what is done finally
	gated   []int32  // nodes that may start when the gates are open
	dirty   []int32  // rollouts to look after in this turn
	starved []int32  // rollouts that wait for another node to end
	permits []int32  // nodes that want to change something
	lock    lockState
	outage  outageState

	out    []Command
	wakeAt time.Duration

	plant // a mistake to be found, in tests of the simulation
}

// NewReducer prepares a run of this graph, which must not be changed any more.
func NewReducer(g *Graph, o Options) *Reducer {
	r := &Reducer{graph: g, effects: newEffectTable(), names: g.Index(),
		byGroup: make(map[string]int32, len(g.Groups)), nodes: make([]nodeState, len(g.Nodes)),
		hosts: ledger{index: make(map[string]int32, len(g.Targets))}, wakeAt: -1, outage: outageState{Node: nobody}}
	r.rely(o)
	r.addRollouts()
	for i := range g.Groups {
		r.byGroup[g.Groups[i].ID] = int32(i)
	}
	for i := range g.Nodes {
		r.addNode(int32(i))
	}
	r.addEdges()
	r.left = r.countLeft()
	return r
}

// rely has the reducer rely on what options say, from its next event on. What was replayed means the same under any.
func (r *Reducer) rely(o Options) {
	if o.Limit <= 0 {
		o.Limit = 32
	}
	r.opt = o
}

func (r *Reducer) addNode(i int32) {
	n, st := &r.graph.Nodes[i], &r.nodes[i]
	st.member = r.memberOf(r.byGroup, n)
	if st.member != nobody {
		m := &r.members[st.member]
		m.nodes = append(m.nodes, i)
		m.left++
		r.rollouts[m.rollout].finally = n.Finally
	}
}

func (r *Reducer) countLeft() (left int) {
	for i := range r.nodes {
		if !isWell(r.nodes[i].state) && !r.graph.Nodes[i].Finally {
			left++
		}
	}
	return left
}

// Now is how long processes have been at work on the run, all together, as far as the reducer knows: where the clock of the next
// process begins.
func (r *Reducer) Now() time.Duration { return r.now }

// Next takes one event and returns what is to be done now, in order. The commands are good until the next call.
func (r *Reducer) Next(ev Event) []Command {
	r.out = r.out[:0]
	if r.finished {
		return nil
	}
	r.now = max(r.now, ev.Now)
	r.hear(ev)
	if r.begun && !r.finished {
		r.schedule()
	}
	return r.out
}

// hear takes an event in.
func (r *Reducer) hear(ev Event) {
	if ev.Err != nil && ev.Err.Class == Supplanted && !r.planted(16) {
		r.supplanted(ev.Err)
		return
	}
	switch ev.Kind {
	case Began:
		r.record(journal.Record{Kind: journal.Begin, Format: journal.Format, Digest: r.graph.Digest, Epoch: ev.Epoch, Facts: ev.Facts})
	case Stopping:
		r.record(journal.Record{Kind: journal.Stop, Why: ev.Why})
	case Looked:
		r.looked(ev)
	case Held:
		r.held(ev)
	case Prepared, Observed, Made, Told, Answered, Unwritten:
		r.hearNode(ev)
	case Ticked:
	}
}

// supplanted ends the work of a process that must not act any more. It writes nothing: the journal may be another's.
func (r *Reducer) supplanted(err *Failure) {
	if !r.finished {
		r.finished = true
		r.want(Command{Do: Finish, State: Fenced, Why: err.Why})
	}
}

// Replay takes the records of earlier processes. Began, as the first event, takes the run up from there.
func (r *Reducer) Replay(past []journal.Record) {
	for i := range past {
		r.replay(&past[i])
	}
}

// replay takes one record in, and keeps nothing of it but its words. What a plan has lost is given to its heirs at the next Began.
func (r *Reducer) replay(ev *journal.Record) {
	r.elapse(ev)
	r.take(ev)
}

// elapse finds out when, in elapsed time, a record was written. Those of format 1 have only a wall clock: what lies between the
// records of one process counts, what lies between processes does not.
func (r *Reducer) elapse(ev *journal.Record) {
	if ev.Kind == journal.Begin {
		r.format = ev.Format
	}
	if (r.format > 1 || ev.Elapsed > 0 || betweenProcesses(ev.Kind)) && !r.planted(1) {
		r.now = max(r.now, ev.Elapsed)
		return
	}
	if ev.Kind != journal.Begin && !r.wall.IsZero() {
		r.now += max(0, ev.Time.Sub(r.wall))
	}
	r.wall = ev.Time
}

// betweenProcesses says whether a record may be written while no process is at work on the run: then no time has passed for it.
func betweenProcesses(kind journal.Kind) bool {
	return kind == journal.Decision || kind == journal.Pinned
}

// record writes a record, and takes it in as a later process will.
func (r *Reducer) record(rec journal.Record) {
	rec.Elapsed = r.now
	rec.Say, rec.Of, rec.Why = brief(rec.Say), brief(rec.Of), brief(rec.Why)
	r.take(&rec)
	if rec.Kind == journal.Intent && r.planted(12) {
		return
	}
	r.want(Command{Do: Append, Record: rec})
}

// brief bounds what a record says: many failures may be one, and each holds what somebody else said.
func brief(words string) string { return printable.Cut(words, printable.Message) }

func (r *Reducer) want(c Command) { r.out = append(r.out, c) }

// take is what a record means, now or in a replay.
func (r *Reducer) take(ev *journal.Record) {
	r.taken++
	switch ev.Kind {
	case journal.Begin:
		r.edited = ev.Digest != "" && ev.Digest != r.graph.Digest
		r.begin()
	case journal.Stop:
		r.stopped, r.halted = true, !r.planted(14)
	case journal.Down:
		r.takeDown(ev)
	case journal.Intent:
		if ev.State == outcomeWould {
			return
		}
		i := r.find(ev.Node)
		r.used(i)
		r.takeIntent(i, ev)
	case journal.Outcome:
		r.used(r.find(ev.Node))
		r.takeOutcome(ev)
	case journal.Wait:
		r.used(r.find(ev.Node))
	case journal.Decision:
		r.takeDecision(ev)
	case journal.Start, journal.Settled:
		if i := r.find(ev.Node); i != nobody {
			r.used(i)
			r.takeNode(i, ev)
		} else {
			r.takeStray(ev)
		}
	}
}

func (r *Reducer) find(node string) int32 {
	if i, ok := r.names.Node(node); ok {
		return int32(i)
	}
	return nobody
}
