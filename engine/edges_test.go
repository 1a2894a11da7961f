package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// cramped is a journal on a disk that has room for nothing new now and then.
type cramped struct {
	memory
	full func(journal.Record) bool
}

func (c *cramped) Append(recs ...journal.Record) error {
	for _, r := range recs {
		if c.full(r) {
			return journal.ErrFull
		}
	}
	return c.memory.Append(recs...)
}

// A ticket is one effect for ever, also where a full disk had no room for one before it.
func TestAFullDiskGivesNoTicketTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		intents, of := 0, map[string]string{}
		log := &cramped{memory: memory{w: newWorld()}}
		log.full = func(r journal.Record) bool {
			if r.Kind != journal.Intent {
				return false
			}
			if intents++; intents == parallel+1 {
				time.Sleep(time.Second) // the next effect ends meanwhile
			}
			return intents == parallel+1
		}
		evict := stepFunc(func(context.Context, Scene) (list []Change, _ error) {
			for i := range parallel + 4 {
				list = append(list, Change{Say: fmt.Sprintf("evict %d", i), Repeat: Convergent, Do: func(_ context.Context, tk Ticket) error {
					mu.Lock()
					if was := of[tk.ID]; was != "" {
						t.Errorf("ticket %s is of evict %d and of %s", tk.ID, i, was)
					}
					of[tk.ID] = fmt.Sprintf("evict %d", i)
					mu.Unlock()
					time.Sleep(time.Duration(i+1) * time.Second)
					return nil
				}})
			}
			mu.Lock()
			defer mu.Unlock()
			if len(of) > parallel+4 {
				return nil, nil
			}
			return list, nil
		})
		for range 2 {
			start(t, &Runner{Graph: one("x"), Run: "r", Log: log, Binder: binder{"x": evict}}, log.records...)
		}
	})
}

// Once an outage has lasted as long as it was to, others go on, although its step is still at work.
func TestOthersGoOnWhenAnOutageIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, done := newWorld(), false
		long := stepFunc(func(context.Context, Scene) ([]Change, error) {
			if done {
				return nil, nil
			}
			return []Change{{Say: "upgrade", Repeat: Convergent, Outage: time.Minute, Do: func(context.Context, Ticket) error {
				time.Sleep(20 * time.Minute)
				done = true
				return nil
			}}}, nil
		})
		var at time.Time
		y := &raiseStep{w: w, name: "y", repeat: Convergent, do: func(_ context.Context, tk Ticket) error {
			at = time.Now()
			return w.raise(tk, "h2/y")
		}}
		later := stepFunc(func(ctx context.Context, s Scene) ([]Change, error) {
			time.Sleep(time.Second) // the outage has begun
			return y.Observe(ctx, s)
		})
		g := &Graph{Nodes: []Node{node("long@h1", "long", "h1", ""), node("y@h2", "y", "h2", "")}}
		g.Nodes[0].Timeout, g.Nodes[1].Timeout = time.Hour, 5*time.Minute
		began := time.Now()
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: binder{"long": long, "y": later}})
		if s.State != Done || at.Sub(began) != time.Minute {
			t.Errorf("ended %s, the other went on after %s, want 1m: %s", s.State, at.Sub(began), s.Why)
		}
	})
}

// A host that was out of service when an earlier process looked is looked at again where it keeps another rollout from going on,
// although nothing in its own could.
func TestAHostThatIsBackBlocksNoOtherRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := rolling("a", 1, []string{"a", "z"}, "h1"), rolling("b", 1, []string{"b"}, "h1", "h2")
		for i := range b.Nodes {
			b.Nodes[i].Needs = []string{a.Nodes[1].ID}
		}
		g := &Graph{Nodes: append(a.Nodes, b.Nodes...), Groups: append(a.Groups, b.Groups...)}
		intent := func(id, host, group string) journal.Record {
			return journal.Record{Kind: journal.Intent, Node: id, Host: host, Group: group, Uses: "x", Ticket: "t" + id, Say: "x", Repeat: string(Convergent)}
		}
		past := []journal.Record{{Kind: journal.Begin, Format: journal.Format}, // the plan was edited: z is new, and b was begun without it
			{Kind: journal.Start, Node: "a/a@h1", Attempt: 1}, intent("a/a@h1", "h1", "a"), {Kind: journal.Outcome, Node: "a/a@h1", Ticket: "ta/a@h1", State: OutcomeOK},
			{Kind: journal.Settled, Node: "a/a@h1", State: Done, Digest: "a/a@h1"},
			{Kind: journal.Start, Node: "b/b@h2", Attempt: 1}, intent("b/b@h2", "h2", "b"), {Kind: journal.Outcome, Node: "b/b@h2", Ticket: "tb/b@h2", State: outcomeFailed},
			{Kind: journal.Settled, Node: "b/b@h2", State: Failed, Digest: "b/b@h2"}, {Kind: journal.Down, Group: "b", Hosts: map[string]string{"h2": "NotReady"}}}
		raise := func(name string) Step { return &raiseStep{w: w, name: name, repeat: Convergent} }
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Availability: &health{}, Binder: binder{"a": raise("a"), "z": raise("z"), "b": raise("b")}}, past...)
		if s.State != Done {
			t.Errorf("ended %s: %s", s.State, s.Why)
		}
	})
}

