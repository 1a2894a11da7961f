package doctor

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"upgrader.dev/upgrader/steps/inquiry"
)

// script is what doctor.sh says on a host in trouble.
const script = `== journal kubelet
|== journal containerd
|E1122 03:50:57.683902     635 run.go:74] "command failed" err="unknown flag: --x"
== component etcd
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
== forbidden
|no
`

func TestWhatTheScriptSaysIsRead(t *testing.T) {
	h := &Host{}
	h.read(inquiry.Read(script, "").Base)
	want := &Host{
		Journals: map[string][]string{kubelet: {"== journal containerd", `E1122 03:50:57.683902     635 run.go:74] "command failed" err="unknown flag: --x"`}},
		Components: map[string]*Component{
			"etcd": {Process: "714", About: []string{"the kubelet speaks"}, Logs: []Log{
				{Began: 293 * time.Second, Ended: 271 * time.Second, Lines: []line{{time.Date(2026, 11, 22, 3, 50, 51, 973371571, time.UTC), "first"}, {text: "no time"}}},
				{Began: 400 * time.Second, Ended: 300 * time.Second},
			}},
			"kube-scheduler": {Backup: "/etc/kubernetes/tmp/kubeadm-backup-manifests-1/kube-scheduler.yaml"},
		},
		Job:       &Job{Name: "kubeadm upgrade apply v1.28.15", Ago: time.Minute, Code: "1", Out: []string{"[ERROR CreateJob]"}},
		Forbidden: []string{"no"},
	}
	if diff := cmp.Diff(want, h, cmp.AllowUnexported(line{})); diff != "" {
		t.Error(diff)
	}
}

func TestAnythingThatAHostSaysIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SampledFrom([]string{"== ", "== log etcd ", "== component etcd\n", "== journal kubelet\n", "== job ", "== about etcd\n", "|", "\n", " ", "1", "x", "active "})
		h := &Host{}
		text := ""
		for _, w := range rapid.SliceOf(words).Draw(t, "said") {
			text += w
		}
		h.read(inquiry.Read(text, "").Base)
		for name, c := range h.Components {
			if c == nil {
				t.Fatalf("component %s is nil", name)
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
