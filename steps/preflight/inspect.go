package preflight

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/packages"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/survey"
)

// Eyes are what preflight looks at a cluster with. It only ever reads through them.
type Eyes struct {
	Hosts   remote.Hosts
	Cluster *kube.Client
}

// Look gathers everything that the checks need for a goal: the API and all hosts at the same time. An error means that the
// cluster's API could not be read; a host that could not be is a finding.
func (e Eyes) Look(ctx context.Context, goal Goal) (*View, error) {
	return e.look(ctx, goal,
		func(v *View) (err error) { v.Cluster, err = survey.Consult(ctx, e.Cluster, v.questions()); return err },
		func(v *View) error { e.askEtcd(ctx, v); return nil },
	)
}

// glance is Look for the gates of single hosts: of the cluster it reads no more than kubeadm's configuration and the node,
// and etcd is not asked.
func (e Eyes) glance(ctx context.Context, goal Goal) (*View, error) {
	return e.look(ctx, goal, func(v *View) (err error) {
		v.Cluster, err = survey.Brief(ctx, e.Cluster, goal.Hosts[0].Name)
		return err
	})
}

// look asks the hosts, and at the same time what else is of interest, each question about a part of the view of its own.
func (e Eyes) look(ctx context.Context, goal Goal, others ...func(*View) error) (*View, error) {
	v, err := e.begin(ctx, goal)
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(others))
	var looking sync.WaitGroup
	for i, ask := range others {
		looking.Go(func() { errs[i] = ask(v) })
	}
	looking.Go(func() { e.askHosts(ctx, v) })
	looking.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	v.foretell()
	return v, nil
}

// begin finds out what runs, since the questions depend on it.
func (e Eyes) begin(ctx context.Context, goal Goal) (*View, error) {
	base, err := knowledge.Load()
	if err != nil {
		return nil, fmt.Errorf("reading what is known of Kubernetes: %w", err)
	}
	v := &View{Goal: goal, Now: time.Now(), Knowledge: base, Packages: map[string]*packages.State{}}
	config, err := census.ReadConfig(ctx, e.Cluster)
	if err != nil {
		return nil, err
	}
	v.Running, v.Repository = config.Version, config.ImageRepository
	return v, nil
}

// askHosts asks every host of the goal, its packages too.
func (e Eyes) askHosts(ctx context.Context, v *View) {
	var names []string
	for _, h := range v.Goal.Hosts {
		names = append(names, h.Name)
	}
	var mu sync.Mutex
	v.Hosts = survey.AskAll(ctx, e.Hosts, names, v.wanted, func(ctx context.Context, h *survey.Host) {
		state, err := packages.Look(ctx, e.Hosts, h.Name, tracked())
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			h.Err = err // a host without apt too: nothing can be installed there
			return
		}
		v.Packages[h.Name] = state
	})
}

// tracked are the packages that are looked at, whatever the plan names.
func tracked() []string { return []string{"kubeadm", "kubectl", "kubelet"} }

func (v *View) wanted(name string) survey.Wanted {
	goal := v.Goal.Host(name)
	w := survey.Wanted{Revisions: goal.revisions(), Images: v.wantedImages(goal.ControlPlane)}
	if !v.Running.IsZero() {
		w.Version = v.Running.String()
	}
	if !v.Goal.To.IsZero() {
		w.Line = v.Goal.To.Line()
	}
	return w
}

// askEtcd asks etcd from the first control plane that can be asked.
func (e Eyes) askEtcd(ctx context.Context, v *View) {
	for _, h := range v.Goal.Hosts {
		if !h.ControlPlane {
			continue
		}
		report, err := etcd.Ask(ctx, e.Hosts, h.Name)
		if err == nil {
			v.Etcd = report
			if report.Trouble() == nil {
				return
			}
		}
	}
}

// controlPlanes are goals of the hosts of the control plane alone, for gates that look at nothing else.
func (e Eyes) controlPlanes(ctx context.Context) ([]HostGoal, error) {
	nodes, err := e.Cluster.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	var all []HostGoal
	for _, n := range nodes {
		if n.ControlPlane {
			all = append(all, HostGoal{Name: n.Name, ControlPlane: true})
		}
	}
	return all, nil
}
