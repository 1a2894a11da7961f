package forecast_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/forecast"
	"upgrader.dev/upgrader/steps/kube"
)

const mib = 1 << 20

// asShipped are the options of the plans that come with the program.
var asShipped = eviction.Settings{IgnoreDaemonSets: true, DeleteEmptyDir: true}

// A cluster is a world under construction.
type cluster struct{ forecast.World }

// node adds a worker of two cores and 4 GiB in its zone.
func (c *cluster) node(name, zone string) *kube.Room {
	c.Rooms = append(c.Rooms, kube.Room{
		Node: name, CPU: 2000, Memory: 4096 * mib, Pods: 110,
		Labels: map[string]string{"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone},
	})
	return &c.Rooms[len(c.Rooms)-1]
}

func (c *cluster) controlPlane(name string) {
	c.node(name, "").Taints = []kube.Taint{{Key: "node-role.kubernetes.io/control-plane", Effect: "NoSchedule"}}
}

// pod adds a Ready pod of a Deployment that requests 100m and 64Mi and tolerates nothing.
func (c *cluster) pod(name, node string, change ...func(*kube.PlacedPod)) {
	namespace, name, _ := strings.Cut(name, "/")
	app, _, _ := strings.Cut(name, "-")
	w := kube.PlacedPod{
		Pod: kube.Pod{
			Namespace: namespace, Name: name, UID: "uid-" + name, Node: node, Phase: "Running", Ready: true, Grace: 30 * time.Second,
			OwnerKind: "ReplicaSet", Owner: app + "-1", Labels: map[string]string{"app": app, "pod-template-hash": "1"},
		},
		CPU: 100, Memory: 64 * mib, Refuses: tainted,
	}
	for _, f := range change {
		f(&w)
	}
	c.Pods = append(c.Pods, w)
}

func tainted(r kube.Room) string {
	if r.Unschedulable {
		return "is cordoned"
	}
	if len(r.Taints) > 0 {
		return "has the taint " + r.Taints[0].String()
	}
	return ""
}

func tolerant(w *kube.PlacedPod) {
	w.Refuses = func(r kube.Room) string {
		if r.Unschedulable {
			return "is cordoned"
		}
		return ""
	}
}

func owned(kind, name string) func(*kube.PlacedPod) {
	return func(w *kube.PlacedPod) { w.OwnerKind, w.Owner = kind, name }
}

func bare(w *kube.PlacedPod)        { w.OwnerKind, w.Owner = "", "" }
func scratch(w *kube.PlacedPod)     { w.EmptyDir = true }
func unready(w *kube.PlacedPod)     { w.Ready = false }
func pending(w *kube.PlacedPod)     { w.Phase, w.Ready = "Pending", false }
func finished(w *kube.PlacedPod)    { w.Phase, w.Ready, w.Finished = "Succeeded", false, true }
func terminating(w *kube.PlacedPod) { w.Terminating, w.Grace = true, 5*time.Minute }
func static(w *kube.PlacedPod)      { w.Mirror, w.OwnerKind = true, "Node" }

func cpu(milli int64) func(*kube.PlacedPod) { return func(w *kube.PlacedPod) { w.CPU = milli } }

func grace(d time.Duration) func(*kube.PlacedPod) { return func(w *kube.PlacedPod) { w.Grace = d } }

// like are the pods with the app of this one, in its namespace.
func like(w *kube.PlacedPod, topology string) kube.Peers {
	namespace, app := w.Namespace, w.Labels["app"]
	return kube.Peers{Key: namespace + app + topology, Topology: topology, Selects: func(p kube.Pod) bool {
		return p.Namespace == namespace && p.Labels["app"] == app
	}}
}

func apart(topology string) func(*kube.PlacedPod) {
	return func(w *kube.PlacedPod) { w.Apart = append(w.Apart, like(w, topology)) }
}

func spread(topology string) func(*kube.PlacedPod) {
	return func(w *kube.PlacedPod) {
		w.Spread = append(w.Spread, kube.Spread{Peers: like(w, topology), MaxSkew: 1, MinPlaces: 1, Counts: func(r kube.Room) bool { return len(r.Taints) == 0 }})
	}
}

// volume is one that only these nodes can reach.
func volume(name string, nodes ...string) func(*kube.PlacedPod) {
	return func(w *kube.PlacedPod) {
		w.Volumes = append(w.Volumes, kube.Volume{Name: name, Reaches: func(r kube.Room) bool {
			for _, n := range nodes {
				if n == r.Node {
					return true
				}
			}
			return false
		}})
	}
}

// budget adds one over the pods of an app that wants so many of those expected healthy.
func (c *cluster) budget(name, app string, desired, healthy, expected int32) *kube.Budget {
	namespace, name, _ := strings.Cut(name, "/")
	c.Budgets = append(c.Budgets, kube.Budget{
		Namespace: namespace, Name: name, Allowed: max(0, healthy-desired), Healthy: healthy, Desired: desired, Expected: expected,
		Selects: func(set map[string]string) bool { return set["app"] == app },
	})
	return &c.Budgets[len(c.Budgets)-1]
}

// webhook adds one that the pods of an app in namespace guard answer for, and that is asked about these namespaces.
func (c *cluster) webhook(app string, pods, evictions []string) *kube.Webhook {
	in := func(all []string, namespace string) bool { return strings.Contains(strings.Join(all, " "), namespace) }
	c.Webhooks = append(c.Webhooks, kube.Webhook{
		Configuration: "ValidatingWebhookConfiguration " + app, Name: app + ".example.org", Namespace: "guard", Service: app, Rules: "CREATE pods",
		Selects:   func(p kube.Pod) bool { return p.Namespace == "guard" && p.Labels["app"] == app },
		Pods:      func(namespace string, _ map[string]string) bool { return in(pods, namespace) },
		Evictions: func(namespace string) bool { return in(evictions, namespace) },
	})
	return &c.Webhooks[len(c.Webhooks)-1]
}

// byDefault is what kubeadm makes: one control plane and one worker.
func byDefault() *cluster {
	c := &cluster{}
	c.controlPlane("cp1")
	c.node("w1", "")
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		c.pod("kube-system/"+name+"-cp1", "cp1", static, scratch)
	}
	for _, node := range []string{"cp1", "w1"} {
		c.pod("kube-system/proxy-"+node, node, owned("DaemonSet", "kube-proxy"), tolerant)
	}
	c.pod("kube-system/coredns-a", "cp1", tolerant)
	c.pod("kube-system/coredns-b", "cp1", tolerant)
	return c
}

