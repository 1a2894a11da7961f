// Package preflight looks for everything that would stop an upgrade in the middle, before anything is changed: what
// Kubernetes has removed, what kubeadm would erase, what will not drain, hosts and a control plane that are not well. The
// same checks are gates of the plan language and the report of `upgrader preflight`.
//
// A check is a pure function of a View: what is wanted, what was found and what is known. Looking is the work of survey and
// of the families, judging is done here. It may import engine, census, corefile, finding, forecast, knowledge, kube,
// eviction, remote, skew, survey, and the families etcd and packages, whose eyes it borrows; no family imports it.
package preflight

import (
	"slices"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/finding"
)

// A check finds one kind of trouble. Its findings bear its name unless they bring their own, listed in also.
type check struct {
	engine.Check
	area string // the kind of the plan language that makes it
	look func(*View) []finding.Finding
	also []engine.Check
}

// checks is the table of contents: every check, in the order in which an operator would think of them.
func checks() []check {
	return slices.Concat(hostChecks(), controlPlaneChecks(), changeChecks(), drainChecks())
}

// hostChecks are about each host by itself.
func hostChecks() []check {
	return []check{
		{firm("version.skew", "versions that may not run beside each other, or from which the target cannot be reached"), "version.skew", versions, nil},

		{firm("host.reach", "hosts that cannot be asked over SSH"), hostFit, reachable, []engine.Check{
			firm("host.sudo", "hosts on which sudo refuses"), firm("host.identity", "hosts at whose address another machine answers")}},
		{of("host.hangs", "hosts on which a program does not answer"), hostFit, hangs, nil},
		{firm("host.root", "hosts on which commands do not run as root"), hostFit, root, nil},
		{of("host.clock", "clocks more than a second from those of the other hosts"), hostFit, clocks, nil},
		{of("host.disk", "disks without room for packages, images and twice etcd's database"), hostFit, disks, nil},
		{of("host.inodes", "file systems that are out of inodes"), hostFit, inodes, nil},
		{of("host.swap", "swap that keeps the kubelet from starting"), hostFit, swaps, nil},
		{of("host.leftovers", "what earlier upgrades left in /etc/kubernetes/tmp"), hostFit, leftovers, nil},
		{of("host.unattended", "hosts whose packages upgrade by themselves"), hostFit, unattended, nil},
		{of("host.kubelet", "kubelets that do not run"), hostFit, kubeletRuns, nil},
		{of("host.runtime", "container runtimes that do not answer"), hostFit, runtimeAnswers, nil},
		{of("host.manifests", "files that the kubelet takes for static pods"), hostFit, strayManifests, nil},
		{of("host.certificates", "certificates that have ended or soon will"), hostFit, certificates, nil},
		{of("host.images", "images of the target that can be had from nowhere"), hostFit, images, nil},
		{of("floor.runtime", "container runtimes too old for the target"), hostFit, runtimes, nil},
		{of("floor.kernel", "kernels that kubeadm does not accept"), hostFit, kernels, nil},
		{of("floor.cgroup", "control groups of version 1 where the target refuses them"), hostFit, cgroups, nil},

		{of("packages.offered", "revisions that no repository offers"), hostFit, offered, nil},
		{of("packages.dpkg", "packages that dpkg was interrupted with"), hostFit, dpkg, []engine.Check{of("packages.lock", "somebody else who uses apt or dpkg")}},
		{of("packages.installable", "what apt refuses to install"), hostFit, installable, nil},
		{of("packages.held", "held packages that would have to move too"), hostFit, held, nil},
		{of("packages.signature", "package lists whose signing key has expired"), hostFit, signatures, nil},
	}
}

// controlPlaneChecks are about what holds the cluster together.
func controlPlaneChecks() []check {
	return []check{
		{of("api.rights", "rights that the plan needs and the user of the kubeconfig lacks"), controlPlaneFit, rights, nil},
		{of("api.credentials", "tokens and certificates of the kubeconfig that end within the hour"), controlPlaneFit, credentials, nil},
		{of(roleCheck, "hosts whose static pods, node and group of the inventory disagree about what they are"), controlPlaneFit, roles, nil},
		{of("node.ready", "nodes that are not Ready, or short of room"), controlPlaneFit, nodesReady, nil},
		{of("node.daemons", "pods of DaemonSets that are not well on their node"), controlPlaneFit, illDaemons, nil},
		{of("control-plane.pods", "static pods of the control plane that do not run"), controlPlaneFit, staticPods, nil},
		{of("control-plane.api", "API servers that are not ready on their own host"), controlPlaneFit, apiServers, nil},
		{of("control-plane.balancer", "a load balancer that leads nowhere, or not to every API server"), controlPlaneFit, balancer, nil},
		{of("api.webhook", "webhooks that fail closed and that nobody answers for"), controlPlaneFit, silentWebhooks, nil},
		{of("api.unavailable", "parts of the API that no server answers for"), controlPlaneFit, unavailableAPIs, nil},
		{of("control-plane.leader", "controllers that nobody leads"), controlPlaneFit, leaders, nil},
		{firm("etcd.quorum", "members of etcd that are not well, learners and alarms"), controlPlaneFit, quorum, nil},
		{of("etcd.quota", "databases of etcd near their quota"), controlPlaneFit, quota, nil},
		{of("etcd.snapshot", "plans that change etcd and neither take nor find a fresh snapshot"), controlPlaneFit, snapshots, nil},
	}
}

