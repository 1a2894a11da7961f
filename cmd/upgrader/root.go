package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// global are the flags of every command.
type global struct{ stateDir string }

// execute finds the command that args name and runs it. What goes wrong before a command starts is wrong usage.
func execute(ctx context.Context, c *console, args []string) error {
	started := false
	root := newRoot(c)
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
		return invalid("%s\nusage: %s; more with --help", strings.TrimSpace(err.Error()), strings.TrimSuffix(cmd.UseLine(), " [flags]"))
	}
	return err
}

// newRoot is the table of contents of the command line.
func newRoot(c *console) *cobra.Command {
	root := &cobra.Command{
		Use:   "upgrader",
		Short: "Upgrade kubeadm clusters by versioned YAML runbooks",
		Long: `upgrader runs versioned YAML runbooks that upgrade kubeadm clusters over SSH and the Kubernetes API.

  upgrader preflight plans/1.27-to-1.28.yaml        what stands in its way, everywhere; writes nothing
  upgrader run plans/1.27-to-1.28.yaml --dry-run    what would change, on which host; writes nothing
  upgrader run plans/1.27-to-1.28.yaml              shows it, asks, and does it
  upgrader resume                                   goes on after anything that cut a run short
  upgrader run plans/1.27-to-1.28.yaml --sandbox    the same on a pretend cluster inside this process

Exit codes: 0 done, 1 failed, 2 changes pending (--detailed-exitcode), 3 wrong usage or invalid plan, 4 a gate or preflight refused,
5 paused and resumable, 6 locked by another upgrader, 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.errs)
	root.SuggestionsMinimumDistance = 2
	g := &global{}
	root.PersistentFlags().StringVar(&g.stateDir, "state-dir", "", "where runs are recorded (default $UPGRADER_STATE_DIR, $XDG_STATE_HOME/upgrader, ~/.local/state/upgrader)")
	root.AddGroup(
		&cobra.Group{ID: "upgrade", Title: "Upgrading:"},
		&cobra.Group{ID: "watch", Title: "Runs:"},
		&cobra.Group{ID: "plan", Title: "Writing plans:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add("upgrade", preflightCommand(c), runCommand(c, g), resumeCommand(c, g), approveCommand(c, g), unlockCommand(c, g))
	add("watch", statusCommand(c, g), logsCommand(c, g), runsCommand(c, g), doctorCommand(c))
	add("plan", initCommand(c), validateCommand(c), explainCommand(c), graphCommand(c), schemaCommand(c), sandboxCommand(c))
	root.AddCommand(versionCommand(c), pluginCommand())
	return root
}

// outputFlag gives a command the flag --output.
func outputFlag(cmd *cobra.Command, mode *string) {
	cmd.Flags().StringVarP(mode, "output", "o", "", "tty, plain or json (default: tty on a terminal, otherwise plain)")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{outputTTY, outputPlain, outputJSON}, cobra.ShellCompDirectiveNoFileComp))
}

// clusterFlags give a command the flags that choose a cluster, named as in kubectl.
func clusterFlags(cmd *cobra.Command, kubeconfig, context *string) {
	cmd.Flags().StringVar(kubeconfig, "kubeconfig", "", "kubeconfig file (default $KUBECONFIG, ~/.kube/config)")
	cmd.Flags().StringVar(context, "context", "", "context of the kubeconfig (default: its current one)")
}

// completeRuns completes the IDs of runs.
func completeRuns(c *console, g *global) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		s, err := stateDir(g.stateDir, c.env)
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		runs, _ := s.list()
		var ids []string
		for _, r := range runs {
			ids = append(ids, fmt.Sprintf("%s\t%s on %s", r.ID, r.Plan, r.Cluster))
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}

// completePlans completes the names of YAML files.
func completePlans(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}
