package etcd

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"upgrader.dev/upgrader/steps/inquiry"
)

// A world is a directory that stands for a host: its /etc/kubernetes, a PATH with pretend tools before the real ones,
// and a place for snapshots. The scripts run in it as they are, by the real /bin/sh.
type world struct {
	t    *testing.T
	root string
}

const manifest = `spec:
  containers:
  - command:
    - etcd
    - --advertise-client-urls=https://10.0.0.1:2379
    - --data-dir=ROOT/data
    - --listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379
    - --peer-trusted-ca-file=ROOT/k/pki/etcd/peer-ca.crt
    - --trusted-ca-file=ROOT/k/pki/etcd/ca.crt
    image: registry.k8s.io/etcd:3.5.15-0
`

func newWorld(t *testing.T) *world {
	w := &world{t, t.TempDir()}
	w.write("k/manifests/etcd.yaml", strings.ReplaceAll(manifest, "ROOT", w.root), 0o600)
	w.write("data/member/snap/db", strings.Repeat("x", 4096), 0o600)
	w.tool("etcdctl", etcdctl)
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

func (w *world) tool(name, script string) { w.write("bin/"+name, "#!/bin/sh\n"+script, 0o755) }

func (w *world) run(text string, env ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(w.t.Context(), "/bin/sh", "-s")
	cmd.Stdin = strings.NewReader("set -eu\n" + strings.ReplaceAll(inquiry.Patiently(text), "/etc/kubernetes", w.root+"/k"))
	cmd.Env = append([]string{"LC_ALL=C", "PATH=" + w.root + "/bin:/usr/bin:/bin", "ROOT=" + w.root, "DIR=" + w.root + "/backups",
		"NAME=etcd-r1.backup", "KEEP=2", "VERIFY=true"}, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// etcdctl writes $ROOT/snapshot for "snapshot save" and keeps the flags it was called with.
const etcdctl = `
echo "$*" >>"$ROOT/calls"
while [ $# -gt 0 ]; do
  case $1 in --*) shift ;; *) break ;; esac
done
case "$1 $2" in
"snapshot save") cp "$ROOT/snapshot" "$3" ;;
"snapshot status") echo '{"hash":1,"revision":4711,"totalKey":9,"totalSize":20480,"version":"3.5.0"}' ;;
*) echo "{\"said\":\"$1 $2\"}" ;;
esac
`

func whole(pages int) string {
	db := strings.Repeat("p", 512*pages)
	sum := sha256.Sum256([]byte(db))
	return db + string(sum[:])
}

func TestSaveKeepsOnlyWholeSnapshots(t *testing.T) {
	damaged := []byte(whole(8))
	damaged[100] ^= 1
	for name, tt := range map[string]struct {
		snapshot string
		verify   string
		wantErr  string
	}{
		"whole":                 {whole(8), "true", ""},
		"one bit flipped":       {string(damaged), "true", "the snapshot is damaged"},
		"cut at a page":         {whole(8)[:512*4], "true", "the snapshot is not whole: 2048 bytes carry no hash"},
		"cut anywhere":          {whole(8)[:777], "true", "the snapshot is not whole"},
		"cut to look like one":  {whole(8)[:512*4+32], "true", "the snapshot is damaged"},
		"damaged, not verified": {string(damaged), "false", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.write("snapshot", tt.snapshot, 0o600)
			stdout, stderr, err := w.run(clientScript+saveScript, "VERIFY="+tt.verify)
			file := w.root + "/backups/etcd-r1.backup.4711.db"
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(stderr, tt.wantErr) {
					t.Fatalf("want failure %q, got %v: %s", tt.wantErr, err, stderr)
				}
				if _, err := os.Stat(file); err == nil {
					t.Error("a bad snapshot got the name of a good one")
				}
				return
			}
			if err != nil {
				t.Fatalf("%v: %s%s", err, stdout, stderr)
			}
			modes(t, map[string]os.FileMode{file: 0o600, file + ".sha256": 0o600, w.root + "/backups": 0o700 | os.ModeDir})
			if out, err := exec.CommandContext(t.Context(), "sh", "-c", "cd "+w.root+"/backups && sha256sum -c *.sha256").CombinedOutput(); err != nil {
				t.Errorf("sha256sum -c: %s", out)
			}
		})
	}
}

func modes(t *testing.T, want map[string]os.FileMode) {
	t.Helper()
	for file, mode := range want {
		info, err := os.Stat(file)
		if err != nil {
			t.Error(err)
		} else if info.Mode() != mode {
			t.Errorf("%s has mode %v, want %v", file, info.Mode(), mode)
		}
	}
}

func TestSaveUsesTheHostsOwnCertificates(t *testing.T) {
	for name, prepare := range map[string]func(*world) string{
		"healthcheck client": func(w *world) string {
			w.write("k/pki/etcd/healthcheck-client.crt", "", 0o600)
			return "healthcheck-client"
		},
		"server where there is no other": func(*world) string { return "server" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			pair := prepare(w)
			w.write("snapshot", whole(1), 0o600)
			if _, stderr, err := w.run(clientScript + saveScript); err != nil {
				t.Fatal(stderr)
			}
			calls, err := os.ReadFile(w.root + "/calls")
			if err != nil {
				t.Fatal(err)
			}
			pki := w.root + "/k/pki/etcd/"
			want := fmt.Sprintf("--endpoints=https://127.0.0.1:2379 --cacert=%sca.crt --cert=%s%s.crt --key=%s%s.key snapshot save ", pki, pki, pair, pki, pair)
			if !strings.Contains(string(calls), want) {
				t.Errorf("etcdctl was called\n%swant\n%s", calls, want)
			}
		})
	}
}

