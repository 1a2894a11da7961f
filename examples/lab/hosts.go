//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/examples/lab/cluster"
	"upgrader.dev/upgrader/examples/lab/host"
)

func sshCommand(b *bench) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ssh HOST [COMMAND...]",
		Short: "Log in to a host over the network, as operators do",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := b.lab()
			if err != nil {
				return err
			}
			if err := l.Knows(args[0]); err != nil {
				return err
			}
			return become(l.SSH(cmd.Context(), args[0], command(args)...))
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows HOST is its business
	return cmd
}

func execCommand(b *bench) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec HOST COMMAND...",
		Short: "Run a command in a host even when its cable is out",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := findHost(b, args[0])
			if err != nil {
				return err
			}
			argv := command(args)
			if len(argv) == 0 {
				return &usageError{errors.New("there is no command after --")}
			}
			return become(h.Command(cmd.Context(), argv[0], argv[1:]...))
		},
	}
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func findHost(b *bench, name string) (*host.Host, error) {
	l, err := b.lab()
	if err != nil {
		return nil, err
	}
	return l.Host(name)
}

// command is what stands after HOST, with or without a -- before it.
func command(args []string) []string {
	if len(args) > 1 && args[1] == "--" {
		return args[2:]
	}
	return args[1:]
}

// become puts a command in the place of this process, as if it had been typed itself: terminal, signals and exit code are
// its own.
func become(cmd *exec.Cmd) error {
	if cmd.Err != nil {
		return cmd.Err
	}
	if err := syscall.Exec(cmd.Path, cmd.Args, cmd.Environ()); err != nil {
		return fmt.Errorf("running %s: %w", cmd.Path, err)
	}
	return nil
}

// switchCommands are what one does to a machine with one's hands.
func switchCommands(b *bench) []*cobra.Command {
	var commands []*cobra.Command
	for _, s := range []struct {
		use, short string
		do         func(*host.Host) error
	}{
		{"kill", "Pull the plug: every process dies at once", (*host.Host).Kill},
		{"boot", "Turn a host on that is off", (*host.Host).Boot},
		{"unplug", "Take the network cable out", (*host.Host).Unplug},
		{"plug", "Put the network cable in again", (*host.Host).Plug},
	} {
		commands = append(commands, &cobra.Command{
			Use:   s.use + " HOST",
			Short: s.short,
			Args:  cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				h, err := findHost(b, args[0])
				if err != nil {
					return err
				}
				return s.do(h)
			},
		})
	}
	return commands
}

func freezeCommand(b *bench) *cobra.Command {
	var after time.Duration
	cmd := &cobra.Command{
		Use:   "freeze HOST PROGRAM [PATTERN]",
		Short: "Stop the next process of a program, at its start or in the middle",
		Long: `Waits for the next process of the host that runs the program, with a command
line that the pattern (a regular expression) matches, and stops it, however
quick it is: before it does anything, or in the middle of its work (--after).
Prints its number, which kill -CONT needs to let it go on.`,
		Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := findHost(b, args[0])
			if err != nil {
				return err
			}
			pattern, err := regexp.Compile(strings.Join(args[2:], ""))
			if err != nil {
				return &usageError{err}
			}
			pid, err := h.Freeze(cmd.Context(), host.Work{Program: args[1], Args: pattern, After: after})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), pid)
			return err
		},
	}
	cmd.Flags().DurationVar(&after, "after", 0, "let it work for as long first")
	cmd.Flags().SetInterspersed(false) // a pattern may look like a flag
	return cmd
}

// internalCommands are what this program starts itself as.
func internalCommands() []*cobra.Command {
	hidden := func(use string, run func(ctx context.Context, dir string) error) *cobra.Command {
		return &cobra.Command{
			Use: use + " DIR", Hidden: true, Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), args[0]) },
		}
	}
	return []*cobra.Command{
		hidden("internal-serve", cluster.Serve),
		hidden("internal-host", func(_ context.Context, dir string) error { return host.Supervise(dir) }),
		hidden("internal-init", func(_ context.Context, dir string) error { return host.Init(dir) }),
	}
}
