//go:build linux

package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"upgrader.dev/upgrader/examples/lab/build"
	"upgrader.dev/upgrader/examples/lab/host"
)

// A Want is what `lab up` asks for. A lab that exists keeps its version and only grows.
type Want struct {
	Name          string
	Version       string // empty: as it is; of a new lab, the oldest release
	ControlPlanes int
	Workers       int
}

// Check says what of it no lab can have.
func (w Want) Check() error {
	if w.ControlPlanes < 1 || w.ControlPlanes > MostControlPlanes {
		return fmt.Errorf("%d control planes cannot be had: 1 to %d", w.ControlPlanes, MostControlPlanes)
	}
	if w.Workers < 0 || w.Workers > MostWorkers {
		return fmt.Errorf("%d workers cannot be had: 0 to %d", w.Workers, MostWorkers)
	}
	if w.Version != "" {
		if _, err := build.ReleaseOf(w.Version); err != nil {
			return err
		}
	}
	return checkName(w.Name)
}

// settle fills in the version: what was asked for, or what the lab has, or the oldest release.
func (w *Want) settle(c build.Cache) error {
	if err := w.Check(); err != nil {
		return err
	}
	if l, err := Open(c, w.Name); err == nil {
		return l.settle(w)
	}
	if w.Version == "" {
		w.Version = build.Releases()[0].Version
	}
	r, err := build.ReleaseOf(w.Version)
	w.Version = r.Version
	return err
}

func (l *Lab) settle(w *Want) error {
	w.Version = strings.TrimPrefix(w.Version, "v")
	if err := l.accept(*w); err != nil {
		return err
	}
	w.Version = l.Version
	return nil
}

// Up brings a lab up: a new one, one that lost its processes, or more hosts for one that runs. Its progress goes to show,
// a line a stage. What is there is left alone, so that it can be run again whatever became of it before.
func Up(ctx context.Context, c build.Cache, w Want, show io.Writer) (*Lab, error) {
	start := time.Now()
	if err := w.settle(c); err != nil {
		return nil, err
	}
	releases, err := build.Needs(w.Version)
	if err != nil {
		return nil, err
	}
	if err := build.Build(ctx, c, releases, show); err != nil {
		return nil, err
	}
	l, err := claim(ctx, c, w)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(l.Dir, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return nil, err
	}
	defer unlock()
	say := func(text string) { fmt.Fprintf(show, "%4.0f s  %s\n", time.Since(start).Seconds(), text) }
	say("lab " + l.Name + ", Kubernetes " + l.Version + ": " + strings.Join(l.Hosts(), ", "))
	if err := l.up(ctx, say); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("%w\nlogs are in %s; `lab up --name %s` goes on from here, `lab down --name %s` clears it away", err, l.Logs(), l.Name, l.Name)
	}
	return l, nil
}

// A sayer tells of a stage that has been reached.
type sayer func(text string)

func (l *Lab) up(ctx context.Context, say sayer) error {
	if err := l.boot(ctx); err != nil {
		return err
	}
	say("hosts answer")
	if err := l.form(ctx, say); err != nil {
		return err
	}
	if err := l.ready(ctx); err != nil {
		return err
	}
	say("every node is Ready, and CoreDNS answers every host")
	return nil
}

// boot brings the network, the server and the hosts up, as far as ssh.
func (l *Lab) boot(ctx context.Context) error {
	if err := os.MkdirAll(l.Logs(), 0o755); err != nil { //nolint:gosec // logs with secrets have a mode of their own
		return fmt.Errorf("making the log directory: %w", err)
	}
	for _, do := range []func(context.Context) error{l.connect, l.startServer, l.makeKey, l.startHosts} {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return l.meet(ctx, l.Hosts())
}

func (l *Lab) startHosts(ctx context.Context) error {
	r, err := build.ReleaseOf(l.Version)
	if err != nil {
		return err
	}
	return parallel(l.Hosts(), func(_ int, name string) error {
		if err := l.prepare(name, r); err != nil {
			return err
		}
		_, err := host.Start(ctx, l.hostDir(name), l.host(name, l.cache.Rootfs()))
		return err
	})
}

// form makes one cluster of the hosts: the first control plane, the others one after another, all workers at once.
func (l *Lab) form(ctx context.Context, say sayer) error {
	begun, err := l.joined(ctx, first)
	if err != nil {
		return err
	}
	if !begun {
		if err := l.begin(ctx, say); err != nil {
			return err
		}
	}
	if err := l.writeOutputs(ctx); err != nil {
		return err
	}
	if err := l.awaitAPI(ctx); err != nil {
		return err
	}
	return l.grow(ctx, say)
}

// begin installs every host at the lab's version and makes the first one a cluster.
func (l *Lab) begin(ctx context.Context, say sayer) error {
	r, err := build.ReleaseOf(l.Version)
	if err != nil {
		return err
	}
	if err := l.installAll(ctx, l.Hosts(), r); err != nil {
		return err
	}
	say("packages are installed")
	if err := l.initialize(ctx); err != nil {
		return err
	}
	say(first + " is a cluster")
	return nil
}

func (l *Lab) installAll(ctx context.Context, names []string, r build.Release) error {
	return parallel(names, func(_ int, name string) error { return l.install(ctx, name, r) })
}

// grow adds the hosts that are not in the cluster yet, at the version that it has by now.
func (l *Lab) grow(ctx context.Context, say sayer) error {
	newcomers, err := l.newcomers(ctx)
	if err != nil || len(newcomers) == 0 {
		return err
	}
	r, err := l.current(ctx)
	if err != nil {
		return err
	}
	if err := l.installAll(ctx, newcomers, r); err != nil {
		return err
	}
	join := func(_ int, name string) error {
		if err := l.join(ctx, name, r.Version); err != nil {
			return err
		}
		say(name + " has joined")
		return nil
	}
	var workers []string
	for _, name := range newcomers {
		if !isControlPlane(name) {
			workers = append(workers, name)
		} else if err := join(0, name); err != nil { // etcd takes one new member at a time
			return err
		}
	}
	return parallel(workers, join)
}

func (l *Lab) newcomers(ctx context.Context) ([]string, error) {
	var names []string
	for _, name := range l.Hosts()[1:] {
		joined, err := l.joined(ctx, name)
		if err != nil {
			return nil, err
		}
		if !joined {
			names = append(names, name)
		}
	}
	return names, nil
}
