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

// What the simulation has found, as the smallest runs that show it.

// begun is what an earlier process wrote about a step that it was in the middle of.
func begun(group, step, host string, outcome ...string) []journal.Record {
	id := group + "/" + step + "@" + host
	past := []journal.Record{{Kind: journal.Start, Node: id, Attempt: 1},
		{Kind: journal.Intent, Node: id, Host: host, Group: group, Uses: step, Ticket: "t-" + id, Say: step, Repeat: string(Guarded), Digest: id}}
	for _, state := range outcome {
		past = append(past, journal.Record{Kind: journal.Outcome, Node: id, Ticket: "t-" + id, State: state})
	}
	return past
}

// A host in the middle of which nothing is left to change is watched at once, and needs no grant for that. A host that was let in
// meanwhile finds no room any more.
func TestAGrantEndsWhenItsRoomIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.value["h1/x"] = 1
		g := rolling("roll", 1, []string{"x"}, "h1", "h2", "h3")
		g.Groups[0].Soak = time.Minute
		past := slices.Concat([]journal.Record{{Kind: journal.Begin, Format: journal.Format}}, begun("roll", "x", "h1"),
			begun("roll", "x", "h2", outcomeFailed)) // maxUnavailable was 2 then
		began := time.Now()
		var at time.Duration
		x := &raiseStep{w: w, name: "x", repeat: Guarded}
		step := stepFunc(func(ctx context.Context, s Scene) ([]Change, error) {
			changes, err := x.Observe(ctx, s)
			for i := range changes {
				changes[i].Do = func(_ context.Context, tk Ticket) error {
					if at == 0 {
						at = time.Since(began)
					}
					return w.raise(tk, s.Target.Name+"/x")
				}
			}
			if s.Target.Name == "h2" {
				time.Sleep(2 * time.Second)
			}
			return changes, err
		})
		w.jobs["t-roll/x@h1"] = "ok"
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Availability: &health{}, Binder: binder{"x": step}, Settler: slowly{w, time.Second}}, past...)
		if s.State != Done || at < time.Minute {
			t.Errorf("ended %s, and h2 was changed after %s, while h1 was watched: %s", s.State, at, s.Why)
		}
	})
}

// A host that the plan lost while it was cordoned is free when a look finds it in service: nobody will ever say what became of the
// cordon itself.
func TestAHostThatThePlanLostAndIsBackMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		past := slices.Concat([]journal.Record{{Kind: journal.Begin, Format: journal.Format, Digest: "before"}}, begun("roll", "drain", "h1"))
		past[2].Repeat = string(Convergent)
		g, d := rolling("roll", 1, []string{"drain"}, "h2", "h3"), newDrains()
		g.Digest = "edited"
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: newWorld()}, Availability: &health{}, Binder: binder{"drain": d.step("drain")}}, past...)
		if s.State != Done || len(d.begun) != 2 {
			t.Errorf("ended %s after %v: %s", s.State, d.begun, s.Why)
		}
	})
}

// A host that another rollout was in the middle of is not in the middle of this one: it takes no place beside a host that is, also
// where it is out of service anyway.
func TestAHostInTheMiddleOfAnotherRolloutNeedsAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := rolling("a", 1, []string{"x"}, "h1"), rolling("b", 1, []string{"drain"}, "h2", "h3")
		g := &Graph{Digest: "edited", Nodes: slices.Concat(a.Nodes, b.Nodes), Groups: slices.Concat(a.Groups, b.Groups)}
		past := slices.Concat([]journal.Record{{Kind: journal.Begin, Format: journal.Format, Digest: "before"}},
			begun("a", "x", "h3", outcomeFailed), begun("b", "drain", "h2", outcomeFailed))
		d, see := newDrains(), &health{down: map[string]string{"h3": "cordoned"}}
		time.AfterFunc(time.Minute, func() { see.set("", "h3") })
		x := stepFunc(func(context.Context, Scene) ([]Change, error) { return nil, nil })
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: newWorld()}, Availability: see, Binder: binder{"x": x, "drain": d.step("drain")}}, past...)
		if s.State != Done || len(d.begun) != 2 || d.begun[0] != "drain@h2" {
			t.Errorf("ended %s after %v: %s", s.State, d.begun, s.Why)
		}
	})
}

