//go:build linux

// Command lab runs real kubeadm clusters on one Linux machine, each host a set of namespaces, for upgrader to be tried
// on: `lab up`, `lab workload`, `lab probe`, and `lab down` when done.
//
// It speaks to the shell and leaves the rest to its packages: build makes what a lab is made of, host is one host,
// cluster all of them. It may import these, the standard library and cobra.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes. ssh, exec and kubectl exit as the command that they run.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	code := lab(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// lab is the whole program. What went wrong is said on stderr.
func lab(ctx context.Context, args []string) int {
	err := execute(ctx, newRoot(), args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if err != nil {
		return exitFailed
	}
	return exitDone
}
