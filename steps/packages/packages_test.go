package packages

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/enginetest"
	"upgrader.dev/upgrader/steps/census/censustest"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/remote/remotetest"
)

const world1273 = `state | kubeadm | ii  | 1.27.3-1.1
state | kubelet | hi  | 1.27.3-1.1
offer | kubeadm | 1.28.15-1.1 | https://pkgs.k8s.io/core:/stable:/v1.28/deb  Packages
offer | kubelet | 1.28.15-1.1 | https://pkgs.k8s.io/core:/stable:/v1.28/deb  Packages
offer | kubelet | 1.28.14-2.1 | https://pkgs.k8s.io/core:/stable:/v1.28/deb  Packages
`

var both = revisions{"kubelet": "1.28.15-1.1", "kubeadm": "1.28.15-1.1"}

// upgraded is a cluster whose control plane is at 1.28.15 and whose worker w1 comes next.
func upgraded() *censustest.Cluster {
	c := censustest.New("1.28.15", "cp1", "w1")
	c.Node("w1").KubeletVersion = "1.27.3"
	return c
}

type installCase struct {
	name, says      string
	expect          engine.Facts
	want            string // of the only change
	found           string
	notYet, refused string
}

func (tt installCase) check(t *testing.T) {
	h := &remotetest.Host{Answer: remotetest.Says(tt.says)}
	changes, err := (&install{hosts: remotetest.One("w1", h), cluster: upgraded(), Packages: both}).Observe(t.Context(), scene(tt.expect))
	if not, ok := errors.AsType[*engine.NotYetError](err); ok && not.Why == tt.notYet {
		return
	}
	if no, ok := errors.AsType[*engine.RefusedError](err); ok && no.Why == tt.refused && no.Remedy != "" {
		return
	}
	if err != nil || tt.notYet+tt.refused != "" {
		t.Fatalf("got %v, want to wait for %q or to refuse for %q", err, tt.notYet, tt.refused)
	}
	if tt.want == "" {
		if len(changes) != 0 {
			t.Errorf("still wants to %s", changes[0].Say)
		}
		return
	}
	if len(changes) != 1 || changes[0].Say != tt.want || changes[0].Expects != tt.found || changes[0].Repeat != engine.Guarded {
		t.Errorf("got %+v", changes)
	}
}

