// Package census reads, through the cluster's API, which versions run where: nodes, static pods, kube-proxy, CoreDNS and
// the ConfigMap in which kubeadm keeps its configuration. It is what the kinds that obey the version policy look at. It
// may import engine, kube, promise and skew.
package census

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/skew"
)

// The components that kubeadm runs as static pods on every host of the control plane. Etcd is one where it is stacked.
const (
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Etcd              = "etcd"
)

// ControlPlane lists the components that carry the version of Kubernetes.
func ControlPlane() []string { return []string{APIServer, ControllerManager, Scheduler} }

// Running is what the versions that run are read from.
type Running interface {
	Nodes(ctx context.Context) ([]kube.Node, error)
	Pods(ctx context.Context, f kube.PodFilter) ([]kube.Pod, error)
}

// A Source is what a census is taken from. *kube.Client is one.
type Source interface {
	Running
	ConfigSource
}

// A Census is what was found, by host. Hosts are called as their nodes are.
type Census struct {
	Nodes  []kube.Node
	Static map[string]map[string]kube.Pod // host, component: the mirror of a static pod
	Config Config

	proxies  map[string]skew.Version
	coreDNS  map[string]skew.CoreDNSVersion // by ReplicaSet
	promised map[string]skew.Version        // host: what the control plane there will be, in a dry run
	kubelets map[string]skew.Version        // likewise
}

// Take asks the API three times: for the nodes, the pods of kube-system and kubeadm's configuration. Errors of the API
// come back wrapped; a cluster without kubeadm's configuration is refused.
func Take(ctx context.Context, from Source) (Census, error) {
	config, err := ReadConfig(ctx, from)
	if err != nil {
		return Census{}, err
	}
	c, err := TakeRunning(ctx, from)
	c.Config = config
	return c, err
}

// TakeRunning is a census without kubeadm's configuration. Errors of the API come back wrapped.
func TakeRunning(ctx context.Context, from Running) (Census, error) {
	nodes, err := from.Nodes(ctx)
	if err != nil {
		return Census{}, fmt.Errorf("reading the nodes: %w", err)
	}
	pods, err := from.Pods(ctx, kube.PodFilter{Namespace: "kube-system"})
	if err != nil {
		return Census{}, fmt.Errorf("reading the pods of kube-system: %w", err)
	}
	return Of(nodes, pods), nil
}

// Of is a census of these nodes by the pods of kube-system, without kubeadm's configuration.
func Of(nodes []kube.Node, pods []kube.Pod) Census {
	c := Census{Nodes: nodes, Static: map[string]map[string]kube.Pod{}, proxies: map[string]skew.Version{}, coreDNS: map[string]skew.CoreDNSVersion{}}
	for _, p := range pods {
		c.count(p)
	}
	return c
}

// count takes in a pod of kube-system. CoreDNS is what has the label by which kubeadm looks for it (DeployedDNSAddon in
// cmd/kubeadm/app/phases/addons/dns) and belongs to the Deployment that kubeadm makes (CoreDNSDeploymentName in
// constants): other servers of names wear that label too.
func (c *Census) count(p kube.Pod) {
	switch {
	case p.Mirror:
		if c.Static[p.Node] == nil {
			c.Static[p.Node] = map[string]kube.Pod{}
		}
		c.Static[p.Node][Component(p)] = p
	case p.Terminating || p.Finished:
	case p.OwnerKind == "DaemonSet" && p.Owner == "kube-proxy" && p.Node != "":
		c.proxies[p.Node] = imageVersion(p, "kube-proxy")
	case p.OwnerKind == "ReplicaSet" && strings.HasPrefix(p.Owner, "coredns-") && p.Labels["k8s-app"] == "kube-dns":
		c.coreDNS[p.Owner], _ = skew.ParseCoreDNS(Tag(p.Images, "coredns")) // zero: the policy says that it is not known
	}
}

// patience is how long a static pod may be unknown to the API: as long as kubeadm itself gives one
// (UpgradeManifestTimeout in cmd/kubeadm/app/phases/upgrade).
const patience = 5 * time.Minute

// Complete says whether the version policy can be held against the census: it is an engine.NotYet while the API lacks a
// static pod of a control plane. A kubelet that replaces one removes its mirror before it writes the next, so who looks in
// between would judge without that version. What stays away for longer is not waited for, since going on may mend it.
func (c *Census) Complete(s engine.Scene) error { return c.complete(s, ControlPlane()) }

