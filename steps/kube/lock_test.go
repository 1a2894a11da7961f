package kube_test

import (
	"context"
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
	return kube.Identity{Run: run, Person: "ann", Machine: "bastion", Plan: "1.27-to-1.28", LockFile: "boot/1/2"}
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

// Who may take a lock that run r1 holds: only r1 itself, and only a process that has the very lock file of the one before.
func TestTakeover(t *testing.T) {
	copied, elsewhere, unknown := ann("r1"), ann("r1"), ann("r1")
	copied.LockFile = "boot/1/3"
	elsewhere.Machine, elsewhere.LockFile = "laptop", "boot2/1/2"
	unknown.LockFile = ""
	for _, tt := range []struct {
		name string
		who  kube.Identity
		wait time.Duration
		says string // of the refusal
	}{
		{"a resume", ann("r1"), 0, ""},
		{"a resume after long", ann("r1"), time.Hour, ""},
		{"a resume with a copy of the state", copied, 0, "another process"},
		{"a resume with a copy of the state, after long", copied, time.Hour, "another process"},
		{"a resume elsewhere", elsewhere, 0, "ann@bastion"},
		{"a resume by who knows nothing of lock files", unknown, time.Hour, "another process"},
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
				if !errors.As(err, &held) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "`upgrader unlock --run r1/"+held.Nonce+"`") {
					t.Errorf("got %v", err)
				}
				if held.Run != "r1" || held.Nonce == "" || held.Plan != "1.27-to-1.28" || held.Epoch != first.Epoch() || held.Same != (tt.who.Run == "r1") {
					t.Errorf("got %+v", held)
				}
			})
		})
	}
}

// A resume that cannot know whether the process before is gone waits for a sign of life: the whole time of a Lease, in
// which the API server could be asked.
func TestOutwait(t *testing.T) {
	copied := ann("r1")
	copied.LockFile = "boot/1/3"
	for _, tt := range []struct {
		name  string
		alive bool
		away  time.Duration // of the API server, from ten seconds on
		takes bool
		after time.Duration
	}{
		{"dead", false, 0, true, 60 * time.Second},
		{"alive", true, 0, false, 0},
		{"alive, but the API was away", true, 10 * time.Minute, false, 0},
		{"dead, and the API was away", false, 10 * time.Minute, true, 11 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, began := kubetest.New(), time.Now()
				first := acquired(t, s, ann("r1"))
				if tt.alive {
					defer first.Keep(t.Context())()
				}
				s.Fail(func(int, *http.Request) kubetest.Fault {
					if e := time.Since(began) - 10*time.Second; e >= 0 && e < tt.away {
						return kubetest.Refused
					}
					return kubetest.None
				})
				next := kube.NewLock(s.Client(t, "x"), copied)
				err := next.Outwait(t.Context())
				var held *kube.HeldError
				if tt.takes != (err == nil) || !tt.takes && !errors.As(err, &held) {
					t.Errorf("after %s: %v", time.Since(began), err)
				}
				if took := time.Since(began); tt.takes && (took < tt.after || took > tt.after+15*time.Second) {
					t.Errorf("it took %s, want %s", took, tt.after)
				}
			})
		})
	}
}

// A Lease whose duration somebody has edited is outwaited as one of ours is.
func TestOutwaitOfAnEditedLease(t *testing.T) {
	for _, seconds := range []string{"2147483647", "0", "-5"} {
		synctest.Test(t, func(t *testing.T) {
			s, began := kubetest.New(), time.Now()
			s.Set(t, "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/upgrader",
				`{"metadata": {"name": "upgrader", "namespace": "kube-system"}, "spec": {"holderIdentity": "r1@ann@bastion/0", "leaseDurationSeconds": `+seconds+`}}`)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			err := kube.NewLock(s.Client(t, "x"), ann("r1")).Outwait(ctx)
			if took := time.Since(began); err != nil || took < time.Minute || took > 75*time.Second {
				t.Errorf("%s: %v after %s", seconds, err, took)
			}
		})
	}
}

// Hold believes a renewal for 50 seconds without a request, then asks; an API that is away is a transient error and the
// lock is held again, under the same epoch, when it is back.
func TestHoldThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		l := acquired(t, s, ann("r1"))
		epoch, requests := l.Epoch(), len(s.Requests())
		s.Fail(func(int, *http.Request) kubetest.Fault { return kubetest.Refused })
		time.Sleep(49 * time.Second)
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

// unlock takes the lock away from whoever has it, as `upgrader unlock` does.
func unlock(t *testing.T, s *kubetest.Server) kube.Holder {
	t.Helper()
	bob := kube.NewLock(s.Client(t, "bob"), kube.Identity{Person: "bob", Machine: "laptop"})
	was, held, err := bob.Holder(t.Context())
	if err != nil || !held {
		t.Fatalf("to unlock: %v, held %v", err, held)
	}
	if err := bob.Unlock(t.Context(), was, false, func(time.Duration) {}); err != nil {
		t.Fatal(err)
	}
	return was
}

