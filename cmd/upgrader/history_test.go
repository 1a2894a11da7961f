package main

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// historyOf is what these records make of a run of this graph.
func historyOf(g *engine.Graph, records []journal.Record) *history {
	h := newHistory(g)
	for i := range records {
		h.take(&records[i])
	}
	return h
}

// boardOf is a board on which these records are.
func boardOf(g *engine.Graph, records []journal.Record) *board { return historyOf(g, records).board }

// TestHistory proves that one reading of a journal, of any length, tells what its records do one by one: what was known first, what
// was decided last, where something was begun, how far the run is.
func TestHistory(t *testing.T) {
	g := sample()
	records := append([]journal.Record{{Kind: journal.Begin, Facts: engine.Facts{"version@w1": "1.27.16"}}, {Kind: journal.Begin, Facts: engine.Facts{"version@w1": "later"}},
		{Kind: journal.Decision, Node: "go", Time: noon()}, {Kind: journal.Decision, Node: "go", Time: noon().Add(time.Hour)}, {Kind: journal.Intent, Node: "drain@w9", Host: "w9", Ticket: "t"}}, story()...)
	for len(records) < 3000 { // several batches
		records = append(records, journal.Record{Kind: journal.Wait, Node: "workers/drain@w1", Why: "a pod is left"})
	}
	file, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Append(records...); err != nil {
		t.Fatal(err)
	}
	h, err := readHistory(file, g)
	if err != nil {
		t.Fatal(err)
	}
	if !h.began || h.before["version@w1"] != "1.27.16" || !h.decided["go"].Equal(noon().Add(time.Hour)) || !h.hosts["w9"] || !h.hosts["w1"] || h.hosts["w7"] {
		t.Errorf("began %v knowing %v, decided %v, hosts %v", h.began, h.before, h.decided, h.hosts)
	}
	if got, want := h.board.summary(), historyOf(g, records).board.summary(); got.State != want.State || !reflect.DeepEqual(got.Nodes[0].Message, want.Nodes[0].Message) || len(got.Nodes) != len(want.Nodes) || !reflect.DeepEqual(got.Facts, want.Facts) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if newHistory(g).began {
		t.Error("a run without a record has begun")
	}
}

// TestBeside proves that all records are seen, in order, before it returns, also where the reading fails.
func TestBeside(t *testing.T) {
	broken := errors.New("broken")
	for _, n := range []int64{0, 1, 255, 256, 257, 5000} {
		var seen int64
		err := beside(func(each func(*journal.Record) error) error {
			for i := range n {
				if err := each(&journal.Record{Seq: i + 1}); err != nil {
					return err
				}
			}
			return broken
		}, func(rec *journal.Record) {
			if seen++; rec.Seq != seen {
				t.Errorf("of %d: record %d comes as number %d", n, rec.Seq, seen)
			}
		})
		if seen != n || !errors.Is(err, broken) {
			t.Errorf("%d of %d were seen, %v", seen, n, err)
		}
	}
}
