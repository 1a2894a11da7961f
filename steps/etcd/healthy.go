package etcd

import (
	"context"
	"fmt"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/remote"
)

const healthyDoc = `Opens when every member of etcd is healthy and they agree with each other.
It asks, from a host of the control plane, every member for its health and its state: all have started, none is a learner,
no alarm is raised, all name the same leader in the same raft term, no member has fallen behind, and their versions are
at most one minor apart. What time can heal is waited for until the step's timeout, naming the member; a learner, an alarm
or a wider mix of versions refuses. External etcd is asked through the endpoints that the API server uses. It changes
nothing.`

// Healthy is etcd.healthy.
type Healthy struct {
	hosts remote.Hosts
	since time.Time // well without a break since then, as seen by this process

	StableFor time.Duration `yaml:"stableFor" doc:"how long all members have to be healthy without a break; give some seconds where a kubelet was restarted just before"`
}

var _ engine.Gate = (*Healthy)(nil)

// Gate marks the type: it only ever refuses or allows.
func (*Healthy) Gate() {}

// DefaultTimeout is how long a member may take to come back. kubeadm gives a restarted etcd 10 looks of 15 seconds
// (phases/upgrade/staticpods.go) and its API server as long again.
func (*Healthy) DefaultTimeout() time.Duration { return 5 * time.Minute }

// Validate checks the values that a plan gives.
func (h *Healthy) Validate() error {
	if h.StableFor < 0 {
		return fmt.Errorf("stableFor is %s; give a duration such as 10s, or leave it out", h.StableFor)
	}
	return nil
}

// Observe asks every member, and for how long they have been well.
func (h *Healthy) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	if s.Promised(facts.Restarted(s.Target.Name, "kubelet")) != "" {
		return nil, nil // a dry run restarts nothing
	}
	if err := h.ask(ctx, s); err != nil {
		h.since = time.Time{}
		return nil, err
	}
	if h.since.IsZero() {
		h.since = s.Now
	}
	if s.Now.Sub(h.since) < h.StableFor {
		return nil, engine.NotYet("etcd is healthy, but not for %s yet", h.StableFor)
	}
	return nil, nil
}

func (h *Healthy) ask(ctx context.Context, s engine.Scene) error {
	r, err := Ask(ctx, h.hosts, s.Target.Name)
	if err != nil {
		return err
	}
	return r.Trouble()
}
