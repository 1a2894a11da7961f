//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// freshCgroups makes the host's cgroups after what its last life left in them is gone.
func freshCgroups(ctx context.Context, dir, path string) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, bootTimeout, errors.New("processes of its last life do not end"))
	defer cancel()
	if err := dropCgroups(ctx, dir); err != nil {
		return nil, fmt.Errorf("its last life left %w", err)
	}
	return makeCgroups(dir, path)
}

// makeCgroups makes the host's cgroup in every hierarchy, and notes them first, so that they can be removed whatever
// happens. They lie under those of the caller: who started the lab is accounted for it.
func makeCgroups(dir, path string) ([]string, error) {
	all, err := ownHierarchies()
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, h := range all {
		groups = append(groups, filepath.Join(h.base, path))
	}
	if err := os.WriteFile(filepath.Join(dir, cgroupsFile), []byte(path+"\n"+strings.Join(groups, "\n")+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("noting the cgroups: %w", err)
	}
	for _, h := range all {
		if err := h.make(path); err != nil {
			return nil, fmt.Errorf("making the cgroup %s: %w", filepath.Join(h.base, path), err)
		}
	}
	return groups, nil
}

// make makes base/path. Another host of the lab may be removing the upper directories at the same time.
func (h hierarchy) make(path string) error {
	for tries := 1; ; tries++ {
		err := h.makeOnce(path)
		if !errors.Is(err, os.ErrNotExist) || tries == 20 {
			return err
		}
	}
}

func (h hierarchy) makeOnce(path string) error {
	at := h.base
	for _, name := range strings.Split(path, "/") {
		if h.kind == "cgroup2" && h.name == "" {
			if err := shareControllers(at); err != nil {
				return err
			}
		}
		above := at
		at = filepath.Join(at, name)
		if err := os.Mkdir(at, 0o755); err != nil && !errors.Is(err, os.ErrExist) { //nolint:gosec // like all cgroups
			return err
		}
		if err := inheritCPUs(above, at); err != nil {
			return err
		}
	}
	return nil
}

// shareControllers lets the cgroups below use what kubelet asks for, as far as it is there.
func shareControllers(group string) error {
	there, err := os.ReadFile(filepath.Join(group, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, c := range strings.Fields(string(there)) {
		if slices.Contains([]string{"cpu", "cpuset", "memory", "pids", "io", "hugetlb"}, c) {
			if err := os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte("+"+c), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// inheritCPUs fills a cpuset of v1, which begins empty and takes no process until it is filled.
func inheritCPUs(above, group string) error {
	if _, err := os.Stat(filepath.Join(group, "cgroup.clone_children")); err != nil {
		return nil //nolint:nilerr // not v1
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		have, err := os.ReadFile(filepath.Join(group, file))
		if errors.Is(err, os.ErrNotExist) || len(strings.TrimSpace(string(have))) > 0 {
			continue
		}
		want, err := os.ReadFile(filepath.Join(above, file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(group, file), want, 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(group, "cgroup.clone_children"), []byte("1"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func enterCgroups(groups []string, pid int) error {
	for _, g := range groups {
		if err := os.WriteFile(filepath.Join(g, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
			return fmt.Errorf("entering its cgroup: %w", err)
		}
	}
	return nil
}

// dropCgroups removes the cgroups that were noted, and those above them that the lab made. Whoever calls it knows that
// the host is off: what still runs in them has outlived its supervisor, and is killed.
func dropCgroups(ctx context.Context, dir string) error {
	noted, err := os.ReadFile(filepath.Join(dir, cgroupsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cgroups: %w", err)
	}
	path, groups, _ := strings.Cut(string(noted), "\n")
	for group := range strings.Lines(groups) {
		if err := dropCgroup(ctx, strings.TrimSuffix(group, "\n"), strings.Count(path, "/")); err != nil {
			return err
		}
	}
	return os.Remove(filepath.Join(dir, cgroupsFile))
}

func dropCgroup(ctx context.Context, group string, above int) error {
	for {
		err := removeTree(group)
		if err == nil {
			dropEmpty(filepath.Dir(group), above)
			return nil
		}
		for _, pid := range processes(group) {
			if n, err := strconv.Atoi(pid); err == nil {
				_ = syscall.Kill(n, syscall.SIGKILL) // it may be gone by now
			}
		}
		if Pause(ctx, glance) != nil {
			return fmt.Errorf("the cgroup %s (%w), with the processes %s", group, err, strings.Join(processes(group), " "))
		}
	}
}

// dropEmpty removes a cgroup and those above it, so many, up to one that another host uses.
func dropEmpty(group string, levels int) {
	for range levels {
		if syscall.Rmdir(group) != nil {
			return
		}
		group = filepath.Dir(group)
	}
}

// removeTree removes a cgroup and those in it. Their files go with them.
func removeTree(group string) error {
	entries, err := os.ReadDir(group)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(group, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := syscall.Rmdir(group); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func processes(group string) []string {
	var all []string
	_ = filepath.WalkDir(group, func(path string, _ os.DirEntry, err error) error {
		if pids, e := os.ReadFile(filepath.Join(path, "cgroup.procs")); err == nil && e == nil {
			all = append(all, strings.Fields(string(pids))...)
		}
		return nil
	})
	return all
}