// What a host says, and what is left to do there.
func TestInstallObserve(t *testing.T) {
	old := func(from, to string) string { return strings.Replace(world1273, from, to, 1) }
	done := strings.ReplaceAll(world1273, "1.27.3-1.1", "1.28.15-1.1")
	tests := []installCase{
		{name: "both are old", says: world1273, want: "install kubeadm 1.28.15-1.1, kubelet 1.28.15-1.1",
			found: "kubeadm 1.27.3-1.1; kubelet 1.27.3-1.1, held"},
		{name: "one is there", says: old("kubeadm | ii  | 1.27.3-1.1", "kubeadm | ii  | 1.28.15-1.1"),
			want: "install kubelet 1.28.15-1.1", found: "kubelet 1.27.3-1.1, held"},
		{name: "all are there", says: done},
		{name: "all are there and somebody else is at work", says: done + "lock | 812 | unattended-upgr\n"},
		{name: "not installed at all", says: old("kubeadm | ii  | 1.27.3-1.1", "kubeadm | un |"),
			want: "install kubeadm 1.28.15-1.1, kubelet 1.28.15-1.1", found: "kubeadm not installed; kubelet 1.27.3-1.1, held"},
		{name: "removed, configuration left", says: strings.Replace(done, "kubeadm | ii ", "kubeadm | rc ", 1),
			want: "install kubeadm 1.28.15-1.1", found: "kubeadm 1.28.15-1.1, not configured (rc)"},
		{name: "locked", says: world1273 + "lock | 812 | unattended-upgr\n", notYet: "dpkg on w1 is locked by unattended-upgr (pid 812)"},
		{name: "the new revision, half configured, is not installed", says: strings.Replace(done, "hi ", "hF ", 1) + "broken | kubelet | hF \n",
			want: "finish the interrupted package configuration", found: "interrupted: kubelet (hF)"},
		{name: "another package, half configured", says: done + "broken | nginx | iF \n",
			want: "finish the interrupted package configuration", found: "interrupted: nginx (iF)"},
		{name: "unmerged updates", says: done + "journal\n",
			want: "finish the interrupted package configuration", found: "interrupted: unmerged updates"},
		{name: "an orphan", says: done + "broken | kubelet | iF \norphan | 4711 | sh /var/lib/dpkg/info/kubelet.postinst configure\n",
			notYet: "a maintainer script on w1 goes on without its dpkg (pid 4711: sh /var/lib/dpkg/info/kubelet.postinst configure)"},
		{name: "half unpacked, to be installed anyway", says: old("kubelet | hi ", "kubelet | hHR") + "broken | kubelet | hHR\n",
			want: "install kubeadm 1.28.15-1.1, kubelet 1.28.15-1.1", found: "kubeadm 1.27.3-1.1; kubelet 1.27.3-1.1, not configured (hHR)"},
		{name: "half unpacked, none of ours", says: done + "broken | nginx | iHR\n",
			refused: "nginx on w1 is half unpacked, so apt would refuse or replace it"},
		{name: "a hold is owed", says: done + "owed | kubelet\n", want: "hold kubelet again"},
		{name: "newer than wanted", says: old("1.27.3-1.1", "1.29.1-1.1"), refused: "w1 has kubeadm 1.29.1-1.1, newer than 1.28.15-1.1"},
		{name: "not on offer", says: old("offer | kubelet | 1.28.15-1.1", "offer | kubelet | 1.28.16-1.1"),
			refused: "the repositories of w1 do not offer kubelet 1.28.15-1.1, only 1.28.16-1.1, 1.28.14-2.1"},
		{name: "not on offer yet", says: "state | kubeadm | ii  | 1.27.3-1.1\nstate | kubelet | hi  | 1.27.3-1.1\n",
			expect: engine.Facts{facts.Repository("w1"): "1.28"},
			want:   "install kubeadm 1.28.15-1.1, kubelet 1.28.15-1.1", found: "kubeadm 1.27.3-1.1; kubelet 1.27.3-1.1, held"},
		{name: "promised", says: world1273, expect: engine.Facts{facts.Package("w1", "kubeadm"): "1.28.15-1.1"},
			want: "install kubelet 1.28.15-1.1", found: "kubelet 1.27.3-1.1, held"},
		{name: "an rpm host", says: "foreign | rpm\n", refused: "w1 has rpm packages"},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.check)
	}
}

