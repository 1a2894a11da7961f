package machine

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// survey is the script by which preflight looks at a host.
func survey(t testing.TB) string {
	t.Helper()
	var text string
	for _, part := range []string{"inquiry/inquiry.sh", "survey/host.sh"} {
		data, err := os.ReadFile("../../" + part)
		if err != nil {
			t.Fatal(err)
		}
		text += string(data)
	}
	return `set -eu; VERSION=1.27.16 LINE=1.28 REVISIONS="kubeadm=1.28.15-1.1" IMAGES="registry.k8s.io/kube-apiserver:v1.28.15 registry.k8s.io/kube-apiserver:v1.28.99 registry.k8s.io/pause:3.9"
` + text
}

// TestSurvey proves that a healthy control plane answers the whole script of preflight, in real time and not in hurried
// time, and that looking changes nothing.
func TestSurvey(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Speed = 1000 })
	r.sh(to128)
	before := len(r.effects.list())
	a := r.sh(survey(t))
	if a.code != 0 || strings.Contains(a.err, "pretend") {
		t.Fatalf("status %d: %s", a.code, a.err)
	}
	for _, want := range []string{
		"cgroup cgroup2fs", "kubectl v1.27.16", "disk /var/lib/etcd /dev/sda1", "unit kubelet Result=success NRestarts=0",
		"ExecMainExitTimestampMonotonic=0 ExecMainStatus=0 LoadState=loaded ActiveState=active SubState=running UnitFileState=enabled",
		"|    - --service-cluster-ip-range=10.96.0.0/12", "|--config=/var/lib/kubelet/config.yaml", "|--pod-infra-container-image=registry.k8s.io/pause:3.9",
		"== certificate /etc/kubernetes/pki/etcd/peer.crt", "|server https://10.0.0.1:6443", "|client-certificate /var/lib/kubelet/pki/kubelet-client-current.pem",
		"answers", "image registry.k8s.io/kube-apiserver:v1.28.15 200@https://registry.k8s.io", "image registry.k8s.io/kube-apiserver:v1.28.99 404@https://registry.k8s.io", "image registry.k8s.io/pause:3.9 here",
		"_v1.28_deb_InRelease GOODSIG 234654DA9A296436", "remote kubelet 1.28.15-1.1", "|Inst kubeadm [1.27.16-1.1] (1.28.15-1.1 kubernetes [amd64])",
		"ready", "process_start_time_seconds 1.79531698221e+09", "|[upgrade/diff] FYI: You can look at this config file with 'kubectl -n kube-system get cm kubeadm-config -o yaml'",
	} {
		if !strings.Contains(a.out, want+"\n") && !strings.Contains(a.out, want+" ") {
			t.Errorf("%q is missing", want)
		}
	}
	for _, no := range []string{"leftover", "swap ", "|+  ", "|-  ", "fails", "silent"} {
		if strings.Contains(a.out, "\n"+no) {
			t.Errorf("a healthy host says %q", no)
		}
	}
	if all := r.effects.list(); len(all) != before {
		t.Errorf("looking changed something: %q", all[before:])
	}
}

// TestShared proves that machines which share what they have understood of scripts do not get into each other's way, and
// that a script which defines functions works on each of them.
func TestShared(t *testing.T) {
	common, err := NewCommon()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, name := range []string{"cp1", "w1", "w2"} {
		r := newRig(t, func(c *Config) { c.Common, c.Name, c.ControlPlane = common, name, name == "cp1" })
		for range 2 {
			c := r.dial()
			all.Go(func() {
				if a := on(c, "/bin/sh", survey(t)); a.code != 0 || !strings.Contains(a.out, "unit kubelet") {
					t.Errorf("%s: %+v", name, a)
				}
				if a := on(c, "/bin/sh", "f() { hostname; }\nfor i in 1 2; do f; done | sed s/^/./"); a.out != "."+name+"\n."+name+"\n" {
					t.Errorf("%s: %+v", name, a)
				}
			})
		}
	}
	all.Wait()
}

// BenchmarkSurvey measures the whole script on one control plane: five hundred hosts have to answer within seconds.
func BenchmarkSurvey(b *testing.B) {
	r := newRig(b, nil)
	c, script := r.dial(), survey(b)
	for b.Loop() {
		if a := on(c, "/bin/sh", script); a.code != 0 || a.failure != nil {
			b.Fatal(a)
		}
	}
}

const (
	signed   = "f=/var/lib/apt/lists/pkgs.k8s.io_core:_stable:_v1.27_deb_InRelease; k=/etc/apt/keyrings/kubernetes-apt-keyring.gpg; "
	gpgvLook = "gpgv --status-fd 1 --keyring $k $f 2>/dev/null | grep -o -E '(GOODSIG|BADSIG|EXPKEYSIG|NO_PUBKEY) [0-9A-F]*'"
	manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml"
)

