package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/identity"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/redact"
	"upgrader.dev/upgrader/steps/remote"
)

// A place says where a cluster is: what the flags, or the manifest of a run, give.
type place struct {
	kubeconfig, context string
	inventory           string // empty: the cluster's nodes
	beside              string // where the inventory's relative paths begin, if not beside it
}

// A world is a cluster that can be reached, and its hosts.
type world struct {
	id        clusterID
	client    *kube.Client
	inventory *remote.Inventory
	nodes     []kube.Node // as they were when connecting
}

// patience is how long a cluster may take to say who it is before it counts as unreachable.
const patience = 15 * time.Second

// client makes a client of the cluster at a place, whose waiting for credentials is told. It does not connect.
func (at place) client(c *console, run string) (*kube.Client, error) {
	return kube.Load(kube.Options{
		Kubeconfig: at.kubeconfig, Context: at.context, RunID: run, Version: programVersion(),
		PluginRunner: pluginRunner(), AtTerminal: c.canAsk(), Tell: c.tell,
	})
}

// connect finds the cluster and its hosts. It reads only.
func connect(ctx context.Context, c *console, at place, run string) (*world, error) {
	w := &world{}
	var err error
	if at.inventory != "" {
		if w.inventory, err = remote.LoadInventoryOf(at.inventory, cmp.Or(at.beside, filepath.Dir(at.inventory))); err != nil {
			return nil, asInvalid(err)
		}
	}
	if w.client, err = at.client(c, run); err != nil {
		return nil, asInvalid(err)
	}
	w.id = clusterID{Server: redact.Likely(w.client.Host()), Name: at.context} // it is written down
	if err := w.meet(ctx); err != nil {
		return nil, err
	}
	if w.inventory == nil {
		w.inventory = inventoryOf(w.nodes)
	}
	return w, nil
}

// meet asks the cluster who it is and which nodes it has. One that has not answered in time is away, and may be back soon.
func (w *world) meet(ctx context.Context) (err error) {
	if err := w.client.Login(ctx); err != nil { // whoever has to log in for it may take longer
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %s", patience))
	defer cancel()
	defer func() {
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = engine.Transient(err)
		}
	}()
	uid, err := w.client.UID(ctx)
	if err != nil {
		return fmt.Errorf("asking the cluster who it is: %w; check --kubeconfig and --context, and that %s can be reached from here", err, w.client.Host())
	}
	w.id.UID = uid
	if w.nodes, err = w.client.Nodes(ctx); err != nil {
		return fmt.Errorf("listing the cluster's nodes: %w", err)
	}
	return nil
}

// inventoryOf makes an inventory of the cluster's own nodes. How to reach them is left to ~/.ssh/config.
func inventoryOf(nodes []kube.Node) *remote.Inventory {
	var list []remote.Node
	for _, n := range nodes {
		list = append(list, remote.Node{Name: n.Name, Labels: n.Labels, ControlPlane: n.ControlPlane})
	}
	return remote.FromNodes(list)
}

// fleet makes the connections to the hosts. register keeps which machine each host is; nil: only this process has to know.
func (w *world) fleet(warn func(string), register identity.Register) *remote.Fleet {
	return newFleet(w.inventory, identity.Sources{Cluster: w.client.ReadOnly(), Nodes: w.nodes, Register: register}, warn)
}

// newFleet makes the connections to hosts, each when it is first needed, and proved to be to the machine that is meant before
// anything else is said on it.
func newFleet(inventory *remote.Inventory, from identity.Sources, warn func(string)) *remote.Fleet {
	from.Inventory = cmp.Or(inventory.File(), "~/.ssh/config")
	return remote.NewFleet(remote.Config{Inventory: inventory, Warn: warn, Recognise: identity.NewWitness(from).Recognise})
}

// versions are the nodes and their kubelets' versions as known, for the record of a run's beginning.
func versions(nodes []kube.Node) engine.Facts {
	known := engine.Facts{}
	for _, n := range nodes {
		known[facts.Node(n.Name)], known[facts.Kubelet(n.Name)] = "true", n.KubeletVersion
	}
	return known
}

// whoami names the person at this machine, for locks and decisions.
func whoami(env map[string]string) (person, machine string) {
	machine, err := os.Hostname()
	if err != nil {
		machine = "unknown-host"
	}
	person = cmp.Or(env["SUDO_USER"], env["USER"], env["LOGNAME"])
	if u, err := user.Current(); person == "" && err == nil {
		person = u.Username
	}
	return cmp.Or(person, "unknown"), machine
}
