package engine

import (
	"context"
	"io"
	"maps"
	"slices"
	"time"
)

// A Step brings one target to one goal.
//
// Observe reads and never writes. It returns the changes still to be made; none means that the goal holds. The changes
// of one answer are independent of each other and may be made in parallel; what must come after them is returned by the
// next observation. An error made by NotYet means that there is nothing to do but wait; one made by Refuse that a gate
// is closed; one made by Transient that looking failed for now. Any other error fails the step.
//
// Observe is called again after every change, and by every resume, from one goroutine at a time per step and target.
type Step interface {
	Observe(ctx context.Context, s Scene) ([]Change, error)
}

// What a step may be besides. The engine and engine/plan find out by these interfaces; a kind has the methods that fit it.

// A Validator has settings that can be wrong in ways which their types and tags do not know. Validate is called offline,
// as soon as all of them are known, and again when a run has filled in the rest. Its error begins with the name of the
// setting that is wrong, as the plan writes it: the fault is shown there.
type Validator interface {
	Validate() error
}

// A Patient step knows how long it may take where the plan gives it no timeout. It is asked when the plan is expanded:
// settings that only the run can tell are still zero.
type Patient interface {
	DefaultTimeout() time.Duration
}

// A Gate is a Step that only ever refuses or allows. It is observed again by every resume, because what it guards
// may have changed. Gate is never called; it marks the type.
type Gate interface {
	Step
	Gate()
}

// A Disruptive step may take its host out of service. Over several hosts it is done on one after the other, unless the
// plan's rollout says otherwise; other steps of one line are done on all hosts at once. Disrupts is never called; it marks
// the type.
type Disruptive interface {
	Step
	Disrupts()
}

// An Undoer is a Step that leaves its target as it found it when it fails: a drain takes back its own cordon. The
// engine calls Undo only after the step failed with every effect settled; its changes are journaled like any other.
type Undoer interface {
	Undo(ctx context.Context, s Scene) ([]Change, error)
}

// A Target is what a step acts on: a host of the inventory, or the cluster as a whole (Cluster).
type Target struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
	Groups []string          `json:"groups,omitempty"` // named groups of the inventory, sorted; ControlPlane and Workers among them
}

// Words for hosts that every inventory knows.
const (
	ControlPlane = "control-plane" // the group of the hosts that run it
	Workers      = "workers"       // the group of the others
	AllHosts     = "all"           // every host: no group, so that no Target has it
)

// In says whether the target belongs to a group of the inventory.
func (t Target) In(group string) bool { return slices.Contains(t.Groups, group) }

// Cluster is the target of the steps that concern no single host.
const Cluster = "cluster"

// Facts are things known or promised, under names that only the steps understand, such as "kubelet@w1".
type Facts map[string]string

// Promised returns what is known under a name, or "".
func (f Facts) Promised(name string) string { return f[name] }

// Fact returns one of them: Facts are Known.
func (f Facts) Fact(name string) (string, bool) {
	v, ok := f[name]
	return v, ok
}

// All returns a copy.
func (f Facts) All() Facts { return maps.Clone(f) }

// Promises are what changes would bring about, for later steps of a dry run to look past them. Steps ask for one fact at a
// time, since the promises for thousands of hosts are nothing to copy for each look.
type Promises interface {
	Promised(name string) string // "" where nothing was promised
}

// A Scene is what a step may know when it looks.
type Scene struct {
	Target Target
	Expect Promises // what earlier changes of a dry run promised; nil in a real run
	Known  Known    // what the journal knows, see Fact; nil: nothing
	Run    string   // the run's ID
	Step   string   // the step's path in the plan, the same after a resume

	Now      time.Time // the time of this observation
	Since    time.Time // when the step first started on this target, also before a resume
	Halfway  time.Time // from when on half of the step's time is over; zero: nobody knows
	Decision Decision  // what a person decided about this node, if anything
	Waivers  []Waiver  // what the plan accepts of what gates find
	InWork   []string  // hosts that this run has begun to change since this step was first done, and is in the middle of
}

