package kube

import (
	"context"
	"fmt"
	"time"

	"upgrader.dev/upgrader/engine"
)

// write makes one conditional request and remembers what it brought. The lock is believed from the moment before the
// request on, which errs on the safe side. What credentials take is not the request's time.
func (l *Lock) write(ctx context.Context, next lease) error {
	if err := l.client.Login(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.pace.request, &slowError{limit: l.pace.request})
	defer cancel()
	began := time.Now()
	written, err := l.client.writeLease(ctx, lockNamespace, lockName, next)
	if err == nil {
		l.written(written, began)
	}
	return err
}

// renew is called by whoever has the turn.
func (l *Lock) renew(ctx context.Context) error {
	mine := l.known().lease
	if !mine.exists() {
		return fmt.Errorf("%w: the lock of the cluster was never taken", engine.ErrFenced)
	}
	mine.renewed = time.Now()
	err := l.write(ctx, mine)
	if err == nil {
		return nil
	}
	if judge(err) == turned || ctx.Err() != nil {
		return engine.Transient(fmt.Errorf("renewing the lock of the cluster: %w", err))
	}
	return l.renewSeen(ctx, err)
}

// renewSeen settles a renewal that was not simply accepted: the lock may be somebody else's now, or the request may have
// been carried out although its answer was lost.
func (l *Lock) renewSeen(ctx context.Context, cause error) error {
	seen, err := l.client.readLease(ctx, lockNamespace, lockName)
	if err != nil {
		return engine.Transient(fmt.Errorf("renewing the lock of the cluster: %w; and then %w", cause, err))
	}
	if !l.ours(seen) {
		return l.fence(lost(seen))
	}
	seen.renewed = time.Now()
	if err := l.write(ctx, seen); err != nil {
		return engine.Transient(fmt.Errorf("renewing the lock of the cluster: %w", err))
	}
	return nil
}

func (l *Lock) ours(seen lease) bool { return seen.exists() && sameHold(seen, l.known().lease) }

func sameHold(a, b lease) bool { return a.identity == b.identity && a.epoch == b.epoch }

// Release gives the lock up; the epoch stays, so that the next one is higher. A lock that is not ours is left alone.
func (l *Lock) Release(ctx context.Context) error {
	done, err := l.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	var seen lease
	err = converge(ctx, "releasing the lock of the cluster", func() (_ bool, err error) {
		seen, err = l.client.readLease(ctx, lockNamespace, lockName)
		return !l.ours(seen), err
	}, func() (bool, error) {
		free := seen
		free.identity, free.renewed = "", time.Now()
		free.note(map[string]string{noteLockFile: ""})
		_, err := l.client.writeLease(ctx, lockNamespace, lockName, free)
		return false, err
	})
	if err == nil {
		_ = l.fence(fmt.Errorf("%w: the lock was released", engine.ErrFenced))
	}
	return err
}