// workers makes so many empty ones, w1 and on, in zones a and b by turns.
func workers(n int) *cluster {
	c := &cluster{}
	for i := range n {
		c.node(fmt.Sprintf("w%d", i+1), string(rune('a'+i%2)))
	}
	return c
}

// one drains nodes one after the other.
func one(nodes ...string) forecast.Plan { return several(1, nodes...) }

func several(atOnce int, nodes ...string) forecast.Plan {
	return forecast.Plan{Groups: []forecast.Group{{Nodes: nodes, AtOnce: atOnce, Rules: ready(asShipped)}}}
}

func with(s eviction.Settings, nodes ...string) forecast.Plan {
	return forecast.Plan{Groups: []forecast.Group{{Nodes: nodes, Rules: ready(s)}}}
}

func ready(s eviction.Settings) eviction.Rules {
	r, err := s.Rules()
	if err != nil {
		panic(err)
	}
	return r
}

// words are findings in one line each: severity, check, place, what and evidence. What leaves together has a test of its
// own: nearly every world has some of that.
func words(all []finding.Finding) []string {
	return told(slices.DeleteFunc(slices.Clone(all), func(f finding.Finding) bool { return f.Check == "drain.together" }))
}

func told(all []finding.Finding) []string {
	var lines []string
	for _, f := range all {
		lines = append(lines, fmt.Sprintf("%s %s: %s: %s [%s]", f.Severity, f.Check, f.Where, f.What, f.Evidence))
	}
	return lines
}
