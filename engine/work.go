package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// A worker brings one node to its end.
type worker struct {
	*execution
	node     *Node
	inWork   []string
	step     Step
	out      io.Writer
	since    time.Time // first start, of this or an earlier process
	deadline time.Time
	touched  bool           // an effect was begun, now or before: a lost connection no longer counts against attempts
	made     map[string]int // successful changes of this process by their words, to notice one that does not converge
	effects  int            // ever begun: the ordinal of the next ticket
	why      string         // what was last said about waiting
	asked    bool
	undoing  bool
	early    bool          // its turn has not come: only settle what is open
	settling chan struct{} // one effect at a time is settled
}

// errStopped ends a worker at a change boundary because the run stops.
var errStopped = errors.New("stopped")

// work runs in a goroutine of its own and ends with a Settled record, unless the process lets go.
func (w *worker) work(ctx context.Context) {
	err := w.run(ctx)
	if ctx.Err() != nil && !errors.Is(err, ErrFenced) || errors.Is(err, errUnrecorded) {
		return
	}
	w.window.close(w.node.ID)
	if errors.Is(err, ErrFenced) {
		w.fail(err)
		return
	}
	_ = w.append(w.settled(err)) // a journal that cannot be written ends the loop by itself
}

// errUnrecorded ends a worker because the journal cannot be written.
var errUnrecorded = errors.New("the journal cannot be written")

func (w *worker) record(records ...journal.Record) error {
	for i := range records {
		records[i].Node = w.node.ID
	}
	if err := w.append(records...); errors.Is(err, journal.ErrFull) {
		return err // nothing new starts; what is under way is still recorded
	} else if err != nil {
		return fmt.Errorf("%w: %w", errUnrecorded, err)
	}
	return nil
}

var errSkipped = errors.New("skipped")

func (w *worker) settled(err error) journal.Record {
	rec := journal.Record{Kind: journal.Settled, Node: w.node.ID, Digest: w.node.Digest, State: Done}
	if err == nil {
		return rec
	}
	rec.Why = err.Error()
	_, refused := asRefused(err)
	_, paused := asPaused(err)
	switch {
	case errors.Is(err, errSkipped):
		rec.State, rec.Why = Skipped, ""
	case errors.Is(err, errStopped):
		rec.State, rec.Why = Stopped, w.why
	case refused:
		rec.State = Refused
	case paused:
		rec.State = Paused
	default:
		rec.State = Failed
	}
	return rec
}

func (w *worker) run(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s broke down, which is an error in upgrader itself: %v", w.node.Kind, p)
		}
	}()
	past := w.history(w.node.ID)
	bound, err := w.bind(past)
	if err != nil {
		return err
	}
	if err := w.begin(past, bound.Values); err != nil {
		return err
	}
	w.step, w.out = bound.Step, w.output(w.node.ID)
	if bound.Skip || w.early {
		if err := w.settleOpen(ctx, openIntents(past)); err != nil {
			return err
		}
	}
	switch {
	case w.early:
		return errStopped
	case bound.Skip:
		return errSkipped
	}
	err = w.attempts(ctx, past)
	if undo, ok := w.step.(Undoer); ok && w.undoable(err) {
		err = errors.Join(err, w.undo(ctx, undo))
	}
	return err
}

func (w *worker) bind(past []journal.Record) (Bound, error) {
	before := map[string]string{}
	for _, rec := range past {
		switch {
		case rec.Kind == journal.Start && rec.Facts != nil:
			before = rec.Facts
		case rec.Kind == journal.Settled && w.node.Finally && rec.State != Stopped && rec.State != Paused:
			before = map[string]string{} // that was the end of another process, which may have been a worse one
		}
	}
	facts := w.known()
	facts[FactRunID], facts[FactRunState] = w.Run, w.runState()
	bound, err := w.Binder.Bind(w.node, facts, before)
	if err != nil {
		return bound, err
	}
	if bound.Unknown != "" && !w.Rehearse {
		return bound, fmt.Errorf("%s: nothing has told %q yet, which its expressions need", w.node.At, bound.Unknown)
	}
	if bound.Unknown != "" {
		bound.Skip = true
		return bound, w.record(journal.Record{Kind: journal.Wait, Why: "known after " + bound.Unknown})
	}
	return bound, nil
}

// runState is what a plan may know of its own run: for what is done finally, whether the rest went well.
func (w *worker) runState() string {
	if !w.node.Finally {
		return Running
	}
	for _, n := range w.summary().Nodes {
		if n.State == Failed || n.State == Refused {
			return Failed
		}
	}
	return Done
}

