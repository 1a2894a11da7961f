package engine

import (
	"context"
	"io"

	"upgrader.dev/upgrader/engine/journal"
)

// A Binder makes the step of a node: it fills in what only the run could tell and decodes `with`. engine/plan has one.
type Binder interface {
	// Bind evaluates the node's expressions over the facts known so far. It is pure. before holds what they yielded when
	// the node first started, by expression; a resume uses these values instead of new ones.
	Bind(n *Node, facts Known, before map[string]string) (Bound, error)
}

// Known is what a binder and a step may ask for. Asking for one fact costs the same however many there are.
type Known interface {
	Fact(name string) (string, bool)
	All() Facts // a copy
}

// Facts about the run itself that a Binder is given beside those that steps told.
const (
	FactRunID    = "run.id"
	FactRunState = "run.state" // running; for what is done finally: failed or done
)

// Bound is a node ready to be observed.
type Bound struct {
	Step    Step
	Skip    bool              // `when` is false
	Unknown string            // an expression needs a fact that is not known yet: its name
	Values  map[string]string // what expressions yielded, by expression, for the journal
}

// A Retrier is a Binder that knows the plan's `retry.on`: whether an attempt that failed is to be made again although
// the failure is not a transient one.
type Retrier interface {
	Retry(n *Node, failure error) (bool, error)
}

// A Log makes records durable. journal.File is one.
type Log interface {
	// Append returns only when all the records are durable; it fills in Seq. After an error nothing may be done any more.
	Append(records ...journal.Record) error
}

// A Settler finds out what became of effects whose outcome is unknown. It is the hosts' side of the journal.
type Settler interface {
	// Settle waits until the effect of this ticket has ended, and makes sure that it never starts if it has not yet.
	// Output goes to t.Out. An error means that the target could not be asked, or ctx ended; nothing is known then.
	Settle(ctx context.Context, target Target, t Ticket) (Settlement, error)
}

// A Settlement is what became of an effect.
type Settlement struct {
	Fate Fate
	Err  error // with Ended: nil if it succeeded
}

// Fate is the verdict of a Settler.
type Fate string

const (
	NeverStarted Fate = "never-started" // and never will: the target refuses this ticket from now on
	Ended        Fate = "ended"         // as Settlement.Err says
	Cut          Fate = "cut"           // by a reboot or a kill: how far it came is unknown, observe
)

// A Guard says whether this process may still act on the cluster. The Lease of steps/kube is one.
type Guard interface {
	// Hold returns nil if the lock is held under this run's epoch, ErrFenced if somebody else has it, and a Transient
	// error if that cannot be found out now. It is cheap: it asks only when the last answer is old.
	Hold(ctx context.Context) error
	// Epoch is the fencing epoch that every ticket carries.
	Epoch() int64
}

// Availability knows which hosts are out of service.
type Availability interface {
	// Down returns, of these hosts, those that are out of service and why, in an operator's words: "cordoned by hand",
	// "NotReady for 4m". A host it has never heard of is down.
	Down(ctx context.Context, hosts []string) (map[string]string, error)
}

// Inbox brings the decisions of persons: from this terminal, or from `upgrader approve` in another.
type Inbox interface {
	// Ask is called once when a node waits for a person. It may answer at once, or never.
	Ask(ctx context.Context, node, question string) (Decision, bool)
	// Poll returns the decisions that came in since the last call, by node ID. Ask waits for these too.
	Poll() map[string]Decision
}

// Output opens the place where the raw output of a node's effects is kept. It is called when a node is launched. A writer
// that is an io.Closer is closed when the node has settled; what is still written to it then is not lost.
type Output func(node string) io.Writer
