package engine

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// twoStages is a check, a rollout of two steps over three hosts, and a report that comes after it through a barrier.
func twoStages() *Graph {
	g := &Graph{Groups: []Group{{ID: "workers", Hosts: []string{"w1", "w2", "w3"}, MaxUnavailable: 1, Soak: time.Minute}}}
	g.Nodes = append(g.Nodes, Node{ID: "check", Step: "check", Target: Target{Name: Cluster}, Digest: "d"})
	all := Barrier{ID: "workers/*"}
	for _, h := range g.Groups[0].Hosts {
		drain := Node{ID: "workers/drain@" + h, Step: "workers/drain", Target: Target{Name: h}, Needs: []string{"check"}, Group: "workers", Digest: "d"}
		ready := Node{ID: "workers/ready@" + h, Step: "workers/ready", Target: Target{Name: h}, Needs: []string{drain.ID}, Group: "workers", Digest: "d"}
		g.Nodes = append(g.Nodes, drain, ready)
		all.Needs = append(all.Needs, ready.ID)
	}
	outer := Barrier{ID: "all/*", Needs: []string{all.ID}}
	g.Nodes = append(g.Nodes, Node{ID: "tell", Step: "tell", Target: Target{Name: Cluster}, Needs: []string{outer.ID}, Digest: "d"})
	g.Barriers = []Barrier{all, outer}
	return g
}

// anyRecord is some record about some node, sensible or not.
func anyRecord(g *Graph, rnd *rand.Rand) journal.Record {
	kinds := []journal.Kind{journal.Start, journal.Wait, journal.Intent, journal.Outcome, journal.Settled, journal.Settled, journal.Decision, journal.Begin, journal.Stop}
	states := []string{Done, Skipped, Failed, Refused, Paused, Stopped}
	rec := journal.Record{Kind: kinds[rnd.IntN(len(kinds))], Node: g.Nodes[rnd.IntN(len(g.Nodes))].ID, State: states[rnd.IntN(len(states))], Digest: []string{"", "d", "old"}[rnd.IntN(3)]}
	switch rec.Kind {
	case journal.Begin, journal.Stop:
		rec.Node = ""
	case journal.Start, journal.Wait, journal.Intent, journal.Outcome:
		rec.State = ""
	}
	return rec
}

// TestProgressCountsWhatIsThere proves that after any records the counts are those that a walk over all nodes gives.
func TestProgressCountsWhatIsThere(t *testing.T) {
	for seed := range uint64(200) {
		g, rnd := twoStages(), rand.New(rand.NewPCG(seed, 0))
		p := NewProgress(g)
		for range 60 {
			rec := anyRecord(g, rnd)
			p.Take(&rec)
			if err := recount(g, p); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
}

// recount compares a progress with what a walk over all nodes finds.
func recount(g *Graph, p *Progress) error {
	var work, running []string
	tally, inside, hosts, awaited := Tally{}, Tally{}, map[string]int{}, 0
	for i, n := range p.Summary().Nodes {
		tally[n.State]++
		if isAtWork(n.State) {
			work = append(work, n.ID)
		}
		if g.Nodes[i].Group != "" {
			inside[n.State]++
			hosts[n.Host] += tallied(isWell(conditionOf(n.State)))
		}
		if n.ID == "tell" && n.State == Pending {
			awaited++
		}
	}
	for n := range p.AtWork() {
		running = append(running, n.ID)
	}
	done := 0
	for _, well := range hosts {
		done += tallied(well == 2)
	}
	for _, t := range []Tally{p.Tally(), p.Rollouts()[0].Tally, p.Stages()[1].Tally, tally, inside} {
		for state, n := range t {
			if n == 0 {
				delete(t, state)
			}
		}
	}
	workers := p.Stages()[1]
	switch {
	case !reflect.DeepEqual(p.Tally(), tally):
		return fmt.Errorf("all: %v, want %v", p.Tally(), tally)
	case !slices.Equal(work, running):
		return fmt.Errorf("at work: %v, want %v", running, work)
	case !reflect.DeepEqual(p.Rollouts()[0].Tally, inside) || !reflect.DeepEqual(workers.Tally, inside):
		return fmt.Errorf("rollout: %v, stage: %v, want %v", p.Rollouts()[0].Tally, workers.Tally, inside)
	case workers.Hosts != 3 || workers.Done != done:
		return fmt.Errorf("hosts: %d of %d, want %d of 3", workers.Done, workers.Hosts, done)
	case p.Rollouts()[0].Awaited != awaited:
		return fmt.Errorf("awaited by %d, want %d", p.Rollouts()[0].Awaited, awaited)
	}
	return nil
}

// TestWhatAnEditedPlanDoesAgainIsNotDone proves that a step counts as done by the digest it has now.
func TestWhatAnEditedPlanDoesAgainIsNotDone(t *testing.T) {
	for digest, want := range map[string]string{"d": Done, "": Done, "as it was": Pending} {
		s := progressOf(twoStages(), []journal.Record{{Kind: journal.Begin}, {Kind: journal.Start, Node: "check"}, {Kind: journal.Settled, Node: "check", State: Done, Digest: digest, Time: time.Unix(1, 0)}}).Summary()
		if got := s.Nodes[0].State; got != want || (want == Pending) != s.Nodes[0].Ended.IsZero() {
			t.Errorf("done under digest %q: %s", digest, got)
		}
	}
}

// TestProgressTellsWhatRefuses proves that a step whose effect is refused for now waits, in the words of the refusal, however often it is
// tried: that it waits is recorded only when the words change.
func TestProgressTellsWhatRefuses(t *testing.T) {
	const words = "shop/cart-0 waits: the shop is open"
	try := func(ticket string) []journal.Record {
		return []journal.Record{{Kind: journal.Intent, Node: "check", Ticket: ticket, Say: "evict its pods", Of: "shop/cart-0", Repeat: string(Convergent)},
			{Kind: journal.Outcome, Node: "check", Ticket: ticket, State: outcomeRefused, Why: words}}
	}
	records := slices.Concat([]journal.Record{{Kind: journal.Begin}, {Kind: journal.Start, Node: "check"}}, try("1"), []journal.Record{{Kind: journal.Wait, Node: "check", Why: words}}, try("2"))
	if n := progressOf(twoStages(), records).Summary().Nodes[0]; n.State != Waiting || n.Message != words {
		t.Errorf("%s: %s", n.State, n.Message)
	}
}

// TestProgressSince proves that the time of processes counts where there is one, and the clock where there is none.
func TestProgressSince(t *testing.T) {
	noon := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		was, latest Moment
		want        time.Duration
	}{
		{Moment{Time: noon}, Moment{Time: noon.Add(time.Minute)}, time.Hour},
		{Moment{noon, time.Minute}, Moment{noon.Add(-48 * time.Hour), 3 * time.Minute}, 2*time.Minute + 49*time.Hour},
		{Moment{noon.Add(-9 * time.Hour), time.Minute}, Moment{noon.Add(time.Hour), 3 * time.Minute}, 2 * time.Minute},
	} {
		p := NewProgress(twoStages())
		p.Take(&journal.Record{Kind: journal.Down, Time: tt.latest.Time, Elapsed: tt.latest.Elapsed})
		if got := p.Since(tt.was, noon.Add(time.Hour)); got != tt.want {
			t.Errorf("since %v at %v: %s, want %s", tt.was, tt.latest, got, tt.want)
		}
	}
}