// A host that was through its rollout when the plan lost it is in the middle of nothing, and in nobody's way if it fails later.
func TestAHostThatWasThroughIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		past := slices.Concat([]journal.Record{{Kind: journal.Begin, Format: journal.Format, Digest: "before"}}, begun("roll", "drain", "h1", OutcomeOK),
			[]journal.Record{{Kind: journal.Settled, Node: "roll/drain@h1", State: Done, Digest: "roll/drain@h1", Group: "roll"}})
		g, d, see := rolling("roll", 1, []string{"drain"}, "h2", "h3"), newDrains(), &health{down: map[string]string{"h1": "NotReady"}}
		g.Digest = "edited"
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: newWorld()}, Availability: see, Binder: binder{"drain": d.step("drain")}}, past...)
		if s.State != Done || len(d.begun) != 2 {
			t.Errorf("ended %s after %v: %s", s.State, d.begun, s.Why)
		}
	})
}

// A canary that was let in while nothing more could be at work does not stand in the queue as well: the look at the others, while it
// is watched, would let it in once more.
func TestAWatchedCanaryIsNotLetInAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, g := newWorld(), rolling("roll", 2, []string{"x"}, "h1", "h2", "h3", "h4")
		g.Groups[0].Canary, g.Groups[0].Soak = 2, 8*time.Second
		g.Nodes = append([]Node{node("busy", "busy", Cluster, "")}, g.Nodes...)
		past := slices.Concat([]journal.Record{{Kind: journal.Begin, Format: journal.Format}}, begun("roll", "x", "h2", outcomeFailed))
		see := &health{}
		see.set("NotReady", "h2", "h3", "h4") // h1 has to wait
		time.AfterFunc(time.Second, func() { see.set("", "h2", "h3", "h4") })
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r := &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Availability: see, Parallel: 1,
			Binder: binder{"busy": pauseStep(5 * time.Second), "x": &raiseStep{w: w, name: "x", repeat: Guarded}}}
		if s, err := startIn(ctx, r, nil, past...); err != nil || s.State != Done {
			t.Errorf("ended %s: %s, %v", s.State, s.Why, err)
		}
	})
}

// lostHost is a plan that has lost h1 in the middle of rollout a, beside a rollout b over h1.
func lostHost() (*Graph, []journal.Record) {
	a, b := rolling("a", 1, []string{"x"}, "h2"), rolling("b", 1, []string{"y"}, "h1")
	g := &Graph{Digest: "edited", Nodes: slices.Concat(a.Nodes, b.Nodes), Groups: slices.Concat(a.Groups, b.Groups)}
	return g, slices.Concat([]journal.Record{{Kind: journal.Begin, Format: journal.Format, Digest: "before"}}, begun("a", "x", "h1", OutcomeOK))
}

// A host that the plan lost in the middle of one rollout is not free because another has nothing to change on it.
func TestALostHostIsNotFreedByAnotherRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, past := lostHost()
		see, began, at := &health{}, time.Now(), time.Duration(0)
		see.set("cordoned", "h1")
		time.AfterFunc(time.Minute, func() { see.set("", "h1") })
		w := newWorld()
		x := &raiseStep{w: w, name: "x", repeat: Guarded, do: func(_ context.Context, tk Ticket) error {
			at = time.Since(began)
			return w.raise(tk, "h2/x")
		}}
		nothing := stepFunc(func(context.Context, Scene) ([]Change, error) { return nil, nil })
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Availability: see, Binder: binder{"x": x, "y": nothing}}, past...)
		if s.State != Done || at < time.Minute {
			t.Errorf("ended %s, and h2 was changed after %s, while h1 was out of service: %s", s.State, at, s.Why)
		}
	})
}

