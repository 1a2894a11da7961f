package kubeadm

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/enginetest"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/census/censustest"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/remote/remotetest"
)

const (
	old  = "1.27.3"
	want = "1.28.15"
)

// files is what look.sh says of a host.
type files struct {
	kubeadm string
	static  string // version in the manifests; empty: a worker
	etcd    string // tag in etcd's manifest; empty: it runs elsewhere
	mark    string
	more    string
}

func (f files) say() string {
	var b strings.Builder
	fmt.Fprintf(&b, "kubeadm v%s\n", f.kubeadm)
	for _, c := range census.ControlPlane() {
		if f.static == "" {
			fmt.Fprintf(&b, "missing %s \n", c)
		} else {
			fmt.Fprintf(&b, "manifest %s registry.k8s.io/%s:v%s \n", c, c, f.static)
		}
	}
	if f.etcd == "" {
		b.WriteString("missing etcd \n")
	} else {
		fmt.Fprintf(&b, "manifest etcd registry.k8s.io/etcd:%s \netcd 3.5.15-0\n", f.etcd)
	}
	if f.mark != "" {
		fmt.Fprintf(&b, "mark %s\n", f.mark)
	}
	return b.String() + f.more
}

var (
	oldFiles = files{kubeadm: want, static: old, etcd: "3.5.12-0"}
	newFiles = files{kubeadm: want, static: want, etcd: "3.5.15-0"}
	worker   = files{kubeadm: want}
)

func with(f files, change func(*files)) files { change(&f); return f }

func upgrader(t *testing.T, host string, f files, c *censustest.Cluster) *Upgrade {
	t.Helper()
	return upgradeOn(t, remotetest.One(host, &remotetest.Host{Answer: remotetest.Says(f.say())}), c, "version: "+want)
}

func upgradeOn(t *testing.T, hosts remote.Hosts, c Cluster, with string) *Upgrade {
	t.Helper()
	return enginetest.Made(t, enginetest.Kind(t, Kinds(hosts, c), "kubeadm.upgrade"), with).(*Upgrade)
}

func cluster() *censustest.Cluster { return censustest.New(old, "cp1", "cp2", "w1") }

// first is a cluster whose first control plane is done, both one whose control planes all are.
func first() *censustest.Cluster { return cluster().Roll("cp1", want, "3.5.15-0").Store(want) }
func both() *censustest.Cluster  { return first().Roll("cp2", want, "3.5.15-0") }

type table map[string]struct {
	host    string
	files   files
	cluster *censustest.Cluster
	expect  engine.Facts
	change  func(*Upgrade)
	says    string
	waits   string
	refuses string
}

