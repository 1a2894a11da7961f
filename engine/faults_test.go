package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// onceCut is a step whose effect may happen once, and is cut off half-way.
func onceCut(w *world) *raiseStep {
	s := &raiseStep{w: w, name: "x", repeat: Once}
	s.do = func(_ context.Context, tk Ticket) error {
		w.effects["begun"]++
		w.jobs[tk.ID] = "cut"
		return InDoubt(errors.New("rebooted"))
	}
	return s
}

// No word of a plan answers for a person: retry.on is not asked about a pause.
func TestRetryDoesNotAnswerForAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		g := one("x")
		g.Nodes[0].Retry.On = "true"
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: retryBinder{binder{"x": onceCut(w)}}, Settler: w})
		if s.State != Paused || w.effects["begun"] != 1 {
			t.Errorf("ended %s with %d effects begun, want paused and one", s.State, w.effects["begun"])
		}
	})
}

// What is undecided follows the host and the kind, whatever the step is called now, and whatever its text is.
func TestARenamedStepIsNotForgiven(t *testing.T) {
	for _, digest := range []string{"x@h", "edited"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			log := &memory{w: w}
			start(t, &Runner{Graph: one("x"), Run: "r", Log: log, Binder: binder{"x": onceCut(w)}, Settler: w})
			renamed := node("again@h", "x", "h", "")
			renamed.Digest = digest
			run := func() Summary {
				return start(t, &Runner{Graph: &Graph{Nodes: []Node{renamed}}, Run: "r", Log: log, Binder: binder{"x": onceCut(w)}, Settler: w}, log.records...)
			}
			if s := run(); s.State != Paused || w.effects["begun"] != 1 || !strings.Contains(s.Why, "--settle again@h=done") {
				t.Errorf("renamed: ended %s with %d effects begun: %s", s.State, w.effects["begun"], s.Why)
			}
			log.records = append(log.records, journal.Record{Kind: journal.Decision, Node: "again@h", State: "retry", Who: "me"})
			if run(); w.effects["begun"] != 2 {
				t.Errorf("after the decision: %d effects begun", w.effects["begun"])
			}
		})
	}
}

// health is which hosts are out of service, as it changes.
type health struct {
	mu    sync.Mutex
	down  map[string]string
	looks int
}

func (h *health) Down(_ context.Context, hosts []string) (map[string]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.looks++
	found := map[string]string{}
	for _, name := range hosts {
		if why, is := h.down[name]; is {
			found[name] = why
		}
	}
	return found, nil
}

func (h *health) set(why string, hosts ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down == nil {
		h.down = map[string]string{}
	}
	for _, name := range hosts {
		if h.down[name] = why; why == "" {
			delete(h.down, name)
		}
	}
}

// drains is a step that takes its host out of service for a while, and counts how many are at a time.
type drains struct {
	mu        sync.Mutex
	out, done map[string]bool
	most      int
	at        map[string]int // how often a host was out twice at a time
	begun     []string
	first     func(host string)
}

func newDrains() *drains {
	return &drains{out: map[string]bool{}, done: map[string]bool{}, at: map[string]int{}, first: func(string) {}}
}

func (d *drains) isDone(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.done[key]
}

func (d *drains) begunSoFar() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.begun)
}

func (d *drains) step(name string) Step {
	return stepFunc(func(_ context.Context, s Scene) ([]Change, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		host, key := s.Target.Name, name+"@"+s.Target.Name
		if d.done[key] {
			return nil, nil
		}
		return []Change{{Say: "drain", Repeat: Convergent, Do: func(context.Context, Ticket) error {
			d.mu.Lock()
			if d.out[host] {
				d.at[host]++
			}
			d.out[host], d.most = true, max(d.most, len(d.out)+1-min(1, len(d.out)))
			d.most = max(d.most, len(d.out))
			d.begun = append(d.begun, key)
			d.mu.Unlock()
			d.first(host)
			time.Sleep(30 * time.Second)
			d.mu.Lock()
			defer d.mu.Unlock()
			d.done[key] = true
			delete(d.out, host)
			return nil
		}}}, nil
	})
}

