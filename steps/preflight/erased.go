package preflight

import (
	"maps"
	"slices"
	"strings"

	"upgrader.dev/upgrader/steps/corefile"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/survey"
)

// editedManifests: kubeadm renders the manifests of the static pods anew, from kubeadm-config and the plan's patches.
// What was edited on the host is lost. The host's own kubeadm says what it would render (`kubeadm upgrade diff`); of
// etcd, which that leaves out, the flags are compared.
func editedManifests(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		goal := v.Goal.Host(h.Name)
		if !goal.Kubeadm || h.API == nil {
			continue
		}
		if diff := edits(h.Difference); diff != "" {
			found = append(found, erased(h, goal, "the static pods' manifests differ from what kubeadm renders from kubeadm-config", diff))
		}
		if flags := v.foreignEtcdFlags(h); len(flags) > 0 {
			found = append(found, erased(h, goal, "etcd's manifest has flags that kubeadm does not render", "- "+strings.Join(flags, "\n- ")))
		}
	}
	return found
}

func erased(h *survey.Host, goal HostGoal, what, diff string) finding.Finding {
	f := finding.Finding{Severity: finding.Blocker, Where: h.Name, What: what + ": the upgrade would undo these edits", Evidence: diff,
		Remedy: "move the edits to extraArgs and extraVolumes of kubeadm-config, or to a directory of patches that the plan gives to kubeadm.upgrade"}
	if goal.Patches != "" {
		f.Severity, f.Remedy = finding.Warning, "see that "+goal.Patches+" on that host has patches for each of these lines, since kubeadm's comparison leaves patches out"
	}
	return f
}

// edits is kubeadm's comparison without what it says besides: nothing if the files are the same.
func edits(said string) string {
	var all []string
	for line := range strings.Lines(said) {
		if !strings.HasPrefix(line, "[") {
			all = append(all, strings.TrimSuffix(line, "\n"))
		}
	}
	return strings.TrimSpace(strings.Join(all, "\n"))
}

// etcdFlags are those that kubeadm renders (cmd/kubeadm/app/phases/etcd/local.go, getEtcdCommand), of every version.
func etcdFlags() []string {
	return []string{
		"advertise-client-urls", "cert-file", "client-cert-auth", "data-dir", "experimental-initial-corrupt-check",
		"experimental-watch-progress-notify-interval", "feature-gates", "initial-advertise-peer-urls", "initial-cluster",
		"initial-cluster-state", "key-file", "listen-client-urls", "listen-metrics-urls", "listen-peer-urls", "name",
		"peer-cert-file", "peer-client-cert-auth", "peer-key-file", "peer-trusted-ca-file", "snapshot-count", "trusted-ca-file",
		"watch-progress-notify-interval",
	}
}

func (v *View) foreignEtcdFlags(h *survey.Host) []string {
	known := etcdFlags()
	if v.Cluster != nil {
		for _, f := range extraArgs(v.Cluster.Configs["kubeadm-config"]["ClusterConfiguration"], "etcd", "local") {
			known = append(known, f.name)
		}
	}
	var foreign []string
	for _, f := range flagsIn(h.Files[manifests+"etcd.yaml"]) {
		if !slices.Contains(known, f.name) {
			foreign = append(foreign, "--"+f.name+"="+f.value)
		}
	}
	return foreign
}

// ownKubeletSettings are set by kubeadm on each host by itself and are not in the ConfigMap
// (cmd/kubeadm/app/componentconfigs/kubelet.go, Mutate; cmd/kubeadm/app/phases/kubelet/config.go).
func ownKubeletSettings() []string { return []string{"resolvConf", "containerRuntimeEndpoint"} }

