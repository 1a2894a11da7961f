package preflight

import (
	"slices"
	"time"

	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/forecast"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/packages"
	"upgrader.dev/upgrader/steps/skew"
	"upgrader.dev/upgrader/steps/survey"
)

// A View is everything that the checks look at: what is wanted, what was found, what is known. Checks read it and never
// change it. What was not asked for is nil, and the checks that need it find nothing.
type View struct {
	Goal        Goal
	Now         time.Time
	Running     skew.Version     // what the cluster runs, by kubeadm-config
	Repository  string           // of images, by kubeadm-config
	Lacks       []kube.Right     // what the user of the kubeconfig may not do of what the goal needs
	Credentials kube.Credentials // of that user
	Cluster     *survey.Cluster
	Hosts       []*survey.Host
	Packages    map[string]*packages.State // by host
	Etcd        *etcd.Report
	Knowledge   *knowledge.Base
	Drains      forecast.Forecast // what the drains of the goal will meet; see foretell
}

// host is the answer of a host by its name, or nil.
func (v *View) host(name string) *survey.Host {
	if i := slices.IndexFunc(v.Hosts, func(h *survey.Host) bool { return h.Name == name }); i >= 0 {
		return v.Hosts[i]
	}
	return nil
}

// answered are the hosts that could be asked.
func (v *View) answered() []*survey.Host {
	var all []*survey.Host
	for _, h := range v.Hosts {
		if h.Err == nil {
			all = append(all, h)
		}
	}
	return all
}

// span is the minor versions that the upgrade goes through: what is removed after the first and up to the last counts.
// Without a target it is empty.
func (v *View) span() (after, upTo knowledge.Minor) {
	upTo = knowledge.Minor(v.Goal.To.Minor())  //nolint:gosec // versions are small numbers
	after = knowledge.Minor(v.Running.Minor()) //nolint:gosec // likewise
	if v.Goal.To.IsZero() {
		return 0, 0
	}
	if v.Running.IsZero() || after >= upTo { // begun or done: what the target lacks still counts
		after = upTo - 1
	}
	return after, upTo
}