func TestUpgradeRunsWhatIsLeftToRun(t *testing.T) {
	const apply, node = "kubeadm upgrade apply v1.28.15", "kubeadm upgrade node (v1.28.15)"
	started := func(f *files) { f.mark = "apply v1.28.15 started" }
	check(t, table{
		"first control plane":                 {host: "cp1", files: oldFiles, cluster: cluster(), says: apply},
		"cut with a manifest replaced":        {host: "cp1", files: with(oldFiles, func(f *files) { f.etcd, f.mark = "3.5.15-0", "apply v1.28.15 started" }), cluster: cluster(), says: apply},
		"cut before kubeadm-config":           {host: "cp1", files: with(newFiles, started), cluster: cluster().Roll("cp1", want, "3.5.15-0"), says: apply},
		"cut after kubeadm-config":            {host: "cp1", files: with(newFiles, started), cluster: first(), says: apply},
		"ours, done":                          {host: "cp1", files: with(newFiles, func(f *files) { f.mark = "apply v1.28.15 done" }), cluster: first()},
		"done by hand":                        {host: "cp1", files: newFiles, cluster: first()},
		"mark of an earlier upgrade":          {host: "cp1", files: with(newFiles, func(f *files) { f.mark = "node v1.27.3 started" }), cluster: first()},
		"begun on two hosts, unmarked":        {host: "cp1", files: newFiles, cluster: cluster().Roll("cp1", want, "").Roll("cp2", want, ""), says: apply},
		"begun on two hosts, marked":          {host: "cp1", files: with(oldFiles, started), cluster: cluster().Roll("cp2", want, ""), says: apply},
		"second control plane":                {host: "cp2", files: oldFiles, cluster: first(), says: node},
		"second, cut after its manifests":     {host: "cp2", files: with(newFiles, func(f *files) { f.mark = "node v1.28.15 started" }), cluster: first().Roll("cp2", want, "3.5.15-0"), says: node},
		"etcd left behind":                    {host: "cp2", files: with(newFiles, func(f *files) { f.etcd = "3.5.12-0" }), cluster: first().Roll("cp2", want, ""), says: node},
		"etcd not to be upgraded":             {host: "cp2", files: with(newFiles, func(f *files) { f.etcd = "3.5.12-0" }), cluster: first().Roll("cp2", want, ""), change: func(u *Upgrade) { u.EtcdUpgrade = false }},
		"etcd pinned by the operator":         {host: "cp2", files: with(newFiles, func(f *files) { f.etcd = "3.5.12-0" }), cluster: pinned(first().Roll("cp2", want, ""), "3.5.12-0")},
		"etcd's tag without a build":          {host: "cp2", files: with(newFiles, func(f *files) { f.etcd = "3.5.15" }), cluster: first().Roll("cp2", want, "3.5.15")},
		"etcd newer than kubeadm's choice":    {host: "cp2", files: with(newFiles, func(f *files) { f.etcd = "3.5.24-0" }), cluster: first().Roll("cp2", want, "3.5.24-0")},
		"etcd elsewhere":                      {host: "cp2", files: with(newFiles, func(f *files) { f.etcd = "" }), cluster: external(first().Roll("cp2", want, ""))},
		"worker":                              {host: "w1", files: worker, cluster: both(), says: node},
		"worker, cut":                         {host: "w1", files: with(worker, func(f *files) { f.mark = "node v1.28.15 started" }), cluster: both(), says: node},
		"worker of the upgrade before":        {host: "w1", files: with(worker, func(f *files) { f.mark = "node v1.27.3 done" }), cluster: both(), says: node},
		"worker done":                         {host: "w1", files: with(worker, func(f *files) { f.mark = "node v1.28.15 done" }), cluster: &censustest.Cluster{Err: errors.New("must not be asked")}},
		"dry run, package promised":           {host: "cp1", files: with(oldFiles, func(f *files) { f.kubeadm = old }), cluster: cluster(), expect: engine.Facts{facts.Package("cp1", "kubeadm"): "1.28.15-1.1"}, says: apply},
		"dry run, itself promised":            {host: "cp1", files: oldFiles, cluster: cluster(), expect: engine.Facts{facts.ControlPlane("cp1"): want, facts.ClusterVersion: want}},
		"dry run, second after first":         {host: "cp2", files: oldFiles, cluster: cluster(), expect: engine.Facts{facts.ControlPlane("cp1"): want, facts.ClusterVersion: want}, says: node},
		"dry run, worker after control plane": {host: "w1", files: worker, cluster: cluster(), expect: engine.Facts{facts.ControlPlane("cp1"): want, facts.ControlPlane("cp2"): want, facts.ClusterVersion: want}, says: node},
		"dry run, worker promised":            {host: "w1", files: worker, cluster: cluster(), expect: engine.Facts{facts.ClusterVersion: want, facts.Configured("w1"): want}},
	})
}

