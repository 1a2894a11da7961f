//go:build linux

package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const (
	v1Mounts = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/memory rw,relatime shared:10 master:3 - cgroup cgroup rw,memory
34 31 0:31 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
`
	hybridMounts = v1Mounts + `41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	v2Mounts = `26 23 0:24 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
`
	partMounts = `33 31 0:30 /docker/ab /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
`
)

func TestHierarchies(t *testing.T) {
	cpu := hierarchy{"cgroup", "cpu,cpuacct", "cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct"}
	memory := hierarchy{"cgroup", "memory", "memory", "/sys/fs/cgroup/memory/user/me"}
	systemd := hierarchy{"cgroup", "systemd", "none,name=systemd", "/sys/fs/cgroup/systemd"}
	for name, c := range map[string]struct {
		mounts, paths string
		want          []hierarchy
	}{
		"v1": {v1Mounts, "9:name=systemd:/\n7:blkio:/\n4:memory:/user/me\n1:cpu,cpuacct:/\n", []hierarchy{systemd, memory, cpu}},
		"hybrid": {hybridMounts, "4:memory:/user/me\n0::/user:odd\n",
			[]hierarchy{memory, {"cgroup2", "unified", "", "/sys/fs/cgroup/unified/user:odd"}}},
		"v2, below its root":            {v2Mounts, "0::/user.slice/session-1.scope\n", []hierarchy{{"cgroup2", "", "", "/sys/fs/cgroup"}}},
		"a container that sees a part":  {partMounts, "4:memory:/docker/ab/x\n", []hierarchy{{"cgroup", "memory", "memory", "/sys/fs/cgroup/memory/x"}}},
		"a container that is elsewhere": {partMounts, "4:memory:/docker/zz\n", []hierarchy{{"cgroup", "memory", "memory", "/sys/fs/cgroup/memory"}}},
		"outside of its namespace":      {v1Mounts, "4:memory:/../../x\n", []hierarchy{{"cgroup", "memory", "memory", "/sys/fs/cgroup/memory"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := hierarchies(c.mounts, c.paths)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}

func TestNoCgroups(t *testing.T) {
	if _, err := hierarchies("", "0::/\n"); err == nil || !strings.Contains(err.Error(), "/sys/fs/cgroup") {
		t.Errorf("got %v", err)
	}
}

func TestControllersThatAreLacking(t *testing.T) {
	var all []hierarchy
	for _, name := range []string{"cpu,cpuacct", "cpuset", "memory", "pids"} {
		all = append(all, hierarchy{kind: "cgroup", name: name})
	}
	if err := lacking(all); err == nil || !strings.Contains(err.Error(), "systemd") {
		t.Errorf("got %v, want one that names systemd", err)
	}
	if err := lacking(append(all, hierarchy{name: "systemd"})); err != nil {
		t.Error(err)
	}
}

func TestCgroupsAreRemovedWithThoseAboveThatAreEmpty(t *testing.T) {
	dir, root := t.TempDir(), t.TempDir()
	group := filepath.Join(root, "upgrader-lab/lab/w1")
	for _, d := range []string{filepath.Join(group, "system.slice/ssh.service"), filepath.Join(root, "upgrader-lab/other")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, cgroupsFile), []byte("upgrader-lab/lab/w1\n"+group+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := dropCgroups(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(root, "upgrader-lab/*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "other" {
		t.Errorf("left %v, %v", left, err)
	}
	if err := dropCgroups(t.Context(), dir); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestACgroupThatStaysIsNamedWithItsProcesses(t *testing.T) {
	group := filepath.Join(t.TempDir(), "w1")
	if err := os.Mkdir(group, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("7\n8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	err := dropCgroup(ctx, group, 0)
	if err == nil || !strings.Contains(err.Error(), group) || !strings.Contains(err.Error(), "processes 7 8") {
		t.Errorf("got %v", err)
	}
}
