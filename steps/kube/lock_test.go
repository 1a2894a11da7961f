package kube_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
)

func ann(run string) kube.Identity {
	return kube.Identity{Run: run, Person: "ann", Machine: "bastion", Plan: "1.27-to-1.28"}
}

func acquired(t *testing.T, s *kubetest.Server, me kube.Identity) *kube.Lock {
	t.Helper()
	l := kube.NewLock(s.Client(t, me.Run), me)
	if err := l.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// Of two runs that reach for the lock at the same moment exactly one gets it, a thousand times; and the epoch of every
// winner is higher than that of the one before.
func TestOneOfTwoRacersWins(t *testing.T) {
	s := kubetest.New()
	last := int64(0)
	for round := range 1000 {
		locks := []*kube.Lock{
			kube.NewLock(s.Client(t, "a"), ann(fmt.Sprintf("a%d", round))),
			kube.NewLock(s.Client(t, "b"), ann(fmt.Sprintf("b%d", round))),
		}
		var won atomic.Pointer[kube.Lock]
		var wins atomic.Int32
		var race sync.WaitGroup
		for _, l := range locks {
			race.Go(func() {
				var held *kube.HeldError
				switch err := l.Acquire(t.Context()); {
				case err == nil:
					wins.Add(1)
					won.Store(l)
				case !errors.As(err, &held):
					t.Error(err)
				}
			})
		}
		race.Wait()
		if wins.Load() != 1 {
			t.Fatalf("round %d: %d winners", round, wins.Load())
		}
		if e := won.Load().Epoch(); e <= last {
			t.Fatalf("round %d: epoch %d after %d", round, e, last)
		} else {
			last = e
		}
		if err := won.Load().Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Who may take a lock that run r1 holds: only r1 itself, and from another machine only when it is no longer renewed.
func TestTakeover(t *testing.T) {
	elsewhere := ann("r1")
	elsewhere.Machine = "laptop"
	for _, tt := range []struct {
		name string
		who  kube.Identity
		wait time.Duration
		says string // of the refusal
	}{
		{"a resume", ann("r1"), 0, ""},
		{"a resume after long", ann("r1"), time.Hour, ""},
		{"a resume elsewhere", elsewhere, 0, "ann@bastion"},
		{"a resume elsewhere, the other gone", elsewhere, 61 * time.Second, ""},
		{"another run", ann("r2"), 0, "`upgrader resume r1`"},
		{"another run, expired", ann("r2"), time.Hour, "not renewed for 1h0m0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := kubetest.New()
				first := acquired(t, s, ann("r1"))
				time.Sleep(tt.wait)
				next := kube.NewLock(s.Client(t, "x"), tt.who)
				err := next.Acquire(t.Context())
				if tt.says == "" {
					if err != nil || next.Epoch() <= first.Epoch() {
						t.Fatalf("got %v, epoch %d after %d", err, next.Epoch(), first.Epoch())
					}
					time.Sleep(time.Minute) // the first no longer trusts what it knew
					if err := first.Hold(t.Context()); !errors.Is(err, engine.ErrFenced) {
						t.Errorf("the one before: %v", err)
					}
					return
				}
				var held *kube.HeldError
				if !errors.As(err, &held) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "`upgrader unlock`") {
					t.Errorf("got %v", err)
				}
				if held.Run != "r1" || held.Plan != "1.27-to-1.28" || held.Epoch != first.Epoch() {
					t.Errorf("got %+v", held)
				}
			})
		})
	}
}

// Hold believes a renewal for 40 seconds without a request, then asks; an API that is away is a transient error and the
// lock is held again, under the same epoch, when it is back.
func TestHoldThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		l := acquired(t, s, ann("r1"))
		epoch, requests := l.Epoch(), len(s.Requests())
		s.Fail(func(int, *http.Request) kubetest.Fault { return kubetest.Refused })
		time.Sleep(39 * time.Second)
		if err := l.Hold(t.Context()); err != nil || len(s.Requests()) != requests {
			t.Errorf("fresh: %v, %d requests", err, len(s.Requests())-requests)
		}
		time.Sleep(10 * time.Minute)
		var transient *engine.TransientError
		if err := l.Hold(t.Context()); !errors.As(err, &transient) || errors.Is(err, engine.ErrFenced) {
			t.Errorf("away: %v", err)
		}
		s.Fail(nil)
		if err := l.Hold(t.Context()); err != nil || l.Epoch() != epoch {
			t.Errorf("back: %v, epoch %d, was %d", err, l.Epoch(), epoch)
		}
	})
}

