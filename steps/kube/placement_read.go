package kube

import (
	"context"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// A ground is what the rules of pods refer to beside nodes and pods.
type ground struct {
	volumes    map[string]Volume            // namespace/name of a claim: its volume, if not every node can reach it
	namespaces map[string]map[string]string // labels, by name
	now        time.Time
}

func (c *Client) ground(ctx context.Context) (ground, error) {
	g := ground{volumes: map[string]Volume{}, now: time.Now()}
	var err error
	if g.namespaces, err = c.namespaces(ctx); err != nil {
		return g, err
	}
	bounded := map[string]Volume{}
	volumes := query{what: "the persistent volumes", path: []string{core, "persistentvolumes"}}
	if _, err = list(ctx, c, volumes, func(l *corev1.PersistentVolumeList) (none []Volume) {
		for i := range l.Items {
			if v, ok := toVolume(&l.Items[i]); ok {
				bounded[v.Name] = v
			}
		}
		return none
	}); err != nil || len(bounded) == 0 {
		return g, err // volumes that every node can reach need no claims
	}
	claims := query{what: "the claims of persistent volumes", path: []string{core, "persistentvolumeclaims"}}
	_, err = list(ctx, c, claims, func(l *corev1.PersistentVolumeClaimList) (none []Volume) {
		for i := range l.Items {
			claim := &l.Items[i]
			if v, ok := bounded[claim.Spec.VolumeName]; ok {
				g.volumes[claim.Namespace+"/"+claim.Name] = v
			}
		}
		return none
	})
	return g, err
}

// namespaces returns the labels of all namespaces, by name.
func (c *Client) namespaces(ctx context.Context) (map[string]map[string]string, error) {
	labels := map[string]map[string]string{}
	_, err := list(ctx, c, query{what: "the namespaces", path: []string{core, "namespaces"}},
		func(l *corev1.NamespaceList) (none []string) {
			for i := range l.Items {
				labels[l.Items[i].Name] = l.Items[i].Labels
			}
			return none
		})
	return labels, err
}

func toVolume(v *corev1.PersistentVolume) (Volume, bool) {
	if v.Spec.NodeAffinity == nil || v.Spec.NodeAffinity.Required == nil {
		return Volume{}, false
	}
	selector := nodeaffinity.NewLazyErrorNodeSelector(v.Spec.NodeAffinity.Required)
	return Volume{Name: v.Name, Reaches: func(r Room) bool {
		ok, err := selector.Match(r.node())
		return ok && err == nil
	}}, true
}

func (g ground) toPlacedPod(p *corev1.Pod) PlacedPod {
	w := PlacedPod{Pod: toPod(p), Refuses: newGate(p).refuses}
	w.requests(p)
	if p.Spec.Priority != nil {
		w.Priority = *p.Spec.Priority
	}
	for _, c := range p.Spec.Containers {
		w.Ports = append(w.Ports, hostPorts(c)...)
	}
	for _, v := range p.Spec.Volumes {
		w.HostPath = w.HostPath || v.HostPath != nil
	}
	for _, claim := range w.Claims {
		if v, ok := g.volumes[p.Namespace+"/"+claim]; ok {
			w.Volumes = append(w.Volumes, v)
		}
	}
	g.peers(p, &w)
	if w.OwnerKind == daemonSet {
		w.Ails = ailment(p, g.now)
	}
	return w
}

// requests are those of the pod's template, not of a later resize: that is what the pod in its place will ask for.
func (w *PlacedPod) requests(p *corev1.Pod) {
	requests := resource.PodRequests(p, resource.PodResourcesOptions{})
	w.CPU, w.Memory, w.Extended = amounts(requests)
	maps.DeleteFunc(w.Extended, func(_ string, amount int64) bool { return amount == 0 })
}

func amounts(list corev1.ResourceList) (cpu, memory int64, others map[string]int64) {
	for name, quantity := range list {
		switch name {
		case corev1.ResourceCPU:
			cpu = quantity.MilliValue()
		case corev1.ResourceMemory:
			memory = quantity.Value()
		default:
			if others == nil {
				others = map[string]int64{}
			}
			others[string(name)] = quantity.Value()
		}
	}
	return cpu, memory, others
}

func hostPorts(c corev1.Container) (ports []HostPort) {
	for _, p := range c.Ports {
		if p.HostPort <= 0 {
			continue
		}
		port := HostPort{IP: p.HostIP, Protocol: string(p.Protocol), Port: p.HostPort}
		if port.IP == "" {
			port.IP = "0.0.0.0"
		}
		if port.Protocol == "" {
			port.Protocol = string(corev1.ProtocolTCP)
		}
		ports = append(ports, port)
	}
	return ports
}

func toRoom(n *corev1.Node) Room {
	r := Room{Node: n.Name, Labels: n.Labels, Unschedulable: n.Spec.Unschedulable}
	r.CPU, r.Memory, r.Extended = amounts(n.Status.Allocatable)
	r.Pods = r.Extended[string(corev1.ResourcePods)]
	delete(r.Extended, string(corev1.ResourcePods))
	for _, t := range n.Spec.Taints {
		r.Taints = append(r.Taints, Taint{Key: t.Key, Value: t.Value, Effect: string(t.Effect)})
	}
	return r
}