// TestLooks proves what the commands answer that look at a host, and how trouble of each sort shows in them.
func TestLooks(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		change       func(*rig)
		code         int
		says         string // standard output and error hold it
	}{
		{"inodes", "df -Pi /var/lib | tail -n 1 | tr -s ' '", nil, 0, "/dev/sda1 2621440 131072 2490368 5% /\n"},
		{"a full disk", "df -Pk /var/lib/etcd/member | tail -n 1 | tr -s ' '", func(r *rig) { r.Mount(Disk{"/dev/sdb", "/var/lib/etcd", 8 << 20, 1 << 20, 10, 0}) }, 0, "/dev/sdb 8192 7168 1024 88% /var/lib/etcd\n"},
		{"the disk beside it", "df -Pk /var/lib/etcdx", func(r *rig) { r.Mount(Disk{"/dev/sdb", "/var/lib/etcd", 1, 0, 1, 0}) }, 1, "No such file or directory"},
		{"file systems", "stat -f -c %T /sys/fs/cgroup /proc / /run", nil, 0, "cgroup2fs\nproc\next2/ext3\ntmpfs\n"},
		{"control groups of version 1", "mkdir /sys/fs/cgroup/memory; stat -f -c %T /sys/fs/cgroup", nil, 0, "tmpfs\n"},
		{"swap", "echo '/swap.img file 2097148 0 -2' >>/proc/swaps; tail -n +2 /proc/swaps", nil, 0, "/swap.img file 2097148 0 -2\n"},
		{"the clock", "date +%Y", func(r *rig) { r.SetClock(-40 * 365 * 24 * time.Hour) }, 0, "19"},
		{"ready", "kubectl --kubeconfig=/etc/kubernetes/admin.conf --server=https://10.0.0.1:6443 --request-timeout=5s get --raw /readyz", nil, 0, "ok"},
		{"nobody there", "kubectl --server=https://10.0.0.9:6443 get --raw /readyz", nil, 1, "The connection to the server 10.0.0.9:6443 was refused - did you specify the right host or port?\n"},
		{"not ready", "kubectl --server=https://10.0.0.1:6443 get --raw /readyz", func(r *rig) { r.world.apiDown = true }, 1, "readyz check failed"},
		{"no kubeconfig", "kubectl --kubeconfig=/nothing get --raw /readyz", nil, 1, "error: stat /nothing: no such file or directory\n"},
		{"containerd away", "systemctl stop containerd; crictl info", nil, 1, "connect: connection refused"},
		{"the wrong socket", "crictl -r unix:///run/crio/crio.sock info", nil, 1, "dial unix /run/crio/crio.sock: connect: no such file or directory"},
		{"an image that is not here", "crictl inspecti registry.k8s.io/pause:3.99", nil, 1, "crictl: no such image \"registry.k8s.io/pause:3.99\" present\n"},
		{"an image that nobody has", "curl -sS -o /dev/null -w '%{http_code}' https://registry.k8s.io/v2/coredns/coredns/manifests/v9", nil, 0, "404"},
		{"a mirror that is not there", "curl -sSL -o /dev/null -w '%{http_code}' http://mirror.invalid/v2/pause/manifests/3.9", nil, 6, "000"},
		{"a minor version that is not out", "curl -fsSL https://pkgs.k8s.io/core:/stable:/v1.99/deb/Packages", nil, 22, "curl: (22) The requested URL returned error: 403\n"},
		{"a good signature", signed + gpgvLook, nil, 0, "GOODSIG 234654DA9A296436\n"},
		{"an armoured key", signed + "curl -fsSL https://pkgs.k8s.io/core:/stable:/v1.27/deb/Release.key | sed -e '1,/^$/d' -e '/^-----END/d' -e '/^=/d' | base64 -d >/tmp/k; k=/tmp/k; " + gpgvLook, nil, 0, "GOODSIG"},
		{"another key", signed + "echo another >$k; " + gpgvLook, nil, 0, "NO_PUBKEY 234654DA9A296436\n"},
		{"an old key", signed + "echo expired >>$k; " + gpgvLook + "; apt-get update", nil, 100, "EXPKEYSIG 234654DA9A296436 isv:kubernetes OBS Project"},
		{"a list that was changed", signed + "sed -i s/Label/Lable/ $f; " + gpgvLook, nil, 0, "BADSIG"},
		{"upgrades by themselves", `mkdir -p /etc/apt/apt.conf.d; echo 'APT::Periodic::Unattended-Upgrade "1";' >/etc/apt/apt.conf.d/20auto-upgrades; apt-config dump | grep Periodic`, nil, 0, "APT::Periodic::Unattended-Upgrade \"1\";\n"},
		{"every missing revision", to128 + "apt-get -s install kubeadm=1.28.99-1.1 kubelet=1.28.98-1.1", nil, 100, "E: Version '1.28.99-1.1' for 'kubeadm' was not found\nE: Version '1.28.98-1.1' for 'kubelet' was not found\n"},
		{"a flag edited", "sed -i 's/--secure-port=6443/--secure-port=7443/' " + manifest + "; kubeadm upgrade diff v1.27.16 | tail -n +3", nil, 0, "--- " + manifest + "\n+++ new manifest\n@@ -33,7 +33,7 @@\n"},
		{"the flag itself", "sed -i 's/--secure-port=6443/--secure-port=7443/' " + manifest + "; kubeadm upgrade diff v1.27.16 | grep '^[-+] '", nil, 0, "-    - --secure-port=7443\n+    - --secure-port=6443\n"},
		{"another manifest", "sed '/leader-elect/d' /etc/kubernetes/manifests/kube-scheduler.yaml >/tmp/s; kubeadm upgrade diff --scheduler-manifest /tmp/s -c 0 v1.27.16 | tail -n 4", nil, 0, "--- /tmp/s\n+++ new manifest\n@@ -17,0 +18 @@\n+    - --leader-elect=true\n"},
		{"a manifest away", "rm " + manifest + "; kubeadm upgrade diff v1.27.16", nil, 1, "does not exist"},
		{"the kubelet's flags", "echo 'KUBELET_EXTRA_ARGS=--cloud-provider=external --v=4' >/etc/default/kubelet; systemctl restart kubelet; tr '\\000' ' ' </proc/$(systemctl show -p MainPID --value kubelet)/cmdline", nil, 0, "--pod-infra-container-image=registry.k8s.io/pause:3.9 --cloud-provider=external --v=4 "},
		{"a drop-in of one's own", "mkdir -p /etc/systemd/system/kubelet.service.d; printf '[Service]\\nEnvironment=\"KUBELET_CONFIG_ARGS=--config=/etc/k.yaml\"\\n' >/etc/systemd/system/kubelet.service.d/20-own.conf; systemctl restart kubelet; tr '\\000' ' ' </proc/$(systemctl show -p MainPID --value kubelet)/cmdline", nil, 0, " --config=/etc/k.yaml "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, nil)
			if tc.change != nil {
				tc.change(r)
			}
			if a := r.sh(tc.script); a.code != tc.code || !strings.Contains(a.out+a.err, tc.says) {
				t.Errorf("%s\nstatus %d, said %q %q\nwant %d, %q", tc.script, a.code, a.out, a.err, tc.code, tc.says)
			}
		})
	}
}