// pauseStep looks for a minute before it is content.
func pauseStep(d time.Duration) Step {
	return stepFunc(func(_ context.Context, s Scene) ([]Change, error) {
		if s.Now.Sub(s.Since) < d {
			return nil, NotYet("it is too early")
		}
		return nil, nil
	})
}

func rolling(group string, atOnce int, kinds []string, hosts ...string) *Graph {
	g := &Graph{Groups: []Group{{ID: group, Hosts: hosts, MaxUnavailable: atOnce}}}
	for _, h := range hosts {
		var before []string
		for _, k := range kinds {
			n := node(group+"/"+k+"@"+h, k, h, group, before...)
			n.Timeout = time.Hour
			g.Nodes = append(g.Nodes, n)
			before = []string{n.ID}
		}
	}
	return g
}

// A look is good for a moment. Who was let in by it and reaches its first change much later needs another.
func TestAnOldLookLetsNobodyChangeAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := rolling("roll", 3, []string{"pre", "drain"}, "h1", "h2", "h3", "h4", "h5", "h6")
		see, d := &health{}, newDrains()
		time.AfterFunc(30*time.Second, func() { see.set("NotReady", "h4", "h5", "h6") })
		time.AfterFunc(10*time.Minute, func() {
			if begun := d.begunSoFar(); len(begun) != 0 {
				t.Errorf("with three of six down, maxUnavailable 3: %v", begun)
			}
			see.set("", "h4", "h5", "h6")
		})
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: newWorld()}, Availability: see, Binder: binder{"pre": pauseStep(time.Minute), "drain": d.step("drain")}})
		if s.State != Done || d.most > 3 {
			t.Errorf("ended %s with %d at most out of service: %s", s.State, d.most, s.Why)
		}
	})
}

// A host in the middle of its steps is looked at by a resume before it is changed.
func TestAResumedHostIsLookedAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, see := newWorld(), &health{}
		g := rolling("roll", 1, []string{"x"}, "h1", "h2")
		id := g.Nodes[0].ID
		past := []journal.Record{{Kind: journal.Begin}, {Kind: journal.Start, Node: id, Attempt: 1}, {Kind: journal.Intent, Node: id, Ticket: "t1", Repeat: string(Guarded), Say: "x"}}
		x := &raiseStep{w: w, name: "x", repeat: Guarded}
		step := stepFunc(func(ctx context.Context, s Scene) ([]Change, error) {
			c, err := x.Observe(ctx, s)
			for i := range c {
				c[i].Do = func(_ context.Context, tk Ticket) error {
					if see.looks == 0 {
						t.Errorf("%s was changed before any look", s.Target.Name)
					}
					return w.raise(tk, s.Target.Name+"/x")
				}
			}
			return c, err
		})
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Availability: see, Binder: binder{"x": step}, Settler: never{}}, past...)
		if s.State != Done {
			t.Errorf("ended %s: %s", s.State, s.Why)
		}
	})
}

// A host that was in the middle when the plan lost it counts until it is in service, or a person says that it does not matter.
func TestAHostThatThePlanLostStillCounts(t *testing.T) {
	for _, name := range []string{"same rollout", "renamed rollout"} {
		synctest.Test(t, func(t *testing.T) {
			before := rolling("roll", 1, []string{"drain"}, "h1", "h2", "h3")
			past := []journal.Record{{Kind: journal.Begin}, {Kind: journal.Start, Node: before.Nodes[0].ID, Attempt: 1},
				{Kind: journal.Intent, Node: before.Nodes[0].ID, Host: "h1", Uses: "drain", Group: "roll", Ticket: "t1", Repeat: string(Convergent), Say: "cordon"}}
			group := map[string]string{"same rollout": "roll", "renamed rollout": "other"}[name]
			g := rolling(group, 1, []string{"drain"}, "h2", "h3")
			d, see := newDrains(), &health{down: map[string]string{"h1": "cordoned"}}
			log := &memory{w: newWorld(), records: past}
			run := func() Summary {
				return start(t, &Runner{Graph: g, Run: "r", Log: log, Availability: see, Binder: binder{"drain": d.step("drain")}}, log.records...)
			}
			if s := run(); s.State != Failed || len(d.begun) != 0 || !strings.Contains(s.Why, "--settle h1=done") {
				t.Errorf("%s: ended %s after %v: %s", name, s.State, d.begun, s.Why)
			}
			log.records = append(log.records, journal.Record{Kind: journal.Decision, Host: "h1", State: Done, Who: "me"})
			if s := run(); s.State != Done || len(d.begun) != 2 {
				t.Errorf("%s, written off: ended %s after %v: %s", name, s.State, d.begun, s.Why)
			}
		})
	}
}

