package census_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/census/censustest"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/promise"
	"upgrader.dev/upgrader/steps/skew"
)

func v(t *testing.T, s string) skew.Version {
	t.Helper()
	version, err := skew.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func take(t *testing.T, c *censustest.Cluster) census.Census {
	t.Helper()
	taken, err := census.Take(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

func TestTakeSeesEveryComponentOnEveryHost(t *testing.T) {
	cluster := censustest.New("1.27.3", "cp1", "cp2", "w1").Roll("cp1", "1.28.15", "").Store("1.28.15")
	cluster.Node("w1").KubeletVersion = ""
	got := take(t, cluster)
	o := got.Observed()
	old, now := v(t, "1.27.3"), v(t, "1.28.15")
	control := map[string]skew.Version{"cp1": now, "cp2": old}
	want := skew.Observed{APIServers: control, ControllerManagers: control, Schedulers: control,
		Kubelets: map[string]skew.Version{"cp1": old, "cp2": old, "w1": {}}, Proxies: map[string]skew.Version{"cp1": old, "cp2": old, "w1": old}}
	if d := cmp.Diff(want, o, cmp.AllowUnexported(skew.Version{})); d != "" {
		t.Error(d)
	}
	if got.Config.Version != now || got.ControlPlanes() != 2 || cluster.Asked != 3 {
		t.Errorf("config %v, %d control planes, %d questions", got.Config, got.ControlPlanes(), cluster.Asked)
	}
}

func TestPromisesOfADryRunCount(t *testing.T) {
	got := take(t, censustest.New("1.27.3", "cp1", "w1"))
	got.Promise(engine.Facts{promise.ControlPlane("cp1"): "1.28.15", promise.ClusterVersion: "1.28.15", promise.Kubelet("w1"): "1.28.15"})
	o, want := got.Observed(), v(t, "1.28.15")
	if o.APIServers["cp1"] != want || o.Schedulers["cp1"] != want || o.Kubelets["w1"] != want || got.Config.Version != want {
		t.Errorf("%+v, config %v", o, got.Config.Version)
	}
	if o.Kubelets["cp1"] != v(t, "1.27.3") {
		t.Error("nothing was promised about the kubelet of cp1")
	}
}

func TestReadConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want census.Config
	}{
		"as kubeadm writes it": {"apiServer:\n  extraArgs:\n    kubernetesVersion: trap\netcd:\n  local:\n    dataDir: /var/lib/etcd\nkubernetesVersion: v1.27.3\n",
			census.Config{Version: v(t, "1.27.3"), Stacked: true}},
		"etcd pinned":          {"etcd:\n  local:\n    dataDir: /d\n    extraArgs:\n      imageTag: trap\n    imageTag: \"3.5.9-0\"\nkubernetesVersion: v1.27.3\n", census.Config{Version: v(t, "1.27.3"), Stacked: true, EtcdTag: "3.5.9-0"}},
		"a tag of another":     {"dns:\n  imageTag: v1\netcd:\n  local:\n    dataDir: /d\nscheduler:\n  local:\n    imageTag: v2\nkubernetesVersion: v1.27.3\n", census.Config{Version: v(t, "1.27.3"), Stacked: true}},
		"external etcd":        {"etcd:\n  external:\n    caFile: /ca\n    endpoints:\n    - https://e1:2379\nkubernetesVersion: v1.27.3", census.Config{Version: v(t, "1.27.3"), External: true}},
		"no version":           {"kind: ClusterConfiguration\n", census.Config{}},
		"an unreadable number": {"kubernetesVersion: latest\n", census.Config{}},
	} {
		got, err := census.ReadConfig(t.Context(), &censustest.Cluster{Config: tt.text})
		if err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, tt.want)
		}
	}
}

func TestTakeKeepsTheKindOfAFailure(t *testing.T) {
	_, err := census.Take(t.Context(), &censustest.Cluster{})
	if _, ok := errors.AsType[*engine.RefusedError](err); !ok || !strings.Contains(err.Error(), "upload-config") {
		t.Errorf("without kubeadm-config: %v", err)
	}
	_, err = census.Take(t.Context(), &censustest.Cluster{Err: engine.Transient(errors.New("503"))})
	if _, ok := errors.AsType[*engine.TransientError](err); !ok {
		t.Errorf("an API that is away must stay transient: %v", err)
	}
}

func TestTag(t *testing.T) {
	for _, tt := range []struct {
		images []string
		want   string
	}{
		{[]string{"registry.k8s.io/kube-apiserver:v1.28.15"}, "v1.28.15"},
		{[]string{"10.0.0.1:5000/k8s/kube-apiserver:v1.28.15@sha256:abc"}, "v1.28.15"},
		{[]string{"10.0.0.1:5000/kube-apiserver"}, ""},
		{[]string{"audit-proxy:v9", "mirror/kube-apiserver:v1.28.15"}, "v1.28.15"},
		{[]string{"mirror/k8s-apiserver-fips:v1.28.15"}, "v1.28.15"},
		{nil, ""},
	} {
		if got := census.Tag(tt.images, census.APIServer); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.images, got, tt.want)
		}
	}
}

func TestBlockingIsStricterBeforeTheUpgradeHasBegun(t *testing.T) {
	cluster := censustest.New("1.27.3", "cp1", "w1")
	cluster.Node("w1").KubeletVersion = "1.25.9" // kubeadm 1.28 wants --force for it, Kubernetes 1.28 does not mind
	rules := func() (rules []string) {
		c := take(t, cluster)
		o := c.Observed()
		o.Target = v(t, "1.28.15")
		for _, x := range c.Blocking(o) {
			rules = append(rules, x.Rule)
		}
		return rules
	}
	if d := cmp.Diff([]string{"kubelet-too-old-for-kubeadm"}, rules()); d != "" {
		t.Errorf("before: %s", d)
	}
	cluster.Roll("cp1", "1.28.15", "")
	if got := rules(); len(got) > 0 {
		t.Errorf("under way: %v", got)
	}
	cluster.Node("w1").KubeletVersion = "1.24.17"
	if d := cmp.Diff([]string{"kubelet-too-old"}, rules()); d != "" {
		t.Errorf("under way, but broken: %s", d)
	}
}

func TestComponent(t *testing.T) {
	if got := census.Component(kube.Pod{Name: "kube-scheduler-cp-1", Node: "cp-1"}); got != census.Scheduler {
		t.Error(got)
	}
}
