package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"charm.land/lipgloss/v2"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// sample is a small graph: a preflight on the cluster, then two steps on each of three workers.
func sample() *engine.Graph {
	g := &engine.Graph{Plan: "demo", From: ">=1.27.0 <1.28.0", To: "1.28.15"}
	add := func(step, host, kind string, needs ...string) {
		n := engine.Node{ID: step + "@" + host, Step: step, Title: step, Kind: kind, Target: engine.Target{Name: host}, Needs: needs, At: "demo.yaml:7:5"}
		if host == engine.Cluster {
			n.ID = step
		}
		g.Nodes = append(g.Nodes, n)
	}
	add("preflight", engine.Cluster, "cluster.healthy")
	for _, h := range []string{"w1", "w2", "w3"} {
		g.Targets = append(g.Targets, engine.Target{Name: h})
		add("workers/drain", h, "node.drain", "preflight")
		add("workers/restart", h, "systemd.restart", "workers/drain@"+h)
	}
	g.Groups = []engine.Group{{ID: "workers", Hosts: []string{"w1", "w2", "w3"}, MaxUnavailable: 2}}
	return g
}

// noon is when the sample runs begin.
func noon() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

// story is a run over the sample: records at so many seconds after noon.
func story() []journal.Record {
	at := func(s int, r journal.Record) journal.Record {
		r.Time = noon().Add(time.Duration(s) * time.Second)
		return r
	}
	records := []journal.Record{
		at(0, journal.Record{Kind: journal.Begin, Epoch: 1, Facts: map[string]string{"kubelet@w1": "1.27.16", "kubelet@w2": "1.27.16"}}),
		at(0, journal.Record{Kind: journal.Start, Node: "preflight", Attempt: 1}),
		at(1, journal.Record{Kind: journal.Settled, Node: "preflight", State: engine.Done}),
		at(1, journal.Record{Kind: journal.Down, Group: "workers", Hosts: map[string]string{"w3": "cordoned by hand"}}),
		at(2, journal.Record{Kind: journal.Start, Node: "workers/drain@w1", Attempt: 1}),
		at(2, journal.Record{Kind: journal.Intent, Node: "workers/drain@w1", Say: "cordon w1"}),
		at(2, journal.Record{Kind: journal.Outcome, Node: "workers/drain@w1", State: "ok"}),
		at(3, journal.Record{Kind: journal.Intent, Node: "workers/drain@w1", Say: "evict", Of: "shop/cart-0"}),
		at(4, journal.Record{Kind: journal.Wait, Node: "workers/drain@w1", Why: "PDB shop/cart allows 0 (1 healthy, needs 1), and this is a rather long story about a budget"}),
		at(5, journal.Record{Kind: journal.Start, Node: "workers/drain@w2", Attempt: 2}),
		at(6, journal.Record{Kind: journal.Settled, Node: "workers/drain@w2", State: engine.Failed, Why: "w2: exit status 100: E: broken\n\x1b[31mred\x1b[0m"}),
		at(7, journal.Record{Kind: journal.Stop, Why: "interrupted"}),
	}
	for i := range records {
		records[i].Seq = int64(i + 1)
	}
	return records
}

// TestScreen proves the live table at several widths: nothing is wider than the terminal, nor taller.
func TestScreen(t *testing.T) {
	p := boardOf(sample(), story()).progress
	var b strings.Builder
	for _, width := range []int{120, 80, 50, 20} {
		for _, ascii := range []bool{false, true} {
			sc := screen{head: heading{Run: "1120-1200-k3f", Plan: "demo", Cluster: "prod", To: "1.28.15", Begun: noon()}, style: style{ascii: ascii}}
			fmt.Fprintf(&b, "-- width %d ascii %v --\n", width, ascii)
			for _, line := range sc.lines(p, noon().Add(90*time.Second), width, 24) {
				if w := lipgloss.Width(line); w > width {
					t.Errorf("width %d: line of %d: %q", width, w, line)
				}
				if ascii && strings.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
					t.Errorf("not ASCII: %q", line)
				}
				b.WriteString(line + "\n")
			}
		}
	}
	golden(t, "screen.txt", b.String())
}