// begin journals the start and works out, from what earlier processes recorded, since when the node has been at it and
// how much of its time is left: only time in which somebody was at work counts.
func (w *worker) begin(past []journal.Record, values map[string]string) error {
	attempt, spent := 1, time.Duration(0)
	var started, last time.Time
	for _, rec := range past {
		switch rec.Kind {
		case journal.Start:
			spent += last.Sub(started)
			started = rec.Time
			attempt = rec.Attempt + 1
			if w.since.IsZero() {
				w.since = rec.Time
			}
		case journal.Settled:
			if rec.State != Stopped && rec.State != Paused { // that attempt has ended; the clock starts again
				w.since, started, last, spent = time.Time{}, time.Time{}, time.Time{}, 0
				continue
			}
		case journal.Intent:
			w.effects++
			w.touched = true
		case journal.Decision: // it may come days after the process has ended
			continue
		}
		last = rec.Time
	}
	now := time.Now()
	if w.since.IsZero() {
		w.since = now
	}
	left := w.node.Timeout - spent - last.Sub(started)
	w.deadline = now.Add(max(left, min(w.node.Timeout, time.Minute))) // one good look at least
	return w.record(journal.Record{Kind: journal.Start, Attempt: attempt, Facts: values})
}

// attempts repeats what failed as often as the node's retry allows.
func (w *worker) attempts(ctx context.Context, past []journal.Record) error {
	if err := w.settleOpen(ctx, openIntents(past)); err != nil {
		return err
	}
	if w.finishedOnce() {
		return nil
	}
	if err := w.undecidedOnce(past); err != nil {
		return err
	}
	look := w.converge
	if w.Rehearse {
		look = w.rehearse
	}
	backoff := w.node.Retry.Backoff
	for n := 1; ; n++ {
		err := look(ctx)
		if err == nil || n >= w.node.Retry.Attempts || !w.again(err) {
			return err
		}
		if err := w.wait(ctx, backoff, fmt.Sprintf("%v; attempt %d of %d follows", err, n+1, w.node.Retry.Attempts)); err != nil {
			return err
		}
		backoff = min(2*backoff, max(w.node.Retry.Max, w.node.Retry.Backoff))
	}
}

// again says whether a failed attempt may be made again.
func (w *worker) again(err error) bool {
	if errors.Is(err, errStopped) || errors.Is(err, errUnrecorded) || errors.Is(err, ErrFenced) || isInDoubt(err) || Underway(w.history(w.node.ID)) {
		return false
	}
	if w.node.Retry.On != "" {
		if r, ok := w.Binder.(Retrier); ok {
			yes, bad := r.Retry(w.node, err)
			return bad == nil && yes
		}
	}
	return isTransient(err)
}

// converge looks and changes until there is nothing left to do.
func (w *worker) converge(ctx context.Context) error {
	pause := firstPause
	for {
		changes, err := w.observe(ctx)
		if err == nil && len(changes) == 0 {
			return nil
		}
		if err == nil {
			err = w.make(ctx, changes)
			if err == nil && w.finishedOnce() {
				return nil
			}
		}
		why, waits := w.waits(err)
		switch {
		case waits:
			err = w.wait(ctx, pause, why)
			pause = min(2*pause, longestPause)
		case err == nil:
			pause = firstPause
		}
		if err = w.answer(ctx, err); err != nil {
			return err
		}
	}
}

// waits says whether an error only means to look again later, and why. Before anything was changed a lost connection
// counts as a failed attempt; afterwards, and while some step has the API away, only the deadline ends the looking.
func (w *worker) waits(err error) (string, bool) {
	if notYet, ok := asNotYet(err); ok {
		return notYet.Why, true
	}
	if isTransient(err) && (w.touched || w.window.isOpen()) {
		return err.Error(), true
	}
	return "", false
}

// rehearse looks and announces until there is nothing new to say. Time does not pass in a rehearsal, and nobody is asked.
func (w *worker) rehearse(ctx context.Context) error {
	for {
		changes, err := w.observe(ctx)
		if notYet, ok := asNotYet(err); ok {
			return w.record(journal.Record{Kind: journal.Wait, Why: "waits until this holds: " + notYet.Why})
		}
		if paused, ok := asPaused(err); ok {
			return w.record(journal.Record{Kind: journal.Wait, Why: "asks a person: " + paused.Why})
		}
		if err != nil {
			return err
		}
		if fresh, err := w.announce(changes); err != nil || !fresh {
			return err
		}
	}
}