// Whatever restarts the host afterwards, a power cut included, starts the kubelet that is installed: so the version policy
// is asked before, about what runs.
func TestInstallObeysTheVersionPolicy(t *testing.T) {
	old := func() *censustest.Cluster { return censustest.New("1.27.3", "cp1", "w1") }
	away := &censustest.Cluster{Err: engine.Transient(errors.New("connection refused"))}
	halfUnpacked := strings.Replace(world1273, "kubelet | hi ", "kubelet | hHR", 1) + "broken | kubelet | hHR\n"
	for name, tt := range map[string]struct {
		says    string
		cluster *censustest.Cluster
		wanted  revisions
		expect  engine.Facts
		refused string // words of the refusal
		waits   bool   // for the API
	}{
		"kubelet after the control plane":            {cluster: upgraded(), wanted: revisions{"kubelet": "1.28.15-1.1"}},
		"kubelet before the control plane":           {cluster: old(), wanted: revisions{"kubelet": "1.28.15-1.1"}, refused: "with kubelet 1.28.15 on w1 the version skew policy would be broken"},
		"kubelet behind a promised control plane":    {cluster: old(), wanted: revisions{"kubelet": "1.28.15-1.1"}, expect: engine.Facts{facts.ControlPlane("cp1"): "1.28.15"}},
		"kubeadm before the control plane":           {cluster: old(), wanted: revisions{"kubeadm": "1.28.15-1.1"}},
		"kubeadm that skips a minor":                 {cluster: censustest.New("1.26.3", "cp1", "w1"), wanted: revisions{"kubeadm": "1.28.15-1.1"}, refused: "want 1.27 or older: the oldest API server (cp1) is 1.26.3"},
		"both before the control plane":              {cluster: old(), wanted: both, refused: "with kubeadm 1.28.15 and kubelet 1.28.15 on w1"},
		"what is there already is not judged":        {cluster: old(), wanted: revisions{"kubelet": "1.27.3-1.1"}},
		"the API away":                               {cluster: away, wanted: both, waits: true},
		"the API away, and the kubelet in pieces":    {cluster: away, says: halfUnpacked, wanted: revisions{"kubelet": "1.28.15-1.1"}},
		"in pieces, and the API says it is too soon": {cluster: old(), says: halfUnpacked, wanted: revisions{"kubelet": "1.28.15-1.1"}, refused: "kubelet-too-new"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.says == "" {
				tt.says = world1273
			}
			step := &install{hosts: remotetest.One("w1", &remotetest.Host{Answer: remotetest.Says(tt.says)}), cluster: tt.cluster, Packages: tt.wanted}
			changes, err := step.Observe(t.Context(), scene(tt.expect))
			if _, waits := errors.AsType[*engine.TransientError](err); tt.waits {
				if !waits || len(changes) > 0 {
					t.Errorf("got %v, %v", changes, err)
				}
				return
			}
			enginetest.Expect(t, err, "", tt.refused)
		})
	}
}

// kubectl breaks nothing but its own answers, and of what else apt has the policy says nothing.
func TestInstallAsksNothingAboutOtherPackages(t *testing.T) {
	c := upgraded()
	h := &remotetest.Host{Answer: remotetest.Says("state | kubectl | ii  | 1.27.3-1.1\noffer | kubectl | 1.28.15-1.1 | x\n")}
	changes, err := (&install{hosts: remotetest.One("w1", h), cluster: c, Packages: revisions{"kubectl": "1.28.15-1.1"}}).Observe(t.Context(), scene(nil))
	if err != nil || len(changes) != 1 || c.Asked != 0 {
		t.Errorf("%v, %v after %d questions", changes, err, c.Asked)
	}
}

func TestInstallPromisesWhatItInstalls(t *testing.T) {
	h := &remotetest.Host{Answer: remotetest.Says(world1273)}
	changes, err := (&install{hosts: remotetest.One("w1", h), cluster: upgraded(), Packages: both}).Observe(t.Context(), scene(nil))
	if err != nil || len(changes) != 1 {
		t.Fatal(changes, err)
	}
	want := engine.Facts{facts.Package("w1", "kubeadm"): "1.28.15-1.1", facts.Package("w1", "kubelet"): "1.28.15-1.1"}
	if diff := cmp.Diff(want, changes[0].Then); diff != "" {
		t.Error(diff)
	}
}

// What is not understood is not taken for a good answer.
func TestStrangeAnswer(t *testing.T) {
	h := &remotetest.Host{Answer: remotetest.Says("Welcome to w1!\n" + world1273)}
	_, err := (&install{hosts: remotetest.One("w1", h), cluster: upgraded(), Packages: both}).Observe(t.Context(), scene(nil))
	if err == nil || err.Error() != `looking at the packages of w1: the answer "Welcome to w1!" is not understood` {
		t.Error(err)
	}
}

