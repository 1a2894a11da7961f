package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"upgrader.dev/upgrader/engine/journal"
)

// acquainted binds every host before its step looks at it, as the first connection does.
type acquainted struct {
	Binder
	machines *Machines
	name     func(host string) string
}

type acquaintedStep struct {
	Step
	bind func(ctx context.Context, host string) error
}

func (a acquainted) Bind(n *Node, facts Known, before map[string]string) (Bound, error) {
	b, err := a.Binder.Bind(n, facts, before)
	b.Step = acquaintedStep{b.Step, func(ctx context.Context, host string) error {
		if a.machines.Machine(host) != "" {
			return nil
		}
		return a.machines.Bind(ctx, host, a.name(host))
	}}
	return b, err
}

func (s acquaintedStep) Observe(ctx context.Context, sc Scene) ([]Change, error) {
	if err := s.bind(ctx, sc.Target.Name); err != nil {
		return nil, err
	}
	return s.Step.Observe(ctx, sc)
}

// runAcquainted goes on with a run after these records.
func runAcquainted(t *testing.T, w *world, log *memory, name func(string) string) (*Past, Summary) {
	t.Helper()
	past := pastOf(rollingGraph(), log.records)
	progress := progressOf(past.graph, log.records)
	r := &Runner{Graph: past.graph, Run: "r", Log: log, Past: past, Settler: w,
		Binder: acquainted{rollingBinder(w), past.Machines(), name}, Watch: func(rec journal.Record) { progress.Take(&rec) }}
	if err := r.Start(t.Context(), nil); err != nil && !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	return past, progress.Summary()
}

// Killed at any append, a run knows of every host that had an effect which machine it is, and holds on to that.
func TestMachinesAreKnownBeforeTheFirstEffect(t *testing.T) {
	first := func(host string) string { return "first-" + host }
	for at := 1; ; at++ {
		done := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			log := &memory{w: w, dieAt: at}
			runAcquainted(t, w, log, first)
			done = !w.dead
			for i, rec := range log.records {
				if rec.Kind == journal.Intent && !slices.ContainsFunc(log.records[:i], func(r journal.Record) bool {
					return r.Kind == journal.Machine && r.Host == rec.Host && r.Machine == first(rec.Host)
				}) {
					t.Errorf("killed at append %d: an effect on %s is recorded and no machine", at, rec.Host)
				}
			}
			w.dead, log.dieAt = false, 0
			known := pastOf(rollingGraph(), log.records).Machines()
			past, s := runAcquainted(t, w, log, func(host string) string { return "second-" + host })
			if s.State != Done {
				t.Errorf("killed at append %d: resumed and ended %s: %s", at, s.State, s.Why)
			}
			for _, h := range []string{"h1", "h2", "h3", "h4"} {
				want := known.Machine(h)
				if want == "" && !done {
					want = "second-" + h
				}
				if got := past.Machines().Machine(h); got != want {
					t.Errorf("killed at append %d: %s is %q, want %q", at, h, got, want)
				}
			}
			checkWorld(t, w, fmt.Sprintf("killed at append %d", at))
		})
		if done {
			return
		}
	}
}

// Nobody is bound when no runner is there to record it, and nobody waits for one that has ended.
func TestNoMachineIsBoundAfterTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		past, _ := runAcquainted(t, w, &memory{w: w}, func(host string) string { return host })
		if err := past.Machines().Bind(t.Context(), "h9", "m9"); !errors.Is(err, errNoRunner) {
			t.Errorf("bound after the run: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := newMachines().Bind(ctx, "h9", "m9"); !errors.Is(err, context.Canceled) {
			t.Errorf("bound by nobody: %v", err)
		}
	})
}

// A disk without room for a machine's record has the host wait, and the run go on.
func TestNoRoomForAMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		log := &crowded{memory: memory{w: w}}
		past := pastOf(rollingGraph(), nil)
		var bound error
		r := &Runner{Graph: past.graph, Run: "r", Log: log, Past: past, Settler: w, Binder: acquainted{rollingBinder(w), past.Machines(), func(host string) string { return host }}}
		bound = r.Start(t.Context(), nil)
		if bound != nil || past.Machines().Machine("h1") != "" || log.refused == 0 {
			t.Errorf("%v, %d refused, h1 is %q", bound, log.refused, past.Machines().Machine("h1"))
		}
		if slices.ContainsFunc(log.records, func(rec journal.Record) bool { return rec.Kind == journal.Intent }) {
			t.Error("an effect was begun on a host that nobody recorded")
		}
	})
}

// crowded has no room for machines.
type crowded struct {
	memory
	refused int
}

func (c *crowded) Append(records ...journal.Record) error {
	if records[0].Kind == journal.Machine {
		c.refused++
		return fmt.Errorf("append: %w", journal.ErrFull)
	}
	return c.memory.Append(records...)
}
