package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
)

const drainDoc = `Cordons a node and evicts its pods, as kubectl drain does, and waits until their volumes are detached.

It observes the node, its pods, their PodDisruptionBudgets and the volumes attached. It cordons the node with this run's
mark (a node that was cordoned already is drained, but not marked), evicts all pods in parallel through the API, which
holds their PodDisruptionBudgets, and waits: while it does, it names each pod with its budget and the numbers, or how
long it has been terminating. It never deletes a pod instead. It evicts none while nobody leads kube-controller-manager
or kube-scheduler, as in the seconds after a control plane was restarted: nobody would make the pod anew, and services
would go on sending to it. Static pods and those of DaemonSets stay. Pods are known by their UID and node: one that came
back elsewhere under its name is left alone. Before it cordons anything it refuses pods that would lose data or never
come back, all of them at once: with emptyDir volumes (deleteEmptyDir), without a controller (force), of DaemonSets
(ignoreDaemonSets), and those that two PodDisruptionBudgets select. It refuses a node that this run had cordoned and
somebody uncordoned since. When it fails, it uncordons the node if the cordon is its own.`

type drain struct {
	cluster Cluster
	hosts   remote.Hosts
	met     bool            // the host has been asked who it is, since its pods are to go
	found   map[string]bool // UIDs on the node when it was first seen cordoned

	renewals map[string]time.Time // of the leases by which components lead, by component, when last looked at

	IgnoreDaemonSets bool          `yaml:"ignoreDaemonSets" default:"true" doc:"leave pods of DaemonSets where they are; without it they are an error"`
	DeleteEmptyDir   bool          `yaml:"deleteEmptyDir" doc:"evict pods with emptyDir volumes too: what is in these is lost"`
	Force            bool          `yaml:"force" doc:"evict pods without a controller too: they do not come back"`
	GracePeriod      time.Duration `yaml:"gracePeriod" doc:"time for each pod to end, in place of its own"`
	PodSelector      string        `yaml:"podSelector" doc:"evict only the pods that this label selector matches"`
	WaitForVolumes   bool          `yaml:"waitForVolumes" default:"true" doc:"wait until the volumes of the evicted pods are detached from the node"`
}

// Validate checks the values that a plan gives.
func (d *drain) Validate() error {
	if d.GracePeriod < 0 {
		return fmt.Errorf("gracePeriod is %s; give a duration such as 30s, or leave it out for each pod's own", d.GracePeriod)
	}
	if _, err := kube.Selector(d.PodSelector); err != nil {
		return fmt.Errorf("podSelector: %w", err)
	}
	return nil
}

func (d *drain) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	host := s.Target.Name
	if s.Promised(facts.Drained(host)) == "true" {
		return nil, nil
	}
	n, err := look(ctx, d.cluster, s)
	if err != nil {
		return nil, err
	}
	load, err := d.survey(ctx, n)
	if err != nil {
		return nil, err
	}
	if err := load.refused(); err != nil {
		return nil, err
	}
	if changes, err := toCordon(ctx, d.cluster, d.hosts, n, s); err != nil || len(changes) > 0 {
		return changes, err
	}
	if s.Promised(facts.Cordoned(host)) == "true" {
		return d.announce(host, load), nil
	}
	if len(load.evict) > 0 {
		if err := d.meet(ctx, host); err != nil {
			return nil, err
		}
		if err := d.led(ctx, s.Now); err != nil {
			return nil, err
		}
		return d.evictions(n, load.evict), nil
	}
	if waits := load.waits(s.Now); len(waits) > 0 {
		return nil, engine.NotYet("%s", few(waits))
	}
	return nil, d.volumes(ctx, host, load)
}

// meet asks the host who it is, once: a node that was cordoned before is drained too.
func (d *drain) meet(ctx context.Context, host string) error {
	if d.met {
		return nil
	}
	err := meet(ctx, d.hosts, host)
	d.met = err == nil
	return err
}

// Undo takes back the cordon that this very step made; one of node.cordon, of another run or made by hand stays.
func (d *drain) Undo(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	n, err := look(ctx, d.cluster, s)
	if err != nil || !n.Unschedulable || n.Annotations[kube.CordonedBy] != s.Owner() { // all of it: what is shown of it may be shorter
		return nil, err
	}
	return toUncordon(d.cluster, n, s, "uncordon, because the drain failed"), nil
}

// announce is what a dry run says: the pods of this moment, and that there may be others once the drains before have
// moved theirs.
func (d *drain) announce(host string, l *load) []engine.Change {
	n := kube.Node{Name: host}
	if pods := slices.Concat(l.evict, l.blocked); len(pods) > 0 {
		return d.evictions(n, pods)
	}
	unknown := d.eviction(n, kube.Pod{})
	unknown.Of, unknown.If = "", "known after the nodes before it are drained"
	return []engine.Change{unknown}
}

// evictions makes one change for each pod; they have the same words, so that a view can show them as one.
func (d *drain) evictions(n kube.Node, pods []kube.Pod) []engine.Change {
	changes := make([]engine.Change, len(pods))
	for i, p := range pods {
		changes[i] = d.eviction(n, p)
	}
	return changes
}

func (d *drain) eviction(n kube.Node, p kube.Pod) engine.Change {
	seen := "cordoned by hand before"
	if n.CordonedBy() != "" {
		seen = "cordoned by " + n.CordonedBy()
	}
	return engine.Change{
		Say: "evict its pods", Of: p.String(), Repeat: engine.Convergent, Expects: seen,
		Then: engine.Facts{facts.Drained(n.Name): "true"},
		Do:   func(ctx context.Context, _ engine.Ticket) error { return d.evict(ctx, p) },
	}
}