// Two rollouts over the same hosts, at the same time: neither exceeds its limit or the other's, and a host is worked on for one.
func TestRolloutsShareTheirHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, other := rolling("a", 1, []string{"a"}, "h1", "h2", "h3"), rolling("b", 1, []string{"b"}, "h3", "h2", "h1")
		g.Nodes, g.Groups = append(g.Nodes, other.Nodes...), append(g.Groups, other.Groups...)
		d := newDrains()
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: newWorld()}, Binder: binder{"a": d.step("a"), "b": d.step("b")}})
		if s.State != Done || len(d.at) > 0 || len(d.begun) != 6 {
			t.Errorf("ended %s after %v; twice at a time: %v: %s", s.State, d.begun, d.at, s.Why)
		}
		if d.most > 1 {
			t.Errorf("%d hosts out of service, and both allow 1", d.most)
		}
	})
}

// failing fails on some hosts.
func failing(step Step, hosts ...string) Step {
	return stepFunc(func(ctx context.Context, s Scene) ([]Change, error) {
		if slices.Contains(hosts, s.Target.Name) {
			return nil, errors.New("broken")
		}
		return step.Observe(ctx, s)
	})
}

// What is done finally goes over every host and every step, whatever failed before.
func TestFinallyGoesOnAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrains()
		g := rolling("fin", 1, []string{"bad", "after"}, "h1", "h2")
		end := node("end", "after", Cluster, "", g.Nodes[1].ID, g.Nodes[3].ID)
		g.Nodes = append(g.Nodes, end)
		for i := range g.Nodes {
			g.Nodes[i].Finally = true
		}
		g.Nodes = append(g.Nodes, node("main", "after", "h0", ""))
		start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: newWorld()}, Binder: binder{"bad": failing(d.step("bad"), "h1"), "after": d.step("after")}})
		want := []string{"after@h0", "after@h1", "bad@h2", "after@h2", "after@cluster"}
		if !slices.Equal(d.begun, want) {
			t.Errorf("done: %v, want %v", d.begun, want)
		}
	})
}

// A failed host that is in service keeps no place: the rollout goes on as far as its maxFailures says.
func TestMaxFailuresAboveMaxUnavailable(t *testing.T) {
	for _, touched := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := newDrains()
			g := rolling("roll", 1, []string{"first", "second"}, "h1", "h2", "h3")
			g.Groups[0].MaxFailures = 1
			first := failing(d.step("first"), "h1")
			second := d.step("second")
			if touched {
				first, second = d.step("first"), failing(second, "h1")
			}
			began := time.Now()
			s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: newWorld()}, Availability: &health{}, Binder: binder{"first": first, "second": second}})
			if s.State != Failed || !d.done["second@h2"] || !d.done["second@h3"] {
				t.Errorf("touched %v: ended %s after %v: %s", touched, s.State, d.begun, s.Why)
			}
			if took := time.Since(began); took > 5*time.Minute {
				t.Errorf("touched %v: took %s", touched, took)
			}
		})
	}
}

