//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/examples/lab/build"
	"upgrader.dev/upgrader/examples/lab/cluster"
	"upgrader.dev/upgrader/examples/lab/host"
)

// A usageError is a mistake of whoever typed the command.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// execute runs the command that args name. What goes wrong before it starts is wrong usage.
func execute(ctx context.Context, root *cobra.Command, args []string) error {
	started := false
	for _, cmd := range root.Commands() {
		if act := cmd.RunE; act != nil {
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				started = true
				return act(cmd, args)
			}
		}
	}
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !started {
		return &usageError{fmt.Errorf("%s\nusage: %s; more with --help", strings.TrimSpace(err.Error()), strings.TrimSuffix(cmd.UseLine(), " [flags]"))}
	}
	return err
}

// A bench is what every command works on: the cache, and the lab that --name chooses.
type bench struct {
	cache build.Cache
	name  string
}

func (b *bench) lab() (*cluster.Lab, error) { return cluster.Open(b.cache, b.name) }

func newRoot() *cobra.Command {
	b := &bench{cache: build.DefaultCache()}
	root := &cobra.Command{
		Use:   "lab",
		Short: "Run real kubeadm clusters on this machine",
		Long: `lab runs real kubeadm clusters on this machine, for upgrader to be tried on.
Each host is a set of namespaces with systemd, sshd, containerd and apt. It
needs root.

  lab up -c 1 -w 1     builds what is missing, and starts a cluster
  lab workload         gives it something to lose
  lab probe            watches API server and service until interrupted
  lab down             clears it away

What is built is kept in $LAB_CACHE (default /var/cache/upgrader-lab). Exit
codes: 0 done, 1 failed, 2 wrong usage; ssh, exec, kubectl: the command's own.`,
		SilenceErrors:    true,
		SilenceUsage:     true,
		RunE:             noCommand,
		TraverseChildren: true, // so that --name may stand before kubectl, whose flags are its own
		PersistentPreRunE: func(*cobra.Command, []string) (err error) {
			b.cache.Dir, err = filepath.Abs(b.cache.Dir)
			return err
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(&b.name, "name", cmp.Or(os.Getenv("LAB_NAME"), "lab"), "which lab, $LAB_NAME if not given")
	root.AddGroup(&cobra.Group{ID: "lab", Title: "Labs:"}, &cobra.Group{ID: "host", Title: "Hosts:"}, &cobra.Group{ID: "cluster", Title: "The cluster:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("lab", upCommand(b), downCommand(b), statusCommand(b), buildCommand(b), pinCommand())
	add("host", sshCommand(b), execCommand(b))
	add("host", switchCommands(b)...)
	add("host", freezeCommand(b))
	add("cluster", kubectlCommand(b), workloadCommand(b), probeCommand(b))
	root.AddCommand(internalCommands()...)
	return root
}

// noCommand is what `lab` does by itself.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("there is no command %q", args[0])
	}
	return cmd.Help()
}

// check says what this machine lacks, before anything is begun.
func (b *bench) check() error { return host.Check(b.cache.Dir) }