func TestSaveWantsRoom(t *testing.T) {
	w := newWorld(t)
	w.write("snapshot", whole(1), 0o600)
	w.tool("df", `echo "Filesystem 1024-blocks Used Available Capacity Mounted on"; echo "/dev/sda1    100 93   7  93% /"`)
	_, stderr, err := w.run(clientScript + saveScript)
	if err == nil || !strings.Contains(stderr, "7 KiB free, 8 KiB wanted") {
		t.Errorf("want a refusal for lack of room, got %v: %s", err, stderr)
	}
	if _, err := os.Stat(w.root + "/calls"); err == nil {
		t.Error("etcdctl was called although there was no room")
	}
}

func TestSavePrunesOnlyItsOwn(t *testing.T) {
	w := newWorld(t)
	w.write("snapshot", whole(1), 0o600)
	for i, f := range []string{"etcd-a.b.1.db", "etcd-a.b.2.db", "etcd-foreign.db", "notes.txt"} {
		w.write("backups/"+f, f, 0o600)
		if i < 2 {
			w.write("backups/"+f+".sha256", "x", 0o600)
			if out, err := exec.CommandContext(t.Context(), "touch", "-d", fmt.Sprintf("2020-01-0%d", i+1), w.root+"/backups/"+f+".sha256").CombinedOutput(); err != nil {
				t.Fatalf("%s", out)
			}
		}
	}
	if _, stderr, err := w.run(clientScript + saveScript); err != nil {
		t.Fatal(stderr)
	}
	got, err := filepath.Glob(w.root + "/backups/*")
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i] = filepath.Base(got[i])
	}
	want := "etcd-a.b.2.db etcd-a.b.2.db.sha256 etcd-foreign.db etcd-r1.backup.4711.db etcd-r1.backup.4711.db.sha256 notes.txt"
	if strings.Join(got, " ") != want {
		t.Errorf("left: %v\nwant: %s", got, want)
	}
}

