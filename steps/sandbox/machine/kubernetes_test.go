package machine

import (
	"strings"
	"testing"
	"time"
)

const to128 = "sed -i 's#/v1.27/#/v1.28/#' /etc/apt/sources.list.d/kubernetes.list; apt-get update >/dev/null || exit 9; "

// TestPackages proves the words, the exit codes and the effects of apt and dpkg.
func TestPackages(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		code         int
		says         string // standard output and error hold it
		effect       string // and this was recorded
	}{
		{"status", `dpkg-query -W -f '${db:Status-Abbrev} ${Version}\n' kubeadm`, 0, "hi  1.27.16-1.1\n", ""},
		{"no such package", `dpkg-query -W nothing`, 1, "dpkg-query: no packages found matching nothing", ""},
		{"madison before the source changes", `apt-cache madison kubeadm | head -n 1`, 0, "kubeadm | 1.27.16-1.1 | https://pkgs.k8s.io/core:/stable:/v1.27/deb  Packages", ""},
		{"madison without update shows neither", `sed -i 's#/v1.27/#/v1.28/#' /etc/apt/sources.list.d/kubernetes.list; apt-cache madison kubeadm | wc -l`, 0, "0\n", ""},
		{"madison after update", to128 + `apt-cache madison kubeadm | head -n 1`, 0, "1.28.15-1.1 | https://pkgs.k8s.io/core:/stable:/v1.28/deb  Packages", "apt-lists: package lists updated: v1.28"},
		{"held", to128 + `apt-get install -y kubeadm=1.28.15-1.1`, 100, "E: Held packages were changed and -y was used without --allow-change-held-packages.", ""},
		{"install", to128 + `apt-mark unhold kubeadm; apt-get install -y kubeadm=1.28.15-1.1 && apt-mark hold kubeadm; kubeadm version -o short`, 0, "v1.28.15\n", "package: installed kubeadm 1.28.15-1.1"},
		{"not to be had", to128 + `apt-mark unhold kubeadm; apt-get install -y kubeadm=1.28.99-1.1`, 100, "E: Version '1.28.99-1.1' for 'kubeadm' was not found", ""},
		{"downgrade", `apt-mark unhold kubeadm; apt-get install -y kubeadm=1.27.3-1.1`, 100, "E: Packages were downgraded and -y was used without --allow-downgrades.", ""},
		{"simulate", to128 + `apt-get install -s kubectl=1.28.15-1.1`, 0, "Inst kubectl [1.27.16-1.1] (1.28.15-1.1", ""},
		{"no such minor", `sed -i 's#/v1.27/#/v1.99/#' /etc/apt/sources.list.d/kubernetes.list; apt-get update`, 100, "403  Forbidden", ""},
		{"no key", `rm /etc/apt/keyrings/kubernetes-apt-keyring.gpg; apt-get update`, 100, "NO_PUBKEY", ""},
		{"a new key", `k=/etc/apt/keyrings/kubernetes-apt-keyring.gpg; rm $k; curl -fsSL https://pkgs.k8s.io/core:/stable:/v1.28/deb/Release.key | gpg --dearmor -o $k; apt-get update`, 0, "Reading package lists", "file: wrote /etc/apt/keyrings/kubernetes-apt-keyring.gpg"},
		{"kubelet binary and process", to128 + `apt-mark unhold kubelet >/dev/null; apt-get install -y kubelet=1.28.15-1.1 >/dev/null; kubelet --version; readlink /proc/$(systemctl show -p MainPID --value kubelet)/exe; systemctl show -p NeedDaemonReload kubelet`, 0, "Kubernetes v1.28.15\n/usr/bin/kubelet (deleted)\nNeedDaemonReload=yes\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, nil)
			a := r.sh(tc.script)
			if a.code != tc.code || !strings.Contains(a.out+a.err, tc.says) {
				t.Errorf("%s\nstatus %d, said %q %q\nwant %d, %q", tc.script, a.code, a.out, a.err, tc.code, tc.says)
			}
			if tc.effect != "" && !r.effects.with(tc.effect) {
				t.Errorf("recorded %q, want %q among it", r.effects.list(), tc.effect)
			}
		})
	}
}

