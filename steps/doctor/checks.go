package doctor

import (
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/preflight"
	"upgrader.dev/upgrader/steps/survey"
)

// certificatesName is the component of certificates that have ended.
const certificatesName = "certificates"

// checks are blockers that preflight finds without a plan, and that nothing above has named.
func (p *Picture) checks(known []Diagnosis) []Diagnosis {
	v := &preflight.View{Now: p.Now, Etcd: p.Etcd, Knowledge: p.Knowledge}
	for _, h := range p.Hosts {
		v.Hosts = append(v.Hosts, h.Host)
	}
	if p.answers() && p.Cluster.Leaders != nil {
		v.Cluster = &survey.Cluster{At: p.Cluster.At, Leaders: p.Cluster.Leaders}
	}
	var all []Diagnosis
	for _, f := range preflight.Judge(v, "host.fit", "control-plane.fit") {
		if f.Severity != finding.Blocker {
			continue
		}
		if d, ok := p.fromFinding(f, known); ok {
			all = p.gather(all, d)
		}
	}
	return all
}

// fromFinding makes a diagnosis of a finding that is about now, not about an upgrade.
func (p *Picture) fromFinding(f finding.Finding, known []Diagnosis) (Diagnosis, bool) {
	d := Diagnosis{Host: f.Where, State: Unwell, Why: f.What, Next: f.Remedy}
	if f.Evidence != "" {
		d.Log = []string{f.Evidence}
	}
	switch f.Check {
	case "host.root":
		d.Component = "host"
	case "host.inodes":
		d.Component, d.State = "disk", Failing
	case "host.swap":
		d.Component = "swap"
		return d, find(known, f.Where, kubelet) != nil
	case "host.manifests":
		d.Component = "manifests"
	case "host.certificates":
		d.Component, d.State = certificatesName, Failing
		if h := p.at(f.Where); h != nil {
			p.explain(&d, h, clue{knowledge.Certificates, p.ended(h.Certificates)})
			d.Next, d.Log = f.Remedy, []string{f.Evidence} // they name the certificate
		}
	case "control-plane.leader":
		d.Host, d.Component, d.State = engine.Cluster, "leader", Failing
		d.Next = "wait half a minute and look again; if it stays so, see its log in /var/log/pods of each control plane, and `kubectl -n kube-system get leases`"
		return d, !slices.ContainsFunc(known, func(x Diagnosis) bool { return strings.HasPrefix(x.Component, "kube-") })
	case "etcd.quota":
		d.Host, d.Component = engine.Cluster, census.Etcd
	default:
		return d, false
	}
	return d, true
}

// ended is the table of kubeadm certs check-expiration for those certificates that have ended: kubeadm itself makes none
// while the API is away, and knows of no kubelet's.
func (p *Picture) ended(all []survey.Certificate) string {
	var lines []string
	for _, c := range all {
		if c.X509 != nil && c.X509.NotAfter.Before(p.Now) {
			lines = append(lines, c.Path+"   "+c.X509.NotAfter.Format("Jan 02, 2006 15:04 MST")+"   <invalid>       ")
		}
	}
	return joined(lines)
}

// ofComponents are the certificates of a host that its static pods have to do with: those that kubeadm renews.
func ofComponents(h *Host) []survey.Certificate {
	return slices.DeleteFunc(slices.Clone(h.Certificates), func(c survey.Certificate) bool {
		return !strings.HasPrefix(c.Path, "/etc/kubernetes/") || c.Path == "/etc/kubernetes/kubelet.conf"
	})
}

// gather adds a diagnosis; certificates of one host are one.
func (p *Picture) gather(all []Diagnosis, d Diagnosis) []Diagnosis {
	if same := find(all, d.Host, certificatesName); same != nil && d.Component == certificatesName {
		same.Log = append(same.Log, d.Log...)
		return all
	}
	return append(all, d)
}
