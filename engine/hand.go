package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"time"
)

// A hand is what the runner keeps of a node at work: its step, its output, and the changes of its latest observation. The
// reducer sees none of them; it knows the changes by their place in the list.
type hand struct {
	node    *Node
	bound   Bound
	out     io.Writer
	changes []Change
	tickets map[string]int // of this process, to the change
	unask   context.CancelFunc
}

// leave gives back what was kept for a node that has settled.
func (x *execution) leave(node int) {
	h := x.hands[node]
	x.hands[node] = nil
	if h == nil {
		return
	}
	if c, ok := h.out.(io.Closer); ok {
		_ = c.Close() // it is evidence, not state
	}
}

// prepare readies a command for its goroutine: what belongs to the execution is read and written here, in its own.
func (x *execution) prepare(ctx context.Context, c Command) func() Event {
	switch c.Do {
	case Bind:
		h := &hand{node: &x.Graph.Nodes[c.Node], out: io.Discard}
		x.hands[c.Node] = h
		return func() Event { return x.bind(h, c) }
	case Observe:
		h := x.hands[c.Node]
		return func() Event { return x.observe(ctx, h, c) }
	case Make:
		h := x.hands[c.Node]
		if h.tickets == nil {
			h.tickets = map[string]int{}
		}
		h.tickets[c.Ticket] = c.Change
		change := h.changes[c.Change]
		return func() Event { return x.make(ctx, h, change, c) }
	case Settle:
		h := x.hands[c.Node]
		then := h.then(c.Ticket)
		return func() Event { return x.settle(ctx, h, then, c) }
	case Ask:
		h := x.hands[c.Node]
		ask, cancel := context.WithCancel(ctx)
		h.unask = cancel
		return func() Event { defer cancel(); return x.ask(ask, h, c) }
	case Look:
		return func() Event { return x.look(ctx, c) }
	default:
		return func() Event { return x.hold(ctx) }
	}
}

// then is what an effect of this process promises; nothing for one of an earlier process.
func (h *hand) then(ticket string) Facts {
	if i, ok := h.tickets[ticket]; ok && i < len(h.changes) {
		return h.changes[i].Then
	}
	return nil
}

// A onceStep that says so is done when its effects have been made, without looking again: nothing else could tell.
type onceStep interface{ OnceIsDone() bool }

// bind makes the step of a node. Its output is opened only then.
func (x *execution) bind(h *hand, c Command) (ev Event) {
	ev = Event{Kind: Prepared, Node: c.Node}
	defer rescue(&ev, Plain, h.node.Kind)
	bound, err := x.Binder.Bind(h.node, known{x, x.Run, c.State}, c.Before)
	ev.Values, ev.Skip, ev.Unknown = bound.Values, bound.Skip, bound.Unknown
	if err == nil && bound.Unknown != "" && !x.Rehearse {
		err = fmt.Errorf("%s: nothing has told %q yet, which its expressions need", h.node.At, bound.Unknown)
	}
	if err != nil {
		ev.Err = x.failure(nil, err)
		return ev
	}
	h.bound = bound
	once, ok := bound.Step.(onceStep)
	ev.Once = ok && once.OnceIsDone()
	_, ev.Undoes = bound.Step.(Undoer)
	h.out = x.output(h.node.ID)
	return ev
}

// known is what a binder may ask: the facts of steps, and those of the run itself.
type known struct {
	*execution
	run, state string
}

// Fact returns what is known by a name.
func (k known) Fact(name string) (string, bool) {
	switch name {
	case FactRunID:
		return k.run, true
	case FactRunState:
		return k.state, true
	}
	return k.execution.Fact(name)
}

// All returns a copy of all that is known.
func (k known) All() Facts {
	all := k.execution.All()
	all[FactRunID], all[FactRunState] = k.run, k.state
	return all
}

