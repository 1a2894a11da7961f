package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/steps/remote"
)

// The verdicts of a person about a step that asks.
const (
	approve = "approve"
	reject  = "reject"
)

// A decisionFile is what `upgrader approve` leaves in a run's directory.
type decisionFile struct {
	Node    string    `json:"node"`
	Verdict string    `json:"verdict"`
	Who     string    `json:"who"`
	At      time.Time `json:"at"`
}

func (d runDir) decisionPath(node string) string {
	return d.path("decisions", safeName(node)+".json")
}

// An inbox brings a run the decisions of persons: from --yes, from this terminal, from `upgrader approve` in another.
// Where nobody sits at a terminal it does not wait: the run pauses, and `approve` and `resume` go on.
type inbox struct {
	graph *engine.Graph
	dir   runDir
	yes   bool
	who   string
	ask   func(ctx context.Context, question string) (yes bool, err error) // nil: nobody is there to ask

	turn sync.Mutex           // one question at a time
	mu   sync.Mutex           // guards used
	used map[string]time.Time // when a node was last decided: a file that is older has done its work
}

func newInbox(g *engine.Graph, dir runDir, past []journal.Record) *inbox {
	used := map[string]time.Time{}
	for _, rec := range past {
		if rec.Kind == journal.Decision {
			used[rec.Node] = rec.Time
		}
	}
	return &inbox{graph: g, dir: dir, used: used}
}

// approvalKind is the kind whose question --yes and a terminal may answer. Any other question asks for a fact about a
// host, which only a person who looked can tell.
const approvalKind = "approval"

// Ask waits for an answer from whoever is first: --yes, the terminal, or a file. false means that nobody will answer.
func (b *inbox) Ask(ctx context.Context, node, question string) (engine.Decision, bool) {
	n := b.graph.Lookup(node)
	if n == nil || n.Kind != approvalKind {
		return engine.Decision{}, false
	}
	named := approvers(n)
	if b.yes && len(named) == 0 {
		return engine.Decision{Verdict: approve, Who: b.who + " (--yes)", At: time.Now()}, true
	}
	if b.ask == nil {
		return engine.Decision{}, false
	}
	b.turn.Lock()
	defer b.turn.Unlock()
	return b.race(ctx, node, question, len(named) == 0 || slices.Contains(named, b.who))
}

// race asks at the terminal, if the person there may answer, and looks for a file meanwhile.
func (b *inbox) race(ctx context.Context, node, question string, here bool) (engine.Decision, bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	typed := make(chan engine.Decision, 1)
	if here {
		go func() {
			yes, err := b.ask(ctx, remote.Printable(question))
			if err != nil {
				return
			}
			d := engine.Decision{Verdict: reject, Who: b.who, At: time.Now()}
			if yes {
				d.Verdict = approve
			}
			typed <- d
		}()
	}
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case d := <-typed:
			return d, true
		case <-ctx.Done():
			return engine.Decision{}, false
		case <-look.C:
			if d, ok := b.Poll()[node]; ok {
				return d, true
			}
		}
	}
}

// Poll returns what `upgrader approve` has left and no journal has yet. A file that cannot be read is as good as none.
func (b *inbox) Poll() map[string]engine.Decision {
	b.mu.Lock()
	defer b.mu.Unlock()
	entries, err := os.ReadDir(b.dir.path("decisions"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	found := map[string]engine.Decision{}
	for _, e := range entries {
		var f decisionFile
		if strings.HasPrefix(e.Name(), ".") || readJSON(filepath.Join(b.dir.path("decisions"), e.Name()), &f) != nil {
			continue
		}
		if f.Verdict != approve && f.Verdict != reject || !f.At.After(b.used[f.Node]) {
			continue
		}
		found[f.Node] = engine.Decision{Verdict: f.Verdict, Who: f.Who, At: f.At}
	}
	return found
}

// approvers are the persons that an approval names.
func approvers(n *engine.Node) []string {
	var names []string
	list, _ := n.With["approvers"].([]any)
	for _, item := range list {
		if s, ok := item.(string); ok {
			names = append(names, s)
		}
	}
	return names
}