// The same holds of a host in the middle, while another one that has settled its effect already waits for room.
func TestAWatchedHostIsNotLetInAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, g := newWorld(), rolling("roll", 2, []string{"x"}, "h1", "h2", "h3", "h4")
		g.Groups[0].Soak = 8 * time.Second
		past := slices.Concat([]journal.Record{{Kind: journal.Begin, Format: journal.Format}}, begun("roll", "x", "h1", outcomeFailed), begun("roll", "x", "h2"))
		w.jobs["t-roll/x@h2"] = "ok"
		x := &raiseStep{w: w, name: "x", repeat: Guarded}
		see := &health{}
		see.set("NotReady", "h1", "h3", "h4") // h2 has to wait
		time.AfterFunc(1500*time.Millisecond, func() { see.set("", "h1", "h3", "h4") })
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r := &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Availability: unhurried{see}, Binder: binder{"x": x}, Settler: w}
		if s, err := startIn(ctx, r, nil, past...); err != nil || s.State != Done {
			t.Errorf("ended %s: %s, %v", s.State, s.Why, err)
		}
	})
}

// A host that the plan lost in the middle of one rollout is asked about there also while it is in the middle of another.
func TestALostHostIsAskedAboutWhereverItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, past := lostHost()
		g.Nodes[1].Needs = []string{"z"} // so b cannot go on for a while
		g.Nodes = append(g.Nodes, node("z", "z", Cluster, ""))
		past = append(past, begun("b", "y", "h1", outcomeFailed)...)
		see, began, at := &health{}, time.Now(), time.Duration(0)
		see.set("cordoned", "h1")
		time.AfterFunc(30*time.Second, func() { see.set("", "h1") })
		w := newWorld()
		x := &raiseStep{w: w, name: "x", repeat: Guarded, do: func(_ context.Context, tk Ticket) error {
			at = time.Since(began)
			return w.raise(tk, "h2/x")
		}}
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Availability: see,
			Binder: binder{"x": x, "y": &raiseStep{w: w, name: "y", repeat: Guarded}, "z": pauseStep(50 * time.Second)}}, past...)
		if s.State != Done || at < 30*time.Second {
			t.Errorf("ended %s, and h2 was changed after %s, while h1 was out of service: %s", s.State, at, s.Why)
		}
	})
}

// What a look has found is written down also of a host that was let in and is not changed yet: a later process knows no more of that.
func TestALostHostIsNotForgottenByTheNextProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, past := lostHost()
		see, w := &health{}, newWorld()
		see.set("cordoned", "h1")
		log := &memory{w: w, records: past}
		y := stepFunc(func(context.Context, Scene) ([]Change, error) {
			time.Sleep(8 * time.Second) // a looks meanwhile
			return nil, errors.New("broken")
		})
		start(t, &Runner{Graph: g, Run: "r", Log: log, Availability: see, Binder: binder{"x": &raiseStep{w: w, name: "x", repeat: Guarded}, "y": y}}, past...)
		if !pastOf(g, log.records).Lost("h1") {
			t.Error("h1 is forgotten")
		}
	})
}

// unhurried takes its time to say who is in service.
type unhurried struct{ *health }

func (u unhurried) Down(ctx context.Context, hosts []string) (map[string]string, error) {
	time.Sleep(time.Second)
	return u.health.Down(ctx, hosts)
}

// slowly is a settler that takes its time.
type slowly struct {
	Settler
	takes time.Duration
}

func (s slowly) Settle(ctx context.Context, target Target, t Ticket) (Settlement, error) {
	time.Sleep(s.takes)
	return s.Settler.Settle(ctx, target, t)
}

// settledAs is the end of a step on a host of a rollout.
func settledAs(state, id, digest string) journal.Record {
	return journal.Record{Kind: journal.Settled, Node: id, State: state, Digest: digest, Group: strings.Split(id, "/")[0]}
}

// A gate that comes after a rollout is not looked at before anything is changed when a host there has more to do since an edit, whatever
// gates that host has itself: the two would wait for each other.
func TestAGateAfterARolloutThatHasMoreToDoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, g := newWorld(), rolling("roll", 1, []string{"x", "y", "gate"}, "h1")
		g.Digest = "edited"
		g.Nodes = append(g.Nodes, node("after", "gate", Cluster, "", "roll/gate@h1"))
		g.Nodes[2].Gate, g.Nodes[3].Gate = true, true
		past := slices.Concat([]journal.Record{{Kind: journal.Begin, Format: journal.Format, Digest: "before"}}, begun("roll", "x", "h1", OutcomeOK),
			[]journal.Record{settledAs(Done, "roll/x@h1", "another"), settledAs(Done, "roll/y@h1", "roll/y@h1"), settledAs(Done, "roll/gate@h1", "roll/gate@h1"), settledAs(Done, "after", "after")})
		open := stepFunc(func(context.Context, Scene) ([]Change, error) { return nil, nil })
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Availability: &health{}, Binder: binder{"x": &raiseStep{w: w, name: "x", repeat: Guarded}, "y": open, "gate": open}}, past...)
		if s.State != Done || w.effects["h1/x"] != 1 {
			t.Errorf("ended %s after %v: %s", s.State, w.effects, s.Why)
		}
	})
}

