//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/examples/lab/cluster"
)

func kubectlCommand(b *bench) *cobra.Command {
	return &cobra.Command{
		Use:                "kubectl ARGS...",
		Short:              "Run the cluster's own kubectl as its administrator",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := b.lab()
			if err != nil {
				return err
			}
			return become(l.Kubectl(cmd.Context(), args...))
		},
	}
}

func workloadCommand(b *bench) *cobra.Command {
	var extras cluster.Extras
	var remove bool
	cmd := &cobra.Command{
		Use:   "workload",
		Short: "Give the cluster something to lose",
		Long: `Applies a workload in the namespace shop and waits until it is ready: a service
of two replicas with a disruption budget, a stateful set, a daemon set.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := b.lab()
			if err != nil {
				return err
			}
			if remove {
				return l.RemoveWorkload(cmd.Context())
			}
			return l.Workload(cmd.Context(), extras, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&extras.Bare, "bare", false, "and a pod that no controller brings back")
	cmd.Flags().BoolVar(&extras.Stubborn, "stubborn", false, "and a single replica whose budget allows none away")
	cmd.Flags().BoolVar(&remove, "remove", false, "remove all of it instead")
	return cmd
}

func probeCommand(b *bench) *cobra.Command {
	var lasting time.Duration
	var format string
	cmd := &cobra.Command{
		Use:   "probe",
		Short: "Watch API server and service from outside",
		Long: `Asks the API server and the workload's service through their balancers, each ten
times a second over new connections, until interrupted. Then it reports on
stdout how many requests failed, and for how long nothing was answered. No
answer within 2 s is a failure: a balancer may need 1 s to find a backend dead.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return &usageError{fmt.Errorf("--output %q: it is text or json", format)}
			}
			l, err := b.lab()
			if err != nil {
				return err
			}
			cmd.PrintErrf("asking API server and service %s\n", howLong(lasting))
			report, err := probe(cmd.Context(), l, lasting)
			if err != nil {
				return err
			}
			if format == "json" {
				return report.JSON(cmd.OutOrStdout())
			}
			report.Text(cmd.OutOrStdout())
			return nil
		},
	}
	cmd.Flags().DurationVar(&lasting, "for", 0, "how long (default: until interrupted)")
	cmd.Flags().StringVarP(&format, "output", "o", "text", "text or json")
	return cmd
}

// howLong says when a probe ends.
func howLong(lasting time.Duration) string {
	if lasting > 0 {
		return "for " + lasting.String()
	}
	return "until Ctrl-C"
}

func probe(ctx context.Context, l *cluster.Lab, lasting time.Duration) (cluster.Report, error) {
	p, err := l.Probe(ctx)
	if err != nil {
		return cluster.Report{}, err
	}
	if lasting > 0 {
		over, cancel := context.WithTimeoutCause(ctx, lasting, fmt.Errorf("%s are over", lasting))
		defer cancel()
		ctx = over
	}
	return p.Run(ctx), nil
}
