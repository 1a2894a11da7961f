package main

import (
	"context"
	"fmt"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/steps"
)

// A rehearsal is what a dry run found out.
type rehearsal struct {
	graph   *engine.Graph
	nodes   *engine.Index // of the graph
	summary engine.Summary
	records []journal.Record
}

// rehearse carries the graph out with clients that refuse every write, and records nothing.
func rehearse(ctx context.Context, c *console, w *world, g *engine.Graph, watch func(journal.Record)) (*rehearsal, error) {
	fleet := w.fleet(func(warning string) { c.say("%s", warning) }, nil)
	defer closeQuietly(fleet)
	client := w.client.ReadOnly()
	catalog, err := steps.Catalog(steps.Deps{Hosts: fleet.ReadOnly(), Cluster: client})
	if err != nil {
		return nil, err
	}
	r, p := &rehearsal{graph: g, nodes: g.Index()}, engine.NewProgress(g)
	runner := &engine.Runner{
		Graph: g, Run: "dry-run", Binder: plan.NewBinder(catalog), Rehearse: true, Facts: versions(w.nodes),
		Watch: func(rec journal.Record) { // called in order, one at a time
			p.Take(&rec)
			r.records = append(r.records, rec)
			watch(rec)
		},
	}
	err = runner.Start(ctx, nil)
	r.summary = p.Summary()
	return r, err
}

// dryRun shows what a run would change. It writes nothing, neither here nor there.
func dryRun(ctx context.Context, c *console, w *world, g *engine.Graph, mode string, detailed bool) error {
	show := view(quietView{})
	if mode == outputJSON {
		show = newJSONView(c.out, c.errs)
	} else {
		c.say("looking at cluster %s and %s; nothing is changed", w.id, count(len(g.Targets), "host"))
	}
	r, err := rehearse(ctx, c, w, g, show.Show)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	if mode != outputJSON {
		for _, line := range r.page(c.style(c.out)) {
			writeLine(c.out, line)
		}
	}
	return r.verdict(c, detailed)
}

// verdict turns what was found into the exit code's reason.
func (r *rehearsal) verdict(c *console, detailed bool) error {
	for _, n := range r.summary.Nodes {
		if n.State == engine.Failed || n.State == engine.Refused {
			c.say("%s %s on %s: %s", strings.ToUpper(n.State), n.Step, n.Host, n.Message)
		}
	}
	switch {
	case r.summary.Refused, r.summary.State == engine.Failed:
		return &runEnded{r.summary}
	case detailed && r.total() > 0:
		return errPending
	}
	return nil
}

func (r *rehearsal) total() int {
	n := 0
	for _, rec := range r.records {
		if rec.Kind == journal.Intent {
			n++
		}
	}
	return n
}

// byHost lists what would be done on each host, in the order in which it would be, and what cannot be known yet among it.
// What one change is about stands below it: the pods below their eviction.
func (r *rehearsal) byHost() map[string][]string {
	lines, said := map[string][]string{}, map[string]string{}
	for _, rec := range r.records {
		n := r.nodes.Lookup(rec.Node)
		if n == nil || rec.Kind != journal.Intent && rec.Kind != journal.Wait {
			continue
		}
		host := n.Target.Name
		say := oneLine("(" + n.Step + ": " + rec.Why + ")")
		if rec.Kind == journal.Intent {
			say = oneLine(rec.Say + parenthesis(rec.Why))
		}
		if say != said[host] || rec.Of == "" {
			lines[host] = append(lines[host], say)
		}
		if said[host] = say; rec.Of != "" {
			lines[host] = append(lines[host], "  "+oneLine(rec.Of))
		}
	}
	return lines
}

// page is what a dry run shows: host by host, the changes in their order.
func (r *rehearsal) page(st style) []string {
	lines := []string{fmt.Sprintf("%s%s", st.bold(oneLine(r.graph.Plan)), colon(r.target()))}
	byHost := r.byHost()
	for _, name := range append([]string{engine.Cluster}, hostNames(r.graph)...) {
		if len(byHost[name]) == 0 {
			continue
		}
		lines = append(lines, "", st.bold(oneLine(name))+parenthesis(before(r.summary.Facts, name)))
		for _, say := range byHost[name] {
			lines = append(lines, "  "+say)
		}
	}
	if r.summary.State != engine.Done {
		return append(lines, "", "the dry run could not see further; nothing was changed")
	}
	if n := r.total(); n > 0 {
		return append(lines, "", count(n, "change")+" would be made; nothing was changed")
	}
	return append(lines, "", "nothing to do")
}
