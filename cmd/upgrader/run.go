package main

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/steps/preflight"
)

// runOptions are the flags of run.
type runOptions struct {
	place
	dryRun, detailed bool
	yes              bool
	output           string
	vars             []string

	sandbox                bool
	controlPlanes, workers int
	version                string
	faults                 string
}

func runCommand(c *console, g *global) *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:   "run PLAN",
		Short: "Upgrade a cluster by a plan",
		Long: `Shows what the plan would change on the cluster, asks, and does it.

Ctrl-C lets the changes under way finish and starts nothing new; a second one, or SIGTERM, detaches at once, while what runs
on hosts goes on. Either way, and after anything else that cuts a run short, ` + "`upgrader resume`" + ` goes on.`,
		Example: `  upgrader run plans/1.27-to-1.28.yaml --dry-run
  upgrader run plans/1.27-to-1.28.yaml --inventory prod.yaml --var maxUnavailable=10%
  upgrader run plans/1.27-to-1.28.yaml --sandbox --yes`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completePlans,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			s, err := stateDir(g.stateDir, c.env)
			if err != nil {
				return err
			}
			c.calls.outliveTerminal()
			return o.run(cmd.Context(), c, s, args[0])
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.dryRun, "dry-run", false, "read the cluster, show what would change, write nothing")
	f.BoolVar(&o.detailed, "detailed-exitcode", false, "with --dry-run: exit with 2 if there are changes to make")
	f.BoolVar(&o.yes, "yes", false, "do not ask; also approve what names no approvers")
	f.StringArrayVar(&o.vars, "var", nil, "value of a variable, name=value; may be repeated")
	outputFlag(cmd, &o.output)
	o.placeFlags(cmd)
	return cmd
}

// placeFlags give a command the flags that say which cluster is meant: a real one, or one that is pretended.
func (o *runOptions) placeFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.inventory, "inventory", "", "hosts and how to reach them (default: the cluster's nodes, by ~/.ssh/config)")
	clusterFlags(cmd, &o.kubeconfig, &o.context)
	f.BoolVar(&o.sandbox, "sandbox", false, "run against a pretend cluster inside this process")
	f.IntVar(&o.controlPlanes, "control-planes", 3, "with --sandbox: number of control planes")
	f.IntVar(&o.workers, "workers", 5, "with --sandbox: number of workers")
	f.StringVar(&o.version, "version", "", "with --sandbox: version it begins at (default: from the plan)")
	f.StringVar(&o.faults, "faults", "", "with --sandbox: troubles, as seed=N,rate=R")
	cmd.MarkFlagsMutuallyExclusive("sandbox", "kubeconfig")
	cmd.MarkFlagsMutuallyExclusive("sandbox", "inventory")
}

// check refuses flags that would have no effect.
func (o *runOptions) check(cmd *cobra.Command) error {
	for _, name := range []string{"control-planes", "workers", "version", "faults"} {
		if !o.sandbox && cmd.Flags().Changed(name) {
			return invalid("--%s is about a pretend cluster: it needs --sandbox", name)
		}
	}
	if o.detailed && !o.dryRun {
		return invalid("--detailed-exitcode needs --dry-run")
	}
	if o.controlPlanes < 1 || o.workers < 0 {
		return invalid("a cluster has at least one control plane, and no fewer than 0 workers")
	}
	return nil
}

func (o *runOptions) run(ctx context.Context, c *console, s store, path string) error {
	mode, err := c.outputMode(o.output)
	if err != nil {
		return err
	}
	prep, err := o.prepare(path)
	if err != nil {
		return err
	}
	if !o.dryRun && !o.yes && !o.sandbox && !c.canAsk() {
		return invalid("nobody is at a terminal to say yes: look at it with --dry-run, then run it with --yes")
	}
	w, end, err := o.meet(ctx, c, prep)
	if err != nil {
		return err
	}
	defer end()
	if o.dryRun {
		blocked := checkBefore(ctx, c, w, prep.graph)
		if _, only := errors.AsType[*blockedError](blocked); blocked != nil && !only {
			return blocked
		}
		return cmp.Or(blocked, dryRun(ctx, c, w, prep.graph, mode, o.detailed))
	}
	if err := refuseIfLocked(ctx, s, w); err != nil { // before the checks: a cluster in the middle of an upgrade passes few of them
		return err
	}
	if err := checkBefore(ctx, c, w, prep.graph); err != nil {
		return err
	}
	return o.begin(ctx, c, s, w, prep, mode)
}

