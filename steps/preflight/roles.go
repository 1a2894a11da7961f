package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/survey"
)

const roleCheck = "node.role"

// roles: what a host is by its static pods, it is by the label of its node, and by its group in the inventory. Kubeadm
// looks for control planes by that label (controlPlaneNodesReady in cmd/kubeadm/app/phases/upgrade/health.go), and so does
// what makes an inventory of nodes: a plan treats one without it as a worker.
func roles(v *View) (found []finding.Finding) {
	if v.Cluster == nil {
		return nil
	}
	for _, n := range v.Cluster.Census.Nodes {
		if runs, known := v.runsControlPlane(n.Name); known {
			found = append(found, v.role(n, runs)...)
		}
	}
	return found
}

// Roles refuses, each by itself, the nodes whose label is not that of what their static pods make them: an inventory of the
// cluster's nodes has its groups from the labels, and would have these in the wrong one. It reads only.
func Roles(ctx context.Context, cluster census.Running) error {
	took, err := census.TakeRunning(ctx, cluster)
	if err != nil {
		return err
	}
	var refused []error
	for _, f := range roles(&View{Cluster: &survey.Cluster{Census: took}}) {
		refused = append(refused, engine.Refuse(f.Where+": "+f.What, f.Remedy))
	}
	return errors.Join(refused...)
}

// runsControlPlane says whether a host runs a part of the control plane as static pods, by what the API and the host itself
// tell. That it runs none is known only where the host could be asked, and has not the certificate of an API server either:
// one whose manifests are all gone is a broken control plane, and its static pods are told as missing.
func (v *View) runsControlPlane(name string) (runs, known bool) {
	if v.Cluster.Census.Runs(name) {
		return true, true
	}
	h := v.host(name)
	if h == nil || h.Err != nil || !h.Root {
		return false, false
	}
	for _, component := range census.ControlPlane() {
		if h.Files[manifests+component+".yaml"] != "" {
			return true, true
		}
	}
	broken := slices.ContainsFunc(h.Certificates, func(c survey.Certificate) bool { return c.Path == "/etc/kubernetes/pki/apiserver.crt" })
	return false, !broken
}

func (v *View) role(n kube.Node, runs bool) []finding.Finding {
	listed := slices.ContainsFunc(v.Goal.Hosts, func(h HostGoal) bool { return h.Name == n.Name })
	grouped := slices.ContainsFunc(v.Goal.Hosts, func(h HostGoal) bool { return h.ControlPlane })
	inventory := v.Goal.Host(n.Name).ControlPlane
	f := finding.Finding{Check: roleCheck, Severity: finding.Blocker, Where: n.Name}
	const label, statics = kube.ControlPlaneLabel, "static pods of kube-apiserver, kube-controller-manager or kube-scheduler"
	switch {
	case runs && !n.ControlPlane:
		f.What = "it runs a control plane, but its node has not the label that says so: kubeadm, and a plan for the cluster's nodes, take it for a worker"
		f.Evidence = statics + "; no label " + label
		f.Remedy = fmt.Sprintf("give it the label: `kubectl label node %s %s=`; see that the inventory has it in the group control-plane, and begin anew",
			n.Name, label)
	case !runs && n.ControlPlane:
		f.What = "its node has the label of a control plane, but it runs none: kubeadm, and a plan for the cluster's nodes, take it for one"
		f.Evidence = "no " + statics + "; label " + label
		f.Remedy = fmt.Sprintf("take the label away: `kubectl label node %s %s-`; see that the inventory has it in another group, and begin anew", n.Name, label)
	case runs && listed && grouped && !inventory:
		f.What = "it runs a control plane, and the inventory has it not in the group control-plane"
		f.Evidence = statics + "; label " + label
		f.Remedy = "move it to the group control-plane of the inventory, and begin anew"
	case !runs && inventory:
		f.What = "the inventory has it in the group control-plane, and it runs none"
		f.Evidence = "no " + statics + "; no label " + label
		f.Remedy = "move it to another group of the inventory, such as workers, and begin anew"
	default:
		return nil
	}
	return []finding.Finding{f}
}

// rolesFirst orders what a plan takes a host for before all else: the plan is not the right one, and neither is the rest.
func rolesFirst(a, b finding.Finding) int {
	first := func(f finding.Finding) int {
		if f.Check == roleCheck && f.Blocks() {
			return 0
		}
		return 1
	}
	return first(a) - first(b)
}
