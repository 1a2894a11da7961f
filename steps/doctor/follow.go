package doctor

import (
	"slices"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
)

// needs are the components of the same host without which one cannot work, the most likely cause first.
func needs(component string) []string {
	switch component {
	case containerd, crio, someRuntime, "host", "disk", certificatesName:
		return nil
	case kubelet:
		return []string{certificatesName, containerd, crio, someRuntime}
	case census.Etcd:
		return []string{certificatesName, containerd, crio, someRuntime, kubelet}
	case census.APIServer:
		return []string{certificatesName, containerd, crio, someRuntime, kubelet, census.Etcd}
	case census.ControllerManager, census.Scheduler:
		return []string{certificatesName, containerd, crio, someRuntime, kubelet, census.APIServer, census.Etcd}
	}
	return []string{containerd, crio, someRuntime, kubelet}
}

// followUp says of each diagnosis whether it only follows from another one.
func followUp(all []Diagnosis) {
	for i := range all {
		d := &all[i]
		cause := causeOf(all, *d)
		if cause == nil || d.Why == manifestGone || !d.like(cause) {
			continue
		}
		d.After = cause.Component + " on " + cause.Host
		d.Next = "cure " + d.After + " first, then look again"
	}
}

// like tells whether nothing is known of it that is not known of its cause.
func (d *Diagnosis) like(cause *Diagnosis) bool {
	return d.Known == nil || cause.Known != nil && cause.Known.ID == d.Known.ID
}

func causeOf(all []Diagnosis, d Diagnosis) *Diagnosis {
	for _, name := range needs(d.Component) {
		if cause := find(all, d.Host, name); cause != nil && cause.State != Unwell && (name != certificatesName || d.Known != nil && d.like(cause)) {
			return cause
		}
	}
	if d.Component == census.APIServer { // of a quorum that is lost, members elsewhere are the cause
		i := slices.IndexFunc(all, func(x Diagnosis) bool { return x.Component == census.Etcd && x.Host != d.Host && x.State != Unwell })
		if i >= 0 && slices.ContainsFunc(all, func(x Diagnosis) bool { return x.Host == engine.Cluster && x.Component == census.Etcd }) {
			return &all[i]
		}
	}
	return nil
}
