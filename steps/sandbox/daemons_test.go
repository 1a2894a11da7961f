package sandbox_test

import (
	"errors"
	"testing"

	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/sandbox"
)

// A pod of a DaemonSet crashes with a kubelet of the versions given, again and again, and with no other.
func TestADaemonCrashes(t *testing.T) {
	c, client := start(t, sandbox.Options{ControlPlanes: 1, Workers: 1, Version: "1.27.3", Speed: 5, NoWorkload: true})
	crashing := func() (ill, well int) {
		for _, d := range must[[]kube.Daemon](t)(client.Daemons(t.Context(), "w1")) {
			if restarts := d.Containers[0].Restarts; d.Owner == "cni" && restarts >= 3 {
				ill++
			} else if restarts == 0 && d.Ready {
				well++
			}
		}
		return ill, well
	}
	c.FailDaemon("cni", "w1", "1.28.15")
	if ill, well := crashing(); ill != 0 || well != 2 {
		t.Errorf("before: %d are ill, %d well", ill, well)
	}
	c.FailDaemon("cni", "w1", "1.27.3")
	eventually(t, "cni crash-loops on w1, kube-proxy does not", func() bool {
		ill, well := crashing()
		return ill == 1 && well == 1
	})
}

// A node that is removed is gone with its pods and its machine, and what ran on it runs elsewhere.
func TestANodeIsRemoved(t *testing.T) {
	c, client := start(t, sandbox.Options{ControlPlanes: 1, Workers: 3, Speed: 5})
	if err := c.RemoveNode("w2"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Node(t.Context(), "w2"); !errors.Is(err, kube.ErrNotFound) {
		t.Errorf("w2: %v", err)
	}
	eventually(t, "every pod of the shop runs on the nodes that are left", func() bool {
		pods := must[[]kube.Pod](t)(client.Pods(t.Context(), kube.PodFilter{Namespace: "shop"}))
		for _, p := range pods {
			if !p.Ready || p.Node == "w2" || p.Node == "" {
				return false
			}
		}
		return len(pods) >= 9
	})
	if c.RemoveNode("w2") == nil || c.RemoveNode("cp1") == nil {
		t.Error("what is gone, or a control plane, was removed")
	}
}
