package doctor

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/survey"
)

//go:embed doctor.sh
var doctorScript string

// Eyes are what the doctor looks at a cluster with. It only ever reads through them.
type Eyes struct {
	Hosts   remote.Hosts
	Cluster *kube.Client // nil: there is no kubeconfig, and the API is not asked
}

// A Patient is a host to look at.
type Patient struct {
	Name         string
	ControlPlane bool
}

// patience is how long the API may take to answer: it may be what is broken.
const patience = 8 * time.Second

// Look looks at these hosts, at etcd and at the API, all at the same time. What does not answer is part of the picture:
// an error means that the knowledge could not be read, or that ctx has ended.
func (e Eyes) Look(ctx context.Context, patients []Patient) (*Picture, error) {
	base, err := knowledge.Load()
	if err != nil {
		return nil, fmt.Errorf("reading what is known of Kubernetes: %w", err)
	}
	p := &Picture{Now: time.Now(), Knowledge: base}
	var looking sync.WaitGroup
	looking.Go(func() { p.Hosts = e.askHosts(ctx, patients) })
	looking.Go(func() { p.Etcd = e.askEtcd(ctx, patients) })
	looking.Go(func() { p.API = e.askAPI(ctx) })
	looking.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return p, nil
}

// atOnce is how many hosts are asked for trouble at the same time; survey asks as many for the rest.
const atOnce = 64

// askHosts asks every host two things at the same time: what survey wants to know, and what is in trouble.
func (e Eyes) askHosts(ctx context.Context, patients []Patient) []*Host {
	names := make([]string, len(patients))
	hosts := make([]*Host, len(patients))
	errs := make([]error, len(patients))
	places := make(chan struct{}, atOnce)
	var asking sync.WaitGroup
	for i, p := range patients {
		names[i], hosts[i] = p.Name, &Host{ControlPlane: p.ControlPlane}
		asking.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			errs[i] = hosts[i].ask(ctx, e.Hosts, p.Name)
		})
	}
	nothing := func(string) survey.Wanted { return survey.Wanted{} }
	answers := survey.AskAll(ctx, e.Hosts, names, nothing, func(context.Context, *survey.Host) {})
	asking.Wait()
	for i, answer := range answers {
		answer.Err = cmp.Or(answer.Err, errs[i])
		hosts[i].Host = answer
		hosts[i].Silent = slices.Compact(slices.Sorted(slices.Values(append(hosts[i].Silent, answer.Hung...))))
	}
	return hosts
}

func (h *Host) ask(ctx context.Context, hosts remote.Hosts, name string) error {
	host, err := hosts.Host(name)
	if err != nil {
		return err
	}
	result, err := host.Query(ctx, remote.Script{Text: survey.Patiently(doctorScript)})
	if err != nil {
		return fmt.Errorf("looking for trouble on %s: %w", name, err)
	}
	h.read(result.Stdout)
	h.Silent = survey.Hung(result.Stderr)
	return nil
}

// askEtcd asks etcd from every control plane, and returns the report of the one to which it is well, or told most.
func (e Eyes) askEtcd(ctx context.Context, patients []Patient) *etcd.Report {
	reports := make([]*etcd.Report, len(patients))
	var asking sync.WaitGroup
	for i, p := range patients {
		if !p.ControlPlane {
			continue
		}
		asking.Go(func() {
			if r, err := etcd.Ask(ctx, e.Hosts, p.Name); err == nil {
				reports[i] = r
			}
		})
	}
	asking.Wait()
	var best *etcd.Report
	for _, r := range reports {
		switch {
		case r == nil || !tells(r):
		case r.Trouble() == nil:
			return r
		case best == nil || len(r.Members()) > len(best.Members()):
			best = r
		}
	}
	return best
}

// tells says whether a report is one of etcd: a host without manifests knows of none.
func tells(r *etcd.Report) bool {
	_, refused := errors.AsType[*engine.RefusedError](r.Trouble())
	return !refused || len(r.Members()) > 0
}

// askAPI asks the API, for as long as a person would wait.
func (e Eyes) askAPI(ctx context.Context) API {
	if e.Cluster == nil {
		return API{}
	}
	api := API{Server: e.Cluster.Host()}
	if api.Err = e.Cluster.Login(ctx); api.Err != nil { // whoever has to log in for it may take longer
		return api
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %s", patience))
	defer cancel()
	if api.Nodes, api.Err = e.Cluster.Nodes(ctx); api.Err != nil {
		return api
	}
	if api.Pods, api.Err = e.Cluster.Pods(ctx, kube.PodFilter{Namespace: "kube-system"}); api.Err != nil {
		return api
	}
	if api.Complaints, api.Err = e.Cluster.Complaints(ctx, "kube-system"); api.Err != nil {
		return api
	}
	if data, err := e.Cluster.ConfigData(ctx, "kube-system", "kubeadm-config"); err == nil {
		api.Config = data["ClusterConfiguration"]
	}
	api.Leaders = e.askLeaders(ctx)
	return api
}

// askLeaders reads who leads; nil if that could not be found out.
func (e Eyes) askLeaders(ctx context.Context) map[string]kube.Leader {
	leaders := map[string]kube.Leader{}
	for _, component := range []string{census.ControllerManager, census.Scheduler} {
		leader, err := e.Cluster.Leader(ctx, component)
		if errors.Is(err, kube.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil
		}
		leaders[component] = leader
	}
	return leaders
}