// certificates are those of a file, the first of which is the one that matters.
func (r *rig) certificates(file string) []*x509.Certificate {
	r.t.Helper()
	rest, all := []byte(r.sh("cat "+file).out), []*x509.Certificate(nil)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			r.t.Fatalf("%s: %v", file, err)
		}
		all = append(all, c)
	}
}

// TestCertificates proves that the certificates are real: signed by the authorities beside them, for a year, and renewed
// by an upgrade, which the authorities and the kubelet's are not.
func TestCertificates(t *testing.T) {
	r := newRig(t, nil)
	by := map[string]string{
		"apiserver": "ca", "apiserver-kubelet-client": "ca", "apiserver-etcd-client": "etcd/ca", "front-proxy-client": "front-proxy-ca",
		"etcd/server": "etcd/ca", "etcd/peer": "etcd/ca", "etcd/healthcheck-client": "etcd/ca",
	}
	ends := map[string]time.Time{}
	for name, ca := range by {
		cert, authority := r.certificates(pkiDir + name + ".crt")[0], r.certificates(pkiDir + ca + ".crt")[0]
		if err := cert.CheckSignatureFrom(authority); err != nil {
			t.Errorf("%s is not signed by %s: %v", name, ca, err)
		}
		if lasts := cert.NotAfter.Sub(cert.NotBefore); lasts != leafLasts || time.Until(cert.NotAfter) < leafLasts/2 {
			t.Errorf("%s lasts %v, until %v", name, lasts, cert.NotAfter)
		}
		if authority.NotAfter.Sub(authority.NotBefore) != authorityLasts || !authority.IsCA {
			t.Errorf("%s is no authority for ten years", ca)
		}
		ends[name] = cert.NotAfter
	}
	server := r.certificates(pkiDir + "apiserver.crt")[0]
	if err := server.VerifyHostname("10.0.0.1"); err != nil {
		t.Error(err)
	}
	kubelet := r.certificates(kubeletPKI + "kubelet-client-current.pem")[0]
	if kubelet.Subject.CommonName != "system:node:cp1" || !slices.Equal(kubelet.Subject.Organization, []string{"system:nodes"}) {
		t.Errorf("the kubelet is %s", kubelet.Subject)
	}
	if own := r.certificates(kubeletPKI + "kubelet.crt"); len(own) != 2 || own[0].CheckSignatureFrom(own[1]) != nil {
		t.Error("the kubelet's serving certificate is not signed by the one behind it")
	}
	if a := r.sh(kubeadm128 + "kubeadm upgrade apply -y v1.28.15"); a.code != 0 {
		t.Fatal(a)
	}
	for name, end := range ends {
		if renewed := r.certificates(pkiDir + name + ".crt")[0]; !renewed.NotAfter.After(end) {
			t.Errorf("%s was not renewed", name)
		}
	}
	if again := r.certificates(kubeletPKI + "kubelet-client-current.pem")[0]; !again.Equal(kubelet) {
		t.Error("kubeadm has renewed the kubelet's certificate")
	}
	if a := r.sh("grep -c client-certificate-data: /etc/kubernetes/admin.conf; openssl 2>/dev/null; kubeadm upgrade apply -y --certificate-renewal=false v1.28.15 | grep -c Renewing"); a.out != "1\n0\n" {
		t.Errorf("%+v", a)
	}
}

