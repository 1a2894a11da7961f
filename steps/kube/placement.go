package kube

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// A PlacedPod is a pod with all that decides where the scheduler may place it, or the pod that its controller makes in
// its place.
type PlacedPod struct {
	Pod
	CPU, Memory int64            // what it requests, as the scheduler counts it: thousandths of a core, bytes
	Extended    map[string]int64 // other requests, such as ephemeral-storage (bytes) and nvidia.com/gpu
	Priority    int32
	Ports       []HostPort // of the node that it takes for itself
	Ails        *Complaint // what ails a pod of a DaemonSet; nil: nothing
	HostPath    bool       // has a volume that is a directory of its node: what is in it stays behind
	Volumes     []Volume   // persistent volumes that only some nodes can reach
	Apart       []Peers    // it never stands in one place with these: required pod anti-affinity
	Together    []Peers    // it only stands in one place with these: required pod affinity
	Spread      []Spread   // how evenly it stands among its like: topology spread constraints with DoNotSchedule

	// Refuses says why it may not stand on a node, whatever else stands there: a cordon, a taint, a node selector, node
	// affinity; empty: it may. nil refuses no node. Volumes, requests, ports and peers are not asked.
	Refuses func(Room) string
}

// A HostPort is a port of a node that a pod takes for itself.
type HostPort struct {
	IP       string // 0.0.0.0: on every address
	Protocol string // TCP, UDP or SCTP
	Port     int32
}

// Clashes says whether two pods with these ports cannot stand on one node (pkg/scheduler/framework/types.go,
// HostPortInfo).
func (p HostPort) Clashes(other HostPort) bool {
	const everywhere = "0.0.0.0"
	return p.Port == other.Port && p.Protocol == other.Protocol &&
		(p.IP == other.IP || p.IP == everywhere || other.IP == everywhere)
}

// A Volume is a persistent volume that not every node can reach.
type Volume struct {
	Name    string
	Reaches func(Room) bool // whether a pod on that node can have it
}

// Peers are the pods that a rule about neighbours is about, and what counts as one place.
type Peers struct {
	Key      string         // the same for rules that are about the same pods and places
	Topology string         // the label of nodes: nodes with the same value are one place
	Selects  func(Pod) bool // by namespace and labels
}

// A Spread is a topology spread constraint that the scheduler never breaks.
type Spread struct {
	Peers
	MaxSkew    int64           // how many more of the peers a place may have than the emptiest one
	MinPlaces  int64           // with fewer places the emptiest counts as empty
	Counts     func(Room) bool // whether a node counts as a place: by node selector and affinity, never by cordon or taint
	SkipTaints bool            // nodes with taints that the pod does not tolerate, and cordoned ones, do not count (nodeTaintsPolicy Honor)
}

// A Room is a node as a place for pods.
type Room struct {
	Node              string
	Labels            map[string]string
	CPU, Memory, Pods int64 // allocatable to pods: thousandths of a core, bytes, how many
	Extended          map[string]int64
	Taints            []Taint
	Unschedulable     bool // cordoned
}

// A Taint keeps pods from a node that do not tolerate it.
type Taint struct {
	Key, Value, Effect string
}

// String is the taint as kubectl writes it: key=value:effect.
func (t Taint) String() string {
	if t.Value == "" {
		return t.Key + ":" + t.Effect
	}
	return t.Key + "=" + t.Value + ":" + t.Effect
}

// Refused says why the pod may not stand on a node, whatever else stands there, or "" if it may: what Refuses says, and
// volumes that cannot be had there.
func (w PlacedPod) Refused(r Room) string {
	if w.Refuses != nil {
		if why := w.Refuses(r); why != "" {
			return why
		}
	}
	for _, v := range w.Volumes {
		if !v.Reaches(r) {
			return "cannot reach volume " + v.Name
		}
	}
	return ""
}

// Bound returns the names of the pod's volumes that no other of these nodes can reach: without the pod's own node it
// cannot have them.
func (w PlacedPod) Bound(rooms []Room) []string {
	var bound []string
	for _, v := range w.Volumes {
		elsewhere := func(r Room) bool { return r.Node != w.Node && v.Reaches(r) }
		if w.Node != "" && !slices.ContainsFunc(rooms, elsewhere) {
			bound = append(bound, v.Name)
		}
	}
	return bound
}

// Rooms returns every node of the cluster as a place for pods, by name.
func (c *Client) Rooms(ctx context.Context) ([]Room, error) {
	rooms, err := list(ctx, c, query{what: "the nodes", path: []string{core, "nodes"}},
		func(l *corev1.NodeList) []Room { return convert(l.Items, toRoom) })
	slices.SortFunc(rooms, func(a, b Room) int { return strings.Compare(a.Node, b.Node) })
	return rooms, err
}

// PlacedPods returns all pods of the cluster, those without a node included, by namespace and name. It also reads the
// claims, the persistent volumes and the namespaces, because rules of placement name them.
func (c *Client) PlacedPods(ctx context.Context) ([]PlacedPod, error) {
	g, err := c.ground(ctx)
	if err != nil {
		return nil, err
	}
	workloads, err := list(ctx, c, query{what: "the pods", path: []string{core, "pods"}},
		func(l *corev1.PodList) []PlacedPod { return convert(l.Items, g.toPlacedPod) })
	slices.SortFunc(workloads, func(a, b PlacedPod) int { return strings.Compare(a.String(), b.String()) })
	return workloads, err
}