func TestUpgradeWaitsForStaticPods(t *testing.T) {
	late := func(change func(*censustest.Cluster)) *censustest.Cluster {
		c := first()
		change(c)
		return c
	}
	check(t, table{
		"not Ready":          {host: "cp1", files: newFiles, cluster: late(func(c *censustest.Cluster) { c.Pod("kube-apiserver-cp1").Ready = false }), waits: "kube-apiserver-cp1 is Running but not Ready"},
		"the old one":        {host: "cp1", files: newFiles, cluster: late(func(c *censustest.Cluster) { c.Pod("kube-scheduler-cp1").Images = []string{"x/kube-scheduler:v1.27.3"} }), waits: "kube-scheduler-cp1 still runs v1.27.3"},
		"gone":               {host: "cp1", files: newFiles, cluster: late(func(c *censustest.Cluster) { c.Pod("kube-scheduler-cp1").Name = "other" }), waits: "kube-scheduler has no pod yet"},
		"etcd not Ready":     {host: "cp1", files: newFiles, cluster: late(func(c *censustest.Cluster) { c.Pod("etcd-cp1").Ready = false }), waits: "etcd-cp1 is Running but not Ready"},
		"scheduler warms up": {host: "cp1", files: newFiles, cluster: late(func(c *censustest.Cluster) { c.Pod("kube-scheduler-cp1").Ready = false })},
		"another host's":     {host: "cp1", files: newFiles, cluster: late(func(c *censustest.Cluster) { c.Pod("etcd-cp2").Ready = false })},
	})
}

func TestUpgradeRefuses(t *testing.T) {
	lost := files{kubeadm: want, static: old, etcd: "3.5.12-0",
		more: "missing kube-scheduler /etc/kubernetes/tmp/kubeadm-backup-manifests-1/kube-scheduler.yaml\n"}
	alone := files{kubeadm: want, static: old, mark: "apply v1.28.15 started", more: "missing etcd /etc/kubernetes/tmp/kubeadm-backup-manifests-1/etcd.yaml\n"}
	check(t, table{
		"worker before the control plane":     {host: "w1", files: worker, cluster: cluster(), refuses: "the control plane has not been upgraded yet: kubeadm-config says 1.27.3"},
		"worker before the last API server":   {host: "w1", files: worker, cluster: first(), refuses: "the API server on cp2 is still 1.27.3"},
		"a host that is no node":              {host: "cp1.example.com", files: oldFiles, cluster: cluster(), refuses: `the cluster has no node "cp1.example.com"`},
		"the API away for want of a manifest": {host: "cp1", files: alone, cluster: &censustest.Cluster{Err: engine.Transient(errors.New("connection refused"))}, refuses: "put it back with `cp /etc/kubernetes/tmp/kubeadm-backup-manifests-1/etcd.yaml"},
		"no kubeadm of the version":           {host: "cp1", files: with(oldFiles, func(f *files) { f.kubeadm = old }), cluster: cluster(), refuses: "kubeadm on cp1 is 1.27.3"},
		"another package was promised":        {host: "cp1", files: with(oldFiles, func(f *files) { f.kubeadm = old }), cluster: cluster(), expect: engine.Facts{facts.Package("cp1", "kubeadm"): "1.28.1-1.1"}, refuses: "kubeadm on cp1 is 1.27.3"},
		"begun on another host":               {host: "cp2", files: oldFiles, cluster: cluster().Roll("cp1", want, ""), refuses: "the upgrade to 1.28.15 was begun on cp1"},
		"a cluster that is newer":             {host: "cp1", files: oldFiles, cluster: cluster().Store("1.29.0"), refuses: "kubeadm does not go back"},
		"a manifest that was lost":            {host: "cp1", files: lost, cluster: cluster(), refuses: "put it back with `cp /etc/kubernetes/tmp/kubeadm-backup-manifests-1/kube-scheduler.yaml /etc/kubernetes/manifests/kube-scheduler.yaml` on cp1"},
		"etcd's manifest lost":                {host: "cp1", files: with(oldFiles, func(f *files) { f.etcd = "" }), cluster: cluster(), refuses: "/etc/kubernetes/manifests/etcd.yaml of cp1 is missing"},
		"a control plane without any":         {host: "cp1", files: worker, cluster: cluster(), refuses: "cp1 belongs to the control plane"},
		"kubelets that are too old":           {host: "cp1", files: oldFiles, cluster: lagging("1.24.17"), refuses: "kubelet on w1 is 1.24.17"},
		"two minors at once":                  {host: "cp1", files: with(oldFiles, func(f *files) { f.static = "1.26.5" }), cluster: censustest.New("1.26.5", "cp1", "w1"), refuses: "one minor version at a time"},
		"a config before it can be read":      {host: "cp1", files: oldFiles, cluster: cluster(), change: func(u *Upgrade) { u.Config = "/c.yaml" }, refuses: "1.31 is the first that does"},
		"kubeadm-config that says nothing":    {host: "cp1", files: oldFiles, cluster: wordless(), refuses: "names no kubernetesVersion"},
	})
}