// editedKubelets: kubeadm writes the kubelet's configuration anew from the ConfigMap kubelet-config.
func editedKubelets(v *View) (found []finding.Finding) {
	if v.Cluster == nil || v.Cluster.Configs["kubelet-config"]["kubelet"] == "" {
		return nil
	}
	want := flatten(tree(v.Cluster.Configs["kubelet-config"]["kubelet"]))
	for _, h := range v.answered() {
		goal, text := v.Goal.Host(h.Name), h.Files[kubeletConfigFile]
		if !goal.Kubeadm || text == "" {
			continue
		}
		if diff := compare(flatten(tree(text)), want, ownKubeletSettings()); len(diff) > 0 {
			f := finding.Finding{Severity: finding.Warning, Where: h.Name,
				What:     "the kubelet's configuration differs from the ConfigMap kubelet-config: the upgrade would undo these edits",
				Evidence: kubeletConfigFile + "\n" + strings.Join(diff, "\n"),
				Remedy:   "put the settings into the ConfigMap kube-system/kubelet-config, or into a patch for kubeletconfiguration"}
			if goal.Patches != "" {
				f.Severity, f.Remedy = finding.Note, "see that "+goal.Patches+" on that host has a patch for kubeletconfiguration"
			}
			found = append(found, f)
		}
	}
	return found
}

// compare writes what would change from have to want, without the settings left out: lines with - and +.
func compare(have, want map[string]string, leaveOut []string) []string {
	var diff []string
	all := maps.Clone(have)
	maps.Copy(all, want)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		h, here := have[key]
		w, there := want[key]
		if h == w && here == there || slices.Contains(leaveOut, key) || !meant(h) && !meant(w) {
			continue
		}
		if here {
			diff = append(diff, "- "+key+": "+h)
		}
		if there {
			diff = append(diff, "+ "+key+": "+w)
		}
	}
	return diff
}

// meant tells whether a value says anything: kubeadm writes the zero values of some fields and leaves out others.
func meant(value string) bool {
	return value != "" && value != "0s" && value != "0" && value != "{}" && value != "[]" && value != "null"
}

// addonOwners are who writes to kube-proxy and CoreDNS in a cluster that nobody edited.
func addonOwners() []string { return []string{"kubeadm", "kube-controller-manager"} }

// editedAddons: kubeadm writes the Deployment of CoreDNS and the DaemonSet of kube-proxy anew; of CoreDNS it keeps the
// number of replicas (cmd/kubeadm/app/phases/addons).
func editedAddons(v *View) (found []finding.Finding) {
	if v.Cluster == nil {
		return nil
	}
	for _, object := range slices.Sorted(maps.Keys(v.Cluster.Addons)) {
		for _, t := range v.Cluster.Addons[object] {
			if fields := lost(t); len(fields) > 0 && !slices.Contains(addonOwners(), t.Manager) {
				found = append(found, finding.Finding{Severity: finding.Warning, Where: object,
					What:     t.Manager + " has changed it: the upgrade would undo these edits",
					Evidence: strings.Join(fields, "\n"),
					Remedy:   "keep the edits for afterwards, or give kubeadm.upgrade a patch (corednsdeployment from 1.31 on)"})
			}
		}
	}
	return found
}

// lost are the fields of a writer that an upgrade overwrites. What rollout restart leaves is a time, and no loss.
func lost(t kube.Track) []string {
	var fields []string
	for _, f := range t.Fields {
		if strings.HasPrefix(f, "spec.") && f != "spec.replicas" && !strings.Contains(f, "restartedAt") && !strings.HasSuffix(f, ".annotations") {
			fields = append(fields, f)
		}
	}
	return fields
}

// dnsMigration: kubeadm carries the Corefile over to the new CoreDNS, and stops at plugins and versions that its
// migration does not know (preflight CoreDNSUnsupportedPlugins and CoreDNSMigration).
func dnsMigration(v *View) []finding.Finding {
	if v.Cluster == nil || v.Cluster.Configs["coredns"]["Corefile"] == "" {
		return nil
	}
	floor, known := v.Knowledge.Floor(v.target())
	running := v.dns()
	if !known || running == "" {
		return nil
	}
	var found []finding.Finding
	for _, trouble := range corefile.Troubles(v.Cluster.Configs["coredns"]["Corefile"], running, floor.CoreDNS) {
		found = append(found, finding.Finding{Severity: finding.Blocker, Where: "ConfigMap coredns", What: trouble,
			Evidence: "CoreDNS " + running + " to " + floor.CoreDNS, Remedy: "edit the Corefile, or let the plan's kubeadm.upgrade ignore CoreDNSUnsupportedPlugins and CoreDNSMigration and migrate it by hand"})
	}
	return found
}