// A look leaves out the hosts that its process is at work on. To one that has another plan, that is no word that they are in service.
func TestAHostLostSinceALookIsNotInService(t *testing.T) {
	g := rolling("roll", 1, []string{"drain"}, "h2", "h3")
	g.Digest = "edited"
	past := []journal.Record{{Kind: journal.Begin, Format: journal.Format, Digest: "before"}, {Kind: journal.Start, Node: "roll/drain@h1", Attempt: 1},
		{Kind: journal.Intent, Node: "roll/drain@h1", Host: "h1", Group: "roll", Uses: "drain", Ticket: "t1", Say: "cordon", Repeat: string(Convergent)},
		{Kind: journal.Outcome, Node: "roll/drain@h1", Ticket: "t1", State: OutcomeOK},
		{Kind: journal.Begin, Format: journal.Format, Digest: "before"}, {Kind: journal.Down, Group: "roll", Hosts: map[string]string{"h1": "cordoned"}},
		{Kind: journal.Start, Node: "roll/drain@h1", Attempt: 2}, {Kind: journal.Down, Group: "roll"}}
	if !pastOf(g, past).Lost("h1") {
		t.Error("h1 is forgotten")
	}
}

// A host that another rollout left in the middle is given back unchanged, when that can go on before the first change.
func TestAHostLeftInTheMiddleIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, c := rolling("a", 1, []string{"a", "b"}, "h1"), rolling("c", 1, []string{"c"}, "h1")
		a.Nodes[1].Needs = append(a.Nodes[1].Needs, "x") // it was edited since
		g := &Graph{Nodes: append(append(a.Nodes, c.Nodes...), node("x", "x", Cluster, "")), Groups: append(a.Groups, c.Groups...)}
		past := []journal.Record{{Kind: journal.Begin, Format: journal.Format}, {Kind: journal.Start, Node: "a/a@h1", Attempt: 1},
			{Kind: journal.Intent, Node: "a/a@h1", Host: "h1", Group: "a", Uses: "a", Ticket: "t1", Say: "a", Repeat: string(Convergent)},
			{Kind: journal.Outcome, Node: "a/a@h1", Ticket: "t1", State: OutcomeOK}, {Kind: journal.Settled, Node: "a/a@h1", State: Done, Digest: "a/a@h1"}}
		after := func(d time.Duration, s Step) Step {
			return stepFunc(func(ctx context.Context, sc Scene) ([]Change, error) { time.Sleep(d); return s.Observe(ctx, sc) })
		}
		var order []string
		raise := func(name string) Step {
			return &raiseStep{w: w, name: name, repeat: Convergent, do: func(_ context.Context, tk Ticket) error {
				order = append(order, name)
				return w.raise(tk, "h1/"+name)
			}}
		}
		w.value["cluster/x"] = 1
		b := binder{"a": raise("a"), "b": raise("b"), "c": after(2*time.Second, raise("c")), "x": after(time.Second, raise("x"))}
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Availability: &health{}, Binder: b}, past...)
		if s.State != Done || len(order) != 2 || order[0] != "b" {
			t.Errorf("ended %s after %v: %s", s.State, order, s.Why)
		}
	})
}

// A rollout that became able to go on with a host while another had it goes on when that has done with it.
func TestAHostHandedBackIsGoneOnWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(), newDrains()
		a, c := rolling("a", 1, []string{"a", "b"}, "h1"), rolling("c", 1, []string{"c"}, "h1")
		a.Nodes[1].Needs = append(a.Nodes[1].Needs, "x") // it was edited since
		g := &Graph{Nodes: append(append(a.Nodes, c.Nodes...), node("x", "x", Cluster, "")), Groups: append(a.Groups, c.Groups...)}
		past := []journal.Record{{Kind: journal.Begin, Format: journal.Format}, {Kind: journal.Start, Node: "a/a@h1", Attempt: 1},
			{Kind: journal.Intent, Node: "a/a@h1", Host: "h1", Group: "a", Uses: "a", Ticket: "t1", Say: "a", Repeat: string(Convergent)},
			{Kind: journal.Outcome, Node: "a/a@h1", Ticket: "t1", State: OutcomeOK}, {Kind: journal.Settled, Node: "a/a@h1", State: Done, Digest: "a/a@h1"}}
		b := binder{"a": d.step("a"), "b": &raiseStep{w: w, name: "b", repeat: Convergent}, "c": d.step("c"), "x": pauseStep(10 * time.Second)}
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Availability: &health{}, Binder: b}, past...)
		if s.State != Done || w.effects["h1/b"] != 1 {
			t.Errorf("ended %s after %v: %s", s.State, d.begun, s.Why)
		}
	})
}

