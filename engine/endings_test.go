package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// Two rollouts at once: the wake-up of the first must not swallow the later one of the second.
func TestEveryRolloutIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		g := &Graph{
			Nodes: []Node{node("a@h1", "a", "h1", "A"), node("a@h2", "a", "h2", "A"), node("b@h3", "b", "h3", "B"), node("b@h4", "b", "h4", "B")},
			Groups: []Group{
				{ID: "A", Hosts: []string{"h1", "h2"}, MaxUnavailable: 1, Soak: 10 * time.Second},
				{ID: "B", Hosts: []string{"h3", "h4"}, MaxUnavailable: 1, Soak: 40 * time.Second},
			},
		}
		b := binder{"a": &raiseStep{w: w, name: "a", repeat: Convergent}, "b": &raiseStep{w: w, name: "b", repeat: Convergent}}
		began := time.Now()
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: b})
		if took := time.Since(began); s.State != Done || took > time.Minute {
			t.Errorf("ended %s after %s, want done after the soaks, 40s", s.State, took)
		}
	})
}

// A tellStep is done once it was made: nothing on its host tells.
type tellStep struct {
	raiseStep
	key string
}

func (s *tellStep) OnceIsDone() bool { return true }
func (s *tellStep) Observe(context.Context, Scene) ([]Change, error) {
	return []Change{{Say: "tell", Repeat: Once, Do: func(_ context.Context, t Ticket) error { return s.w.raise(t, s.key) }}}, nil
}

// What is done finally is done at the end of every process of the run, not only of the first.
func TestWhatIsDoneFinallyIsDoneAgainAfterAResume(t *testing.T) {
	w := newWorld()
	broken := true
	b := binder{
		"x": stepFunc(func(context.Context, Scene) ([]Change, error) {
			if broken {
				return nil, errors.New("broken")
			}
			return nil, nil
		}),
		"tell": &tellStep{raiseStep: raiseStep{w: w}, key: "told"},
	}
	last := node("tell", "tell", Cluster, "")
	last.Finally = true
	g := &Graph{Nodes: []Node{node("x@h", "x", "h", ""), last}}
	log := &memory{w: w}
	if s := start(t, &Runner{Graph: g, Run: "r", Log: log, Binder: b}); s.State != Failed || w.effects["told"] != 1 {
		t.Fatalf("ended %s, told %d times", s.State, w.effects["told"])
	}
	broken = false
	if s := start(t, &Runner{Graph: g, Run: "r", Log: log, Binder: b}, log.records...); s.State != Done || w.effects["told"] != 2 {
		t.Errorf("resumed: ended %s, told %d times, want done and twice", s.State, w.effects["told"])
	}
}

// recall is a binder that yields the run's state, as engine/plan does: what was journaled goes before what is known.
type recall struct{ seen []string }

func (r *recall) Bind(_ *Node, facts Known, before map[string]string) (Bound, error) {
	state, ok := before["run.state"]
	if !ok {
		state, _ = facts.Fact(FactRunState)
	}
	r.seen = append(r.seen, state)
	return Bound{Step: stepFunc(func(context.Context, Scene) ([]Change, error) { return nil, nil }), Values: map[string]string{"run.state": state}}, nil
}

func TestWhatIsDoneFinallyKnowsTheStateOfThisProcess(t *testing.T) {
	r := &recall{}
	last := node("tell", "tell", Cluster, "")
	last.Finally = true
	g := &Graph{Nodes: []Node{last}}
	past := []journal.Record{
		{Kind: journal.Begin},
		{Kind: journal.Start, Node: "tell", Attempt: 1, Facts: Facts{"run.state": Failed}},
		{Kind: journal.Settled, Node: "tell", State: Done},
		{Kind: journal.End, State: Failed},
	}
	start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: newWorld()}, Binder: r}, past...)
	if len(r.seen) != 1 || r.seen[0] != Done {
		t.Errorf("the state was %q, want done", r.seen)
	}
}

// A step reads what the run knew at its beginning and what its changes have told since, also those of a process that is dead.
func TestAStepReadsWhatTheRunKnows(t *testing.T) {
	w := newWorld()
	stopped := true
	tells := func(_ context.Context, ticket Ticket) error {
		ticket.Learn(Facts{"ill@h": "cni"})
		return w.raise(ticket, "h/tell")
	}
	b := binder{
		"tell": &raiseStep{w: w, name: "tell", repeat: Convergent, do: tells},
		"read": stepFunc(func(_ context.Context, s Scene) ([]Change, error) {
			ill, knows := s.Fact("ill@h")
			version, _ := s.Fact("kubelet@h")
			if _, other := s.Fact("ill@other"); ill != "cni" || !knows || version != "1.27.3" || other {
				t.Errorf("knows %q (%t), %q and of another (%t)", ill, knows, version, other)
			}
			if stopped {
				return nil, errors.New("not this time")
			}
			return nil, nil
		}),
	}
	g := &Graph{Nodes: []Node{node("tell", "tell", "h", ""), node("read", "read", "h", "", "tell")}}
	log := &memory{w: w}
	start(t, &Runner{Graph: g, Run: "r", Log: log, Binder: b, Facts: Facts{"kubelet@h": "1.27.3"}})
	stopped = false
	if s := start(t, &Runner{Graph: g, Run: "r", Log: log, Binder: b}, log.records...); s.State != Done {
		t.Errorf("resumed: ended %s", s.State)
	}
}

