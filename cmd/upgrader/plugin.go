package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// client-go runs a kubeconfig's credential plugin without any limit, and leaves it behind when the program ends. So the
// program puts itself between the two: the plugin is run by `upgrader credential-plugin`, which ends it in time.

// pluginRunner gives the command that a credential plugin's own is appended to; nil in a test, whose program is not this one.
func pluginRunner() func(within time.Duration) []string {
	self, err := os.Executable()
	if err != nil || strings.HasSuffix(self, ".test") {
		return nil
	}
	return func(within time.Duration) []string {
		return []string{self, "credential-plugin", "--within", within.String(), "--"}
	}
}

func pluginCommand() *cobra.Command {
	var within time.Duration
	cmd := &cobra.Command{
		Use:    "credential-plugin -- COMMAND [ARG...]",
		Short:  "Run a kubeconfig's credential plugin, and end it when it takes too long",
		Hidden: true, // upgrader calls it by itself
		Args:   cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, done := whileParentLives(cmd.Context())
			defer done()
			return runPlugin(ctx, within, args, os.Stdin, os.Stdout, os.Stderr)
		},
	}
	cmd.Flags().DurationVar(&within, "within", time.Minute, "how long it may take")
	return cmd
}

// runPlugin runs a program with everything that it starts in a process group of its own, and ends that group with ctx, or
// when it has taken too long. One that may ask at the terminal stays in the terminal's group, where Ctrl-C reaches it.
func runPlugin(ctx context.Context, within time.Duration, argv []string, in *os.File, out io.Writer, errs *os.File) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("it gave no answer within %s, and was ended", within))
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stderr = in, errs
	answer := &credentials{to: out}
	cmd.Stdout = answer // through a pipe: whatever it leaves behind does not hold the real one
	asks := term.IsTerminal(int(in.Fd()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !asks}
	end := func(sig syscall.Signal) error {
		if asks {
			return cmd.Process.Signal(sig)
		}
		return syscall.Kill(-cmd.Process.Pid, sig)
	}
	cmd.Cancel = func() error { return end(syscall.SIGTERM) }
	cmd.WaitDelay = 300 * time.Millisecond
	err := cmd.Run()
	if (ctx.Err() != nil || answer.over) && cmd.Process != nil {
		_ = end(syscall.SIGKILL) // what is left of its group
	}
	switch {
	case answer.over:
		err = errors.New("it printed more than 1 MiB, and was ended: no credentials are as large")
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) { // the latter: it has left something behind, and answered
		return fmt.Errorf("the credential plugin %s of the kubeconfig: %w", argv[0], err)
	}
	return nil
}

// credentials pass on what a plugin prints, as much as credentials can have: client-go keeps all of it in memory.
type credentials struct {
	to   io.Writer
	size int
	over bool
}

// Write refuses what is more, so that the plugin's end of the pipe is closed.
func (c *credentials) Write(p []byte) (int, error) {
	const most = 1 << 20
	if c.size += len(p); c.size > most {
		c.over = true
		return 0, io.ErrShortWrite
	}
	return c.to.Write(p)
}

// whileParentLives ends ctx soon after the process that started this one has ended, in whatever way.
func whileParentLives(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	parent := os.Getppid()
	go func() {
		look := time.NewTicker(100 * time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
				if os.Getppid() != parent {
					cancel(errors.New("nobody waits for it any more"))
					return
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}
