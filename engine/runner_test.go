package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine/journal"
)

func TestRunAndRehearsalSayTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var would []journal.Record
		dry := &Runner{Graph: rollingGraph(), Run: "r", Binder: rollingBinder(w), Settler: w, Rehearse: true,
			Watch: func(r journal.Record) { would = append(would, r) }}
		if s := start(t, dry); s.State != Done {
			t.Fatalf("rehearsal ended %s: %s", s.State, s.Why)
		}
		if len(w.effects) != 0 {
			t.Fatalf("a rehearsal made %v", w.effects)
		}
		log := &memory{w: w}
		if s := start(t, &Runner{Graph: rollingGraph(), Run: "r", Log: log, Binder: rollingBinder(w), Settler: w}); s.State != Done {
			t.Fatalf("run ended %s: %s", s.State, s.Why)
		}
		checkWorld(t, w, "run")
		for _, h := range []string{"h1", "h2", "h3", "h4"} {
			if d := cmp.Diff(perHost(says(would), h), perHost(says(log.records), h)); d != "" {
				t.Errorf("on %s the rehearsal announced something else than was done (-announced +done):\n%s", h, d)
			}
		}
	})
}

// Killed at any append, before or after it is durable, and resumed, a run makes every effect exactly once.
func TestKilledAtEveryAppend(t *testing.T) {
	total := 0
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		log := &memory{w: w}
		start(t, &Runner{Graph: rollingGraph(), Run: "r", Log: log, Binder: rollingBinder(w), Settler: w})
		total = log.appends
	})
	if total < 40 {
		t.Fatalf("only %d appends in a whole run", total)
	}
	for at := 1; at <= total; at++ {
		for _, after := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				about := fmt.Sprintf("killed at append %d (durable: %v)", at, after)
				w := newWorld()
				log := &memory{w: w, dieAt: at, after: after}
				start(t, &Runner{Graph: rollingGraph(), Run: "r", Log: log, Binder: rollingBinder(w), Settler: w})
				w.dead, log.dieAt = false, 0
				s := start(t, &Runner{Graph: rollingGraph(), Run: "r", Log: log, Binder: rollingBinder(w), Settler: w}, log.records...)
				if s.State != Done {
					t.Errorf("%s: resumed and ended %s: %s", about, s.State, s.Why)
				}
				checkWorld(t, w, about)
			})
		}
	}
}

func one(kind string, more ...func(*Node)) *Graph {
	n := node(kind+"@h", kind, "h", "")
	for _, f := range more {
		f(&n)
	}
	return &Graph{Digest: "g", Nodes: []Node{n}}
}

func TestWaitingEndsAtTheDeadlineWithItsReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := binder{"x": stepFunc(func(context.Context, Scene) ([]Change, error) {
			return nil, NotYet("shop/cart-0 waits: PDB shop/cart allows 0")
		})}
		began := time.Now()
		s := start(t, &Runner{Graph: one("x"), Run: "r", Log: &memory{w: w}, Binder: b})
		if s.State != Failed || !strings.Contains(s.Why, "timed out after 1m0s, still waiting: shop/cart-0 waits: PDB shop/cart allows 0") {
			t.Errorf("ended %s: %s", s.State, s.Why)
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("took %s", took)
		}
	})
}

func TestTransientFailuresAreTriedAgainOthersAreNot(t *testing.T) {
	for _, c := range []struct {
		err   error
		looks int
	}{
		{errors.New("no such package"), 1},
		{Transient(errors.New("connection reset")), 3},
		{Refuse("kubelet 1.25.0 on w1 is too old", "upgrade it first"), 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			looks := 0
			b := binder{"x": stepFunc(func(context.Context, Scene) ([]Change, error) { looks++; return nil, c.err })}
			s := start(t, &Runner{Graph: one("x"), Run: "r", Log: &memory{w: newWorld()}, Binder: b})
			if looks != c.looks || s.State != Failed {
				t.Errorf("%v: looked %d times, want %d; ended %s", c.err, looks, c.looks, s.State)
			}
			if _, refused := asRefused(c.err); refused != s.Refused {
				t.Errorf("%v: refused is %v", c.err, s.Refused)
			}
		})
	}
}

func TestAChangeRefusedForNowIsMadeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, tries := newWorld(), 0
		step := &raiseStep{w: w, name: "x", repeat: Convergent}
		step.do = func(_ context.Context, tk Ticket) error {
			if tries++; tries < 4 {
				return NotYet("budget allows 0")
			}
			return w.raise(tk, "h/x")
		}
		log := &memory{w: w}
		s := start(t, &Runner{Graph: one("x"), Run: "r", Log: log, Binder: binder{"x": step}})
		if s.State != Done || tries != 4 || w.effects["h/x"] != 1 {
			t.Errorf("ended %s after %d tries with %d effects", s.State, tries, w.effects["h/x"])
		}
		tickets := map[string]bool{}
		for _, r := range log.records {
			if r.Kind == journal.Intent {
				if tickets[r.Ticket] {
					t.Errorf("ticket %s was used twice", r.Ticket)
				}
				tickets[r.Ticket] = true
			}
		}
	})
}

func TestAnEffectInDoubtIsSettledNotRepeated(t *testing.T) {
	for _, fate := range []string{"ok", "cut", ""} {
		for _, repeat := range []Repeat{Convergent, Guarded, Once} {
			synctest.Test(t, func(t *testing.T) {
				w, dos := newWorld(), 0
				step := &raiseStep{w: w, name: "x", repeat: repeat}
				step.do = func(_ context.Context, tk Ticket) error {
					if dos++; dos > 1 {
						return w.raise(tk, "h/x")
					}
					if w.jobs[tk.ID] = fate; fate == "ok" {
						w.value["h/x"] = 1
					}
					return InDoubt(errors.New("connection lost"))
				}
				s := start(t, &Runner{Graph: one("x"), Run: "r", Log: &memory{w: w}, Binder: binder{"x": step}, Settler: w})
				wantDos, wantState := 2, Done
				switch {
				case fate == "ok":
					wantDos = 1
				case fate == "cut" && repeat == Once:
					wantDos, wantState = 1, Paused
				}
				if dos != wantDos || s.State != wantState {
					t.Errorf("%s effect, job %q: done %d times and ended %s (%s); want %d and %s", repeat, fate, dos, s.State, s.Why, wantDos, wantState)
				}
			})
		}
	}
}

func TestACutOnceEffectWaitsForAPersonAcrossResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		step := &raiseStep{w: w, name: "x", repeat: Once}
		step.do = func(_ context.Context, tk Ticket) error {
			w.jobs[tk.ID] = "cut"
			return InDoubt(errors.New("rebooted"))
		}
		log := &memory{w: w}
		run := func() Summary {
			return start(t, &Runner{Graph: one("x"), Run: "r", Log: log, Binder: binder{"x": step}, Settler: w}, log.records...)
		}
		for i := range 2 {
			if s := run(); s.State != Paused || !strings.Contains(s.Why, "--settle x@h=done") {
				t.Fatalf("time %d: ended %s: %s", i+1, s.State, s.Why)
			}
		}
		step.do = nil
		log.records = append(log.records, journal.Record{Kind: journal.Decision, Node: "x@h", State: "retry", Who: "me"})
		if s := run(); s.State != Done || w.effects["h/x"] != 1 {
			t.Errorf("after the decision: ended %s with %d effects: %s", s.State, w.effects["h/x"], s.Why)
		}
	})
}

func TestOneFailureStartsNothingNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := rollingBinder(w)
		b["b"] = stepFunc(func(_ context.Context, s Scene) ([]Change, error) {
			if s.Target.Name == "h2" {
				return nil, errors.New("disk is full")
			}
			return (&raiseStep{w: w, name: "b", repeat: Convergent}).Observe(t.Context(), s)
		})
		log := &memory{w: w}
		s := start(t, &Runner{Graph: rollingGraph(), Run: "r", Log: log, Binder: b, Settler: w})
		if s.State != Failed || !strings.Contains(s.Why, "b@h2: disk is full") {
			t.Errorf("ended %s: %s", s.State, s.Why)
		}
		if w.effects["h4/a"] != 0 || w.effects["h1/c"] != 1 {
			t.Errorf("effects %v: h4 must not have begun, the canary h1 must be finished", w.effects)
		}
		s = start(t, &Runner{Graph: rollingGraph(), Run: "r", Log: log, Binder: rollingBinder(w), Settler: w}, log.records...)
		if s.State != Done {
			t.Errorf("after mending it the resume ended %s: %s", s.State, s.Why)
		}
		checkWorld(t, w, "resumed after a failure")
	})
}