// TestKubeletFlags proves what kubeadm writes for the kubelet by version, and takes away when it upgrades.
func TestKubeletFlags(t *testing.T) {
	for version, want := range map[string]string{
		"1.27.16": `KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=unix:///var/run/containerd/containerd.sock --pod-infra-container-image=registry.k8s.io/pause:3.9"`,
		"1.34.1":  `KUBELET_KUBEADM_ARGS="--pod-infra-container-image=registry.k8s.io/pause:3.10.1"`,
		"1.35.1":  `KUBELET_KUBEADM_ARGS=""`,
	} {
		if got := kubeletFlags(version); got != want+"\n" {
			t.Errorf("%s: %s", version, got)
		}
	}
	r := newRig(t, func(c *Config) {
		c.ControlPlane, c.Version, c.Name, c.World = false, "1.35.1", "w1", newWorld("1.35.1", "cp1")
	})
	a := r.sh("echo 'KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/x.sock --node-ip=10.0.0.7 --pod-infra-container-image=p:1\"' >" + kubeletFlagsFile + "; kubeadm upgrade node >/dev/null; cat " + kubeletFlagsFile + " " + kubeletInstance)
	if want := "KUBELET_KUBEADM_ARGS=\"--node-ip=10.0.0.7 \"\ncontainerRuntimeEndpoint: \"unix:///run/x.sock\"\n"; a.out != want {
		t.Errorf("after the upgrade:\n%swant:\n%s", a.out, want)
	}
}

// TestManifests proves what changes in the manifests with the version.
func TestManifests(t *testing.T) {
	r := newRig(t, nil)
	for image, want := range map[string][]string{
		"registry.k8s.io/etcd:3.5.24-0":          {"--experimental-initial-corrupt-check=true", "path: /health?serializable=false", "port: 2381"},
		"registry.k8s.io/etcd:3.6.5-0":           {"--feature-gates=InitialCorruptCheck=true", "path: /livez", "port: probe-port"},
		"registry.k8s.io/kube-scheduler:v1.29.0": {"creationTimestamp: null", "path: /healthz", "port: 10259"},
		"registry.k8s.io/kube-scheduler:v1.35.0": {"containerPort: 10259", "path: /readyz", "port: probe-port"},
	} {
		component, _, _ := strings.Cut(strings.TrimPrefix(image, "registry.k8s.io/"), ":")
		text := r.manifest(component, image)
		for _, w := range append(want, "image: "+image) {
			if !strings.Contains(text, w+"\n") {
				t.Errorf("%s: %q is missing in\n%s", image, w, text)
			}
		}
	}
}

// Property: the edits that lead from one text to another are made of the one and of the other, and of nothing that both
// have in the same place.
func TestEdits(t *testing.T) {
	line := rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "d\n"})
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOf(line).Draw(t, "a"), rapid.SliceOf(line).Draw(t, "b")
		var from, to []string
		for _, e := range edits(a, b) {
			if e.kind != '+' {
				from = append(from, e.text)
			}
			if e.kind != '-' {
				to = append(to, e.text)
			}
		}
		if !slices.Equal(from, a) && len(from)+len(a) > 0 || !slices.Equal(to, b) && len(to)+len(b) > 0 {
			t.Fatalf("%q and %q became %q and %q", a, b, from, to)
		}
		if (unifiedDiff("a", "b", strings.Join(a, ""), strings.Join(b, ""), 3) == "") != slices.Equal(a, b) {
			t.Fatal("equal texts differ, or different ones do not")
		}
	})
}
