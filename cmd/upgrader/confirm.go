package main

import (
	"cmp"
	"context"
	"fmt"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/steps/facts"
)

// confirmRun shows what a run would do, in short, and asks. It looks at the cluster as a dry run does, so that a closed
// gate shows before anybody says yes.
func confirmRun(ctx context.Context, c *console, w *world, g *engine.Graph) error {
	c.say("looking at cluster %s and %s ...", w.id, count(len(g.Targets), "host"))
	r, err := rehearse(ctx, c, w, g, func(journal.Record) {})
	if err := cmp.Or(context.Cause(ctx), err); err != nil {
		return err
	}
	if err := r.verdict(c, false); err != nil {
		return err
	}
	for _, line := range r.brief(w) {
		writeLine(c.errs, line)
	}
	yes, err := c.confirm(ctx, "Go ahead?")
	if err != nil {
		return err
	}
	if !yes {
		return invalid("not confirmed: nothing was changed")
	}
	return nil
}

// brief is the summary that a person says yes to.
func (r *rehearsal) brief(w *world) []string {
	lines := []string{
		"",
		"plan     " + oneLine(r.graph.Plan+parenthesis(r.target())),
		"cluster  " + oneLine(w.id.full()),
		"",
	}
	changes := map[string]int{}
	for _, rec := range r.records {
		if n := r.nodes.Lookup(rec.Node); n != nil && rec.Kind == journal.Intent {
			changes[n.Target.Name]++
		}
	}
	rows, known := [][]string{{"HOST", "NOW", "CHANGES"}}, versions(w.nodes)
	for _, name := range append([]string{engine.Cluster}, hostNames(r.graph)...) {
		if name != engine.Cluster || changes[name] > 0 {
			rows = append(rows, []string{oneLine(name), cmp.Or(before(known, name), "-"), fmt.Sprint(changes[name])})
		}
	}
	return append(append(lines, columns(rows)...), "")
}

// target says in a few words which version the plan leads from and to.
func (r *rehearsal) target() string {
	if r.graph.To == "" {
		return ""
	}
	return r.graph.From + " to " + r.graph.To
}

func before(known engine.Facts, host string) string { return known[facts.Kubelet(host)] }

func hostNames(g *engine.Graph) []string {
	var names []string
	for _, t := range g.Targets {
		names = append(names, t.Name)
	}
	return names
}
