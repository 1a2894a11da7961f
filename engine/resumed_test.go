package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

type never struct{}

func (never) Settle(context.Context, Target, Ticket) (Settlement, error) {
	return Settlement{Fate: NeverStarted}, nil
}

// A step that is done once is not done by an effect of which its host says that it never started.
func TestAOnceStepThatNeverStartedIsNotDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, calls := newWorld(), 0
		s := &onceTell{w: w, do: func(_ context.Context, tk Ticket) error {
			if calls++; calls == 1 {
				return InDoubt(errors.New("connection lost while sending"))
			}
			return w.raise(tk, "told")
		}}
		sum := start(t, &Runner{Graph: one("x"), Run: "r", Log: &memory{w: w}, Binder: binder{"x": s}, Settler: never{}})
		if sum.State == Done && w.effects["told"] == 0 {
			t.Errorf("the run is done and the command never ran")
		}
	})
}

// unheard is a step that hears nothing of what its effect told.
type unheard struct{ onceTell }

func (*unheard) Hear(_ Target, t Ticket) (Ticket, func() error) {
	return t, func() error { return errors.New("its fact is not known") }
}

// A step whose effect ended well while nobody heard what it told has failed: those that need that would wait for ever.
func TestAStepThatWasNotHeardHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, asked := newWorld(), 0
		s := &unheard{onceTell{w: w, do: func(_ context.Context, tk Ticket) error {
			return InDoubt(errors.Join(errors.New("connection lost"), w.raise(tk, "told")))
		}}}
		sum := start(t, &Runner{Graph: one("x"), Run: "r", Log: &memory{w: w}, Binder: binder{"x": s}, Settler: counting{&asked}})
		if sum.State != Failed || asked != 1 || !strings.Contains(sum.Nodes[0].Message, "its fact is not known") {
			t.Errorf("ended %s: %s", sum.State, sum.Nodes[0].Message)
		}
	})
}

// twice is a step of which nothing can tell which of its two changes were made.
type twice struct{ onceTell }

func (s *twice) Observe(ctx context.Context, sc Scene) ([]Change, error) {
	changes, err := s.onceTell.Observe(ctx, sc)
	return append(changes, changes...), err
}

// A step that is done when its change was made may ask for one only: of two, one may have failed. Neither is made.
func TestAOnceStepMakesOneChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := &twice{onceTell{w: w, do: func(_ context.Context, tk Ticket) error { return w.raise(tk, "told") }}}
		sum := start(t, &Runner{Graph: one("x"), Run: "r", Log: &memory{w: w}, Binder: binder{"x": s}})
		if sum.State != Failed || w.effects["told"] != 0 || !strings.Contains(sum.Nodes[0].Message, "asked for 2") {
			t.Errorf("ended %s after %d: %s", sum.State, w.effects["told"], sum.Nodes[0].Message)
		}
	})
}

type onceTell struct {
	w  *world
	do func(context.Context, Ticket) error
}

func (*onceTell) OnceIsDone() bool { return true }
func (s *onceTell) Observe(context.Context, Scene) ([]Change, error) {
	return []Change{{Say: "tell", Repeat: Once, Do: s.do}}, nil
}

// What is done finally is done also when a gate is closed to a resume.
func TestWhatIsDoneFinallyPassesAClosedGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		gate := node("gate", "gate", Cluster, "")
		gate.Gate = true
		fin := node("fin", "fin", Cluster, "")
		fin.Finally = true
		g := &Graph{Nodes: []Node{gate, node("x@h", "x", "h", "", "gate"), fin}}
		b := binder{"gate": stepFunc(func(context.Context, Scene) ([]Change, error) { return nil, Refuse("closed", "") }),
			"x": &raiseStep{w: w, name: "x", repeat: Convergent}, "fin": &raiseStep{w: w, name: "fin", repeat: Convergent}}
		past := []journal.Record{{Kind: journal.Begin}, {Kind: journal.Start, Node: "gate", Attempt: 1}, {Kind: journal.Settled, Node: "gate", State: Done}}
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: b}, past...)
		if w.effects["cluster/fin"] != 1 {
			t.Errorf("ended %s, finally made %d effects; nodes %+v", s.State, w.effects["cluster/fin"], s.Nodes)
		}
	})
}

// After a failure, a rollout among what is done finally still goes over all its hosts.
func TestARolloutDoneFinallyGoesOverEveryHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		g := &Graph{Nodes: []Node{node("x@h", "x", "h", "")}, Groups: []Group{{ID: "fin", Hosts: []string{"h1", "h2", "h3"}, MaxUnavailable: 1}}}
		for _, h := range g.Groups[0].Hosts {
			n := node("fin@"+h, "fin", h, "fin")
			n.Finally = true
			g.Nodes = append(g.Nodes, n)
		}
		b := binder{"x": stepFunc(func(context.Context, Scene) ([]Change, error) { return nil, errors.New("broken") }), "fin": &raiseStep{w: w, name: "fin", repeat: Convergent}}
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: b})
		for _, h := range g.Groups[0].Hosts {
			if w.effects[h+"/fin"] != 1 {
				t.Errorf("ended %s: finally on %s: %d", s.State, h, w.effects[h+"/fin"])
			}
		}
	})
}

