package node

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
)

const drainDoc = `Cordons a node and evicts its pods, as kubectl drain does, and waits until their volumes are detached.

It observes the node, its pods, their PodDisruptionBudgets and the volumes attached. It cordons the node with this run's
mark (a node that was cordoned already is drained, but not marked), evicts all pods in parallel through the API, which
holds their PodDisruptionBudgets, and waits: while it does, it names each pod with its budget and the numbers, or how
long it has been terminating and what holds it. A pod whose budget allows nothing, or that admission does not let go, is
asked for again every 5 to 30 seconds: some controllers move a pod only when they see the request. It deletes no pod
instead, unless the plan says so: in the second half of its timeout, pods that a waiver of drain.delete names (where:
shop/cart-*, a pod or its controller) and that their budget still refuses are deleted, one after the other, with the
grace they have. It evicts none while nobody leads kube-controller-manager or kube-scheduler, as in the seconds after a
control plane was restarted: nobody would make the pod anew, and services would go on sending to it. Static pods and
those of DaemonSets stay, and so do those that come back in spite of the cordon, after two evictions at most. Pods are
known by their UID and node: one that came back elsewhere under its name is left alone. Before it cordons anything it
refuses pods that would lose data or never come back, all of them at once: with emptyDir volumes (deleteEmptyDir),
without a controller (force), of DaemonSets (ignoreDaemonSets), and those that two PodDisruptionBudgets select. It
refuses a node that this run had cordoned and somebody uncordoned since. When it fails, it uncordons the node if the
cordon is its own.`

type drain struct {
	cluster Cluster
	hosts   remote.Hosts
	met     bool // the host has been asked who it is, since its pods are to go

	guests   map[string]guest     // pods of the cordoned node, by UID, as they were first seen; nil: not looked yet
	asked    map[string]asking    // pods that were asked for, by UID
	answers  answers              // other than a budget's, to these
	sent     map[string]stay      // evictions that were asked for, by owner
	leaving  map[string]bool      // pods that were seen on their way out, by UID, and their volumes
	renewals map[string]time.Time // of the leases by which components lead, by component, when last looked at

	eviction.Settings `yaml:",inline"`
	WaitForVolumes    bool `yaml:"waitForVolumes" default:"true" doc:"wait until the volumes of the evicted pods are detached from the node"`
}

// Drains are the settings that the plan gives. For who asks what a plan wants.
func (d *drain) Drains() eviction.Settings { return d.Settings }

func (d *drain) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	host := s.Target.Name
	if s.Promised(facts.Drained(host)) == "true" {
		return nil, nil
	}
	n, err := look(ctx, d.cluster, s)
	if err != nil {
		return nil, err
	}
	load, err := d.survey(ctx, s, n)
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
		return d.announce(s, load), nil
	}
	return d.empty(ctx, s, n, load)
}

// empty evicts what is left on a cordoned node, or waits for what is on its way.
func (d *drain) empty(ctx context.Context, s engine.Scene, n kube.Node, l *load) ([]engine.Change, error) {
	deletions, err := d.deletions(ctx, s, n, l)
	if err != nil {
		return nil, err
	}
	if len(l.evict)+len(l.returned)+len(deletions) > 0 {
		if err := d.meet(ctx, n.Name); err != nil {
			return nil, err
		}
		if err := d.led(ctx, s.Now); err != nil {
			return nil, err
		}
		changes, err := d.evictions(ctx, s, n, l)
		if err != nil {
			return nil, err
		}
		return slices.Concat(deletions, changes, d.leavings(s, l)), nil
	}
	if waits := l.waits(s.Now, n); len(waits) > 0 {
		if err := d.follow(ctx, l.terminating); err != nil {
			return nil, err
		}
		return nil, engine.NotYet("%s", finding.Few(waits))
	}
	return nil, d.volumes(ctx, s, l)
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
	n, err := d.cluster.Node(ctx, s.Target.Name)
	switch {
	case errors.Is(err, kube.ErrNotFound): // and its cordon with it
		return nil, nil
	case err != nil || !n.Unschedulable || n.Annotations[kube.CordonedBy] != s.Owner(): // all of it: what is shown of it may be shorter
		return nil, err
	}
	return toUncordon(d.cluster, n, s, "uncordon, because the drain failed"), nil
}

// announce is what a dry run says: the pods of this moment, and that there may be others once the drains before have
// moved theirs.
func (d *drain) announce(s engine.Scene, l *load) (changes []engine.Change) {
	n := kube.Node{Name: s.Target.Name}
	for _, p := range slices.Concat(l.evict, l.blocked) {
		changes = append(changes, d.eviction(s, n, p))
	}
	if len(changes) > 0 {
		return changes
	}
	unknown := d.eviction(s, n, kube.Pod{})
	unknown.Of, unknown.If = "", "known after the nodes before it are drained"
	return []engine.Change{unknown}
}

// evictions makes one change for each pod; they have the same words, so that a view can show them as one.
func (d *drain) evictions(ctx context.Context, s engine.Scene, n kube.Node, l *load) ([]engine.Change, error) {
	changes, newest := make([]engine.Change, len(l.evict)), l.newest()
	for i, p := range l.evict {
		tried, err := d.tried(ctx, s, newest[owner(p)], p)
		if err != nil {
			return nil, err
		}
		changes[i] = d.eviction(s, n, p)
		changes[i].Tried = tried
		d.noteAsked(p, s.Now)
		if why, held := l.why[p.UID]; held {
			changes[i].Expects += "; " + why
		}
	}
	if len(changes) == 0 {
		return nil, nil
	}
	note, err := owed(ctx, d.cluster, s, n.Name)
	maps.Copy(changes[0].Tried, note)
	return changes, err
}

// tried is what has to be known of a pod before it is sent off; newest is when the last of its owner's pods here was made.
func (d *drain) tried(ctx context.Context, s engine.Scene, newest time.Time, p kube.Pod) (engine.Facts, error) {
	tried, err := d.released(ctx, s, p)
	if err != nil {
		return nil, err
	}
	tried[facts.Evicted(s.Target.Name, owner(p))] = d.send(s, newest, p).String()
	return tried, nil
}

func (d *drain) eviction(s engine.Scene, n kube.Node, p kube.Pod) engine.Change {
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
