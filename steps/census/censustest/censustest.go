// Package censustest has a pretend cluster for the tests of what takes a census: a few fields instead of an API. It may
// import census and kube.
package censustest

import (
	"context"
	"fmt"
	"strings"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/kube"
)

// Cluster answers from its fields, and every question with Err while that is set.
type Cluster struct {
	AllNodes []kube.Node
	System   []kube.Pod // of kube-system
	Config   string     // ClusterConfiguration in kubeadm-config; empty: there is no such ConfigMap
	Ending   string     // a Job that is being removed: namespace/name
	Err      error
	Asked    int // questions so far
}

var _ census.Source = (*Cluster)(nil)

// New is a healthy cluster at one version: hosts that begin with "cp" are its control plane, with stacked etcd.
func New(version string, hosts ...string) *Cluster {
	c := &Cluster{Config: "apiServer: {}\netcd:\n  local:\n    dataDir: /var/lib/etcd\nkind: ClusterConfiguration\nkubernetesVersion: v" + version + "\n"}
	for _, h := range hosts {
		controlPlane := strings.HasPrefix(h, "cp")
		c.AllNodes = append(c.AllNodes, kube.Node{Name: h, ControlPlane: controlPlane, Ready: true, KubeletVersion: version})
		c.System = append(c.System, kube.Pod{Namespace: "kube-system", Name: "kube-proxy-" + h + "x", Node: h, OwnerKind: "DaemonSet",
			Owner: "kube-proxy", Phase: "Running", Ready: true, Images: []string{"registry.k8s.io/kube-proxy:v" + version}})
		if controlPlane {
			c.System = append(c.System, static(h, census.Etcd, "registry.k8s.io/etcd:3.5.12-0"))
			for _, x := range census.ControlPlane() {
				c.System = append(c.System, static(h, x, "registry.k8s.io/"+x+":v"+version))
			}
		}
	}
	return c
}

func static(host, component, image string) kube.Pod {
	return kube.Pod{Namespace: "kube-system", Name: component + "-" + host, Node: host, Mirror: true, OwnerKind: "Node", Owner: host,
		Phase: "Running", Ready: true, Images: []string{image}}
}

// Store changes the version in kubeadm-config.
func (c *Cluster) Store(version string) *Cluster {
	before, rest, _ := strings.Cut(c.Config, "kubernetesVersion: v")
	_, after, _ := strings.Cut(rest, "\n")
	c.Config = before + "kubernetesVersion: v" + version + "\n" + after
	return c
}

// Roll brings the static pods of a host to a version, and its etcd to a tag unless that is empty.
func (c *Cluster) Roll(host, version, etcd string) *Cluster {
	for _, x := range census.ControlPlane() {
		c.Pod(x + "-" + host).Images = []string{"registry.k8s.io/" + x + ":v" + version}
	}
	if etcd != "" {
		c.Pod(census.Etcd + "-" + host).Images = []string{"registry.k8s.io/etcd:" + etcd}
	}
	return c
}

// DNS adds the two pods of a CoreDNS of this tag, as kubeadm deploys it.
func (c *Cluster) DNS(tag string) *Cluster {
	for _, x := range []string{"a", "b"} {
		c.System = append(c.System, kube.Pod{Namespace: "kube-system", Name: "coredns-5d78c9869d-" + x, OwnerKind: "ReplicaSet", Owner: "coredns-5d78c9869d",
			Labels: map[string]string{"k8s-app": "kube-dns"}, Phase: "Running", Ready: true, Images: []string{"registry.k8s.io/coredns/coredns:" + tag}})
	}
	return c
}

// Pod finds a pod by its name, to be changed. It panics if there is none: then the test is wrong.
func (c *Cluster) Pod(name string) *kube.Pod {
	for i := range c.System {
		if c.System[i].Name == name {
			return &c.System[i]
		}
	}
	panic("no pod " + name)
}

// Node finds a node by its name, to be changed. It panics if there is none.
func (c *Cluster) Node(name string) *kube.Node {
	for i := range c.AllNodes {
		if c.AllNodes[i].Name == name {
			return &c.AllNodes[i]
		}
	}
	panic("no node " + name)
}

// Nodes returns AllNodes.
func (c *Cluster) Nodes(context.Context) ([]kube.Node, error) {
	c.Asked++
	return c.AllNodes, c.Err
}

// Pods returns System, whatever else is asked for: nobody here asks for more.
func (c *Cluster) Pods(_ context.Context, f kube.PodFilter) ([]kube.Pod, error) {
	c.Asked++
	if f.Namespace != "kube-system" {
		return nil, fmt.Errorf("the test has no pods for %+v", f)
	}
	return c.System, c.Err
}

// ConfigData returns Config under the key that kubeadm uses.
func (c *Cluster) ConfigData(_ context.Context, namespace, name string) (map[string]string, error) {
	c.Asked++
	if c.Err != nil {
		return nil, c.Err
	}
	if c.Config == "" || namespace+"/"+name != "kube-system/kubeadm-config" {
		return nil, fmt.Errorf("ConfigMap %s/%s: %w", namespace, name, kube.ErrNotFound)
	}
	return map[string]string{"ClusterConfiguration": c.Config}, nil
}

// JobEnding compares with Ending.
func (c *Cluster) JobEnding(_ context.Context, namespace, name string) (bool, error) {
	c.Asked++
	return c.Ending == namespace+"/"+name, c.Err
}

// Readyz returns Err.
func (c *Cluster) Readyz(context.Context) error {
	c.Asked++
	return c.Err
}
