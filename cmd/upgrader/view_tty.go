package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/printable"
)

// A ttyView keeps one line per finished step in the scrollback and, below, a live table redrawn in place. All drawing
// is done by one goroutine, ten times a second at most, and only when the terminal has taken the last drawing: what is
// drawn is what is true then. Show only takes note.
type ttyView struct {
	out   *outlet
	board *board
	head  heading
	style style
	size  func() (width, height int)
	last  func(node string) string

	mu      sync.Mutex
	fresh   bool // something has happened in this process
	started map[string]time.Time
	above   []string // lines for the scrollback, not yet written
	left    int      // lines that found no room among them
	drawn   int      // lines of the live table that are on the screen
	asking  bool
	quit    chan struct{}
	ended   sync.WaitGroup
}

// mostAbove is how many lines wait for a terminal that shows nothing at the moment: more than a person scrolls back.
const mostAbove = 1000

// frame is the time between two drawings: fast enough to feel live, slow enough for a serial line.
const frame = 100 * time.Millisecond

func newTTYView(out *outlet, b *board, head heading, st style, size func() (int, int), last func(string) string) *ttyView {
	v := &ttyView{out: out, board: b, head: head, style: st, size: size, last: last, started: map[string]time.Time{}, quit: make(chan struct{})}
	v.ended.Go(v.animate)
	return v
}

func (v *ttyView) Show(rec journal.Record) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fresh = true
	if rec.Kind == journal.Start {
		v.started[rec.Node] = rec.Time
	}
	if line := v.scrollback(rec); line != "" {
		v.scroll(line)
	}
	if rec.Kind == journal.Settled {
		delete(v.started, rec.Node)
	}
}

// scroll adds a line to the scrollback; the oldest makes room for it.
func (v *ttyView) scroll(line string) {
	if len(v.above) == mostAbove {
		v.above = v.above[1:]
		v.left++
	}
	v.above = append(v.above, line)
}

// scrollback is the line that stays of a record; most leave none.
func (v *ttyView) scrollback(rec journal.Record) string {
	switch rec.Kind {
	case journal.Settled:
		if n := v.board.node(rec.Node); n != nil && rec.State != engine.Stopped {
			return finishedLine(n, rec, v.age(rec), v.style)
		}
	case journal.Decision, journal.Stop:
		return oneLine(strings.TrimSpace(cmp.Or(rec.Node, rec.Host) + " " + v.style.words(rec, 0)))
	case journal.Intent:
		if rec.State != "" {
			return oneLine(rec.Node + " " + v.style.words(rec, 0))
		}
	}
	return ""
}

// age is how long a step has been at work in this process when a record was written.
func (v *ttyView) age(rec journal.Record) time.Duration {
	if at, ok := v.started[rec.Node]; ok {
		return rec.Time.Sub(at)
	}
	return 0
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
	if v.asking || !v.fresh || !v.out.Idle() {
		return
	}
	width, height := v.size()
	var live []string
	v.board.read(func(p *engine.Progress) {
		live = screen{head: v.head, style: v.style, last: v.last}.lines(p, now, width, height)
	})
	v.replace(live)
}

// replace writes the scrollback's new lines and then these in place of the live table.
func (v *ttyView) replace(live []string) {
	var b strings.Builder
	if v.left > 0 {
		b.WriteString(leftOut(v.head.Run)(v.left) + "\n")
	}
	for _, line := range append(v.above, live...) {
		b.WriteString(line + "\n")
	}
	v.out.Over(v.drawn, b.String())
	v.above, v.left, v.drawn = nil, 0, len(live)
}

// leftOut words that lines found no room while nobody read them, and where to look instead.
func leftOut(run string) func(lines int) string {
	return func(lines int) string {
		return fmt.Sprintf("... %s left out while nobody read them; all of it: upgrader status %s, upgrader logs %s", count(lines, "line"), run, run)
	}
}

func (v *ttyView) Ask(question string) func() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.replace(nil)
	v.asking = true
	_, _ = io.WriteString(v.out, printable.Text(question)+" ")
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.asking = false
	}
}

func (v *ttyView) Note(line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.scroll(printable.Text(line))
}

func (v *ttyView) Close() {
	close(v.quit)
	v.ended.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.replace(nil)
}