// What is known of a change once it was tried is recorded before it is made: also a process that comes after one which was killed in the
// middle of it knows that, and nothing of what would have held afterwards.
func TestWhatWasTriedIsKnownAfterAKill(t *testing.T) {
	log := &memory{w: newWorld()}
	ctx, kill := context.WithCancel(t.Context())
	evict := stepFunc(func(context.Context, Scene) ([]Change, error) {
		return []Change{{Say: "evict", Repeat: Convergent, Tried: Facts{"evicted@h": "1"}, Then: Facts{"drained@h": "true"}, Do: func(context.Context, Ticket) error {
			kill()
			return nil
		}}}, nil
	})
	if err := (&Runner{Graph: one("x"), Run: "r", Log: log, Binder: binder{"x": evict}}).Start(ctx, nil); err != nil {
		t.Fatal(err)
	}
	look := stepFunc(func(_ context.Context, s Scene) ([]Change, error) {
		times, _ := s.Fact("evicted@h")
		if _, knows := s.Fact("drained@h"); times != "1" || knows {
			t.Errorf("knows of %q evictions, and that it is drained: %t", times, knows)
		}
		return nil, nil
	})
	if s := start(t, &Runner{Graph: one("x"), Run: "r", Log: log, Binder: binder{"x": look}}, log.records...); s.State != Done {
		t.Errorf("resumed: ended %s: %s", s.State, s.Why)
	}
}

// A once-effect that the plan no longer asks for proves nothing about the one that it asks for now.
func TestAnEditedOnceStepIsDone(t *testing.T) {
	w := newWorld()
	n := node("tell@h", "tell", "h", "")
	n.Digest = "new"
	g := &Graph{Nodes: []Node{n}}
	past := []journal.Record{
		{Kind: journal.Begin},
		{Kind: journal.Start, Node: "tell@h", Attempt: 1},
		{Kind: journal.Intent, Node: "tell@h", Ticket: "t1", Repeat: string(Once), Say: "tell"},
		{Kind: journal.Outcome, Node: "tell@h", Ticket: "t1", State: "ok"},
		{Kind: journal.Settled, Node: "tell@h", State: Done, Digest: "old"},
	}
	start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: binder{"tell": &tellStep{raiseStep: raiseStep{w: w}, key: "told"}}}, past...)
	if w.effects["told"] != 1 {
		t.Errorf("told %d times, want once: the step was edited", w.effects["told"])
	}
}

// The time in which a run lies still until a person decides is not the step's.
func TestADecisionTakesNoTimeFromItsStep(t *testing.T) {
	for _, ended := range []string{"", Paused, Failed} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			past := []journal.Record{
				{Kind: journal.Start, Node: "x@h", Attempt: 1, Time: began},
				{Kind: journal.Intent, Node: "x@h", Ticket: "t1", Repeat: string(Once), Say: "x", Time: began.Add(time.Minute)},
				{Kind: journal.Outcome, Node: "x@h", Ticket: "t1", State: "cut", Time: began.Add(time.Minute)},
			}
			if ended != "" {
				past = append(past, journal.Record{Kind: journal.Settled, Node: "x@h", State: ended, Time: began.Add(time.Minute)})
			}
			time.Sleep(24 * time.Hour)
			past = append(past, journal.Record{Kind: journal.Decision, Node: "x@h", State: "retry", Time: time.Now()})
			n := node("x@h", "x", "h", "")
			n.Timeout = 30 * time.Minute
			var left time.Duration
			look := stepFunc(func(ctx context.Context, _ Scene) ([]Change, error) {
				deadline, _ := ctx.Deadline()
				left = time.Until(deadline)
				return nil, nil
			})
			start(t, &Runner{Graph: &Graph{Nodes: []Node{n}}, Run: "r", Log: &memory{w: newWorld()}, Binder: binder{"x": look}}, past...)
			if left < 29*time.Minute || left > 30*time.Minute {
				t.Errorf("settled %q, decided a day later: %s left of 30m", ended, left)
			}
		})
	}
}

// nobody knows who is out of service: the API is away for good.
type unknowing struct{}

func (unknowing) Down(context.Context, []string) (map[string]string, error) {
	return nil, errors.New("the API is away")
}

