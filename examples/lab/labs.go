//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/examples/lab/build"
	"upgrader.dev/upgrader/examples/lab/cluster"
)

func upCommand(b *bench) *cobra.Command {
	w := cluster.Want{}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a cluster, or add hosts to one, or bring it back",
		Long: `Starts a kubeadm cluster: control planes cp1 to cp3, workers w1 to w4.

Run it again with more hosts to add them, or as it was after a restart of the
machine: the hosts come back with their disks. A lab never shrinks, and keeps
the version it was made with; upgrading it is what it is for.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w.Name = b.name
			if err := w.Check(); err != nil {
				return &usageError{err}
			}
			if err := errors.Join(b.check(), build.Missing()); err != nil {
				return err
			}
			l, err := cluster.Up(cmd.Context(), b.cache, w, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			next(cmd.ErrOrStderr(), l)
			return nil
		},
	}
	cmd.Flags().IntVarP(&w.ControlPlanes, "control-planes", "c", 1, "how many control planes, 1 to 3")
	cmd.Flags().IntVarP(&w.Workers, "workers", "w", 1, "how many workers, 0 to 4")
	cmd.Flags().StringVar(&w.Version, "version", "", "Kubernetes version of a new lab (default "+build.Releases()[0].Version+")")
	return cmd
}

// next says what to type now.
func next(w io.Writer, l *cluster.Lab) {
	fmt.Fprintf(w, "\nexport KUBECONFIG=%s\n%s\n", l.Kubeconfig(), upgrade(l))
}

// upgrade is the command that upgrades a lab to the next minor version, if a runbook and the packages are there.
func upgrade(l *cluster.Lab) string {
	needs, err := build.Needs(l.Version)
	if err != nil || len(needs) < 2 {
		return "# no newer version is pinned: see `lab pin`"
	}
	plan := fmt.Sprintf("plans/%s-to-%s.yaml", strings.TrimPrefix(needs[0].Minor(), "v"), strings.TrimPrefix(needs[1].Minor(), "v"))
	return fmt.Sprintf("upgrader run %s --inventory %s --kubeconfig %s", plan, l.Inventory(), l.Kubeconfig())
}

func downCommand(b *bench) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Clear a lab away: hosts, network, disks",
		Long:  "Clears a lab away. Nothing is left of it; what was built stays in the cache.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return errors.New("clearing a lab away needs root")
			}
			names := []string{b.name}
			if all {
				var err error
				if names, err = cluster.Names(b.cache); err != nil {
					return err
				}
			}
			return down(cmd.Context(), b.cache, names, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every lab of the cache")
	return cmd
}

func down(ctx context.Context, c build.Cache, names []string, show io.Writer) error {
	if len(names) == 0 {
		fmt.Fprintln(show, "there is no lab")
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, cluster.Down(ctx, c, name, show))
	}
	return errors.Join(errs...)
}

func statusCommand(b *bench) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show hosts, addresses, versions and paths",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := b.lab()
			if err != nil {
				return err
			}
			l.Status(cmd.Context(), cmd.OutOrStdout())
			return nil
		},
	}
}

func buildCommand(b *bench) *cobra.Command {
	return &cobra.Command{
		Use:   "build [VERSION...]",
		Short: "Build what labs are made of, ahead of time",
		Long: `Builds Kubernetes, etcd, CoreDNS and the rest from their sources into the cache,
and leaves alone what is there. Without VERSION: what the default lab and its
upgrade need. "lab up" does the same for its version.`,
		RunE: func(cmd *cobra.Command, versions []string) error {
			releases, err := wanted(versions)
			if err != nil {
				return &usageError{err}
			}
			if err := errors.Join(b.check(), build.Missing()); err != nil {
				return err
			}
			return build.Build(cmd.Context(), b.cache, releases, cmd.ErrOrStderr())
		},
	}
}

// wanted are the releases that the command line names.
func wanted(versions []string) ([]build.Release, error) {
	if len(versions) == 0 {
		return build.Needs(build.Releases()[0].Version)
	}
	var releases []build.Release
	for _, v := range versions {
		r, err := build.ReleaseOf(v)
		if err != nil {
			return nil, err
		}
		releases = append(releases, r)
	}
	return releases, nil
}

func pinCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pin VERSION",
		Short: "Add a Kubernetes version to this source (maintainers)",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return build.Pin(cmd.Context(), strings.TrimPrefix(args[0], "v"), cmd.ErrOrStderr())
		},
	}
}
