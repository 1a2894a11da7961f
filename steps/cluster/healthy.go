package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/kube"
)

const healthyDoc = `Opens when the cluster is fit to be upgraded.
The API server says that it is ready; every node is Ready; on every host of the control plane the static pods run and are
Ready; and of every workload in kube-system at least one pod is Ready. A node that this very
run has cordoned does not count, nor does one that it is in the middle of upgrading when a resume looks again: the run is
at work there, and going on is what mends it. A node that is cordoned but Ready is fine. Nodes and pods that
are not Ready may be on their way, also because this run was interrupted: they are waited for, and refuse when they have not
come after ` + "`within`" + `; a node that has been away for longer than that refuses at once. It changes nothing.`

// Healthy is cluster.healthy.
type Healthy struct {
	cluster Health

	Within time.Duration `yaml:"within" default:"5m" doc:"how long nodes and pods of kube-system may take to become Ready; the default is what kubeadm itself gives a static pod"`
}

var _ engine.Gate = (*Healthy)(nil)

// Gate marks the type: it only ever refuses or allows.
func (*Healthy) Gate() {}

// DefaultTimeout leaves room for Within and an API that answers late.
func (*Healthy) DefaultTimeout() time.Duration { return 10 * time.Minute }

// Validate checks the patience.
func (h *Healthy) Validate() error {
	if h.Within < 0 {
		return errors.New("within: must not be negative")
	}
	return nil
}

// Observe looks at the nodes, the static pods and the workloads of kube-system.
func (h *Healthy) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	if err := h.cluster.Readyz(ctx); err != nil {
		return nil, fmt.Errorf("asking the API server whether it is ready: %w", err)
	}
	nodes, err := h.cluster.Nodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the nodes: %w", err)
	}
	pods, err := h.cluster.Pods(ctx, kube.PodFilter{Namespace: "kube-system"})
	if err != nil {
		return nil, fmt.Errorf("reading the pods of kube-system: %w", err)
	}
	if down, since := notReady(nodes, s); len(down) > 0 {
		words := "not every node is Ready: " + strings.Join(down, "; ")
		if s.Now.Sub(since) < h.Within {
			return nil, engine.NotYet("%s", words)
		}
		return nil, engine.Refuse(words, "mend these nodes, or take them out of the cluster, then resume")
	}
	faults := append(staticPods(nodes, pods, s), workloads(nodes, pods, s)...)
	if len(faults) == 0 {
		return nil, nil
	}
	words := "kube-system is not well: " + strings.Join(faults, "; ")
	if s.Now.Sub(s.Since) < h.Within {
		return nil, engine.NotYet("%s", words)
	}
	return nil, engine.Refuse(words, "look at these pods with `kubectl -n kube-system describe pod`, then resume")
}

// ours says whether this run has the node in work.
func ours(n kube.Node, s engine.Scene) bool {
	return s.Run != "" && strings.HasPrefix(n.Annotations[kube.CordonedBy], s.Run+"/") || slices.Contains(s.InWork, n.Name)
}

// notReady names the nodes that are not Ready, and since when the first of them is not.
func notReady(nodes []kube.Node, s engine.Scene) (down []string, since time.Time) {
	for _, n := range nodes {
		if n.Ready || ours(n, s) {
			continue
		}
		words := n.Name + " is NotReady"
		if n.ReadyReason != "" {
			words += " (" + n.ReadyReason + ")"
		}
		if n.Unschedulable {
			words += ", and cordoned"
		}
		down = append(down, words)
		if since.IsZero() || n.ReadySince.Before(since) {
			since = n.ReadySince
		}
	}
	return down, since
}

// staticPods names what is missing or not Ready of the control plane. Etcd counts where it is there: it may run elsewhere.
func staticPods(nodes []kube.Node, pods []kube.Pod, s engine.Scene) []string {
	all := census.Of(nodes, pods)
	var faults []string
	for _, n := range nodes {
		if !n.ControlPlane && !all.Runs(n.Name) || ours(n, s) {
			continue
		}
		for _, c := range append(census.ControlPlane(), census.Etcd) {
			p, there := all.Static[n.Name][c]
			switch {
			case !there && c != census.Etcd:
				faults = append(faults, fmt.Sprintf("%s has no %s", n.Name, c))
			case there && (p.Phase != "Running" || !p.Ready):
				faults = append(faults, p.Name+" is "+state(p))
			}
		}
	}
	return faults
}

// workloads names those of kube-system that have pods and not one of them Ready: CoreDNS, kube-proxy, a network plugin
// that loops crashing. Pods on nodes that this run has in work do not count, nor do those that are on their way out.
func workloads(nodes []kube.Node, pods []kube.Pod, s engine.Scene) []string {
	excused := map[string]bool{}
	for _, n := range nodes {
		excused[n.Name] = ours(n, s)
	}
	var order []string
	total, ready := map[string]int{}, map[string]int{}
	for _, p := range pods {
		if p.Mirror || p.Owner == "" || p.OwnerKind == "Job" || p.Finished || p.Terminating || excused[p.Node] {
			continue
		}
		name := p.OwnerKind + " " + p.Owner
		if total[name] == 0 {
			order = append(order, name)
		}
		total[name]++
		if p.Ready {
			ready[name]++
		}
	}
	var faults []string
	for _, name := range order {
		if ready[name] == 0 {
			faults = append(faults, fmt.Sprintf("%s has no Ready pod (of %d)", name, total[name]))
		}
	}
	return faults
}

func state(p kube.Pod) string {
	if p.Phase == "Running" {
		return "Running but not Ready"
	}
	return p.Phase
}