func TestAStopEndsAtAChangeBoundaryAndResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := newWorld(), make(chan struct{})
		b := rollingBinder(w)
		slow := &raiseStep{w: w, name: "b", repeat: Convergent}
		b["b"] = stepFunc(func(ctx context.Context, s Scene) ([]Change, error) {
			slow.do = func(_ context.Context, tk Ticket) error {
				time.Sleep(10 * time.Second)
				return w.raise(tk, s.Target.Name+"/b")
			}
			return slow.Observe(ctx, s)
		})
		time.AfterFunc(5*time.Second, func() { close(stop) })
		log := &memory{w: w}
		s, err := startIn(t.Context(), &Runner{Graph: rollingGraph(), Run: "r", Log: log, Binder: b, Settler: w}, stop)
		if err != nil || s.State != Paused || !s.Interrupted {
			t.Fatalf("ended %s (interrupted %v): %v", s.State, s.Interrupted, err)
		}
		if w.effects["h1/b"] != 1 || w.effects["h1/c"] != 0 {
			t.Errorf("effects %v: the change under way must finish, the next must not begin", w.effects)
		}
		if s = start(t, &Runner{Graph: rollingGraph(), Run: "r", Log: log, Binder: rollingBinder(w), Settler: w}, log.records...); s.State != Done {
			t.Errorf("resume ended %s: %s", s.State, s.Why)
		}
		checkWorld(t, w, "resumed after a stop")
	})
}

func TestDetachReturnsAtOnceAndLeavesTheEffectOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		step := &raiseStep{w: w, name: "x", repeat: Guarded}
		step.do = func(ctx context.Context, tk Ticket) error {
			w.jobs[tk.ID], w.value["h/x"] = "ok", 1
			w.effects["h/x"]++
			<-ctx.Done()
			return InDoubt(ctx.Err())
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		log := &memory{w: w}
		began := time.Now()
		s, err := startIn(ctx, &Runner{Graph: one("x"), Run: "r", Log: log, Binder: binder{"x": step}, Settler: w}, nil)
		if err != nil || s.State != Running || time.Since(began) != 3*time.Second {
			t.Fatalf("detached after %s in state %s: %v", time.Since(began), s.State, err)
		}
		if !pastOf(one("x"), log.records).Underway() {
			t.Fatal("no effect is open")
		}
		if s := start(t, &Runner{Graph: one("x"), Run: "r", Log: log, Binder: binder{"x": step}, Settler: w}, log.records...); s.State != Done || w.effects["h/x"] != 1 {
			t.Errorf("resume ended %s with %d effects", s.State, w.effects["h/x"])
		}
	})
}

// undoStep fails after its first change and takes it back.
type undoStep struct{ *raiseStep }

func (s *undoStep) Observe(ctx context.Context, sc Scene) ([]Change, error) {
	c, err := s.raiseStep.Observe(ctx, sc)
	if err == nil && len(c) == 0 {
		err = NotYet("pods are left")
	}
	return c, err
}

func (s *undoStep) Undo(context.Context, Scene) ([]Change, error) {
	if s.w.value["h/x"] == 0 {
		return nil, nil
	}
	return []Change{{Say: "lower x", Repeat: Convergent, Do: func(context.Context, Ticket) error { s.w.value["h/x"] = 0; return nil }}}, nil
}

func TestAFailedStepIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		log := &memory{w: w}
		s := start(t, &Runner{Graph: one("x"), Run: "r", Log: log, Settler: w, Binder: binder{"x": &undoStep{&raiseStep{w: w, name: "x", repeat: Convergent}}}})
		if s.State != Failed || w.value["h/x"] != 0 {
			t.Errorf("ended %s with x at %d: %s", s.State, w.value["h/x"], s.Why)
		}
		if d := cmp.Diff([]string{"x@h: raise x", "x@h: lower x"}, says(log.records)); d != "" {
			t.Error(d)
		}
	})
}

func TestAStepThatDoesNotConvergeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := binder{"x": stepFunc(func(context.Context, Scene) ([]Change, error) {
			return []Change{{Say: "turn", Repeat: Convergent, Do: func(context.Context, Ticket) error { return nil }}}, nil
		})}
		s := start(t, &Runner{Graph: one("x"), Run: "r", Log: &memory{w: newWorld()}, Binder: b})
		if s.State != Failed || !strings.Contains(s.Why, "did not converge") {
			t.Errorf("ended %s: %s", s.State, s.Why)
		}
	})
}

func TestAPanicIsAFailureOfItsStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := binder{"x": stepFunc(func(context.Context, Scene) ([]Change, error) { panic("boom") })}
		s := start(t, &Runner{Graph: one("x"), Run: "r", Log: &memory{w: newWorld()}, Binder: b})
		if s.State != Failed || !strings.Contains(s.Why, "boom") {
			t.Errorf("ended %s: %s", s.State, s.Why)
		}
	})
}

func TestWhatIsDoneFinallyAlsoFollowsAFailure(t *testing.T) {
	for _, bad := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			last := node("last@h", "last", "h", "", "x@h")
			last.Finally = true
			g := one("x")
			g.Nodes = append(g.Nodes, last)
			b := binder{"x": &raiseStep{w: w, name: "x", repeat: Guarded}, "last": &raiseStep{w: w, name: "last", repeat: Guarded}}
			if bad {
				b["x"] = stepFunc(func(context.Context, Scene) ([]Change, error) { return nil, errors.New("bad") })
			}
			s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: b, Settler: w})
			if want := map[bool]string{false: Done, true: Failed}[bad]; s.State != want || w.effects["h/last"] != 1 {
				t.Errorf("ended %s, want %s; done finally %d times", s.State, want, w.effects["h/last"])
			}
		})
	}
}

type desk struct{ verdict string }

func (d desk) Ask(context.Context, string, string) (Decision, bool) {
	return Decision{Verdict: d.verdict, Who: "ana"}, d.verdict != ""
}
func (d desk) Poll() map[string]Decision { return nil }

func TestApproval(t *testing.T) {
	for verdict, want := range map[string]string{"approve": Done, "reject": Failed, "": Paused} {
		synctest.Test(t, func(t *testing.T) {
			b := binder{"x": stepFunc(func(_ context.Context, s Scene) ([]Change, error) {
				switch s.Decision.Verdict {
				case "approve":
					return nil, nil
				case "reject":
					return nil, fmt.Errorf("rejected by %s", s.Decision.Who)
				}
				return nil, Pause("go on?")
			})}
			log := &memory{w: newWorld()}
			if s := start(t, &Runner{Graph: one("x"), Run: "r", Log: log, Binder: b, Inbox: desk{verdict}}); s.State != want {
				t.Errorf("answered %q: ended %s, want %s", verdict, s.State, want)
			}
			if s := start(t, &Runner{Graph: one("x"), Run: "r", Log: log, Binder: b, Inbox: desk{"approve"}}, log.records...); verdict != "reject" && s.State != Done {
				t.Errorf("answered %q, then approved: ended %s", verdict, s.State)
			}
		})
	}
}

type guard struct {
	mu  sync.Mutex
	err error
}

func (g *guard) Hold(context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}
func (g *guard) set(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}
func (g *guard) Epoch() int64 { return 7 }

func TestNothingStartsWithoutTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, lock := newWorld(), &guard{err: Transient(errors.New("API is away"))}
		time.AfterFunc(20*time.Second, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(w.effects) != 0 {
				t.Errorf("without the lock: %v", w.effects)
			}
			lock.set(nil)
		})
		log := &memory{w: w}
		s := start(t, &Runner{Graph: one("x"), Run: "r", Log: log, Settler: w, Guard: lock, Binder: binder{"x": &raiseStep{w: w, name: "x", repeat: Guarded}}})
		if s.State != Done || w.effects["h/x"] != 1 {
			t.Errorf("ended %s with %v", s.State, w.effects)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		said := "w1: " + ErrFenced.Error() + ": the host has seen epoch 7" // in whatever place the words stand
		for why, fence := range map[string]error{ErrFenced.Error(): ErrFenced, said: fmt.Errorf("w1: %w: the host has seen epoch 7", ErrFenced)} {
			_, err := startIn(t.Context(), &Runner{Graph: one("x"), Run: "r", Log: &memory{w: w}, Settler: w, Guard: &guard{err: fence},
				Binder: binder{"x": &raiseStep{w: w, name: "x", repeat: Guarded}}}, nil)
			if !errors.Is(err, ErrFenced) || err.Error() != why || strings.Count(err.Error(), ErrFenced.Error()) != 1 || len(w.effects) != 0 {
				t.Errorf("fenced: %v with %v, want %s", err, w.effects, why)
			}
		}
	})
}

