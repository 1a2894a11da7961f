package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/private"
	"upgrader.dev/upgrader/steps/approval"
)

// An inbox brings a run the decisions of persons: from --yes, from this terminal, from `upgrader approve` in another.
// Where nobody sits at a terminal it does not wait: the run pauses, and `approve` and `resume` go on.
type inbox struct {
	nodes map[string]question // by the ID of the node that asks, or has a person asked when it runs out of time
	dir   runDir
	key   []byte // of the run, which seals the files
	run   string // its ID, and the digest of its graph: a signature is over both
	plan  string
	yes   bool
	me    operator
	warn  func(words string)
	ask   func(ctx context.Context, question string) (line string, err error) // nil: nobody is there to ask

	turn    sync.Mutex           // one question at a time
	decided map[string]time.Time // by node: a file that is not younger has done its work; never changed

	looking sync.Mutex
	signed  map[string]string // what was found out about a file, by its seal: the key that signed it, if that counts
	used    map[string]bool   // seals of files that have answered about a step that ran out of time: it may do so again
}

// A question is an approval, and who may answer it by what the plan alone says.
type question struct {
	*engine.Node
	voters
}

// newInbox knows which nodes the journal has a decision about, and of when.
func newInbox(g *engine.Graph, dir runDir, key []byte, decided map[string]time.Time) *inbox {
	b := &inbox{nodes: map[string]question{}, dir: dir, key: key, run: filepath.Base(string(dir)), plan: g.Digest,
		warn: func(string) {}, decided: maps.Clone(decided), signed: map[string]string{}, used: map[string]bool{}}
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Kind == approval.Kind || n.OnTimeout == engine.AskPerson {
			b.nodes[n.ID] = question{n, votersOf(n, nil)}
		}
	}
	return b
}

// Ask waits for an answer from whoever is first: --yes, the terminal, or a file. false means that nobody will answer.
func (b *inbox) Ask(ctx context.Context, node, words string) (engine.Decision, bool) {
	q, asks := b.nodes[node]
	if !asks {
		return engine.Decision{}, false
	}
	if err := q.notKnown(q.ID); err != nil && (b.yes || b.ask != nil) {
		b.warn(err.Error())
	}
	if b.yes && q.anybody() && q.Kind == approval.Kind {
		return engine.Decision{Verdict: engine.Approve, Who: b.me.name + " (--yes)", By: b.me.account, At: time.Now(), Digest: q.Digest}, true
	}
	if b.ask == nil {
		return engine.Decision{}, false
	}
	b.turn.Lock()
	defer b.turn.Unlock()
	return b.race(ctx, q.Node, words, !q.signed() && q.named(b.me.name))
}

// race asks at the terminal, if the person there may answer, and looks for a file meanwhile.
func (b *inbox) race(ctx context.Context, n *engine.Node, words string, here bool) (engine.Decision, bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	typed := make(chan engine.Decision, 1)
	if here {
		go func() {
			if verdict, err := b.typed(ctx, n, words); err == nil {
				typed <- engine.Decision{Verdict: verdict, Who: b.me.name, By: b.me.account, At: time.Now(), Digest: n.Digest}
			}
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
			if d, ok := b.answers(n.ID)[n.ID]; ok {
				return d, true
			}
		}
	}
}

// typed is what the person at the terminal says: yes or no to an approval; of a step that ran out of time one of three words.
func (b *inbox) typed(ctx context.Context, n *engine.Node, question string) (string, error) {
	if n.Kind != approval.Kind {
		for {
			line, err := b.ask(ctx, printable.Text(question)+" [wait/skip/stop]")
			if word := strings.ToLower(strings.TrimSpace(line)); err != nil || engine.IsLateAnswer(word) {
				return word, err
			}
		}
	}
	line, err := b.ask(ctx, printable.Text(question)+" [y/N]")
	if isYes(line) {
		return engine.Approve, err
	}
	return engine.Reject, err
}

// Poll returns what `upgrader approve` has left and no journal has yet. An answer to a question that was edited since is
// none, and neither is one without the signature that the question wants. One about a step that ran out of time waits for Ask: it is
// to one question only.
func (b *inbox) Poll() map[string]engine.Decision {
	found := b.answers("")
	maps.DeleteFunc(found, func(_ string, d engine.Decision) bool { return engine.IsLateAnswer(d.Verdict) })
	return found
}

// answers are all decisions that count. Those of the node that takes them count once.
func (b *inbox) answers(taker string) map[string]engine.Decision {
	found := map[string]engine.Decision{}
	for _, f := range b.left() {
		q, asks := b.nodes[f.Node]
		if asks && !f.answers(q.Node) || b.wasUsed(f, taker) {
			continue
		}
		d := f.decision()
		if asks && q.signed() {
			if d.Key = b.signedBy(f, q.voters); d.Key == "" {
				continue
			}
		}
		found[f.Node] = d
	}
	return found
}

// wasUsed says whether a file has answered about a step that ran out of time in this process, and notes that it does if its node takes it.
func (b *inbox) wasUsed(f decisionFile, taker string) bool {
	b.looking.Lock()
	defer b.looking.Unlock()
	used := b.used[f.Seal]
	b.used[f.Seal] = used || f.Node == taker && engine.IsLateAnswer(f.Verdict)
	return used
}

// signedBy is the fingerprint of the key that a decision is signed with, if that counts. It is found out once for each file.
func (b *inbox) signedBy(f decisionFile, v voters) string {
	b.looking.Lock()
	defer b.looking.Unlock()
	key, known := b.signed[f.Seal]
	if known {
		return key
	}
	key, err := v.signedBy(f, f.text(b.run, b.plan))
	if err != nil {
		b.warn(fmt.Sprintf("%s: the answer of %s in %s does not count: %v", f.Node, f.Who, b.dir.decisionPath(f.Node), err))
	}
	b.signed[f.Seal] = key
	return key
}

// Outdated are the decisions that answer a question which was edited since.
func (b *inbox) Outdated() []decisionFile {
	return slices.DeleteFunc(b.left(), func(f decisionFile) bool {
		q, asks := b.nodes[f.Node]
		return !asks || f.answers(q.Node)
	})
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
		path := b.dir.path("decisions", e.Name())
		if strings.HasPrefix(e.Name(), ".") || readJSON(path, &f) != nil {
			continue
		}
		if !isVerdict(f.Verdict) || !f.At.After(b.decided[f.Node]) {
			continue
		}
		if !f.holds(b.key) {
			b.distrust(path)
			continue
		}
		files = append(files, f)
	}
	return files
}

// distrust tells, once, of a file that nobody may have left there.
func (b *inbox) distrust(path string) {
	b.looking.Lock()
	defer b.looking.Unlock()
	if _, told := b.signed[path]; !told {
		b.signed[path] = ""
		b.warn(fmt.Sprintf("%s %v: it does not count; answer with `upgrader approve`", path, errNoSeal))
	}
}
