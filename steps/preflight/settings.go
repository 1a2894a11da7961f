package preflight

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine/document"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/skew"
	"upgrader.dev/upgrader/steps/survey"
)

// A setting is one flag or gate of a component, and where it stands.
type setting struct {
	component   string
	name, value string
	where       string // a host, or a ConfigMap
	file, line  string
	after       knowledge.Minor // what runs there now: what was removed before has been survived
}

// flags: no component is started with a flag, a value or an admission plugin that it does not know any more.
func flags(v *View) (found []finding.Finding) {
	_, upTo := v.span()
	for _, s := range v.settings() {
		r, bad := v.refused(s, upTo)
		if !bad || r.DroppedFrom == s.file && r.In == upTo && v.Goal.Host(s.where).Kubeadm {
			continue
		}
		found = append(found, finding.Finding{Severity: finding.Blocker, Where: s.where,
			What:     fmt.Sprintf("%s %s does not start with --%s: %s", s.component, upTo, s.name, r.What),
			Evidence: s.file + ": " + s.shown(), Remedy: remedy(r, s)})
	}
	return found
}

// shown is the flag as it stands there, without the rest of its line.
func (s setting) shown() string {
	if !strings.Contains(s.line, "--") {
		return s.line
	}
	return strings.TrimSuffix("--"+s.name+"="+s.value, "=")
}

func (v *View) refused(s setting, upTo knowledge.Minor) (knowledge.Removal, bool) {
	if r, bad := v.Knowledge.FlagRemoved(s.component, s.name, s.after, upTo); bad {
		return r, true
	}
	if strings.HasSuffix(s.name, "-admission-plugins") {
		for plugin := range strings.SplitSeq(s.value, ",") {
			if r, bad := v.Knowledge.PluginRemoved(plugin, s.after, upTo); bad {
				r.What = "the admission plugin " + plugin + " is " + r.What
				return r, true
			}
		}
	}
	return v.Knowledge.ValueRefused(s.component, s.name, s.value, s.after, upTo)
}

func remedy(r knowledge.Removal, s setting) string {
	if r.Remedy != "" {
		return r.Remedy
	}
	if strings.HasPrefix(s.file, manifests) {
		return "take it out of kubeadm-config (extraArgs), from which kubeadm writes the manifest"
	}
	return "take it out of " + s.file
}

// gates: no component is given a feature gate that it does not know any more, or that is locked to the other value.
func gates(v *View) (found []finding.Finding) {
	_, upTo := v.span()
	for _, s := range append(v.gatesInFlags(), v.gatesInConfigs()...) {
		r, bad := v.Knowledge.GateProblem(s.name, s.value == "true", s.after, upTo)
		if !bad {
			continue
		}
		found = append(found, finding.Finding{Severity: finding.Blocker, Where: s.where,
			What:     fmt.Sprintf("%s %s does not start with the feature gate %s=%s: it is %s", s.component, upTo, s.name, s.value, r.What),
			Evidence: s.file + ": " + s.line, Remedy: "take the gate out of " + s.file})
	}
	return found
}

// settings are all flags of all components, on hosts and in kubeadm's configuration.
func (v *View) settings() []setting {
	var all []setting
	for _, h := range v.answered() {
		for _, file := range slices.Sorted(maps.Keys(h.Files)) {
			component := componentOf(file)
			if component == "" {
				continue
			}
			after := v.after(component, h)
			for _, f := range flagsIn(h.Files[file]) {
				all = append(all, setting{component, f.name, f.value, h.Name, file, f.line, after})
			}
		}
	}
	return append(all, v.configured()...)
}

// componentOf tells whose flags a file holds.
func componentOf(file string) string {
	if name, ok := strings.CutPrefix(file, manifests); ok {
		name = strings.TrimSuffix(name, ".yaml")
		if slices.Contains(append(census.ControlPlane(), census.Etcd), name) {
			return name
		}
		return ""
	}
	if file == kubeletConfigFile || strings.HasSuffix(file, "instance-config.yaml") || strings.HasSuffix(file, ".toml") {
		return ""
	}
	return "kubelet"
}

// after is the minor version that a component has on a host: kubelets may be older than the cluster.
func (v *View) after(component string, h *survey.Host) knowledge.Minor {
	after, _ := v.span()
	if component != "kubelet" {
		return after
	}
	if running, err := skew.Parse(h.Kubelet); err == nil {
		after = min(after, knowledge.Minor(running.Minor())) //nolint:gosec // versions are small numbers
	}
	return after
}

// configured are the flags in kubeadm-config: they come back with every upgrade.
func (v *View) configured() []setting {
	if v.Cluster == nil {
		return nil
	}
	text := v.Cluster.Configs["kubeadm-config"]["ClusterConfiguration"]
	after, _ := v.span()
	var all []setting
	for _, part := range []struct {
		component string
		keys      []string
	}{
		{census.APIServer, []string{"apiServer"}}, {census.ControllerManager, []string{"controllerManager"}},
		{census.Scheduler, []string{"scheduler"}}, {census.Etcd, []string{"etcd", "local"}},
	} {
		for _, f := range extraArgs(text, part.keys...) {
			all = append(all, setting{part.component, f.name, f.value, "ConfigMap kubeadm-config", "kubeadm-config", f.line, after})
		}
	}
	return all
}

func (v *View) gatesInFlags() []setting {
	var all []setting
	for _, s := range v.settings() {
		if s.name != "feature-gates" || s.component == census.Etcd { // etcd has gates of its own
			continue
		}
		for gate := range strings.SplitSeq(s.value, ",") {
			name, value, _ := strings.Cut(gate, "=")
			one := s
			one.name, one.value = strings.TrimSpace(name), strings.TrimSpace(value)
			all = append(all, one)
		}
	}
	return all
}

// gatesInConfigs are those in the configuration files of kubelets and in the ConfigMaps of kubelet and kube-proxy.
func (v *View) gatesInConfigs() []setting {
	after, _ := v.span()
	var all []setting
	for _, h := range v.answered() {
		all = append(all, gatesOf(h.Files[kubeletConfigFile], setting{component: "kubelet", where: h.Name, file: kubeletConfigFile, after: v.after("kubelet", h)})...)
	}
	if v.Cluster == nil {
		return all
	}
	all = append(all, gatesOf(v.Cluster.Configs["kubelet-config"]["kubelet"], setting{component: "kubelet", where: "ConfigMap kubelet-config", file: "kubelet-config", after: after})...)
	return append(all, gatesOf(v.Cluster.Configs["kube-proxy"]["config.conf"], setting{component: "kube-proxy", where: "ConfigMap kube-proxy", file: "config.conf", after: after})...)
}

func gatesOf(text string, s setting) []setting {
	gates := member(tree(text), "featureGates")
	if gates == nil || gates.Kind != document.Map {
		return nil
	}
	var all []setting
	for _, m := range gates.Members {
		s.name, s.value, s.line = m.Key, m.Value.Text, "featureGates."+m.Key+": "+m.Value.Text
		all = append(all, s)
	}
	return all
}
