package engine

import (
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// An Event is what a Reducer is told: a process takes the run up, an answer to one of its commands has come, time has
// passed. It is plain data: whoever drives a reducer can write it down. Which fields are set depends on Kind.
type Event struct {
	Kind Occurrence
	Now  time.Duration // how long processes have been at work on the run, all together; never less than before

	Node     int               // Prepared, Observed, Made, Told, Answered: index in the graph
	Ticket   string            // Made, Told
	Err      *Failure          // what went wrong; nil: nothing. Told with a Fate: what went wrong with the effect
	Values   map[string]string // Prepared: what expressions yielded
	Skip     bool              // Prepared: `when` is false
	Unknown  string            // Prepared, in a rehearsal: the fact that an expression waits for
	Once     bool              // Prepared: the step is done when its effects have been made, nothing else can tell
	Undoes   bool              // Prepared: the step can be taken back
	Changes  []Proposal        // Observed: what is left to do; none: the goal holds
	Facts    map[string]string // Began: known at the start; Made, Told: what became known
	Fate     Fate              // Told
	Group    int               // Looked
	Hosts    map[string]string // Looked: hosts out of service and why
	Decision Decision          // Answered: Verdict is empty if nobody answered
	Why      string            // Stopping
	Epoch    int64             // Began
}

// Occurrence is the kind of an Event.
type Occurrence string

const (
	Began     Occurrence = "began"     // a process takes the run up
	Stopping  Occurrence = "stopping"  // nothing new is to start: Why
	Ticked    Occurrence = "ticked"    // time has passed
	Prepared  Occurrence = "prepared"  // answers Bind: the step of a node is made
	Observed  Occurrence = "observed"  // answers Observe
	Made      Occurrence = "made"      // answers Make: an effect has ended, or nobody knows
	Told      Occurrence = "told"      // answers Settle: what became of an effect
	Looked    Occurrence = "looked"    // answers Look
	Held      Occurrence = "held"      // answers Hold: the lock was held just now, or Err
	Answered  Occurrence = "answered"  // answers Ask
	Unwritten Occurrence = "unwritten" // the disk had no room for the intent of Ticket, so its effect was not begun: Err
)

// A Proposal is a Change as the reducer sees it: everything but the deed.
type Proposal struct {
	Say, Of, If, Expects string
	Repeat               Repeat
	Outage               time.Duration
	Tried                Facts
}

// key tells changes of a step apart: by their words.
func (p *Proposal) key() string { return p.Say + "\x00" + p.Of }

// A Failure is an error as plain data.
type Failure struct {
	Class Class
	Why   string // the error's text, with its remedy
	Of    string // the Of of the change that failed
	Again bool   // the plan's retry.on says that this may be tried again
	Late  bool   // the node's deadline ended the attempt
}

// Class is what kind of error a Failure was.
type Class string

const (
	Plain      Class = ""           // it failed
	Waits      Class = "waits"      // NotYet
	Refuses    Class = "refuses"    // Refuse
	Asks       Class = "asks"       // Pause
	Passes     Class = "passes"     // Transient
	Doubts     Class = "doubts"     // InDoubt
	Supplanted Class = "supplanted" // ErrFenced
)

// A Command is what a Reducer wants done. Whoever drives it obeys, in the order given, and decides nothing: records are
// durable before the next command is begun.
type Command struct {
	Do     Verb
	Record journal.Record // Append

	Node     int               // Bind, Observe, Make, Settle, Ask, Unask, Leave, Announce
	Until    time.Duration     // Observe, Make, Settle, Ask: the deadline, in elapsed time
	Before   map[string]string // Bind: what expressions yielded at the node's first start
	State    string            // Bind: what the run has come to (FactRunState); Finish: the run's end
	Undo     bool              // Observe: what is left to take back
	Since    time.Duration     // Observe: when the step was first started, in elapsed time
	Decision Decision          // Observe: what a person has said about the node
	InWork   []string          // Observe: hosts that the run is in the middle of, see Scene
	Change   int               // Make: index in the changes of the latest observation
	Changes  []int             // Announce: indexes in the changes of the latest observation
	Ticket   string            // Make, Settle
	Group    int               // Look
	Extra    []string          // Look: hosts that are no longer in the plan, and were in the middle of their steps
	At       time.Duration     // Wake
	Why      string            // Ask: the question; Finish, where no node tells
	Exempt   bool              // Make: this step has the API away, so the lock is not asked for
}

// Verb is one of the things that a Reducer may want.
type Verb string

const (
	Append   Verb = "append"   // make this record durable
	Bind     Verb = "bind"     // make the step of a node: it is launched
	Observe  Verb = "observe"  // look at what is left to do
	Make     Verb = "make"     // carry out one change under a ticket; its intent is durable
	Settle   Verb = "settle"   // find out what became of an effect
	Announce Verb = "announce" // in a rehearsal: these changes would be made, so what they promise holds
	Look     Verb = "look"     // find out which hosts of this rollout are out of service
	Hold     Verb = "hold"     // prove that the lock is held
	Ask      Verb = "ask"      // ask a person
	Unask    Verb = "unask"    // stop asking
	Leave    Verb = "leave"    // the node has settled: give back what was kept for it
	Wake     Verb = "wake"     // send Ticked no earlier than At; replaces what was asked for before
	Finish   Verb = "finish"   // nothing is under way and nothing will be
)
