package skew

import "strings"

// remedies are what a person can do about a violation, by its rule. HOST stands for the host that it is about.
var remedies = map[string]string{
	"apiserver-unknown": "see why the API shows no API server with `kubectl -n kube-system get pods -l component=kube-apiserver -o wide`, and mend that",
	"version-unknown":   "find out what runs there with `kubectl get nodes` and `kubectl -n kube-system get pods -o wide`, and bring it to an image or a package that names its version",
	"from":              "run the runbook for the minor before, or one whose versions.from allows it",
	"kubeadm-config":    "run the runbook for the minor before, or one whose versions.from allows it",
	"target-too-far":    "run the runbook for the minor before, then this one",
	"target-prerelease": "choose a release for versions.to",
	"downgrade":         "choose a newer versions.to",

	"apiserver-skew":        "run kubeadm.upgrade on HOST first, until its API server is no more than one minor behind",
	"control-plane-too-new": "finish kubeadm.upgrade on HOST first: it brings the API server there to the same version",
	"control-plane-too-old": "run kubeadm.upgrade on HOST first: it brings the whole control plane there to one version",

	"kubelet-too-new":             "upgrade the control plane first, or install the older package of kubelet on HOST",
	"kubelet-too-old":             "upgrade the kubelet on HOST first: `kubectl drain HOST`, install its package, restart it",
	"kubelet-too-old-for-target":  "upgrade the kubelet on HOST before the control plane: `kubectl drain HOST`, install its package, restart it",
	"kubelet-too-old-for-kubeadm": "upgrade the kubelet on HOST before the control plane: `kubectl drain HOST`, install its package, restart it",

	"kube-proxy-too-new":            "upgrade the control plane first, or set the image of kube-proxy back with `kubectl -n kube-system set image daemonset/kube-proxy`",
	"kube-proxy-too-old":            "bring kube-proxy to the control plane's version first with `kubectl -n kube-system set image daemonset/kube-proxy`",
	"kube-proxy-too-old-for-target": "bring kube-proxy to the control plane's present version first with `kubectl -n kube-system set image daemonset/kube-proxy`",
	"kube-proxy-beside-kubelet":     "bring kube-proxy and the kubelet on HOST to the control plane's version first",

	"kubectl-skew":    "install the package of kubectl of the control plane's minor version on HOST; nothing but answers to people depends on it",
	"kubeadm-too-new": "install the package of kubeadm of that minor version on HOST; packages.install does not go back, `apt-get install --allow-downgrades` does",

	"etcd-skew":         "upgrade the older members of etcd first, one minor version at a time",
	"etcd-too-far":      "upgrade etcd on HOST by one minor version first: run the runbook for the minor before, or move external etcd by etcd's own guide",
	"etcd-too-old":      "bring every member of etcd to that version first: by etcd.local.imageTag in kubeadm-config and kubeadm.upgrade to the present version, or external etcd by etcd's own guide",
	"coredns-too-new":   "set the image of the Deployment kube-system/coredns back, or migrate its Corefile by hand and let kubeadm pass with ignorePreflightErrors: [CoreDNSMigration, CoreDNSUnsupportedPlugins]",
	"coredns-not-known": "set the image of the Deployment kube-system/coredns to a version that kubeadm knows, or migrate its Corefile by hand and let kubeadm pass with ignorePreflightErrors: [CoreDNSMigration, CoreDNSUnsupportedPlugins]",
}

// Remedy is what a person can do about the violation, in the imperative. It is empty only for a rule that no Check has.
func (v Violation) Remedy() string {
	_, host, found := strings.Cut(v.Where, " on ")
	if !found {
		host = "that host"
	}
	return strings.ReplaceAll(remedies[v.Rule], "HOST", host)
}
