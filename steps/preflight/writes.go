package preflight

import (
	"fmt"
	"maps"
	"slices"

	"upgrader.dev/upgrader/steps/kube"
)

// The namespaces in which an upgrade writes, whatever else the cluster has.
const (
	systemNamespace = "kube-system"
	publicNamespace = "kube-public"
	leaseNamespace  = "kube-node-lease"
)

// writes are what the goal asks of the API, or has others ask: the run itself, kubeadm, the kubelets, and the controllers
// that make pods anew. What the cluster writes beside an upgrade is not among them.
func (v *View) writes() []kube.Write {
	return slices.Concat(v.writesOfDrains(), v.writesOfNodes(), v.writesOfKubeadm())
}

// writesOfNodes: the lock, cordons, and what a kubelet has to tell, or its node is not Ready for long. One that begins creates its
// node, though it is there, and tells nothing before admission lets that through (pkg/kubelet/kubelet_node_status.go,
// tryRegisterWithAPIServer).
func (v *View) writesOfNodes() []kube.Write {
	const leases = "coordination.k8s.io"
	all := append(both(kube.Write{Group: leases, Resource: "leases", Namespace: systemNamespace}),
		kube.Write{Operation: "UPDATE", Group: leases, Resource: "leases", Namespace: leaseNamespace})
	for _, n := range v.Cluster.Census.Nodes {
		if v.Goal.Cordons || !v.Goal.To.IsZero() { // kubeadm notes there where the container runtime listens
			all = append(all, kube.Write{Operation: "UPDATE", Resource: "nodes", Labels: n.Labels})
		}
		if !v.Goal.To.IsZero() {
			all = append(all, kube.Write{Operation: "CREATE", Resource: "nodes", Labels: n.Labels})
		}
		all = append(all, kube.Write{Operation: "UPDATE", Resource: "nodes/status", Labels: n.Labels})
	}
	return all
}

// writesOfDrains: each pod is evicted, its kubelet says that it has ended and takes it out of the API, its controller makes
// another, and the scheduler gives that a node. No webhook can tell pods of one namespace with the same labels apart.
func (v *View) writesOfDrains() (all []kube.Write) {
	pods, seen := map[string]kube.Pod{}, map[string]bool{}
	for _, p := range v.Cluster.Pods {
		pods[p.String()] = p.Pod
	}
	for _, o := range v.Drains.Nodes {
		for _, m := range o.Moves {
			p := pods[m.Pod]
			kin := fmt.Sprint(p.Namespace, p.Labels)
			if seen[kin] {
				continue
			}
			seen[kin] = true
			all = append(all, kube.Write{Operation: "CREATE", Resource: "pods/eviction", Namespace: p.Namespace})
			all = append(all, writesOfPod(p.Namespace, p.Labels)...)
			all = append(all, kube.Write{Operation: "CREATE", Resource: "pods/binding", Namespace: p.Namespace}) // a Binding has no labels
		}
	}
	return all
}

func writesOfPod(namespace string, labels map[string]string) []kube.Write {
	return []kube.Write{
		{Operation: "CREATE", Resource: "pods", Namespace: namespace, Labels: labels},
		{Operation: "UPDATE", Resource: "pods/status", Namespace: namespace, Labels: labels},
		{Operation: "DELETE", Resource: "pods", Namespace: namespace, Labels: labels},
	}
}

// writesOfKubeadm are those of `kubeadm upgrade` (cmd/kubeadm/app/phases/upgrade: PerformPostUpgradeTasks in postupgrade.go,
// createJob in health.go), of the controllers that carry out what it asks for, and of the kubelets, without whose mirror
// pods kubeadm does not see that a static pod was replaced.
func (v *View) writesOfKubeadm() (all []kube.Write) {
	if v.Goal.To.IsZero() {
		return nil
	}
	for _, w := range kubeadmObjects() {
		all = append(all, both(w)...)
	}
	for _, labels := range []map[string]string{nil, dnsLabels(), proxyLabels()} { // of the job that tries the cluster, and of the addons
		all = append(all, writesOfPod(systemNamespace, labels)...)
	}
	for _, host := range slices.Sorted(maps.Keys(v.Cluster.Census.Static)) {
		for _, component := range slices.Sorted(maps.Keys(v.Cluster.Census.Static[host])) {
			all = append(all, writesOfPod(systemNamespace, v.Cluster.Census.Static[host][component].Labels)...)
		}
	}
	return all
}

// kubeadmObjects are what kubeadm writes: it creates what is there already, and updates it when that is refused for this.
// No secret is among them.
func kubeadmObjects() []kube.Write {
	const apps, rbac = "apps", "rbac.authorization.k8s.io"
	return []kube.Write{
		{Resource: "configmaps", Namespace: systemNamespace},
		{Resource: "serviceaccounts", Namespace: systemNamespace},
		{Resource: "services", Namespace: systemNamespace, Labels: dnsLabels()},
		{Group: apps, Resource: "deployments", Namespace: systemNamespace, Labels: dnsLabels()},
		{Group: apps, Resource: "replicasets", Namespace: systemNamespace, Labels: dnsLabels()},
		{Group: apps, Resource: "daemonsets", Namespace: systemNamespace, Labels: proxyLabels()},
		{Group: apps, Resource: "controllerrevisions", Namespace: systemNamespace, Labels: proxyLabels()},
		{Group: "batch", Resource: "jobs", Namespace: systemNamespace},
		{Group: rbac, Resource: "roles", Namespace: systemNamespace},
		{Group: rbac, Resource: "rolebindings", Namespace: systemNamespace},
		{Group: rbac, Resource: "roles", Namespace: publicNamespace},
		{Group: rbac, Resource: "rolebindings", Namespace: publicNamespace},
		{Group: rbac, Resource: "clusterroles"},
		{Group: rbac, Resource: "clusterrolebindings"},
	}
}

// dnsLabels and proxyLabels are what kubeadm labels the addons with (cmd/kubeadm/app/phases/addons).
func dnsLabels() map[string]string   { return map[string]string{"k8s-app": "kube-dns"} }
func proxyLabels() map[string]string { return map[string]string{"k8s-app": "kube-proxy"} }

// both are the creation of an object and its update.
func both(w kube.Write) []kube.Write {
	created, updated := w, w
	created.Operation, updated.Operation = "CREATE", "UPDATE"
	return []kube.Write{created, updated}
}
