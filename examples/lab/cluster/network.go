//go:build linux

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"upgrader.dev/upgrader/examples/lab/build"
)

// Every systemd, containerd and kubelet watches files, and they all count as the same user: 128, the kernel's default,
// is not enough for two hosts. 2048 is enough for seven.
const (
	inotifySetting = "/proc/sys/fs/inotify/max_user_instances"
	inotifyEnough  = 2048
)

func run(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

func linkThere(name string) bool {
	_, err := os.Lstat("/sys/class/net/" + name)
	return err == nil
}

// addBridge makes a bridge that carries its owner's name.
func addBridge(ctx context.Context, name, owner string) error {
	if err := run(ctx, "ip", "link", "add", name, "type", "bridge"); err != nil {
		return err
	}
	return run(ctx, "ip", "link", "set", name, "alias", owner)
}

// connect makes the bridge and its address, and lets the hosts watch as many files as they need.
func (l *Lab) connect(ctx context.Context) error {
	if !linkThere(l.bridge()) { // after a restart of the machine
		if err := addBridge(ctx, l.bridge(), l.Dir); err != nil {
			return err
		}
	}
	if owner := bridgeOwner(l.bridge()); owner != l.Dir {
		return fmt.Errorf("the network 10.77.%d.0/24 of lab %s is in use by %q: `lab down` that one, or this one", l.Net, l.Name, owner)
	}
	// a fixed address: otherwise it would change with every cable, and hosts would talk to the old one for a while
	mac := fmt.Sprintf("02:6c:61:62:00:%02x", l.Net)
	err := errors.Join(
		run(ctx, "ip", "link", "set", l.bridge(), "address", mac),
		run(ctx, "ip", "addr", "replace", l.Gateway()+"/24", "dev", l.bridge()),
		run(ctx, "ip", "link", "set", l.bridge(), "up"))
	if err != nil {
		return err
	}
	return errors.Join(allowForwarding(ctx, l.bridge()), raiseInotify(l.cache))
}

func bridgeOwner(name string) string {
	alias, err := os.ReadFile(filepath.Join("/sys/class/net", name, "ifalias"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(alias))
}

// disconnect removes what connect has made. It goes by the owner's name: a lab may have been cut short before its network
// was written down.
func (l *Lab) disconnect(ctx context.Context) error {
	links, err := filepath.Glob("/sys/class/net/ulab*")
	if err != nil {
		return fmt.Errorf("listing bridges: %w", err)
	}
	for _, link := range links {
		bridge := filepath.Base(link)
		if bridgeOwner(bridge) != l.Dir {
			continue
		}
		if err := errors.Join(forbidForwarding(ctx, bridge), run(ctx, "ip", "link", "del", bridge)); err != nil {
			return err
		}
	}
	return nil
}

func forwardRule(do, bridge string) []string {
	return []string{"-w", do, "FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT"}
}

// allowForwarding lets hosts talk to each other on machines whose firewall forwards nothing, as Docker sets it up:
// where br_netfilter is loaded, that holds for frames on a bridge too.
func allowForwarding(ctx context.Context, bridge string) error {
	rules, err := exec.CommandContext(ctx, "iptables", "-w", "-S", "FORWARD").Output()
	if err != nil || bytes.HasPrefix(rules, []byte("-P FORWARD ACCEPT")) {
		return nil //nolint:nilerr // no iptables, no rules of it in the way
	}
	if run(ctx, "iptables", forwardRule("-C", bridge)...) == nil {
		return nil
	}
	return run(ctx, "iptables", forwardRule("-I", bridge)...)
}

func forbidForwarding(ctx context.Context, bridge string) error {
	if there := run(ctx, "iptables", forwardRule("-C", bridge)...) == nil; !there {
		return nil
	}
	return run(ctx, "iptables", forwardRule("-D", bridge)...)
}

// inotifyBefore remembers what the machine had before the first lab.
func inotifyBefore(c build.Cache) string { return filepath.Join(labs(c), ".inotify") }

func raiseInotify(c build.Cache) error {
	now, err := os.ReadFile(inotifySetting)
	if err != nil {
		return fmt.Errorf("reading how many files may be watched: %w", err)
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(now))); err == nil && n >= inotifyEnough {
		return nil
	}
	if _, err := os.Lstat(inotifyBefore(c)); err != nil {
		if err := replace(inotifyBefore(c), now, 0o644); err != nil {
			return err
		}
	}
	return setInotify([]byte(strconv.Itoa(inotifyEnough)))
}

func restoreInotify(c build.Cache) error {
	before, err := os.ReadFile(inotifyBefore(c))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading what to put back into %s: %w", inotifySetting, err)
	}
	return errors.Join(setInotify(before), os.Remove(inotifyBefore(c)))
}

func setInotify(value []byte) error {
	if err := os.WriteFile(inotifySetting, value, 0o644); err != nil { //nolint:gosec // the file is there, its mode stays
		return fmt.Errorf("setting how many files may be watched: %w", err)
	}
	return nil
}
