// Package etcd has the kinds that look after the cluster's datastore: a gate on its health and a verified snapshot.
// Both work on a host of the control plane, with the etcdctl found there and the certificates that kubeadm made. It may
// import engine, facts, inquiry and remote.
package etcd

import (
	_ "embed"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/remote"
)

// Kinds returns etcd.healthy and etcd.snapshot on these hosts. Nil hosts suffice to make and validate steps.
func Kinds(hosts remote.Hosts) []engine.Kind {
	return []engine.Kind{
		{Name: "etcd.healthy", Scope: engine.OnHost, Doc: healthyDoc, New: func() engine.Step { return &Healthy{hosts: hosts} }},
		{Name: "etcd.snapshot", Scope: engine.OnHost, Doc: snapshotDoc, New: func() engine.Step { return &Snapshot{hosts: hosts} }},
	}
}

// The scripts, each after clientScript where it speaks to etcd, which comes after that of inquiry.
var (
	//go:embed client.sh
	clientScript string
	//go:embed health.sh
	healthScript string
	//go:embed look.sh
	lookScript string
	//go:embed save.sh
	saveScript string
)

// notAControlPlane refuses a host from which etcd cannot be reached.
func notAControlPlane(host string) error {
	return engine.Refuse(host+" runs neither etcd nor an API server, so it cannot reach etcd",
		"give the step hosts of the control plane, such as `hosts: control-plane[0]`")
}
