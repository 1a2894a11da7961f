package census_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/census/censustest"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/kube"
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

func etcd(t *testing.T, s string) skew.EtcdVersion {
	t.Helper()
	version, err := skew.ParseEtcd(s)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func dns(t *testing.T, s string) skew.CoreDNSVersion {
	t.Helper()
	version, err := skew.ParseCoreDNS(s)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

// everything compares versions by what is inside.
func everything() cmp.Option { return cmp.Exporter(func(reflect.Type) bool { return true }) }

func take(t *testing.T, c *censustest.Cluster) census.Census {
	t.Helper()
	taken, err := census.Take(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

// A control plane that has lost its label is one all the same, and a label makes none.
func TestRuns(t *testing.T) {
	cluster := censustest.New("1.27.3", "cp1", "cp2", "w1")
	cluster.Node("cp2").ControlPlane = false
	c := take(t, cluster)
	for host, want := range map[string]bool{"cp1": true, "cp2": true, "w1": false, "none": false} {
		if c.Runs(host) != want {
			t.Errorf("%s: %t", host, c.Runs(host))
		}
	}
	if n := c.ControlPlanes(); n != 2 {
		t.Errorf("%d control planes", n)
	}
}

func TestTakeSeesEveryComponentOnEveryHost(t *testing.T) {
	cluster := censustest.New("1.27.3", "cp1", "cp2", "w1").Roll("cp1", "1.28.15", "3.5.15-0").Store("1.28.15").DNS("v1.10.1")
	cluster.Node("w1").KubeletVersion = ""
	got := take(t, cluster)
	o := got.Observed()
	old, now := v(t, "1.27.3"), v(t, "1.28.15")
	control := map[string]skew.Version{"cp1": now, "cp2": old}
	want := skew.Observed{APIServers: control, ControllerManagers: control, Schedulers: control,
		Kubelets: map[string]skew.Version{"cp1": old, "cp2": old, "w1": {}}, Proxies: map[string]skew.Version{"cp1": old, "cp2": old, "w1": old},
		Etcds: map[string]skew.EtcdVersion{"cp1": etcd(t, "3.5.15-0"), "cp2": etcd(t, "3.5.12-0")}, CoreDNS: map[string]skew.CoreDNSVersion{"coredns-5d78c9869d": dns(t, "1.10.1")}}
	if d := cmp.Diff(want, o, everything()); d != "" {
		t.Error(d)
	}
	if got.Config.Version != now || got.ControlPlanes() != 2 || cluster.Asked != 3 {
		t.Errorf("config %v, %d control planes, %d questions", got.Config, got.ControlPlanes(), cluster.Asked)
	}
}

// What only looks like CoreDNS, or is on its way out, says nothing about the version that kubeadm will meet.
func TestCoreDNSIsWhatKubeadmDeployed(t *testing.T) {
	for name, change := range map[string]func(*kube.Pod){
		"ours":                         func(*kube.Pod) {},
		"another's, by its Deployment": func(p *kube.Pod) { p.Owner = "node-local-dns-5d78c9869d" },
		"another's, by its label":      func(p *kube.Pod) { p.Labels = map[string]string{"k8s-app": "shop-dns"} },
		"without an owner":             func(p *kube.Pod) { p.OwnerKind, p.Owner = "", "" },
		"going":                        func(p *kube.Pod) { p.Terminating = true },
		"evicted long ago":             func(p *kube.Pod) { p.Finished = true },
		"of an image without a tag":    func(p *kube.Pod) { p.Images = []string{"registry.k8s.io/coredns/coredns@sha256:abc"} },
	} {
		cluster := censustest.New("1.27.3", "cp1").DNS("v1.10.1")
		cluster.System = slices.DeleteFunc(cluster.System, func(p kube.Pod) bool { return p.Name == "coredns-5d78c9869d-b" })
		change(cluster.Pod("coredns-5d78c9869d-a"))
		want := map[string]skew.CoreDNSVersion{}
		switch name {
		case "ours":
			want["coredns-5d78c9869d"] = dns(t, "1.10.1")
		case "of an image without a tag":
			want["coredns-5d78c9869d"] = skew.CoreDNSVersion{}
		}
		got := take(t, cluster)
		if d := cmp.Diff(want, got.Observed().CoreDNS, everything()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// Who changes what he was given to look at changes nothing for the next one.
func TestObservedIsACopy(t *testing.T) {
	c := take(t, censustest.New("1.27.3", "cp1", "w1").DNS("v1.10.1"))
	o := c.Observed()
	clear(o.APIServers)
	clear(o.Kubelets)
	clear(o.Proxies)
	clear(o.Etcds)
	clear(o.CoreDNS)
	if o = c.Observed(); len(o.APIServers) != 1 || len(o.Kubelets) != 2 || len(o.Proxies) != 2 || len(o.Etcds) != 1 || len(o.CoreDNS) != 1 {
		t.Errorf("%+v", o)
	}
}

func TestPromisesOfADryRunCount(t *testing.T) {
	got := take(t, censustest.New("1.27.3", "cp1", "w1"))
	got.Promise(engine.Facts{facts.ControlPlane("cp1"): "1.28.15", facts.ClusterVersion: "1.28.15", facts.Kubelet("w1"): "1.28.15"})
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
		"a tag of another":     {"dns:\n  imageTag: v1\netcd:\n  local:\n    dataDir: /d\nscheduler:\n  local:\n    imageTag: v2\nkubernetesVersion: v1.27.3\n", census.Config{Version: v(t, "1.27.3"), Stacked: true, DNSTag: "v1"}},
		"external etcd":        {"etcd:\n  external:\n    caFile: /ca\n    endpoints:\n    - https://e1:2379\nkubernetesVersion: v1.27.3", census.Config{Version: v(t, "1.27.3"), External: true}},
		"no version":           {"kind: ClusterConfiguration\n", census.Config{}},
		"an unreadable number": {"kubernetesVersion: latest\n", census.Config{Version: skew.Reported("latest")}},
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