// TestScreenSaysWhyNothingRuns proves that a rollout between two hosts tells what it waits for, the soak and hosts that
// are out of service; and that one whose hosts are all done tells that the next step waits for the last soak.
func TestScreenSaysWhyNothingRuns(t *testing.T) {
	shown := func(g *engine.Graph, records []journal.Record) string {
		sc := screen{style: style{ascii: true}}
		return strings.Join(sc.lines(boardOf(g, records).progress, noon().Add(20*time.Second), 160, 24), "\n")
	}
	done := func(nodes ...engine.Node) (records []journal.Record) {
		for _, n := range nodes {
			records = append(records, journal.Record{Kind: journal.Start, Node: n.ID, Time: noon()}, journal.Record{Kind: journal.Intent, Node: n.ID, Time: noon()},
				journal.Record{Kind: journal.Settled, Node: n.ID, State: engine.Done, Time: noon()})
		}
		return records
	}
	g := sample()
	g.Groups[0].Soak = time.Minute
	for i := range g.Nodes[1:] {
		g.Nodes[i+1].Group = "workers"
	}
	records := append(done(g.Nodes[1:3]...), journal.Record{Kind: journal.Down, Group: "workers", Hosts: map[string]string{"w3": "cordoned by hand"}, Time: noon()})
	got, want := shown(g, records), "waits: watched for 0:40 more before the next host, w3 is out of service (cordoned by hand)"
	if !strings.Contains(got, want) {
		t.Errorf("want %q in\n%s", want, got)
	}
	got = shown(g, append(records, journal.Record{Kind: journal.Start, Node: g.Nodes[3].ID, Time: noon()}))
	if strings.Contains(got, "watched") {
		t.Errorf("something runs, and yet:\n%s", got)
	}

	last := len(g.Nodes) - 1
	g.Barriers = []engine.Barrier{{ID: "workers/*", Needs: []string{g.Nodes[1].ID}}}
	g.Nodes[last].Group, g.Nodes[last].Needs = "", []string{"workers/*"}
	records = append(records, done(g.Nodes[3:last]...)...)
	got = shown(g, records)
	if want := "waits: watched for 0:40 more before the next step"; !strings.Contains(got, want) || strings.Contains(got, "out of service") {
		t.Errorf("want %q in\n%s", want, got)
	}
	g.Nodes[last].Needs = nil
	if got := shown(g, records); strings.Contains(got, "watched") {
		t.Errorf("nothing waits for it, and yet:\n%s", got)
	}
}

// TestScreenIsNoTallerThanTheTerminal proves that many hosts at work do not push the heading out of sight, nor many hosts
// out of service the rest of a line.
func TestScreenIsNoTallerThanTheTerminal(t *testing.T) {
	g := &engine.Graph{Plan: "big"}
	var records []journal.Record
	for i := range 100 {
		g.Nodes = append(g.Nodes, engine.Node{ID: fmt.Sprint(i), Step: "s", Target: engine.Target{Name: fmt.Sprint("w", i)}})
		records = append(records, journal.Record{Kind: journal.Start, Node: fmt.Sprint(i), Time: noon()})
	}
	lines := screen{}.lines(boardOf(g, records).progress, noon(), 80, 10)
	if text := strings.Join(lines, "\n"); len(lines) > 9 || !strings.Contains(text, "and 97 more") {
		t.Errorf("%d lines on a terminal of 10:\n%s", len(lines), text)
	}
	if words := outOfService(make([]engine.OutOfService, 3000)); len(words) != mostNamed+1 || words[mostNamed] != "and 2995 more are" {
		t.Errorf("3000 hosts in %d words, the last %q", len(words), words[len(words)-1])
	}
}

