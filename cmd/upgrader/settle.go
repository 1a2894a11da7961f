package main

import (
	"maps"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
)

// decisions are the records of what --settle says, and of what `upgrader approve` has left since: also an approval of
// what had been rejected.
func (o *resumeOptions) decisions(c *console, g *engine.Graph, dir runDir, past []journal.Record) ([]journal.Record, error) {
	who, _ := whoami(c.env)
	var records []journal.Record
	left := newInbox(g, dir, past).Poll()
	for _, node := range slices.Sorted(maps.Keys(left)) {
		records = append(records, journal.Record{Kind: journal.Decision, Node: node, State: left[node].Verdict, Who: left[node].Who})
	}
	for _, word := range o.settle {
		step, verdict, _ := strings.Cut(word, "=")
		if verdict != "done" && verdict != "retry" {
			return nil, invalid("--settle %q: want STEP=done or STEP=retry", word)
		}
		n, err := findNode(g, step)
		if err != nil {
			return nil, err
		}
		records = append(records, journal.Record{Kind: journal.Decision, Node: n.ID, State: verdict, Who: who, Digest: n.Digest})
	}
	return records, nil
}
