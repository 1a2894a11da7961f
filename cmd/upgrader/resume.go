package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/engine/private"
	"upgrader.dev/upgrader/steps/remote"
)

// resumeOptions are the flags of resume.
type resumeOptions struct {
	yes, accept bool
	adopt       bool
	output      string
	settle      []string

	kubeconfig, context string // instead of those of the run's beginning
}

func resumeCommand(c *console, g *global) *cobra.Command {
	o := &resumeOptions{}
	cmd := &cobra.Command{
		Use:   "resume [RUN]",
		Short: "Go on with a run that was cut short, stopped, paused or failed",
		Long: `Goes on with a run: the newest, or the one named by its ID or the beginning of it. What has been done is not repeated;
what was under way is looked at first. The plan and the hosts are those of the run's beginning: if the files have been
edited since, the difference is shown and must be accepted.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRuns(c, g),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := stateDir(g.stateDir, c.env)
			if err != nil {
				return err
			}
			run, err := s.find(strings.Join(args, ""))
			if err != nil {
				return err
			}
			c.calls.outliveTerminal()
			return o.resume(cmd.Context(), c, s, run)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.yes, "yes", false, "approve what names no approvers")
	f.BoolVar(&o.accept, "accept-plan-change", false, "go on with the edited plan or inventory")
	f.BoolVar(&o.adopt, "adopt", false, "go on with a run whose files are not as this user's upgrader left them: copied from another machine, of an older upgrader, or edited by hand")
	f.StringArrayVar(&o.settle, "settle", nil, "what you found about a step whose outcome is unknown: STEP=done or STEP=retry; or about a host that was in the middle of its steps and that the plan no longer has: HOST=done; may be repeated")
	clusterFlags(cmd, &o.kubeconfig, &o.context)
	outputFlag(cmd, &o.output)
	return cmd
}

func (o *resumeOptions) resume(ctx context.Context, c *console, s store, run listing) error {
	mode, err := c.outputMode(o.output)
	if err != nil {
		return err
	}
	file, err := journal.Open(string(run.dir))
	if errors.Is(err, journal.ErrLocked) {
		return &lockedError{fmt.Errorf("run %s is at work in another process: follow it with `upgrader status %s -w`", run.ID, run.ID)}
	}
	if err != nil {
		return err
	}
	defer closeQuietly(file)
	session := &session{console: c, mode: mode, yes: o.yes || run.Yes, manifest: run.manifest, dir: run.dir, journal: file}
	if done, err := o.takeUp(session, run); err != nil {
		return err
	} else if done {
		if _, err := o.said(c, session.graph, session.history); err != nil { // a mistyped word is told here too
			return err
		}
		return goodbye(ctx, c, s, o.reached(run), session.history.past.Underway())
	}
	decisions, err := o.decisions(session)
	if err != nil {
		return err
	}
	if session.world, err = reconnect(ctx, c, o.reached(run)); err != nil {
		return err
	}
	session.held, err = s.lockCluster(session.world.id, run.ID)
	if err != nil {
		return err
	}
	defer session.held.release()
	if len(decisions) > 0 {
		if err := file.Append(decisions...); err != nil {
			return err
		}
	}
	for i := range decisions {
		session.history.take(&decisions[i])
	}
	if !session.history.began { // it was killed before its first record
		session.facts = versions(session.world.nodes)
	}
	return session.perform(ctx)
}

// reached is the run where the flags say that its cluster is reached now.
func (o *resumeOptions) reached(run listing) listing {
	if o.kubeconfig != "" {
		run.Kubeconfig, run.Context = absolute(o.kubeconfig), ""
	}
	if o.context != "" {
		run.Context = o.context
	}
	return run
}

// takeUp finds the graph to go on with, and whether there is anything to go on with at all.
func (o *resumeOptions) takeUp(s *session, run listing) (done bool, err error) {
	if s.key, err = trust(s.console, run, s.journal, o.adopt); err != nil {
		return false, err
	}
	pinned, err := run.dir.graph()
	if err != nil {
		return false, err
	}
	s.graph = pinned
	if s.history, err = readHistory(s.journal, pinned); err != nil {
		return false, err
	}
	if s.history.board.summary().State == engine.Done {
		return true, nil
	}
	if run.Sandbox {
		return false, invalid("run %s was made with --sandbox, and its pretend cluster ended with its process: start a new one with `upgrader run %s --sandbox`", run.ID, run.PlanPath)
	}
	return false, o.edit(s, run)
}

// edit finds out whether the plan was edited since it was pinned, and goes on with the edited one if that is accepted.
func (o *resumeOptions) edit(s *session, run listing) error {
	c, pinned := s.console, s.graph
	now, err := reread(run, pinned)
	if err != nil {
		c.say("run %s began with another text of its plan and inventory, kept in %s: put that back, or mend what is wrong now:", run.ID, run.dir)
		return err
	}
	edited := now.graph
	if edited == nil || edited.Same(pinned) {
		return nil
	}
	diff := strings.Join(pendingDiff(pinned, edited, s.history.board.summary()), "\n")
	if !o.accept {
		return invalid("the plan, or the inventory, of run %s was edited since it began (as it was: %s).\nIn what is still to be done:\n%s\nto go on with the edited one: upgrader resume %s --accept-plan-change",
			run.ID, run.dir.path("plan"), diff, run.ID)
	}
	s.graph = edited
	if s.history, err = readHistory(s.journal, edited); err != nil { // what is recorded means something else for it
		return err
	}
	if err := s.history.past.Keeps(); err != nil {
		return invalid("%w\nas it was: %s", err, run.dir.path("plan"))
	}
	c.say("going on with the edited plan:\n%s", diff)
	if err := keepOld(run.dir); err != nil {
		return err
	}
	return run.dir.pin(s.journal, run.manifest, now.plan, edited, now.inventory)
}

// keepOld keeps the pinned plan and graph aside before another one takes its place.
func keepOld(d runDir) error {
	for i := 1; ; i++ {
		old := d.path(fmt.Sprintf("graph.%d.json", i))
		if _, err := os.Lstat(old); errors.Is(err, fs.ErrNotExist) {
			_ = os.RemoveAll(d.path(fmt.Sprintf("plan.%d", i))) // half a copy, made by a process that was killed
			if err := copyFiles(d.path(fmt.Sprintf("plan.%d", i)), d.path("plan")); err != nil {
				return fmt.Errorf("keeping the plan as it was: %w", err)
			}
			return os.Link(d.path(graphName), old)
		}
	}
}

// copyFiles copies the files of a directory to a new one.
func copyFiles(to, from string) error {
	entries, err := private.ReadDir(from)
	if err != nil {
		return err
	}
	if err := private.MkdirAll(to); err != nil {
		return err
	}
	for _, e := range entries {
		data, err := private.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if err := private.WriteFile(filepath.Join(to, e.Name()), data); err != nil {
			return err
		}
	}
	return nil
}

// An edition is what a run's files say now.
type edition struct {
	graph     *engine.Graph // nil: the plan is gone
	plan      *plan.Plan
	inventory []byte // empty: it is gone, or there was none
}

// reread expands the run's plan file anew, over its inventory file as it is now, to see whether they were edited. A file
// that is gone has not been: the run goes on with what was pinned.
func reread(run listing, pinned *engine.Graph) (now edition, err error) {
	catalog, err := offline()
	if err != nil {
		return now, err
	}
	now.plan, err = loadPlan(run.PlanPath, catalog)
	if errors.Is(err, fs.ErrNotExist) {
		return now, nil
	}
	if err != nil {
		return now, err
	}
	targets := pinned.Targets
	if _, err := os.Stat(run.Inventory); run.Inventory != "" && err == nil {
		inventory, err := remote.LoadInventory(run.Inventory)
		if err != nil {
			return now, asInvalid(err)
		}
		targets, now.inventory = inventory.Targets(), inventory.Text()
	}
	now.graph, err = now.plan.Expand(plan.Options{Catalog: catalog, Targets: targets, Vars: run.Vars})
	return now, asInvalid(err)
}

// findNode finds the step that a person means: step@host, or a step that is on one target only.
func findNode(g *engine.Graph, name string) (*engine.Node, error) {
	if n := g.Lookup(name); n != nil {
		return n, nil
	}
	var hits []string
	var hit *engine.Node
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Step == name {
			hits, hit = append(hits, n.ID), n
		}
	}
	switch len(hits) {
	case 1:
		return hit, nil
	case 0:
		return nil, invalid("the run has no step %q: `upgrader status` lists them", name)
	default:
		return nil, invalid("step %s is on %d hosts: name one of %s", name, len(hits), hostsWords(hits))
	}
}