// teller is a host that tells what an effect brought about.
type teller struct{}

func (teller) Settle(_ context.Context, _ Target, t Ticket) (Settlement, error) {
	t.Learn(Facts{"snapshot": "real"})
	return Settlement{Fate: Ended}, nil
}

// What an effect tells outranks what it promised, also where its end was only found out.
func TestWhatWasLearnedOutranksThePromise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		step := stepFunc(func(context.Context, Scene) ([]Change, error) {
			if looks++; looks > 1 {
				return nil, nil
			}
			return []Change{{Say: "save", Repeat: Guarded, Then: Facts{"snapshot": "promised"}, Do: func(context.Context, Ticket) error { return InDoubt(errors.New("lost")) }}}, nil
		})
		s := start(t, &Runner{Graph: one("x"), Run: "r", Log: &memory{w: newWorld()}, Binder: binder{"x": step}, Settler: teller{}})
		if s.Facts["snapshot"] != "real" {
			t.Errorf("%v", s.Facts)
		}
	})
}

// A gate of a rollout that cannot be looked at again on a host, where failures are tolerated, holds nobody else up.
func TestAToleratedGateHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		g := rolling("roll", 2, []string{"gate", "a"}, "h1", "h2", "h3")
		g.Groups[0].MaxFailures = 1
		for i := range g.Nodes {
			g.Nodes[i].Gate = g.Nodes[i].Kind == "gate"
		}
		past := []journal.Record{{Kind: journal.Begin, Format: journal.Format},
			{Kind: journal.Start, Node: "roll/gate@h1", Attempt: 1}, {Kind: journal.Settled, Node: "roll/gate@h1", State: Done, Digest: "roll/gate@h1"},
			{Kind: journal.Start, Node: "roll/a@h1", Attempt: 1}, {Kind: journal.Intent, Node: "roll/a@h1", Host: "h1", Group: "roll", Uses: "a", Ticket: "t1", Say: "a", Repeat: string(Convergent)}}
		gate := stepFunc(func(_ context.Context, s Scene) ([]Change, error) {
			if s.Target.Name == "h1" {
				return nil, Transient(errors.New("no route to host"))
			}
			return nil, nil
		})
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: binder{"gate": gate, "a": &raiseStep{w: w, name: "a", repeat: Convergent}}}, past...)
		if w.effects["h2/a"] != 1 || w.effects["h3/a"] != 1 || w.effects["h1/a"] != 0 {
			t.Errorf("ended %s after %v: %s", s.State, w.effects, s.Why)
		}
	})
}

// A person's word that a once-effect was made holds whatever its step is called afterwards; so does one that it is to be made again.
func TestAPersonsWordOutlivesARename(t *testing.T) {
	outcomes := map[string]string{Done: outcomeCut, "retry": OutcomeOK}
	for verdict, want := range map[string]int{Done: 0, "retry": 1} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			g := one("tell")
			g.Nodes[0].ID = "renamed@h"
			past := []journal.Record{{Kind: journal.Begin, Format: journal.Format}, {Kind: journal.Start, Node: "tell@h", Attempt: 1},
				{Kind: journal.Intent, Node: "tell@h", Host: "h", Uses: "tell", Ticket: "t1", Say: "tell", Repeat: string(Once), Digest: g.Nodes[0].Digest},
				{Kind: journal.Outcome, Node: "tell@h", Ticket: "t1", State: outcomes[verdict]},
				{Kind: journal.Settled, Node: "tell@h", State: Failed, Digest: g.Nodes[0].Digest}, {Kind: journal.Begin, Format: journal.Format},
				{Kind: journal.Decision, Node: "tell@h", State: verdict, Who: "me", Digest: g.Nodes[0].Digest}}
			step := &tellStep{raiseStep: raiseStep{w: w}, key: "told"}
			s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: binder{"tell": step}, Settler: w}, past...)
			if s.State != Done || w.effects["told"] != want {
				t.Errorf("%s: ended %s after it was told %d times, want %d: %s", verdict, s.State, w.effects["told"], want, s.Why)
			}
		})
	}
}