// changeChecks are about what the target changes: what Kubernetes removed, what kubeadm writes anew.
func changeChecks() []check {
	return []check{
		{of("api.requested", "API versions in use that the target removes"), apiRemoved, requestedAPIs, nil},
		{of("api.stored", "objects last written in API versions that the target removes"), apiRemoved, storedAPIs, nil},
		{of("api.volumes", "volumes whose plugin the target removes"), apiRemoved, removedVolumes, nil},
		{of("api.unseen", "API servers that have not run for long enough to know"), apiRemoved, freshServers, nil},

		{of("config.flags", "flags, values and admission plugins that the target refuses"), configRemoved, flags, nil},
		{of("config.gates", "feature gates that the target refuses"), configRemoved, gates, nil},

		{of("config.manifests", "edits of static pods that kubeadm would undo"), configErased, editedManifests, nil},
		{of("config.kubelet", "edits of kubelets' configuration that kubeadm would undo"), configErased, editedKubelets, nil},
		{of("config.addons", "edits of CoreDNS and kube-proxy that kubeadm would undo"), configErased, editedAddons, nil},
		{of("config.corefile", "Corefiles that kubeadm cannot carry over"), configErased, dnsMigration, nil},
	}
}

// drainChecks are about the drains of the plan, in its order.
func drainChecks() []check {
	return []check{
		{of("drain.slow", "drains that may take longer than a quarter of an hour"), nodeDrainable, slowDrains, nil},
		{of("drain.attachment", "volumes that have been stuck for long on their way to a node, or from it"), nodeDrainable, attachments, nil},
		{of("drain.terminating", "pods that should have ended long ago"), nodeDrainable, terminating, nil},
		{engine.Check{Name: eviction.DeleteCheck, Where: eviction.DeletePlaces,
			Doc: "pods that their budgets keep and drains delete in the end: only those that a waiver of it names (where: shop/cart-*)"}, nodeDrainable, deletions, nil},
		{of("drain.bare", "pods without a controller, which do not come back"), nodeDrainable, drains, []engine.Check{
			of("drain.unknown", "hosts of the plan that the cluster has no node for"),
			of("drain.daemonset", "pods of DaemonSets where the plan does not leave them"),
			of("drain.emptydir", "pods that lose what is in their emptyDir volumes"),
			of("drain.local", "pods whose volumes are bound to their node"),
			of("drain.budget", "PodDisruptionBudgets that allow nothing"),
			of("drain.overlap", "pods that two PodDisruptionBudgets select"),
			of("drain.single", "single replicas, which are out of service for a while"),
			of("drain.together", "workloads whose pods all leave together, which no budget prevents"),
			of("drain.webhook", "webhooks that fail closed when their node is drained"),
			of("drain.capacity", "pods that would find no other node"),
		}},
	}
}

// The areas: the kinds of the plan language that make the checks.
const (
	hostFit         = "host.fit"
	controlPlaneFit = "control-plane.fit"
	apiRemoved      = "api.removed"
	configRemoved   = "config.removed"
	configErased    = "config.erased"
	nodeDrainable   = "node.drainable"
)

// of names a check, firm one that nobody can waive.
func of(name, doc string) engine.Check   { return engine.Check{Name: name, Doc: doc} }
func firm(name, doc string) engine.Check { return engine.Check{Name: name, Doc: doc, Firm: true} }

// Checks lists every check for the catalog.
func Checks() []engine.Check {
	var all []engine.Check
	for _, c := range checks() {
		all = append(all, c.Check)
		all = append(all, c.also...)
	}
	return append(all, idleWaiver())
}

// Judge makes the checks of these areas, or all, and returns what they find, waivers applied, in the order for people. Only who makes
// all of them is told of waivers that cover nothing: each gate sees a part of what they are about.
func Judge(v *View, areas ...string) []finding.Finding {
	var all []finding.Finding
	for _, c := range checks() {
		if len(areas) > 0 && !slices.Contains(areas, c.area) {
			continue
		}
		for _, f := range c.look(v) {
			if f.Check == "" {
				f.Check = c.Name
			}
			all = append(all, f)
		}
	}
	printable.Clean(&all, "Evidence") // what a finding quotes may be as long as the file that it is in
	finding.Waive(all, v.Goal.Waivers, isFirm, v.Now)
	if len(areas) == 0 {
		all = append(all, idle(v, all)...)
	}
	finding.Sort(all)
	slices.SortStableFunc(all, rolesFirst)
	return all
}

func isFirm(name string) bool {
	return slices.ContainsFunc(Checks(), func(c engine.Check) bool { return c.Name == name && c.Firm })
}
