//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// startTimeout bounds a start; a boot as far as systemd takes a tenth of a second on an idle machine.
	startTimeout = time.Minute
	// switchTimeout bounds what a switch does: all processes of a host die, and are gone, within a second or two.
	switchTimeout = 30 * time.Second
	// glance is how often we look for what nothing tells us.
	glance = 20 * time.Millisecond
)

// A Host is one host of a lab, on or off.
type Host struct {
	Config
	Dir string
}

// Open finds the host whose directory is dir.
func Open(dir string) (*Host, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the host in %s: %w", dir, err)
	}
	c, err := load(dir)
	if err != nil {
		return nil, err
	}
	return &Host{Config: c, Dir: dir}, nil
}

// Start gives a host its supervisor, unless it has one, and boots it, unless it runs. It returns when systemd has begun;
// dir may hold what the host shall find on its disk, below upper. A changed configuration holds from the next boot on.
func Start(ctx context.Context, dir string, c Config) (*Host, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	h := &Host{Config: c, Dir: dir}
	if err := h.prepare(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no answer within %s; see %s", startTimeout, h.path(logFile)))
	defer cancel()
	if err := h.start(ctx); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	return h, nil
}

// Kill pulls the plug: all processes die at once, unsaved data with them. The host stays off until Boot.
func (h *Host) Kill() error { return h.press("kill") }

// Boot turns on a host that is off. One that runs is left alone.
func (h *Host) Boot() error { return h.press("boot") }

// Unplug takes the network cable out. It stays out over reboots, until Plug.
func (h *Host) Unplug() error { return h.press("unplug") }

// Plug puts the network cable in.
func (h *Host) Plug() error { return h.press("plug") }

// Off kills the host and ends its supervisor. Only files are left, those below Dir.
func (h *Host) Off() error {
	ctx, cancel := within(switchTimeout)
	defer cancel()
	if _, err := h.ask(ctx, "off"); err != nil && !errors.Is(err, errSilent) {
		return fmt.Errorf("switching %s off: its supervisor does not answer: %w; see %s", h.Name, err, h.path(logFile))
	}
	lock, err := waitForLock(ctx, h.Dir)
	if err != nil {
		return fmt.Errorf("switching %s off: its supervisor did not end: %w; see %s", h.Name, err, h.path(logFile))
	}
	err = clean(ctx, h.Dir, h.Config)
	return errors.Join(err, lock.Close())
}

// Running tells whether the host is on and systemd has begun.
func (h *Host) Running() bool {
	_, err := h.pid()
	return err == nil
}

// Command prepares a command inside the host that needs no network. Its environment is that of a daemon; what it reads
// and writes is up to the caller. When ctx ends, so does the command; what that started goes on.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	pid, err := h.pid()
	all := append([]string{"-t", strconv.Itoa(pid), "-m", "-u", "-i", "-n", "-p", "-C", "--", name}, args...)
	cmd := exec.CommandContext(ctx, "nsenter", all...)
	if err != nil {
		cmd.Err = err
	}
	cmd.Env = []string{"PATH=" + searchPath, "HOME=/root", "TERM=dumb"}
	cmd.Cancel = func() error { return killWithChildren(cmd.Process.Pid) }
	cmd.WaitDelay = time.Second // what it started may hold its output open
	return cmd
}

// killWithChildren ends nsenter and the command, which is its child since it has to be born in the host.
func killWithChildren(pid int) error {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return os.ErrProcessDone
	}
	for _, child := range strings.Fields(string(children)) {
		if n, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(n, syscall.SIGKILL) // it may have ended
		}
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

func (h *Host) path(name string) string { return filepath.Join(h.Dir, name) }

// prepare makes the directory of the host.
func (h *Host) prepare() error {
	if err := h.check(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(h.Rootfs, "sbin/init")); err != nil {
		return fmt.Errorf("starting %s: %s holds no root file system: %w; make it with `lab build`", h.Name, h.Rootfs, err)
	}
	for _, d := range []string{"upper", "work", "root", "data"} {
		if err := os.MkdirAll(h.path(d), 0o755); err != nil { //nolint:gosec // upper is the host's /, which its users may read
			return fmt.Errorf("starting %s: %w", h.Name, err)
		}
	}
	return h.save(h.Dir)
}

// pid is that of the host's systemd, outside.
func (h *Host) pid() (int, error) {
	ctx, cancel := within(switchTimeout)
	defer cancel()
	answer, err := h.ask(ctx, "pid")
	if err != nil && !errors.Is(err, errSilent) {
		return 0, err
	}
	if pid, err := strconv.Atoi(answer); err == nil {
		return pid, nil
	}
	return 0, fmt.Errorf("%s is not running: turn it on with `lab boot %s`", h.Name, h.Name)
}

// press asks the supervisor for something and waits until it is so.
func (h *Host) press(what string) error {
	ctx, cancel := within(switchTimeout)
	defer cancel()
	_, err := h.ask(ctx, what)
	if errors.Is(err, errSilent) {
		return fmt.Errorf("%s %s: it has no supervisor (any more): start it again with `lab up`", what, h.Name)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, h.Name, err)
	}
	return nil
}

func within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.Background(), d, fmt.Errorf("it took longer than %s", d))
}
