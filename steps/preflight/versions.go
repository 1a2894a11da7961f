package preflight

import (
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/skew"
)

// versions holds everything that runs, and the tools on every host, against Kubernetes' version skew policy.
func versions(v *View) (found []finding.Finding) {
	if v.Cluster == nil || v.Goal.To.IsZero() {
		return nil
	}
	o := v.Cluster.Census.Observed()
	o.Target, o.From = v.Goal.To, v.Goal.From
	o.Kubectls, o.Kubeadms = map[string]skew.Version{}, map[string]skew.Version{}
	for _, h := range v.answered() {
		installed(o.Kubectls, h.Name, h.Kubectl)
		installed(o.Kubeadms, h.Name, h.Kubeadm)
	}
	if err := v.Cluster.Census.Towards(&o); err != nil {
		return []finding.Finding{{Severity: finding.Blocker, Where: "upgrader", What: err.Error(), Remedy: "report it: the program's own data are damaged"}}
	}
	v.members(o.Etcds)
	for _, x := range v.Cluster.Census.Blocking(o) {
		found = append(found, violated(x, finding.Blocker))
	}
	for _, x := range skew.Check(o) {
		if x.Advice() {
			found = append(found, violated(x, finding.Warning))
		}
	}
	return found
}

// members notes the versions that the members of etcd tell of themselves: tags of images may say anything.
func (v *View) members(etcds map[string]skew.EtcdVersion) {
	if v.Etcd == nil {
		return
	}
	for _, m := range v.Etcd.Members() {
		if version, err := skew.ParseEtcd(m.Version); err == nil {
			etcds[m.Name] = version
		}
	}
}

func violated(x skew.Violation, s finding.Severity) finding.Finding {
	return finding.Finding{Severity: s, Where: x.Where, What: "it is " + x.Have + ", wanted is " + x.Want, Evidence: x.Rule, Remedy: x.Remedy()}
}

// installed notes the version of a tool, where it is there and tells one.
func installed(on map[string]skew.Version, host, version string) {
	if parsed, err := skew.Parse(version); err == nil {
		on[host] = parsed
	}
}
