package survey

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"upgrader.dev/upgrader/steps/inquiry"
)

func said(t *testing.T, host string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + host + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What a real control plane of 1.27.3 said is understood.
func TestReadControlPlane(t *testing.T) {
	h := Read("cp1", inquiry.Read(said(t, "cp1"), ""), time.Unix(1795319170, 0), time.Unix(1795319172, 0))
	want := &Host{
		Name: "cp1", Root: true, Now: time.UnixMicro(1795319171140514), Kernel: "6.1.0-26-amd64", Cgroup: "tmpfs", Kubeadm: "1.27.3", Kubelet: "1.27.3", Kubectl: "1.27.3", EtcdDB: 2670592,
		Units: map[string]Unit{
			"kubelet": {Load: "loaded", Active: "active", Sub: "running", Enabled: "enabled"}, "containerd": {Load: "loaded", Active: "active", Sub: "running", Enabled: "enabled"},
			"crio": {Load: "not-found", Active: "inactive", Sub: "dead"}, "unattended-upgrades": {Load: "not-found", Active: "inactive", Sub: "dead"},
		},
		Runtime: Runtime{Asked: true, Answers: true, Images: map[string]string{
			"registry.k8s.io/kube-apiserver:v1.28.15": "200@https://registry.k8s.io", "registry.k8s.io/kube-controller-manager:v1.28.15": "200@https://registry.k8s.io",
			"registry.k8s.io/kube-scheduler:v1.28.15": "200@https://registry.k8s.io", "registry.k8s.io/kube-proxy:v1.28.15": "200@https://registry.k8s.io",
		}},
		Apt: Apt{There: true, Held: []string{"kubeadm", "kubectl", "kubelet"}, Simulated: true, Fails: true,
			Signatures: []Signature{{"/var/lib/apt/lists/10.0.0.1:8077_core:_stable:_v1.27_deb_InRelease", "GOODSIG", "21E89722EF7359F7"}},
			Remote:     map[string][]string{"kubeadm": {"1.28.15-1.1"}, "kubelet": {"1.28.15-1.1"}, "kubectl": {"1.28.15-1.1"}},
		},
		API:      &API{Address: "10.0.0.11:6443", Ready: true, Started: time.Unix(1795316982, 0)},
		Compared: true,
		Kubeconfigs: map[string]string{
			"/etc/kubernetes/admin.conf": "https://10.0.0.1:6443", "/etc/kubernetes/controller-manager.conf": "https://10.0.0.11:6443",
			"/etc/kubernetes/scheduler.conf": "https://10.0.0.11:6443", "/etc/kubernetes/kubelet.conf": "https://10.0.0.1:6443",
		},
	}
	ignore := cmpopts.IgnoreFields(Host{}, "Disks", "Files", "Command", "Certificates", "Difference", "Changed", "More")
	if d := cmp.Diff(want, h, ignore, cmpopts.IgnoreFields(Apt{}, "Says")); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if d := cmp.Diff(Disk{Path: "/etc/kubernetes", Device: "overlay", Mount: "/", Size: 264212084 << 10, Free: 43847440 << 10, Inodes: 16777216, InodesFree: 15831231}, h.Disks[4]); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if !strings.Contains(h.Files["/etc/kubernetes/manifests/etcd.yaml"], "\n    - --data-dir=/var/lib/etcd\n") {
		t.Errorf("etcd.yaml is %q", h.Files["/etc/kubernetes/manifests/etcd.yaml"])
	}
	if h.Command[0] != "/usr/bin/kubelet" {
		t.Errorf("the kubelet runs as %q", h.Command)
	}
	if n := len(h.Certificates); n != 15 {
		t.Errorf("%d certificates", n)
	}
	for _, c := range h.Certificates {
		if c.Err != nil || c.X509.NotAfter.Before(c.X509.NotBefore) {
			t.Errorf("%s: %v", c.Path, c.Err)
		}
	}
}

// The deprecated versions that were requested are read out of the metrics; a count of zero is none.
func TestReadRequested(t *testing.T) {
	h := Read("cp1", inquiry.Read(`== api 10.0.0.11:6443
ready
apiserver_requested_deprecated_apis{group="policy",removed_release="1.25",resource="poddisruptionbudgets",subresource="",version="v1beta1"} 1
apiserver_requested_deprecated_apis{group="batch",removed_release="1.25",resource="cronjobs",subresource="status",version="v1beta1"} 0
`, ""), time.Now(), time.Now())
	want := []Requested{{Group: "policy", Version: "v1beta1", Resource: "poddisruptionbudgets", RemovedIn: "1.25"}}
	if d := cmp.Diff(want, h.API.Deprecated); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// What systemd tells of a unit is dated by how long the host has been up, and files by the host's clock.
func TestReadWhatIsDated(t *testing.T) {
	h := Read("w1", inquiry.Read("== host\nclock 1795319344.5\nup 900\n"+
		"leftover 1795319300 12 /etc/kubernetes/tmp/kubeadm-backup-1\n"+
		"unit kubelet Result=exit-code NRestarts=2 ExecMainStartTimestampMonotonic=891000000 ExecMainExitTimestampMonotonic=892000000 "+
		"ExecMainStatus=1 LoadState=loaded ActiveState=activating SubState=auto-restart UnitFileState=enabled \n"+
		"unit crio Result=success NRestarts=0 ExecMainStartTimestampMonotonic=0 ExecMainStatus=0 LoadState=not-found ActiveState=inactive SubState=dead UnitFileState= \n"+
		"== file /etc/a\nchanged 1795319048\n|x\n", ""), time.Now(), time.Now())
	units := map[string]Unit{
		"kubelet": {Load: "loaded", Active: "activating", Sub: "auto-restart", Enabled: "enabled", Restarts: 2, Result: "exit-code 1", Ran: true, Began: 9 * time.Second},
		"crio":    {Load: "not-found", Active: "inactive", Sub: "dead", Result: "success 0"},
	}
	if d := cmp.Diff(units, h.Units); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if d := cmp.Diff([]File{{"/etc/kubernetes/tmp/kubeadm-backup-1", 12 << 10, time.Unix(1795319300, 0)}}, h.Leftovers); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if age := h.Now.Sub(h.Changed["/etc/a"]); age != 296500*time.Millisecond || h.Files["/etc/a"] != "x\n" {
		t.Errorf("/etc/a is %s old", age)
	}
}

// A clock that the time of the round trip could explain is right.
func TestAhead(t *testing.T) {
	began := time.Unix(1000, 0)
	for clock, want := range map[string]time.Duration{
		"1000.500000000": 0, "999.000000000": -time.Second, "1031.000000000": 30 * time.Second, "1001.000000000": 0, "nonsense": 0,
	} {
		if got := ahead(instant(clock), began, began.Add(time.Second)); got != want {
			t.Errorf("%s: %s, want %s", clock, got, want)
		}
	}
}

// Whatever a host says, reading it ends, and what stands in a file is never taken for an answer.
func TestReadBearsAnything(t *testing.T) {
	whole := said(t, "cp1")
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(0, len(whole)-1).Draw(t, "from")
		to := rapid.IntRange(from, len(whole)).Draw(t, "to")
		noise := rapid.StringMatching(`(== [a-z]+ ?|\||[a-z-]+ |(swap|disk|inodes|unit|image|leftover|snapshot|signature) ?)?[ -~]{0,40}\n`).Draw(t, "noise")
		Read("x", inquiry.Read(whole[:from]+noise+whole[to:], noise), time.Now(), time.Now())
	})
	h := Read("x", inquiry.Read("== file /etc/default/kubelet\n|== host\n|user 0\n|swap /x\n", ""), time.Now(), time.Now())
	if h.Root || len(h.Swaps) > 0 || h.Files["/etc/default/kubelet"] != "== host\nuser 0\nswap /x\n" {
		t.Errorf("%+v", h)
	}
}