func TestAvailable(t *testing.T) {
	tests := []struct {
		name   string
		wanted revisions
		expect engine.Facts
		why    string
	}{
		{name: "on offer", wanted: both},
		{name: "installed, on offer no more", wanted: revisions{"kubeadm": "1.27.3-1.1"}},
		{name: "in a repository to come", wanted: revisions{"kubeadm": "1.29.1-1.1"}, expect: engine.Facts{facts.Repository("w1"): "1.29"}},
		{name: "several missing", wanted: revisions{"kubeadm": "1.29.1-1.1", "kubelet": "1.28.15-2.1", "containerd": "1.7.1"},
			why: "the repositories of w1 do not offer containerd 1.7.1, only nothing of that name; kubeadm 1.29.1-1.1, only 1.28.15-1.1; " +
				"kubelet 1.28.15-2.1, only 1.28.15-1.1, 1.28.14-2.1"},
		{name: "in another repository to come", wanted: revisions{"kubeadm": "1.29.1-1.1"}, expect: engine.Facts{facts.Repository("w1"): "1.28"},
			why: "the repositories of w1 do not offer kubeadm 1.29.1-1.1, only 1.28.15-1.1"},
	}
	for _, tt := range tests {
		h := &remotetest.Host{Answer: remotetest.Says(world1273)}
		changes, err := (&available{hosts: remotetest.One("w1", h), Packages: tt.wanted}).Observe(t.Context(), scene(tt.expect))
		no, _ := errors.AsType[*engine.RefusedError](err)
		if len(changes) != 0 || (tt.why == "") != (err == nil) || tt.why != "" && (no == nil || no.Why != tt.why) {
			t.Errorf("%s: got %v and %v", tt.name, changes, err)
		}
		if calls := h.Calls(); len(calls) != 1 || calls[0].Method != "Query" {
			t.Errorf("%s: more than one question: %v", tt.name, calls)
		}
	}
}

// Somebody else's lock holds up only a host on which something is left to install, and before anything is drained.
func TestAvailableWaitsForTheLock(t *testing.T) {
	locked := &remotetest.Host{Answer: remotetest.Says(world1273 + "lock | 812 | apt-get\n")}
	_, err := (&available{hosts: remotetest.One("w1", locked), Packages: both}).Observe(t.Context(), scene(nil))
	if not, ok := errors.AsType[*engine.NotYetError](err); !ok || not.Why != "dpkg on w1 is locked by apt-get (pid 812)" {
		t.Errorf("got %v", err)
	}
	there := revisions{"kubeadm": "1.27.3-1.1", "kubelet": "1.27.3-1.1"}
	if _, err := (&available{hosts: remotetest.One("w1", locked), Packages: there}).Observe(t.Context(), scene(nil)); err != nil {
		t.Errorf("everything is there, and yet: %v", err)
	}
}

func TestRepositoryLooksPastAPromise(t *testing.T) {
	h := &remotetest.Host{} // answers nothing
	r := &repository{hosts: remotetest.One("w1", h), Version: "1.28.15", URL: officialURL}
	changes, err := r.Observe(t.Context(), scene(engine.Facts{facts.Repository("w1"): "1.28"}))
	if err != nil || changes != nil {
		t.Error(changes, err)
	}
}

