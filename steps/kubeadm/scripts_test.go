package kubeadm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A world is a directory that stands for a host: its /etc/kubernetes, its /var/lib/upgrader, and a PATH with a pretend
// kubeadm. The scripts run in it as they are, by the real /bin/sh.
type world struct {
	t    *testing.T
	root string
}

// kubeadm notes how it was called and in which umask, fails if it is to, and else does as the real one prints.
const kubeadm = `#!/bin/sh
case "$1" in
version) echo v1.28.15 ;;
config) [ "$*" = "config images list --kubernetes-version v1.28.15" ] || exit 1
  echo "W1120 could not fetch a Kubernetes version" >&2
  printf 'registry.k8s.io/kube-apiserver:v1.28.15\nregistry.k8s.io/pause:3.9\nregistry.k8s.io/etcd:3.5.15-0\nregistry.k8s.io/coredns/coredns:v1.10.1\n' ;;
*) echo "$(umask) $*" >>"$ROOT/calls"; cat "$ROOT/u/kubeadm-upgrade" >>"$ROOT/calls" 2>/dev/null; exit "${FAIL:-0}" ;;
esac
`

func newWorld(t *testing.T) *world {
	w := &world{t, t.TempDir()}
	w.write("bin/kubeadm", kubeadm, 0o755)
	return w
}

func (w *world) write(name, text string, mode os.FileMode) {
	w.t.Helper()
	file := filepath.Join(w.root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read(name string) string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.root, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func (w *world) run(text string, env ...string) (string, error) {
	cmd := exec.CommandContext(w.t.Context(), "/bin/sh", "-s")
	text = strings.NewReplacer("/etc/kubernetes", w.root+"/k", "/var/lib/upgrader", w.root+"/u").Replace(text)
	cmd.Stdin = strings.NewReader("set -eu\numask 077\n" + text)
	cmd.Env = append([]string{"LC_ALL=C", "PATH=" + w.root + "/bin:/usr/bin:/bin", "ROOT=" + w.root, "VERSION=1.28.15"}, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		w.t.Log(errs.String())
	}
	return out.String(), err
}

func TestUpgradeScriptCallsKubeadmAndMarksItsEnd(t *testing.T) {
	none := []string{"IGNORE=", "PATCHES=", "CONFIG=", "ETCD_UPGRADE=true", "CERTIFICATE_RENEWAL=true"}
	for name, tt := range map[string]struct {
		env   []string
		calls string
		mark  string
		fails bool
	}{
		"apply": {env: []string{"VERB=apply"}, calls: "0022 upgrade apply -y v1.28.15\napply v1.28.15 started\n", mark: "apply v1.28.15 done\n"},
		"node":  {env: []string{"VERB=node"}, calls: "0022 upgrade node\nnode v1.28.15 started\n", mark: "node v1.28.15 done\n"},
		"all flags": {env: []string{"VERB=node", "IGNORE=CreateJob,Swap", "PATCHES=/p q", "ETCD_UPGRADE=false", "CERTIFICATE_RENEWAL=false"},
			calls: "0022 upgrade node --ignore-preflight-errors=CreateJob,Swap --patches=/p q --etcd-upgrade=false --certificate-renewal=false\nnode v1.28.15 started\n", mark: "node v1.28.15 done\n"},
		"config": {env: []string{"VERB=apply", "CONFIG=/c"}, calls: "0022 upgrade apply -y v1.28.15 --config=/c\napply v1.28.15 started\n", mark: "apply v1.28.15 done\n"},
		"fails":  {env: []string{"VERB=apply", "FAIL=1"}, calls: "0022 upgrade apply -y v1.28.15\napply v1.28.15 started\n", mark: "apply v1.28.15 started\n", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if _, err := w.run(upgradeScript, append(none, tt.env...)...); (err != nil) != tt.fails {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.calls, w.read("calls")); d != "" {
				t.Error(d)
			}
			if got := w.read("u/kubeadm-upgrade"); got != tt.mark {
				t.Errorf("mark %q, want %q", got, tt.mark)
			}
			if info, err := os.Stat(w.root + "/u"); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%v, %v", info, err)
			}
		})
	}
}