// hundred asks for a hundred changes at once, each of which takes a second.
func hundred(begun func()) Step {
	var mu sync.Mutex
	done := map[string]bool{}
	return stepFunc(func(context.Context, Scene) ([]Change, error) {
		mu.Lock()
		defer mu.Unlock()
		var list []Change
		for i := range 100 {
			name := fmt.Sprintf("pod-%d", i)
			if !done[name] {
				list = append(list, Change{Say: "evict", Of: name, Repeat: Convergent, Do: func(context.Context, Ticket) error {
					begun()
					time.Sleep(time.Second)
					mu.Lock()
					defer mu.Unlock()
					done[name] = true
					return nil
				}})
			}
		}
		return list, nil
	})
}

// A stop, and the loss of the lock, come before each effect, not before each observation.
func TestAStopComesBeforeEachEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop, n := make(chan struct{}), 0
		var mu sync.Mutex
		step := hundred(func() { mu.Lock(); n++; mu.Unlock() })
		time.AfterFunc(500*time.Millisecond, func() { close(stop) })
		s, err := startIn(t.Context(), &Runner{Graph: one("x"), Run: "r", Log: &memory{w: newWorld()}, Binder: binder{"x": step}}, stop)
		if err != nil || s.State != Paused || n != parallel {
			t.Errorf("ended %s (%v) after %d effects, want the %d that were under way", s.State, err, n, parallel)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		lock, n := &guard{}, 0
		var mu sync.Mutex
		step := hundred(func() { mu.Lock(); n++; mu.Unlock() })
		time.AfterFunc(500*time.Millisecond, func() { lock.set(ErrFenced) })
		_, err := startIn(t.Context(), &Runner{Graph: one("x"), Run: "r", Log: &memory{w: newWorld()}, Guard: lock, Binder: binder{"x": step}}, nil)
		if !errors.Is(err, ErrFenced) || n != parallel {
			t.Errorf("fenced (%v) after %d effects, want the %d that were under way", err, n, parallel)
		}
	})
}

// A person's word about an open effect closes it: the run holds the cluster no longer.
func TestADecisionClosesAnOpenEffect(t *testing.T) {
	past := append(openPast("x@h"), journal.Record{Kind: journal.Decision, Node: "x@h", State: Done, Who: "me"})
	if pastOf(one("x"), past).Underway() {
		t.Error("it is said to be done, and still underway")
	}
}

// An approval answers the question that was asked, and no other.
func TestAnApprovalOfAnotherQuestion(t *testing.T) {
	for _, digest := range []string{"x@h", "as it was"} {
		synctest.Test(t, func(t *testing.T) {
			b := binder{"x": stepFunc(func(_ context.Context, s Scene) ([]Change, error) {
				if s.Decision.Verdict == "approve" {
					return nil, nil
				}
				return nil, Pause("go on?")
			})}
			past := []journal.Record{{Kind: journal.Begin}, {Kind: journal.Settled, Node: "x@h", State: Paused, Digest: digest},
				{Kind: journal.Decision, Node: "x@h", State: "approve", Who: "ana", Digest: digest}}
			s := start(t, &Runner{Graph: one("x"), Run: "r", Log: &memory{w: newWorld()}, Binder: b}, past...)
			if want := map[bool]string{true: Done, false: Paused}[digest == "x@h"]; s.State != want {
				t.Errorf("the digest is %q: ended %s, want %s", digest, s.State, want)
			}
		})
	}
}

// A rollout that was edited is tried on its canary anew, before the others.
func TestAnEditedRolloutBeginsWithItsCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrains()
		g := rolling("roll", 2, []string{"drain"}, "h1", "h2", "h3", "h4")
		g.Groups[0].Canary = 1
		log := &memory{w: newWorld()}
		run := func(broken string) Summary {
			return start(t, &Runner{Graph: g, Run: "r", Log: log, Binder: binder{"drain": failing(d.step("drain"), broken)}}, log.records...)
		}
		if s := run("h3"); s.State != Failed || !d.done["drain@h1"] {
			t.Fatalf("ended %s after %v", s.State, d.begun)
		}
		for i := range g.Nodes {
			g.Nodes[i].Digest = "edited"
		}
		clear(d.done)
		d.begun = nil
		d.first = func(host string) {
			if host != "h1" && !d.isDone("drain@h1") {
				t.Errorf("%s was begun before the canary was through", host)
			}
		}
		if s := run(""); s.State != Done || len(d.begun) != 4 {
			t.Errorf("ended %s after %v: %s", s.State, d.begun, s.Why)
		}
	})
}

