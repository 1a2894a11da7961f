package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/steps/approval"
)

// decisions are the records of what --settle says, and of what `upgrader approve` has left since: also an approval of
// what had been rejected.
func (o *resumeOptions) decisions(s *session) ([]journal.Record, error) {
	said, err := o.said(s.console, s.graph, s.history)
	if err != nil {
		return nil, err
	}
	var records []journal.Record
	in := newInbox(s.graph, s.dir, s.key, s.history.decided)
	in.warn = func(words string) { s.console.say("%s", words) }
	for _, f := range in.Outdated() {
		s.console.say("%s: what %s answered was another question, the plan was edited since; it is asked anew", f.Node, f.Who)
	}
	left := in.answers("")
	for _, node := range slices.Sorted(maps.Keys(left)) {
		rec := left[node].Record(node)
		rec.Time = time.Time{} // now, when it is taken
		records = append(records, rec)
	}
	return append(records, said...), nil
}

// said are the records of what --settle says.
func (o *resumeOptions) said(c *console, g *engine.Graph, h *history) ([]journal.Record, error) {
	me := theOperator(c.env)
	var records []journal.Record
	for _, word := range o.settle {
		rec, err := settled(g, h, word)
		if err != nil {
			return nil, err
		}
		rec.Who, rec.By = me.name, me.account
		records = append(records, rec)
	}
	return records, nil
}

// settled is the record of what a person found out: about a step, or about a host that the plan took out in the middle of its steps.
func settled(g *engine.Graph, h *history, word string) (journal.Record, error) {
	name, verdict, _ := strings.Cut(word, "=")
	if verdict != engine.Done && verdict != engine.TryAgain {
		return journal.Record{}, invalid("--settle %q: want STEP=done, STEP=retry or HOST=done", word)
	}
	n, err := findNode(g, name)
	if err == nil && n.Kind == approval.Kind { // who may answer, and with which signature, is looked at there
		return journal.Record{}, invalid("--settle %q: step %s asks a person: answer it with `upgrader approve`", word, n.ID)
	}
	if err == nil {
		return journal.Record{Kind: journal.Decision, Node: n.ID, State: verdict, Digest: n.Digest}, nil
	}
	switch {
	case slices.ContainsFunc(g.Nodes, func(n engine.Node) bool { return n.Step == name }):
		return journal.Record{}, err
	case planned(g, name) && !h.past.Lost(name):
		return journal.Record{}, invalid("--settle %q: host %s is in the plan, so say it of the step that you looked at: STEP@%s=%s", word, name, name, verdict)
	case name == engine.Cluster || !h.hosts[name]:
		return journal.Record{}, err
	case verdict != engine.Done:
		return journal.Record{}, invalid("--settle %q: the plan took host %s out in the middle of its steps, so nothing can be tried again there: bring it to an end by hand, then give %s=done", word, name, name)
	}
	return journal.Record{Kind: journal.Decision, Host: name, State: verdict}, nil
}

// planned says whether the plan's inventory has a host of this name.
func planned(g *engine.Graph, name string) bool {
	return slices.ContainsFunc(g.Targets, func(t engine.Target) bool { return t.Name == name })
}
