package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"upgrader.dev/upgrader/engine"
)

// comeback is how long a resume waits for an API server that is away, as it may be in the middle of an upgrade of a
// single control plane.
const comeback = 5 * time.Minute

// reconnect finds the run's cluster again, once it answers, and makes sure that it is the same one.
func reconnect(ctx context.Context, c *console, run listing) (w *world, err error) {
	err = patiently(ctx, c, func() error {
		w, err = connect(ctx, c, run.place(), run.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return w, run.isOn(w)
}

// place is where the run's cluster is. An inventory file that is gone is as it was.
func (run listing) place() place {
	at := place{kubeconfig: run.Kubeconfig, context: run.Context, inventory: run.Inventory}
	if _, err := os.Stat(run.Inventory); run.Inventory != "" && err != nil {
		at.inventory, at.beside = run.dir.path(inventoryName), filepath.Dir(run.Inventory)
	}
	return at
}

// isOn refuses another cluster than the run began on.
func (run listing) isOn(w *world) error {
	if w.id.UID != run.Cluster.UID {
		return invalid("run %s began on cluster %s (%s, UID %s), but the kubeconfig leads to %s (UID %s): choose the right one in %s",
			run.ID, run.Cluster, run.Cluster.Server, run.Cluster.UID, w.id.Server, w.id.UID, orDefault(run.Kubeconfig))
	}
	return nil
}

func orDefault(kubeconfig string) string {
	if kubeconfig == "" {
		return "$KUBECONFIG or ~/.kube/config"
	}
	return kubeconfig
}

// patiently tries something again and again while the API server is away.
func patiently(ctx context.Context, c *console, try func() error) error {
	told := ""
	for end := time.Now().Add(comeback); ; {
		err := try()
		if !away(err) || time.Now().After(end) || ctx.Err() != nil {
			return err
		}
		if told == "" {
			c.say("%v", err)
		}
		if left := time.Until(end).Round(time.Minute).String(); left != told { // once a minute is enough
			c.say("no answer yet, perhaps because this run is restarting the API server; trying again for %s", left)
			told = left
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(2 * time.Second):
		}
	}
}

// away says whether an error means that the API server could not be asked, or that its answer was lost.
func away(err error) bool {
	var transient *engine.TransientError
	var doubt *engine.InDoubtError
	return errors.As(err, &transient) || errors.As(err, &doubt)
}