// rescue turns what breaks down in a worker into a failure of the class given, so that it ends no other work. Only deferred.
func rescue(ev *Event, class Class, what string) {
	if p := recover(); p != nil {
		ev.Err = &Failure{Class: class, Why: fmt.Sprintf("%s broke down, which is an error in upgrader itself: %v", what, p)}
	}
}

// until is ctx, ended at a node's deadline.
func (x *execution) until(ctx context.Context, deadline time.Duration) (context.Context, context.CancelFunc) {
	return context.WithDeadlineCause(ctx, x.clock.at(deadline), errTimeout)
}

// observe asks a step what is left to do, or to take back.
func (x *execution) observe(ctx context.Context, h *hand, c Command) (ev Event) {
	ev = Event{Kind: Observed, Node: c.Node}
	defer rescue(&ev, Plain, h.node.Kind)
	ctx, cancel := x.until(ctx, c.Until)
	defer cancel()
	ask := h.bound.Step.Observe
	if c.Undo {
		ask = h.bound.Step.(Undoer).Undo
	}
	changes, err := ask(ctx, x.scene(h, c))
	if ev.Err = x.failure(h.node, err); err != nil {
		ev.Err.Late = errors.Is(context.Cause(ctx), errTimeout)
		return ev
	}
	h.changes, h.tickets = changes, nil
	for i := range changes {
		if changes[i].Do == nil {
			changes[i].Say = "" // incomplete: the reducer refuses it
		}
		ev.Changes = append(ev.Changes, changes[i].proposal())
	}
	return ev
}

func (c *Change) proposal() Proposal {
	return Proposal{Say: c.Say, Of: c.Of, If: c.If, Expects: c.Expects, Repeat: c.Repeat, Outage: c.Outage, Tried: c.Tried}
}

func (x *execution) scene(h *hand, c Command) Scene {
	return Scene{Target: h.node.Target, Expect: x.promises(), Known: x, Run: x.Run, Step: h.node.Step,
		Now: time.Now(), Since: x.clock.at(c.Since), Halfway: x.clock.at(c.Until - h.node.Timeout/2), Decision: c.Decision, Waivers: x.Graph.Waivers, InWork: c.InWork}
}

// make does a change under the step's deadline, while the lock is held. A deed that breaks down is in doubt, never done.
func (x *execution) make(ctx context.Context, h *hand, change Change, c Command) (ev Event) {
	ev = Event{Kind: Made, Node: c.Node, Ticket: c.Ticket}
	defer rescue(&ev, Doubts, h.node.Kind)
	if err := x.stillHeld(ctx, c); err != nil {
		ev.Err = x.failure(nil, err)
		return ev
	}
	ctx, cancel := x.until(ctx, c.Until)
	defer cancel()
	l := &learned{facts: maps.Clone(change.Then)}
	ev.Err = x.failure(h.node, change.Do(ctx, Ticket{ID: c.Ticket, Epoch: x.epoch(), Out: h.out, Learn: l.learn}))
	ev.Facts = l.facts
	return ev
}

// stillHeld makes sure that the lock has not been taken since it was proved.
func (x *execution) stillHeld(ctx context.Context, c Command) error {
	if x.Guard == nil || c.Exempt {
		return nil
	}
	err := x.Guard.Hold(ctx)
	if isTransient(err) {
		return NotYet("the cluster's lock cannot be renewed, so nothing new is started: %v", err)
	}
	return err
}

// learned collects what doing tells.
type learned struct {
	mu    sync.Mutex
	facts Facts
}

func (l *learned) learn(f Facts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.facts == nil {
		l.facts = Facts{}
	}
	maps.Copy(l.facts, f)
}

// A hearer is a step that learns from the output of its effects. An effect that is settled sends its output again, from
// the beginning, to the ticket that Hear returns; then learn tells what was heard. Its error is what the step fails with
// although the effect ended well: later steps would wait for ever for what it should have told.
type hearer interface {
	Hear(target Target, t Ticket) (heard Ticket, learn func() error)
}

