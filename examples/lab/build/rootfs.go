//go:build linux

package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	rootfsName = "rootfs"

	// suite is the Debian whose systemd 252 and containerd 1.6 these Kubernetes versions were made for.
	suite = "bookworm"

	// sshKeys makes host keys at the first boot: every host has its own.
	sshKeys = "[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n"
)

// rootfsPackages are what a host has beside Debian's minimum: what kubelet, kubeadm and runbooks call.
func rootfsPackages() []string {
	return strings.Fields(`ca-certificates conntrack containerd cron curl dbus ebtables ethtool gnupg ipset iproute2 iptables
		iputils-ping jq kmod less logrotate mount netcat-openbsd openssh-server procps runc socat sudo systemd systemd-sysv util-linux`)
}

// maskedUnits talk to hardware or to the outside, which a host of a lab has not.
func maskedUnits() []string {
	return strings.Fields(`apt-daily-upgrade.timer apt-daily.timer console-getty.service dpkg-db-backup.timer e2scrub_all.timer
		e2scrub_reap.service fstrim.timer getty.target systemd-modules-load.service systemd-timesyncd.service`)
}

func (l *list) rootfs() (part, error) {
	return part{
		name:     rootfsName,
		key:      keyOf(layout, suite, runtime.GOARCH, sshKeys, strings.Join(rootfsPackages(), " "), strings.Join(maskedUnits(), " ")),
		products: []string{filepath.Join(l.cache.Rootfs(), "usr/lib/systemd/systemd")},
		make:     makeRootfs,
	}, nil
}

func makeRootfs(ctx context.Context, j *job) error {
	root := filepath.Join(j.tmp, "rootfs")
	argv := []string{"debootstrap", "--variant=minbase", "--include=" + strings.Join(rootfsPackages(), ","), suite, root}
	if err := j.run(ctx, command{private: true, argv: argv}); err != nil {
		return err
	}
	if err := errors.Join(strip(root), prepare(root)); err != nil {
		return fmt.Errorf("preparing the root file system: %w", err)
	}
	return j.publish(root, j.cache.Rootfs())
}

// strip takes away what only this machine or this moment put there.
func strip(root string) error {
	var errs []error
	for _, pattern := range []string{
		"etc/ssh/ssh_host_*", "etc/apt/sources.list", "etc/resolv.conf", "etc/hostname",
		"var/log/*.log", "var/log/apt/*", "var/cache/apt/*.bin", "var/cache/apt/archives/*.deb", "var/cache/ldconfig/aux-cache",
		"var/lib/apt/lists/*_*",
	} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		errs = append(errs, err)
		for _, path := range paths {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}

func prepare(root string) error {
	units := filepath.Join(root, "etc/systemd/system")
	errs := []error{
		os.WriteFile(filepath.Join(root, "etc/machine-id"), nil, 0o444), //nolint:gosec // Debian's mode; empty: made at boot
		writeFile(filepath.Join(units, "ssh.service.d/keys.conf"), []byte(sshKeys)),
		makeFolder(filepath.Join(root, "etc/apt/keyrings")),
	}
	for _, unit := range maskedUnits() {
		link := filepath.Join(units, unit)
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		errs = append(errs, os.Symlink("/dev/null", link))
	}
	return errors.Join(errs...)
}