// TestColourIsOnlyAnExtra proves that a coloured screen says the same as a plain one.
func TestColourIsOnlyAnExtra(t *testing.T) {
	p := boardOf(sample(), story()).progress
	render := func(colour bool) string {
		sc := screen{head: heading{Run: "r", Plan: "demo", Begun: noon()}, style: style{colour: colour}}
		return strings.Join(sc.lines(p, noon(), 100, 24), "\n")
	}
	plain, coloured := render(false), render(true)
	if !strings.Contains(coloured, "\x1b[") || strings.Contains(plain, "\x1b") {
		t.Fatalf("colour: %q, plain: %q", coloured, plain)
	}
	if lipgloss.Width(coloured) != lipgloss.Width(plain) {
		t.Errorf("the coloured screen is %d wide, the plain one %d", lipgloss.Width(coloured), lipgloss.Width(plain))
	}
}

// TestPlainView proves a line per event, and that nothing from a host reaches the terminal unescaped.
func TestPlainView(t *testing.T) {
	var out bytes.Buffer
	b := newBoard(sample())
	v := newPlainView(&out, b, style{})
	tell(b, v, story()...)
	v.Close()
	if strings.Contains(out.String(), "\x1b") {
		t.Error("an escape sequence went through")
	}
	golden(t, "plain.txt", out.String())
}

// TestPlainViewTellsAFailureOnce proves that the end of a step tells why it failed, and not each of its changes before.
func TestPlainViewTellsAFailureOnce(t *testing.T) {
	var out bytes.Buffer
	b := newBoard(sample())
	v := newPlainView(&out, b, style{})
	tell(b, v, journal.Record{Kind: journal.Start, Node: "workers/drain@w1", Attempt: 1})
	for i := range 30 {
		ticket := fmt.Sprintf("t%d", i)
		tell(b, v, journal.Record{Kind: journal.Intent, Node: "workers/drain@w1", Ticket: ticket, Say: "evict its pods", Of: "shop/cart-" + ticket},
			journal.Record{Kind: journal.Outcome, Node: "workers/drain@w1", Ticket: ticket, State: engine.Failed, Why: "Unauthorized"})
	}
	tell(b, v, journal.Record{Kind: journal.Settled, Node: "workers/drain@w1", State: engine.Failed, Why: "Unauthorized\n(and 29 more like it)"})
	v.Close()
	if got := strings.Count(out.String(), "Unauthorized"); got != 1 {
		t.Errorf("it is told %d times:\n%s", got, out.String())
	}
}

// TestPlainViewSpeaksUp proves that a silent step says every 30 s that it is still at it, and only then.
func TestPlainViewSpeaksUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var out bytes.Buffer
		b := newBoard(sample())
		v := newPlainView(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return out.Write(p)
		}), b, style{})
		tell(b, v, journal.Record{Kind: journal.Start, Node: "workers/drain@w1", Attempt: 1, Time: time.Now()},
			journal.Record{Kind: journal.Intent, Node: "workers/drain@w1", Say: "cordon w1", Time: time.Now()})
		time.Sleep(95 * time.Second)
		synctest.Wait()
		v.Close()
		if got := strings.Count(out.String(), "still at it"); got != 3 {
			t.Errorf("spoke up %d times in 95 s, want 3:\n%s", got, out.String())
		}
		if !strings.Contains(out.String(), "w1 workers/drain: still at it after 0:30: cordon w1") {
			t.Errorf("does not say what it is at:\n%s", out.String())
		}
	})
}

// tell shows a view records as a run does: on the board first.
func tell(b *board, v view, records ...journal.Record) {
	for _, rec := range records {
		b.take(&rec)
		v.Show(rec)
	}
}

// TestWhatIsToldGoesByTheView proves that what a credential plugin is waited for with is no line across a view.
func TestWhatIsToldGoesByTheView(t *testing.T) {
	var errs bytes.Buffer
	var noted []string
	c := newConsole(nil, io.Discard, &errs, nil, nil)
	done := c.tellBy(func(line string) { noted = append(noted, line) })
	c.tell("during")
	done()
	c.tell("after \x1b[31m")
	c.flush()
	if !slices.Equal(noted, []string{"during"}) || errs.String() != "after \\x1b[31m\n" {
		t.Errorf("the view has %q, and standard error %q", noted, errs.String())
	}
}

