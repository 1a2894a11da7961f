package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"upgrader.dev/upgrader/engine"
)

// Outwait waits until the Lease, which another process of this run has, was not changed for as long as it lasts, by this
// process's own monotonic clock, and then takes it. Time in which the API server could not be asked does not count:
// nobody could renew then. A *HeldError if there was a sign of life.
func (l *Lock) Outwait(ctx context.Context) error {
	first, err := l.client.readLease(ctx, lockNamespace, lockName)
	if err != nil {
		return err
	}
	last, silent := time.Now(), time.Duration(0)
	for silent < first.duration && l.mayTake(first) != nil {
		if err := pause(ctx, l.pace.watch); err != nil {
			return err
		}
		seen, err := l.client.readLease(ctx, lockNamespace, lockName)
		switch now := time.Now(); {
		case isTransient(err):
			last = time.Time{} // what follows counts from the next answer on
		case err != nil:
			return err
		case seen.version != first.version:
			return l.Acquire(ctx)
		case last.IsZero():
			last = now
		default:
			silent += min(now.Sub(last), 2*l.pace.watch)
			last = now
		}
	}
	l.mu.Lock()
	l.state.silent = first.version
	l.mu.Unlock()
	return l.Acquire(ctx)
}

// Patience is how long Outwait and Unlock wait at least for a holder whose process is not known to be gone.
func (l *Lock) Patience() (outwait, unlock time.Duration) {
	return l.pace.duration, l.pace.trust + l.pace.transit
}

// Unlock takes the lock away from the holder that was seen, because a person says so, and from no other. The Lease is
// marked first, under a higher epoch: from then on that holder cannot renew it, and nobody can take it. Then it is waited
// until what the holder believes has run out, so that it writes nothing any more when the lock is free; gone says that its
// process is known to be, which leaves only what it may have sent: it takes transit to arrive, and the server goes on with
// it for as long as a write may take. Cut short, an Unlock leaves the mark, and the next one takes it up; the time begins
// anew then.
func (l *Lock) Unlock(ctx context.Context, from Holder, gone bool, waiting func(time.Duration)) error {
	mark, err := l.mark(ctx, from)
	for tries := 0; tries < 5 && apierrors.IsConflict(err); tries++ { // a holder who is alive renews it all the time
		mark, err = l.mark(ctx, from)
	}
	if err != nil {
		return err
	}
	wait := l.pace.trust + l.pace.transit
	if gone {
		wait = l.pace.transit + l.pace.write
	}
	waiting(wait)
	if err := pause(ctx, wait); err != nil {
		return fmt.Errorf("cut short: run %s of %s is fenced, but the lock is not free yet; to finish it: `upgrader unlock`: %w", from.Run, from.Who, err)
	}
	return l.free(ctx, mark, from)
}

// mark makes the Lease say that the lock is being taken away.
func (l *Lock) mark(ctx context.Context, from Holder) (mark lease, err error) {
	me := Identity{Run: unlocking, Person: l.me.Person, Machine: l.me.Machine}.holder(l.nonce)
	var seen lease
	err = converge(ctx, "taking the lock away", func() (_ bool, err error) {
		if seen, err = l.client.readLease(ctx, lockNamespace, lockName); err != nil {
			return false, err
		}
		if seen.identity == me { // the answer was lost
			mark = seen
			return true, nil
		}
		return false, l.stillOf(seen, from.identity, from.Epoch)
	}, func() (_ bool, err error) {
		next := seen
		next.identity, next.epoch, next.renewed = me, seen.epoch+1, time.Now()
		if from.Unlocking == "" {
			next.note(map[string]string{noteUnlocks: seen.identity})
		}
		mark, err = l.client.writeLease(ctx, lockNamespace, lockName, next)
		return false, err
	})
	return mark, err
}

// free ends an unlocking.
func (l *Lock) free(ctx context.Context, mark lease, from Holder) error {
	var seen lease
	return converge(ctx, "freeing the lock", func() (_ bool, err error) {
		if seen, err = l.client.readLease(ctx, lockNamespace, lockName); err != nil {
			return false, err
		}
		if seen.identity == "" && seen.epoch >= mark.epoch {
			return true, nil
		}
		return false, l.stillOf(seen, mark.identity, mark.epoch)
	}, func() (bool, error) {
		next := seen
		next.identity, next.renewed = "", time.Now()
		next.note(map[string]string{
			noteUnlocks: "", noteLockFile: "", noteUnlocked: l.me.who(), "unlocked-from": from.Name(),
			"unlocked-at": time.Now().UTC().Format(time.RFC3339),
		})
		_, err := l.client.writeLease(ctx, lockNamespace, lockName, next)
		return false, err
	})
}

// stillOf refuses a Lease that has changed hands: whoever has it now is not the one that was meant.
func (l *Lock) stillOf(seen lease, identity string, epoch int64) error {
	if seen.exists() && seen.identity == identity && seen.epoch == epoch {
		return nil
	}
	h := seen.holder(time.Now())
	switch {
	case h.Run == "":
		return fmt.Errorf("%w: nobody has it now; nothing was changed", ErrMoved)
	case h.Unlocking != "":
		return fmt.Errorf("%w: %s is taking it away from run %s; nothing was changed", ErrMoved, h.Unlocking, h.Run)
	}
	return fmt.Errorf("%w: run %s of %s has it now; nothing was changed", ErrMoved, h.Name(), h.Who)
}

// ErrMoved says that the lock was not taken away from anybody, since it has changed hands.
var ErrMoved = errors.New("the lock has changed hands")

// lost says what became of a lock that was ours.
func lost(seen lease) error {
	switch h := seen.holder(time.Now()); {
	case !seen.exists():
		return fmt.Errorf("%w: the Lease %s/%s was deleted", engine.ErrFenced, lockNamespace, lockName)
	case h.Unlocking != "":
		return fmt.Errorf("%w: the lock was taken away with `upgrader unlock` by %s", engine.ErrFenced, h.Unlocking)
	case h.Run == "" && seen.said(noteUnlocked) != "":
		return fmt.Errorf("%w: the lock was taken away with `upgrader unlock` by %s", engine.ErrFenced, seen.said(noteUnlocked))
	case h.Run == "":
		return fmt.Errorf("%w: the lock was given back by whoever had it since", engine.ErrFenced)
	default:
		return fmt.Errorf("%w: run %s of %s has the lock since %s", engine.ErrFenced, h.Name(), h.Who, h.Since.Format(time.RFC3339))
	}
}
