// Package kubetest is a Kubernetes API server in memory, for the tests of the kinds that speak to a cluster. It speaks
// the real protocol for the objects that package kube uses: resource versions and conflicts, merge patches, pages,
// evictions that obey PodDisruptionBudgets, and every way a request can go wrong. It is an http.RoundTripper, so tests
// need no sockets and may run inside a testing/synctest bubble, and an http.Handler for those that want a real server.
// It may import kube and the Go types of the Kubernetes API.
package kubetest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/kube"
)

// A Server is the cluster. Its zero value is not usable; New makes one. All its methods are safe for concurrent use.
type Server struct {
	mu       sync.Mutex
	objects  map[string]object // by path, such as /api/v1/nodes/w1
	version  int               // the last resourceVersion given
	uids     int
	requests []string
	fault    func(n int, r *http.Request) Fault
	evicted  func(pod kube.Pod)
	refused  func(pod kube.Pod)
	linger   time.Duration
	denied   kube.Right

	admission func(r *http.Request) Admission
}

// object is one object of the API, as its JSON decodes.
type object = map[string]any

// New makes a cluster that has only its namespace kube-system, and an API server of version 1.27.3.
func New() *Server {
	s := &Server{objects: map[string]object{}}
	s.put("/api/v1/namespaces/kube-system", object{"metadata": object{"name": "kube-system", "uid": "cluster-uid"}})
	s.SetVersion("1.27.3")
	return s
}

// Client returns a client of the cluster; run names it in the user agent.
func (s *Server) Client(t testing.TB, run string) *kube.Client {
	t.Helper()
	client, err := kube.New("http://kubetest", s, kube.Options{RunID: run})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// SetVersion changes the version of the API server.
func (s *Server) SetVersion(version string) {
	s.put("/version", object{"gitVersion": "v" + version})
}

// SetNode adds or replaces a node. A UID is made if it has none.
func (s *Server) SetNode(n kube.Node) {
	status := "True"
	if !n.Ready {
		status = "False"
	}
	labels := maps.Clone(n.Labels)
	if n.ControlPlane {
		labels = with(labels, "node-role.kubernetes.io/control-plane", "")
	}
	s.put("/api/v1/nodes/"+n.Name, object{
		"metadata": object{"name": n.Name, "uid": n.UID, "labels": strs(labels), "annotations": strs(n.Annotations)},
		"spec":     object{"unschedulable": n.Unschedulable},
		"status": object{
			"nodeInfo":  object{"kubeletVersion": reported(n.KubeletVersion), "bootID": n.BootID, "machineID": n.MachineID, "containerRuntimeVersion": n.Runtime},
			"addresses": []any{object{"type": "InternalIP", "address": n.InternalIP}},
			"conditions": []any{object{"type": "Ready", "status": status, "reason": n.ReadyReason,
				"lastTransitionTime": stamp(n.ReadySince)}},
		},
	})
}

// reported is a version as a kubelet reports it; one that has not reported has none.
func reported(version string) string {
	if version == "" {
		return ""
	}
	return "v" + version
}

// SetPod adds or replaces a pod. It runs and is Ready unless Phase says otherwise; a UID is made if it has none.
func (s *Server) SetPod(p kube.Pod) {
	if p.Phase == "" {
		p.Phase, p.Ready = "Running", true
	}
	meta := object{"name": p.Name, "namespace": p.Namespace, "uid": p.UID, "labels": strs(p.Labels), "annotations": object{}}
	if p.Created.IsZero() {
		p.Created = time.Now()
	}
	meta["creationTimestamp"] = stamp(p.Created)
	if p.Mirror {
		meta["annotations"] = object{"kubernetes.io/config.mirror": "x", "kubernetes.io/config.hash": p.ConfigHash}
	}
	if len(p.Finalizers) > 0 {
		meta["finalizers"] = words(p.Finalizers)
	}
	if p.OwnerKind != "" {
		meta["ownerReferences"] = []any{object{"kind": p.OwnerKind, "name": p.Owner, "controller": true}}
	}
	if p.Terminating {
		meta["deletionTimestamp"], meta["deletionGracePeriodSeconds"] = stamp(p.TerminatingSince.Add(p.Grace)), int(p.Grace/time.Second)
	}
	s.put(podPath(p.Namespace, p.Name), object{
		"metadata": meta,
		"spec":     object{"nodeName": p.Node, "volumes": volumes(p), "containers": containers(p), "terminationGracePeriodSeconds": int(p.Grace / time.Second), "tolerations": tolerations(p)},
		"status":   object{"phase": p.Phase, "conditions": []any{object{"type": "Ready", "status": truth(p.Ready)}}},
	})
}

// SetBudget adds or replaces a PodDisruptionBudget that wants so many pods of these labels healthy.
func (s *Server) SetBudget(namespace, name string, minAvailable int, match map[string]string) {
	s.put("/apis/policy/v1/namespaces/"+namespace+"/poddisruptionbudgets/"+name, object{
		"metadata": object{"name": name, "namespace": namespace},
		"spec":     object{"minAvailable": minAvailable, "selector": object{"matchLabels": strs(match)}},
	})
}

// Uncompute has a PodDisruptionBudget be one that the disruption controller cannot count, and says why in its words. Set again,
// it can.
func (s *Server) Uncompute(namespace, name, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set(s.objects["/apis/policy/v1/namespaces/"+namespace+"/poddisruptionbudgets/"+name], why, "kubetest") // not a field of the API: withStatus's own note
}

// SetNodeLease sets when a node's kubelet last renewed its lease.
func (s *Server) SetNodeLease(node string, renewed time.Time) {
	s.put("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/"+node, object{
		"metadata": object{"name": node, "namespace": "kube-node-lease"},
		"spec":     object{"renewTime": micro(renewed)},
	})
}

// SetLeader sets who leads a component of the control plane, and when it last said so: with the lease of 15 seconds that
// kube-controller-manager and kube-scheduler have.
func (s *Server) SetLeader(component, name string, renewed time.Time) {
	s.put("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/"+component, object{
		"metadata": object{"name": component, "namespace": "kube-system"},
		"spec":     object{"holderIdentity": name, "leaseDurationSeconds": 15, "renewTime": micro(renewed)},
	})
}

// SetConfigMap adds or replaces a ConfigMap.
func (s *Server) SetConfigMap(namespace, name string, data map[string]string) {
	s.put("/api/v1/namespaces/"+namespace+"/configmaps/"+name, object{
		"metadata": object{"name": name, "namespace": namespace}, "data": strs(data),
	})
}

// Attach says that a persistent volume is attached to a node, and bound to a claim (namespace/name) if one is given.
func (s *Server) Attach(volume, node, claim string) {
	s.put("/apis/storage.k8s.io/v1/volumeattachments/"+volume, object{
		"metadata": object{"name": volume},
		"spec":     object{"nodeName": node, "attacher": "csi", "source": object{"persistentVolumeName": volume}},
	})
	if namespace, name, ok := strings.Cut(claim, "/"); ok {
		s.put("/api/v1/namespaces/"+namespace+"/persistentvolumeclaims/"+name, object{
			"metadata": object{"name": name, "namespace": namespace}, "spec": object{"volumeName": volume},
		})
	}
}

// Remove removes an object by its API path, such as /api/v1/nodes/w1, at once.
func (s *Server) Remove(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, path)
}

