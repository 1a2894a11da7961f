package main

import (
	"context"
	"errors"
	"fmt"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
)

// refuseIfLocked tells early, and before anybody is asked, that another upgrader has the cluster.
func refuseIfLocked(ctx context.Context, s store, w *world) error {
	holder, held, err := kube.NewLock(w.client, kube.Identity{}).Holder(ctx)
	if err != nil {
		return fmt.Errorf("looking at the cluster's lock: %w", err)
	}
	if !held {
		return nil
	}
	if s.knowsDone(holder.Run) {
		return &lockedError{fmt.Errorf("the cluster is still locked by run %s of %s, which is done: its process was gone before it gave the lock back; release it with: upgrader resume %s",
			holder.Run, holder.Who, holder.Run)}
	}
	return &lockedError{&kube.HeldError{Holder: holder}}
}

// knowsDone says whether a run began on this machine and is done.
func (s store) knowsDone(id string) bool {
	run, err := s.find(id)
	if err != nil || run.ID != id {
		return false
	}
	_, summary, err := run.dir.summary()
	return err == nil && summary.State == engine.Done
}

// goodbye is a resume of a run that is done. A process that was killed between the run's end and the release of the
// cluster's lock has left that behind, and nobody else may take it away.
func goodbye(ctx context.Context, c *console, s store, run listing, underway bool) error {
	if run.Sandbox {
		c.say("run %s is done; there is nothing to go on with", run.ID)
		return nil
	}
	if underway {
		c.say("run %s is done, but a change of it may still be going on, for which it kept the cluster's lock; once you know that it has ended: upgrader unlock", run.ID)
		return nil
	}
	released, err := run.release(ctx, c, s)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		c.say("run %s is done; whether it still has the cluster's lock could not be found out, or changed: %v", run.ID, err)
	case released:
		c.say("run %s is done; its process was gone before it gave the cluster's lock back: it is released now", run.ID)
	default:
		c.say("run %s is done; there is nothing to go on with", run.ID)
	}
	return nil
}

// release gives back the cluster's lock if it is this run's, and says whether it was. Its journal is open: no other
// process of this machine works on it.
func (run listing) release(ctx context.Context, c *console, s store) (released bool, err error) {
	w, err := connect(ctx, c, run.place(), run.ID)
	if err == nil {
		err = run.isOn(w)
	}
	if err != nil {
		return false, err
	}
	person, machine := whoami(c.env)
	me := kube.Identity{Run: run.ID, Person: person, Machine: machine, Plan: run.Plan}
	holder, held, err := kube.NewLock(w.client, me).Holder(ctx)
	if err != nil || !held || holder.Run != run.ID {
		return false, err
	}
	file, err := s.lockCluster(w.id, run.ID)
	if err != nil {
		return false, err
	}
	defer file.release()
	me.LockFile = file.name()
	lock := kube.NewLock(w.client, me)
	if err := takeOver(ctx, c, lock, run.ID); err != nil { // under a new epoch, which no host takes for that of the process that is gone
		return false, err
	}
	return true, lock.Release(ctx)
}

// takeOver acquires a lock. Where another process of the same run has it and may be alive, that is found out, and told.
func takeOver(ctx context.Context, c *console, lock *kube.Lock, run string) error {
	err := patiently(ctx, c, func() error { return lock.Acquire(ctx) })
	var held *kube.HeldError
	if !errors.As(err, &held) || !held.Same || held.Unlocking != "" {
		return err
	}
	outwait, _ := lock.Patience()
	c.say("the cluster's lock is with another process of run %s (%s of %s), and it cannot be told from here whether that has ended: its machine was restarted, or is another one, or this state directory is a copy; waiting %s for a sign of life ...",
		run, held.Name(), held.Who, outwait)
	return lock.Outwait(ctx)
}
