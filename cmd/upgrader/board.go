package main

import (
	"sync"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// A board is a run as it stands, for all who look at it while it goes on. A record is on the board before a view shows it.
type board struct {
	mu       sync.Mutex
	progress *engine.Progress
}

func newBoard(g *engine.Graph) *board { return &board{progress: engine.NewProgress(g)} }

func (b *board) take(rec *journal.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.progress.Take(rec)
}

// read shows the board to look. Nothing of the progress may be kept.
func (b *board) read(look func(p *engine.Progress)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	look(b.progress)
}

// node is the node of this ID, or nil.
func (b *board) node(id string) (n *engine.Node) {
	b.read(func(p *engine.Progress) { n = p.Node(id) })
	return n
}

// summary tells what became of the run so far.
func (b *board) summary() (s engine.Summary) {
	b.read(func(p *engine.Progress) { s = p.Summary() })
	return s
}
