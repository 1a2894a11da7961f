package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
)

const readyDoc = `Waits until a node is Ready with the kubelet version wanted.

After a restart or a reboot the condition Ready is stale for up to 40 seconds, so it observes more than that: the
kubelet reports the version, the condition Ready is true and has been for stableFor, the cluster knows the boot that the
host is in, and the kubelet that systemd has running there has renewed the node's lease since it was started, and within
the last 40 seconds. Where systemd does not know the kubelet, it must renew the lease while the step is watching.

A node is Ready without its network or its storage, so it also observes the pods of DaemonSets there, of all namespaces: they
are Ready, and their containers have been running for stableFor. One of which a container was restarted three times since this
run cordoned the node fails the step, named with its last exit, as soon as it is seen down; while it runs it has to prove
itself, for a minute and for twice as long as it lasted before. Pods that were ill already when this run cordoned the
node do not count (preflight tells them); on a node that it did not cordon, those do not that have not been Ready since before
the kubelet was started. As the last step of a host, with stableFor, it watches what came back there before the next host
begins.

It changes nothing. While it waits it names what is missing. It refuses a version that a dry run knows the kubelet will not
have.`

// leaseAge is how long ago a kubelet may have renewed its lease: it does so every 10 s, and the control plane calls
// the node NotReady after 40 s without (kube-controller-manager --node-monitor-grace-period, before 1.32).
const leaseAge = 40 * time.Second

// readyTimeout is for what comes back within minutes: pods whose images are pulled, a network plugin that needs its API.
const readyTimeout = 10 * time.Minute

type ready struct {
	cluster Cluster
	hosts   remote.Hosts

	seen time.Time // the lease when first looked at: one that changes is alive

	Version   string        `yaml:"version" default:"${{ versions.to }}" doc:"kubelet version wanted, such as 1.28.15; empty: any"`
	StableFor time.Duration `yaml:"stableFor" doc:"how long the node must have been Ready without a break, its kubelet running, and the containers of its DaemonSets too"`
}

// Validate checks the values that a plan gives.
func (r *ready) Validate() error {
	if r.StableFor < 0 {
		return fmt.Errorf("stableFor is %s; give a duration such as 30s, or leave it out", r.StableFor)
	}
	return nil
}

// DefaultTimeout leaves what has to be stable its time.
func (r *ready) DefaultTimeout() time.Duration { return readyTimeout + r.StableFor }

// Observe waits for whatever is missing, also for a host that boots and cannot be asked: the step's timeout is its patience.
func (r *ready) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	changes, err := r.look(ctx, s)
	if away, ok := errors.AsType[*engine.TransientError](err); ok {
		return nil, engine.NotYet("%s cannot be judged yet: %v", s.Target.Name, away)
	}
	return changes, err
}

func (r *ready) look(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	wanted := strings.TrimPrefix(r.Version, "v")
	if promised := s.Promised(facts.Kubelet(s.Target.Name)); promised != "" {
		return nil, promisedIs(s.Target.Name, promised, wanted)
	}
	n, err := look(ctx, r.cluster, s)
	if err != nil {
		return nil, err
	}
	switch {
	case wanted != "" && n.KubeletVersion != wanted:
		return nil, engine.NotYet("the kubelet of %s reports %s, not %s yet", n.Name, reported(n), wanted)
	case !n.Ready:
		return nil, engine.NotYet("node %s is %s", n.Name, n.NotReady(s.Now))
	case s.Now.Sub(n.ReadySince) < r.StableFor:
		return nil, engine.NotYet("node %s is Ready, but not for %s yet", n.Name, r.StableFor)
	}
	p, err := r.pulse(ctx, n.Name)
	if err != nil {
		return nil, err
	}
	if p.boot != n.BootID {
		return nil, engine.NotYet("%s has rebooted, and what the cluster says of it is from before: boot %s, not %s", n.Name, n.BootID, p.boot)
	}
	if err := r.alive(ctx, n.Name, p); err != nil {
		return nil, err
	}
	if !p.started.IsZero() && p.ran() < r.StableFor {
		return nil, engine.NotYet("the kubelet of %s runs, but not for %s yet", n.Name, r.StableFor)
	}
	return nil, r.daemons(ctx, s, p)
}

func reported(n kube.Node) string {
	if n.KubeletVersion == "" {
		return "no version"
	}
	return "version " + n.KubeletVersion
}

// promisedIs answers a dry run.
func promisedIs(node, promised, wanted string) error {
	if wanted == "" || promised == wanted {
		return nil
	}
	return engine.Refuse(
		fmt.Sprintf("the kubelet of %s will be %s, and node.ready wants %s", node, promised, wanted),
		"make the package's revision and the plan's version agree")
}

// alive checks that the kubelet works: a kubelet that died when it was restarted looks Ready for as long as the lease of
// the one before is believed.
func (r *ready) alive(ctx context.Context, node string, p pulse) error {
	if p.state != "" && p.state != "active" {
		return engine.NotYet("the kubelet of %s does not run: systemd says %s", node, p.state)
	}
	renewed, err := r.cluster.NodeLease(ctx, node)
	if errors.Is(err, kube.ErrNotFound) || err == nil && renewed.IsZero() {
		return engine.NotYet("the kubelet of %s has no lease in kube-node-lease yet", node)
	}
	if err != nil {
		return err
	}
	if r.seen.IsZero() {
		r.seen = renewed
	}
	switch age := p.now.Sub(renewed); {
	case !renewed.Equal(r.seen):
		return nil
	case p.started.IsZero():
		return engine.NotYet("the next sign of life of the kubelet of %s is waited for: it gives one every 10 seconds", node)
	case renewed.Before(p.started):
		return engine.NotYet("the kubelet of %s has given no sign of life since it was started %s ago", node, kube.Lasting(p.now.Sub(p.started)))
	case age > leaseAge:
		return engine.NotYet("the kubelet of %s last renewed its lease %s ago", node, kube.Lasting(age))
	}
	return nil
}
