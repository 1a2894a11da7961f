// Package node is the family of kinds that take a node out of service and put it back: node.cordon, node.drain,
// node.ready and node.uncordon. They keep a ledger on the node itself, the annotation upgrader.dev/cordoned-by, so that
// a cordon made by somebody else is neither taken over nor undone. It may import engine, steps/census, steps/eviction,
// steps/facts, steps/finding, steps/kube and steps/remote.
package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
)

// Nodes is the part of a cluster's client that looks at nodes.
type Nodes interface {
	Node(ctx context.Context, name string) (kube.Node, error)
	NodeLease(ctx context.Context, node string) (time.Time, error)
}

// Cordons is the part that makes nodes schedulable or not; owner is the mark of a run and step (engine.Scene.Owner).
type Cordons interface {
	Cordon(ctx context.Context, node, owner string) error
	Uncordon(ctx context.Context, node, owner string) error
}

// Pods is the part that moves pods.
type Pods interface {
	Pods(ctx context.Context, f kube.PodFilter) ([]kube.Pod, error)
	Budgets(ctx context.Context, namespace string) ([]kube.Budget, error)
	EvictWithin(ctx context.Context, p kube.Pod, grace time.Duration) error
	DeleteWithin(ctx context.Context, p kube.Pod, grace time.Duration) error
}

// Leaders is the part that knows who leads the components of the control plane of which one instance works at a time.
type Leaders interface {
	Leader(ctx context.Context, component string) (kube.Leader, error)
}

// Volumes is the part that knows where persistent volumes are attached.
type Volumes interface {
	Attachments(ctx context.Context, node string) ([]kube.Attachment, error)
	VolumesOf(ctx context.Context, p kube.Pod) ([]string, error)
}

// Cluster is what this family needs of a cluster. *kube.Client is one.
type Cluster interface {
	Nodes
	Cordons
	Pods
	Leaders
	Volumes
	Daemons
}

// Kinds lists the kinds of this family. Both may be nil where nothing is observed: to validate and to explain.
func Kinds(c Cluster, hosts remote.Hosts) []engine.Kind {
	return []engine.Kind{
		{Name: "node.cordon", Doc: cordonDoc, Scope: engine.OnHost, New: func() engine.Step { return &cordon{cluster: c, hosts: hosts} }},
		{Name: "node.drain", Doc: drainDoc, Scope: engine.OnHost, New: func() engine.Step { return &drain{cluster: c, hosts: hosts} }},
		{Name: "node.ready", Doc: readyDoc, Scope: engine.OnHost, New: func() engine.Step { return &ready{cluster: c, hosts: hosts} }},
		{Name: "node.uncordon", Doc: uncordonDoc, Scope: engine.OnHost, New: func() engine.Step { return &uncordon{cluster: c} }},
	}
}

// look reads the target's node.
func look(ctx context.Context, c Nodes, s engine.Scene) (kube.Node, error) {
	n, err := c.Node(ctx, s.Target.Name)
	if errors.Is(err, kube.ErrNotFound) {
		return n, census.Missing(s)
	}
	return n, err
}

// ours says whether a node's mark was made by this run.
func ours(n kube.Node, s engine.Scene) bool {
	return n.CordonedBy() != "" && kube.RunOf(n.CordonedBy()) == s.Run
}

// A cordoner cordons a node, and sees what is on it before.
type cordoner interface {
	Cordons
	Daemons
}

// toCordon returns the change that cordons a node, none if it is cordoned already, by whomever. A node that this run
// cordoned and somebody else uncordoned stops the step: whoever did that wants pods on it.
func toCordon(ctx context.Context, c cordoner, hosts remote.Hosts, n kube.Node, s engine.Scene) ([]engine.Change, error) {
	switch {
	case n.Unschedulable || s.Promised(facts.Cordoned(n.Name)) == "true":
		return nil, nil
	case n.UncordonedSince(s.Run):
		return nil, engine.Refuse(
			fmt.Sprintf("node %s was uncordoned by somebody else after this run had cordoned it (its annotation %s is still %s)", n.Name, kube.CordonedBy, n.CordonedBy()),
			fmt.Sprintf("find out who wants pods on it; to let this run cordon it again: `kubectl annotate node %s %s-`, then `upgrader resume %s`", n.Name, kube.CordonedBy, s.Run))
	}
	if err := meet(ctx, hosts, s.Target.Name); err != nil {
		return nil, err
	}
	return []engine.Change{{
		Say:     "cordon",
		Then:    engine.Facts{facts.Cordoned(n.Name): "true"},
		Tried:   engine.Facts{facts.CordonedAt(n.Name): s.Now.UTC().Format(time.RFC3339Nano)},
		Repeat:  engine.Convergent,
		Expects: "schedulable",
		Do: func(ctx context.Context, t engine.Ticket) error {
			if err := note(ctx, c, s, n.Name, t.Learn); err != nil {
				return err
			}
			return c.Cordon(ctx, n.Name, s.Owner())
		},
	}}, nil
}

// toUncordon returns the change that uncordons a node.
func toUncordon(c Cordons, n kube.Node, s engine.Scene, say string) []engine.Change {
	return []engine.Change{{
		Say:     say,
		Then:    engine.Facts{facts.Cordoned(n.Name): "false"},
		Repeat:  engine.Convergent,
		Expects: "cordoned by " + n.CordonedBy(),
		Do: func(ctx context.Context, _ engine.Ticket) error {
			return c.Uncordon(ctx, n.Name, s.Owner())
		},
	}}
}

// Disrupts marks the kind: a drained node is out of service.
func (*drain) Disrupts() {}
