package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	lockRenewal  = 10 * time.Second
	lockTrust    = lockDuration * 2 / 3 // so long a renewal is believed without asking again
)

// An Identity says on whose behalf a lock is held.
type Identity struct {
	Run     string // the run's ID
	Person  string // who runs it
	Machine string // where
	Plan    string // the plan's name, for others to see
}

// holder is the Lease's holderIdentity: RUN@PERSON@MACHINE.
func (i Identity) holder() string { return i.Run + "@" + i.Person + "@" + i.Machine }

// A Holder is who has the lock.
type Holder struct {
	Run     string
	Who     string // person@machine
	Plan    string
	Since   time.Time
	Renewed time.Time
	Epoch   int64
	Expired bool // not renewed for longer than the lease lasts, by this machine's clock
}

func (h Holder) machine() string { return h.Who[strings.LastIndex(h.Who, "@")+1:] }

// A HeldError says that another run, or the same one on another machine, has the lock.
type HeldError struct{ Holder }

// Error says who has the lock since when, and what the operator can do.
func (e *HeldError) Error() string {
	state := "last renewed " + ago(e.Renewed)
	if e.Expired {
		state = "not renewed for " + strings.TrimSuffix(ago(e.Renewed), " ago") + ", so its upgrader is probably gone"
	}
	return fmt.Sprintf("the cluster is locked by run %s of %s since %s (%s); go on with that run there: `upgrader resume %s`, or, once you know that it does nothing any more, take the lock away: `upgrader unlock`",
		e.Run, e.Who, e.Since.Format(time.RFC3339), state, e.Run)
}

func ago(t time.Time) string { return time.Since(t).Round(time.Second).String() + " ago" }

// A Lock keeps two upgraders from working on one cluster. It is the Lease kube-system/upgrader, changed only on condition
// that nobody else changed it since; every takeover raises its epoch, which all effects carry, so that whoever lost it
// is refused by the hosts as well. A lock is never stolen from another run, also not when it has expired: that is a
// person's word (Unlock). It implements engine.Guard and is safe for concurrent use.
type Lock struct {
	client *Client
	me     Identity

	turn chan struct{} // one request at a time: one renewal serves all who ask

	mu    sync.Mutex // never held during a request
	state state
}

// state is what is known of the lock.
type state struct {
	lease   lease     // as last written by us
	renewed time.Time // when the request that wrote it began
	fenced  error     // once lost, it stays lost
}

var _ engine.Guard = (*Lock)(nil)

// NewLock makes a lock that is not held yet.
func NewLock(c *Client, me Identity) *Lock {
	return &Lock{client: c, me: me, turn: make(chan struct{}, 1)}
}

func (l *Lock) known() state {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

func (l *Lock) remember(s state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = s
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

// Acquire takes the lock, if it is free or was held by this run: on this machine at any time (the lock file of the
// state directory makes sure that the former process is dead), on another only after it expired. Otherwise the error is
// a *HeldError.
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
		return &HeldError{seen.holder(time.Now())}
	}
	return err
}

var errHeld = errors.New("the lock is held")

func (l *Lock) mayTake(seen lease) error {
	h := seen.holder(time.Now())
	switch {
	case !seen.exists() || h.Run == "":
		return nil
	case h.Run == l.me.Run && (h.machine() == l.me.Machine || h.Expired):
		return nil
	}
	return errHeld
}

// taken is the lease as it will be when it is ours. The epoch never falls, also not when the lease was deleted, or came
// back old from a restored snapshot: it is at least the number of minutes since 1970, which fits the field until 6053.
func (l *Lock) taken(seen lease) lease {
	now := time.Now()
	next := seen
	next.identity = l.me.holder()
	next.epoch = max(seen.epoch+1, now.Unix()/60)
	next.acquired, next.renewed = now, now
	next.note(map[string]string{"run": l.me.Run, "plan": l.me.Plan, "since": now.UTC().Format(time.RFC3339)})
	return next
}

// Epoch is the fencing epoch under which the lock was taken; 0 before.
func (l *Lock) Epoch() int64 { return l.known().lease.epoch }

// Hold returns nil if the lock was renewed within two thirds of its life, and otherwise tries to renew it now. The error
// is engine.ErrFenced if somebody else has it, or another epoch of this run, and an engine.Transient one if the API
// server cannot be asked.
func (l *Lock) Hold(ctx context.Context) error {
	if sure, err := l.believed(); sure {
		return err
	}
	done, err := l.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	if sure, err := l.believed(); sure { // somebody else has renewed it meanwhile
		return err
	}
	return l.renew(ctx)
}

// believed says what is known without asking, if that is enough.
func (l *Lock) believed() (sure bool, err error) {
	s := l.known()
	age := max(time.Since(s.renewed), time.Now().Round(0).Sub(s.renewed.Round(0))) // the monotonic clock stands still while a laptop sleeps
	return s.fenced != nil || age < lockTrust, s.fenced
}

// Keep renews the lock every ten seconds until stop is called or ctx ends. stop waits for a renewal under way.
func (l *Lock) Keep(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var loop sync.WaitGroup
	loop.Go(func() {
		tick := time.NewTicker(lockRenewal)
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

// Holder returns who has the lock now; false if nobody has.
func (l *Lock) Holder(ctx context.Context) (Holder, bool, error) {
	seen, err := l.client.readLease(ctx, lockNamespace, lockName)
	h := seen.holder(time.Now())
	return h, err == nil && h.Run != "", err
}