// TestDpkgLock proves that a held lock names its holder everywhere, fails at once or is waited for.
func TestDpkgLock(t *testing.T) {
	r := newRig(t, nil)
	r.sh(to128 + "apt-mark unhold kubeadm")
	release := r.HoldDpkgLock(time.Hour, "unattended-upgr")
	a := r.sh("apt-get install -y kubeadm=1.28.15-1.1")
	if a.code != 100 || !strings.Contains(a.err, "(unattended-upgr)") {
		t.Errorf("with the lock held: %+v", a)
	}
	a = r.sh(`inode=$(stat -c %i /var/lib/dpkg/lock-frontend)
pid=$(sed -n -E "s/^[0-9]+: [A-Z]+ +[A-Z]+ +WRITE +([0-9]+) +[0-9a-f]+:[0-9a-f]+:$inode .*/\1/p" /proc/locks)
cat /proc/$pid/comm; fuser /var/lib/dpkg/lock-frontend 2>/dev/null | tr -d ' '; echo; echo $pid`)
	l := strings.Fields(a.out)
	if len(l) != 3 || l[0] != "unattended-upgr" || l[1] != l[2] {
		t.Errorf("the holder: %q", a.out)
	}
	time.AfterFunc(50*time.Millisecond, release)
	if a := r.sh("apt-get install -y -o DPkg::Lock::Timeout=60 kubeadm=1.28.15-1.1"); a.code != 0 {
		t.Errorf("waiting for the lock: %+v", a)
	}
}

// TestBrokenInstall proves that a half-configured package shows the new version and is configured by dpkg or by the next
// apt-get install; and that an installation that was killed leaves a journal, which blocks apt until dpkg has merged it.
func TestBrokenInstall(t *testing.T) {
	r := newRig(t, nil)
	r.BreakNextInstall()
	a := r.sh(to128 + "apt-mark unhold kubelet; apt-get install -y kubelet=1.28.15-1.1")
	if a.code != 100 || !strings.Contains(a.err, "E: Sub-process /usr/bin/dpkg returned an error code (1)") {
		t.Errorf("%+v", a)
	}
	a = r.sh(`dpkg-query -W -f '${db:Status-Abbrev}|${Version}\n' kubelet; dpkg --audit | grep -c kubelet; dpkg --configure -a; dpkg-query -W -f '${db:Status-Abbrev}\n' kubelet; dpkg --audit`)
	if want := "iF |1.28.15-1.1\n1\nSetting up kubelet (1.28.15-1.1) ...\nii \n"; a.out != want {
		t.Errorf("got %q, want %q", a.out, want)
	}
	r.BreakNextInstall()
	a = r.sh("apt-mark unhold kubectl kubeadm; apt-get install -y kubectl=1.28.15-1.1 >/dev/null 2>&1; apt-get install -y kubelet | grep Setting; dpkg-query -W -f '${db:Status-Abbrev}\n' kubectl")
	if !strings.HasSuffix(a.out, "Setting up kubectl (1.28.15-1.1) ...\nii \n") {
		t.Errorf("apt tried again: %+v", a)
	}
	r.HangNextInstall()
	a = r.sh(`apt-mark unhold kubeadm >/dev/null; systemd-run -q --unit=i apt-get install -y kubeadm=1.28.15-1.1
until dpkg-query -W -f '${db:Status-Abbrev}' kubeadm | grep -q '^.F'; do :; done; sleep 0.2; systemctl kill -s KILL i; while systemctl is-active -q i; do :; done
apt-get install -y kubeadm 2>&1 | grep -c 'dpkg --configure -a'; dpkg --configure -a; apt-get install -y kubeadm=1.28.15-1.1 | grep -c newest`)
	if want := "1\nSetting up kubeadm (1.28.15-1.1) ...\n1\n"; a.out != want {
		t.Errorf("killed: got %q, want %q", a.out, want)
	}
}