type retryBinder struct{ binder }

func (retryBinder) Retry(*Node, error) (bool, error) { return true, nil }

type denied struct{}

func (denied) Settle(context.Context, Target, Ticket) (Settlement, error) {
	return Settlement{}, errors.New("permission denied")
}

// No word of a plan makes an effect again of which nobody knows whether it has ended.
func TestRetryNeverRepeatsAnOpenEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := 0
		s := &raiseStep{w: newWorld(), name: "x", repeat: Once, do: func(context.Context, Ticket) error {
			begun++
			return InDoubt(errors.New("lost"))
		}}
		g := one("x")
		g.Nodes[0].Retry.On = "true"
		start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: newWorld()}, Binder: retryBinder{binder{"x": s}}, Settler: denied{}})
		if begun != 1 {
			t.Errorf("a once-effect in doubt was begun %d times", begun)
		}
	})
}

// counting says that every effect has ended well, and how often it was asked.
type counting struct{ asked *int }

func (c counting) Settle(context.Context, Target, Ticket) (Settlement, error) {
	*c.asked++
	return Settlement{Fate: Ended}, nil
}
func openPast(n string) []journal.Record {
	return []journal.Record{{Kind: journal.Begin}, {Kind: journal.Start, Node: n, Attempt: 1},
		{Kind: journal.Intent, Node: n, Ticket: "t1", Repeat: string(Guarded), Say: "kubeadm upgrade"}}
}

// A plan that was edited must still have the steps whose effects may be going on.
func TestAResumeDoesNotForgetAnEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, asked := newWorld(), 0
		_, err := startIn(t.Context(), &Runner{Graph: one("x"), Run: "r", Log: &memory{w: w}, Binder: binder{"x": &raiseStep{w: w, name: "x", repeat: Guarded}}, Settler: counting{&asked}}, nil, openPast("old@h")...)
		if err == nil || !strings.Contains(err.Error(), `"kubeadm upgrade" of step old@h may still be going on`) || w.effects["h/x"] > 0 {
			t.Errorf("%v; %d new effects", err, w.effects["h/x"])
		}
	})
}

// A step whose `when` has become false is skipped once its effect has ended.
func TestASkippedStepIsSettledFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, asked := newWorld(), 0
		g := &Graph{Nodes: []Node{node("x@h", "x", "h", ""), node("y@h", "y", "h", "", "x@h")}}
		g.Nodes[0].When = "false"
		sum := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: binder{"x": &raiseStep{w: w, name: "x", repeat: Guarded}, "y": &raiseStep{w: w, name: "y", repeat: Guarded}}, Settler: counting{&asked}}, openPast("x@h")...)
		if asked == 0 && w.effects["h/y"] == 1 {
			t.Errorf("ended %s: y was done while x's effect may be running", sum.State)
		}
	})
}

// A step that is done once and was edited after it was killed is done by its new text.
func TestAnEditedOnceStepIsNotDoneByItsOldText(t *testing.T) {
	w := newWorld()
	n := node("tell@h", "tell", "h", "")
	n.Digest = "new"
	past := []journal.Record{{Kind: journal.Begin}, {Kind: journal.Start, Node: "tell@h", Attempt: 1},
		{Kind: journal.Intent, Node: "tell@h", Ticket: "t1", Repeat: string(Once), Say: "tell the old text", Digest: "old"},
		{Kind: journal.Outcome, Node: "tell@h", Ticket: "t1", State: "ok"}} // killed before Settled; then edited
	s := start(t, &Runner{Graph: &Graph{Nodes: []Node{n}}, Run: "r", Log: &memory{w: w}, Binder: binder{"tell": &tellStep{raiseStep: raiseStep{w: w}, key: "told"}}}, past...)
	if w.effects["told"] != 1 {
		t.Errorf("ended %s: the new text was run %d times", s.State, w.effects["told"])
	}
}

// A step is started early to find out what became of its effect. What it does next waits for its needs.
func TestSettlingEarlyIsNotActingEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, asked := newWorld(), 0
		var order []string
		slow := stepFunc(func(_ context.Context, s Scene) ([]Change, error) {
			if w.value["h/a"] > 0 {
				return nil, nil
			}
			return []Change{{Say: "a", Repeat: Convergent, Do: func(_ context.Context, tk Ticket) error {
				time.Sleep(10 * time.Second)
				order = append(order, "a")
				return w.raise(tk, "h/a")
			}}}, nil
		})
		g := &Graph{Nodes: []Node{node("a@h", "a", "h", ""), node("x@h", "x", "h", "", "a@h")}}
		past := append([]journal.Record{{Kind: journal.Begin}, {Kind: journal.Start, Node: "a@h", Attempt: 1}, {Kind: journal.Settled, Node: "a@h", State: Done, Digest: "as it was"}}, openPast("x@h")...)
		x := &raiseStep{w: w, name: "x", repeat: Guarded, do: nil}
		x.do = func(_ context.Context, tk Ticket) error { order = append(order, "x"); return w.raise(tk, "h/x") }
		start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: binder{"a": slow, "x": x}, Settler: counting{&asked}}, past...)
		if len(order) > 0 && order[0] == "x" {
			t.Errorf("order %v: x needs a, which the edited plan has to do again", order)
		}
	})
}

