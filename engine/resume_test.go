package engine

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// slowJob is a job that an earlier process left running on its host, and that ends after a while.
type slowJob struct {
	w     *world
	takes time.Duration
	asked time.Time
}

func (s *slowJob) Settle(ctx context.Context, _ Target, t Ticket) (Settlement, error) {
	s.asked = time.Now()
	time.Sleep(s.takes)
	return Settlement{Fate: Ended}, s.w.raise(t, "h/x")
}

// A gate that is closed because of a job in the middle must not keep a resume from attaching to that job, nor may
// anything new begin before the gate is open again.
func TestAResumeAttachesBeforeItsGatesAreOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		job := &slowJob{w: w, takes: 20 * time.Second}
		var healthy, second time.Time
		away := Transient(errors.New("the API is away"))
		b := binder{
			"gate": stepFunc(func(context.Context, Scene) ([]Change, error) {
				w.mu.Lock()
				defer w.mu.Unlock()
				switch {
				case w.value["h/x"] == 0:
					return nil, away
				case time.Since(job.asked) < 30*time.Second:
					return nil, NotYet("kube-apiserver-cp1 is not Ready")
				}
				healthy = time.Now()
				return nil, nil
			}),
			"x": stepFunc(func(_ context.Context, s Scene) ([]Change, error) {
				w.mu.Lock()
				defer w.mu.Unlock()
				if w.value["h/x"] == 0 || w.value["h/y"] > 0 {
					return nil, nil
				}
				return []Change{{Say: "second", Repeat: Convergent, Do: func(_ context.Context, t Ticket) error {
					second = time.Now()
					return w.raise(t, "h/y")
				}}}, nil
			}),
		}
		g := &Graph{Nodes: []Node{node("gate", "gate", Cluster, ""), node("x@h", "x", "h", "", "gate")}}
		g.Nodes[0].Gate = true
		past := []journal.Record{
			{Kind: journal.Begin},
			{Kind: journal.Start, Node: "gate"}, {Kind: journal.Settled, Node: "gate", State: Done},
			{Kind: journal.Start, Node: "x@h", Attempt: 1, Time: time.Now()},
			{Kind: journal.Intent, Node: "x@h", Ticket: "t1", Repeat: string(Guarded), Say: "kubeadm upgrade apply", Until: time.Now().Add(time.Minute)},
		}
		began := time.Now()
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Past: past, Binder: b, Settler: job})
		if s.State != Done {
			t.Fatalf("ended %s: %s", s.State, s.Why)
		}
		if job.asked != began {
			t.Errorf("attached after %s, want at once", job.asked.Sub(began))
		}
		if second.Before(healthy) || second.IsZero() { // both may fall into the same moment: time is not real here
			t.Errorf("a new effect began %s before the gate was open", healthy.Sub(second))
		}
	})
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
	done := func(id string) []journal.Record {
		return []journal.Record{{Kind: journal.Start, Node: id}, {Kind: journal.Settled, Node: id, State: Done}}
	}
	begun := func(id string) []journal.Record {
		return []journal.Record{{Kind: journal.Start, Node: id}, {Kind: journal.Intent, Node: id, Ticket: id, Repeat: string(Guarded)}}
	}
	past := slices.Concat([]journal.Record{{Kind: journal.Begin}}, done("before"), done("first@h1"), begun("x@h1"),
		[]journal.Record{{Kind: journal.Settled, Node: "x@h1", State: Done}}, done("middle@h1"), begun("y@h1"))
	r := NewReducer(g, 8)
	expect := func(when string, want map[string][]string) {
		t.Helper()
		for _, n := range g.Nodes {
			if got := r.InWork(n.ID); !slices.Equal(got, want[n.ID]) {
				t.Errorf("%s, %s: in work are %q, want %q", when, n.ID, got, want[n.ID])
			}
		}
	}
	r.Replay(past)
	r.Next(journal.Record{Kind: journal.Begin})
	expect("resumed", map[string][]string{"before": {"h1"}, "first@h1": {"h1"}})
	for _, rec := range done("before") { // it was open to this resume; the next one finds h1 as this one did
		r.Next(rec)
	}
	r.Next(journal.Record{Kind: journal.Begin})
	expect("resumed again", map[string][]string{"before": {"h1"}, "first@h1": {"h1"}})
	for _, id := range []string{"first@h1", "middle@h1", "y@h1"} {
		for _, rec := range done(id) {
			r.Next(rec)
		}
	}
	expect("h1 is through", nil)
}
