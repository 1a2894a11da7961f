package sandbox

import (
	"fmt"
	"slices"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
)

// RemoveNode takes a worker away for ever, as an autoscaler does: its machine is off, and its node, its lease and its pods are
// gone. Controllers make the pods again elsewhere.
func (c *Cluster) RemoveNode(name string) error {
	m := c.Machine(name)
	if m == nil {
		return fmt.Errorf("the sandbox has no machine %q", name)
	}
	m.PowerOff()
	return c.world.removeNode(name)
}

func (w *world) removeNode(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hosts[name]
	if h == nil || h.control {
		return fmt.Errorf("%s is no worker", name)
	}
	h.kubelet.life++ // what it had still to do is void
	for _, p := range list[*corev1.Pod](w, "pods") {
		if p.Spec.NodeName == name {
			w.erase("pods", p)
			w.detach(p)
		}
	}
	if l := find[*coordinationv1.Lease](w, "leases", key("kube-node-lease", name)); l != nil {
		w.erase("leases", l)
	}
	w.erase("nodes", w.node(name))
	w.names = slices.DeleteFunc(w.names, func(n string) bool { return n == name })
	delete(w.hosts, name)
	w.count()
	w.wakeControllers()
	return nil
}
