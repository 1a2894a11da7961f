package node

import (
	"context"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
)

const cordonDoc = `Cordons a node, so that no new pods are placed on it.

It observes whether the node is unschedulable. It sets that and the annotation upgrader.dev/cordoned-by=RUN/STEP in one
conditional patch. A node that somebody else had cordoned stays as it is and is not marked, so node.uncordon leaves it
cordoned. It refuses a node that this run had cordoned and somebody uncordoned since.`

type cordon struct {
	cluster Cluster
	hosts   remote.Hosts
}

func (c *cordon) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	n, err := look(ctx, c.cluster, s)
	if err != nil {
		return nil, err
	}
	return toCordon(ctx, c.cluster, c.hosts, n, s)
}

const uncordonDoc = `Uncordons a node that this run cordoned, so that pods are placed on it again.

It observes whether the node carries this run's mark, the annotation upgrader.dev/cordoned-by=RUN/STEP, and takes away
the mark and the cordon in one conditional patch. A node that was cordoned by somebody else, by hand or by another run,
stays cordoned: that is not this run's to undo (the record of node.drain says by whom it was). A node that is not
cordoned needs nothing but to lose the mark, if somebody else uncordoned it meanwhile.`

type uncordon struct {
	cluster Cluster
}

func (u *uncordon) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	n, err := look(ctx, u.cluster, s)
	if err != nil {
		return nil, err
	}
	switch s.Promised(facts.Cordoned(n.Name)) {
	case "false":
		return nil, nil
	case "true":
		n.Unschedulable, n.Annotations = true, map[string]string{kube.CordonedBy: s.Owner()} // a dry run: only promised
	}
	switch {
	case !ours(n, s):
		return nil, nil
	case n.UncordonedSince(s.Run):
		return toUncordon(u.cluster, n, s, "take the mark off the node, which somebody else uncordoned"), nil
	}
	return toUncordon(u.cluster, n, s, "uncordon"), nil
}