const kubeadm128 = to128 + "apt-mark unhold kubeadm >/dev/null; apt-get install -y kubeadm=1.28.15-1.1 >/dev/null || exit 9; "

// TestKubeadmRefuses proves kubeadm's refusals, in its words.
func TestKubeadmRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		change       func(*fakeWorld)
		login        string
		code         int
		says         string
	}{
		{"newer than kubeadm", "kubeadm upgrade apply -y v1.28.15", nil, "", 1, "at least one minor release higher than the kubeadm minor release (28 > 27)"},
		{"newer patch than kubeadm", kubeadm128 + "kubeadm upgrade apply -y v1.28.16", nil, "", 1, "Upgrade kubeadm first"},
		{"two minors", kubeadm128 + "kubeadm upgrade apply -y v1.28.15", func(w *fakeWorld) { w.version = "1.26.15" }, "", 1, "is too high; kubeadm can upgrade only 1 minor version at a time"},
		{"older than it supports", kubeadm128 + "kubeadm upgrade apply -y v1.26.15", nil, "", 1, "only supports deploying clusters with the control plane version >= 1.27.0"},
		{"downgrade", "kubeadm upgrade apply -y v1.27.3", nil, "", 1, "Can be bypassed if you pass the --force flag"},
		{"kubelets too old", kubeadm128 + "kubeadm upgrade apply -y v1.28.15", func(w *fakeWorld) { w.kubelets["w1"] = "1.26.1" }, "", 1, "kubelets in this cluster that are too old that have these versions [v1.26.1]"},
		{"not root", "kubeadm upgrade node", nil, "admin", 2, "[ERROR IsPrivilegedUser]: user is not running as root"},
		{"no API", "kubeadm upgrade plan v1.27.16", func(w *fakeWorld) { w.apiDown = true }, "", 1, "connection refused"},
		{"unasked", kubeadm128 + "kubeadm upgrade apply v1.28.15 </dev/null", nil, "", 1, "won't proceed"},
		{"no kubeconfig", "rm /etc/kubernetes/admin.conf; kubeadm upgrade plan", nil, "", 1, "admin.conf: no such file or directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Login = tc.login })
			if tc.change != nil {
				r.world.mu.Lock()
				tc.change(r.world)
				r.world.mu.Unlock()
			}
			a := r.sh(tc.script)
			if a.code != tc.code || !strings.Contains(a.err, tc.says) {
				t.Errorf("status %d, said %q\nwant %d, %q", a.code, a.err, tc.code, tc.says)
			}
			if r.effects.with("kubeadm:") || r.effects.with("manifest:") {
				t.Errorf("a refusal changed something: %q", r.effects.list())
			}
		})
	}
}