func check(t *testing.T, cases table) {
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			u := upgrader(t, tt.host, tt.files, tt.cluster)
			if tt.change != nil {
				tt.change(u)
			}
			changes, err := u.Observe(t.Context(), scene(tt.host, tt.expect))
			enginetest.Expect(t, err, tt.waits, tt.refuses)
			var says []string
			for _, c := range changes {
				says = append(says, c.Say)
			}
			if got := strings.Join(says, "\n"); got != tt.says {
				t.Errorf("says %q, want %q", got, tt.says)
			}
		})
	}
}

func scene(host string, expect engine.Facts) engine.Scene {
	s := engine.Scene{Run: "r1", Step: "s", Expect: expect, Target: engine.Target{Name: host, Groups: []string{"workers"}}}
	if strings.HasPrefix(host, "cp") {
		s.Target.Groups = []string{"control-plane"}
	}
	return s
}

func pinned(c *censustest.Cluster, tag string) *censustest.Cluster {
	c.Config = strings.Replace(c.Config, "dataDir: /var/lib/etcd\n", "dataDir: /var/lib/etcd\n    imageTag: "+tag+"\n", 1)
	return c
}

func external(c *censustest.Cluster) *censustest.Cluster {
	c.Config = strings.Replace(c.Config, "  local:\n    dataDir: /var/lib/etcd\n", "  external:\n    endpoints:\n    - https://e1:2379\n", 1)
	return c
}

func wordless() *censustest.Cluster {
	c := cluster()
	c.Config = "kind: ClusterConfiguration\n"
	return c
}

func lagging(kubelet string) *censustest.Cluster {
	c := cluster()
	c.Node("w1").KubeletVersion = kubelet
	return c
}

// A control plane whose node lost its label is among the workers of an inventory made of the cluster's nodes, and the
// workers' rollout takes several at once.
func TestUpgradeRefusesAControlPlaneAmongTheWorkers(t *testing.T) {
	c := first()
	c.Node("cp2").ControlPlane = false
	s := scene("cp2", nil)
	s.Target.Groups = []string{"workers"}
	_, err := upgrader(t, "cp2", oldFiles, c).Observe(t.Context(), s)
	enginetest.Expect(t, err, "", "cp2 is among the workers, but runs a control plane")
}

func TestUpgradePromisesAndOutage(t *testing.T) {
	control := engine.Facts{facts.ControlPlane("cp1"): want, facts.ClusterVersion: want}
	for name, tt := range map[string]struct {
		host    string
		files   files
		cluster *censustest.Cluster
		then    engine.Facts
		outage  time.Duration
	}{
		"alone":  {"cp1", oldFiles, censustest.New(old, "cp1", "w1"), control, 5 * time.Minute},
		"of two": {"cp1", oldFiles, cluster(), control, 2 * time.Minute},
		"worker": {"w1", worker, both(), engine.Facts{facts.Configured("w1"): want}, 0},
	} {
		changes, err := upgrader(t, tt.host, tt.files, tt.cluster).Observe(t.Context(), scene(tt.host, nil))
		if err != nil || len(changes) != 1 {
			t.Fatal(name, changes, err)
		}
		c := changes[0]
		if d := cmp.Diff(tt.then, c.Then); d != "" || c.Outage != tt.outage || c.Repeat != engine.Guarded {
			t.Errorf("%s: outage %v, %s, then %s", name, c.Outage, c.Repeat, d)
		}
	}
}

