//go:build e2e

package e2e

import (
	"slices"
	"strings"
)

// upgraded requires that the whole cluster is at the version that it was upgraded to and serves, that nothing is left
// over, and that nothing was done twice. cordoned names the nodes that somebody else had cordoned: they still are.
func (l *lab) upgraded(cordoned ...string) {
	l.t.Helper()
	for name, n := range l.nodes() {
		l.serves(name, n, slices.Contains(cordoned, name))
	}
	for _, host := range l.hosts {
		l.tidy(host)
		l.once(host)
	}
	if got := l.kubectl("version", "-o", "yaml"); strings.Count(got, "gitVersion: v"+to) == 0 {
		l.t.Errorf("the API is not at %s:\n%s", to, got)
	}
	l.kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=180s")
	l.kubectl("-n", "kube-system", "rollout", "status", "daemonset/kube-proxy", "--timeout=180s")
}

func (l *lab) serves(name string, n node, cordoned bool) {
	l.t.Helper()
	if v := n.Status.NodeInfo.KubeletVersion; v != "v"+to || !n.ready() {
		l.t.Errorf("%s: kubelet %s, ready %v; want v%s and ready", name, v, n.ready(), to)
	}
	if n.Spec.Unschedulable != cordoned || n.mark() != "" {
		l.t.Errorf("%s: cordoned %v, want %v; mark %q", name, n.Spec.Unschedulable, cordoned, n.mark())
	}
}

// tidy requires that the host's packages are what they should be, and held as they were.
func (l *lab) tidy(host string) {
	l.t.Helper()
	want := "kubeadm " + to + "-1.1 hi |kubectl " + to + "-1.1 hi |kubelet " + to + "-1.1 hi |"
	got := l.sh(host, `dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}|' kubeadm kubectl kubelet; dpkg --audit`)
	if got != want {
		l.t.Errorf("%s has %q, want %q", host, got, want)
	}
	if locks := l.sh(host, `ps -eo args | grep -E '^(apt-get|dpkg|kubeadm) ' || :`); locks != "" {
		l.t.Errorf("%s still runs %s", host, locks)
	}
}

// once requires that no package was upgraded twice and kubeadm upgraded the host's control plane once, by their own
// records: dpkg's log, and the backup of the manifests that kubeadm takes each time it changes them
// (cmd/kubeadm/app/phases/upgrade/staticpods.go).
func (l *lab) once(host string) {
	l.t.Helper()
	if l.cutDown[host] {
		return // a package whose installation was cut by a lost host is rightly installed again
	}
	for _, p := range []string{"kubeadm", "kubectl", "kubelet"} {
		if n := strings.TrimSpace(l.sh(host, `grep -c " upgrade $1:" /var/log/dpkg.log`, p)); n != "1" {
			l.t.Errorf("%s upgraded %s %s times", host, p, n)
		}
	}
	if !strings.HasPrefix(host, "cp") {
		return
	}
	if n := strings.TrimSpace(l.sh(host, `ls -d /etc/kubernetes/tmp/kubeadm-backup-manifests-* | wc -l`)); n != "1" {
		l.t.Errorf("kubeadm changed the manifests of %s %s times", host, n)
	}
}

// untouched requires that nothing at all has been taken out of service or upgraded.
func (l *lab) untouched() {
	l.t.Helper()
	for name, n := range l.nodes() {
		if n.Spec.Unschedulable || n.mark() != "" || !n.ready() || n.Status.NodeInfo.KubeletVersion != "v"+from {
			l.t.Errorf("%s: cordoned %v, mark %q, ready %v, kubelet %s", name, n.Spec.Unschedulable, n.mark(), n.ready(), n.Status.NodeInfo.KubeletVersion)
		}
		if log := l.sh(name, `grep " upgrade " /var/log/dpkg.log || :`); log != "" {
			l.t.Errorf("%s upgraded packages: %s", name, log)
		}
	}
}
