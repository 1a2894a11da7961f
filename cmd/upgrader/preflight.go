package main

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/preflight"
	"upgrader.dev/upgrader/steps/survey"
)

func preflightCommand(c *console) *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:   "preflight PLAN",
		Short: "Find everything that would stop a plan in the middle",
		Long: `Reads the cluster and every host, and reports what stands in the way of the plan: what it is, where, how it was seen and
what to do. It changes nothing. ` + "`upgrader run`" + ` does the same before it begins. A finding that does not matter is waived in
the plan (waivers), with a reason and a last day. Exits with 4 if something blocks the way.`,
		Example: `  upgrader preflight plans/1.27-to-1.28.yaml
  upgrader preflight plans/1.27-to-1.28.yaml --output junit >preflight.xml`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completePlans,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			return o.preflight(cmd.Context(), c, args[0])
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.vars, "var", nil, "value of a variable, name=value; may be repeated")
	f.StringVarP(&o.output, "output", "o", "", "text, json or junit (default text)")
	o.placeFlags(cmd)
	return cmd
}

// The forms of the report.
const (
	reportText  = "text"
	reportJSON  = "json"
	reportJUnit = "junit"
)

func (o *runOptions) preflight(ctx context.Context, c *console, path string) error {
	if o.output == "" {
		o.output = reportText
	}
	if o.output != reportText && o.output != reportJSON && o.output != reportJUnit {
		return invalid("--output %q: want text, json or junit", o.output)
	}
	prep, err := o.prepare(path)
	if err != nil {
		return err
	}
	w, end, err := o.meet(ctx, c, prep)
	if err != nil {
		return err
	}
	defer end()
	r, err := inspect(ctx, c, w, prep.graph)
	if err != nil {
		return err
	}
	if err := r.write(c, o.output); err != nil {
		return err
	}
	return r.verdict()
}

// An inspection is what preflight found out about a plan and a cluster.
type inspection struct {
	Plan     string            `json:"plan"`
	Cluster  string            `json:"cluster"`
	To       string            `json:"to,omitempty"`
	Hosts    int               `json:"hosts"`
	Took     float64           `json:"seconds"`
	Findings []finding.Finding `json:"findings"`
	Drain    string            `json:"drain,omitempty"` // what to expect of the longest drain

	checks []engine.Check
}

// goalOf reads out of a graph what its plan wants of a cluster.
func goalOf(g *engine.Graph) (preflight.Goal, error) {
	catalog, err := offline()
	if err != nil {
		return preflight.Goal{}, err
	}
	return preflight.GoalOf(g, outlines(catalog))
}

// outlines makes the step of a node as far as it is known, once for all hosts for which a step of the plan has the same settings.
func outlines(catalog *engine.Catalog) preflight.Steps {
	type outline struct {
		of   *engine.Node
		step engine.Step
	}
	last := map[string]outline{} // by step
	return func(n *engine.Node) (engine.Step, error) {
		if l, ok := last[n.Step]; ok && l.of.Kind == n.Kind && l.of.When == n.When && reflect.DeepEqual(l.of.With, n.With) {
			return l.step, nil
		}
		step, err := plan.Outline(catalog, n)
		if err == nil {
			last[n.Step] = outline{n, step}
		}
		return step, err
	}
}

// inspect looks at the cluster for a plan that has been laid out over its hosts. A signal ends it.
func inspect(ctx context.Context, c *console, w *world, g *engine.Graph) (*inspection, error) {
	goal, err := goalOf(g)
	if err != nil {
		return nil, asInvalid(err)
	}
	fleet := w.fleet(func(warning string) { c.say("%s", warning) }, nil)
	defer closeQuietly(fleet)
	began := time.Now()
	v, err := preflight.Inspect(ctx, survey.Eyes{Hosts: fleet.ReadOnly(), Cluster: w.client.ReadOnly()}, goal)
	if err != nil {
		return nil, fmt.Errorf("looking at the cluster before the run: %w", err)
	}
	return &inspection{
		Plan: g.Plan, Cluster: w.id.String(), To: g.To, Hosts: len(v.Hosts), Took: time.Since(began).Seconds(),
		Findings: preflight.Judge(v), Drain: preflight.LongestDrain(v), checks: preflight.Checks(),
	}, nil
}

func (r *inspection) write(c *console, form string) error {
	switch form {
	case reportJSON:
		out := json.NewEncoder(c.out)
		out.SetIndent("", "  ")
		return out.Encode(r)
	case reportJUnit:
		return r.junit(c.out)
	}
	width, _ := c.size()
	for _, line := range r.page(c.style(c.out), width) {
		writeLine(c.out, line)
	}
	return nil
}

// count counts the findings of one severity that are not waived.
func (r *inspection) count(s finding.Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s && f.Waived == nil {
			n++
		}
	}
	return n
}

// A blockedError is the answer where the way is closed. Everything about it has been said.
type blockedError struct{ blockers int }

func (e *blockedError) Error() string { return count(e.blockers, "blocker") + " in the way" }

func (r *inspection) verdict() error {
	if n := r.count(finding.Blocker); n > 0 {
		return &blockedError{n}
	}
	return nil
}

// checkBefore makes the checks before a run, and says what they found, if it matters. Only what blocks ends the command.
func checkBefore(ctx context.Context, c *console, w *world, g *engine.Graph) error {
	r, err := inspect(ctx, c, w, g)
	if err != nil {
		return err
	}
	if r.count(finding.Blocker)+r.count(finding.Warning) == 0 {
		return nil
	}
	width, _ := c.size()
	for _, line := range r.page(c.style(c.errs), width) {
		writeLine(c.errs, line)
	}
	return r.verdict()
}
