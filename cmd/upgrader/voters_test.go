package main

import (
	"bytes"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// TestVotersAreKnownOrNobody proves that a setting which only the run can tell makes nobody a voter until it is known, with what the
// run found out, and that keys are taken from the plan alone.
func TestVotersAreKnownOrNobody(t *testing.T) {
	known := engine.Facts{"duty": "kim,lee", "keys": "kim ssh-ed25519 AAAA"}
	for _, tt := range []struct {
		node     string
		facts    engine.Facts
		anybody  bool
		kim, eve bool
		signed   bool
		why      string
	}{
		{node: "go", anybody: true, kim: true, eve: true},
		{node: "named", kim: true},
		{node: "told", why: "depends, by its approvers, on what the run finds out"},
		{node: "told", facts: known, kim: true},
		{node: "listed", why: "depends, by its approvers, on what the run finds out"},
		{node: "listed", facts: engine.Facts{"duty": "kim"}, kim: true},
		{node: "keyed", facts: known, kim: true, eve: true, signed: true, why: "its allowedSigners depend on what the run finds out"},
		{node: "broken", signed: true, why: "cannot be read"},
	} {
		v := votersOf(asking().Lookup(tt.node), tt.facts)
		why := ""
		if err := v.notKnown(tt.node); err != nil {
			why = err.Error()
		}
		if v.anybody() != tt.anybody || v.named("kim") != tt.kim || v.named("eve") != tt.eve || v.signed() != tt.signed ||
			(why == "") != (tt.why == "") || !strings.Contains(why, tt.why) {
			t.Errorf("%s, knowing %v: anybody %v, kim %v, eve %v, signed %v, %s", tt.node, tt.facts, v.anybody(), v.named("kim"), v.named("eve"), v.signed(), why)
		}
	}
}

// TestApproversOfTheRun proves that `upgrader approve` takes nobody's answer before the run has found out who may answer, and theirs only
// when it has.
func TestApproversOfTheRun(t *testing.T) {
	const text = `apiVersion: upgrader.dev/v1
kind: Plan
name: duty
steps:
  - {id: look, uses: approval, with: {message: "Look?"}}
  - {id: go, uses: approval, with: {message: "Go?", approvers: "${{ facts['duty'].split(',') }}"}}
`
	found := journal.Record{Kind: journal.Outcome, Node: "look", Ticket: "t1", State: engine.OutcomeOK, Facts: engine.Facts{"duty": "kim,lee"}}
	for _, tt := range []struct {
		who   string
		past  []journal.Record
		code  int
		words string
	}{
		{"kim", nil, exitInvalid, "who may answer step go depends, by its approvers, on what the run finds out"},
		{"eve", nil, exitInvalid, "who may answer step go depends, by its approvers, on what the run finds out"},
		{"eve", []journal.Record{found}, exitInvalid, "can be answered by kim, lee only, not by eve"},
		{"kim", []journal.Record{found}, exitDone, "approved by kim"},
	} {
		p := pinningOf(t, text, tt.past...)
		var out, errs bytes.Buffer
		code := run(t.Context(), nil, []string{"approve", p.ID, "go", "--state-dir", p.state, "--as", tt.who}, strings.NewReader(""), &out, &errs, p.env)
		if code != tt.code || !strings.Contains(errs.String(), tt.words) {
			t.Errorf("%s, after %d records: exit code %d, %s", tt.who, len(tt.past), code, &errs)
		}
	}
}