func (c *Census) complete(s engine.Scene, components []string) error {
	var lacking []string
	for _, n := range c.Nodes {
		for _, component := range components {
			if _, ok := c.Version(n.Name, component); n.ControlPlane && !ok {
				lacking = append(lacking, component+" of "+n.Name)
			}
		}
	}
	if len(lacking) == 0 || s.Now.Sub(s.Since) >= patience {
		return nil
	}
	return engine.NotYet("the API has no %s at the moment, and so no version to judge", strings.Join(lacking, ", "))
}

// Component is what a mirror pod mirrors: kubelet calls it by the static pod's name and its own.
func Component(p kube.Pod) string { return strings.TrimSuffix(p.Name, "-"+p.Node) }

// Promise lays over the census what earlier changes of a dry run will have brought about.
func (c *Census) Promise(expect engine.Promises) {
	c.promised, c.kubelets = map[string]skew.Version{}, map[string]skew.Version{}
	for _, n := range c.Nodes {
		if v, err := skew.Parse(expect.Promised(facts.ControlPlane(n.Name))); err == nil {
			c.promised[n.Name] = v
		}
		if v, err := skew.Parse(expect.Promised(facts.Kubelet(n.Name))); err == nil {
			c.kubelets[n.Name] = v
		}
	}
	if v, err := skew.Parse(expect.Promised(facts.ClusterVersion)); err == nil {
		c.Config.Version = v
	}
}

// Runs says whether a host runs a part of the control plane, by its static pods and whatever the label of its node says.
func (c *Census) Runs(host string) bool {
	return slices.ContainsFunc(ControlPlane(), func(component string) bool { _, there := c.Static[host][component]; return there })
}

// ControlPlanes counts the hosts of the control plane.
func (c *Census) ControlPlanes() int {
	n := 0
	for _, node := range c.Nodes {
		if node.ControlPlane || c.Runs(node.Name) {
			n++
		}
	}
	return n
}

// Version is that of a component on a host; zero if it cannot be told. ok is false if the host does not run it.
func (c *Census) Version(host, component string) (v skew.Version, ok bool) {
	if v, ok := c.promised[host]; ok {
		return v, true
	}
	p, ok := c.Static[host][component]
	if !ok {
		return skew.Version{}, false
	}
	return imageVersion(p, component), true
}

// Observed is the census as the version policy wants it. It is only what runs: what etcd and CoreDNS are held against is
// the caller's to add, Config.EtcdTag before kubeadm's own choice.
func (c *Census) Observed() skew.Observed {
	o := skew.Observed{
		APIServers: c.byHost(APIServer), ControllerManagers: c.byHost(ControllerManager), Schedulers: c.byHost(Scheduler),
		Kubelets: map[string]skew.Version{}, Proxies: maps.Clone(c.proxies),
		Etcds: c.etcds(), CoreDNS: maps.Clone(c.coreDNS),
	}
	for _, n := range c.Nodes {
		v, ok := c.kubelets[n.Name]
		if !ok {
			v = skew.Reported(n.KubeletVersion)
		}
		o.Kubelets[n.Name] = v
	}
	return o
}

func (c *Census) byHost(component string) map[string]skew.Version {
	m := map[string]skew.Version{}
	for host := range c.Static {
		if v, ok := c.Version(host, component); ok {
			m[host] = v
		}
	}
	return m
}

// etcds are the members that are static pods. A promise of a dry run says nothing about them.
func (c *Census) etcds() map[string]skew.EtcdVersion {
	m := map[string]skew.EtcdVersion{}
	for host, static := range c.Static {
		if p, ok := static[Etcd]; ok {
			m[host], _ = skew.ParseEtcd(Tag(p.Images, Etcd)) // zero: the policy says that it is not known
		}
	}
	return m
}

func imageVersion(p kube.Pod, component string) skew.Version {
	return skew.Reported(Tag(p.Images, component))
}

// Tag returns the tag of the component's image among those of a pod's containers: "v1.28.15", "3.5.15-0". Without an
// image of that name it is the first one's, since registries rename images. A digest is left out.
func Tag(images []string, component string) string {
	first := ""
	for _, image := range images {
		image, _, _ = strings.Cut(image, "@")
		name, tag := image, ""
		if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
			name, tag = image[:i], image[i+1:]
		}
		if name == component || strings.HasSuffix(name, "/"+component) {
			return tag
		}
		if first == "" {
			first = tag
		}
	}
	return first
}
