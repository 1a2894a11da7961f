package packages

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
)

func wanted(h *realHost, packages ...string) *install {
	i := &install{hosts: h, cluster: upgraded(), Packages: revisions{}}
	for _, p := range packages {
		name, rev, _ := strings.Cut(p, "=")
		i.Packages[name] = rev
	}
	return i
}

// upgradable is a host with kubelet 1.27.3, held, and kubeadm 1.27.3, whose repository is at 1.28.
func upgradable(t *testing.T, scripts map[string]string) *realHost {
	h := newRealHost(t)
	h.serve("1.27", nil, "kubeadm=1.27.3-1.1", "kubelet=1.27.3-1.1")
	h.serve("1.28", scripts, "kubeadm=1.28.15-1.1", "kubelet=1.28.15-1.1")
	h.source("1.27")
	h.sh("apt-get install -y kubeadm kubelet && apt-mark hold kubelet")
	h.source("1.28")
	return h
}

func TestRealInstallKeepsHoldsAsFound(t *testing.T) {
	h := upgradable(t, nil)
	did := apply(t, h, wanted(h, "kubelet=1.28.15-1.1", "kubeadm=1.28.15-1.1"))
	if diff := cmp.Diff([]string{"install kubeadm 1.28.15-1.1, kubelet 1.28.15-1.1"}, did); diff != "" {
		t.Error(diff)
	}
	if got := h.installed("kubelet"); got != "hi 1.28.15-1.1" {
		t.Errorf("kubelet was held and is now %q", got)
	}
	if got := h.installed("kubeadm"); got != "ii 1.28.15-1.1" {
		t.Errorf("kubeadm was not held and is now %q", got)
	}
	if left, _ := os.ReadDir(h.path("var/lib/upgrader/holds")); len(left) != 0 {
		t.Errorf("debts left behind: %v", left)
	}
}

// A host that loses its power while dpkg unpacks comes back with updates that are not merged, and among them a package that
// can be configured by nobody: dpkg --configure -a merges the first and fails over the second, which is installed again.
func TestRealInstallAfterPowerWasLostWhileUnpacking(t *testing.T) {
	h := upgradable(t, nil)
	stanza := ""
	for part := range strings.SplitSeq(h.read("var/lib/dpkg/status"), "\n\n") {
		if strings.HasPrefix(part, "Package: kubelet\n") {
			stanza = strings.Replace(part, "ok installed", "reinstreq unpacked", 1)
		}
	}
	if !strings.Contains(stanza, "reinstreq") {
		t.Fatalf("no kubelet in %s", h.read("var/lib/dpkg/status"))
	}
	h.write("var/lib/dpkg/updates/0001", strings.TrimSpace(stanza)+"\n")
	did := apply(t, h, wanted(h, "kubelet=1.28.15-1.1"))
	if diff := cmp.Diff([]string{"finish the interrupted package configuration", "install kubelet 1.28.15-1.1"}, did); diff != "" {
		t.Error(diff)
	}
	if got := h.installed("kubelet"); got != "hi 1.28.15-1.1" {
		t.Errorf("kubelet is %q", got)
	}
}

// beKilled makes the one change that is left to do, whose dpkg is killed.
func beKilled(t *testing.T, i *install) {
	t.Helper()
	changes, err := i.Observe(t.Context(), scene(nil))
	if err != nil || len(changes) != 1 {
		t.Fatal(changes, err)
	}
	if err := changes[0].Do(t.Context(), engine.Ticket{}); err == nil {
		t.Fatal("the job of a killed dpkg succeeded")
	}
}

