//go:build linux

package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// instances is how many inotify instances are enough for the largest lab, of three control planes and four workers: every
// systemd, containerd and kubelet takes some, and so do pods. The kernel's usual 128 is too low.
const instances = 2048

const (
	inotifyFile = "/proc/sys/fs/inotify/max_user_instances"
	bridgeFile  = "/proc/sys/net/bridge/bridge-nf-call-iptables"
	kmsgFile    = "/dev/kmsg"
)

// The probes that need commands run them in namespaces that end with them.
const (
	layersProbe = `set -e
cd "$1"
mkdir lower upper work root
echo 1 > lower/file
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work root
echo 2 > root/file
rm root/file
test ! -e root/file`
	linksProbe = `set -e
ip link add probe0 type bridge
ip link add probe1 type veth peer name probe2
ip link set probe1 master probe0`
	rulesProbe = `set -e
"$@" -t nat -A POSTROUTING -m comment --comment probe -j MASQUERADE
"$@" -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT`
)

func privileged() error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	return nil
}

func probes(cacheDir string) []probe {
	const kernel = "use a machine whose kernel has it; in a container, one that is privileged"
	all := []probe{}
	for _, n := range []struct {
		name string
		flag uintptr
	}{
		{"mount", unix.CLONE_NEWNS}, {"pid", unix.CLONE_NEWPID}, {"network", unix.CLONE_NEWNET},
		{"UTS", unix.CLONE_NEWUTS}, {"IPC", unix.CLONE_NEWIPC}, {"cgroup", unix.CLONE_NEWCGROUP},
	} {
		all = append(all, probe{n.name + " namespaces", func() error { return inNamespaces(n.flag, "true") }, kernel})
	}
	return append(all,
		probe{"layers on the file system of " + cacheDir, func() error { return tryLayers(cacheDir) },
			"set LAB_CACHE to a directory on ext4, xfs or btrfs, and `modprobe overlay`"},
		probe{"a bridge and a cable", tryLinks, "`modprobe -a bridge veth`"},
		probe{"netfilter", func() error { return tryRules(cacheDir) }, "`modprobe -a nf_tables nft_compat xt_conntrack xt_comment xt_MASQUERADE`"},
		probe{"netfilter on bridges", func() error { return exists(bridgeFile) }, "`modprobe br_netfilter`"},
		probe{"the kernel's log", func() error { return exists(kmsgFile) }, "kubelet reads it: " + kernel},
		probe{"cgroups", tryCgroups, "mount them below /sys/fs/cgroup, or use a machine that runs systemd; in a container, one that is privileged"},
		probe{"the limit of inotify instances", tryInotify, fmt.Sprintf("`sysctl fs.inotify.max_user_instances=%d`", instances)},
	)
}

// inNamespaces runs a script in namespaces of its own. Go makes its mounts private.
func inNamespaces(flags uintptr, script string, args ...string) error {
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "probe"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: flags &^ unix.CLONE_NEWPID, Cloneflags: flags & unix.CLONE_NEWPID}
	said, err := cmd.CombinedOutput()
	if text := strings.Join(strings.Fields(string(said)), " "); err != nil && text != "" {
		return errors.New(text)
	}
	return err
}

// tryLayers makes an overlay where the hosts will be, and writes to it and deletes from it.
func tryLayers(cacheDir string) error {
	near := cacheDir
	for exists(near) != nil && near != filepath.Dir(near) {
		near = filepath.Dir(near) // not built yet
	}
	dir, err := os.MkdirTemp(near, ".check-")
	if err != nil {
		return err
	}
	return errors.Join(inNamespaces(unix.CLONE_NEWNS, layersProbe, dir), os.RemoveAll(dir))
}

func tryLinks() error {
	if _, err := exec.LookPath("ip"); err != nil {
		return nil //nolint:nilerr // which is among the missing commands
	}
	return inNamespaces(unix.CLONE_NEWNET, linksProbe)
}

// tryRules runs the iptables of the machine, or of the hosts, or is content with a kernel that listens.
func tryRules(cacheDir string) error {
	if path, err := exec.LookPath("iptables"); err == nil {
		return inNamespaces(unix.CLONE_NEWNET, rulesProbe, path)
	}
	rootfs := filepath.Join(cacheDir, "rootfs")
	if _, err := os.Lstat(filepath.Join(rootfs, "usr/sbin/iptables")); err == nil { // a link that is good inside
		return inNamespaces(unix.CLONE_NEWNET, rulesProbe, "chroot", rootfs, "iptables")
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// tryCgroups makes a cgroup in every hierarchy, and removes it.
func tryCgroups() error {
	all, err := ownHierarchies()
	if err != nil {
		return err
	}
	faults := []error{lacking(all)}
	for _, h := range all {
		dir := filepath.Join(h.base, fmt.Sprintf("upgrader-lab-check-%d", os.Getpid()))
		if err := os.Mkdir(dir, 0o700); err != nil {
			faults = append(faults, err)
			continue
		}
		faults = append(faults, syscall.Rmdir(dir))
	}
	return errors.Join(faults...)
}

// tryInotify writes the limit that is, since the hosts need a higher one.
func tryInotify() error {
	data, err := os.ReadFile(inotifyFile)
	if err != nil {
		return err
	}
	now := strings.TrimSpace(string(data))
	if n, err := strconv.Atoi(now); err == nil && n >= instances {
		return nil
	}
	if err := os.WriteFile(inotifyFile, []byte(now), 0o600); err != nil {
		return fmt.Errorf("it is %s and cannot be raised: %w", now, err)
	}
	return nil
}

func exists(path string) error {
	_, err := os.Stat(path)
	return err
}
