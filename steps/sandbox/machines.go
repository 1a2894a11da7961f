package sandbox

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"upgrader.dev/upgrader/steps/sandbox/machine"
)

// This file is the world as its machines see it: the methods of machine.World.

// ClusterVersion is the version in kubeadm-config.
func (w *world) ClusterVersion() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.config
}

// SetClusterVersion writes the version into kubeadm-config.
func (w *world) SetClusterVersion(v string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if v == w.config {
		return
	}
	w.effects.add(Effect{What: EffectVersion, Detail: v + " (was " + w.config + ")"})
	w.upgradeConfig(w.config, v)
	w.config = v
	w.upgradeAddons()
}

// ControlPlanes are the names of the hosts with a control plane.
func (w *world) ControlPlanes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(slices.Values(w.controlPlanes()))
}

// KubeletVersions are the versions that the nodes report.
func (w *world) KubeletVersions() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	versions := map[string]string{}
	for _, name := range w.names {
		versions[name] = w.node(name).Status.NodeInfo.KubeletVersion[len("v"):]
	}
	return versions
}

// StaticPod is what runs of a component on a host.
func (w *world) StaticPod(host, component string) (image string, ready bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hosts[host]
	if h == nil || h.statics[component] == nil {
		return "", false
	}
	return h.statics[component].image, h.statics[component].ready
}

// RunStaticPod restarts a static pod with this image.
func (w *world) RunStaticPod(host, component, image string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h := w.hosts[host]; h != nil && h.statics[component] != nil {
		h.statics[component].image = image
		w.restart(h, component)
		w.judge()
	}
}

// restart lets a static pod go away and come back after a moment. Its mirror does likewise: for a short while the API has
// none.
func (w *world) restart(h *host, component string) {
	s := h.statics[component]
	s.restarts++
	s.ready, s.since, s.asked = false, time.Now(), nil
	if p := w.mirror(h.name, component); p != nil {
		w.erase("pods", p)
	}
	w.after(mirrorReturns, func() { w.putMirror(h, component) })
	duration := restartOther
	switch component {
	case "kube-apiserver":
		duration = restartAPIServer
		w.door.serve(w.readyServers())
	case "etcd":
		duration = restartEtcd
		w.electLeader()
	}
	again := s.restarts
	w.after(duration, func() { w.restarted(h, component, again) })
}

// restarted ends the restart of this number, unless another one has begun since.
func (w *world) restarted(h *host, component string, restart int) {
	s := h.statics[component]
	if s.restarts != restart {
		return
	}
	s.ready = true
	if component == "kube-apiserver" {
		w.door.serve(w.readyServers())
		w.upgradeAddons()
	}
	if p := w.mirror(h.name, component); p != nil {
		w.setPodReady(p, true)
	}
}

// electLeader makes another etcd member leader when the leader is away. A request notices.
func (w *world) electLeader() {
	if w.hosts[w.leader].statics["etcd"].ready {
		return
	}
	for _, name := range w.controlPlanes() {
		if w.hosts[name].statics["etcd"].ready {
			w.leader = name
			w.flicker++
			return
		}
	}
}

// KubeletStarted lets a kubelet report to the API: first its version, then Ready. Until it does, the node says what
// the kubelet before it said.
func (w *world) KubeletStarted(host, version, bootID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hosts[host]
	if h == nil {
		return
	}
	rebooted := bootID != h.kubelet.boot
	h.kubelet.up, h.kubelet.version, h.kubelet.boot = true, version, bootID
	h.kubelet.life++
	w.judge()
	if w.untouched(h) {
		w.report(h, w.node(host)) // the first start of a machine that has always been there
		return
	}
	if rebooted {
		w.rebooted(h)
	}
	life := h.kubelet.life
	w.after(kubeletReports, func() { w.kubeletReports(h, life) })
}

// awaitKubelets waits until every machine's kubelet has begun to run, so that what its node says comes from it.
func (w *world) awaitKubelets(ctx context.Context) error {
	for {
		w.mu.Lock()
		silent := slices.IndexFunc(w.names, func(n string) bool { return w.hosts[n].kubelet.life == 0 })
		w.mu.Unlock()
		if silent < 0 {
			return nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waiting for the kubelet of %s: %w", w.names[silent], context.Cause(ctx))
		}
	}
}

// untouched says that this kubelet has never been stopped: its machine is being switched on with the sandbox.
func (w *world) untouched(h *host) bool { return h.kubelet.life == 1 }

// speaks says whether this life of a kubelet goes on and reaches an API server; while it only lives, it tries again.
func (w *world) speaks(h *host, life int, again func(*host, int)) bool {
	if h.kubelet.life != life {
		return false
	}
	if !w.reachable() {
		w.after(retryPause, func() { again(h, life) })
		return false
	}
	return true
}

func (w *world) kubeletReports(h *host, life int) {
	if !w.speaks(h, life, w.kubeletReports) {
		return
	}
	n := w.node(h.name)
	w.report(h, n)
	w.failDaemons(h)
	w.setReady(n, corev1.ConditionFalse, "KubeletNotReady", "container runtime status check may not have completed yet")
	w.renew(h)
	w.after(kubeletReady, func() { w.kubeletReady(h, life) })
}

func (w *world) kubeletReady(h *host, life int) {
	if !w.speaks(h, life, w.kubeletReady) {
		return
	}
	w.setReady(w.node(h.name), corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status")
	w.renew(h)
}

// rebooted restarts the containers of a host.
func (w *world) rebooted(h *host) {
	for _, c := range components {
		if h.statics[c] != nil {
			w.restart(h, c)
		}
	}
	for _, p := range list[*corev1.Pod](w, "pods") {
		if p.Spec.NodeName == h.name && !isMirror(p) {
			w.setPodReady(p, false)
			w.startPod(p)
		}
	}
}

// KubeletStopped lets a node go stale: it stays Ready until the node controller misses its kubelet.
func (w *world) KubeletStopped(host string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hosts[host]
	if h == nil || !h.kubelet.up {
		return
	}
	h.kubelet.up = false
	h.kubelet.life++
	life := h.kubelet.life
	w.after(nodeMonitorGrace, func() {
		if h.kubelet.life == life {
			w.setReady(w.node(host), corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status.")
		}
	})
}

// EtcdMembers are the members of etcd.
func (w *world) EtcdMembers() []machine.EtcdMember {
	w.mu.Lock()
	defer w.mu.Unlock()
	var members []machine.EtcdMember
	for i, name := range w.names {
		h := w.hosts[name]
		if !h.control {
			continue
		}
		id := fnv.New64a()
		_, _ = id.Write([]byte(name)) // a hash never fails
		members = append(members, machine.EtcdMember{
			Name: name, ID: id.Sum64(), Version: tag(h.statics["etcd"].image),
			PeerURL: "https://" + w.address(i) + ":2380", ClientURL: "https://" + w.address(i) + ":2379",
			Healthy: h.statics["etcd"].ready, Leader: name == w.leader && h.statics["etcd"].ready,
			DBSize: 4 << 20, Revision: int64(w.version) + 1000,
		})
	}
	return members
}

// APIReady says whether the API server of a host answers.
func (w *world) APIReady(host string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hosts[host]
	return h != nil && h.control && h.statics["kube-apiserver"].ready && w.quorum()
}