func TestSaveBorrowsEtcdctlFromTheContainer(t *testing.T) {
	w := newWorld(t)
	w.write("snapshot", whole(2), 0o600)
	if err := os.Rename(w.root+"/bin/etcdctl", w.root+"/inside"); err != nil {
		t.Fatal(err)
	}
	w.tool("crictl", `case $1 in
ps) echo 0123 ;;
exec) [ "$2 $3" = "0123 etcdctl" ] || exit 1; shift 3; exec "$ROOT/inside" "$@" ;;
esac`)
	stdout, stderr, err := w.run(clientScript + saveScript)
	if err != nil || !strings.Contains(stdout, "saved "+w.root+"/backups/etcd-r1.backup.4711.db, revision 4711") {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	if left, _ := filepath.Glob(w.root + "/data/*.part"); len(left) > 0 {
		t.Errorf("left in the data directory: %v", left)
	}
	w.tool("crictl", "exit 0")
	if _, stderr, err = w.run(clientScript + healthScript); err == nil || !strings.Contains(stderr, "no etcdctl in") {
		t.Errorf("want words about the missing etcdctl, got %v: %s", err, stderr)
	}
}

func TestLookFindsItsOwnSnapshotsAndTheirHashes(t *testing.T) {
	w := newWorld(t)
	w.write("snapshot", whole(3), 0o600)
	if _, stderr, err := w.run(clientScript + saveScript); err != nil {
		t.Fatal(stderr)
	}
	w.write("backups/etcd-r1.backup2.9.db", "of another step", 0o600)
	stdout, stderr, err := w.run(lookScript)
	if err != nil {
		t.Fatal(stderr)
	}
	sum := sha256.Sum256([]byte(whole(3)))
	want := fmt.Sprintf("reaches etcd\nsnapshot %s/backups/etcd-r1.backup.4711.db %x %x\n", w.root, sum, sum)
	if stdout != want {
		t.Errorf("got\n%swant\n%s", stdout, want)
	}
	if err := os.Remove(w.root + "/backups/etcd-r1.backup.4711.db.sha256"); err != nil {
		t.Fatal(err)
	}
	if stdout, _, err = w.run(lookScript); err != nil || !strings.Contains(stdout, fmt.Sprintf("%x none\n", sum)) {
		t.Errorf("without a recorded hash: %v\n%s", err, stdout)
	}
}

func TestHealthAsksExternalEtcdAsTheAPIServerDoes(t *testing.T) {
	w := newWorld(t)
	if err := os.Remove(w.root + "/k/manifests/etcd.yaml"); err != nil {
		t.Fatal(err)
	}
	if stdout, _, err := w.run(clientScript + healthScript); err != nil || stdout != "== kind\nnone\n" {
		t.Errorf("a worker: %v %q", err, stdout)
	}
	w.write("k/manifests/kube-apiserver.yaml", `spec:
  containers:
  - command:
    - kube-apiserver
    - --etcd-cafile=/pki/ca.crt
    - --etcd-certfile=/pki/client.crt
    - --etcd-keyfile=/pki/client.key
    - --etcd-servers=https://e1:2379,https://e2:2379
`, 0o600)
	stdout, stderr, err := w.run(clientScript + healthScript)
	if err != nil || !strings.HasPrefix(stdout, "== kind\nexternal\n== members\n|{\"said\":\"member list\"}\n") {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	calls, _ := os.ReadFile(w.root + "/calls")
	want := `--endpoints=https://e1:2379,https://e2:2379 --cacert=/pki/ca.crt --cert=/pki/client.crt --key=/pki/client.key member list -w json
`
	if !strings.HasPrefix(string(calls), want) {
		t.Errorf("etcdctl was called\n%swant first\n%s", calls, want)
	}
}

// An etcdctl that hangs is named, and the members that another answer tells of are told all the same.
func TestHealthBearsAnEtcdctlThatHangs(t *testing.T) {
	w := newWorld(t)
	w.tool("timeout", `shift 3; case "$*" in *"endpoint status"*) exit 124 ;; esac; exec "$@"`)
	stdout, stderr, err := w.run(clientScript + healthScript)
	if err != nil {
		t.Fatal(err, stderr)
	}
	a := inquiry.Read(stdout, stderr)
	var told []string
	for _, s := range a.Base {
		told = append(told, s.Name+" "+s.Text)
	}
	want := "kind ,members {\"said\":\"member list\"}\n,health {\"said\":\"endpoint health\"}\n,status ,alarms {\"said\":\"alarm list\"}\n"
	if got := strings.Join(told, ","); got != want {
		t.Errorf("told\n%q\nwant\n%q", got, want)
	}
	if len(a.Hung) != 1 || !strings.HasSuffix(a.Hung[0], "endpoint status --cluster -w json has not answered for 30s") {
		t.Errorf("hung: %q", a.Hung)
	}
}

// The clock was ahead when another snapshot was made: the new one looks older, and stays all the same.
func TestSaveNeverPrunesWhatItSaved(t *testing.T) {
	w := newWorld(t)
	w.write("snapshot", whole(1), 0o600)
	for _, f := range []string{"etcd-a.b.1.db", "etcd-a.b.1.db.sha256"} {
		w.write("backups/"+f, f, 0o600)
	}
	if err := os.Chtimes(w.root+"/backups/etcd-a.b.1.db.sha256", time.Time{}, time.Now().AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if _, stderr, err := w.run(clientScript+saveScript, "KEEP=1"); err != nil {
		t.Fatal(stderr)
	}
	got, _ := filepath.Glob(w.root + "/backups/*.db")
	if want := []string{w.root + "/backups/etcd-r1.backup.4711.db"}; !slices.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
}

// etcdctl takes a snapshot of one endpoint only (etcd client/v3/snapshot/v3_snapshot.go, "must be requested to one
// selected node"): the first that is well is asked.
func TestSaveAsksOneMemberOfExternalEtcd(t *testing.T) {
	w := newWorld(t)
	w.tool("etcdctl", `case "$*" in
*,*"snapshot save"*) echo "Error: snapshot must be requested to one selected node, not multiple" >&2; exit 1 ;;
*e1:2379*health*) exit 1 ;;
esac
`+etcdctl)
	w.write("snapshot", whole(1), 0o600)
	if err := os.Remove(w.root + "/k/manifests/etcd.yaml"); err != nil {
		t.Fatal(err)
	}
	w.write("k/manifests/kube-apiserver.yaml", "    - --etcd-servers=https://e1:2379,https://e2:2379,https://e3:2379\n", 0o600)
	if _, stderr, err := w.run(clientScript + saveScript); err != nil {
		t.Fatal(err, stderr)
	}
	if calls, _ := os.ReadFile(w.root + "/calls"); !strings.Contains(string(calls), "--endpoints=https://e2:2379 snapshot save") {
		t.Errorf("etcdctl was called\n%s", calls)
	}
}

// borrowing is a host without an etcdctl of its own: the one in etcd's container writes to etcd's own disk.
func borrowing(t *testing.T, inside string) *world {
	t.Helper()
	w := newWorld(t)
	if err := os.Remove(w.root + "/bin/etcdctl"); err != nil {
		t.Fatal(err)
	}
	w.write("inside", "#!/bin/sh\n"+inside, 0o755)
	w.tool("crictl", `case $1 in
ps) echo 0123 ;;
exec) [ "$2 $3" = "0123 etcdctl" ] || exit 1; shift 3; exec "$ROOT/inside" "$@" ;;
esac`)
	return w
}

func TestSaveWantsRoomOnEtcdsDiskToo(t *testing.T) {
	w := borrowing(t, etcdctl)
	w.write("snapshot", whole(1), 0o600)
	w.tool("df", `echo "Filesystem 1024-blocks Used Available Capacity Mounted on"
case "$*" in *backups*) echo "/dev/sda1 100000 1 99999 1% /" ;; *) echo "/dev/sdb1 100 93 7 93% /var/lib/etcd" ;; esac`)
	_, stderr, err := w.run(clientScript + saveScript)
	calls, _ := os.ReadFile(w.root + "/calls")
	if err == nil || !strings.Contains(stderr, "data: 7 KiB free") || strings.Contains(string(calls), "snapshot save") {
		t.Errorf("want a refusal for lack of room, got %v: %s\n%s", err, stderr, calls)
	}
}

// What went wrong leaves nothing on etcd's own disk.
func TestSaveCleansEtcdsDisk(t *testing.T) {
	full := strings.Replace(etcdctl, `cp "$ROOT/snapshot" "$3"`, `echo half >"$3.part"; echo "no space left on device" >&2; exit 1`, 1)
	for name, tt := range map[string]struct{ inside, snapshot string }{"full": {full, whole(2)}, "damaged": {etcdctl, whole(2)[:777]}} {
		w := borrowing(t, tt.inside)
		w.write("snapshot", tt.snapshot, 0o600)
		_, stderr, err := w.run(clientScript + saveScript)
		if left, _ := filepath.Glob(w.root + "/data/*.part*"); err == nil || len(left) > 0 {
			t.Errorf("%s: %v %s left %v", name, err, stderr, left)
		}
	}
}
