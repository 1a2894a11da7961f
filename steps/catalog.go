// Package steps is the table of contents of what a plan can do: every kind, in one list that people read. It may import
// engine and every family; nothing below imports it.
package steps

import (
	"slices"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/approval"
	"upgrader.dev/upgrader/steps/cluster"
	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/http"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kubeadm"
	"upgrader.dev/upgrader/steps/node"
	"upgrader.dev/upgrader/steps/packages"
	"upgrader.dev/upgrader/steps/preflight"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/ssh"
	"upgrader.dev/upgrader/steps/survey"
	"upgrader.dev/upgrader/steps/systemd"
	"upgrader.dev/upgrader/steps/wait"
)

// Deps is what kinds reach the world through. The zero value is enough to validate, explain and print schemas: nothing
// is dialled before a step is observed.
type Deps struct {
	Hosts   remote.Hosts
	Cluster *kube.Client
}

// Catalog lists every kind.
func Catalog(d Deps) (*engine.Catalog, error) {
	catalog, err := engine.NewCatalog(slices.Concat(
		cluster.Kinds(d.Cluster),           // cluster.healthy, version.skew
		packages.Kinds(d.Hosts, d.Cluster), // packages.repository, packages.available, packages.install
		kubeadm.Kinds(d.Hosts, d.Cluster),  // kubeadm.plan, kubeadm.upgrade
		node.Kinds(d.Cluster, d.Hosts),     // node.cordon, node.drain, node.ready, node.uncordon
		systemd.Kinds(d.Hosts, d.Cluster),  // systemd.restart
		etcd.Kinds(d.Hosts),                // etcd.healthy, etcd.snapshot
		ssh.Kinds(d.Hosts),                 // ssh.run
		http.Kinds(),                       // http.check
		approval.Kinds(),                   // approval
		wait.Kinds(),                       // wait

		// host.fit, control-plane.fit, api.removed, config.removed, config.erased, node.drainable
		preflight.Kinds(survey.Eyes{Hosts: d.Hosts, Cluster: d.Cluster}),
	)...)
	if err != nil {
		return nil, err
	}
	return catalog.WithChecks(preflight.Checks()...), nil
}
