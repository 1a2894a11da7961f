package kube

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine"
)

// The lock is a Lease that is renewed long before it looks dead. client-go's leader election is not used: it gives the
// work up when the API is away, and an upgrade restarts the API by design.
const (
	lockNamespace = "kube-system"
	lockName      = "upgrader"

	lockDuration = 60 * time.Second
)

// A pace is how long the parts of a lock's life last. They hang together: what was written under a lock has arrived, or
// never will, once trust and transit are over, which is before anybody else may take it. A write begins in the first moments of
// a renewal's trust, which leaves time for one that is lost to be made again; while it is under way the lock is renewed on.
type pace struct {
	duration time.Duration // so long without a renewal, and another process of the same run may take it
	renewal  time.Duration // how often it is renewed
	request  time.Duration // how long one renewal may take, so that a lost one can be made again in time
	trust    time.Duration // so long a renewal is believed without asking again
	write    time.Duration // the longest write: none begins in the last so much of trust
	dial     time.Duration // how long one may wait for its connection
	transit  time.Duration // so long the kernel tries to bring what was sent to the server
	watch    time.Duration // how often a Lease is looked at that may be dead
}

func usualPace() pace {
	return pace{
		duration: lockDuration, renewal: 5 * time.Second, request: 5 * time.Second,
		trust: 10*time.Second + writeTimeout, write: writeTimeout, dial: requestTimeout, transit: 5 * time.Second, watch: 2 * time.Second,
	}
}

// A Lock keeps two upgraders from working on one cluster. It is the Lease kube-system/upgrader, changed only on condition
// that nobody else changed it since; every takeover raises its epoch, which all effects carry, so that whoever lost it
// is refused by the hosts as well. Who holds it is this very Lock and no copy of it: it has a nonce that is in memory
// only. A lock is never stolen from another run, also not when it has expired: that is a person's word (Unlock). It
// implements engine.Guard, is what the writes of a client rest on (Client.Under), and is safe for concurrent use.
type Lock struct {
	client *Client
	me     Identity
	nonce  string
	pace   pace

	turn chan struct{} // one request at a time: one renewal serves all who ask

	mu    sync.Mutex // never held during a request
	state state
}

// state is what is known of the lock.
type state struct {
	lease   lease     // as last written by us
	renewed time.Time // when the request that wrote it began
	fenced  error     // once lost, it stays lost
	silent  string    // the version of a Lease that was watched for as long as it lasts, and did not change
}

var _ engine.Guard = (*Lock)(nil)

// NewLock makes a lock that is not held yet.
func NewLock(c *Client, me Identity) *Lock {
	var nonce [4]byte
	_, _ = rand.Read(nonce[:]) // it never fails: see crypto/rand
	return &Lock{client: c, me: me, nonce: hex.EncodeToString(nonce[:]), pace: usualPace(), turn: make(chan struct{}, 1)}
}

func (l *Lock) known() state {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// written remembers what was written last. A lock that was lost meanwhile stays lost.
func (l *Lock) written(lease lease, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.lease, l.state.renewed = lease, began
}

// fence remembers for good that the lock is lost, and returns why.
func (l *Lock) fence(why error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.fenced = why
	return why
}

// take waits for the turn to make requests.
func (l *Lock) take(ctx context.Context) (done func(), err error) {
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn }, nil
	case <-ctx.Done():
		return nil, engine.Transient(fmt.Errorf("waiting for another request about the lock: %w", context.Cause(ctx)))
	}
}

// Acquire takes the lock, if it is free, or was held by a process of this run that is known to be gone: because this one
// has the very lock file that it had, or because Outwait has seen no life of it. Otherwise the error is a *HeldError.
func (l *Lock) Acquire(ctx context.Context) error {
	done, err := l.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	var seen lease
	err = converge(ctx, "taking the lock of the cluster", func() (_ bool, err error) {
		if seen, err = l.client.readLease(ctx, lockNamespace, lockName); err != nil {
			return false, err
		}
		return false, l.mayTake(seen)
	}, func() (bool, error) {
		return false, l.write(ctx, l.taken(seen))
	})
	if errors.Is(err, errHeld) {
		return &HeldError{Holder: seen.holder(time.Now()), Same: seen.holder(time.Now()).Run == l.me.Run}
	}
	return err
}

