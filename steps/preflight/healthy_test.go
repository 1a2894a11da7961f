package preflight

import (
	"os"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/census/censustest"
	"upgrader.dev/upgrader/steps/etcd"
	"upgrader.dev/upgrader/steps/eviction"
	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/forecast"
	"upgrader.dev/upgrader/steps/inquiry"
	"upgrader.dev/upgrader/steps/knowledge"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/packages"
	"upgrader.dev/upgrader/steps/skew"
	"upgrader.dev/upgrader/steps/survey"
)

// now is a day after the hosts of the test data were made by kubeadm.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// answer is what a real host of Kubernetes 1.27.3 said to host.sh, with some of it replaced: old, new, old, new.
func answer(t *testing.T, host string, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile("../survey/testdata/" + host + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(text), replace[i]) {
			t.Fatalf("%s says nothing of %q", host, replace[i])
		}
	}
	return strings.NewReplacer(replace...).Replace(string(text))
}

func host(t *testing.T, name string, replace ...string) *survey.Host {
	t.Helper()
	return survey.Read(name, inquiry.Read(answer(t, name, replace...), ""), time.Unix(1795319171, 0), time.Unix(1795319172, 0))
}

const etcdWell = `== kind
stacked
== members
|{"members":[{"ID":1,"name":"cp1","clientURLs":["https://10.0.0.11:2379"]}]}
== health
|[{"endpoint":"https://10.0.0.11:2379","health":true}]
== status
|[{"Endpoint":"https://10.0.0.11:2379","Status":{"header":{"member_id":1},"version":"3.5.7","leader":1,"raftTerm":2,"raftIndex":9,"raftAppliedIndex":9,"dbSize":2670592,"dbSizeInUse":1216512}}]
== alarms
`

func askEtcd(t *testing.T, said string) *etcd.Report {
	t.Helper()
	r, err := etcd.Read("cp1", map[string]inquiry.Answer{etcd.Question().Name: {Sections: inquiry.Read(said, "").Base}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// healthy is a cluster of cp1 and w1 at 1.27.3, and a plan for it like the shipped one.
func healthy(t *testing.T) *View {
	t.Helper()
	base, err := knowledge.Load()
	if err != nil {
		t.Fatal(err)
	}
	v := &View{
		Now: now, Knowledge: base, Running: parse(t, "1.27.3"), Goal: goal(t, "1.28.15"), Etcd: askEtcd(t, etcdWell),
		Hosts:    []*survey.Host{host(t, "cp1"), host(t, "w1")},
		Packages: map[string]*packages.State{"cp1": state(), "w1": state()},
	}
	took, err := census.Take(t.Context(), censustest.New("1.27.3", "cp1", "w1").Roll("cp1", "1.27.3", "3.5.7-0").DNS("v1.10.1"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range took.Nodes {
		took.Nodes[i].Runtime = "containerd://1.6.20"
	}
	v.Cluster = &survey.Cluster{
		At: now, Server: "https://10.0.0.10:6443", Census: took, Leaders: map[string]kube.Leader{
			"kube-controller-manager": {Name: "cp1_x", Renewed: now.Add(-2 * time.Second), Lasts: 15 * time.Second},
			"kube-scheduler":          {Name: "cp1_y", Renewed: now.Add(-2 * time.Second), Lasts: 15 * time.Second},
		},
		Configs: map[string]map[string]string{
			"kubeadm-config": {"ClusterConfiguration": "apiServer:\n  extraArgs:\n    authorization-mode: Node,RBAC\nkind: ClusterConfiguration\nkubernetesVersion: v1.27.3\n"},
			"kubelet-config": {"kubelet": v.Hosts[0].Files[kubeletConfigFile]},
			"coredns":        {"Corefile": ".:53 {\n    errors\n    ready\n    cache 30\n}\n"},
			"kube-proxy":     {"config.conf": "kind: KubeProxyConfiguration\nmode: \"\"\n"},
		},
		Tracks: map[survey.Resource][]kube.Track{}, Addons: map[string][]kube.Track{"Deployment coredns": {{Manager: "kubeadm", Fields: []string{"spec.template.spec.dnsPolicy"}}}},
		Rooms: []kube.Room{{Node: "cp1", CPU: 2000, Memory: 4 << 30, Pods: 110}, {Node: "w1", CPU: 2000, Memory: 4 << 30, Pods: 110}},
		Pods: []kube.PlacedPod{
			pod("kube-system", "coredns-1", "w1", "coredns", "k8s-app=kube-dns"), pod("shop", "web-1", "w1", "web", "app=web"), pod("shop", "web-2", "cp1", "web", "app=web"),
		},
		Balancer: survey.Balancer{Tries: 1, Reached: map[string]int{"10.0.0.11:6443": 1}},
	}
	return v
}

func pod(namespace, name, node, owner, label string) kube.PlacedPod {
	key, value, _ := strings.Cut(label, "=")
	return kube.PlacedPod{CPU: 100, Memory: 64 << 20, Pod: kube.Pod{
		Namespace: namespace, Name: name, UID: name, Node: node, Labels: map[string]string{key: value}, Phase: "Running", Ready: true,
		OwnerKind: "ReplicaSet", Owner: owner, Images: []string{"registry.k8s.io/coredns/coredns:v1.10.1"}, Grace: 30 * time.Second,
	}}
}

func parse(t *testing.T, version string) skew.Version {
	t.Helper()
	v, err := skew.Parse(version)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func goal(t *testing.T, to string) Goal {
	t.Helper()
	revisions := map[string]string{"kubeadm": to + "-1.1", "kubectl": to + "-1.1", "kubelet": to + "-1.1"}
	return Goal{
		Plan: "test", From: ">=1.27.0", To: parse(t, to), Saves: true,
		Hosts: []HostGoal{
			{Name: "cp1", ControlPlane: true, Revisions: revisions, Repository: true, Kubeadm: true},
			{Name: "w1", Revisions: revisions, Repository: true, Kubeadm: true},
		},
		Drains: []forecast.Group{{Nodes: []string{"cp1"}, AtOnce: 1, Rules: drainWell()}, {Nodes: []string{"w1"}, AtOnce: 1, Rules: drainWell()}},
	}
}

func drainWell() eviction.Rules {
	return eviction.Rules{Settings: eviction.Settings{IgnoreDaemonSets: true, DeleteEmptyDir: true}}
}

func state() *packages.State {
	installed := map[string]string{"kubeadm": "1.27.3-1.1", "kubectl": "1.27.3-1.1", "kubelet": "1.27.3-1.1"}
	offered := map[string][]string{"kubeadm": {"1.27.3-1.1"}, "kubectl": {"1.27.3-1.1"}, "kubelet": {"1.27.3-1.1"}}
	return &packages.State{Installed: installed, Offered: offered, Held: []string{"kubeadm", "kubectl", "kubelet"}}
}

// A healthy cluster is told nothing: neither a blocker nor a warning.
func TestHealthyClusterHasNoFinding(t *testing.T) {
	v := healthy(t)
	v.foretell()
	for _, f := range Judge(v) {
		if f.Severity != finding.Note {
			t.Errorf("%+v", f)
		}
	}
}
