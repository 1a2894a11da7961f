package preflight

import (
	"fmt"
	"path"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/survey"
)

// renewBefore is how long before its end a certificate is spoken of: kubeadm's own advice is to upgrade at least once a
// year, and a month leaves time to act.
const renewBefore = 30 * 24 * time.Hour

// certificates: none has ended, none will soon. kubeadm renews those of the static pods and of its kubeconfigs while it
// upgrades them, the kubelet its own; an authority nobody renews.
func certificates(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		for _, c := range h.Certificates {
			if f, ok := v.certificate(c); ok {
				f.Where = h.Name
				found = append(found, f)
			}
		}
	}
	return found
}

func (v *View) certificate(c survey.Certificate) (finding.Finding, bool) {
	f := finding.Finding{Severity: finding.Blocker, Remedy: renewal(c.Path)}
	if c.Err != nil {
		f.What, f.Evidence = "the certificate in "+c.Path+" cannot be read", c.Err.Error()
		return f, true
	}
	left := c.X509.NotAfter.Sub(v.Now)
	f.Evidence = fmt.Sprintf("%s: %s, valid from %s to %s", c.Path, c.X509.Subject, c.X509.NotBefore.Format(time.DateTime), c.X509.NotAfter.Format(time.DateTime))
	switch {
	case c.Path == servingKubelet: // signed by itself, trusted by nobody, never renewed: the API server does not look at it
		f.Severity, f.What = finding.Note, "the kubelet's own serving certificate has ended"
		return f, left < 0
	case left < 0:
		f.What = fmt.Sprintf("the certificate in %s has ended %s ago", c.Path, days(-left))
	case v.Now.Before(c.X509.NotBefore):
		f.What, f.Remedy = "the certificate in "+c.Path+" is not valid yet", "see whether the clock of the host is right"
	case left < renewBefore:
		f.Severity, f.What = finding.Warning, fmt.Sprintf("the certificate in %s ends in %s", c.Path, days(left))
	default:
		return f, false
	}
	return f, true
}

// servingKubelet is what a kubelet serves with that was not told to ask the cluster for a certificate.
const servingKubelet = "/var/lib/kubelet/pki/kubelet.crt"

func days(d time.Duration) string {
	switch {
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// renewal is how a certificate is made anew (kubeadm certs renew, cmd/kubeadm/app/phases/certs/renewal).
func renewal(file string) string {
	name := strings.TrimSuffix(path.Base(file), path.Ext(file))
	names := map[string]string{
		"/etc/kubernetes/pki/apiserver.crt": "apiserver", "/etc/kubernetes/pki/apiserver-etcd-client.crt": "apiserver-etcd-client",
		"/etc/kubernetes/pki/apiserver-kubelet-client.crt": "apiserver-kubelet-client", "/etc/kubernetes/pki/front-proxy-client.crt": "front-proxy-client",
		"/etc/kubernetes/pki/etcd/server.crt": "etcd-server", "/etc/kubernetes/pki/etcd/peer.crt": "etcd-peer",
		"/etc/kubernetes/pki/etcd/healthcheck-client.crt": "etcd-healthcheck-client", "/etc/kubernetes/admin.conf": "admin.conf",
		"/etc/kubernetes/super-admin.conf": "super-admin.conf", "/etc/kubernetes/controller-manager.conf": "controller-manager.conf", "/etc/kubernetes/scheduler.conf": "scheduler.conf",
	}
	switch {
	case names[file] != "":
		return "run `kubeadm certs renew " + names[file] + "` there, then restart the static pod that uses it; where kubeadm has no ca.key, have it signed by hand"
	case strings.HasSuffix(name, "ca"):
		return "an authority is not renewed by kubeadm: follow kubernetes.io, manual rotation of CA certificates, before the upgrade"
	}
	return "see why the kubelet did not renew it (`journalctl -u kubelet`); a new one comes with kubelet.conf from `kubeadm kubeconfig user --org system:nodes --client-name system:node:NAME` and a restart"
}