var errHeld = errors.New("the lock is held")

func (l *Lock) mayTake(seen lease) error {
	h := seen.holder(time.Now())
	switch {
	case !seen.exists(), h.Run == "", seen.identity == l.me.holder(l.nonce): // the last: an answer was lost
		return nil
	case h.Unlocking != "" || h.Run != l.me.Run:
	case l.me.LockFile != "" && h.LockFile == l.me.LockFile, seen.version == l.known().silent:
		return nil
	}
	return errHeld
}

// taken is the lease as it will be when it is ours. The epoch never falls, also not when the lease was deleted, or came
// back old from a restored snapshot: it is at least the number of minutes since 1970, which fits the field until 6053.
func (l *Lock) taken(seen lease) lease {
	now := time.Now()
	next := seen
	next.identity = l.me.holder(l.nonce)
	next.epoch = max(seen.epoch+1, now.Unix()/60)
	next.acquired, next.renewed, next.duration = now, now, l.pace.duration
	next.note(map[string]string{
		"run": l.me.Run, "plan": l.me.Plan, "since": now.UTC().Format(time.RFC3339), noteLockFile: l.me.LockFile,
		noteUnlocked: "", "unlocked-from": "", "unlocked-at": "",
	})
	return next
}

// Epoch is the fencing epoch under which the lock was taken; 0 before.
func (l *Lock) Epoch() int64 { return l.known().lease.epoch }

// Hold returns nil if the lock was renewed a moment ago, and otherwise tries to renew it now. The error is
// engine.ErrFenced if somebody else has it, or another process of this run, and an engine.Transient one if the API server
// cannot be asked.
func (l *Lock) Hold(ctx context.Context) error { return l.outlast(ctx, 0) }

// outlast is Hold for what takes so long: the lock will be believed at its end too.
func (l *Lock) outlast(ctx context.Context, long time.Duration) error {
	if err := l.believed(long); !errors.Is(err, errUnsure) {
		return err
	}
	done, err := l.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := l.believed(long); !errors.Is(err, errUnsure) { // somebody else has renewed it meanwhile
		return err
	}
	if err := l.renew(ctx); err != nil {
		return err
	}
	err = l.believed(long)
	if errors.Is(err, errUnsure) {
		return engine.Transient(fmt.Errorf("renewing the lock of the cluster took too long: %w", err))
	}
	return err
}

// errUnsure says that the lock is not known to be held for long enough.
var errUnsure = errors.New("the cluster's lock may have run out")

// believed says whether the lock is known to be held for so long from now on, without asking: nil, errUnsure or, once it
// is lost, engine.ErrFenced.
func (l *Lock) believed(long time.Duration) error {
	s := l.known()
	if s.fenced != nil {
		return s.fenced
	}
	if elapsed(s.renewed) >= l.pace.trust-long {
		return errUnsure
	}
	return nil
}

// elapsed is how long ago that was, by whichever clock says more: the monotonic one stands still while a laptop sleeps.
func elapsed(since time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// Keep renews the lock every few seconds until stop is called or ctx ends. stop waits for a renewal under way.
func (l *Lock) Keep(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var loop sync.WaitGroup
	loop.Go(func() {
		tick := time.NewTicker(l.pace.renewal)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if !l.tick(ctx) {
					return
				}
			}
		}
	})
	return func() { cancel(); loop.Wait() }
}

// tick renews the lock once and says whether to go on. What went wrong, Hold tells those who want to act.
func (l *Lock) tick(ctx context.Context) bool {
	done, err := l.take(ctx)
	if err != nil {
		return false
	}
	defer done()
	if l.known().fenced == nil {
		_ = l.renew(ctx)
	}
	return l.known().fenced == nil
}

// Leave ends what this process may do under the lock, and leaves the Lease with its run: for a process that lets go of
// effects which go on without it.
func (l *Lock) Leave() {
	_ = l.fence(fmt.Errorf("%w: this process has let go of the run", engine.ErrFenced))
}

// Holder returns who has the lock now; false if nobody has.
func (l *Lock) Holder(ctx context.Context) (Holder, bool, error) {
	seen, err := l.client.readLease(ctx, lockNamespace, lockName)
	h := seen.holder(time.Now())
	return h, err == nil && h.Run != "", err
}
