package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// An open effect is an intent without an outcome: nobody knows what became of it.
type open struct {
	ticket string
	node   string
	say    string
	repeat Repeat
	then   Facts
	until  time.Time // the API may be away until then
}

// opened is the effect that an intent begins.
func opened(intent journal.Record) open {
	return open{ticket: intent.Ticket, node: intent.Node, say: intent.Say, repeat: Repeat(intent.Repeat), until: intent.Until}
}

// Keeps refuses a graph that lacks a step whose effect may be going on, according to these records of its run: nobody
// would wait for the end of it.
func (g *Graph) Keeps(past []journal.Record) error {
	for _, o := range openIntents(past) {
		if o.repeat != Convergent && g.Lookup(o.node) == nil {
			return fmt.Errorf("%q of step %s may still be going on, and the plan no longer has that step: put the plan back as it was until a resume has seen the end of it", o.say, o.node)
		}
	}
	return nil
}

// openIntents finds the effects of a node that were begun and never ended.
func openIntents(past []journal.Record) []open {
	var opens []open
	for _, rec := range past {
		switch rec.Kind {
		case journal.Intent:
			if rec.State != outcomeWould {
				opens = append(opens, opened(rec))
			}
		case journal.Outcome:
			opens = slices.DeleteFunc(opens, func(o open) bool { return o.ticket == rec.Ticket })
		}
	}
	return opens
}

// settleOpen finds out what became of the effects that an earlier process left open, before anything is observed.
func (w *worker) settleOpen(ctx context.Context, opens []open) error {
	for _, o := range opens {
		if o.repeat == Convergent {
			if err := w.outcome(o.ticket, outcomeDoubt, nil, nil); err != nil {
				return err
			}
			continue
		}
		if !o.until.IsZero() {
			w.window.reopen(w.node.ID, time.Now().Add(settleWindow))
		}
		if err := w.settle(ctx, o, nil); err != nil {
			return err
		}
	}
	return nil
}

// settleWindow is how long the API may be away, seen from a resume, because of an effect of an earlier process that may
// still be going on: as long as kubeadm waits for one static pod.
const settleWindow = 5 * time.Minute

// settle asks the target what became of an effect, and attaches to it while it goes on. An effect that ended badly
// fails the step as if it had been watched; one that was cut off is looked at again, unless it may happen only once.
func (w *worker) settle(ctx context.Context, o open, lost error) error {
	w.settling <- struct{}{} // effects of one observation may be in doubt together; the others' waits end with ours
	defer func() { <-w.settling }()
	if w.Settler == nil {
		return fmt.Errorf("%s: outcome unknown and nobody can tell: %w", o.say, lost)
	}
	verdict, learned, err := w.attach(ctx, o)
	if err != nil {
		return err
	}
	switch {
	case verdict.Fate == Ended && verdict.Err == nil:
		maps.Copy(learned, o.then)
		return w.outcome(o.ticket, outcomeOK, nil, learned)
	case verdict.Fate == Ended:
		if err := w.outcome(o.ticket, outcomeFailed, verdict.Err, nil); err != nil {
			return err
		}
		return fmt.Errorf("%s: %w", o.say, verdict.Err)
	case verdict.Fate == NeverStarted:
		return w.outcome(o.ticket, outcomeNever, nil, nil)
	}
	if err := w.outcome(o.ticket, outcomeCut, nil, nil); err != nil {
		return err
	}
	return w.afterCut(o)
}

// A hearer is a step that learns from the output of its effects. An effect that is settled sends its output again, from
// the beginning, to the ticket that Hear returns; then learn tells what was heard.
type hearer interface {
	Hear(target Target, t Ticket) (heard Ticket, learn func())
}

// listen is the ticket under which an effect is settled, and how to learn from what it put out.
func (w *worker) listen(o open, learned Facts) (Ticket, func()) {
	ticket := Ticket{ID: o.ticket, Epoch: w.epoch(), Out: w.out, Learn: func(f Facts) { maps.Copy(learned, f) }}
	if step, ok := w.step.(hearer); ok {
		return step.Hear(w.node.Target, ticket)
	}
	return ticket, func() {}
}

// attach waits for the target's word until the deadline, through lost connections, and learns what the effect tells.
func (w *worker) attach(ctx context.Context, o open) (Settlement, Facts, error) {
	learned := Facts{}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		once, cancel := context.WithDeadlineCause(ctx, w.deadline, errTimeout)
		ticket, learn := w.listen(o, learned)
		verdict, err := w.Settler.Settle(once, w.node.Target, ticket)
		late := errors.Is(context.Cause(once), errTimeout)
		cancel()
		if err == nil {
			learn()
		}
		if err == nil || !isTransient(err) && !isInDoubt(err) && !late {
			return verdict, learned, err
		}
		if err := w.wait(ctx, pause, fmt.Sprintf("%s may still be running on %s: %v", o.say, w.node.Target.Name, err)); err != nil {
			return verdict, nil, err
		}
	}
}

// afterCut asks a person about an effect that may happen only once and was cut off half-way.
func (w *worker) afterCut(o open) error {
	if o.repeat != Once {
		return nil
	}
	return Pause("%s was cut off on %s and must not be repeated blindly: look at the host, then say what is true: upgrader resume %s --settle %s=done, or =retry",
		o.say, w.node.Target.Name, w.Run, w.node.ID)
}

// undecidedOnce stops a node whose effect was cut off in an earlier process until a person has said what is true.
func (w *worker) undecidedOnce(past []journal.Record) error {
	var cut *open
	begun := map[string]open{}
	for _, rec := range past {
		switch {
		case rec.Kind == journal.Intent:
			begun[rec.Ticket] = opened(rec)
		case rec.Kind == journal.Outcome && rec.State == outcomeCut && begun[rec.Ticket].repeat == Once:
			o := begun[rec.Ticket]
			cut = &o
		case rec.Kind == journal.Decision:
			cut = nil
		}
	}
	if cut == nil {
		return nil
	}
	return w.afterCut(*cut)
}

// A onceStep that says so is done when its effects have been made, without looking again: nothing else could tell.
type onceStep interface{ OnceIsDone() bool }

func (w *worker) once() bool {
	step, ok := w.step.(onceStep)
	return ok && step.OnceIsDone()
}

// finishedOnce says whether an earlier process, or the settling just now, has made the effects of such a step.
func (w *worker) finishedOnce() bool {
	if !w.once() || w.Rehearse {
		return false
	}
	made, edited := false, map[string]bool{}
	for _, rec := range w.history(w.node.ID) {
		switch {
		case rec.Kind == journal.Intent:
			edited[rec.Ticket] = rec.Digest != "" && rec.Digest != w.node.Digest
		case rec.Kind == journal.Outcome:
			made = rec.State == outcomeOK && !edited[rec.Ticket]
		case rec.Kind == journal.Decision && rec.State == "retry":
			made = false
		case rec.Kind == journal.Settled && rec.State == Done:
			made = false // what is done and yet to be done was edited since, or is done at the end of every process
		}
	}
	return made
}
