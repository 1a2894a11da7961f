//go:build linux

// pod is the program inside the lab's own containers. Without arguments it is what holds a pod's namespaces open; with
// -v it prints its version, which is how kubeadm's health check job finds out whether the cluster runs pods; with serve
// it is the workload whose availability a lab measures.
//
// It imports the standard library alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const version = "3.9"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pod:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case len(args) == 0:
		return pause(ctx)
	case args[0] == "-v":
		_, err := fmt.Fprintln(out, "pod", version)
		return err
	case args[0] == "serve":
		f := flag.NewFlagSet("serve", flag.ContinueOnError)
		listen := f.String("listen", ":8080", "address to serve on")
		linger := f.Duration("linger", 5*time.Second, "how long to go on serving when told to stop, so that endpoints are taken away first")
		if err := f.Parse(args[1:]); err != nil {
			return err
		}
		return serve(ctx, *listen, *linger, out)
	default:
		return errors.New("usage: pod [-v | serve [-listen ADDRESS] [-linger DURATION]]")
	}
}

// pause waits until it is told to stop, and reaps orphans: as process 1 of a pod it inherits them.
func pause(ctx context.Context) error {
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	defer signal.Stop(died)
	for {
		reap()
		select {
		case <-died:
		case <-ctx.Done():
			return nil
		}
	}
}

// reap takes leave of every child that has ended.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err != nil && !errors.Is(err, syscall.EINTR) || err == nil && pid <= 0 {
			return
		}
	}
}