// While a step waits it looks again after a moment at first and every two seconds later on: often enough for a person
// who watches, and one or two cheap requests each time.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

func (w *worker) observe(ctx context.Context) ([]Change, error) {
	ctx, cancel := context.WithDeadlineCause(ctx, w.deadline, errTimeout)
	defer cancel()
	changes, err := w.step.Observe(ctx, w.scene())
	if err != nil && errors.Is(context.Cause(ctx), errTimeout) {
		return nil, w.timedOut(err)
	}
	return changes, err
}

var errTimeout = errors.New("timed out")

func (w *worker) timedOut(err error) error {
	waiting := w.why
	if waiting == "" && err != nil {
		waiting = err.Error()
	}
	return fmt.Errorf("timed out after %s, still waiting: %s", w.node.Timeout, waiting)
}

func (w *worker) scene() Scene {
	return Scene{Target: w.node.Target, Expect: w.promised(), Run: w.Run, Step: w.node.Step,
		Now: time.Now(), Since: w.since, Decision: w.decided(w.node.ID), Waivers: w.Graph.Waivers, InWork: w.inWork}
}

// wait journals why the node waits, once per reason, and sleeps until the next look, the deadline or the end.
func (w *worker) wait(ctx context.Context, d time.Duration, why string) error {
	if why != w.why {
		w.why = why
		if err := w.record(journal.Record{Kind: journal.Wait, Why: why, Until: w.deadline}); err != nil {
			return err
		}
	}
	left := time.Until(w.deadline)
	if left <= 0 {
		return w.timedOut(nil)
	}
	t := time.NewTimer(min(d, left))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-w.halting():
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// halting is closed when running steps are to stop; never for what is done finally.
func (w *worker) halting() <-chan struct{} {
	if w.node.Finally || w.undoing {
		return nil
	}
	return w.halt
}

// answer brings a step's question to a person, and passes every other error on.
func (w *worker) answer(ctx context.Context, err error) error {
	paused, ok := asPaused(err)
	if !ok {
		return err
	}
	if w.Inbox == nil || w.asked {
		return err
	}
	w.asked = true
	d, answered := w.Inbox.Poll()[w.node.ID]
	if !answered {
		if err := w.record(journal.Record{Kind: journal.Wait, Why: paused.Why}); err != nil {
			return err
		}
		ask, cancel := context.WithDeadlineCause(ctx, w.deadline, errTimeout)
		defer cancel()
		ask, cancelAsk := w.untilHalt(ask)
		defer cancelAsk()
		d, answered = w.Inbox.Ask(ask, w.node.ID, paused.Why)
	}
	if !answered {
		switch {
		case isClosed(w.halting()):
			return errStopped
		case time.Until(w.deadline) <= 0:
			return w.timedOut(err)
		}
		return err
	}
	return w.record(journal.Record{Kind: journal.Decision, State: d.Verdict, Who: d.Who})
}

// untilHalt is ctx, ended also when running steps are to stop.
func (w *worker) untilHalt(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	halt := w.halting()
	go func() {
		select {
		case <-halt:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// undoable says whether the step may leave its target as it found it: it failed, and no effect of it is in doubt.
func (w *worker) undoable(err error) bool {
	if err == nil || w.Rehearse || errors.Is(err, errStopped) || errors.Is(err, errUnrecorded) || errors.Is(err, ErrFenced) || errors.Is(err, context.Canceled) {
		return false
	}
	return len(openIntents(w.history(w.node.ID))) == 0
}

// undoTime is what taking a step back may last beyond the step's own deadline.
const undoTime = time.Minute

func (w *worker) undo(ctx context.Context, step Undoer) error {
	w.deadline, w.undoing = time.Now().Add(undoTime), true
	ctx, cancel := context.WithDeadlineCause(ctx, w.deadline, errTimeout)
	defer cancel()
	err := w.takeBack(ctx, step)
	if err != nil {
		return fmt.Errorf("and it could not be taken back: %w", err)
	}
	return nil
}

// takeBack makes the changes of Undo until there are none left: the same question again, so that one in doubt is seen.
func (w *worker) takeBack(ctx context.Context, step Undoer) error {
	for {
		changes, err := step.Undo(ctx, w.scene())
		if err == nil && len(changes) == 0 {
			return nil
		}
		if err == nil {
			err = w.make(ctx, changes)
		}
		if why, waits := w.waits(err); waits {
			err = w.wait(ctx, longestPause, why)
		}
		if err != nil {
			return err
		}
	}
}
