package engine

import (
	"context"
	"errors"
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
		s := start(t, &Runner{Graph: g, Run: "r", Log: &memory{w: w}, Binder: b, Settler: job}, past...)
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
