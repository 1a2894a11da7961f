package systemd

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/enginetest"
	"upgrader.dev/upgrader/steps/census/censustest"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/remote/remotetest"
)

// running is a kubelet in order: started at 10:00:00 UTC, its configuration written a minute earlier.
const running = `LoadState=loaded
ActiveState=active
SubState=running
Result=success
MainPID=812
NRestarts=0
NeedDaemonReload=no
ExecMainStartTimestamp=Fri 2026-11-20 10:00:00 UTC
exe /usr/bin/kubelet
file 1795168740 /var/lib/kubelet/config.yaml
version Kubernetes v1.27.3
`

func with(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(running) }

type restartCase struct {
	name, says      string
	expect          engine.Facts
	why             string // of the restart
	then            engine.Facts
	notYet, refused string
}

func (tt restartCase) check(t *testing.T) {
	h := &remotetest.Host{Answer: remotetest.Says(tt.says)}
	step := &restart{hosts: remotetest.One("w1", h), cluster: noNodes{}, Unit: "kubelet"}
	changes, err := step.Observe(t.Context(), engine.Scene{Target: engine.Target{Name: "w1"}, Expect: tt.expect})
	if not, ok := errors.AsType[*engine.NotYetError](err); ok && not.Why == tt.notYet {
		return
	}
	if no, ok := errors.AsType[*engine.RefusedError](err); ok && no.Why == tt.refused {
		return
	}
	if err != nil || tt.notYet+tt.refused != "" {
		t.Fatalf("got %v, want to wait for %q or to refuse for %q", err, tt.notYet, tt.refused)
	}
	if tt.why == "" {
		if len(changes) != 0 {
			t.Errorf("restarts because it %s", changes[0].Expects)
		}
		return
	}
	if len(changes) != 1 || changes[0].Say != "restart kubelet" || changes[0].Expects != tt.why || changes[0].Outage != 0 {
		t.Fatalf("got %+v", changes)
	}
	if diff := cmp.Diff(tt.then, changes[0].Then); diff != "" {
		t.Error(diff)
	}
}

// noNodes is a cluster that none of the hosts belongs to.
type noNodes struct{ noVersions }

func (noNodes) Node(context.Context, string) (kube.Node, error) { return kube.Node{}, kube.ErrNotFound }

// noVersions is a cluster that shows nothing that runs.
type noVersions struct{}

func (noVersions) Nodes(context.Context) ([]kube.Node, error) { return nil, nil }

func (noVersions) Pods(context.Context, kube.PodFilter) ([]kube.Pod, error) { return nil, nil }

// oneNode is a cluster whose every node looks like this.
type oneNode struct {
	noVersions
	node kube.Node
}

func (n oneNode) Node(context.Context, string) (kube.Node, error) { return n.node, nil }

// A node that somebody put back into service in the middle of the run is not touched, and every other is: one that this
// run or an operator has cordoned, one that a run long gone left its mark on.
func TestUncordonedBySomebodyElse(t *testing.T) {
	replaced := with("exe /usr/bin/kubelet", "exe /usr/bin/kubelet (deleted)")
	for _, tt := range []struct {
		name, mark string
		cordoned   bool
		refused    bool
	}{
		{name: "cordoned by this run", mark: "run-1/drain", cordoned: true},
		{name: "uncordoned since", mark: "run-1/drain", refused: true},
		{name: "never cordoned"},
		{name: "another run's mark", mark: "run-0/drain"},
	} {
		n := oneNode{node: kube.Node{Name: "w1", Unschedulable: tt.cordoned}}
		if tt.mark != "" {
			n.node.Annotations = map[string]string{kube.CordonedBy: tt.mark}
		}
		h := &remotetest.Host{Answer: remotetest.Says(replaced)}
		step := &restart{hosts: remotetest.One("w1", h), cluster: n, Unit: "kubelet"}
		changes, err := step.Observe(t.Context(), engine.Scene{Run: "run-1", Target: engine.Target{Name: "w1"}})
		no, refused := errors.AsType[*engine.RefusedError](err)
		if refused != tt.refused || refused == (len(changes) == 1) {
			t.Errorf("%s: %v, %v", tt.name, changes, err)
		}
		if refused && (!strings.Contains(no.Why, "uncordoned by somebody else") || !strings.Contains(no.Remedy, "kubectl drain w1")) {
			t.Errorf("%s: %s; %s", tt.name, no.Why, no.Remedy)
		}
	}
}

