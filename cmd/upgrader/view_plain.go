package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/printable"
)

// silence is how long a step may say nothing before the plain view says that it is still at it: often enough for the
// idle limits of CI systems and of a person's trust, rare enough to keep a log readable.
const silence = 30 * time.Second

// A plainView writes a line per event, for logs and pipes.
type plainView struct {
	out   io.Writer
	board *board
	style style

	mu    sync.Mutex
	nodes map[string]*plainNode
	idle  time.Time // when it was last said why nothing is at work; zero while something is
	quit  chan struct{}
	ended sync.WaitGroup
}

// A plainNode is what the view remembers of a step at work.
type plainNode struct {
	started, spoke time.Time
	now            string
}

func newPlainView(out io.Writer, b *board, st style) *plainView {
	st.colour = false // its lines are escaped as a whole
	v := &plainView{out: out, board: b, style: st, nodes: map[string]*plainNode{}, quit: make(chan struct{})}
	v.ended.Go(v.beat)
	return v
}

func (v *plainView) Show(rec journal.Record) {
	v.mu.Lock()
	defer v.mu.Unlock()
	text := v.remember(rec)
	if text == "" {
		return
	}
	v.idle = time.Time{}
	writeLine(v.out, plainLine(v.place(rec), rec.Time, text))
}

// place is where a record belongs: a step on a host, a host, or nothing, which is the run.
func (v *plainView) place(rec journal.Record) string {
	if n := v.board.node(rec.Node); n != nil {
		return placeWords(n.Target.Name, n.Step)
	}
	if rec.Kind == journal.Decision && rec.Host != "" {
		return rec.Host + ": "
	}
	return ""
}

func placeWords(host, step string) string { return host + " " + step + ": " }

// remember takes a record in and returns what is to be said about it.
func (v *plainView) remember(rec journal.Record) string {
	n := v.nodes[rec.Node]
	if rec.Kind == journal.Start || n == nil && rec.Node != "" {
		n = &plainNode{started: rec.Time}
		v.nodes[rec.Node] = n
	}
	if n == nil {
		return v.style.words(rec, 0)
	}
	n.spoke = rec.Time
	switch rec.Kind {
	case journal.Settled:
		delete(v.nodes, rec.Node)
	case journal.Intent:
		n.now = strings.TrimSpace(rec.Say + " " + rec.Of)
	case journal.Wait:
		n.now = "waits: " + rec.Why
	}
	return v.style.words(rec, rec.Time.Sub(n.started))
}

// words says what a record tells, in one line; nothing if it needs no saying. age is the time since the step started.
func (s style) words(rec journal.Record, age time.Duration) string {
	of := func(text string) string { return strings.TrimSpace(text + " " + rec.Of) }
	switch rec.Kind {
	case journal.Begin:
		return fmt.Sprintf("at work (epoch %d)", rec.Epoch)
	case journal.Start:
		if rec.Attempt > 1 {
			return fmt.Sprintf("starts again (attempt %d)", rec.Attempt)
		}
		return ""
	case journal.Wait:
		return "waits: " + rec.Why
	case journal.Intent:
		if rec.State != "" { // a rehearsal's
			return "would " + of(rec.Say) + parenthesis(rec.Why)
		}
		return s.arrow() + " " + of(rec.Say)
	case journal.Outcome:
		if rec.State == engine.OutcomeOK || rec.State == engine.Refused || rec.State == engine.Failed { // the step's end, or what it waits for, says the rest
			return ""
		}
		return of(rec.State) + colon(rec.Why)
	case journal.Settled:
		return fmt.Sprintf("%s %s in %s%s", s.mark(rec.State), settledWord(rec.State), took(age), colon(rec.Why))
	case journal.Decision:
		return fmt.Sprintf("%s: decided by %s", rec.State, engine.DecidedBy(&rec))
	case journal.Stop:
		return "stopping" + colon(rec.Why)
	case journal.End:
		return "the run is " + rec.State
	case journal.Down:
		return downWords(rec)
	}
	return ""
}

// settledWord makes the ends that a person must see stand out without colour.
func settledWord(state string) string {
	if state == engine.Failed || state == engine.Refused {
		return strings.ToUpper(state)
	}
	return state
}

func downWords(rec journal.Record) string {
	if len(rec.Hosts) == 0 {
		return ""
	}
	var hosts []string
	for _, host := range slices.Sorted(maps.Keys(rec.Hosts)) {
		hosts = append(hosts, host+parenthesis(rec.Hosts[host]))
	}
	return rec.Group + ": out of service: " + strings.Join(hosts, ", ")
}

func colon(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

func parenthesis(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}

// plainLine puts the time and the place before what is said: 22:41:07 w1 workers/drain: waits ...
func plainLine(place string, at time.Time, text string) string {
	return at.Format(time.TimeOnly) + " " + oneLine(place+text)
}

// beat speaks for steps that have been silent for long.
func (v *plainView) beat() { every(silence/6, v.quit, v.speakUp) }

func (v *plainView) speakUp(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.board.read(func(p *engine.Progress) {
		for n := range p.AtWork() {
			v.speakFor(n, now)
		}
		if p.Tally().AtWork() == 0 && now.Sub(v.idle) >= silence {
			v.idle = now
			for _, q := range queuesOf(p, now) {
				writeLine(v.out, plainLine(q.group+": ", now, "waits: "+q.why))
			}
		}
	})
}

// speakFor says that a step is still at it, if it has not said anything for long.
func (v *plainView) speakFor(n *engine.NodeStatus, now time.Time) {
	at := v.nodes[n.ID]
	if at == nil || now.Sub(at.spoke) < silence {
		return
	}
	at.spoke = now
	writeLine(v.out, plainLine(placeWords(n.Host, n.Step), now, fmt.Sprintf("still at it after %s%s", spell(now.Sub(at.started)), colon(at.now))))
}

// Ask writes the question as a line: other steps go on, and their lines follow.
func (v *plainView) Ask(question string) func() {
	v.Note(question)
	return func() {}
}

func (v *plainView) Note(line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	writeLine(v.out, printable.Text(line))
}

func (v *plainView) Close() {
	close(v.quit)
	v.ended.Wait()
}
