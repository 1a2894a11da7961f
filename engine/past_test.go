package engine

import (
	"errors"
	"testing"

	"upgrader.dev/upgrader/engine/journal"
)

// A past read for another graph must not be gone on from: its nodes are others.
func TestThePastIsOfTheGraph(t *testing.T) {
	r := &Runner{Graph: one("x"), Past: NewPast(one("y")), Log: &memory{w: newWorld()}, Binder: binder{}}
	if err := r.Start(t.Context(), nil); !errors.Is(err, errOtherPast) {
		t.Errorf("%v, want a refusal", err)
	}
}

// Whether an edited plan keeps what is under way is a question: asked or not, what is recorded next means the same.
func TestAskingThePastChangesNothing(t *testing.T) {
	renamed := one("x")
	renamed.Nodes[0].ID = "renamed@h"
	records := openPast("x@h")
	records[2].Uses, records[2].Host = "x", "h"
	p := pastOf(renamed, records)
	before, _ := p.reducer.Snapshot()
	if err := p.Keeps(); err != nil || !p.Underway() {
		t.Errorf("renamed: %v, underway %v; want it kept, and underway", err, p.Underway())
	}
	if after, _ := p.reducer.Snapshot(); string(before) != string(after) {
		t.Errorf("before: %s\nafter:  %s", before, after)
	}
	if err := pastOf(one("y"), records).Keeps(); err == nil {
		t.Error("a plan without the step was taken")
	}
}

// Records come in one place, one after the other, as a journal is read: nothing of an earlier one is taken from there.
func TestThePastKeepsNoRecord(t *testing.T) {
	g, records := one("x"), openPast("x@h")
	p, want := NewPast(g), pastOf(g, records)
	var rec journal.Record
	for _, rec = range records {
		p.Take(&rec)
		rec = journal.Record{Say: "gone"}
	}
	got, _ := p.reducer.Snapshot()
	if want, _ := want.reducer.Snapshot(); string(got) != string(want) {
		t.Errorf("%s, want %s", got, want)
	}
}