// A package manager killed in a maintainer script leaves the new version behind, half configured: that is not
// installed, it is repaired first, and the hold that was in force before is in force again.
func TestRealKilledInMaintainerScript(t *testing.T) {
	for _, script := range []string{"preinst", "postinst"} {
		t.Run(script, func(t *testing.T) {
			flag := t.TempDir() + "/kill"
			if err := os.WriteFile(flag, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			// kills the dpkg that runs it, once, and the shell of the job with it
			h := upgradable(t, map[string]string{script: "if rm " + flag + " 2>/dev/null; then kill -9 $PPID; fi"})
			i := wanted(h, "kubelet=1.28.15-1.1")
			beKilled(t, i)
			t.Logf("left as %q", h.installed("kubelet"))
			t.Log(apply(t, h, i))
			if got := h.installed("kubelet"); got != "hi 1.28.15-1.1" {
				t.Errorf("kubelet is %q after the repair\n%s", got, h.out.String())
			}
		})
	}
}

// A maintainer script goes on when its dpkg is killed, and the lock is free meanwhile: it is waited for.
func TestRealOrphanIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(dir+"/gate", 0o600); err != nil {
		t.Fatal(err)
	}
	h := upgradable(t, map[string]string{"postinst": "[ ! -p " + dir + "/gate ] || { exec >/dev/null 2>&1; kill -9 $PPID; read word <" + dir + "/gate; }"})
	i := wanted(h, "kubelet=1.28.15-1.1")
	beKilled(t, i)
	_, err := i.Observe(t.Context(), scene(nil))
	if not, ok := errors.AsType[*engine.NotYetError](err); !ok || !strings.Contains(not.Why, "kubelet.postinst") {
		t.Errorf("the orphan is not noticed: %v", err)
	}
	gate, err := os.OpenFile(dir+"/gate", os.O_WRONLY, 0) // returns once the script reads
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(dir+"/gate"), gate.Close()); err != nil {
		t.Fatal(err)
	}
	for { // until the script is gone
		_, err := i.Observe(t.Context(), scene(nil))
		if _, waits := errors.AsType[*engine.NotYetError](err); !waits {
			break
		}
	}
	apply(t, h, i)
	if got := h.installed("kubelet"); got != "hi 1.28.15-1.1" {
		t.Errorf("kubelet is %q", got)
	}
}

// A power cut between unhold and hold must not cost the hold: a debt written down before says what is owed.
func TestRealHoldSurvivesPowerCut(t *testing.T) {
	h := upgradable(t, nil)
	h.sh("mkdir -p " + h.path("var/lib/upgrader/holds") + " && : >" + h.path("var/lib/upgrader/holds/kubelet"))
	h.sh("apt-mark unhold kubelet && apt-get install -y kubelet=1.28.15-1.1")
	did := apply(t, h, wanted(h, "kubelet=1.28.15-1.1"))
	if diff := cmp.Diff([]string{"hold kubelet again"}, did); diff != "" {
		t.Error(diff)
	}
	if got := h.installed("kubelet"); got != "hi 1.28.15-1.1" {
		t.Errorf("kubelet is %q", got)
	}
}

func TestRealFailureKeepsTheHold(t *testing.T) {
	h := upgradable(t, map[string]string{"preinst": "echo disk on fire; exit 1"})
	i := wanted(h, "kubelet=1.28.15-1.1")
	changes, err := i.Observe(t.Context(), scene(nil))
	if err != nil || len(changes) != 1 {
		t.Fatal(changes, err)
	}
	if err := changes[0].Do(t.Context(), engine.Ticket{}); err == nil {
		t.Fatal("the job succeeded")
	}
	if got := h.installed("kubelet"); got != "hi 1.27.3-1.1" {
		t.Errorf("kubelet is %q", got)
	}
}

// Who holds the lock is named, from the kernel's own table.
func TestRealLockHolderIsNamed(t *testing.T) {
	h := upgradable(t, nil)
	f, err := os.OpenFile(h.path("var/lib/dpkg/lock-frontend"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &lock); err != nil {
		t.Fatal(err)
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	_, err = wanted(h, "kubelet=1.28.15-1.1").Observe(t.Context(), scene(nil))
	not, ok := errors.AsType[*engine.NotYetError](err)
	if !ok || !strings.Contains(not.Why, strings.TrimSpace(string(comm))+" (pid ") {
		t.Fatalf("got %v, want the name %q", err, comm)
	}
	if changes, err := wanted(h, "kubelet=1.27.3-1.1").Observe(t.Context(), scene(nil)); err != nil || changes != nil {
		t.Errorf("what holds already does not wait for the lock: %v %v", changes, err)
	}
}

func TestRealMissingRevision(t *testing.T) {
	h := upgradable(t, nil)
	_, err := wanted(h, "kubelet=1.28.16-1.1").Observe(t.Context(), scene(nil))
	want := "the repositories of w1 do not offer kubelet 1.28.16-1.1, only 1.28.15-1.1; " +
		"correct the revision, or bring the repository up to date: packages.repository does, by hand it is apt-get update"
	if _, ok := errors.AsType[*engine.RefusedError](err); !ok || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
