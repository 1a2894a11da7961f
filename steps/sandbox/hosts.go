package sandbox

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	controlPlaneLabel = "node-role.kubernetes.io/control-plane"
	zoneLabel         = "topology.kubernetes.io/zone"
	unschedulable     = "node.kubernetes.io/unschedulable"
	notReady          = "node.kubernetes.io/not-ready"
	unreachable       = "node.kubernetes.io/unreachable"
)

// zone is where a host stands: three zones, in turn.
func zone(index int) string { return "zone-" + string(rune('a'+index%3)) }

// addHost gives the cluster a node with a running kubelet, its lease, and on a control plane its static pods.
func (w *world) addHost(name string, index int, control bool, version string) {
	labels := map[string]string{
		"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", zoneLabel: zone(index),
	}
	n := &corev1.Node{ObjectMeta: w.meta("", name, labels)}
	if minor(version) < 34 { // since then the socket is in a file on the host
		n.Annotations = map[string]string{"kubeadm.alpha.kubernetes.io/cri-socket": "unix:///var/run/containerd/containerd.sock"}
	}
	h := &host{name: name, control: control, statics: map[string]*static{}}
	h.kubelet = kubelet{up: true, version: version, boot: string(uid()), renewed: time.Now()}
	if control {
		labels[controlPlaneLabel] = ""
		n.Spec.Taints = []corev1.Taint{{Key: controlPlaneLabel, Effect: corev1.TaintEffectNoSchedule}}
	}
	pods := resource.MustParse("110")
	n.Status = corev1.NodeStatus{
		Capacity:    corev1.ResourceList{corev1.ResourcePods: pods, corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi")},
		Allocatable: corev1.ResourceList{corev1.ResourcePods: pods, corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8092Mi")}, // evictionHard keeps 100Mi
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: w.address(len(w.names))}, {Type: corev1.NodeHostName, Address: name},
		},
		NodeInfo: corev1.NodeSystemInfo{
			MachineID: machineID(name), SystemUUID: string(uid()), KernelVersion: "6.1.0-18-amd64",
			OSImage: "Debian GNU/Linux 12 (bookworm)", ContainerRuntimeVersion: "containerd://1.6.20~ds1",
			OperatingSystem: "linux", Architecture: "amd64",
		},
	}
	w.names, w.hosts[name] = append(w.names, name), h
	w.put("nodes", n)
	w.report(h, n)
	w.setReady(n, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status")
	w.addNodeLease(h)
	if !control {
		return
	}
	for _, c := range components {
		h.statics[c] = &static{image: imageOf(c, version), ready: true, since: time.Now().Add(-upSince)}
		w.putMirror(h, c)
	}
}

// address is the pretend internal address of the host with this index, of the range for benchmarks (RFC 2544), since
// no packet ever goes there.
func (w *world) address(index int) string {
	return fmt.Sprintf("198.18.%d.%d", index/200, index%200+10)
}

// balancer is where a load balancer would stand before the API servers of more than one control plane: at the end of the
// same range.
const balancer = "198.19.255.254:6443"

// upSince is how long the control plane has been running when the sandbox starts.
const upSince = 29 * 24 * time.Hour

// report writes what a kubelet says about itself.
func (w *world) report(h *host, n *corev1.Node) {
	n.Status.NodeInfo.KubeletVersion = "v" + h.kubelet.version
	n.Status.NodeInfo.KubeProxyVersion = "v" + h.kubelet.version //nolint:staticcheck // kubelets before 1.33 report it
	n.Status.NodeInfo.BootID = h.kubelet.boot
	w.touch(n)
}

// setReady changes the Ready condition, the taint that follows from it, and counts who is out of service.
func (w *world) setReady(n *corev1.Node, status corev1.ConditionStatus, reason, message string) {
	now := metav1.Now()
	c := corev1.NodeCondition{Type: corev1.NodeReady, Status: status, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
	i := slices.IndexFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
	switch {
	case i < 0:
		n.Status.Conditions = append(n.Status.Conditions, c)
	case n.Status.Conditions[i].Status == status:
		c.LastTransitionTime = n.Status.Conditions[i].LastTransitionTime
		n.Status.Conditions[i] = c
	default:
		n.Status.Conditions[i] = c
	}
	setTaint(n, notReady, status == corev1.ConditionFalse)
	setTaint(n, unreachable, status == corev1.ConditionUnknown)
	w.touch(n)
	w.count()
	w.wakeControllers()
}

func setTaint(n *corev1.Node, key string, want bool) {
	n.Spec.Taints = slices.DeleteFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == key })
	if want {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule})
	}
	if len(n.Spec.Taints) == 0 {
		n.Spec.Taints = nil
	}
}

