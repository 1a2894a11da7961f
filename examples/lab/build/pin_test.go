//go:build linux

package build

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestPinnedGoMod(t *testing.T) {
	var m goMod
	err := json.Unmarshal([]byte(`{"Go": "1.20",
		"Require": [{"Path": "k8s.io/kubelet", "Version": "v0.0.0"}, {"Path": "k8s.io/klog/v2", "Version": "v2.100.1"}, {"Path": "k8s.io/api", "Version": "v0.0.0"}],
		"Replace": [{"Old": {"Path": "k8s.io/api"}, "New": {"Path": "./staging/src/k8s.io/api"}}]}`), &m)
	if err != nil {
		t.Fatal(err)
	}
	want := "// Builds Kubernetes 1.28.15 out of its module. Written by `lab pin 1.28.15`.\n" +
		"module upgrader.dev/upgrader/examples/lab/modules/kubernetes-1.28.15\n\ngo 1.20\n\nrequire k8s.io/kubernetes v1.28.15\n\nreplace (\n" +
		"\tk8s.io/api => k8s.io/api v0.28.15\n\tk8s.io/kubelet => k8s.io/kubelet v0.28.15\n)\n"
	if got := m.pinned("1.28.15"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWants(t *testing.T) {
	path := filepath.Join(t.TempDir(), "constants.go")
	text := "package constants\n\nconst (\n\tDefaultEtcdVersion = \"3.5.15-0\"\n\tCoreDNSVersion = \"v1.10.1\"\n\tOther = 1\n)\n\nconst PauseVersion = \"3.9\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := wants(path)
	if want := (Release{Etcd: "3.5.15-0", CoreDNS: "v1.10.1", Pause: "3.9"}); err != nil || r != want {
		t.Errorf("got %+v, %v", r, err)
	}
	if err := os.WriteFile(path, []byte("package constants\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := wants(path); err == nil {
		t.Error("constants without versions are no error")
	}
}

func TestNamesOfGoBuild(t *testing.T) {
	for pkg, want := range map[string]string{
		"go.etcd.io/etcd/server/v3": "server", "k8s.io/kubernetes/cmd/kubeadm": "kubeadm", "go.etcd.io/etcd/etcdctl/v3": "etcdctl",
	} {
		if got := builtName(pkg); got != want {
			t.Errorf("%s is built as %s, want %s", pkg, got, want)
		}
	}
}
