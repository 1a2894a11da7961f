package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/steps/sandbox"
)

func sandboxCommand(c *console) *cobra.Command {
	var o sandbox.Options
	var faults string
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Serve a pretend cluster to try plans on",
		Long: `Serves a pretend cluster until it is interrupted: every machine answers SSH and the API answers HTTPS, on loopback. In
its directory are inventory.yaml and kubeconfig for upgrader's flags, and effects.jsonl, its own record of every change.`,
		Example: `  upgrader sandbox --dir /tmp/box &
  upgrader run plans/1.27-to-1.28.yaml --kubeconfig /tmp/box/kubeconfig --inventory /tmp/box/inventory.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Faults, err = parseFaults(faults); err != nil {
				return err
			}
			if o.Speed <= 0 {
				return invalid("--speed %v: want more than 0", o.Speed)
			}
			c.calls.outliveTerminal()
			return serveSandbox(cmd.Context(), c, o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.ControlPlanes, "control-planes", 3, "number of control planes")
	f.IntVar(&o.Workers, "workers", 5, "number of workers")
	f.StringVar(&o.Version, "version", "1.27.16", "version that it begins at")
	f.StringVar(&o.Dir, "dir", "", "where its files are written (required)")
	f.StringVar(&faults, "faults", "", "troubles, reproducibly, as seed=N,rate=R: lost connections, busy locks, errors of the API")
	f.Float64Var(&o.Speed, "speed", 1, "how many times faster than usual everything pretended goes")
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}

func parseFaults(text string) (*sandbox.Faults, error) {
	if text == "" {
		return nil, nil
	}
	f, err := sandbox.ParseFaults(text)
	return f, asInvalid(err)
}

// serveSandbox serves until a signal comes.
func serveSandbox(ctx context.Context, c *console, o sandbox.Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cluster, err := sandbox.Start(ctx, o)
	if err != nil {
		return asInvalid(err)
	}
	c.say("the sandbox is ready: %s and the API at %s; interrupt to end it", count(o.ControlPlanes+o.Workers, "machine"), cluster.Server)
	writeLine(c.out, fmt.Sprintf("--kubeconfig %s --inventory %s", cluster.Kubeconfig, cluster.Inventory))
	signals, done := c.calls.listen()
	defer done()
	ended := make(chan error, 1)
	go func() { ended <- cluster.Wait() }()
	select {
	case <-signals:
		return cluster.Close()
	case err := <-ended:
		return err
	}
}

// startSandbox starts the pretend cluster of `run --sandbox` and points the run's flags at it.
func (o *runOptions) startSandbox(ctx context.Context, c *console, p *plan.Plan) (end func(), err error) {
	faults, err := parseFaults(o.faults)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "upgrader-sandbox-")
	if err != nil {
		return nil, fmt.Errorf("making the sandbox's directory: %w", err)
	}
	remove := func() { _ = os.RemoveAll(dir) } // a temporary directory
	version := o.version
	if version == "" {
		from, _ := p.Versions()
		version = beginning(from)
	}
	c.say("starting a pretend cluster at %s: %s, %s", version, count(o.controlPlanes, "control plane"), count(o.workers, "worker"))
	cluster, err := sandbox.Start(context.WithoutCancel(ctx), sandbox.Options{
		ControlPlanes: o.controlPlanes, Workers: o.workers, Version: version, Dir: dir, Faults: faults,
	})
	if err != nil {
		remove()
		return nil, asInvalid(err)
	}
	o.kubeconfig, o.inventory, o.context = cluster.Kubeconfig, cluster.Inventory, ""
	return func() {
		if err := cluster.Close(); err != nil && !errors.Is(err, context.Canceled) {
			c.say("ending the sandbox: %v", err)
		}
		remove()
	}, nil
}

// beginning is a version that a plan of this constraint may begin at: the last patch release of its minor, where the
// program knows it (https://kubernetes.io/releases/patch-releases/), otherwise one in the middle.
func beginning(from string) string {
	minor := regexp.MustCompile(`1\.\d+`).FindString(from)
	last := map[string]string{"1.26": "1.26.15", "1.27": "1.27.16", "1.28": "1.28.15", "1.29": "1.29.15", "1.30": "1.30.14", "1.31": "1.31.14"}
	if v, ok := last[minor]; ok {
		return v
	}
	if minor == "" {
		return ""
	}
	return minor + ".5"
}
