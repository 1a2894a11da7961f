package preflight

import (
	"testing"
	"testing/synctest"
	"time"

	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/kube/kubetest"
	"upgrader.dev/upgrader/steps/remote/remotetest"
	"upgrader.dev/upgrader/steps/survey"
)

// Every host is asked once, whatever there is to know of it: about itself, its packages, and etcd.
func TestEveryHostIsAskedOnce(t *testing.T) {
	said := func(host string) *remotetest.Host {
		return &remotetest.Host{Answer: remotetest.Says(answer(t, host) +
			"== question packages\n== packages\nstate | kubelet | hi  | 1.27.3-1.1\n== answered 0\n" +
			"== question etcd\n" + etcdWell + "== answered 0\n")}
	}
	hosts := remotetest.Hosts{"cp1": said("cp1"), "cp2": said("cp1"), "w1": said("w1")}
	synctest.Test(t, func(t *testing.T) {
		s := kubetest.New()
		s.SetNode(kube.Node{Name: "cp1", ControlPlane: true, Ready: true})
		s.SetConfigMap("kube-system", "kubeadm-config", map[string]string{"ClusterConfiguration": "kubernetesVersion: v1.27.3\n"})
		s.SetLeader("kube-scheduler", "cp1_x", time.Now())
		goal := Goal{Hosts: []HostGoal{{Name: "cp1", ControlPlane: true}, {Name: "cp2", ControlPlane: true}, {Name: "w1"}}}
		v, err := Look(t.Context(), survey.Eyes{Hosts: hosts, Cluster: s.Client(t, "r1").ReadOnly()}, goal)
		if err != nil {
			t.Fatal(err)
		}
		if v.Etcd == nil || v.Etcd.Trouble() != nil || len(v.Packages) != len(hosts) || v.Packages["w1"].Installed["kubelet"] != "1.27.3-1.1" {
			t.Errorf("etcd %+v, packages %+v", v.Etcd, v.Packages)
		}
		t.Logf("figure: %d requests to the API: %q", len(s.Requests()), s.Requests())
	})
	for name, h := range hosts {
		if n := len(h.Calls()); n != 1 {
			t.Errorf("%s was asked %d times", name, n)
		}
	}
}
