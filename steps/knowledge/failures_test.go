package knowledge

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every pattern finds its example, and no example is taken for another failure.
func TestExamplesAreRecognised(t *testing.T) {
	b := load(t)
	if n := len(b.Failures()); n != 27 {
		t.Errorf("%d failures", n)
	}
	for _, f := range b.Failures() {
		for _, p := range f.Patterns {
			if !p.Match.MatchString(p.Example) {
				t.Errorf("%s: %s does not find %q", f.ID, p.Match, p.Example)
			}
			var ids []string
			for _, s := range b.Recognise(p.In, p.Example, 0) {
				ids = append(ids, s.Failure.ID)
			}
			if d := cmp.Diff([]string{f.ID}, ids); d != "" {
				t.Errorf("%s in %s: %q (-want +got):\n%s", f.ID, p.In, p.Example, d)
			}
		}
	}
}

func TestFailuresAreComplete(t *testing.T) {
	id, source := regexp.MustCompile(`^[a-z][a-z0-9.]*(-[a-z0-9.]+)*$`), regexp.MustCompile(`^([\w./-]+#\d+|cmd/.*\.go)$`)
	for _, f := range load(t).Failures() {
		if !id.MatchString(f.ID) {
			t.Errorf("%q is not short words with dashes", f.ID)
		}
		for _, s := range f.Sources {
			if !source.MatchString(s) {
				t.Errorf("%s: %q is neither an issue nor a file", f.ID, s)
			}
		}
		if f.Title == "" || f.Symptom == "" || f.Remedy == "" || len(f.Patterns) == 0 {
			t.Errorf("%s lacks something", f.ID)
		}
	}
}

// What healthy hosts and clusters print is not taken for a failure.
func TestHealthyTextsAreNotRecognised(t *testing.T) {
	b := load(t)
	for in, texts := range map[Place][]string{
		KubeletLog: {
			`I1102 10:00:00.000000    1234 server.go:407] "Kubelet version" kubeletVersion="v1.28.15"`,
			`I1102 10:00:00.000000    1234 kubelet.go:1926] "Trying to delete pod" pod="kube-system/kube-apiserver-cp1"`,
			`unknown flag: --container-runtime-endpoint`,
		},
		KubeadmOutput: {
			"[upgrade/successful] SUCCESS! Your cluster was upgraded to \"v1.28.15\". Enjoy!",
			"[upgrade/staticpods] This might take a minute or longer depending on the component/version gap (timeout 5m0s)",
			"[upgrade/etcd] Non fatal issue encountered during upgrade: the desired etcd version \"3.5.15-0\" is older than the currently installed \"3.5.16-0\". Skipping etcd upgrade",
		},
		StaticPod: {"    image: registry.k8s.io/etcd:3.5.26-0", "    image: registry.k8s.io/etcd:3.6.8-0", "    image: registry.k8s.io/kube-apiserver:v1.28.15"},
		FromAPI: {
			"kubeadm.alpha.kubernetes.io/cri-socket: unix:///run/containerd/containerd.sock",
			`Back-off pulling image "registry.k8s.io/kube-proxy:v1.28.15"`,
		},
		FromEtcd:     {`{"members":[{"ID":1,"name":"cp1","isLearner":false}]}`, `{"members":[{"ID":1,"name":"cp1"}]}`},
		Certificates: {"apiserver                  Nov 02, 2027 10:00 UTC   364d            ca                      no"},
		Host:         {"stat -fc %T /sys/fs/cgroup: cgroup2fs", "312M\t/etc/kubernetes/tmp"},
		Config: {
			`KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=unix:///run/containerd/containerd.sock"`,
			"dns:\n  imageTag: v1.10.1\netcd:\n  local:\n    dataDir: /var/lib/etcd\nnetworking: {}\n",
			"etcd:\n  local:\n    dataDir: /var/lib/etcd\nimageRepository: registry.k8s.io\n",
		},
	} {
		for _, text := range texts {
			if found := b.Recognise(in, text, 0); len(found) > 0 {
				t.Errorf("%s: %q is taken for %s", in, text, found[0].Failure.ID)
			}
		}
	}
}

// A failure that belongs to other minors is not brought up, and the part that was found is shown.
func TestRecogniseKeepsToTheTarget(t *testing.T) {
	b := load(t)
	manifest := "  containers:\n  - image: registry.k8s.io/etcd:3.5.16-0\n    name: etcd\n"
	if found := b.Recognise(StaticPod, manifest, 29); len(found) > 0 {
		t.Errorf("etcd 3.5.16 is right for 1.29: %s", found[0].Failure.ID)
	}
	found := b.Recognise(StaticPod, manifest, 34)
	if len(found) != 1 || found[0].Failure.ID != "etcd-members-wrong-after-3.6" || found[0].Text != "image: registry.k8s.io/etcd:3.5.16-" {
		t.Errorf("got %+v", found)
	}
	places := map[Place]bool{}
	for _, f := range b.Failures() {
		for _, p := range f.Patterns {
			places[p.In] = true
		}
	}
	for _, p := range []Place{KubeletLog, ContainerLog, KubeadmOutput, StaticPod, FromAPI, FromEtcd, Certificates, Host, Config} {
		if !places[p] {
			t.Errorf("no pattern is for %s", p)
		}
	}
}
