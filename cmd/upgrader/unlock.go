package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/steps/kube"
)

func unlockCommand(c *console) *cobra.Command {
	var kubeconfig, kubecontext string
	var yes bool
	cmd := &cobra.Command{
		Use:   "unlock",
		Short: "Take the cluster's lock away from an upgrader that is gone",
		Long: `Shows who holds the cluster's lock and, after a yes, takes it away. Whoever held it is refused from then on by the
cluster and by every host. Be sure that it does nothing any more: this is the only safeguard between two upgraders.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return unlock(cmd.Context(), c, place{kubeconfig: kubeconfig, context: kubecontext}, yes)
		},
	}
	clusterFlags(cmd, &kubeconfig, &kubecontext)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func unlock(ctx context.Context, c *console, at place, yes bool) error {
	w, err := connect(ctx, at, "")
	if err != nil {
		return err
	}
	lock := kube.NewLock(w.client, kube.Identity{})
	holder, held, err := lock.Holder(ctx)
	if err != nil {
		return err
	}
	if !held {
		c.say("cluster %s is not locked", w.id)
		return nil
	}
	c.say("cluster %s is locked by %s", w.id, holderWords(holder))
	if !yes {
		if !c.canAsk() {
			return invalid("nobody is at a terminal to say yes: give --yes once you are sure that run %s does nothing any more", holder.Run)
		}
		sure, err := c.confirm(ctx, "Take the lock away?")
		if err != nil {
			return err
		}
		if !sure {
			return invalid("not confirmed: the lock was left alone")
		}
	}
	person, machine := whoami(c.env)
	was, held, err := lock.Unlock(ctx, person+"@"+machine)
	if err != nil {
		return err
	}
	if held {
		c.say("unlocked; run %s of %s is refused from now on", was.Run, was.Who)
	}
	return nil
}

// holderWords says who has the lock, for which plan, and whether he seems alive.
func holderWords(h kube.Holder) string {
	words := fmt.Sprintf("run %s of %s since %s", h.Run, h.Who, h.Since.Local().Format(time.DateTime))
	if h.Plan != "" {
		words += " (plan " + h.Plan + ")"
	}
	alive := "last renewed"
	if h.Expired {
		alive = "expired; last renewed"
	}
	return fmt.Sprintf("%s, %s %s ago", words, alive, time.Since(h.Renewed).Round(time.Second))
}