// meet finds the cluster, or starts the pretend one, and lays the plan out over its hosts. end gives it back.
func (o *runOptions) meet(ctx context.Context, c *console, prep *preparation) (w *world, end func(), err error) {
	end = func() {}
	if o.sandbox {
		if end, err = o.startSandbox(ctx, c, prep.plan); err != nil {
			return nil, nil, err
		}
	}
	if w, err = connect(ctx, c, o.place, ""); err == nil {
		if o.sandbox {
			w.id.Name = "sandbox"
		}
		if err = prep.expand(w, o.sandbox); err != nil && o.inventory == "" {
			err = orRoles(preflight.Roles(ctx, w.client), err)
		}
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return w, end, nil
}

// orRoles is why a plan does not fit the cluster's nodes: their groups come from labels, and a lost one is the reason before any
// other. That a cluster does not tell its roles takes no fault's place.
func orRoles(roles, fault error) error {
	if _, refused := errors.AsType[*engine.RefusedError](roles); refused {
		return roles
	}
	return fault
}

// A preparation is a plan on its way to a run.
type preparation struct {
	path    string
	catalog *engine.Catalog
	plan    *plan.Plan
	vars    map[string]string
	graph   *engine.Graph
}

// prepare does everything that needs no cluster, so that mistakes show first.
func (o *runOptions) prepare(path string) (*preparation, error) {
	vars, err := parseVars(o.vars)
	if err != nil {
		return nil, err
	}
	catalog, err := offline()
	if err != nil {
		return nil, err
	}
	p, err := loadPlan(path, catalog)
	if err != nil {
		return nil, err
	}
	return &preparation{path: path, catalog: catalog, plan: p, vars: vars}, nil
}

// demoSoak is how long a pretend cluster is watched between steps: a demo shows a whole run, not a whole night.
const demoSoak = 300 * time.Millisecond

func (p *preparation) expand(w *world, sandbox bool) error {
	o := plan.Options{Catalog: p.catalog, Targets: w.inventory.Targets(), Vars: p.vars}
	if sandbox {
		o.Compress = demoSoak
	}
	g, err := p.plan.Expand(o)
	p.graph = g
	return asInvalid(err)
}

// begin asks, makes the run's directory and performs the run. Nothing is written before the person has said yes.
func (o *runOptions) begin(ctx context.Context, c *console, s store, w *world, prep *preparation, mode string) error {
	if !o.yes && c.canAsk() && !o.sandbox {
		if err := confirmRun(ctx, c, w, prep.graph); err != nil {
			return err
		}
	}
	key, err := theKey(c.env)
	if err != nil {
		return err
	}
	now := time.Now()
	id, dir, err := s.create(now)
	if err != nil {
		return err
	}
	held, err := s.lockCluster(w.id, id)
	if err != nil {
		return errors.Join(err, dir.discard())
	}
	defer held.release()
	m := manifest{
		ID: id, Created: now, Upgrader: programVersion(), Plan: prep.graph.Plan, PlanPath: absolute(prep.path),
		Inventory: absolute(o.inventory), Vars: prep.vars, Cluster: w.id, Kubeconfig: absolute(o.kubeconfig), Context: o.context,
		Sandbox: o.sandbox, Yes: o.yes || o.sandbox && !c.canAsk(),
	}
	file, err := journal.Open(string(dir))
	if err != nil {
		return err
	}
	defer closeQuietly(file)
	seal := key.of(dir)
	file.Seal(seal)
	if err := dir.pin(file, m, prep.plan, prep.graph, w.inventory.Text()); err != nil {
		return err
	}
	session := &session{
		console: c, mode: mode, yes: m.Yes, manifest: m, dir: dir, key: seal, graph: prep.graph, world: w, held: held,
		journal: file, history: newHistory(prep.graph), facts: versions(w.nodes),
	}
	err = session.perform(ctx)
	var locked *lockedError
	if errors.As(err, &locked) { // somebody was faster
		err = errors.Join(err, dir.discard())
	}
	return err
}

// absolute keeps a path good for a resume from another directory. What is no file is the name of a built-in plan.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