// A person's unlock fences the holder for good, also when its Keep is running, and says who it was.
func TestUnlockFences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		l := acquired(t, s, ann("r1"))
		defer l.Keep(t.Context())()
		time.Sleep(time.Hour)
		if err := l.Hold(t.Context()); err != nil {
			t.Fatalf("kept: %v", err)
		}
		was, held, err := kube.NewLock(s.Client(t, "p"), kube.Identity{}).Unlock(t.Context(), "bob")
		if err != nil || !held || was.Run != "r1" || was.Who != "ann@bastion" || was.Expired {
			t.Errorf("unlock: %+v, %v, %v", was, held, err)
		}
		time.Sleep(11 * time.Second)
		if err := l.Hold(t.Context()); !errors.Is(err, engine.ErrFenced) || !strings.Contains(err.Error(), "bob") {
			t.Errorf("after unlock: %v", err)
		}
		next := acquired(t, s, ann("r2"))
		if next.Epoch() <= l.Epoch()+1 {
			t.Errorf("epoch %d after %d", next.Epoch(), l.Epoch())
		}
		if err := l.Release(t.Context()); err != nil {
			t.Errorf("releasing what is not ours: %v", err)
		}
		if err := next.Hold(t.Context()); err != nil {
			t.Errorf("the new holder: %v", err)
		}
	})
}

// Unlocking raises the epoch by itself, so that hosts which learn it from the next run refuse the former holder.
func TestUnlockRaisesTheEpoch(t *testing.T) {
	s := kubetest.New()
	first := acquired(t, s, ann("r1"))
	if _, _, err := kube.NewLock(s.Client(t, "p"), kube.Identity{}).Unlock(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	if next := acquired(t, s, ann("r2")); next.Epoch() < first.Epoch()+2 {
		t.Errorf("epoch %d after %d", next.Epoch(), first.Epoch())
	}
}

// A Lease that was deleted fences its holder, and the next epoch is higher all the same.
func TestEpochSurvivesDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		l := acquired(t, s, ann("r1"))
		s.Remove("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/upgrader")
		time.Sleep(2 * time.Minute)
		if err := l.Hold(t.Context()); !errors.Is(err, engine.ErrFenced) {
			t.Errorf("got %v", err)
		}
		if next := acquired(t, s, ann("r2")); next.Epoch() <= l.Epoch() {
			t.Errorf("epoch %d after %d", next.Epoch(), l.Epoch())
		}
	})
}

// Every request of a lock's life goes wrong once in every way; it is still held while it should be, free afterwards,
// and nobody else got in.
func TestLockSurvivesAFaultAtEveryRequest(t *testing.T) {
	for _, fault := range kubetest.Faults() {
		for nth := range 8 {
			t.Run(fmt.Sprintf("%s/%d", fault, nth), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := kubetest.New()
					s.Fail(func(n int, _ *http.Request) kubetest.Fault {
						if n == nth {
							return fault
						}
						return kubetest.None
					})
					l := acquired(t, s, ann("r1"))
					epoch := l.Epoch()
					for range 3 {
						time.Sleep(45 * time.Second)
						var transient *engine.TransientError
						if err := l.Hold(t.Context()); err != nil && !errors.As(err, &transient) {
							t.Errorf("hold: %v", err)
						}
					}
					if err := l.Hold(t.Context()); err != nil || l.Epoch() != epoch {
						t.Errorf("hold: %v, epoch %d, was %d", err, l.Epoch(), epoch)
					}
					var held *kube.HeldError
					if err := kube.NewLock(s.Client(t, "r2"), ann("r2")).Acquire(t.Context()); !errors.As(err, &held) {
						t.Errorf("another run: %v", err)
					}
					if err := l.Release(t.Context()); err != nil {
						t.Errorf("release: %v", err)
					}
					if h, taken, err := l.Holder(t.Context()); taken || err != nil {
						t.Errorf("after release: %+v, %v", h, err)
					}
				})
			})
		}
	}
}
