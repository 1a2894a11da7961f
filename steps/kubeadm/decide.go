package kubeadm

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/skew"
)

// A view is one host and its cluster, looked at on the way to a version. All its methods are pure.
type view struct {
	local
	census census.Census
	host   string
	want   skew.Version
	scene  engine.Scene
}

// settled says that the goal holds without asking the cluster: on a worker that has our mark, and where a dry run has
// promised it.
func (v *view) settled() bool {
	if v.worker() {
		done := v.mark.version == v.want && v.mark.finished
		return done || v.scene.Promised(facts.Configured(v.host)) == v.want.String()
	}
	return v.scene.Promised(facts.ControlPlane(v.host)) == v.want.String()
}

// possible refuses what no kubeadm can do.
func (v *view) possible() error {
	now := v.census.Config.Version
	known := slices.ContainsFunc(v.census.Nodes, func(n kube.Node) bool { return n.Name == v.host })
	switch {
	case !known:
		return census.Missing(v.scene)
	case now.IsZero():
		return engine.Refuse("kubeadm-config names no kubernetesVersion that can be read",
			"look at it with `kubectl -n kube-system get configmap kubeadm-config -o yaml`")
	case now.Compare(v.want) > 0:
		return engine.Refuse(fmt.Sprintf("the cluster is at %s, newer than %s, and kubeadm does not go back", now, v.want),
			"choose the runbook whose versions.to is newer")
	case v.worker():
		return nil
	}
	return v.whole(v.host, v.census.Config.Stacked)
}

// onWorker: after the control plane.
func (v *view) onWorker() (verb string, err error) {
	if now := v.census.Config.Version; now != v.want {
		return "", engine.Refuse(fmt.Sprintf("the control plane has not been upgraded yet: kubeadm-config says %s, and %s would configure itself for that instead of %s", now, v.host, v.want),
			"run kubeadm.upgrade on the control plane first")
	}
	for _, host := range slices.Sorted(maps.Keys(v.census.Static)) {
		if have, ok := v.census.Version(host, census.APIServer); ok && have.Line() != v.want.Line() {
			return "", engine.Refuse(fmt.Sprintf("the API server on %s is still %s, and the kubelet of %s must not become newer than that", host, have, v.host),
				"run kubeadm.upgrade on "+host+" first; is it missing in the inventory?")
		}
	}
	return "node", nil
}

// onControlPlane: below the target this host is the first, unless another one was; at the target it follows, unless a
// run of kubeadm was cut here, which is repeated as what it was.
func (v *view) onControlPlane(etcd bool) (verb string, err error) {
	reached := v.reached(v.want) && (!etcd || v.etcdReached(v.census.Config.EtcdTag))
	cut := v.mark.version == v.want && !v.mark.finished
	switch {
	case v.census.Config.Version != v.want:
		if other := v.begunElsewhere(); other != "" {
			return "", engine.Refuse(fmt.Sprintf("the upgrade to %s was begun on %s and is not finished there: kubeadm-config still says %s", v.want, other, v.census.Config.Version),
				"finish kubeadm.upgrade on "+other+" before "+v.host)
		}
		return "apply", nil
	case cut && v.mark.verb == "apply":
		return "apply", nil
	case cut || !reached:
		return "node", nil
	}
	return "", v.running()
}

// begunElsewhere names another host whose control plane has come further than this one's.
func (v *view) begunElsewhere() string {
	if v.begun(v.want) || v.mark.version == v.want {
		return ""
	}
	for _, host := range slices.Sorted(maps.Keys(v.census.Static)) {
		if host == v.host {
			continue
		}
		for _, c := range census.ControlPlane() {
			if have, ok := v.census.Version(host, c); ok && have == v.want {
				return host
			}
		}
	}
	return ""
}

// ready says whether a component has to be Ready before this host may be drained, and not only to run: the next request
// may come to this API server and this member of etcd. Scheduler and controller manager have others that lead meanwhile,
// and their probes are slow to say that they are well; cluster.healthy asks for that before the next host.
func ready(component string) bool { return component == census.APIServer || component == census.Etcd }

// running waits until what the manifests ask for is what runs, as the API sees it.
func (v *view) running() error {
	var late []string
	for _, c := range append([]string{census.Etcd}, census.ControlPlane()...) {
		tag := v.tags[c]
		if tag == "" {
			continue // etcd runs elsewhere; a control plane without the others was refused
		}
		pod, there := v.census.Static[v.host][c]
		switch {
		case !there:
			late = append(late, c+" has no pod yet")
		case census.Tag(pod.Images, c) != tag:
			late = append(late, fmt.Sprintf("%s still runs %s", pod.Name, census.Tag(pod.Images, c)))
		case pod.Phase != "Running":
			late = append(late, fmt.Sprintf("%s is %s", pod.Name, pod.Phase))
		case ready(c) && !pod.Ready:
			late = append(late, fmt.Sprintf("%s is %s but not Ready", pod.Name, pod.Phase))
		}
	}
	if len(late) > 0 {
		return engine.NotYet("waiting for the static pods of %s: %s", v.host, strings.Join(late, ", "))
	}
	return nil
}

// skewed refuses a step that the version policy forbids, by what runs now.
func (v *view) skewed() error {
	if err := v.census.Complete(v.scene); err != nil {
		return err
	}
	o := v.census.Observed()
	o.Target = v.want
	if v.tags[census.Etcd] != "" { // this host's etcd moves too
		if err := v.census.Towards(&o); err != nil {
			return fmt.Errorf("reading what is known of %s: %w", v.want, err)
		}
	}
	blocking := v.census.Blocking(o)
	if len(blocking) == 0 {
		return nil
	}
	return engine.Refuse(fmt.Sprintf("kubeadm upgrade on %s to %s would break the version skew policy: %s", v.host, v.want, census.Explain(blocking)),
		"then resume")
}
