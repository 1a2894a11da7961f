//go:build e2e

package e2e

import (
	_ "embed"
	"testing"
)

//go:embed testdata/fickle.yaml
var fickle string

// A pod of a DaemonSet crash-loops on the canary once its kubelet is replaced, and the node is Ready all the same: the rollout
// stops there, names the pod and where to look, and leaves the other worker as it was. Without the DaemonSet, it goes on.
func TestDaemonSetBreaksOnCanary(t *testing.T) {
	if testing.Short() {
		t.Skip("make e2e-full")
	}
	t.Parallel()
	l := up(t, 1, 2)
	l.run("workload")
	l.sh("cp1", "kubectl --kubeconfig=/etc/kubernetes/admin.conf apply -f - <<'EOF'\n"+fickle+"EOF\n")
	l.kubectl("-n", "fickle", "rollout", "status", "daemonset/fickle", "--timeout=60s")
	before := l.nodes()["w2"].Status.NodeInfo.KubeletVersion

	o := l.operator()
	p := o.run(runbook, "--var", "soak=1m", "--var", "maxUnavailable=1")
	p.ends(1, "pod fickle/fickle-", "of DaemonSet fickle: container main was restarted", "it last ended with exit code 7: Error",
		"`kubectl -n fickle logs fickle-", "-c main --previous`")
	if n := l.nodes()["w2"]; n.Spec.Unschedulable || n.Status.NodeInfo.KubeletVersion != before {
		t.Errorf("w2 was touched: cordoned %v, kubelet %s, was %s", n.Spec.Unschedulable, n.Status.NodeInfo.KubeletVersion, before)
	}

	l.kubectl("delete", "namespace", "fickle", "--timeout=120s")
	o.resume().ends(0)
	l.upgraded()
}
