package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// rounds is how often a change may succeed and still be asked for before the step is said not to converge. Evictions
// are asked for again by name only after the pod came back under the same one, which a StatefulSet's may.
const rounds = 5

// An effect is a change on its way: journaled under a ticket.
type effect struct {
	Change
	ticket  Ticket
	mu      sync.Mutex
	learned Facts
}

// states of an Outcome
const (
	outcomeOK      = "ok"
	outcomeFailed  = "failed"
	outcomeRefused = "refused"       // for now; nothing changed
	outcomeCut     = "cut"           // interrupted by a reboot or a kill: observe
	outcomeNever   = "never-started" // and never will under that ticket
	outcomeDoubt   = "in-doubt"      // convergent: the next observation tells
	outcomeWould   = "would"         // a rehearsal's
)

// make carries the changes of one observation out, in parallel, each after its intent is durable.
func (w *worker) make(ctx context.Context, changes []Change) error {
	if err := w.check(changes); err != nil {
		return err
	}
	if err := w.mayAct(ctx, changes); err != nil {
		return err
	}
	effects := make([]*effect, len(changes))
	intents := make([]journal.Record, len(changes))
	for i, c := range changes {
		effects[i] = w.effect(c)
		intents[i] = journal.Record{Kind: journal.Intent, Ticket: effects[i].ticket.ID, Epoch: effects[i].ticket.Epoch,
			Say: c.Say, Of: c.Of, Repeat: string(c.Repeat), Why: c.Expects, Digest: w.node.Digest}
		if c.Outage > 0 {
			intents[i].Until = time.Now().Add(c.Outage)
		}
	}
	if err := w.record(intents...); err != nil {
		return err
	}
	w.touched = true
	return w.do(ctx, effects)
}

// check refuses what only a mistake in a kind could ask for.
func (w *worker) check(changes []Change) error {
	for _, c := range changes {
		switch {
		case c.Say == "" || c.Do == nil || c.Repeat == "":
			return fmt.Errorf("%s asked for an incomplete change %q, which is an error in upgrader itself", w.node.Kind, c.Say)
		case w.made[c.Say+"\x00"+c.Of] >= rounds:
			return fmt.Errorf("did not converge: %q was done %d times and is still to be done", strings.TrimSpace(c.Say+" "+c.Of), rounds)
		}
	}
	return nil
}

func (w *worker) effect(c Change) *effect {
	w.effects++
	e := &effect{Change: c}
	e.ticket = Ticket{ID: ticketID(w.Run, w.node.ID, w.effects), Epoch: w.epoch(), Out: w.out, Learn: func(f Facts) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.learned == nil {
			e.learned = Facts{}
		}
		maps.Copy(e.learned, f)
	}}
	return e
}

// mayAct waits until this process holds the lock, or the API is away for reasons of this very step, and until no other
// step has the API away.
func (w *worker) mayAct(ctx context.Context, changes []Change) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		if isClosed(w.halting()) {
			return errStopped
		}
		why := w.window.heldByOther(w.node.ID)
		if why == "" && !w.undoing && !w.node.Finally && !isClosed(w.gates) {
			why = "the gates are looked at again first"
		}
		if why == "" {
			err := w.hold(ctx)
			switch {
			case err != nil && !isTransient(err):
				return err
			case err != nil:
				why = "the cluster's lock cannot be renewed, so nothing new is started: " + err.Error()
			default:
				if why = w.window.open(w.node.ID, changes); why == "" { // another may have been quicker
					return nil
				}
			}
		}
		if err := w.wait(ctx, pause, why); err != nil {
			return err
		}
	}
}

func (w *worker) hold(ctx context.Context) error {
	if w.Guard == nil || w.window.holds(w.node.ID) {
		return nil
	}
	return w.Guard.Hold(ctx)
}

// parallel bounds the effects of one step that are under way at once: evictions of a full node.
const parallel = 16

func (w *worker) do(ctx context.Context, effects []*effect) error {
	errs := make([]error, len(effects))
	slots := make(chan struct{}, parallel)
	var all sync.WaitGroup
	for i, e := range effects {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs[i] = w.doOne(ctx, e)
		})
	}
	all.Wait()
	return w.sum(effects, errs)
}

