// Package census reads, through the cluster's API, which versions run where: nodes, static pods, kube-proxy and the
// ConfigMap in which kubeadm keeps its configuration. It is what the kinds that obey the version policy look at. It may
// import engine, kube, promise and skew.
package census

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/promise"
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

// A Source is what a census is taken from. *kube.Client is one.
type Source interface {
	Nodes(ctx context.Context) ([]kube.Node, error)
	Pods(ctx context.Context, f kube.PodFilter) ([]kube.Pod, error)
	ConfigData(ctx context.Context, namespace, name string) (map[string]string, error)
}

// A Census is what was found, by host. Hosts are called as their nodes are.
type Census struct {
	Nodes  []kube.Node
	Static map[string]map[string]kube.Pod // host, component: the mirror of a static pod
	Config Config

	proxies  map[string]skew.Version
	promised map[string]skew.Version // host: what the control plane there will be, in a dry run
	kubelets map[string]skew.Version // likewise
}

// Take asks the API three times: for the nodes, the pods of kube-system and kubeadm's configuration. Errors of the API
// come back wrapped; a cluster without kubeadm's configuration is refused.
func Take(ctx context.Context, from Source) (Census, error) {
	c := Census{Static: map[string]map[string]kube.Pod{}, proxies: map[string]skew.Version{}}
	var err error
	if c.Config, err = ReadConfig(ctx, from); err != nil {
		return c, err
	}
	if c.Nodes, err = from.Nodes(ctx); err != nil {
		return c, fmt.Errorf("reading the nodes: %w", err)
	}
	pods, err := from.Pods(ctx, kube.PodFilter{Namespace: "kube-system"})
	if err != nil {
		return c, fmt.Errorf("reading the pods of kube-system: %w", err)
	}
	for _, p := range pods {
		switch {
		case p.Mirror:
			if c.Static[p.Node] == nil {
				c.Static[p.Node] = map[string]kube.Pod{}
			}
			c.Static[p.Node][Component(p)] = p
		case p.OwnerKind == "DaemonSet" && p.Owner == "kube-proxy" && !p.Terminating && p.Node != "":
			c.proxies[p.Node] = imageVersion(p, "kube-proxy")
		}
	}
	return c, nil
}

// patience is how long a static pod may be unknown to the API: as long as kubeadm itself gives one
// (UpgradeManifestTimeout in cmd/kubeadm/app/phases/upgrade).
const patience = 5 * time.Minute

// Complete says whether the version policy can be held against the census: it is an engine.NotYet while the API lacks a
// static pod of a control plane. A kubelet that replaces one removes its mirror before it writes the next, so who looks in
// between would judge without that version. What stays away for longer is not waited for, since going on may mend it.
func (c *Census) Complete(s engine.Scene) error {
	var lacking []string
	for _, n := range c.Nodes {
		for _, component := range ControlPlane() {
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
func (c *Census) Promise(expect engine.Facts) {
	c.promised, c.kubelets = map[string]skew.Version{}, map[string]skew.Version{}
	for _, n := range c.Nodes {
		if v, err := skew.Parse(expect[promise.ControlPlane(n.Name)]); err == nil {
			c.promised[n.Name] = v
		}
		if v, err := skew.Parse(expect[promise.Kubelet(n.Name)]); err == nil {
			c.kubelets[n.Name] = v
		}
	}
	if v, err := skew.Parse(expect[promise.ClusterVersion]); err == nil {
		c.Config.Version = v
	}
}

// ControlPlanes counts the hosts of the control plane.
func (c *Census) ControlPlanes() int {
	n := 0
	for _, node := range c.Nodes {
		if node.ControlPlane {
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

// Observed is the census as the version policy wants it.
func (c *Census) Observed() skew.Observed {
	o := skew.Observed{
		APIServers: c.byHost(APIServer), ControllerManagers: c.byHost(ControllerManager), Schedulers: c.byHost(Scheduler),
		Kubelets: map[string]skew.Version{}, Proxies: c.proxies,
	}
	for _, n := range c.Nodes {
		v, ok := c.kubelets[n.Name]
		if !ok {
			v, _ = skew.Parse(n.KubeletVersion) // zero: the policy says that it is not known
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

func imageVersion(p kube.Pod, component string) skew.Version {
	v, err := skew.Parse(Tag(p.Images, component))
	if err != nil {
		return skew.Version{}
	}
	return v
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

// Blocking returns the violations that close the way to the target. Before the upgrade has begun that is every one, since
// kubeadm would refuse too; once it is under way only those that break something, so that a half-upgraded cluster is
// never locked out of the rest of its upgrade.
func (c *Census) Blocking(o skew.Observed) []skew.Violation {
	begun := !c.Config.Version.IsZero() && c.Config.Version == o.Target
	for _, m := range []map[string]skew.Version{o.APIServers, o.ControllerManagers, o.Schedulers} {
		for _, v := range m {
			begun = begun || v == o.Target
		}
	}
	var blocking []skew.Violation
	for _, v := range skew.Check(o) {
		if v.Mandatory || !begun {
			blocking = append(blocking, v)
		}
	}
	return blocking
}

// missing refuses a cluster that kubeadm does not know.
func missing(err error) error {
	if errors.Is(err, kube.ErrNotFound) {
		return engine.Refuse("the cluster has no ConfigMap kube-system/kubeadm-config, so kubeadm cannot upgrade it",
			"write it again with `kubeadm init phase upload-config kubeadm --config FILE`")
	}
	return fmt.Errorf("reading kubeadm-config: %w", err)
}