// A person's unlock fences the holder for good, also when its Keep is running, and says who it was. The lock is free only
// when the holder has stopped to believe that it has it.
func TestUnlockFences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		l := acquired(t, s, ann("r1"))
		defer l.Keep(t.Context())()
		time.Sleep(time.Hour)
		if err := l.Hold(t.Context()); err != nil {
			t.Fatalf("kept: %v", err)
		}
		began := time.Now()
		if was := unlock(t, s); was.Run != "r1" || was.Who != "ann@bastion" || was.Expired {
			t.Errorf("unlocked %+v", was)
		}
		if took := time.Since(began); took != 55*time.Second {
			t.Errorf("unlock took %s", took)
		}
		if err := l.Hold(t.Context()); !errors.Is(err, engine.ErrFenced) || !strings.Contains(err.Error(), "bob@laptop") {
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

// Of a process that is known to be gone a write may still be on its way, and then at work in the server for as long as a
// write may take: only after both is the lock free.
func TestUnlockOutlastsTheWritesOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		acquired(t, s, ann("r1"))
		bob := kube.NewLock(s.Client(t, "bob"), kube.Identity{Person: "bob", Machine: "laptop"})
		was, _, err := bob.Holder(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := bob.Unlock(t.Context(), was, true, func(time.Duration) {}); err != nil {
			t.Fatal(err)
		}
		if took, want := time.Since(began), 45*time.Second; took != want {
			t.Errorf("unlock took %s, want %s: 5 on the way and 40 in the server", took, want)
		}
	})
}

// An unlock that is cut short keeps everybody out, the run that it was taken from too, until the next one has finished it.
func TestUnlockCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		first := acquired(t, s, ann("r1"))
		bob := kube.NewLock(s.Client(t, "bob"), kube.Identity{Person: "bob", Machine: "laptop"})
		was, _, err := bob.Holder(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cut := context.WithCancel(t.Context())
		err = bob.Unlock(ctx, was, false, func(time.Duration) { cut() })
		if err == nil || !strings.Contains(err.Error(), "to finish it: `upgrader unlock`") {
			t.Errorf("cut short: %v", err)
		}
		for _, run := range []string{"r1", "r2"} {
			var held *kube.HeldError
			if err := kube.NewLock(s.Client(t, run), ann(run)).Acquire(t.Context()); !errors.As(err, &held) || held.Unlocking != "bob@laptop" || held.Run != "r1" {
				t.Errorf("%s in the middle: %v", run, err)
			}
		}
		time.Sleep(time.Hour)
		if again := unlock(t, s); again.Run != "r1" || again.Unlocking != "bob@laptop" || again.Nonce != was.Nonce {
			t.Errorf("finished %+v", again)
		}
		if next := acquired(t, s, ann("r2")); next.Epoch() < first.Epoch()+2 {
			t.Errorf("epoch %d after %d", next.Epoch(), first.Epoch())
		}
	})
}

// Whoever took the lock after a person looked is not the one that was meant, though it be the same run.
func TestUnlockTakesOnlyWhatWasSeen(t *testing.T) {
	for _, run := range []string{"r1", "r2"} {
		s := kubetest.New()
		first := acquired(t, s, ann("r1"))
		bob := kube.NewLock(s.Client(t, "bob"), kube.Identity{Person: "bob", Machine: "laptop"})
		seen, _, err := bob.Holder(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		next := acquired(t, s, ann(run))
		if err := bob.Unlock(t.Context(), seen, true, func(time.Duration) {}); !errors.Is(err, kube.ErrMoved) {
			t.Errorf("%s: %v", run, err)
		}
		if h, held, err := bob.Holder(t.Context()); err != nil || !held || h.Epoch != next.Epoch() || h.Unlocking != "" {
			t.Errorf("%s: %+v, %v", run, h, err)
		}
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

// A Lease that somebody edited leaves no higher epoch. Who is to take it, or to take it away, is told at once.
func TestAnEpochThatNothingIsAbove(t *testing.T) {
	const path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/upgrader"
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		s.Set(t, path, `{"metadata": {"name": "upgrader", "namespace": "kube-system"}, "spec": {"leaseTransitions": 2147483647}}`)
		err := kube.NewLock(s.Client(t, "x"), ann("r1")).Acquire(t.Context())
		if err == nil || !strings.Contains(err.Error(), "`kubectl -n kube-system delete lease upgrader`") || len(s.Requests()) != 1 {
			t.Errorf("taken: %v with %v", err, s.Requests())
		}
		s.Set(t, path, `{"metadata": {"name": "upgrader", "namespace": "kube-system"}, "spec": {"holderIdentity": "r1@ann@bastion/0", "leaseTransitions": 2147483647}}`)
		l := kube.NewLock(s.Client(t, "x"), ann("r2"))
		holder, _, err := l.Holder(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		err = l.Unlock(t.Context(), holder, false, func(time.Duration) {})
		if err == nil || !strings.Contains(err.Error(), "`kubectl -n kube-system delete lease upgrader`") {
			t.Errorf("taken away: %v", err)
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
						time.Sleep(75 * time.Second)
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
