//go:build linux

package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"upgrader.dev/upgrader/examples/lab/build"
	"upgrader.dev/upgrader/examples/lab/host"
)

// Down clears a lab away: its processes, network, cgroups, mounts and files. The last lab of a cache puts the machine's
// setting back. Where there is nothing it says so; where an earlier one was cut short it goes on.
func Down(ctx context.Context, c build.Cache, name string, show io.Writer) error {
	if err := checkName(name); err != nil {
		return err
	}
	dir := c.Lab(name)
	unlock, err := lock(dir, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(show, "there is no lab %q in %s\n", name, labs(c))
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	l, err := open(c, dir)
	if err != nil { // cut short before it began, or a plan that cannot be read
		l = &Lab{Dir: dir, cache: c, Plan: Plan{Name: name}}
	}
	if err := l.down(ctx); err != nil {
		return fmt.Errorf("clearing lab %s away: %w\nrun `lab down --name %s` again", name, err, name)
	}
	fmt.Fprintf(show, "lab %s is gone\n", name)
	return nil
}

func (l *Lab) down(ctx context.Context) error {
	if err := l.switchOff(); err != nil {
		return err
	}
	if err := errors.Join(l.stopServer(ctx), l.disconnect(ctx)); err != nil {
		return err
	}
	mounts, err := mountsBelow(l.Dir)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if err := unix.Unmount(m, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %w", m, err)
		}
	}
	return l.remove()
}

// switchOff ends every host that was ever started, whatever the plan says.
func (l *Lab) switchOff() error {
	started, err := filepath.Glob(filepath.Join(l.Dir, "hosts", "*", "host.json"))
	if err != nil {
		return fmt.Errorf("listing hosts: %w", err)
	}
	return parallel(started, func(_ int, file string) error {
		h, err := host.Open(filepath.Dir(file))
		if err != nil {
			return err
		}
		return h.Off()
	})
}

// remove deletes the lab's files, the plan last: as long as it is there, its network stays claimed.
func (l *Lab) remove() error {
	unlock, err := lock(labs(l.cache), unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	entries, err := os.ReadDir(l.Dir)
	if err != nil {
		return fmt.Errorf("listing %s: %w", l.Dir, err)
	}
	for _, e := range entries {
		if e.Name() != planFile {
			err = errors.Join(err, os.RemoveAll(filepath.Join(l.Dir, e.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("removing files: %w", err)
	}
	if err := os.RemoveAll(l.Dir); err != nil {
		return fmt.Errorf("removing files: %w", err)
	}
	return l.lastOneOut()
}

func (l *Lab) lastOneOut() error {
	others, err := Names(l.cache)
	if err != nil || len(others) > 0 {
		return err
	}
	if err := restoreInotify(l.cache); err != nil {
		return err
	}
	_ = os.Remove(labs(l.cache)) // stays if a lab is just being started
	return nil
}

// mountsBelow lists mount points in a directory, the innermost first.
func mountsBelow(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	defer f.Close()
	var mounts []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
			mounts = append(mounts, fields[1])
		}
	}
	slices.Reverse(mounts)
	return mounts, lines.Err()
}
