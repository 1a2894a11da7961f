// Package cluster has the gates that look at the cluster as a whole through its API: its health, and the versions that
// run in it. It may import engine, kube, skew and census.
package cluster

import (
	"context"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/kube"
)

// Health is what cluster.healthy asks. *kube.Client answers it.
type Health interface {
	Readyz(ctx context.Context) error
	Nodes(ctx context.Context) ([]kube.Node, error)
	Pods(ctx context.Context, f kube.PodFilter) ([]kube.Pod, error)
}

// Cluster is what the kinds of this package ask, all together.
type Cluster interface {
	Health
	census.ConfigSource
}

// Kinds returns cluster.healthy and version.skew of this cluster. Nil suffices to make and validate steps.
func Kinds(c Cluster) []engine.Kind {
	return []engine.Kind{
		{Name: "cluster.healthy", Scope: engine.OnCluster, Doc: healthyDoc, New: func() engine.Step { return &Healthy{cluster: c} }},
		{Name: "version.skew", Scope: engine.OnCluster, Doc: skewDoc, New: func() engine.Step { return &Skew{cluster: c} }},
	}
}
