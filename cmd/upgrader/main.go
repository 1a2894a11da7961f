// Command upgrader runs versioned YAML runbooks that upgrade kubeadm clusters over SSH and the Kubernetes API.
//
// It is the outermost layer: one file per subcommand, the views (tty, plain, json) and the exit codes. It puts the
// engine, the steps and the clients together and decides nothing about upgrades itself. It may import everything of
// this module; nothing imports it.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Ignore(syscall.SIGPIPE) // a reader that has gone away must not end a run
	os.Exit(run(context.Background(), signals, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, environment(os.Environ())))
}

// run is the whole program, with the outside world as arguments. It returns the exit code.
func run(ctx context.Context, signals <-chan os.Signal, args []string, in io.Reader, out, errs io.Writer, env map[string]string) int {
	c := newConsole(in, out, errs, env, signals)
	told := make(chan error, 1)
	err := c.calls.attend(ctx, func(ctx context.Context) error {
		err := execute(ctx, c, args)
		if err != nil && errors.Is(context.Cause(ctx), errInterrupted) && !hasEnded(err) {
			err = errInterrupted // and not what went wrong because of it
		}
		told <- err
		c.complain(err)
		c.flush()
		return err
	})
	select {
	case err = <-told: // also where only the reader of its words was too slow
	default:
		c.leaveBehind(err)
	}
	return exitCode(err)
}

// environment turns NAME=value lines into a map; the last of a name wins, as in a shell.
func environment(lines []string) map[string]string {
	env := make(map[string]string, len(lines))
	for _, l := range lines {
		if name, value, ok := strings.Cut(l, "="); ok {
			env[name] = value
		}
	}
	return env
}