// settle asks the target what became of an effect, and attaches to it while it goes on.
func (x *execution) settle(ctx context.Context, h *hand, then Facts, c Command) (ev Event) {
	ev = Event{Kind: Told, Node: c.Node, Ticket: c.Ticket}
	defer rescue(&ev, Plain, h.node.Kind)
	if x.Settler == nil {
		ev.Err = &Failure{Why: "outcome unknown and nobody can tell"}
		return ev
	}
	ctx, cancel := x.until(ctx, c.Until)
	defer cancel()
	l := &learned{facts: maps.Clone(then)}
	ticket, learn := Ticket{ID: c.Ticket, Epoch: x.epoch(), Out: h.out, Learn: l.learn}, func() error { return nil }
	if step, ok := h.bound.Step.(hearer); ok {
		ticket, learn = step.Hear(h.node.Target, ticket)
	}
	verdict, err := x.Settler.Settle(ctx, h.node.Target, ticket)
	if err != nil {
		ev.Err = x.failure(h.node, err)
		ev.Err.Late = errors.Is(context.Cause(ctx), errTimeout)
		return ev
	}
	if err := learn(); verdict.Fate == Ended && verdict.Err == nil {
		verdict.Err = err
	}
	ev.Fate, ev.Err, ev.Facts = verdict.Fate, x.failure(h.node, verdict.Err), l.facts
	return ev
}

// ask brings a question to a person.
func (x *execution) ask(ctx context.Context, h *hand, c Command) (ev Event) {
	ev = Event{Kind: Answered, Node: c.Node}
	defer rescue(&ev, Plain, "asking a person")
	if d, ok := x.Inbox.Poll()[h.node.ID]; ok && (d.Digest == "" || d.Digest == h.node.Digest) {
		ev.Decision = d
		return ev
	}
	ctx, cancel := x.until(ctx, c.Until)
	defer cancel()
	if d, ok := x.Inbox.Ask(ctx, h.node.ID, c.Why); ok {
		ev.Decision = d
	}
	return ev
}

// hold proves that the lock is held.
func (x *execution) hold(ctx context.Context) (ev Event) {
	ev = Event{Kind: Held}
	defer rescue(&ev, Passes, "the proof of the lock")
	ev.Err = x.failure(nil, x.Guard.Hold(ctx))
	return ev
}

// look asks which hosts of a rollout are out of service.
func (x *execution) look(ctx context.Context, c Command) (ev Event) {
	ev = Event{Kind: Looked, Group: c.Group}
	defer rescue(&ev, Passes, "the look at which hosts are in service")
	if x.Availability == nil || x.Rehearse {
		return ev
	}
	hosts := x.Graph.Groups[c.Group].Hosts
	if len(c.Extra) > 0 {
		hosts = append(append([]string(nil), hosts...), c.Extra...)
	}
	down, err := x.Availability.Down(ctx, hosts)
	if err != nil {
		ev.Err = &Failure{Class: Passes, Why: brief(err.Error())}
		return ev
	}
	ev.Hosts = down
	return ev
}

// failure is an error as the reducer sees it; nil for none. n is the node whose retry.on is asked.
func (x *execution) failure(n *Node, err error) *Failure {
	if err == nil {
		return nil
	}
	f := &Failure{Why: brief(err.Error())}
	notYet, waits := asNotYet(err)
	_, refused := asRefused(err)
	_, paused := asPaused(err)
	switch {
	case errors.Is(err, ErrFenced):
		f.Class = Supplanted
	case isInDoubt(err):
		f.Class = Doubts
	case waits:
		f.Class, f.Why = Waits, brief(notYet.Why)
	case refused:
		f.Class = Refuses
	case paused:
		f.Class = Asks
	case isTransient(err):
		f.Class = Passes
	}
	if n != nil && n.Retry.On != "" && (f.Class == Plain || f.Class == Passes || f.Class == Refuses) {
		if r, ok := x.Binder.(Retrier); ok {
			yes, bad := r.Retry(n, err)
			f.Again = bad == nil && yes
		}
	}
	return f
}
