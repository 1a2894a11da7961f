package main

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/private"
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
	Digest  string    `json:"digest,omitempty"` // of the node as it was when they answered
}

// answers says whether the decision is about the question as a node has it.
func (f decisionFile) answers(n *engine.Node) bool { return f.Digest == "" || f.Digest == n.Digest }

func (d runDir) decisionPath(node string) string {
	return d.path("decisions", safeName(node)+".json")
}

// An inbox brings a run the decisions of persons: from --yes, from this terminal, from `upgrader approve` in another.
// Where nobody sits at a terminal it does not wait: the run pauses, and `approve` and `resume` go on.
type inbox struct {
	nodes map[string]*engine.Node // that ask, by ID
	dir   runDir
	yes   bool
	who   string
	ask   func(ctx context.Context, question string) (yes bool, err error) // nil: nobody is there to ask

	turn    sync.Mutex           // one question at a time
	decided map[string]time.Time // by node: a file that is not younger has done its work; never changed
}

// newInbox knows which nodes the journal has a decision about, and of when.
func newInbox(g *engine.Graph, dir runDir, decided map[string]time.Time) *inbox {
	b := &inbox{nodes: map[string]*engine.Node{}, dir: dir, decided: maps.Clone(decided)}
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Kind == approvalKind {
			b.nodes[n.ID] = n
		}
	}
	return b
}

// approvalKind is the kind whose question --yes and a terminal may answer. Any other question asks for a fact about a
// host, which only a person who looked can tell.
const approvalKind = "approval"

// Ask waits for an answer from whoever is first: --yes, the terminal, or a file. false means that nobody will answer.
func (b *inbox) Ask(ctx context.Context, node, question string) (engine.Decision, bool) {
	n := b.nodes[node]
	if n == nil {
		return engine.Decision{}, false
	}
	named := approvers(n)
	if b.yes && len(named) == 0 {
		return engine.Decision{Verdict: approve, Who: b.who + " (--yes)", At: time.Now(), Digest: n.Digest}, true
	}
	if b.ask == nil {
		return engine.Decision{}, false
	}
	b.turn.Lock()
	defer b.turn.Unlock()
	return b.race(ctx, n, question, len(named) == 0 || slices.Contains(named, b.who))
}

// race asks at the terminal, if the person there may answer, and looks for a file meanwhile.
func (b *inbox) race(ctx context.Context, n *engine.Node, question string, here bool) (engine.Decision, bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	typed := make(chan engine.Decision, 1)
	if here {
		go func() {
			yes, err := b.ask(ctx, remote.Printable(question))
			if err != nil {
				return
			}
			d := engine.Decision{Verdict: reject, Who: b.who, At: time.Now(), Digest: n.Digest}
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
			if d, ok := b.Poll()[n.ID]; ok {
				return d, true
			}
		}
	}
}

// Poll returns what `upgrader approve` has left and no journal has yet. An answer to a question that was edited since is
// none.
func (b *inbox) Poll() map[string]engine.Decision {
	found := map[string]engine.Decision{}
	for _, f := range b.left() {
		if n := b.nodes[f.Node]; n == nil || f.answers(n) {
			found[f.Node] = engine.Decision{Verdict: f.Verdict, Who: f.Who, At: f.At, Digest: f.Digest}
		}
	}
	return found
}

// Outdated are the decisions that answer a question which was edited since.
func (b *inbox) Outdated() []decisionFile {
	return slices.DeleteFunc(b.left(), func(f decisionFile) bool { return b.nodes[f.Node] == nil || f.answers(b.nodes[f.Node]) })
}

// left is what `upgrader approve` has left and no journal has yet. A file that cannot be read is as good as none.
func (b *inbox) left() []decisionFile {
	entries, err := private.ReadDir(b.dir.path("decisions"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var files []decisionFile
	for _, e := range entries {
		var f decisionFile
		if strings.HasPrefix(e.Name(), ".") || readJSON(filepath.Join(b.dir.path("decisions"), e.Name()), &f) != nil {
			continue
		}
		if (f.Verdict == approve || f.Verdict == reject) && f.At.After(b.decided[f.Node]) {
			files = append(files, f)
		}
	}
	return files
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
