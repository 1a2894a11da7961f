//go:build linux

package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A hierarchy is one tree of cgroups: cgroup v1 has one for each controller or group of controllers, v2 has a single one.
type hierarchy struct {
	kind    string // cgroup or cgroup2
	name    string // of its directory in /sys/fs/cgroup: memory, cpu,cpuacct, systemd, unified; empty if v2 is all there is
	options string // to mount it with
	base    string // the directory below which the cgroup of a host is made
}

// ownHierarchies are those that this process can see.
func ownHierarchies() ([]hierarchy, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("looking for cgroups: %w", err)
	}
	paths, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("looking for cgroups: %w", err)
	}
	return hierarchies(string(mounts), string(paths))
}

// hierarchies reads /proc/self/mountinfo and /proc/self/cgroup, which proc(5) and cgroups(7) describe.
func hierarchies(mountinfo, paths string) ([]hierarchy, error) {
	var all []hierarchy
	mounts := cgroupMounts(mountinfo)
	for line := range strings.Lines(paths) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3) // 4:memory:/user.slice
		if len(fields) != 3 {
			continue
		}
		i := slices.IndexFunc(mounts, func(m cgroupMount) bool { return m.holds(fields[1]) })
		if i < 0 {
			continue // a controller that is nowhere mounted
		}
		all = append(all, mounts[i].hierarchy(fields[1], fields[2]))
	}
	if len(all) == 0 {
		return nil, errors.New("no cgroups are mounted: the machine needs /sys/fs/cgroup")
	}
	if len(all) == 1 && all[0].kind == "cgroup2" {
		// Where v2 is all there is, a cgroup that holds processes cannot share its controllers out, and ours holds us.
		all[0].name, all[0].base = "", mounts[slices.IndexFunc(mounts, func(m cgroupMount) bool { return m.kind == "cgroup2" })].point
	}
	return all, nil
}

// A cgroupMount is a line of mountinfo.
type cgroupMount struct {
	kind, root, point string
	options           []string
}

func cgroupMounts(mountinfo string) []cgroupMount {
	var all []cgroupMount
	for line := range strings.Lines(mountinfo) {
		left, right, _ := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if len(l) < 6 || len(r) < 3 || (r[0] != "cgroup" && r[0] != "cgroup2") {
			continue
		}
		all = append(all, cgroupMount{kind: r[0], root: l[3], point: l[4], options: strings.Split(r[2], ",")})
	}
	return all
}

// holds tells whether this is the mount of the controllers, which are empty for v2.
func (m cgroupMount) holds(controllers string) bool {
	if controllers == "" || m.kind == "cgroup2" {
		return controllers == "" && m.kind == "cgroup2"
	}
	for _, c := range strings.Split(controllers, ",") {
		if !slices.Contains(m.options, c) {
			return false
		}
	}
	return true
}

// hierarchy joins the mount with the path of this process in it. The mount may show a part of the hierarchy only.
func (m cgroupMount) hierarchy(controllers, path string) hierarchy {
	rest, inside := strings.CutPrefix(path, strings.TrimSuffix(m.root, "/"))
	if !inside || strings.HasPrefix(rest, "/..") {
		rest = "/"
	}
	h := hierarchy{kind: m.kind, name: controllers, options: controllers, base: filepath.Join(m.point, rest)}
	switch name, named := strings.CutPrefix(controllers, "name="); {
	case named:
		h.name, h.options = name, "none,"+controllers
	case controllers == "":
		h.name = "unified"
	}
	return h
}

// lacking says which controllers that kubelet or systemd need are nowhere.
func lacking(all []hierarchy) error {
	var names []string
	for _, h := range all {
		names = append(names, strings.Split(h.name, ",")...)
	}
	if slices.Contains(names, "") {
		there, err := os.ReadFile(filepath.Join(all[0].base, "cgroup.controllers"))
		if err != nil {
			return err
		}
		names = append(strings.Fields(string(there)), "systemd", "cpuacct") // cpu counts too in v2
	}
	for _, want := range []string{"cpu", "cpuacct", "cpuset", "memory", "pids", "systemd"} {
		if !slices.Contains(names, want) {
			return fmt.Errorf("there is no hierarchy with %s", want)
		}
	}
	return nil
}