// TestUpgrade proves what kubeadm upgrade apply leaves: manifests in order, backups, the cluster's version; that a second
// run changes no manifest; and that the kubelet runs its old version until it is restarted.
func TestUpgrade(t *testing.T) {
	r := newRig(t, nil)
	a := r.sh(kubeadm128 + "kubeadm upgrade plan v1.28.15 && kubeadm upgrade apply -y v1.28.15")
	if a.code != 0 || !strings.Contains(a.out, `SUCCESS! Your cluster was upgraded to "v1.28.15". Enjoy!`) {
		t.Fatalf("%+v", a)
	}
	var changes []string
	for _, e := range r.effects.list() {
		if what, detail, _ := strings.Cut(e, ": "); what == EffectManifest || what == EffectKubeadm {
			changes = append(changes, strings.Fields(detail)[0])
		}
	}
	if got, want := strings.Join(changes, " "), "etcd kube-apiserver kube-controller-manager kube-scheduler upgrade"; got != want {
		t.Errorf("changed %q, want %q", got, want)
	}
	if v := r.world.ClusterVersion(); v != "1.28.15" {
		t.Errorf("the cluster's version is %q", v)
	}
	a = r.sh("grep -h image: /etc/kubernetes/manifests/*.yaml | grep -c -F -e :v1.28.15 -e etcd:3.5.15-0; ls -d /etc/kubernetes/tmp/kubeadm-backup-manifests-*/etcd.yaml | wc -l; curl -fsSk https://127.0.0.1:6443/livez; echo")
	if a.out != "4\n1\nok\n" {
		t.Errorf("on disk: %+v", a)
	}
	before := len(r.effects.list())
	if a := r.sh("kubeadm upgrade apply -y v1.28.15"); a.code != 0 || len(r.effects.list()) != before+1 {
		t.Errorf("a second run: %+v, effects %q", a, r.effects.list()[before:])
	}
	r.sh("apt-mark unhold kubelet; apt-get install -y kubelet=1.28.15-1.1")
	if v := r.world.KubeletVersions()["cp1"]; v != "1.27.16" {
		t.Errorf("before the restart the kubelet runs %s", v)
	}
	r.sh("systemctl daemon-reload; systemctl restart kubelet")
	if v := r.world.KubeletVersions()["cp1"]; v != "1.28.15" {
		t.Errorf("after the restart the kubelet runs %s", v)
	}
	if !r.effects.with("kubelet.service restarted (1.28.15, was 1.27.16)") {
		t.Errorf("effects: %q", r.effects.list())
	}
}

// TestStuckPod proves that kubeadm puts the old manifest back when a static pod does not come up.
func TestStuckPod(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Speed = 2000 })
	r.sh(kubeadm128)
	r.world.mu.Lock()
	r.world.stuck = "kube-scheduler"
	r.world.mu.Unlock()
	a := r.sh("kubeadm upgrade apply -y v1.28.15; rc=$?; grep image: /etc/kubernetes/manifests/kube-scheduler.yaml; exit $rc")
	if a.code != 1 || !strings.Contains(a.out, "v1.27.16") || r.world.ClusterVersion() != "1.27.16" {
		t.Errorf("%+v, cluster %s", a, r.world.ClusterVersion())
	}
}

const etcdFlags = "--endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt --key=/etc/kubernetes/pki/etcd/healthcheck-client.key"

// TestEtcd proves what etcdctl answers, and that a snapshot carries its hash as etcd's does.
func TestEtcd(t *testing.T) {
	r := newRig(t, nil)
	a := r.sh("e() { etcdctl " + etcdFlags + ` "$@"; }
e endpoint health --cluster -w json; e member list -w json; e endpoint status -w json; e alarm list
e snapshot save /var/backups/s.db
size=$(stat -c %s /var/backups/s.db); echo $((size % 512))
want=$(tail -c 32 /var/backups/s.db | od -An -v -tx1 | tr -d ' \n')
have=$(head -c $((size - 32)) /var/backups/s.db | sha256sum | cut -d ' ' -f 1)
[ "$want" = "$have" ] && echo whole
etcdutl snapshot status /var/backups/s.db -w json`)
	for _, want := range []string{`"health":true`, `"name":"cp1"`, `"version":"3.5.12"`, "\n32\nwhole\n", `"revision":4711`} {
		if !strings.Contains(a.out, want) {
			t.Errorf("%q is missing in %s%s", want, a.out, a.err)
		}
	}
	if !r.effects.with("snapshot: saved /var/backups/s.db") {
		t.Errorf("effects: %q", r.effects.list())
	}
	if a := r.sh("etcdctl endpoint health"); a.code != 1 {
		t.Errorf("without certificates: %+v", a)
	}
	if a := r.sh("printf x >>/var/backups/s.db; etcdutl snapshot status /var/backups/s.db"); a.code != 1 {
		t.Errorf("a damaged snapshot: %+v", a)
	}
}