func TestValidate(t *testing.T) {
	repo := func(version, url, key string) engine.Validator {
		return &repository{Version: version, URL: url, Key: key}
	}
	tests := []struct {
		step engine.Validator
		want string
	}{
		{&install{Packages: both}, ""},
		{&install{Packages: revisions{"containerd": "1:1.6.20~ds1-1+b1"}}, ""},
		{&install{}, "packages: name at least one, such as {kubeadm: 1.28.15-1.1}"},
		{&install{Packages: revisions{"kubeadm": "1.28.15-*"}}, `packages: kubeadm: "1.28.15-*" is a pattern; name one exact revision, as apt-cache madison kubeadm prints it`},
		{&install{Packages: revisions{"kubeadm": "1.28.15"}}, `packages: kubeadm: "1.28.15" is not the revision of a Kubernetes package: want one such as 1.28.15-1.1, as apt-cache madison prints it`},
		{&install{Packages: revisions{"--purge": "1"}}, `packages: "--purge" is not the name of a package`},
		{&available{Packages: revisions{"kubeadm": "$(reboot)"}}, `packages: kubeadm: "$(reboot)" is not a revision; want one such as 1.28.15-1.1`},
		{repo("1.28.15", officialURL, ""), ""},
		{repo("1.28", officialURL, ""), ""},
		{repo("28", officialURL, ""), `version: "28" is not a Kubernetes version: want three numbers, such as 1.28.15`},
		{repo("1.28", "pkgs", ""), `url: "pkgs" is not an address such as https://pkgs.k8s.io/core:/stable:`},
		{repo("1.28", "", ""), `url: is empty; leave it out for https://pkgs.k8s.io/core:/stable:`},
		{repo("1.28", "http://mirror.example.org/k8s", ""), ""}, // apt verifies what comes from there
		{repo("1.28", officialURL, "https://keys.example.org/k.asc?v=1"), ""},
		{repo("1.28", "ftp://mirror.example.org/k8s", ""), `url: "ftp://mirror.example.org/k8s" is not served over https or http`},
		{repo("1.28", "file:///mnt/k8s", ""), `url: "file:///mnt/k8s" is not served over https or http`},
		{repo("1.28", "cdrom://x/k8s", ""), `url: "cdrom://x/k8s" is not served over https or http`},
		{repo("1.28", "https:///k8s", ""), `url: "https:///k8s" is not an address such as https://pkgs.k8s.io/core:/stable:`},
		{repo("1.28", officialURL, "http://keys.example.org/k.asc"), `key: "http://keys.example.org/k.asc" is not served over https`},
		{repo("1.28", officialURL, "file:///root/k.asc"), `key: "file:///root/k.asc" is not served over https`},
		{repo("1.28", "https://bob:hunter2@mirror.example.org/k8s", ""),
			`url: https://***@mirror.example.org/k8s has a user or a password in it, which would be shown and written down; put them into a file of /etc/apt/auth.conf.d on the hosts (apt_auth.conf(5)), for root only`},
		{repo("1.28", officialURL, "https://bob:hun#ter2@x/k"), `key: "https://***@x/k" is not an address such as https://pkgs.k8s.io/core:/stable:`},
		{repo("1.28", officialURL, "https://x/ y"), `key: "https://x/ y" is not an address such as https://pkgs.k8s.io/core:/stable:`},
	}
	for _, tt := range tests {
		got := ""
		if err := tt.step.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v\n got %s\nwant %s", tt.step, got, tt.want)
		}
	}
}

// dpkg itself is the oracle for the order of versions.
func TestCompareAgreesWithDpkg(t *testing.T) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("no dpkg on this machine")
	}
	version := rapid.StringMatching(`([0-2]:)?[0-9]{1,2}(\.[0-9a-b+~]{1,3}){0,3}(-[0-9]{1,2}([.+~a-b][0-9]{0,2}){0,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := version.Draw(t, "a"), version.Draw(t, "b")
		want := 1
		if exec.Command("dpkg", "--compare-versions", a, "lt", b).Run() == nil {
			want = -1
		} else if exec.Command("dpkg", "--compare-versions", a, "eq", b).Run() == nil {
			want = 0
		}
		if got := compare(a, b); got != want {
			t.Fatalf("compare(%q, %q) = %d, dpkg says %d", a, b, got, want)
		}
	})
}

// Of a package that was removed only its configuration files are there: nothing to be newer than.
func TestARemovedPackageIsNotNewer(t *testing.T) {
	for letters, newer := range map[string]bool{"rc ": false, "un ": false, "ii ": true, "hi ": true, "iF ": true} {
		w := &world{host: "w1", states: map[string]state{}, offers: map[string][]offer{"kubectl": {{"1.28.15-1.1", ""}}}}
		if err := w.read("state | kubectl | " + letters + " | 1.30.1-1.1"); err != nil {
			t.Fatal(err)
		}
		if err := refuse(w, revisions{"kubectl": "1.28.15-1.1"}, engine.Facts{}); (err != nil) != newer {
			t.Errorf("%s: %v", letters, err)
		}
	}
}