// queued is an outlet at which nobody waits.
func queued(to io.Writer) *outlet {
	o := newOutlet(to)
	o.QueueUp(leftOut("r"))
	return o
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestTTYView proves what a terminal is left with: the finished steps, and no live table after the end.
func TestTTYView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := newBoard(sample())
		v := newTTYView(queued(&out), b, heading{Run: "r", Plan: "demo"}, style{}, func() (int, int) { return 80, 24 }, nil)
		for i, rec := range story() {
			tell(b, v, rec)
			if i%3 == 0 {
				time.Sleep(2 * frame) // let it draw in between
				synctest.Wait()
			}
		}
		v.Close()
		synctest.Wait()
		left := terminal(out.String())
		golden(t, "tty.txt", strings.Join(left, "\n")+"\n")
		if strings.Contains(strings.Join(left, "\n"), "HOST") {
			t.Error("the live table stayed on the screen")
		}
	})
}

// terminal plays output to a screen of endless height: newline, cursor up, carriage return and erase below.
// TestTTYViewOfAResume proves that the live table counts what earlier processes have done, and shows it only once
// something new has happened.
func TestTTYViewOfAResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := boardOf(sample(), story())
		v := newTTYView(queued(&out), b, heading{Run: "r", Plan: "demo"}, style{}, func() (int, int) { return 80, 24 }, nil)
		time.Sleep(2 * frame)
		synctest.Wait()
		if out.Len() > 0 {
			t.Errorf("drawn before anything happened: %q", out.String())
		}
		tell(b, v, journal.Record{Kind: journal.Begin, Time: noon().Add(time.Hour)})
		time.Sleep(2 * frame)
		synctest.Wait()
		v.Close()
		synctest.Wait()
		if !strings.Contains(out.String(), "done 1 of") || !strings.Contains(out.String(), "preflight") {
			t.Errorf("%q", out.String())
		}
	})
}

func terminal(text string) []string {
	lines, row := []string{""}, 0
	for len(text) > 0 {
		var up int
		switch {
		case strings.HasPrefix(text, "\x1b[J"):
			lines, text = append(lines[:row], ""), text[3:]
		case strings.HasPrefix(text, "\x1b["):
			if _, err := fmt.Sscanf(text, "\x1b[%dA", &up); err != nil {
				panic("unknown sequence " + text[:5])
			}
			row -= up
			text = text[strings.IndexByte(text, 'A')+1:]
		case text[0] == '\n':
			row++
			if row == len(lines) {
				lines = append(lines, "")
			}
			text = text[1:]
		case text[0] == '\r':
			text = text[1:]
		default:
			lines[row] += text[:1]
			text = text[1:]
		}
	}
	return lines
}

// TestJSONViewAsksAPerson proves that a question is seen although standard output is for a program.
func TestJSONViewAsksAPerson(t *testing.T) {
	var out, errs bytes.Buffer
	newJSONView(&out, &errs).Ask("go on?")()
	if out.Len() > 0 || errs.String() != "go on?\n" {
		t.Errorf("%q to the program, %q to the person", out.String(), errs.String())
	}
}

// TestJSONView proves that every record comes out as one line that reads back as itself.
func TestJSONView(t *testing.T) {
	var out bytes.Buffer
	v := newJSONView(&out, io.Discard)
	for _, rec := range story() {
		v.Show(rec)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(story()) {
		t.Fatalf("%d lines of %d records", len(lines), len(story()))
	}
	for i, want := range story() {
		var got journal.Record
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatal(err)
		}
		if got.Kind != want.Kind || got.Node != want.Node || !got.Time.Equal(want.Time) || got.Why != want.Why {
			t.Errorf("record %d came out as %s", i, lines[i])
		}
	}
}
