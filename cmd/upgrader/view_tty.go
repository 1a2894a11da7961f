package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/steps/remote"
)

// A ttyView keeps one line per finished step in the scrollback and, below, a live table redrawn in place. All drawing
// is done by one goroutine, ten times a second at most: Show only takes note.
type ttyView struct {
	out   io.Writer
	graph *engine.Graph
	head  heading
	style style
	size  func() (width, height int)
	last  func(node string) string

	mu      sync.Mutex
	records []journal.Record
	past    int // so many of them are of earlier processes
	started map[string]time.Time
	above   []string // lines for the scrollback, not yet written
	drawn   int      // lines of the live table that are on the screen
	asking  bool
	quit    chan struct{}
	ended   sync.WaitGroup
}

// frame is the time between two drawings: fast enough to feel live, slow enough for a serial line.
const frame = 100 * time.Millisecond

func newTTYView(out io.Writer, g *engine.Graph, head heading, past []journal.Record, st style, size func() (int, int), last func(string) string) *ttyView {
	v := &ttyView{out: out, graph: g, head: head, records: slices.Clone(past), past: len(past), style: st, size: size, last: last, started: map[string]time.Time{}, quit: make(chan struct{})}
	v.ended.Go(v.animate)
	return v
}

func (v *ttyView) Show(rec journal.Record) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.records = append(v.records, rec)
	if rec.Kind == journal.Start {
		v.started[rec.Node] = rec.Time
	}
	if line := v.scrollback(rec); line != "" {
		v.above = append(v.above, line)
	}
}

// scrollback is the line that stays of a record; most leave none.
func (v *ttyView) scrollback(rec journal.Record) string {
	switch rec.Kind {
	case journal.Settled:
		if n := v.graph.Lookup(rec.Node); n != nil && rec.State != engine.Stopped {
			return finishedLine(n, rec, rec.Time.Sub(v.started[rec.Node]), v.style)
		}
	case journal.Decision, journal.Stop:
		return oneLine(strings.TrimSpace(rec.Node + " " + v.style.words(rec, 0)))
	case journal.Intent:
		if rec.State != "" {
			return oneLine(rec.Node + " " + v.style.words(rec, 0))
		}
	}
	return ""
}

// finishedLine is a finished step: mark, host, step, time, and why if it did not end well.
func finishedLine(n *engine.Node, rec journal.Record, age time.Duration, st style) string {
	line := fmt.Sprintf("%s %s %s %6s", st.mark(rec.State), pad(oneLine(n.Target.Name), 10), pad(oneLine(n.Step), 36), took(age))
	if rec.State != engine.Done {
		line += "  " + settledWord(rec.State) + colon(oneLine(rec.Why))
	}
	return line
}

func (v *ttyView) animate() { every(frame, v.quit, v.draw) }

// draw replaces the live table, writing what belongs into the scrollback first.
func (v *ttyView) draw(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.asking || len(v.records) == v.past {
		return
	}
	width, height := v.size()
	live := screen{graph: v.graph, head: v.head, style: v.style, last: v.last, down: downOf(v.records[v.past:])}.lines(engine.Report(v.graph, v.records), now, width, height)
	v.replace(live)
}

// replace writes the scrollback's new lines and then these in place of the live table. In one write, so that a terminal
// shows no half of it.
func (v *ttyView) replace(live []string) {
	var b strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.drawn)
	}
	b.WriteString("\r\x1b[J")
	for _, line := range append(v.above, live...) {
		b.WriteString(line + "\n")
	}
	v.above, v.drawn = nil, len(live)
	_, _ = io.WriteString(v.out, b.String()) // a terminal that has gone away must not stop an upgrade
}

func (v *ttyView) Ask(question string) func() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.replace(nil)
	v.asking = true
	_, _ = io.WriteString(v.out, remote.Printable(question)+" [y/N] ")
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.asking = false
	}
}

func (v *ttyView) Note(line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.above = append(v.above, remote.Printable(line))
}

func (v *ttyView) Close() {
	close(v.quit)
	v.ended.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.replace(nil)
}