// A rollout that can never find out which hosts are out of service ends the run with that reason, instead of hanging.
func TestALookThatNeverSucceedsEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		g := &Graph{Nodes: []Node{node("a@h1", "a", "h1", "A")}, Groups: []Group{{ID: "A", Hosts: []string{"h1"}, MaxUnavailable: 1}}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r := &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: binder{"a": &raiseStep{w: w, name: "a", repeat: Convergent}}, Availability: unknowing{}}
		s, err := startIn(ctx, r, nil)
		if err != nil || s.State == Running || s.Why == "" {
			t.Errorf("ended %q because of %q (%v), want an end with its reason", s.State, s.Why, err)
		}
		if w.effects["h1/a"] != 0 {
			t.Error("a host was let in without a look")
		}
	})
}

// An effect whose step has given up waiting for it goes on: the lock must not be given back meanwhile.
func TestAnEffectThatOutlivesItsStepIsUnderway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		step := &raiseStep{w: w, name: "x", repeat: Guarded, do: func(ctx context.Context, _ Ticket) error {
			<-ctx.Done()
			return InDoubt(errors.New("it may be running"))
		}}
		log := &memory{w: w}
		s := start(t, &Runner{Graph: one("x"), Run: "r", Log: log, Binder: binder{"x": step}, Settler: deaf{}})
		if s.State != Failed || !pastOf(one("x"), log.records).Underway() {
			t.Errorf("ended %s, underway %v; want failed with an effect that is underway", s.State, pastOf(one("x"), log.records).Underway())
		}
		s = start(t, &Runner{Graph: one("x"), Run: "r", Log: log, Binder: binder{"x": step}, Settler: w}, log.records...)
		if pastOf(one("x"), log.records).Underway() {
			t.Errorf("ended %s: settled, and still underway", s.State)
		}
	})
}

// deaf is a host that does not answer.
type deaf struct{}

func (deaf) Settle(ctx context.Context, _ Target, _ Ticket) (Settlement, error) {
	<-ctx.Done()
	return Settlement{}, Transient(context.Cause(ctx))
}

// hasty is a host whose answer to a deadline is an error of its own making.
type hasty struct{}

func (hasty) Settle(ctx context.Context, _ Target, _ Ticket) (Settlement, error) {
	<-ctx.Done()
	return Settlement{}, errors.New("before a command could be sent: deadline exceeded")
}

// A step that gives up waiting for its effect says so, and that the effect may go on.
func TestATimeoutWhileSettlingSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := &raiseStep{w: newWorld(), name: "x", repeat: Guarded, do: func(ctx context.Context, _ Ticket) error {
			<-ctx.Done()
			return InDoubt(errors.New("lost"))
		}}
		s := start(t, &Runner{Graph: one("x"), Run: "r", Log: &memory{w: newWorld()}, Binder: binder{"x": step}, Settler: hasty{}})
		if !strings.Contains(s.Why, "timed out") || !strings.Contains(s.Why, "may still be running") {
			t.Errorf("failed because of %q", s.Why)
		}
	})
}

// silent is a terminal at which nobody answers.
type silent struct{}

func (silent) Ask(ctx context.Context, _, _ string) (Decision, bool) {
	<-ctx.Done()
	return Decision{}, false
}
func (silent) Poll() map[string]Decision { return nil }

// A question at a terminal waits no longer than its step may.
func TestAQuestionEndsWithItsStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		b := binder{"x": stepFunc(func(context.Context, Scene) ([]Change, error) { return nil, Pause("go on?") })}
		began := time.Now()
		s, _ := startIn(ctx, &Runner{Graph: one("x"), Run: "r", Log: &memory{w: newWorld()}, Binder: b, Inbox: silent{}}, nil)
		if took := time.Since(began); s.State == Running || took > 2*time.Minute || !strings.Contains(s.Why, "timed out") {
			t.Errorf("ended %q after %s because of %q; want an end after the step's minute", s.State, took, s.Why)
		}
	})
}

// lostTwice cannot be asked at first.
type lostTwice struct {
	mu    sync.Mutex
	asked map[string]int
}

func (l *lostTwice) Settle(_ context.Context, _ Target, t Ticket) (Settlement, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked[t.ID]++; l.asked[t.ID] < 3 {
		return Settlement{}, Transient(errors.New(t.ID + " cannot be asked"))
	}
	return Settlement{Fate: Ended}, nil
}

// Several effects of one step may be in doubt at once; they are settled without stepping on each other.
func TestEffectsInDoubtTogetherAreSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 0
		b := binder{"x": stepFunc(func(context.Context, Scene) ([]Change, error) {
			if made++; made > 1 {
				return nil, nil
			}
			doubt := func(context.Context, Ticket) error { return InDoubt(errors.New("lost")) }
			return []Change{{Say: "a", Repeat: Guarded, Do: doubt}, {Say: "b", Repeat: Guarded, Do: doubt}}, nil
		})}
		if s := start(t, &Runner{Graph: one("x"), Run: "r", Log: &memory{w: newWorld()}, Binder: b, Settler: &lostTwice{asked: map[string]int{}}}); s.State != Done {
			t.Errorf("ended %s: %s", s.State, s.Why)
		}
	})
}