// Gates that are looked at again may stand in any order.
func TestAGateMayNeedOneThatIsWrittenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := func(id string, needs ...string) Node {
			n := node(id, "gate", Cluster, "", needs...)
			n.Gate = true
			return n
		}
		w := newWorld()
		g := &Graph{Nodes: []Node{gate("a", "b"), gate("b", "c"), node("c", "x", Cluster, ""), node("y@h", "y", "h", "", "a")}}
		b := binder{"gate": stepFunc(func(context.Context, Scene) ([]Change, error) { return nil, nil }), "x": &raiseStep{w: w, name: "x", repeat: Guarded}, "y": &raiseStep{w: w, name: "y", repeat: Guarded}}
		past := []journal.Record{{Kind: journal.Begin}}
		for _, id := range []string{"c", "b", "a"} {
			past = append(past, journal.Record{Kind: journal.Start, Node: id}, journal.Record{Kind: journal.Settled, Node: id, State: Done})
		}
		past = append(past, journal.Record{Kind: journal.Settled, Node: "c", State: Done, Digest: "edited since"})
		if s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: b}, past...); s.State != Done {
			t.Errorf("ended %s: %q", s.State, s.Why)
		}
	})
}

// A run that ends although steps are left says which, and what they wait for.
func TestAnEndHasAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Graph{Nodes: []Node{node("a", "x", Cluster, "", "b"), node("b", "x", Cluster, "", "a")}}
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: newWorld()}, Binder: binder{}})
		if s.State != Failed || s.Why != "a could never start: it needs b" {
			t.Errorf("ended %s: %q", s.State, s.Why)
		}
	})
}

// The wall clock of the records may say what it likes: what counts is how long processes were at work.
func TestAClockThatJumpsChangesNothing(t *testing.T) {
	for _, jump := range []time.Duration{0, 24 * time.Hour, -24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			g := rolling("roll", 1, []string{"drain"}, "h1", "h2")
			g.Groups[0].Soak = 10 * time.Minute
			d := newDrains()
			log := &memory{w: newWorld()}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(5*time.Minute, cancel) // in the middle of the soak of h1
			if _, err := startIn(ctx, &Runner{Graph: g, Run: "r", Log: log, Binder: binder{"drain": d.step("drain")}}, nil); err != nil {
				t.Fatal(err)
			}
			for i := range log.records {
				log.records[i].Time = log.records[i].Time.Add(jump)
			}
			began, second := time.Now(), time.Duration(0)
			d.first = func(string) { second = time.Since(began) }
			s := start(t, &Runner{Graph: g, Run: "r", Log: log, Binder: binder{"drain": d.step("drain")}}, log.records...)
			if s.State != Done || second < 5*time.Minute || second > 6*time.Minute {
				t.Errorf("clock set by %s: ended %s, h2 began %s after the resume; want what was left of the soak", jump, s.State, second)
			}
		})
	}
}

// A journal of format 1 has no elapsed time: what lies between the records of one process counts.
func TestElapsedTimeOfFormatOne(t *testing.T) {
	at := time.Unix(0, 0)
	past := []journal.Record{{Kind: journal.Begin, Time: at}, {Kind: journal.Start, Node: "x@h", Time: at.Add(time.Minute)},
		{Kind: journal.Begin, Time: at.Add(24 * time.Hour)}, {Kind: journal.Wait, Node: "x@h", Time: at.Add(24*time.Hour + 2*time.Minute)},
		{Kind: journal.Decision, Node: "x@h", Time: at.Add(48 * time.Hour)}, {Kind: journal.Begin, Time: at.Add(72 * time.Hour)}}
	if got := pastOf(one("x"), past).reducer.Now(); got != 3*time.Minute {
		t.Errorf("processes were at work for %s, want 3m", got)
	}
}

