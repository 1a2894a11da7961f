package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine/journal"
)

// A toy world: hosts hold numbers, and steps raise them. It counts how often each effect really happened.
type world struct {
	mu      sync.Mutex
	value   map[string]int    // "host/name" -> number
	effects map[string]int    // "host/name" -> how often raised
	jobs    map[string]string // ticket -> running, ok, failed, abandoned
	dead    bool              // the process has died: nothing it still does counts
	inWork  map[string]bool
}

func newWorld() *world {
	return &world{value: map[string]int{}, effects: map[string]int{}, jobs: map[string]string{}, inWork: map[string]bool{}}
}

func (w *world) raise(t Ticket, key string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return errors.New("dead")
	}
	switch w.jobs[t.ID] {
	case "ok":
		return nil
	case "abandoned":
		return errors.New("abandoned")
	}
	w.jobs[t.ID] = "ok"
	w.value[key]++
	w.effects[key]++
	return nil
}

func (w *world) Settle(_ context.Context, _ Target, t Ticket) (Settlement, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.jobs[t.ID] {
	case "":
		w.jobs[t.ID] = "abandoned"
		return Settlement{Fate: NeverStarted}, nil
	case "cut":
		return Settlement{Fate: Cut}, nil
	}
	return Settlement{Fate: Ended}, nil
}

// raiseStep brings a number of its host to one.
type raiseStep struct {
	w      *world
	name   string
	repeat Repeat
	do     func(context.Context, Ticket) error // instead of raising
}

func (s *raiseStep) Observe(_ context.Context, sc Scene) ([]Change, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	key := sc.Target.Name + "/" + s.name
	if s.w.value[key] > 0 || sc.Promised(key) == "1" {
		return nil, nil
	}
	do := s.do
	if do == nil {
		do = func(_ context.Context, t Ticket) error { return s.w.raise(t, key) }
	}
	return []Change{{Say: "raise " + s.name, Then: Facts{key: "1"}, Repeat: s.repeat, Do: do}}, nil
}

type stepFunc func(context.Context, Scene) ([]Change, error)

func (f stepFunc) Observe(ctx context.Context, s Scene) ([]Change, error) { return f(ctx, s) }

type binder map[string]Step // by kind

func (b binder) Bind(n *Node, _ Known, _ map[string]string) (Bound, error) {
	return Bound{Step: b[n.Kind], Skip: n.When == "false"}, nil
}

// memory is a journal that dies, like a process, at an append of the test's choosing.
type memory struct {
	w       *world
	mu      sync.Mutex
	records []journal.Record
	dieAt   int  // the append that kills; 0 never
	after   bool // the records of that append are durable
	appends int
}

var errKilled = errors.New("killed")

func (m *memory) Append(records ...journal.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.appends++
	if m.dieAt > 0 && m.appends >= m.dieAt {
		if m.appends == m.dieAt && m.after {
			m.records = append(m.records, records...)
		}
		m.w.mu.Lock()
		m.w.dead = true
		m.w.mu.Unlock()
		return errKilled
	}
	m.records = append(m.records, records...)
	return nil
}

func node(id, kind, host, group string, needs ...string) Node {
	return Node{ID: id, Step: kind, Kind: kind, Target: Target{Name: host}, Group: group, Needs: needs, Digest: id,
		Timeout: time.Minute, Retry: Retry{Attempts: 3, Backoff: time.Second, Max: 10 * time.Second}}
}

// rollingGraph is a small upgrade: a gate, then four hosts, two at a time behind a canary, three steps each.
func rollingGraph() *Graph {
	g := &Graph{Digest: "g", Nodes: []Node{node("gate", "gate", Cluster, "")}}
	g.Nodes[0].Gate = true
	roll := Group{ID: "roll", MaxUnavailable: 2, Canary: 1, Soak: 5 * time.Second}
	for _, h := range []string{"h1", "h2", "h3", "h4"} {
		roll.Hosts = append(roll.Hosts, h)
		need := "gate"
		for _, kind := range []string{"a", "b", "c"} {
			id := kind + "@" + h
			g.Nodes = append(g.Nodes, node(id, kind, h, "roll", need))
			need = id
		}
	}
	g.Groups = []Group{roll}
	return g
}

func rollingBinder(w *world) binder {
	return binder{
		"gate": stepFunc(func(context.Context, Scene) ([]Change, error) { return nil, nil }),
		"a":    &raiseStep{w: w, name: "a", repeat: Guarded},
		"b":    &raiseStep{w: w, name: "b", repeat: Convergent},
		"c":    &raiseStep{w: w, name: "c", repeat: Guarded},
	}
}

// start goes on with a run after these records, to its end or to where its world kills it.
func start(t *testing.T, r *Runner, past ...journal.Record) Summary {
	t.Helper()
	s, err := startIn(t.Context(), r, nil, past...)
	if err != nil && !errors.Is(err, errKilled) {
		t.Fatalf("run: %v", err)
	}
	return s
}

// startIn goes on with a run after these records, and tells what became of it.
func startIn(ctx context.Context, r *Runner, stop <-chan struct{}, past ...journal.Record) (Summary, error) {
	p, watch := progressOf(r.Graph, past), r.Watch
	r.Past = pastOf(r.Graph, past)
	r.Watch = func(rec journal.Record) {
		p.Take(&rec)
		if watch != nil {
			watch(rec)
		}
	}
	err := r.Start(ctx, stop)
	return p.Summary(), err
}

// pastOf is what these records make of a run, for its next process.
func pastOf(g *Graph, records []journal.Record) *Past {
	p := NewPast(g)
	for i := range records {
		p.Take(&records[i])
	}
	return p
}

// progressOf is what these records make of a run, to look at.
func progressOf(g *Graph, records []journal.Record) *Progress {
	p := NewProgress(g)
	for i := range records {
		p.Take(&records[i])
	}
	return p
}

func says(records []journal.Record) (words []string) {
	for _, r := range records {
		if r.Kind == journal.Intent {
			words = append(words, r.Node+": "+r.Say)
		}
	}
	return words
}

func perHost(words []string, host string) (own []string) {
	for _, w := range words {
		if slices.Contains([]string{"a@" + host, "b@" + host, "c@" + host}, w[:len("a@")+len(host)]) {
			own = append(own, w)
		}
	}
	return own
}

func checkWorld(t *testing.T, w *world, about string) {
	t.Helper()
	for _, h := range []string{"h1", "h2", "h3", "h4"} {
		for _, k := range []string{"a", "b", "c"} {
			if n := w.effects[h+"/"+k]; n != 1 {
				t.Errorf("%s: %s on %s was raised %d times, want once", about, k, h, n)
			}
		}
	}
}
