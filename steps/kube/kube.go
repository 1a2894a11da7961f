// Package kube is a narrow client of one Kubernetes cluster: nodes, pods, disruption budgets, evictions, leases and the
// few objects that an upgrade looks at. It is the only importer of client-go. It may import engine (for its error
// answers) and engine/printable, and speaks in types of its own, so that no step depends on a version of the Kubernetes
// API's Go types.
//
// Reads are repeated with jitter and honour Retry-After; what still fails is an engine.Transient error. Writes are
// conditional; before one is made again the object is read, so that a lost answer is settled and not guessed. What
// stays unknown after that is an engine.InDoubt error. What an upgrade writes goes through a client under a Lock, which
// sends nothing unless the lock was proved seconds ago (guarded.go).
package kube

import (
	"errors"
	"time"
)

// ErrNotFound says that the cluster has no object of that name. It is always wrapped in an error that names it.
var ErrNotFound = errors.New("not found")

// ControlPlaneLabel is what kubeadm gives the nodes of the control plane, and knows them by.
const ControlPlaneLabel = "node-role.kubernetes.io/control-plane"

// A Node is a machine as the cluster sees it.
type Node struct {
	Name, UID       string
	Labels          map[string]string
	Annotations     map[string]string
	ControlPlane    bool // has the ControlPlaneLabel
	Unschedulable   bool // cordoned
	Ready           bool
	ReadyReason     string // of the Ready condition, with its message, when not Ready
	ReadySince      time.Time
	Pressure        string // what it is short of by its conditions: "DiskPressure (kubelet has disk pressure)"; empty: nothing
	KubeletVersion  string // without the v
	BootID          string
	MachineID       string
	InternalIP      string
	Runtime         string // containerd://1.6.20
	ResourceVersion string
}

// A Pod is a pod with what a drain, a health check or a report looks at.
type Pod struct {
	Namespace, Name, UID string
	Node                 string
	Created              time.Time // by the API server's clock, to the second
	Labels               map[string]string
	Phase                string
	Ready                bool
	Terminating          bool
	TerminatingSince     time.Time     // when its deletion was asked for
	Mirror               bool          // a static pod's image in the API
	OwnerKind, Owner     string        // of its controller: DaemonSet, ReplicaSet, StatefulSet, Job, ...; empty: unmanaged
	EmptyDir             bool          // has a volume that is lost with it
	Images               []string      // of its containers, in their order
	ConfigHash           string        // annotation kubernetes.io/config.hash of a mirror pod
	Finished             bool          // Succeeded or Failed
	Grace                time.Duration // how long it may take to end: what its deletion gives it, or before that what it asks for
	Finalizers           []string      // who must let go of it before it is gone from the API
	Tolerates            bool          // the taint of a cordon: may be placed on a cordoned node
	Claims               []string      // names of the PersistentVolumeClaims it mounts, in its namespace
}

// A Budget is a PodDisruptionBudget.
type Budget struct {
	Namespace, Name                     string
	Allowed, Healthy, Desired, Expected int32  // disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods
	Pending                             bool   // its last change is not counted yet: the numbers are of before, and nothing is allowed
	Uncomputed                          string // why it cannot be counted, so that it allows nothing: "SyncFailed: found no controllers for pod ..."; empty: it can
	UnreadyMayGo                        bool   // unhealthyPodEvictionPolicy AlwaysAllow: pods that are not Ready go whatever the numbers are
	Owner                               string // who writes it: "Kafka shop/broker", by its controlling owner reference, or any; empty: nobody
	Selects                             func(labels map[string]string) bool
}

// An Attachment is a VolumeAttachment: one volume that is to be on one node, and how far its CSI driver has come with it.
type Attachment struct {
	Name     string // of the object
	Attacher string // the CSI driver
	Volume   string // the persistent volume; of an inline volume the name of the object
	Node     string
	Attached bool
	Deleting bool      // it is to be detached; the object is there until that is done
	Since    time.Time // when it was to be attached, or if Deleting to be detached
	Error    string    // what the driver said of its last attempt; empty: nothing went wrong
}

// A Blocked error says that an eviction was refused for now (429), by what, in words for the operator.
type Blocked struct {
	Pod    string // namespace/name
	Budget string // namespace/name of the PodDisruptionBudget, if one was named
	Why    string // "PDB shop/cart allows 0 (1 healthy, needs 1)"
}

// Error says which pod waits, and why.
func (e *Blocked) Error() string { return e.Pod + " waits: " + e.Why }

// PodFilter selects pods. Empty fields select all.
type PodFilter struct {
	Node      string
	Namespace string
	Labels    string // a label selector
}

// Annotations that upgrader writes on nodes: the ledger of what it did, so that it undoes only its own.
const (
	CordonedBy = "upgrader.dev/cordoned-by" // RUN/STEP of the cordon
	Epoch      = "upgrader.dev/epoch"       // of the lock under which it was last written; stays when the cordon goes
)
