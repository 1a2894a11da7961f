package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/steps/kube"
)

// unlockOptions are the flags of unlock.
type unlockOptions struct {
	place
	run string // which lock is meant: RUN, or RUN/NONCE
	yes bool
}

func unlockCommand(c *console, g *global) *cobra.Command {
	o := &unlockOptions{}
	cmd := &cobra.Command{
		Use:   "unlock",
		Short: "Take the cluster's lock away from an upgrader that is gone",
		Long: `Shows who holds the cluster's lock and, after a yes, takes it away from that very process and from no other. Whoever
held it is refused from then on by the cluster and by every host. The lock is free some 55 seconds later, when nothing can
arrive any more of what that process may have sent; if it was one of this machine and has ended, after 45. An unlock that is
cut short in this is finished by the next one. Be sure that the upgrader does nothing any more on the hosts: jobs that it
has started there go on.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := stateDir(g.stateDir, c.env)
			if err != nil && g.stateDir != "" { // unless it is named, it need not be there: it only tells of processes that are gone
				return err
			}
			return o.unlock(cmd.Context(), c, s)
		},
	}
	clusterFlags(cmd, &o.kubeconfig, &o.context)
	cmd.Flags().StringVar(&o.run, "run", "", "the run whose lock is meant, or RUN/NONCE as shown, for its very process: any other holder keeps it")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask; needs --run")
	return cmd
}

func (o *unlockOptions) unlock(ctx context.Context, c *console, s store) error {
	if o.yes && o.run == "" {
		return invalid("--yes takes the lock away without asking, so --run has to say from whom: `upgrader unlock` shows who has it")
	}
	w, err := connect(ctx, c, o.place, "")
	if err != nil {
		return err
	}
	person, machine := whoami(c.env)
	lock := kube.NewLock(w.client, kube.Identity{Person: person, Machine: machine})
	holder, held, err := lock.Holder(ctx)
	if err != nil {
		return err
	}
	if !held {
		c.say("cluster %s is not locked", w.id)
		return nil
	}
	c.say("cluster %s is locked by %s", w.id, holderWords(holder))
	if err := o.meant(ctx, c, holder); err != nil {
		return err
	}
	file, gone := s.provesGone(w.id, holder)
	if file != nil {
		defer file.release()
	}
	err = lock.Unlock(ctx, holder, gone, func(wait time.Duration) {
		c.say("run %s of %s is fenced; waiting %s, until nothing that it may have sent can arrive any more ...", holder.Name(), holder.Who, wait)
	})
	if errors.Is(err, kube.ErrMoved) {
		return &lockedError{err}
	}
	if err != nil {
		if ctx.Err() != nil {
			c.say("%v", err) // what a signal leaves behind is more than that it came
		}
		return err
	}
	c.say("unlocked; run %s of %s is refused from now on", holder.Name(), holder.Who)
	return nil
}

// meant makes sure that the lock is to be taken from this holder.
func (o *unlockOptions) meant(ctx context.Context, c *console, h kube.Holder) error {
	if o.run != "" && !h.Is(o.run) {
		return &lockedError{fmt.Errorf("the lock is not that of %s, but of run %s: it was left alone", o.run, h.Name())}
	}
	if o.yes {
		return nil
	}
	if !c.canAsk() {
		return invalid("nobody is at a terminal to say yes: give --yes --run %s once you are sure that it does nothing any more", h.Name())
	}
	sure, err := c.confirm(ctx, "Take the lock away?")
	if err != nil {
		return err
	}
	if !sure {
		return invalid("not confirmed: the lock was left alone")
	}
	return nil
}

// holderWords says who has the lock, for which plan, and whether he seems alive.
func holderWords(h kube.Holder) string {
	words := fmt.Sprintf("run %s of %s since %s", h.Name(), h.Who, h.Since.Local().Format(time.DateTime))
	if h.Plan != "" {
		words += " (plan " + h.Plan + ")"
	}
	if h.Unlocking != "" {
		return fmt.Sprintf("%s; %s began to take it away %s ago", words, h.Unlocking, time.Since(h.Renewed).Round(time.Second))
	}
	alive := "last renewed"
	if h.Expired {
		alive = "expired; last renewed"
	}
	return fmt.Sprintf("%s, %s %s ago", words, alive, time.Since(h.Renewed).Round(time.Second))
}