// The step that takes the API away may go on without the lock; nobody else may.
func TestOutageWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, lock := newWorld(), &guard{}
		away := &raiseStep{w: w, name: "x", repeat: Guarded}
		second := false
		b := binder{"x": stepFunc(func(ctx context.Context, s Scene) ([]Change, error) {
			c, err := away.Observe(ctx, s)
			if len(c) > 0 {
				c[0].Outage = time.Minute
				c[0].Do = func(_ context.Context, tk Ticket) error {
					lock.set(Transient(errors.New("API is away")))
					time.Sleep(5 * time.Second)
					return w.raise(tk, "h/x")
				}
				return c, err
			}
			if !second {
				second = true
				return []Change{{Say: "second", Repeat: Convergent, Do: func(context.Context, Ticket) error {
					time.Sleep(10 * time.Second)
					lock.set(nil)
					return nil
				}}}, nil
			}
			return nil, nil
		}), "y": stepFunc(func(ctx context.Context, s Scene) ([]Change, error) {
			if time.Since(s.Since) < 2*time.Second {
				return nil, NotYet("a moment")
			}
			return (&raiseStep{w: w, name: "y", repeat: Guarded, do: func(_ context.Context, tk Ticket) error {
				if lock.Hold(t.Context()) != nil {
					t.Error("y acted while the API was away because of x")
				}
				return w.raise(tk, "h/y")
			}}).Observe(ctx, s)
		})}
		g := one("x")
		g.Nodes = append(g.Nodes, node("y@h", "y", "h", ""))
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Settler: w, Guard: lock, Binder: b})
		if s.State != Done || w.effects["h/x"] != 1 || w.effects["h/y"] != 1 {
			t.Errorf("ended %s with %v: %s", s.State, w.effects, s.Why)
		}
	})
}

// broken breaks down whatever it is asked.
type broken struct{}

func (broken) Observe(context.Context, Scene) ([]Change, error)           { panic("oh") }
func (broken) Hold(context.Context) error                                 { panic("oh") }
func (broken) Epoch() int64                                               { return 1 }
func (broken) Down(context.Context, []string) (map[string]string, error)  { panic("oh") }
func (broken) Poll() map[string]Decision                                  { panic("oh") }
func (broken) Ask(context.Context, string, string) (Decision, bool)       { panic("oh") }
func (broken) Settle(context.Context, Target, Ticket) (Settlement, error) { panic("oh") }
func (broken) Bind(*Node, Known, map[string]string) (Bound, error)        { panic("oh") }

// Whatever breaks down in a worker, the run ends in words and everything else that is under way ends as it would have.
func TestWhatBreaksDownEndsInWords(t *testing.T) {
	asks := stepFunc(func(context.Context, Scene) ([]Change, error) { return nil, Pause("go on?") })
	for name, breaks := range map[string]func(r *Runner, w *world){
		"binder":      func(r *Runner, _ *world) { r.Binder = broken{} },
		"observation": func(r *Runner, _ *world) { r.Binder = binder{"x": broken{}} },
		"change": func(r *Runner, w *world) {
			r.Binder = binder{"x": &raiseStep{w: w, name: "x", repeat: Guarded, do: func(context.Context, Ticket) error { panic("oh") }}}
			r.Settler = broken{}
		},
		"lock":         func(r *Runner, _ *world) { r.Guard = broken{} },
		"availability": func(r *Runner, _ *world) { r.Availability = broken{} },
		"inbox":        func(r *Runner, _ *world) { r.Binder, r.Inbox = binder{"x": asks}, broken{} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				r := &Runner{Graph: rolling("roll", 1, []string{"x"}, "h1"), Run: "r", Log: &memory{w: w}, Settler: w, Binder: binder{"x": &raiseStep{w: w, name: "x", repeat: Guarded}}}
				breaks(r, w)
				s := start(t, r)
				if said := s.Why + s.Nodes[0].Message; s.State != Failed && s.State != Paused || !strings.Contains(said, "broke down, which is an error in upgrader itself: oh") {
					t.Errorf("ended %s: %s", s.State, said)
				}
			})
		})
	}
}
