package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/printable/hostile"
)

// reading collects the lines of a reader who reads all there is, and calls before ahead of each read.
func reading(r io.Reader, before func()) (lines func() []string) {
	var all []string
	var reader sync.WaitGroup
	reader.Go(func() {
		scan := bufio.NewScanner(readerFunc(func(p []byte) (int, error) {
			before()
			return r.Read(p)
		}))
		for scan.Buffer(nil, 4<<20); scan.Scan(); {
			all = append(all, scan.Text())
		}
	})
	return func() []string {
		reader.Wait()
		return all
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestAnOutletWaitsForNobody proves that a reader who does not read holds up neither those who write nor the end, that
// what waits for it is bounded, and that it is told of what was left out when it reads again.
func TestAnOutletWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read, write := io.Pipe()
		o := newOutlet(write)
		o.QueueUp(func(n int) string { return fmt.Sprintf("%d left out", n) })
		const long, written = 1 << 20, 100
		numbered := func(i int) string { return fmt.Sprintf("%04d", i) + strings.Repeat("x", long-4) }
		for i := range written {
			if _, err := io.WriteString(o, numbered(i)+"\n"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the first is on its way before the second comes
		}
		began := time.Now()
		o.Flush(time.Second)
		o.Flush(time.Second) // it has been given up already
		if took := time.Since(began); took != time.Second || o.Idle() {
			t.Errorf("given up after %s, idle: %v", took, o.Idle())
		}

		lines := reading(read, func() {})
		o.Flush(time.Minute) // it may be given up still, by what was known then
		synctest.Wait()
		if !o.Idle() {
			t.Error("it reads again, and not everything is written")
		}
		_ = write.Close()
		const fit = mostWaiting / (long + 1)
		want := []string{numbered(0), fmt.Sprintf("%d left out", written-1-fit)}
		for i := written - fit; i < written; i++ {
			want = append(want, numbered(i))
		}
		if got := lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%d lines, want %d; the second is %.40q", len(got), len(want), got[min(1, len(got)-1)])
		}
	})
}

// TestASlowReaderGetsEverything proves that a program which takes its time over every line of the JSON view gets them
// all, in order, also those written long before it comes to them.
func TestASlowReaderGetsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read, write := io.Pipe()
		c := newConsole(nil, write, io.Discard, nil, nil)
		c.waitForNobody(outputJSON, "r")
		v := c.newView(outputJSON, newBoard(sample()), heading{}, nil)
		lines := reading(read, func() { time.Sleep(3 * time.Second) })
		const records = 2000
		for i := range records {
			v.Show(journal.Record{Seq: int64(i), Kind: journal.Wait, Node: "preflight", Why: strings.Repeat("because ", 20)})
		}
		v.Close()
		c.flush()
		_ = write.Close()
		got := lines()
		if len(got) != records {
			t.Fatalf("%d lines of %d", len(got), records)
		}
		for i, line := range got {
			var rec journal.Record
			if err := json.Unmarshal([]byte(line), &rec); err != nil || rec.Seq != int64(i) {
				t.Fatalf("line %d: %q, %v", i, line, err)
			}
		}
	})
}

// TestDroppedRecordsAreARecord proves that a program is told of records that it was too late for in its own language.
func TestDroppedRecordsAreARecord(t *testing.T) {
	var dropped struct {
		Kind    string
		Records int
	}
	if err := json.Unmarshal([]byte(droppedRecords(312)), &dropped); err != nil || dropped.Kind != "dropped" || dropped.Records != 312 {
		t.Errorf("%s: %+v, %v", droppedRecords(312), dropped, err)
	}
}

// TestATerminalThatStandsStill proves that a terminal after Ctrl-S costs drawings and, in the end, lines, but no time;
// and that it shows the newest of both when it goes on.
func TestATerminalThatStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read, write := io.Pipe()
		o := queued(write)
		b := newBoard(sample())
		v := newTTYView(o, b, heading{Run: "r", Plan: "demo", Begun: time.Now()}, style{ascii: true}, func() (int, int) { return 80, 24 }, nil)
		const settled = 3000
		for range settled {
			tell(b, v, journal.Record{Kind: journal.Settled, Node: "preflight", State: engine.Done, Time: time.Now()})
			time.Sleep(frame)
		}
		v.Note("the newest")
		lines := reading(read, func() {})
		time.Sleep(3 * frame)
		v.Close()
		o.Flush(time.Minute)
		_ = write.Close()

		text := strings.Join(lines(), "\n")
		if drawings := strings.Count(text, "run r  "); drawings < 2 || drawings > 5 {
			t.Errorf("%d drawings of which most were old", drawings)
		}
		_, said, _ := strings.Cut(text, "... ")
		var left int
		if _, err := fmt.Sscanf(said, "%d lines left out while nobody read them; all of it: upgrader status r", &left); err != nil || left < settled-mostAbove-2 || left > settled {
			t.Errorf("%d left out, %v: %.200q", left, err, said)
		}
		if !strings.Contains(text, "the newest") {
			t.Error("the newest line was left out")
		}
	})
}

// TestCommandsWaitForTheirReader proves that a command which shows what it found loses nothing of it, and learns that its
// reader has gone.
func TestCommandsWaitForTheirReader(t *testing.T) {
	var out bytes.Buffer
	c := newConsole(nil, &out, io.Discard, nil, nil)
	writeLine(c.out, "result")
	if out.String() != "result\n" {
		t.Errorf("%q", out.String())
	}
	c = newConsole(nil, writerFunc(func([]byte) (int, error) { return 0, io.ErrClosedPipe }), io.Discard, nil, nil)
	if _, err := io.WriteString(c.out, "result"); err == nil {
		t.Error("nobody is told that the reader has gone")
	}
}

// The colours of the program's style reach a terminal, and nothing else that a terminal obeys reaches anybody.
func TestOutletsLetOnlyOurColoursThrough(t *testing.T) {
	dressed := style{colour: true}
	var text string
	for _, state := range []string{engine.Done, engine.Skipped, engine.Failed, engine.Refused, engine.Running, engine.Waiting, engine.Paused, engine.Pending} {
		text += dressed.mark(state)
	}
	text += dressed.bold("bold") + dressed.faint("faint") + dressed.cut(dressed.bold("a long word"), 5)
	for _, terminal := range []bool{true, false} {
		var out bytes.Buffer
		o := newOutlet(&out)
		o.belt.Colours = terminal
		_, _ = io.WriteString(o, text)
		if got := out.String(); terminal && got != text || !terminal && strings.Contains(got, "\x1b") {
			t.Errorf("at a terminal %v: %q of %q", terminal, got, text)
		}
		out.Reset()
		_, _ = io.WriteString(o, hostile.Text()+"\x1b[8m\x1b[2A\n")
		if what, found := hostile.Obeyed(out.String()); found {
			t.Errorf("%s came through: %q", what, out.String())
		}
	}
}

// What is written as JSON loses nothing on its way out.
func TestOutletsKeepJSON(t *testing.T) {
	var out bytes.Buffer
	said := strings.ToValidUTF8(hostile.Text(), "")
	newJSONView(newOutlet(&out), io.Discard).Show(journal.Record{Kind: journal.Wait, Why: said, Facts: map[string]string{said: said}})
	if what, found := hostile.Obeyed(out.String()); found {
		t.Errorf("%s came through: %q", what, out.String())
	}
	var back journal.Record
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back.Why != said || back.Facts[said] != said {
		t.Errorf("it came back as %+v, %v", back, err)
	}
}