func TestPlanScriptNotesOnlySuccess(t *testing.T) {
	w := newWorld(t)
	if _, err := w.run(planScript, "RUN=r1", "IGNORE=CreateJob", "FAIL=1"); err == nil {
		t.Fatal("a kubeadm that fails must fail the job")
	}
	if _, err := os.Stat(w.root + "/u/kubeadm-plan"); err == nil {
		t.Error("a failed plan was noted as seen")
	}
	if _, err := w.run(planScript, "RUN=r1", "IGNORE=CreateJob"); err != nil {
		t.Fatal(err)
	}
	if got := w.read("u/kubeadm-plan"); got != "v1.28.15 r1\n" {
		t.Errorf("note %q", got)
	}
	if !strings.Contains(w.read("calls"), "upgrade plan v1.28.15 --ignore-preflight-errors=CreateJob\n") {
		t.Errorf("calls:\n%s", w.read("calls"))
	}
}

func TestLookScriptReadsAControlPlane(t *testing.T) {
	w := newWorld(t)
	for _, c := range []string{"etcd", "kube-apiserver", "kube-controller-manager"} {
		tag := "v1.28.15"
		if c == "etcd" {
			tag = "3.5.15-0"
		}
		w.write("k/manifests/"+c+".yaml", "spec:\n  containers:\n  - command:\n    - "+c+"\n    - --image: trap\n    image: registry.k8s.io/"+c+":"+tag+
			"\n    imagePullPolicy: IfNotPresent\n  - image: \"sidecar:v9\"\n", 0o600)
	}
	for _, when := range []string{"2026-01-01", "2026-02-01"} {
		w.write("k/tmp/kubeadm-backup-manifests-"+when+"/kube-scheduler.yaml", "", 0o600)
	}
	w.write("u/kubeadm-upgrade", "apply v1.28.15 started\n", 0o600)
	w.write("u/kubeadm-plan", "v1.28.15 r1\n", 0o600)
	out, err := w.run(lookScript)
	if err != nil {
		t.Fatal(err)
	}
	l := parse(out)
	if l.kubeadm.String() != want || l.etcdWant != "3.5.15-0" || l.planned != "v1.28.15 r1" {
		t.Errorf("kubeadm %s, etcd %q, planned %q", l.kubeadm, l.etcdWant, l.planned)
	}
	if d := cmp.Diff(map[string]string{"etcd": "3.5.15-0", "kube-apiserver": "v1.28.15", "kube-controller-manager": "v1.28.15"}, l.tags); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]string{"kube-scheduler": w.root + "/k/tmp/kubeadm-backup-manifests-2026-02-01/kube-scheduler.yaml"}, l.missing); d != "" {
		t.Error(d)
	}
	if l.mark.verb != "apply" || l.mark.version.String() != want || l.mark.finished {
		t.Errorf("%+v", l.mark)
	}
}

func TestLookScriptReadsAWorkerWithoutKubeadm(t *testing.T) {
	w := newWorld(t)
	if err := os.Remove(w.root + "/bin/kubeadm"); err != nil {
		t.Fatal(err)
	}
	out, err := w.run(lookScript)
	if err != nil {
		t.Fatal(err)
	}
	if l := parse(out); !l.worker() || !l.kubeadm.IsZero() || l.mark != (mark{}) || len(l.missing) != 4 {
		t.Errorf("%+v", l)
	}
}

// kubeadm writes every *_proxy of its own environment into the static pods' manifests (cmd/kubeadm/app/util/env.go), and a
// job's environment has none: those of the running API server are kept.
func TestUpgradeKeepsTheProxiesOfTheStaticPods(t *testing.T) {
	w := newWorld(t)
	w.write("k/manifests/kube-apiserver.yaml", `spec:
  containers:
  - command:
    - kube-apiserver
    - --etcd-servers=https://127.0.0.1:2379
    env:
    - name: HTTPS_PROXY
      value: http://proxy.corp:3128
    - name: no_proxy
      value: '10.0.0.0/8,.svc,*.corp'
    image: registry.k8s.io/kube-apiserver:v1.27.3
`, 0o600)
	w.write("bin/kubeadm", "#!/bin/sh\nenv | grep -i _proxy= | sort >\"$ROOT/env\" || true\n", 0o755)
	out, err := w.run(upgradeScript, "VERB=apply", "VERSION=1.28.15", "IGNORE=", "PATCHES=", "CONFIG=", "ETCD_UPGRADE=true", "CERTIFICATE_RENEWAL=true")
	if err != nil {
		t.Fatal(err, out)
	}
	if got := w.read("env"); got != "HTTPS_PROXY=http://proxy.corp:3128\nno_proxy=10.0.0.0/8,.svc,*.corp\n" {
		t.Errorf("kubeadm was given %q", got)
	}
}
