//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"upgrader.dev/upgrader/examples/lab/build"
)

// Serve is the lab's one server: packages, images and balancers on its bridge. It is what `lab internal-serve DIR` runs,
// until it is told to end.
func Serve(ctx context.Context, dir string) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	l, err := open(build.Cache{Dir: filepath.Dir(filepath.Dir(dir))}, dir) // DIR is CACHE/labs/NAME
	if err != nil {
		return err
	}
	unlock, err := lock(l.serverDir(), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return err
	}
	defer unlock()
	if err := replace(l.serverPid(), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		return err
	}
	return l.serve(ctx)
}

func (l *Lab) serverDir() string { return filepath.Join(l.Dir, "server") }

func (l *Lab) serverPid() string { return filepath.Join(l.serverDir(), "pid") }

func (l *Lab) serve(ctx context.Context) error {
	served := make(chan error, 3)
	web := &http.Server{Handler: files(l.cache.Apt(), l.cache.Registry()), ReadHeaderTimeout: 10 * time.Second}
	services := []struct {
		port  int
		serve func(net.Listener) error
	}{
		{apiPort, func(s net.Listener) error { return newBalancer(l.everywhere("cp", apiPort), readyz()).serve(ctx, s) }},
		{servicePort, func(s net.Listener) error { return newBalancer(l.everywhere("", nodePort), nil).serve(ctx, s) }},
		{filesPort, web.Serve}, // last: whoever reaches it finds the others there
	}
	for _, s := range services {
		listener, err := net.Listen("tcp", l.at(s.port))
		if err != nil {
			return fmt.Errorf("serving lab %s: %w", l.Name, err)
		}
		go func() { served <- s.serve(listener) }()
	}
	log.Printf("serving lab %s on %s", l.Name, l.Gateway())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return nil
	}
}

// everywhere is a port of every host that there could ever be whose name begins so.
func (l *Lab) everywhere(prefix string, port int) []string {
	var addresses []string
	for _, name := range l.possible() {
		if strings.HasPrefix(name, prefix) {
			addresses = append(addresses, at(l.Address(name), port))
		}
	}
	return addresses
}

// startServer starts the server as a process of its own unless it runs, and returns when it listens.
func (l *Lab) startServer(ctx context.Context) error {
	if err := os.MkdirAll(l.serverDir(), 0o755); err != nil { //nolint:gosec // nothing secret in it
		return fmt.Errorf("making the server's directory: %w", err)
	}
	if running, err := l.serverRuns(); running || err != nil {
		return err
	}
	out, err := os.OpenFile(l.log("serve"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) //nolint:gosec // nothing secret in it
	if err != nil {
		return fmt.Errorf("starting the lab's server: %w", err)
	}
	defer out.Close()
	server := exec.Command("/proc/self/exe", "internal-serve", l.Dir)
	server.Stdout, server.Stderr = out, out
	server.Dir = "/"
	server.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := server.Start(); err != nil {
		return fmt.Errorf("starting the lab's server: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = server.Wait() // its log says why
		close(ended)
	}()
	return until(ctx, 10*time.Second, 50*time.Millisecond, func(ctx context.Context) error {
		select {
		case <-ended:
			return final(fmt.Errorf("the lab's server ended: %s", l.tail("serve", 3)))
		default:
			return answers(ctx, l.at(filesPort))
		}
	})
}

func answers(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{Timeout: connectWithin}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// serverRuns asks the server's lock, which no other process and no number of one can be mistaken for.
func (l *Lab) serverRuns() (bool, error) {
	unlock, err := lock(l.serverDir(), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, errBusy):
		return true, nil
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	unlock()
	return false, nil
}

// stopServer ends the server and waits until it has.
func (l *Lab) stopServer(ctx context.Context) error {
	return until(ctx, 10*time.Second, 20*time.Millisecond, func(context.Context) error {
		running, err := l.serverRuns()
		if err != nil || !running {
			return err
		}
		text, err := os.ReadFile(l.serverPid())
		if err != nil {
			return fmt.Errorf("reading the server's process: %w", err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || pid <= 1 {
			return fmt.Errorf("%s does not name a process: %q", l.serverPid(), text)
		}
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			return fmt.Errorf("ending the lab's server, process %d: %w", pid, err)
		}
		return errors.New("the lab's server does not end")
	})
}
