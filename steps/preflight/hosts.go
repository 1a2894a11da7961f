package preflight

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/survey"
)

func reachable(v *View) (found []finding.Finding) {
	for _, h := range v.Hosts {
		stranger, mistaken := errors.AsType[*remote.StrangerError](h.Err)
		switch {
		case mistaken:
			found = append(found, finding.Finding{Check: "host.identity", Severity: finding.Blocker, Where: h.Name,
				What: stranger.Why, Remedy: stranger.Remedy})
		case remote.Hangs(h.Err):
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name,
				What: "the host hangs", Evidence: h.Err.Error(),
				Remedy: survey.HangsRemedy(h.Name)})
		case h.Err != nil && strings.Contains(h.Err.Error(), "sudo"):
			found = append(found, finding.Finding{Check: "host.sudo", Severity: finding.Blocker, Where: h.Name,
				What: "commands cannot be run as root", Evidence: h.Err.Error(),
				Remedy: "allow the login user sudo without a password, or say in the inventory where the password is (ssh.sudo)"})
		case h.Err != nil:
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name,
				What: "the host cannot be asked", Evidence: h.Err.Error(), Remedy: "make `ssh " + h.Name + "` work as the inventory says"})
		}
	}
	return found
}

// hangs: every program answered. What one that did not would have told is not known, and no other check makes anything of it.
func hangs(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		if len(h.Hung) > 0 {
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name,
				What:     "a program does not answer, and what it tells could not be checked",
				Evidence: strings.Join(h.Hung, "\n"),
				Remedy:   survey.HungRemedy})
		}
	}
	return found
}

func root(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		if !h.Root {
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name, What: "commands do not run as root",
				Remedy: "log in as root, or let ssh.sudo of the inventory say how to become root"})
		}
	}
	return found
}

// drift is how far two clocks may be apart: beyond it etcd warns of its peers (server/etcdserver/api/rafthttp,
// probing_status.go).
const drift = time.Second

// clocks compares every host with the middle of them all, so that it does not matter whether our own clock is right.
func clocks(v *View) (found []finding.Finding) {
	hosts := v.answered()
	if len(hosts) < 2 {
		return nil
	}
	sorted := slices.SortedFunc(slices.Values(hosts), func(a, b *survey.Host) int { return cmp.Compare(a.Clock, b.Clock) })
	middle := sorted[len(sorted)/2].Clock
	for _, h := range hosts {
		if off := h.Clock - middle; off > drift || off < -drift {
			found = append(found, finding.Finding{Severity: finding.Warning, Where: h.Name,
				What:   fmt.Sprintf("its clock is %s from that of the other hosts", off.Round(100*time.Millisecond)),
				Remedy: "see `timedatectl` there, and let it follow the same time servers as the others"})
		}
	}
	return found
}

// What an upgrade writes: packages and their archives, images (of a control plane: five), what kubeadm keeps of before.
const (
	roomForPackages = 512 << 20
	roomForImages   = 1 << 30
	roomForBackups  = 128 << 20
)

// disks: there is room for what the upgrade writes, on each file system for all that goes there. kubeadm copies etcd's
// data before it changes it (phases/upgrade, staticpods.go), and a snapshot is taken besides: twice the database.
func disks(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		need := map[string]int64{"/var/cache/apt": roomForPackages, "/var/lib/containerd": roomForImages, "/etc/kubernetes": roomForBackups + 2*h.EtcdDB}
		wanted, paths, on := map[string]int64{}, map[string][]string{}, map[string]survey.Disk{}
		for _, d := range h.Disks {
			if need[d.Path] > 0 {
				wanted[d.Mount] += need[d.Path]
				paths[d.Mount] = append(paths[d.Mount], d.Path)
				on[d.Mount] = d
			}
		}
		for _, mount := range slices.Sorted(keys(wanted)) {
			if d := on[mount]; d.Free < wanted[mount] {
				found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name,
					What:     fmt.Sprintf("the disk mounted on %s is too full: %s free, %s needed", mount, size(d.Free), size(wanted[mount])),
					Evidence: fmt.Sprintf("df %s: %s of %s free on %s", strings.Join(paths[mount], " "), size(d.Free), size(d.Size), d.Device),
					Remedy:   "make room: `crictl rmi --prune`, `apt-get clean`, old directories in /etc/kubernetes/tmp and /var/lib/upgrader/backups"})
			}
		}
	}
	return found
}

// inodesLeft is the share below which the kubelet evicts pods (nodefs.inodesFree, pkg/kubelet/eviction/defaults_linux.go).
const inodesLeft = 0.05

