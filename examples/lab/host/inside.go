//go:build linux

package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Descriptors that the supervisor gives to pid 1.
const (
	wordDescriptor   = 3
	reportDescriptor = 4
)

// An inside is pid 1 of a new host until it becomes systemd. It is in namespaces of its own, but still sees the
// machine's file systems.
type inside struct {
	Config
	dir  string
	root string // where the host's / is put together
}

// Init makes a host out of the new namespaces that the supervisor started it in, and becomes systemd. It returns only
// if that fails. It is nothing to call by hand: it would do all this to the machine.
func Init(dir string) error {
	if os.Getpid() != 1 {
		return errors.New("internal-init is for the supervisor to run, as pid 1 of a new host; start hosts with `lab up`")
	}
	runtime.LockOSThread() // the cgroup namespace is one of this thread, which is why it has to do the exec too
	unix.CloseOnExec(wordDescriptor)
	unix.CloseOnExec(reportDescriptor)
	report := os.NewFile(reportDescriptor, "report")
	err := become(dir, report)
	_, _ = report.WriteString(err.Error()) // with no one to hear it, all ends anyway
	return err
}

func become(dir string, report *os.File) error {
	if err := waitForWord(); err != nil {
		return err
	}
	c, err := load(dir)
	if err != nil {
		return err
	}
	h := &inside{Config: c, dir: dir, root: filepath.Join(dir, "root")}
	steps := []struct {
		name string
		do   func() error
	}{
		{"taking its name", h.takeName},
		{"making a namespace of cgroups", func() error { return unix.Unshare(unix.CLONE_NEWCGROUP) }},
		{"mounting its root", h.mountRoot},
		{"mounting the kernel's file systems", h.mountKernel},
		{"making devices", h.makeDevices},
		{"mounting its cgroups", h.mountCgroups},
		{"protecting the machine's settings", h.protectSettings},
		{"laying files over settings", h.overlaySettings},
		{"mounting its data", h.mountData},
		{"writing who it is", h.writeIdentity},
		{"setting its network up", h.setUpNetwork},
		{"writing the network of its pods", h.writePodNetwork},
		{"changing to its root", h.changeRoot},
		{"taking its console", takeConsole},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if _, err := report.WriteString(ready); err != nil {
		return fmt.Errorf("reporting: %w", err)
	}
	return startSystemd()
}

// waitForWord waits until the supervisor has put this process into its cgroups and has laid the cable. A supervisor that
// died says nothing, and the host ends here: the kernel kills it only if it was there before the supervisor died.
func waitForWord() error {
	word := os.NewFile(wordDescriptor, "word")
	if n, err := word.Read(make([]byte, 1)); n != 1 {
		return fmt.Errorf("the supervisor is gone: %w", err)
	}
	return word.Close()
}

func (h *inside) takeName() error { return unix.Sethostname([]byte(h.Name)) }

// writeIdentity writes the names that systemd reads. The machine-id is made once, at the first boot.
func (h *inside) writeIdentity() error {
	if err := h.write("etc/hostname", h.Name+"\n"); err != nil {
		return err
	}
	if id, err := os.ReadFile(h.path("etc/machine-id")); err == nil && len(strings.TrimSpace(string(id))) == 32 {
		return nil
	}
	id, err := newUUID()
	if err != nil {
		return err
	}
	return h.write("etc/machine-id", strings.ReplaceAll(id, "-", ""))
}

// changeRoot makes root the / of this namespace, and lets go of the machine's.
func (h *inside) changeRoot() error {
	const old = "run/lab/old"
	if err := os.MkdirAll(h.path(old), 0o700); err != nil {
		return err
	}
	if err := unix.Chdir(h.root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", old); err != nil {
		return err
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/"+old, unix.MNT_DETACH); err != nil {
		return err
	}
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "") // kubelet wants mounts to propagate to pods
}

// takeConsole connects systemd with its console. So far it was the supervisor's name for it.
func takeConsole() error {
	for fd, name := range []string{"/dev/null", "/dev/console", "/dev/console"} {
		f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			return err
		}
		if err := unix.Dup3(int(f.Fd()), fd, 0); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// startSystemd becomes systemd. The variable makes it leave to the machine what a container must not touch.
func startSystemd() error {
	const program = "/sbin/init"
	hierarchy := "0"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		hierarchy = "1"
	}
	args := []string{program, "systemd.unified_cgroup_hierarchy=" + hierarchy, "systemd.show_status=1"}
	err := unix.Exec(program, args, []string{"container=lab", "TERM=dumb", "PATH=" + searchPath})
	return fmt.Errorf("starting %s: %w", program, err)
}

func (h *inside) path(name string) string { return filepath.Join(h.root, name) }

// write puts a file into the host that its users may read.
func (h *inside) write(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(h.path(name)), 0o755); err != nil { //nolint:gosec // a directory of the host
		return err
	}
	return os.WriteFile(h.path(name), []byte(text), 0o644) //nolint:gosec // a file of the host
}

func newUUID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/uuid")
	return strings.TrimSpace(string(id)), err
}