// What this run has begun on a host since a gate opened is no reason for that gate to stay closed to a resume, which
// could otherwise never go on to mend it. What it had done before the gate opened is.
func TestAGateKnowsWhatIsInWork(t *testing.T) {
	gate := func(n Node) Node { n.Gate = true; return n }
	g := &Graph{
		Nodes: []Node{
			gate(node("before", "gate", Cluster, "")),
			gate(node("first@h1", "gate", "h1", "roll", "before")), node("x@h1", "x", "h1", "roll", "first@h1"),
			gate(node("middle@h1", "gate", "h1", "roll", "x@h1")), node("y@h1", "y", "h1", "roll", "middle@h1"),
			gate(node("first@h2", "gate", "h2", "roll", "y@h1")), node("x@h2", "x", "h2", "roll", "first@h2"),
		},
		Groups: []Group{{ID: "roll", Hosts: []string{"h1", "h2"}, MaxUnavailable: 1}},
	}
	synctest.Test(t, func(t *testing.T) {
		w, known := newWorld(), map[string][]string{}
		var mu sync.Mutex
		look := stepFunc(func(_ context.Context, s Scene) ([]Change, error) {
			mu.Lock()
			defer mu.Unlock()
			if _, seen := known[s.Step+"@"+s.Target.Name]; !seen {
				known[s.Step+"@"+s.Target.Name] = s.InWork
			}
			return nil, nil
		})
		for i := range g.Nodes {
			g.Nodes[i].Step, _, _ = strings.Cut(g.Nodes[i].ID, "@")
		}
		b := binder{"gate": look, "x": &raiseStep{w: w, name: "x", repeat: Guarded}, "y": failing(&raiseStep{w: w, name: "y", repeat: Guarded}, "h1")}
		log := &memory{w: w}
		run := func() Summary {
			clear(known)
			return start(t, &Runner{Graph: g, Run: "r", Log: log, Binder: b, Settler: w}, log.records...)
		}
		run()
		for range 2 { // it was open to the first resume; the second finds h1 as that one did
			run()
			want := map[string][]string{"before@cluster": {"h1"}, "first@h1": {"h1"}, "middle@h1": nil}
			if !maps.EqualFunc(known, want, slices.Equal) {
				t.Errorf("in work: %v, want %v", known, want)
			}
		}
	})
}

// While a host of the rollout is at work or watched, room will come of itself: that is no time of waiting for others.
func TestPatienceDoesNotRunOutInASoak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := rolling("g", 2, []string{"drain"}, "h1", "h2", "h3")
		g.Groups[0].Soak = time.Minute
		see, d := &health{}, newDrains()
		slow := d.step("drain")
		d.first = func(host string) {
			if host == "h1" {
				see.set("cordoned by hand", "h1")
			}
			if host == "h2" {
				time.Sleep(13 * time.Minute) // a long drain
			}
		}
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: newWorld()}, Availability: see, Binder: binder{"drain": slow}})
		if s.State != Done {
			t.Errorf("ended %s: %s", s.State, s.Why)
		}
	})
}

// What a process has waited is not waited again after it was killed, but for the last moments.
func TestAKilledWaitGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := one("x", func(n *Node) { n.Timeout = time.Hour })
		log := &memory{w: newWorld()}
		b := binder{"x": pauseStep(10 * time.Minute)}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(9*time.Minute+10*time.Second, cancel)
		if _, err := startIn(ctx, &Runner{Graph: g, Run: "r", Log: log, Binder: b}, nil); err != nil {
			t.Fatal(err)
		}
		killed := log.records[:len(log.records)-1] // without the last word of a process that lets go
		began := time.Now()
		s := start(t, &Runner{Graph: g, Run: "r", Log: log, Binder: b}, killed...)
		if took := time.Since(began); s.State != Done || took > time.Minute+beatTime || took < 50*time.Second {
			t.Errorf("ended %s after another %s, want the minute that was left, and half a one at most", s.State, took)
		}
	})
}
