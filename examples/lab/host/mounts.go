//go:build linux

package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// setting is a file below /proc/sys that kubelet insists on writing, and what it shall find there.
type setting struct{ name, value string }

var settings = []setting{
	{"vm/overcommit_memory", "1"},
	{"vm/panic_on_oom", "0"},
	{"kernel/panic", "10"},
	{"kernel/panic_on_oops", "1"},
	{"kernel/keys/root_maxkeys", "1000000"},
	{"kernel/keys/root_maxbytes", "25000000"},
}

// mountRoot lays the host's own layer over the shared root file system. Nothing of it, nor of what is mounted after it,
// is seen outside.
func (h *inside) mountRoot() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s",
		escape(h.Rootfs), escape(filepath.Join(h.dir, "upper")), escape(filepath.Join(h.dir, "work")))
	for tries := 0; ; tries++ {
		err := unix.Mount("overlay", h.root, "overlay", 0, layers)
		if !errors.Is(err, unix.EBUSY) || tries == 100 {
			return named(err, "overlay "+layers)
		}
		<-time.After(glance) // the last life's mount is still going away
	}
}

// escape protects what separates directories and options in the options of an overlay.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `:`, `\:`).Replace(path)
}

func (h *inside) mountKernel() error {
	return errors.Join(
		h.mount("proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""),
		h.mount("sysfs", "sys", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""),
		h.mount("tmpfs", "dev", unix.MS_NOSUID, "mode=755,size=64m"),
		h.mount("tmpfs", "run", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=2g"),
		h.mount("tmpfs", "tmp", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777,size=1g"),
	)
}

// makeDevices makes /dev as containers have it: the machine's harmless devices, and terminals of its own. The
// console is the terminal that the supervisor reads.
func (h *inside) makeDevices() error {
	for _, d := range []string{"null", "zero", "full", "random", "urandom", "tty", "kmsg"} {
		if err := h.bindFile("/dev/"+d, "dev/"+d); err != nil {
			return err
		}
	}
	terminal, err := os.Readlink("/proc/self/fd/1") // by its name: the supervisor opened it in another namespace of mounts
	if err != nil {
		return err
	}
	links := [][2]string{{"pts/ptmx", "ptmx"}, {"/proc/self/fd", "fd"}, {"fd/0", "stdin"}, {"fd/1", "stdout"}, {"fd/2", "stderr"}}
	for _, l := range links {
		if err := os.Symlink(l[0], h.path("dev/"+l[1])); err != nil {
			return err
		}
	}
	return errors.Join(
		h.mount("devpts", "dev/pts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5"), // gid 5: Debian's tty
		h.mount("tmpfs", "dev/shm", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"),
		h.mount("mqueue", "dev/mqueue", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""),
		h.bindFile(terminal, "dev/console"),
	)
}

// mountCgroups mounts the host's part of every hierarchy, which the namespace makes look like the whole.
func (h *inside) mountCgroups() error {
	all, err := ownHierarchies()
	if err != nil {
		return err
	}
	if len(all) == 1 && all[0].name == "" {
		return h.mount("cgroup2", "sys/fs/cgroup", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}
	if err := h.mount("tmpfs", "sys/fs/cgroup", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=755"); err != nil {
		return err
	}
	for _, c := range all {
		if err := h.mount(c.kind, "sys/fs/cgroup/"+c.name, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, c.options); err != nil {
			return err
		}
		for _, one := range strings.Split(c.name, ",") { // cpu -> cpu,cpuacct
			if one != c.name {
				if err := os.Symlink(c.name, h.path("sys/fs/cgroup/"+one)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// protectSettings lets the host write the settings of its own network only.
func (h *inside) protectSettings() error {
	for _, d := range []string{"proc/sys", "proc/sys/net"} {
		if err := h.bind(h.path(d), d); err != nil {
			return err
		}
	}
	if err := h.readOnly("proc/sys"); err != nil {
		return err
	}
	const trigger = "proc/sysrq-trigger" // would reboot the machine
	if _, err := os.Stat(h.path(trigger)); err != nil {
		return nil //nolint:nilerr // a kernel without it
	}
	if err := h.bind(h.path(trigger), trigger); err != nil {
		return err
	}
	return h.readOnly(trigger)
}

// overlaySettings lays plain files over the settings that kubelet writes, and over the boot id, which a machine has a
// new one of at every boot.
func (h *inside) overlaySettings() error {
	id, err := newUUID()
	if err != nil {
		return err
	}
	for _, s := range append([]setting{{"kernel/random/boot_id", id}}, settings...) {
		if _, err := os.Stat(h.path("proc/sys/" + s.name)); err != nil {
			continue // a kernel without it
		}
		file := "run/lab/sys/" + strings.ReplaceAll(s.name, "/", "_")
		if err := h.write(file, s.value+"\n"); err != nil {
			return err
		}
		if err := h.bind(h.path(file), "proc/sys/"+s.name); err != nil {
			return err
		}
	}
	return nil
}

// mountData gives containers and kubelet the machine's own file system: the layers of containers cannot lie on an
// overlay, and kubelet measures what is used. /var/lib/etcd is not among these, so that it can be moved aside.
func (h *inside) mountData() error {
	for _, d := range []string{"lib/containerd", "lib/kubelet", "log"} {
		data := filepath.Join(h.dir, "data", d)
		if err := os.MkdirAll(data, 0o755); err != nil { //nolint:gosec // a directory of the host
			return err
		}
		if err := os.MkdirAll(h.path("var/"+d), 0o755); err != nil { //nolint:gosec // a directory of the host
			return err
		}
		if err := h.bind(data, "var/"+d); err != nil {
			return err
		}
	}
	return nil
}

func (h *inside) mount(kind, at string, flags uintptr, options string) error {
	if err := os.MkdirAll(h.path(at), 0o755); err != nil { //nolint:gosec // a directory of the host
		return err
	}
	return named(unix.Mount(kind, h.path(at), kind, flags, options), at)
}

func (h *inside) bind(what, at string) error {
	return named(unix.Mount(what, h.path(at), "", unix.MS_BIND, ""), at)
}

// bindFile binds a file where there is none yet.
func (h *inside) bindFile(what, at string) error {
	if err := h.write(at, ""); err != nil {
		return err
	}
	return h.bind(what, at)
}

// readOnly makes a mount, not what is mounted, read-only. Flags that are left out would be taken off.
func (h *inside) readOnly(at string) error {
	const flags = unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	return named(unix.Mount("", h.path(at), "", flags, ""), at)
}

func named(err error, what string) error {
	if err != nil {
		return fmt.Errorf("mounting %s: %w", what, err)
	}
	return nil
}
