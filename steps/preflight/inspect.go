package preflight

import (
	"context"
	"fmt"
	"sync"
	"time"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/packages"
	"upgrader.dev/upgrader/steps/survey"
)

// Look gathers everything that the checks need for a goal: the API and all hosts at the same time. An error means that the
// cluster's API could not be read; a host that could not be is a finding.
func Look(ctx context.Context, e survey.Eyes, goal Goal) (*View, error) {
	return look(ctx, e, goal, true, func(v *View) (err error) {
		v.Cluster, err = survey.Consult(ctx, e.Cluster, v.questions())
		return err
	})
}

// glance is Look for the gates of single hosts: of the cluster it reads no more than kubeadm's configuration and the node,
// and etcd is not asked.
func glance(ctx context.Context, e survey.Eyes, goal Goal) (*View, error) {
	return look(ctx, e, goal, false, func(v *View) (err error) {
		v.Cluster, err = survey.Brief(ctx, e.Cluster, goal.Hosts[0].Name)
		return err
	})
}

// look asks the hosts, about etcd too if that is of interest, and the API at the same time.
func look(ctx context.Context, e survey.Eyes, goal Goal, ofEtcd bool, consult func(*View) error) (*View, error) {
	v, err := begin(ctx, e, goal)
	if err != nil {
		return nil, err
	}
	var looking sync.WaitGroup
	looking.Go(func() { err = consult(v) })
	looking.Go(func() { askHosts(ctx, e, v, ofEtcd) })
	looking.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	v.foretell()
	return v, nil
}

// begin finds out what runs, since the questions depend on it.
func begin(ctx context.Context, e survey.Eyes, goal Goal) (*View, error) {
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

// askHosts asks every host of the goal once: about itself and its packages, and those of the control plane about etcd if
// that is of interest.
func askHosts(ctx context.Context, e survey.Eyes, v *View, ofEtcd bool) {
	var names []string
	for _, h := range v.Goal.Hosts {
		names = append(names, h.Name)
	}
	v.Hosts = e.Ask(ctx, names, func(name string) survey.Wanted {
		w := v.wanted(name)
		w.More = append(w.More, packages.Question(tracked()))
		if ofEtcd && v.Goal.Host(name).ControlPlane {
			w.More = append(w.More, etcd.Question())
		}
		return w
	})
	var reports []*etcd.Report
	for _, h := range v.answered() {
		if r, err := etcd.Read(h.Name, h.More); err == nil {
			reports = append(reports, r)
		}
		state, err := packages.Read(h.Name, h.More)
		if err != nil {
			h.Err = err // a host without apt too: nothing can be installed there
			continue
		}
		v.Packages[h.Name] = state
	}
	v.Etcd = etcd.Best(reports)
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

// controlPlanes are goals of the hosts of the control plane alone, for gates that look at nothing else.
func controlPlanes(ctx context.Context, e survey.Eyes) ([]HostGoal, error) {
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