// A Decision is a person's word about a node.
type Decision struct {
	Verdict string    // Approve or Reject; empty: nobody decided
	Who     string    // as they named themselves
	By      string    // the operating system's user who gave it
	Key     string    // the fingerprint of the SSH key that signed it; empty: no signature was verified
	Why     string    // the reason that they gave
	At      time.Time // when
	Digest  string    // of the node whose question was answered; empty: of the one that the run has now
}

// What a person may say. The first two answer a step that asks; the third, or Done, tells what became of an effect that is in doubt.
const (
	Approve  = "approve"
	Reject   = "reject"
	TryAgain = "retry" // it did not happen, or may be done twice
)

// Promised is what earlier changes of a dry run promised under a name; "" in a real run.
func (s Scene) Promised(name string) string {
	if s.Expect == nil {
		return ""
	}
	return s.Expect.Promised(name)
}

// Fact returns what this run knows under a name, and whether it knows it: from its beginning, or because one of its changes
// has told, in this process or in an earlier one.
func (s Scene) Fact(name string) (string, bool) {
	if s.Known == nil {
		return "", false
	}
	return s.Known.Fact(name)
}

// Owner names this run's step on this target, for marks that a later observation must recognise as our own.
func (s Scene) Owner() string { return s.Run + "/" + s.Step }

// A Change is one effect: the words shown and the deed done come from the same value.
type Change struct {
	Say     string        // what will be done, the same in a dry run and a real one; secrets already out
	Of      string        // the one thing among many that this change is about, such as a pod; may be empty
	If      string        // set when a dry run cannot know yet whether this will be needed: "known after ..."
	Then    Facts         // what will hold afterwards: lets a dry run look past it, recorded by a real one
	Tried   Facts         // what is known once it was tried, whatever came of it: recorded by a real run with its intent, before it is made
	Repeat  Repeat        // what may be done when nobody knows whether it happened
	Outage  time.Duration // how long the cluster's API may be away because of it; 0 means not at all
	Expects string        // the state the target was seen in, for the record: "kubelet 1.27.3-1.1, held"

	// Do performs the change. Only the engine calls it, after the intent is durable. It is idempotent by ticket: a
	// second Do with the same ticket attaches to the first. NotYet means refused for now, nothing changed. InDoubt
	// means that the outcome is unknown. Any other error means that the change was tried and failed.
	Do func(ctx context.Context, t Ticket) error
}

// Repeat says what may be done with an effect whose outcome is unknown.
type Repeat string

const (
	Convergent Repeat = "convergent" // look again: making it twice is making it once (cordon, write a file)
	Guarded    Repeat = "guarded"    // settle it first, then repeat only if an observation says so (packages, kubeadm)
	Once       Repeat = "once"       // never repeated without a person (a user's command with no test of its own)
)

// A Ticket identifies one effect for ever: run, step, host, ordinal and attempt are in its ID. Epoch is the run's
// fencing epoch: a host that has seen a larger one refuses the ticket.
type Ticket struct {
	ID    string      // [a-z0-9-], at most 120 characters, unique to the attempt
	Epoch int64       // grows with every process that takes the run over
	Out   io.Writer   // where the effect's own output goes, raw; never nil, safe for concurrent use, capped by the engine
	Learn func(Facts) // records what only doing could tell, such as the name of a snapshot; never nil
}

// A Kind is a verb of the plan language. New returns a step that has its ports and no settings; the plan's `with` decodes
// into it by `yaml` tags, and `doc` tags document it, so the struct is the schema, the reference page and the validation in
// one. What a plan leaves out is as its `default` tag says, and else zero; `default:"${{ versions.to }}"` is an expression
// over the plan. `required:"true"` marks what a plan must give; `enum:"a,b"` lists the words allowed.
type Kind struct {
	Name  string // family.verb, or one word
	Doc   string // first sentence: what it brings about; then what it observes, what it changes, what it refuses
	Scope Scope
	New   func() Step
}

// Scope says what a kind acts on.
type Scope string

const (
	OnHost    Scope = "host"    // needs `hosts`, its own or its group's
	OnCluster Scope = "cluster" // runs once, unless hosts are given
)
