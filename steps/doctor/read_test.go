package doctor

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"upgrader.dev/upgrader/steps/survey"
)

// script is what doctor.sh says on a host in trouble.
const script = `== host
now 1795319344
disk / overlay          264212084 51883420  43617844      55% /
disk /var/log overlay          264212084 51883420  43617844      55% /
disk /etc/kubernetes/tmp tmpfs 2048 2048 0 100% /etc/kubernetes/tmp
backups 2.0M	/etc/kubernetes/tmp
upgraded /etc/kubernetes/tmp/kubeadm-backup-manifests-2026-11-22
cgroup tmpfs
etcd-data /var/lib/etcd
== service kubelet
active activating auto-restart
restarts 2
result exit-code 1
began 9
|== service containerd
|E1122 03:50:57.683902     635 run.go:74] "command failed" err="unknown flag: --x"
== component etcd
manifest 296
runs 714
== log etcd 1 293 271 /var/log/pods/kube-system_etcd-cp1_1/etcd/1.log
|2026-11-22T03:50:51.973371571Z stderr F first
|no time
== log etcd 0 400 300 /var/log/pods/kube-system_etcd-cp1_1/etcd/0.log
== about etcd
|the kubelet speaks
== component kube-scheduler
backup /etc/kubernetes/tmp/kubeadm-backup-manifests-1/kube-scheduler.yaml
== job 60 1 kubeadm upgrade apply v1.28.15
|[ERROR CreateJob]
== certificates
|CERTIFICATE  EXPIRES
|apiserver    <invalid>
== forbidden
|no
`

func TestWhatTheScriptSaysIsRead(t *testing.T) {
	h := &Host{}
	h.read(script)
	want := &Host{
		Full:    []survey.Disk{{Path: "/etc/kubernetes/tmp", Device: "tmpfs", Size: 2 << 20, Mount: "/etc/kubernetes/tmp"}},
		Backups: "2.0M\t/etc/kubernetes/tmp", Upgraded: true, EtcdData: true, CgroupType: "tmpfs",
		Services: map[string]*Service{kubelet: {Active: "activating", Sub: "auto-restart", Restarts: 2, Result: "exit-code 1", Ran: true, Began: 9 * time.Second,
			Log: []string{"== service containerd", `E1122 03:50:57.683902     635 run.go:74] "command failed" err="unknown flag: --x"`}}},
		Components: map[string]*Component{
			"etcd": {Manifest: true, Age: 296 * time.Second, Process: "714", About: []string{"the kubelet speaks"}, Logs: []Log{
				{Began: 293 * time.Second, Ended: 271 * time.Second, Lines: []line{{time.Date(2026, 11, 22, 3, 50, 51, 973371571, time.UTC), "first"}, {text: "no time"}}},
				{Began: 400 * time.Second, Ended: 300 * time.Second},
			}},
			"kube-scheduler": {Backup: "/etc/kubernetes/tmp/kubeadm-backup-manifests-1/kube-scheduler.yaml"},
		},
		Job:        &Job{Name: "kubeadm upgrade apply v1.28.15", Ago: time.Minute, Code: "1", Out: []string{"[ERROR CreateJob]"}},
		Expiration: "CERTIFICATE  EXPIRES\napiserver    <invalid>", Forbidden: "no",
	}
	if diff := cmp.Diff(want, h, cmp.AllowUnexported(line{})); diff != "" {
		t.Error(diff)
	}
}

func TestAnythingThatAHostSaysIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SampledFrom([]string{"== ", "== log etcd ", "== component etcd\n", "== service kubelet\n", "== job ", "== about etcd\n", "disk ", "|", "\n", " ", "1", "x", "active "})
		h := &Host{}
		text := ""
		for _, w := range rapid.SliceOf(words).Draw(t, "said") {
			text += w
		}
		h.read(text)
		for name, s := range h.Services {
			if s == nil {
				t.Fatalf("service %s is nil", name)
			}
		}
	})
}

func TestTellingLines(t *testing.T) {
	for name, c := range map[string]struct{ log, want []string }{
		"help is left out": {[]string{"Usage:", "  kube-scheduler [flags]", "      --bind-address ip", "Metrics flags:", "", "Error: bad"}, []string{"Error: bad"}},
		"the same is said once": {[]string{"E1122 03:50:36.902538     592 run.go:74] failed", "E1122 03:50:47.132589     598 run.go:74] failed"},
			[]string{"E1122 03:50:47.132589     598 run.go:74] failed"}},
		"where nothing tells trouble, the end":  {[]string{"one", "two"}, []string{"one", "two"}},
		"what is only told of an error is none": {[]string{`level=info msg="skip loading" error="not supported"`, "level=error msg=boom"}, []string{"level=error msg=boom"}},
		"nothing":                               {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, telling(c.log, mostLines)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadable(t *testing.T) {
	for said, want := range map[string]string{
		`E1122 03:50:57.683902     635 run.go:74] "command failed" err="open \"x\": \\\"y\\\""`:               `03:50:57 "command failed" err="open 'x': 'y'"`,
		`{"level":"warn","ts":"2026-11-22T04:02:29.969Z","caller":"a.go:1","msg":"no leader","error":"lost"}`: `warn: no leader: lost`,
		`{"not":"a log"}`: `{"not":"a log"}`,
		`Error: bad`:      `Error: bad`,
	} {
		if got := Readable(said); got != want {
			t.Errorf("Readable(%s) is %s, want %s", said, got, want)
		}
	}
}