// A person's word that a step is done is about the step as it was then.
func TestADecisionDoesNotOutliveAnEdit(t *testing.T) {
	w := newWorld()
	n := node("x@h", "x", "h", "")
	past := []journal.Record{{Kind: journal.Begin}, {Kind: journal.Start, Node: "x@h", Attempt: 1},
		{Kind: journal.Intent, Node: "x@h", Ticket: "t1", Repeat: string(Once), Say: "x"},
		{Kind: journal.Outcome, Node: "x@h", Ticket: "t1", State: "cut"},
		{Kind: journal.Settled, Node: "x@h", State: Paused, Digest: "old"},
		{Kind: journal.Decision, Node: "x@h", State: "done", Who: "me", Digest: "old"}}
	s := start(t, &Runner{Graph: &Graph{Nodes: []Node{n}}, Run: "r", Log: &memory{w: w}, Binder: binder{"x": &raiseStep{w: w, name: "x", repeat: Guarded}}}, past...)
	if w.effects["h/x"] != 1 {
		t.Errorf("ended %s: edited after it was said to be done, and never done", s.State)
	}
}

// A rollout that waited in vain for room names the hosts that took it.
func TestARolloutWithoutRoomSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		g := &Graph{Nodes: []Node{node("a@h1", "a", "h1", "A"), node("a@h2", "a", "h2", "A")}, Groups: []Group{{ID: "A", Hosts: []string{"h1", "h2"}, MaxUnavailable: 1}}}
		past := []journal.Record{{Kind: journal.Begin}, {Kind: journal.Start, Node: "a@h1"}, {Kind: journal.Settled, Node: "a@h1", State: Done}}
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: binder{"a": &raiseStep{w: w, name: "a", repeat: Convergent}}, Availability: isDown{"h1": "NotReady"}}, past...)
		if !strings.Contains(s.Why, "h1: NotReady") {
			t.Errorf("ended %s for %q", s.State, s.Why)
		}
	})
}

type isDown map[string]string

func (d isDown) Down(context.Context, []string) (map[string]string, error) { return d, nil }

// full is a journal on a disk that has room for outcomes only.
type full struct{ memory }

func (f *full) Append(recs ...journal.Record) error {
	for _, r := range recs {
		if r.Kind == journal.Intent && r.Node == "y@h" {
			return journal.ErrFull
		}
	}
	return f.memory.Append(recs...)
}

// A full disk ends what has not begun; what is under way is seen through and recorded.
func TestAFullDiskStillTakesOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		log := &full{memory{w: w}}
		x := &raiseStep{w: w, name: "x", repeat: Guarded, do: func(ctx context.Context, tk Ticket) error {
			select {
			case <-time.After(time.Second):
				return w.raise(tk, "h/x")
			case <-ctx.Done():
				return InDoubt(ctx.Err())
			}
		}}
		y := stepFunc(func(context.Context, Scene) ([]Change, error) {
			time.Sleep(100 * time.Millisecond)
			return []Change{{Say: "y", Repeat: Convergent, Do: func(context.Context, Ticket) error { return nil }}}, nil
		})
		g := &Graph{Nodes: []Node{node("x@h", "x", "h", ""), node("y@h", "y", "h", "")}}
		_, err := startIn(t.Context(), &Runner{Graph: g, Run: "r", Log: log, Binder: binder{"x": x, "y": y}, Settler: w}, nil)
		if pastOf(g, log.records).Underway() {
			t.Errorf("%v; the effect of x was given up", err)
		}
	})
}

// What is done finally is done at the end of every process, also where it is a rollout.
func TestARolloutDoneFinallyIsDoneByEveryProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		g := &Graph{Nodes: []Node{node("x@h", "x", "h", "")}, Groups: []Group{{ID: "fin", Hosts: []string{"h1"}, MaxUnavailable: 1}}}
		n := node("fin@h1", "fin", "h1", "fin")
		n.Finally = true
		g.Nodes = append(g.Nodes, n)
		ran, broken := 0, true
		b := binder{"x": stepFunc(func(context.Context, Scene) ([]Change, error) {
			if broken {
				return nil, errors.New("broken")
			}
			return nil, nil
		}), "fin": stepFunc(func(context.Context, Scene) ([]Change, error) { ran++; return nil, nil })}
		log := &memory{w: w}
		start(t, &Runner{Graph: g, Run: "r", Log: log, Binder: b})
		broken = false
		s := start(t, &Runner{Graph: g, Run: "r", Log: log, Binder: b}, log.records...)
		if ran != 2 {
			t.Errorf("%s: ran %d times in two processes", s.State, ran)
		}
	})
}