func TestUpgradeJob(t *testing.T) {
	var jobs []remote.Job
	h := &remotetest.Host{Answer: remotetest.Says(oldFiles.say()), Did: func(_ engine.Ticket, j remote.Job) error { jobs = append(jobs, j); return nil }}
	u := upgradeOn(t, remotetest.One("cp1", h), cluster(), "version: "+want+
		"\netcdUpgrade: false\nignorePreflightErrors: [CreateJob, SystemVerification]\npatches: /etc/kubernetes/patches")
	changes, err := u.Observe(t.Context(), scene("cp1", nil))
	if err != nil {
		t.Fatal(err)
	}
	u.turn.Lock()
	enginetest.Expect(t, changes[0].Do(t.Context(), engine.Ticket{ID: "t1"}), "they take turns", "")
	u.turn.Unlock()
	if err := changes[0].Do(t.Context(), engine.Ticket{ID: "t2"}); err != nil || !u.turn.TryLock() {
		t.Fatalf("the turn must be given back: %v", err)
	}
	env := map[string]string{"VERB": "apply", "VERSION": want, "IGNORE": "CreateJob,SystemVerification", "PATCHES": "/etc/kubernetes/patches",
		"CONFIG": "", "ETCD_UPGRADE": "false", "CERTIFICATE_RENEWAL": "true"}
	if len(jobs) != 1 || jobs[0].Safe || jobs[0].Name != "kubeadm upgrade apply v1.28.15" {
		t.Fatalf("%+v", jobs)
	}
	if d := cmp.Diff(env, jobs[0].Env); d != "" {
		t.Error(d)
	}
}

func TestUpgradeKeepsTransientFailuresOfTheAPI(t *testing.T) {
	_, err := upgrader(t, "cp1", newFiles, &censustest.Cluster{Err: engine.Transient(errors.New("connection refused"))}).Observe(t.Context(), scene("cp1", nil))
	if _, ok := errors.AsType[*engine.TransientError](err); !ok {
		t.Errorf("got %v", err)
	}
}

func TestValidate(t *testing.T) {
	good := Upgrade{Version: want, EtcdUpgrade: true, CertificateRenewal: true}
	for name, tt := range map[string]struct {
		change func(*Upgrade)
		want   string
	}{
		"good":               {func(*Upgrade) {}, ""},
		"not yet evaluated":  {func(u *Upgrade) { u.Version = "" }, ""},
		"a revision":         {func(u *Upgrade) { u.Version = "1.28.15-1.1" }, "version: "},
		"a check":            {func(u *Upgrade) { u.IgnorePreflightErrors = []string{"all"} }, ""},
		"no check":           {func(u *Upgrade) { u.IgnorePreflightErrors = []string{"a, b"} }, "is not the name of a check"},
		"a flag for a check": {func(u *Upgrade) { u.IgnorePreflightErrors = []string{"--force"} }, "is not the name of a check"},
		"config and patches": {func(u *Upgrade) { u.Config, u.Patches = "/c", "/p" }, "set them there"},
		"relative patches":   {func(u *Upgrade) { u.Patches = "p" }, "absolute path"},
	} {
		u := good
		tt.change(&u)
		err := u.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestKindsNeedNoClients(t *testing.T) {
	catalog, err := engine.NewCatalog(Kinds(nil, nil)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range catalog.Kinds() {
		if _, err := enginetest.Make(k, ""); err != nil {
			t.Errorf("%s: its defaults are not valid: %v", k.Name, err)
		}
	}
}

func TestEtcdTags(t *testing.T) {
	for _, tt := range []struct {
		have, want string
		newer      bool
	}{
		{"3.5.15-0", "3.5.12-0", true}, {"3.5.12-0", "3.5.15-0", false}, {"3.5.9-0", "3.5.10-0", false},
		{"3.5.15-1", "3.5.15-0", true}, {"3.5.15-10", "3.5.15-9", true}, {"3.5.15-0", "3.5.15-0", false}, {"mine", "3.5.15-0", false},
	} {
		if got := newer(tt.have, tt.want); got != tt.newer {
			t.Errorf("%s newer than %s: %v", tt.have, tt.want, got)
		}
	}
}
