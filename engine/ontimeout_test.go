package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// A lateStep is a drain whose pods stay on some hosts: it waits for them, or its evictions last for ever. On the others it is done once
// it has changed something.
type lateStep struct {
	late    []string // hosts
	hangs   bool     // the effect itself has no end
	touched map[string]bool
	undone  []string
}

func (s *lateStep) Observe(_ context.Context, sc Scene) ([]Change, error) {
	host := sc.Target.Name
	if !s.touched[host] {
		return []Change{{Say: "cordon", Repeat: Convergent, Do: func(ctx context.Context, _ Ticket) error {
			s.touched[host] = true
			if s.hangs && slices.Contains(s.late, host) {
				<-ctx.Done()
				return errors.New("evicting pod shop/cart-0: " + context.Cause(ctx).Error())
			}
			return nil
		}}}, nil
	}
	if slices.Contains(s.late, host) {
		return nil, NotYet("pod shop/cart-0 waits for its budget")
	}
	return nil, nil
}

// Undo notes that it was asked.
func (s *lateStep) Undo(_ context.Context, sc Scene) ([]Change, error) {
	s.undone = append(s.undone, sc.Target.Name)
	return nil, nil
}

// A lateRoll drains three hosts and upgrades them, one after the other; on the first the drain runs out of its hour.
type lateRoll struct {
	graph    *Graph
	drain    *lateStep
	upgraded []string
	log      *memory
}

func newLateRoll(onTimeout string) *lateRoll {
	r := &lateRoll{graph: rolling("roll", 1, []string{"drain", "upgrade"}, "h1", "h2", "h3"), log: &memory{w: newWorld()},
		drain: &lateStep{late: []string{"h1"}, touched: map[string]bool{}}}
	r.graph.Groups[0].MaxFailures = 2
	for i := range r.graph.Nodes {
		r.graph.Nodes[i].OnTimeout = onTimeout
	}
	return r
}

// run is one process; it tells how long it took.
func (r *lateRoll) run(t *testing.T, in Inbox) (Summary, time.Duration) {
	upgrade := stepFunc(func(_ context.Context, sc Scene) ([]Change, error) {
		r.upgraded = append(r.upgraded, sc.Target.Name)
		return nil, nil
	})
	began := time.Now()
	s := start(t, &Runner{Graph: r.graph, Run: "r", Log: r.log, Availability: &health{}, Binder: binder{"drain": r.drain, "upgrade": upgrade}, Inbox: in}, r.log.records...)
	return s, time.Since(began)
}

// decide is a person's word between two processes.
func (r *lateRoll) decide(verdict string) {
	d := Decision{Verdict: verdict, Who: "ann", Digest: r.graph.Nodes[0].Digest}
	r.log.records = append(r.log.records, d.Record(r.graph.Nodes[0].ID))
}

// A step that runs out of time leaves its host out: it is taken back, and nothing more is done there. The others go on as far as
// maxFailures says, unless the plan has the run stop; in both cases the run has failed, and says what was waited for.
func TestOnTimeout(t *testing.T) {
	for _, tt := range []struct {
		onTimeout string
		hangs     bool
		upgraded  []string
	}{
		{"", false, []string{"h2", "h3"}},
		{"", true, []string{"h2", "h3"}},
		{StopRun, false, nil},
		{StopRun, true, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newLateRoll(tt.onTimeout)
			r.drain.hangs = tt.hangs
			s, _ := r.run(t, nil)
			if s.State != Failed || !strings.Contains(s.Why, "pod shop/cart-0") {
				t.Errorf("%+v: ended %s: %s", tt, s.State, s.Why)
			}
			r.expect(t, tt.upgraded, []string{"h1"})
			late := func(rec journal.Record) bool {
				return rec.Kind == journal.Settled && rec.Late && rec.Node == "roll/drain@h1"
			}
			if !slices.ContainsFunc(r.log.records, late) {
				t.Errorf("%+v: nothing in the journal says that its time was over", tt)
			}
		})
	}
}

func (r *lateRoll) expect(t *testing.T, upgraded, undone []string) {
	t.Helper()
	if !slices.Equal(r.upgraded, upgraded) || !slices.Equal(r.drain.undone, undone) || r.drain.touched["h2"] != slices.Contains(upgraded, "h2") {
		t.Errorf("upgraded %v, taken back %v, touched %v; want upgraded %v, taken back %v", r.upgraded, r.drain.undone, r.drain.touched, upgraded, undone)
	}
}

// Only the end of its time has a step stop the others: any other failure is tolerated as maxFailures says.
func TestStopIsForTimeoutsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrains()
		g := rolling("roll", 1, []string{"first"}, "h1", "h2")
		g.Groups[0].MaxFailures = 1
		for i := range g.Nodes {
			g.Nodes[i].OnTimeout = StopRun
		}
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: newWorld()}, Availability: &health{}, Binder: binder{"first": failing(d.step("first"), "h1")}})
		if s.State != Failed || !d.done["first@h2"] {
			t.Errorf("ended %s after %v: %s", s.State, d.begun, s.Why)
		}
	})
}