// A gate that a host in the middle has long passed does not wait until the rollout before it, which tolerates a failed host, has been
// through with that one: the host would keep its place as long.
func TestAGateThatAHostHasPassedStaysBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a, b := newWorld(), rolling("a", 1, []string{"drain"}, "h2", "h1"), rolling("b", 1, []string{"gate", "x", "y"}, "h1")
		a.Groups[0].MaxFailures, b.Nodes[0].Gate, b.Nodes[0].Needs = 1, true, []string{"a/drain@h2", "a/drain@h1"}
		b.Groups[0].Soak = 10 * time.Second
		g := &Graph{Nodes: slices.Concat(a.Nodes, b.Nodes), Groups: slices.Concat(a.Groups, b.Groups)}
		past := slices.Concat([]journal.Record{{Kind: journal.Begin, Format: journal.Format}},
			[]journal.Record{settledAs(Failed, "a/drain@h2", "a/drain@h2"), settledAs(Done, "a/drain@h1", "a/drain@h1"), settledAs(Done, "b/gate@h1", "b/gate@h1")},
			begun("b", "x", "h1", OutcomeOK), []journal.Record{settledAs(Done, "b/x@h1", "b/x@h1"), settledAs(Failed, "b/y@h1", "b/y@h1")})
		open, d := stepFunc(func(context.Context, Scene) ([]Change, error) { return nil, nil }), newDrains()
		w.value["h1/x"] = 1
		bind := binder{"drain": d.step("drain"), "gate": open, "x": &raiseStep{w: w, name: "x", repeat: Guarded}, "y": &raiseStep{w: w, name: "y", repeat: Guarded}}
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Availability: &health{}, Binder: bind}, past...)
		if s.State != Done || w.effects["h1/y"] != 1 || len(d.begun) != 1 {
			t.Errorf("ended %s after %v and %v: %s", s.State, w.effects, d.begun, s.Why)
		}
	})
}

// A person's word that a host is in order, which one rollout lost in the middle, says nothing of what the plan still has to do there: a
// once-effect of another rollout that was cut off waits for a word of its own, and its host keeps its place.
func TestAWordAboutAHostDecidesNoStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a, b := newWorld(), rolling("a", 1, []string{"drain"}, "h2"), rolling("b", 1, []string{"tell"}, "h1", "h2")
		g := &Graph{Digest: "edited", Nodes: slices.Concat(a.Nodes, b.Nodes), Groups: slices.Concat(a.Groups, b.Groups)}
		cut := begun("b", "tell", "h1", outcomeCut)
		cut[1].Repeat = string(Once)
		past := slices.Concat([]journal.Record{{Kind: journal.Begin, Format: journal.Format, Digest: "before"}}, begun("a", "drain", "h1"), cut,
			[]journal.Record{settledAs(Paused, "b/tell@h1", "b/tell@h1"), {Kind: journal.Decision, Host: "h1", State: Done, Who: "me"}})
		past[2].Repeat = string(Convergent)
		if lost := pastOf(g, past[:len(past)-1]).Lost("h1"); !lost {
			t.Error("the plan has not lost h1")
		}
		d := newDrains()
		tell := &tellStep{raiseStep: raiseStep{w: w}, key: "told"}
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Availability: &health{}, Binder: binder{"drain": d.step("drain"), "tell": tell}, Settler: w}, past...)
		if s.State != Paused || w.effects["told"] != 0 {
			t.Errorf("ended %s after it was told %d times more: %s", s.State, w.effects["told"], s.Why)
		}
	})
}
