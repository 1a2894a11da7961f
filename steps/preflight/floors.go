package preflight

import (
	"cmp"
	"slices"
	"strings"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/skew"
)

// target is the minor version that the plan goes to.
func (v *View) target() knowledge.Minor {
	_, upTo := v.span()
	return upTo
}

// runtimes: the container runtime is new enough for the target's kubelet.
func runtimes(v *View) (found []finding.Finding) {
	floor, known := v.Knowledge.Floor(v.target())
	if v.Cluster == nil || !known || floor.Containerd.Minimum == "" {
		return nil
	}
	for _, n := range v.Cluster.Census.Nodes {
		version, isContainerd := strings.CutPrefix(n.Runtime, "containerd://")
		if isContainerd && skew.OlderRelease(version, floor.Containerd.Minimum) {
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: n.Name,
				What:     "containerd " + version + " is too old: the kubelet of " + floor.Target.String() + " needs " + floor.Containerd.Minimum + " or newer",
				Evidence: "containerRuntimeVersion of the node; " + floor.Containerd.Source,
				Remedy:   "upgrade containerd there first, one host at a time"})
		}
	}
	return found
}

// kernels: kubeadm's SystemVerification would accept the kernel.
func kernels(v *View) (found []finding.Finding) {
	floor, known := v.Knowledge.Floor(v.target())
	if !known {
		return nil
	}
	for _, h := range v.answered() {
		if h.Kernel == "" || floor.Kernel.Accepts(h.Kernel) || floor.Kernel.CheckedBy == "join" {
			continue
		}
		found = append(found, finding.Finding{Severity: finding.Severity(floor.Kernel.Severity), Where: h.Name,
			What:     "the kernel " + h.Kernel + " is not one that kubeadm " + floor.Target.String() + " accepts: " + floor.Kernel.Minimum + " or newer",
			Evidence: "uname -r; " + floor.Kernel.Source,
			Remedy:   "upgrade the kernel, or let the plan's kubeadm.upgrade ignore SystemVerification"})
	}
	return found
}

// cgroups: the target's kubelet starts on the version of control groups that the host has.
func cgroups(v *View) (found []finding.Finding) {
	floor, known := v.Knowledge.Floor(v.target())
	if !known || floor.CgroupV1 != "refused" {
		return nil
	}
	for _, h := range v.answered() {
		if value, _ := scalarOf(h.Files[kubeletConfigFile], "failCgroupV1"); h.Cgroup != "tmpfs" || value == "false" {
			continue
		}
		found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name,
			What:     "the host uses control groups of version 1, with which the kubelet of " + floor.Target.String() + " does not start",
			Evidence: "stat -f /sys/fs/cgroup: tmpfs", Remedy: "boot it with version 2 (systemd.unified_cgroup_hierarchy=1), or set failCgroupV1: false in the ConfigMap kubelet-config and let kubeadm.upgrade ignore SystemVerification"})
	}
	return found
}

// dns is the tag of the CoreDNS that runs, "" if none does.
func (v *View) dns() string {
	for _, w := range v.Cluster.Pods {
		if w.Namespace == "kube-system" && w.Labels["k8s-app"] == "kube-dns" && w.Phase == "Running" {
			return census.Tag(w.Images, "coredns")
		}
	}
	return ""
}

// wantedImages are what the upgrade will run on a host, by the names that kubeadm gives them.
func (v *View) wantedImages(controlPlane bool) []string {
	repository := cmp.Or(v.Repository, "registry.k8s.io")
	if v.Goal.To.IsZero() {
		return nil
	}
	names := []string{"kube-proxy"}
	if controlPlane {
		names = slices.Concat(census.ControlPlane(), names)
	}
	for i, name := range names {
		names[i] = repository + "/" + name + ":v" + v.Goal.To.String()
	}
	return names
}
