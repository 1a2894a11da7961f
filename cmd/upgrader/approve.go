package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/private"
)

func approveCommand(c *console, g *global) *cobra.Command {
	var no bool
	var as string
	cmd := &cobra.Command{
		Use:               "approve RUN STEP",
		Short:             "Answer an approval that a run waits for",
		Long:              `Approves, or rejects, a step that waits for a person. A run at work goes on by itself; a paused one by ` + "`upgrader resume`.",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeRuns(c, g),
		RunE: func(_ *cobra.Command, args []string) error {
			run, err := findRun(c, g, args[0])
			if err != nil {
				return err
			}
			verdict := approve
			if no {
				verdict = reject
			}
			if as == "" {
				as, _ = whoami(c.env)
			}
			return decide(c, run, args[1], verdict, as)
		},
	}
	cmd.Flags().BoolVar(&no, "reject", false, "reject it: the step fails and the run stops")
	cmd.Flags().StringVar(&as, "as", "", "in whose name (default: the user)")
	return cmd
}

// decide leaves a decision for the run to find.
func decide(c *console, run listing, step, verdict, who string) error {
	g, summary, err := run.dir.summary()
	if err != nil {
		return err
	}
	n, err := findNode(g, step)
	if err != nil {
		return err
	}
	if n.Kind != approvalKind {
		return invalid("step %s is of kind %s and asks nobody", n.ID, n.Kind)
	}
	if named := approvers(n); len(named) > 0 && !slices.Contains(named, who) {
		return invalid("step %s can be answered by %s only, not by %s: name one with --as", n.ID, strings.Join(named, ", "), who)
	}
	for _, status := range summary.Nodes {
		if status.ID == n.ID && (status.State == engine.Done || status.State == engine.Skipped) {
			return invalid("step %s is %s already", n.ID, status.State)
		}
	}
	if err := private.MkdirAll(run.dir.path("decisions")); err != nil {
		return fmt.Errorf("leaving the decision: %w", err)
	}
	if err := writeJSON(run.dir.decisionPath(n.ID), decisionFile{Node: n.ID, Verdict: verdict, Who: who, At: time.Now(), Digest: n.Digest}); err != nil {
		return err
	}
	next := "the run takes it from here"
	if !journal.InUse(string(run.dir)) {
		next = "go on with: upgrader resume " + run.ID
	}
	c.say("%s: %s by %s; %s", n.ID, map[string]string{approve: "approved", reject: "rejected"}[verdict], who, next)
	if wasEdited(run, g, n) {
		c.say("the question was edited in %s since: this answers it as the run has it, %q; who goes on with the edited plan is asked anew", run.PlanPath, n.With["message"])
	}
	return nil
}

// wasEdited says whether a run's plan file asks another question by now than the run does. A plan that cannot be read asks none.
func wasEdited(run listing, pinned *engine.Graph, n *engine.Node) bool {
	edited, _, err := reread(run, pinned)
	if err != nil || edited == nil {
		return false
	}
	now := edited.Lookup(n.ID)
	return now == nil || now.Digest != n.Digest
}