// sum makes one answer of many: what failed, or what was refused for now, or nothing.
func (w *worker) sum(effects []*effect, errs []error) error {
	var failures []error
	var refused []string
	for i, err := range errs {
		if notYet, ok := asNotYet(err); ok {
			refused = append(refused, notYet.Why)
		} else if err != nil {
			failures = append(failures, err)
		} else {
			w.made[effects[i].Say+"\x00"+effects[i].Of]++
		}
	}
	if len(failures) > 0 {
		return errors.Join(failures...)
	}
	if len(refused) > 0 {
		return NotYet("%s", strings.Join(refused, "; "))
	}
	return nil
}

func (w *worker) doOne(ctx context.Context, e *effect) (err error) {
	err = w.deed(ctx, e)
	switch {
	case ctx.Err() != nil && err != nil, errors.Is(err, ErrFenced):
		return err // left open: the next process settles it
	case isInDoubt(err) && e.Repeat == Convergent:
		return w.outcome(e.ticket.ID, outcomeDoubt, err, nil)
	case isInDoubt(err):
		return w.settle(ctx, open{ticket: e.ticket.ID, say: e.Say, repeat: e.Repeat, then: e.Then}, err)
	}
	if _, ok := asNotYet(err); ok {
		return errors.Join(w.outcome(e.ticket.ID, outcomeRefused, err, nil), err)
	}
	if err != nil {
		return errors.Join(w.outcome(e.ticket.ID, outcomeFailed, err, nil), fmt.Errorf("%s: %w", e.Say, err))
	}
	return w.outcome(e.ticket.ID, outcomeOK, nil, e.facts())
}

// deed does the change under the step's deadline. A deed that breaks down is in doubt, never done.
func (w *worker) deed(ctx context.Context, e *effect) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = InDoubt(fmt.Errorf("%s broke down, which is an error in upgrader itself: %v", w.node.Kind, p))
		}
	}()
	ctx, cancel := context.WithDeadlineCause(ctx, w.deadline, errTimeout)
	defer cancel()
	return e.Do(ctx, e.ticket)
}

func (e *effect) facts() Facts {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := maps.Clone(e.Then)
	if f == nil {
		f = Facts{}
	}
	maps.Copy(f, e.learned)
	return f
}

func (w *worker) outcome(ticket, state string, why error, facts Facts) error {
	rec := journal.Record{Kind: journal.Outcome, Ticket: ticket, State: state, Facts: facts}
	if why != nil {
		rec.Why = why.Error()
	}
	return w.record(rec)
}

// announce is what a rehearsal does with changes: say them, and promise what they would bring about. It tells whether
// any was new; a change asked for again is one that no promise makes go away.
func (w *worker) announce(changes []Change) (fresh bool, err error) {
	for _, c := range changes {
		key := c.Say + "\x00" + c.Of
		if w.made[key] > 0 {
			continue
		}
		w.made[key]++
		fresh = true
		w.promise(c.Then)
		if err := w.record(journal.Record{Kind: journal.Intent, State: outcomeWould, Say: c.Say, Of: c.Of, Repeat: string(c.Repeat), Why: c.If}); err != nil {
			return fresh, err
		}
	}
	return fresh, nil
}

// A window is the time in which the cluster's API may be away because of one step. Only that step may act in it.
type window struct {
	mu    sync.Mutex
	node  string
	until time.Time
}

// open opens the window for a node whose changes need one, and says why it cannot.
func (o *window) open(node string, changes []Change) (why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if why := o.held(node); why != "" {
		return why
	}
	for _, c := range changes {
		if c.Outage > 0 {
			o.extend(node, time.Now().Add(c.Outage))
		}
	}
	return ""
}

// reopen makes the window of a node last at least until then.
func (o *window) reopen(node string, until time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.extend(node, until)
}

func (o *window) extend(node string, until time.Time) {
	if until.After(o.until) {
		o.node, o.until = node, until
	}
}

func (o *window) close(node string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.node == node {
		o.node, o.until = "", time.Time{}
	}
}

func (o *window) holds(node string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.node == node && time.Now().Before(o.until)
}

func (o *window) isOpen() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.node != "" && time.Now().Before(o.until)
}

func (o *window) heldByOther(node string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.held(node)
}

func (o *window) held(node string) string {
	if o.node == "" || o.node == node || !time.Now().Before(o.until) {
		return ""
	}
	return o.node + " has the API away for a moment"
}