func isReady(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// addNodeLease makes the lease by which a kubelet says that it lives.
func (w *world) addNodeLease(h *host) {
	seconds := int32(40) // kubelet's nodeLeaseDurationSeconds
	l := &coordinationv1.Lease{ObjectMeta: w.meta("kube-node-lease", h.name, nil)}
	l.Spec = coordinationv1.LeaseSpec{HolderIdentity: &h.name, LeaseDurationSeconds: &seconds, RenewTime: &metav1.MicroTime{Time: h.kubelet.renewed}}
	w.put("leases", l)
}

// renewLeases brings the leases of the running kubelets up to date. They are renewed when somebody looks, at the times
// at which their kubelets would have, so that five hundred kubelets cost nothing.
func (w *world) renewLeases() {
	now := time.Now()
	for _, name := range w.names {
		h := w.hosts[name]
		missed := now.Sub(h.kubelet.renewed).Truncate(w.pace(renewLease))
		if h.kubelet.up && missed > 0 {
			h.kubelet.renewed = h.kubelet.renewed.Add(missed)
			w.writeLease(h)
		}
	}
}

func (w *world) writeLease(h *host) {
	if l := find[*coordinationv1.Lease](w, "leases", key("kube-node-lease", h.name)); l != nil {
		l.Spec.RenewTime = &metav1.MicroTime{Time: h.kubelet.renewed}
		w.touch(l)
	}
}

// putMirror writes the image of a static pod into the API: a new object each time, as a kubelet does it.
func (w *world) putMirror(h *host, component string) {
	s := h.statics[component]
	p := &corev1.Pod{ObjectMeta: w.meta("kube-system", component+"-"+h.name, map[string]string{"component": component, "tier": "control-plane"})}
	hash := configHash(h.name, component, s)
	p.Annotations = map[string]string{
		"kubernetes.io/config.hash": hash, "kubernetes.io/config.mirror": hash, "kubernetes.io/config.source": "file",
	}
	controller := true
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: h.name, UID: w.node(h.name).UID, Controller: &controller}}
	p.Spec.NodeName = h.name
	p.Spec.HostNetwork = true
	p.Spec.PriorityClassName = "system-node-critical"
	priority := int32(2000001000) // of system-node-critical
	p.Spec.Priority = &priority
	p.Spec.Containers = []corev1.Container{{Name: component, Image: s.image, Resources: staticRequests(component)}}
	w.put("pods", p)
	w.setPodReady(p, s.ready)
}

// staticRequests are those of kubeadm's manifests.
func staticRequests(component string) corev1.ResourceRequirements {
	switch component {
	case "etcd":
		return requests("100m", "100Mi")
	case "kube-apiserver":
		return requests("250m", "")
	case "kube-controller-manager":
		return requests("200m", "")
	}
	return requests("100m", "")
}

// unavailable counts the workers that are out of service: cordoned or not Ready.
func (w *world) unavailable() string {
	var down []string
	workers := 0
	for _, name := range w.names {
		if w.hosts[name].control {
			continue
		}
		workers++
		n := w.node(name)
		switch {
		case n.Spec.Unschedulable && !isReady(n):
			down = append(down, name+" cordoned and NotReady")
		case n.Spec.Unschedulable:
			down = append(down, name+" cordoned")
		case !isReady(n):
			down = append(down, name+" NotReady")
		}
	}
	s := fmt.Sprintf("%d/%d workers", len(down), workers)
	if len(down) > 0 {
		s += ": " + strings.Join(down, ", ")
	}
	return s
}

// count records a change of what is out of service.
func (w *world) count() {
	if !w.open {
		return
	}
	if now := w.unavailable(); now != w.down {
		w.down = now
		w.effects.add(Effect{What: Unavailable, Detail: now})
	}
}

// judge records, once each, the version skews that Kubernetes does not support (kubernetes.io/releases/version-skew-policy).
// On a control plane a component is held against the API server of its own host: kubeadm's documented order brings one
// control plane after the other to the new version, its kubelet included, while older API servers still run elsewhere.
func (w *world) judge() {
	oldest, newest := w.apiVersions()
	if minor(newest)-minor(oldest) > 1 {
		w.blame("API servers %s and %s are more than one minor version apart", oldest, newest)
	}
	behind := 3 // since 1.28; 2 before
	if minor(newest) < 28 {
		behind = 2
	}
	for _, name := range w.names {
		h, limit, whose := w.hosts[name], oldest, "the oldest API server"
		if h.control {
			limit, whose = tag(h.statics["kube-apiserver"].image), "its API server"
		}
		running := map[string]string{}
		if h.kubelet.up {
			running["kubelet"] = h.kubelet.version
			if minor(newest)-minor(h.kubelet.version) > behind {
				w.blame("kubelet %s of %s is more than %d minor versions older than the API server %s", h.kubelet.version, name, behind, newest)
			}
		}
		if h.control {
			running["kube-controller-manager"] = tag(h.statics["kube-controller-manager"].image)
			running["kube-scheduler"] = tag(h.statics["kube-scheduler"].image)
		}
		for _, c := range slices.Sorted(maps.Keys(running)) {
			if minor(running[c]) > minor(limit) {
				w.blame("%s %s of %s is newer than %s %s", c, running[c], name, whose, limit)
			}
		}
	}
}

// apiVersions are the versions of the oldest and the newest API server.
func (w *world) apiVersions() (oldest, newest string) {
	for _, name := range w.controlPlanes() {
		v := tag(w.hosts[name].statics["kube-apiserver"].image)
		if oldest == "" || minor(v) < minor(oldest) {
			oldest = v
		}
		if newest == "" || minor(v) > minor(newest) {
			newest = v
		}
	}
	return oldest, newest
}

func (w *world) blame(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !w.broken[s] {
		w.broken[s] = true
		w.effects.add(Effect{What: SkewViolation, Detail: s})
	}
}

// renew is what a kubelet does with its lease whenever it reports.
func (w *world) renew(h *host) {
	h.kubelet.renewed = time.Now()
	w.writeLease(h)
}