func inodes(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		told := map[string]bool{}
		for _, d := range h.Disks {
			if d.Inodes == 0 || float64(d.InodesFree) >= inodesLeft*float64(d.Inodes) || told[d.Mount] {
				continue
			}
			told[d.Mount] = true
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name,
				What:     fmt.Sprintf("the file system below %s is out of inodes: %d of %d left", d.Path, d.InodesFree, d.Inodes),
				Evidence: "df -i " + d.Path, Remedy: "find the directory with the many files and empty it: `du --inodes -x " + d.Mount + " | sort -n | tail`"})
		}
	}
	return found
}

func swaps(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		if len(h.Swaps) == 0 || !failsOnSwap(h) {
			continue
		}
		found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name,
			What:     "swap is on, and the kubelet does not start with it",
			Evidence: "/proc/swaps: " + strings.Join(h.Swaps, ", "),
			Remedy:   "run `swapoff -a` and remove it from /etc/fstab, or set failSwapOn: false in the kubelet-config ConfigMap"})
	}
	return found
}

// failsOnSwap is the kubelet's failSwapOn, true unless configured.
func failsOnSwap(h *survey.Host) bool {
	value, ok := scalarOf(h.Files[kubeletConfigFile], "failSwapOn")
	return !ok || value != "false"
}

// muchLeftOver is what may lie in /etc/kubernetes/tmp without a word.
const muchLeftOver = 1 << 30

func leftovers(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		var total int64
		var cut []string
		for _, f := range h.Leftovers {
			total += f.Size
			if strings.Contains(f.Path, "/kubeadm-upgraded-manifests") {
				cut = append(cut, f.Path)
			}
		}
		if len(cut) > 0 {
			found = append(found, finding.Finding{Severity: finding.Warning, Where: h.Name,
				What:     "an earlier upgrade by kubeadm failed or was cut here",
				Evidence: strings.Join(cut, ", "), Remedy: "see that its static pods run, then remove the directory"})
		}
		if total > muchLeftOver {
			found = append(found, finding.Finding{Severity: finding.Warning, Where: h.Name,
				What:     "backups of earlier upgrades fill the disk: " + size(total),
				Evidence: "du -s /etc/kubernetes/tmp/*", Remedy: "remove the old ones: kubeadm never does"})
		}
	}
	return found
}

func unattended(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		if h.Unattended && h.Units["unattended-upgrades"].Active == "active" {
			found = append(found, finding.Finding{Severity: finding.Warning, Where: h.Name,
				What:     "apt upgrades packages by itself, and may hold its lock or restart services in the middle",
				Evidence: "unattended-upgrades.service is active, APT::Periodic::Unattended-Upgrade is on",
				Remedy:   "run `systemctl stop unattended-upgrades` there for the time of the upgrade"})
		}
	}
	return found
}

func kubeletRuns(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		if u, told := h.Units["kubelet"]; u.Active != "active" && (told || len(h.Hung) == 0) {
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name,
				What:     "the kubelet does not run",
				Evidence: fmt.Sprintf("kubelet.service is %s (%s), restarted %d times", cmp.Or(u.Active, "unknown"), cmp.Or(u.Sub, u.Load), u.Restarts),
				Remedy:   "run `upgrader doctor " + h.Name + "`, or see `journalctl -u kubelet` there"})
		}
	}
	return found
}

func runtimeAnswers(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		if h.Runtime.Asked && !h.Runtime.Answers {
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name,
				What: "the container runtime does not answer", Evidence: "crictl info: " + h.Runtime.Says,
				Remedy: "see `systemctl status containerd` there, and start it"})
		}
	}
	return found
}

// images: each image is on the host, or its registry has it.
func images(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		var lacking, seen []string
		for _, name := range slices.Sorted(keys(h.Runtime.Images)) {
			said := h.Runtime.Images[name]
			if said == "here" || strings.Contains(said, "200@") || strings.Contains(said, "401@") || noCurl(said) {
				continue
			}
			lacking = append(lacking, name)
			seen = append(seen, name+": "+said)
		}
		if len(lacking) > 0 {
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name,
				What:     "images of the target are not there and cannot be pulled: " + strings.Join(lacking, ", "),
				Evidence: strings.Join(seen, "\n"),
				Remedy:   "make the registry or its mirror reachable from there, or pull them beforehand with `crictl pull`"})
		}
	}
	return found
}

// noCurl tells that a host could not ask, for want of curl: kubeadm will find out before it changes anything.
func noCurl(said string) bool {
	return strings.Contains(said, "curl: not found") || strings.Contains(said, "curl: command not found")
}

// size writes bytes as people read them.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