func TestObserve(t *testing.T) {
	replaced := with("exe /usr/bin/kubelet", "exe /usr/bin/kubelet (deleted)", "v1.27.3", "v1.28.15")
	looping := with("ActiveState=active", "ActiveState=activating", "SubState=running", "SubState=auto-restart", "NRestarts=0", "NRestarts=7",
		"MainPID=812", "MainPID=0", "exe /usr/bin/kubelet\n", "") + "log failed to load kubelet config file\nlog exit status 1\n"
	same := engine.Facts{facts.Restarted("w1", "kubelet"): "true", facts.Kubelet("w1"): "1.27.3"}
	to := func(v string) engine.Facts {
		return engine.Facts{facts.Restarted("w1", "kubelet"): "true", facts.Kubelet("w1"): v}
	}
	tests := []restartCase{
		{name: "in order", says: running},
		{name: "written in the second of the start", says: with("1795168740", "1795168800")},
		{name: "program replaced", says: replaced, why: "runs a kubelet that has been replaced", then: to("1.28.15")},
		{name: "configuration written since", says: with("1795168740", "1795168801"),
			why: "was started before /var/lib/kubelet/config.yaml was written", then: same},
		{name: "unit files changed", says: with("NeedDaemonReload=no", "NeedDaemonReload=yes"), why: "runs with unit files that have changed", then: same},
		{name: "stopped", says: with("ActiveState=active", "ActiveState=inactive", "SubState=running", "SubState=dead", "MainPID=812", "MainPID=0"),
			why: "inactive (dead)", then: same},
		{name: "failed", says: with("ActiveState=active", "ActiveState=failed", "SubState=running", "SubState=failed", "NRestarts=0", "NRestarts=5") + "log no such file\n",
			why: "failed (failed), restarted 5 times by systemd: no such file", then: same},
		{name: "starts again and again", says: looping,
			notYet: "kubelet.service on w1 is activating (auto-restart), restarted 7 times by systemd: failed to load kubelet config file / exit status 1"},
		{name: "no such unit", says: "LoadState=not-found\nActiveState=inactive\nSubState=dead\n", refused: "there is no unit kubelet.service on w1"},
		{name: "a package is promised", says: running, expect: engine.Facts{facts.Package("w1", "kubelet"): "1.28.15-1.1"},
			why: "waits for 1.28.15-1.1", then: to("1.28.15")},
		{name: "a configuration is promised", says: running, expect: engine.Facts{facts.Configured("w1"): "1.28.15"}, why: "waits for 1.28.15", then: same},
		{name: "a restart is promised", says: replaced, expect: engine.Facts{
			facts.Package("w1", "kubelet"): "1.28.15-1.1", facts.Restarted("w1", "kubelet"): "true"}},
		{name: "another host's package is promised", says: running, expect: engine.Facts{facts.Package("w2", "kubelet"): "1.28.15-1.1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.check)
	}
}

// versions is a cluster that shows what runs, and whose nodes nobody cordoned.
type versions struct{ *censustest.Cluster }

func (v versions) Node(_ context.Context, name string) (kube.Node, error) {
	return *v.Cluster.Node(name), v.Err
}

// It is the restart that moves the version that runs: it obeys the version policy, by what runs now.
func TestRestartObeysTheVersionPolicy(t *testing.T) {
	replaced := with("exe /usr/bin/kubelet", "exe /usr/bin/kubelet (deleted)", "v1.27.3", "v1.28.15")
	stopped := with("ActiveState=active", "ActiveState=failed", "SubState=running", "SubState=failed", "MainPID=812", "MainPID=0", "exe /usr/bin/kubelet\n", "", "v1.27.3", "v1.28.15")
	written := with("1795168740", "1795168801")
	cluster := func(version, api string) *censustest.Cluster {
		return censustest.New(version, "cp1", "w1").Roll("cp1", api, "")
	}
	away := cluster("1.27.3", "1.27.3")
	away.Err = engine.Transient(errors.New("connection refused"))
	for name, tt := range map[string]struct {
		says    string
		cluster *censustest.Cluster
		expect  engine.Facts
		refused string
		waits   bool // for the API
		asked   int  // questions about versions
	}{
		"after the control plane":                   {says: replaced, cluster: cluster("1.27.3", "1.28.15"), asked: 2},
		"before the control plane":                  {says: replaced, cluster: cluster("1.27.3", "1.27.3"), asked: 2, refused: "with kubelet 1.28.15 on w1 the version skew policy would be broken: kubelet on w1 is 1.28.15, want 1.27 or older"},
		"stopped, before the control plane":         {says: stopped, cluster: cluster("1.27.3", "1.27.3"), asked: 2, refused: "kubelet-too-new"},
		"stopped, but that version ran before":      {says: stopped, cluster: cluster("1.28.15", "1.27.3"), asked: 2},
		"the same program, its configuration new":   {says: written, cluster: cluster("1.27.3", "1.26.3")},
		"dry run, the control plane promised":       {says: running, cluster: cluster("1.27.3", "1.27.3"), asked: 2, expect: engine.Facts{facts.Package("w1", "kubelet"): "1.28.15-1.1", facts.ControlPlane("cp1"): "1.28.15"}},
		"dry run, the control plane not promised":   {says: running, cluster: cluster("1.27.3", "1.27.3"), asked: 2, expect: engine.Facts{facts.Package("w1", "kubelet"): "1.28.15-1.1"}, refused: "kubelet-too-new"},
		"the API away, the kubelet runs":            {says: replaced, cluster: away, asked: 1, waits: true},
		"the API away, perhaps for want of it":      {says: stopped, cluster: away, asked: 1},
		"the API away, and the program is the same": {says: written, cluster: away},
		"a kubelet that does not tell its version":  {says: strings.Replace(replaced, "v1.28.15", "", 1), cluster: cluster("1.27.3", "1.27.3")},
	} {
		t.Run(name, func(t *testing.T) {
			tt.cluster.Asked = 0
			step := &restart{hosts: remotetest.One("w1", &remotetest.Host{Answer: remotetest.Says(tt.says)}), cluster: versions{tt.cluster}, Unit: "kubelet"}
			changes, err := step.Observe(t.Context(), engine.Scene{Target: engine.Target{Name: "w1"}, Expect: tt.expect})
			if _, waits := errors.AsType[*engine.TransientError](err); waits != tt.waits || (len(changes) == 1) == (tt.waits || tt.refused != "") {
				t.Errorf("got %v, %v", changes, err)
			}
			if !tt.waits {
				enginetest.Expect(t, err, "", tt.refused)
			}
			if tt.cluster.Asked != tt.asked {
				t.Errorf("%d questions, want %d", tt.cluster.Asked, tt.asked)
			}
		})
	}
}

// Other units have no version that the policy knows.
func TestRestartOfAnotherUnitAsksNothingAboutVersions(t *testing.T) {
	c := censustest.New("1.27.3", "cp1", "w1")
	h := &remotetest.Host{Answer: remotetest.Says(with("exe /usr/bin/kubelet", "exe /usr/bin/containerd (deleted)"))}
	changes, err := (&restart{hosts: remotetest.One("w1", h), cluster: versions{c}, Unit: "containerd"}).Observe(t.Context(), engine.Scene{Target: engine.Target{Name: "w1"}})
	if err != nil || len(changes) != 1 || c.Asked != 0 {
		t.Errorf("%v, %v after %d questions", changes, err, c.Asked)
	}
}

// What cannot be understood is not taken for a unit in order.
func TestStrangeAnswers(t *testing.T) {
	for _, says := range []string{"", "LoadState=loaded\n", with("Fri 2026-11-20 10:00:00 UTC", "Freitag"), with("1795168740", "soon")} {
		h := &remotetest.Host{Answer: remotetest.Says(says)}
		if changes, err := (&restart{hosts: remotetest.One("w1", h), cluster: noNodes{}, Unit: "kubelet"}).Observe(t.Context(), engine.Scene{Target: engine.Target{Name: "w1"}}); err == nil {
			t.Errorf("%q: %v", says, changes)
		}
	}
}

// The job gets the full name of the unit, and only kubelet has files of its own to watch.
func TestNamesOfUnits(t *testing.T) {
	for unit, want := range map[string]string{"containerd": "containerd.service", "containerd.service": "containerd.service", "apt-daily.timer": "apt-daily.timer"} {
		var job remote.Job
		h := &remotetest.Host{
			Answer: remotetest.Says(with("NeedDaemonReload=no", "NeedDaemonReload=yes")),
			Did:    func(_ engine.Ticket, j remote.Job) error { job = j; return nil },
		}
		changes, err := (&restart{hosts: remotetest.One("w1", h), cluster: noNodes{}, Unit: unit}).Observe(t.Context(), engine.Scene{Target: engine.Target{Name: "w1"}})
		if err != nil || len(changes) != 1 {
			t.Fatal(changes, err)
		}
		if err := changes[0].Do(t.Context(), engine.Ticket{ID: "t"}); err != nil {
			t.Fatal(err)
		}
		if asked := h.Calls()[0].Job.Env; job.Env["UNIT"] != want || asked["UNIT"] != want || asked["FILES"] != "" {
			t.Errorf("%s: asked %v, did %v", unit, asked, job.Env)
		}
	}
}

func TestValidate(t *testing.T) {
	for unit, ok := range map[string]bool{"kubelet": true, "getty@tty1.service": true, "": false, "-p": false, "a b": false} {
		if err := (&restart{Unit: unit}).Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", unit, err)
		}
	}
	if err := (&restart{Unit: "kubelet", Files: []string{"config.yaml"}}).Validate(); err == nil {
		t.Error("a relative path is allowed")
	}
}

// A file of the future was written under another clock: no restart would make the unit newer than it.
func TestAFileOfTheFutureAsksForNoRestart(t *testing.T) {
	const show = "LoadState=loaded\nActiveState=active\nSubState=running\nExecMainStartTimestamp=Sat 2026-11-21 15:00:00 UTC\nNeedDaemonReload=no\nexe /usr/bin/kubelet\n"
	const file = "file 1795300000 /var/lib/kubelet/config.yaml\n"
	for now, stale := range map[string]bool{"now 1795273300\n": false, "now 1795300000\n": true} {
		u, err := parse(show + now + file)
		if err != nil {
			t.Fatal(err)
		}
		if why := u.stale(); (why != "") != stale {
			t.Errorf("%sstale: %q", now, why)
		}
	}
}
