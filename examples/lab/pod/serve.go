//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// drainTime is how long requests under way may take once the server accepts no more.
const drainTime = 5 * time.Second

// serve answers until it is told to stop, lingers, and shuts down in order.
func serve(ctx context.Context, listen string, linger time.Duration, out io.Writer) error {
	name, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("asking for the host name: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	fmt.Fprintf(out, "%s serves on %s\n", name, listener.Addr())
	server := &http.Server{Handler: answers(name), ReadHeaderTimeout: drainTime}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	fmt.Fprintf(out, "%s was told to stop, and goes on for %s\n", name, linger)
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-time.After(linger):
	}
	return shutDown(context.WithoutCancel(ctx), server)
}

func shutDown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeoutCause(ctx, drainTime, fmt.Errorf("requests took longer than %s", drainTime))
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("shutting down: %w", context.Cause(ctx))
	}
	return nil
}

// answers gives the host name to every GET, /healthz among them.
func answers(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, name)
	})
	return mux
}
