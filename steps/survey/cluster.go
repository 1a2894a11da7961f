package survey

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/kube"
)

// A Cluster is what the API tells of the cluster, at one time.
type Cluster struct {
	At          time.Time
	Server      string // the address that the kubeconfig names
	Census      census.Census
	Configs     map[string]map[string]string // data of the ConfigMaps of kube-system that kubeadm keeps; one that is not there has no entry
	Leaders     map[string]kube.Leader       // by component; one without a lease has no entry
	Pods        []kube.PlacedPod
	Rooms       []kube.Room
	Budgets     []kube.Budget
	Webhooks    []kube.Webhook
	Attachments []kube.Attachment
	Unavailable []kube.APIService         // parts of the API that no server answers for
	Tracks      map[Resource][]kube.Track // what was left on the objects of the resources asked about
	Addons      map[string][]kube.Track   // and on what kubeadm upgrades inside the cluster: "Deployment coredns"
	Volumes     map[string][]string       // persistent volumes of the volume plugins asked about, by plugin
	Drivers     []string                  // CSI drivers; asked for only where a volume needs one
	Balancer    Balancer
}

// A Resource is a resource of the API whatever its version.
type Resource struct{ Group, Plural string }

// Balancer is what came of new connections to the address of the kubeconfig.
type Balancer struct {
	Tries   int
	Reached map[string]int // by the address of the API server that answered
	Faults  []string       // what failed ones said
}

// configMaps are those that kubeadm keeps its configuration in (cmd/kubeadm/app/constants).
func configMaps() []string {
	return []string{"kubeadm-config", "kubelet-config", "coredns", "kube-proxy"}
}

// Questions are what the API is asked beside what it is always asked.
type Questions struct {
	Resources []Resource // whose objects' writers are of interest
	Plugins   []string   // volume plugins whose volumes are
}

// Consult asks the API everything, several questions at a time. An error of the API comes back wrapped, as the client made
// it.
func Consult(ctx context.Context, client *kube.Client, q Questions) (*Cluster, error) {
	c := &Cluster{
		At: time.Now(), Server: client.Host(), Configs: map[string]map[string]string{}, Leaders: map[string]kube.Leader{},
		Tracks: map[Resource][]kube.Track{}, Addons: map[string][]kube.Track{},
	}
	r := &reader{client: client, into: c}
	err := together(ctx,
		func(ctx context.Context) (err error) { c.Census, err = census.Take(ctx, client); return err },
		func(ctx context.Context) (err error) { c.Pods, err = client.PlacedPods(ctx); return err },
		func(ctx context.Context) (err error) { c.Rooms, err = client.Rooms(ctx); return err },
		func(ctx context.Context) (err error) { c.Budgets, err = client.Budgets(ctx, ""); return err },
		func(ctx context.Context) (err error) { c.Webhooks, err = client.Webhooks(ctx); return err },
		func(ctx context.Context) (err error) { c.Attachments, err = client.Attachments(ctx, ""); return err },
		func(ctx context.Context) (err error) { c.Unavailable, err = client.Unavailable(ctx); return err },
		r.configs, r.leaders, r.addons,
		func(ctx context.Context) error { return r.tracks(ctx, q.Resources) },
		func(ctx context.Context) error { return r.volumes(ctx, q.Plugins) },
	)
	if err != nil {
		return nil, err
	}
	c.Balancer, err = balance(ctx, client, c.Census.ControlPlanes())
	return c, err
}

// Brief asks the API for what concerns one host: its node, and kubeadm's configuration. A host without a node has none.
func Brief(ctx context.Context, client *kube.Client, host string) (*Cluster, error) {
	c := &Cluster{At: time.Now(), Server: client.Host(), Configs: map[string]map[string]string{}}
	node, err := client.Node(ctx, host)
	if err == nil {
		c.Census.Nodes = []kube.Node{node}
	} else if !errors.Is(err, kube.ErrNotFound) {
		return nil, err
	}
	return c, (&reader{client: client, into: c}).configs(ctx)
}

// together runs functions at the same time and returns the first error of the list.
func together(ctx context.Context, all ...func(context.Context) error) error {
	errs := make([]error, len(all))
	var group sync.WaitGroup
	for i, f := range all {
		group.Go(func() { errs[i] = f(ctx) })
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A reader fills the parts of a Cluster that take more than one question.
type reader struct {
	client *kube.Client
	into   *Cluster
}

func (r *reader) configs(ctx context.Context) error {
	for _, name := range configMaps() {
		data, err := r.client.ConfigData(ctx, "kube-system", name)
		if errors.Is(err, kube.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading kubeadm's configuration: %w", err)
		}
		r.into.Configs[name] = data
	}
	return nil
}

func (r *reader) leaders(ctx context.Context) error {
	for _, component := range []string{census.ControllerManager, census.Scheduler} {
		leader, err := r.client.Leader(ctx, component)
		if errors.Is(err, kube.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading who leads: %w", err)
		}
		r.into.Leaders[component] = leader
	}
	return nil
}

func (r *reader) addons(ctx context.Context) error {
	for name, path := range map[string][]string{
		"Deployment coredns":   {"/apis/apps/v1", "namespaces", "kube-system", "deployments", "coredns"},
		"DaemonSet kube-proxy": {"/apis/apps/v1", "namespaces", "kube-system", "daemonsets", "kube-proxy"},
	} {
		tracks, err := r.client.TracksOf(ctx, path...)
		if err != nil && !errors.Is(err, kube.ErrNotFound) {
			return err
		}
		r.into.Addons[name] = tracks
	}
	return nil
}

// volumes reads which volumes use these plugins, and the drivers if any does.
func (r *reader) volumes(ctx context.Context, plugins []string) (err error) {
	if len(plugins) == 0 {
		return nil
	}
	if r.into.Volumes, err = r.client.VolumesOn(ctx, plugins); err != nil || len(r.into.Volumes) == 0 {
		return err
	}
	r.into.Drivers, err = r.client.Drivers(ctx)
	return err
}

// tracks reads each resource in the version that its group prefers. A group or resource that is not served has none.
func (r *reader) tracks(ctx context.Context, resources []Resource) error {
	if len(resources) == 0 {
		return nil
	}
	served, err := r.client.Groups(ctx)
	if err != nil {
		return err
	}
	for _, x := range resources {
		for _, version := range served[x.Group] {
			found, err := r.client.Tracks(ctx, x.Group, version, x.Plural)
			if err != nil {
				return err
			}
			if found != nil {
				r.into.Tracks[x] = found
				break
			}
		}
	}
	return nil
}

// triesPerServer is how many new connections are made for each API server before one that never answered is thought to
// be out of reach: at random among three, 12 tries in a row miss one in 1 of 130 cases, 36 in 1 of 2 million.
const triesPerServer = 12

// balance makes new connections until each API server has answered one, or enough have been made.
func balance(ctx context.Context, client *kube.Client, servers int) (Balancer, error) {
	b := Balancer{Reached: map[string]int{}}
	for b.Tries < triesPerServer*servers && len(b.Reached) < servers {
		b.Tries++
		address, err := client.Reach(ctx)
		if ctx.Err() != nil {
			return b, fmt.Errorf("asking for the API servers: %w", context.Cause(ctx))
		}
		if err != nil {
			b.Faults = append(b.Faults, err.Error())
			if len(b.Faults) > servers {
				break // enough is known, and each may have taken seconds
			}
			continue
		}
		b.Reached[address]++
	}
	return b, nil
}