// The next process tries a host again that was left out: what kept it may be over.
func TestALeftOutHostIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLateRoll("")
		r.run(t, nil)
		r.drain.late = nil
		if s, _ := r.run(t, nil); s.State != Done {
			t.Errorf("ended %s: %s", s.State, s.Why)
		}
		r.expect(t, []string{"h2", "h3", "h1"}, []string{"h1"})
	})
}

// Where the plan has a person asked and nobody is there, the run pauses with what was waited for, and gives nothing up. The next process
// does what was answered meanwhile, once; without an answer it has one look of a minute and asks again.
func TestAskOnTimeout(t *testing.T) {
	for _, tt := range []struct {
		answer   string
		cured    bool // before the second process
		state    string
		upgraded []string
		undone   []string
		took     time.Duration
	}{
		{"", false, Paused, nil, nil, time.Minute},
		{"", true, Done, []string{"h1", "h2", "h3"}, nil, 0},
		{WaitOn, false, Paused, nil, nil, time.Hour},
		{WaitOn, true, Done, []string{"h1", "h2", "h3"}, nil, 0},
		{SkipHost, false, Failed, []string{"h2", "h3"}, []string{"h1"}, 0},
		{StopRun, false, Failed, nil, []string{"h1"}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newLateRoll(AskPerson)
			s, _ := r.run(t, nil)
			if s.State != Paused || !strings.Contains(s.Why, "still waiting: pod shop/cart-0") || !strings.Contains(s.Why, "(wait)") {
				t.Errorf("ended %s: %s", s.State, s.Why)
			}
			r.expect(t, nil, nil)
			if tt.answer != "" {
				r.decide(tt.answer)
			}
			if tt.cured {
				r.drain.late = nil
			}
			s, took := r.run(t, nil)
			if s.State != tt.state || took.Round(time.Minute) != tt.took {
				t.Errorf("%+v: ended %s after %s: %s", tt, s.State, took, s.Why)
			}
			r.expect(t, tt.upgraded, tt.undone)
			if s, _ := r.run(t, nil); tt.answer == SkipHost && s.State != Paused {
				t.Errorf("the answer was taken twice: %s: %s", s.State, s.Why)
			}
		})
	}
}

// An answer is to one question: where the step has ended in another way before it was taken, it is asked anew.
func TestALateAnswerIsToOneQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLateRoll(AskPerson)
		r.run(t, nil)
		r.decide(SkipHost)
		n := &r.graph.Nodes[0]
		r.log.records = append(r.log.records, journal.Record{Kind: journal.Settled, Node: n.ID, Digest: n.Digest, State: Failed, Why: "there was no room"})
		if s, took := r.run(t, nil); s.State != Paused || took < time.Hour {
			t.Errorf("ended %s after %s: %s", s.State, took, s.Why)
		}
	})
}

// An answers gives one answer after the other to whoever asks, a minute after the question.
type answers struct{ list, asked []string }

func (a *answers) Ask(ctx context.Context, node, question string) (Decision, bool) {
	a.asked = append(a.asked, node+": "+question)
	if len(a.list) == 0 {
		<-ctx.Done()
		return Decision{}, false
	}
	time.Sleep(time.Minute)
	verdict := a.list[0]
	a.list = a.list[1:]
	return Decision{Verdict: verdict, Who: "ann"}, true
}

func (a *answers) Poll() map[string]Decision { return nil }

// A person who is there is asked at once, and again each time that the time is over which they gave; one who does not answer has as long
// as the step had.
func TestAskAPersonOnTimeout(t *testing.T) {
	for _, tt := range []struct {
		answers  []string
		asked    int
		state    string
		upgraded []string
		undone   []string
		took     time.Duration
	}{
		{[]string{WaitOn, WaitOn, SkipHost}, 3, Failed, []string{"h2", "h3"}, []string{"h1"}, 3*time.Hour + 3*time.Minute},
		{[]string{StopRun}, 1, Failed, nil, []string{"h1"}, time.Hour + time.Minute},
		{nil, 1, Paused, nil, nil, 2 * time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, a := newLateRoll(AskPerson), &answers{list: tt.answers}
			s, took := r.run(t, a)
			if s.State != tt.state || len(a.asked) != tt.asked || took.Round(time.Minute) != tt.took {
				t.Errorf("%v: ended %s after %s and %d questions: %s", tt.answers, s.State, took, len(a.asked), s.Why)
			}
			r.expect(t, tt.upgraded, tt.undone)
		})
	}
}

// A step is told when half of its time is over: of its own, however long an earlier process was at work on it, and anew when a person has
// given it as much time again.
func TestHalfway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var halves []time.Duration
		step := stepFunc(func(_ context.Context, s Scene) ([]Change, error) {
			if half := s.Halfway.Sub(began).Round(time.Second); !slices.Contains(halves, half) {
				halves = append(halves, half)
			}
			return nil, NotYet("it lasts")
		})
		g := &Graph{Nodes: []Node{node("x@h", "x", "h", "")}}
		g.Nodes[0].OnTimeout = AskPerson
		start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: newWorld()}, Binder: binder{"x": step}, Inbox: &answers{list: []string{WaitOn, StopRun}}})
		if want := []time.Duration{30 * time.Second, 2*time.Minute + 30*time.Second}; !slices.Equal(halves, want) {
			t.Errorf("half of its time is over at %v, want %v", halves, want)
		}
	})
}
