//go:build linux

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"upgrader.dev/upgrader/examples/lab/build"
)

// errBusy says that another process holds a lock.
var errBusy = errors.New("another lab command is at work on it")

// lock takes the lock of a directory. It ends with the process at the latest and leaves nothing behind.
func lock(dir string, how int) (func(), error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		_ = f.Close() // nothing was written
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w; wait for it or stop it", dir, errBusy)
		}
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}

// claim returns the lab that is wanted, its plan written down and its network its own.
func claim(ctx context.Context, c build.Cache, w Want) (*Lab, error) {
	if err := os.MkdirAll(c.Lab(w.Name), 0o755); err != nil { //nolint:gosec // containers of any user read what lies below
		return nil, fmt.Errorf("making the lab's directory: %w", err)
	}
	unlock, err := lock(labs(c), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer unlock()
	l, err := open(c, c.Lab(w.Name))
	switch {
	case err == nil:
		if err := l.accept(w); err != nil {
			return nil, err
		}
	case errors.Is(err, fs.ErrNotExist):
		l = &Lab{Dir: c.Lab(w.Name), cache: c, Plan: Plan{Name: w.Name, Version: w.Version, ControlPlanes: w.ControlPlanes, Workers: w.Workers}}
		if l.Net, err = l.freeNet(ctx); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	return l, l.save()
}

func (l *Lab) save() error {
	data, err := json.MarshalIndent(l.Plan, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the lab's plan: %w", err)
	}
	return replace(filepath.Join(l.Dir, planFile), append(data, '\n'), 0o644)
}

// accept grows an existing lab to what is wanted. It never shrinks, and stays at the version it was made with.
func (l *Lab) accept(w Want) error {
	if w.Version != "" && w.Version != l.Version {
		return fmt.Errorf("lab %s was made at %s and cannot be turned into %s: upgrade it, clear it away with `lab down --name %s`, "+
			"or start another one with --name", l.Name, l.Version, w.Version, l.Name)
	}
	l.ControlPlanes, l.Workers = max(l.ControlPlanes, w.ControlPlanes), max(l.Workers, w.Workers)
	return nil
}

// freeNet finds the smallest network that no lab of this cache has planned with, and takes it by making its bridge,
// which fails if a lab of another cache was faster.
func (l *Lab) freeNet(ctx context.Context) (int, error) {
	taken, err := takenNets(l.cache)
	if err != nil {
		return 0, err
	}
	for n := 1; n < 255; n++ { // 10.77.0.0/24 is left to whoever set up such a network by hand
		l.Net = n
		if taken[n] || linkThere(l.bridge()) {
			continue
		}
		err := addBridge(ctx, l.bridge(), l.Dir)
		if err == nil || !strings.Contains(err.Error(), "File exists") {
			return n, err
		}
	}
	return 0, errors.New("every network from 10.77.1.0/24 to 10.77.254.0/24 is taken; `lab down --all` frees those of this cache")
}

func takenNets(c build.Cache) (map[int]bool, error) {
	names, err := Names(c)
	if err != nil {
		return nil, err
	}
	taken := map[int]bool{}
	for _, name := range names {
		l, err := open(c, c.Lab(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // cleared away just now
		}
		if err != nil {
			return nil, err
		}
		taken[l.Net] = true
	}
	return taken, nil
}