// RemovePod removes a pod at once.
func (s *Server) RemovePod(namespace, name string) { s.Remove(podPath(namespace, name)) }

// Detach says that a volume is attached no more.
func (s *Server) Detach(volume string) {
	s.Remove("/apis/storage.k8s.io/v1/volumeattachments/" + volume)
}

// Linger makes evicted pods terminate for so long, instead of being gone at once.
func (s *Server) Linger(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.linger = d
}

// OnEvict calls f after each eviction that was accepted, outside the server's lock: for controllers that make a new pod.
func (s *Server) OnEvict(f func(kube.Pod)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.evicted = f
}

// OnRefuse calls f after each eviction that a budget refused, outside the server's lock: for controllers that act on the request itself.
func (s *Server) OnRefuse(f func(kube.Pod)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = f
}

// Requests returns the method and path of every request so far, in order.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Writes returns those of the requests that were not GETs.
func (s *Server) Writes() []string {
	return slices.DeleteFunc(s.Requests(), func(r string) bool { return strings.HasPrefix(r, "GET ") })
}

func (s *Server) put(path string, o object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.objects[path]; ok && str(o, "metadata", "uid") == "" {
		set(o, str(old, "metadata", "uid"), "metadata", "uid")
	}
	s.store(path, o)
}

// store gives an object its next resourceVersion and, if it has none, a UID.
func (s *Server) store(path string, o object) {
	s.version++
	if str(o, "metadata", "uid") == "" {
		s.uids++
		set(o, fmt.Sprintf("uid-%d", s.uids), "metadata", "uid")
	}
	set(o, strconv.Itoa(s.version), "metadata", "resourceVersion")
	s.objects[path] = o
}

func tolerations(p kube.Pod) []any {
	if p.Tolerates {
		return []any{object{"operator": "Exists"}}
	}
	return nil
}
