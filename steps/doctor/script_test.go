package doctor

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/steps/inquiry/inquirytest"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/remote/remotetest"
	"upgrader.dev/upgrader/steps/survey"
)

// onThisMachine is a look at this machine as if it were a host w1, with these commands before its own. However busy it is,
// nothing hangs unless a command says so.
func onThisMachine(t *testing.T, commands map[string]string) *Host {
	t.Helper()
	all := map[string]string{"timeout": `shift 3; exec "$@"`, "apt-mark": "", "apt-config": ""}
	maps.Copy(all, commands)
	hosts := remotetest.One("w1", &remotetest.Host{Answer: func(s remote.Script) (remote.Result, error) {
		stdout, stderr := inquirytest.Here(t, s, all)
		return remote.Result{Stdout: stdout, Stderr: stderr}, nil
	}})
	p, err := Look(t.Context(), survey.Eyes{Hosts: hosts}, []Patient{{Name: "w1"}})
	if err != nil || p.Hosts[0].Err != nil {
		t.Fatal(err, p.Hosts[0].Err)
	}
	return p.Hosts[0]
}

// A systemctl with a kubelet that ends again and again, a containerd that was stopped and nothing else.
const ailing = `case "$*" in
*MainPID*) echo 0 ;;
*kubelet.service) printf '%s\n' Result=exit-code NRestarts=3 ExecMainStartTimestampMonotonic=1000000 ExecMainExitTimestampMonotonic=2000000 ExecMainStatus=1 \
  LoadState=loaded ActiveState=activating SubState=auto-restart UnitFileState=enabled ;;
*containerd.service) printf '%s\n' Result=success NRestarts=0 ExecMainStartTimestampMonotonic=0 ExecMainExitTimestampMonotonic=0 ExecMainStatus=0 \
  LoadState=loaded ActiveState=inactive SubState=dead UnitFileState=enabled ;;
*) printf '%s\n' Result=success NRestarts=0 LoadState=not-found ActiveState=inactive SubState=dead UnitFileState= ;;
esac`

// What a host says goes from survey's script into the doctor's: of which services a journal is wanted, and from when. What is
// in a journal comes as it is.
func TestJournalsOfWhatDoesNotRun(t *testing.T) {
	h := onThisMachine(t, map[string]string{"systemctl": ailing, "journalctl": `printf '%s\n' "of $2" 'a\nb "c"' '== host' '|x'`})
	if u := h.Units[kubelet]; stateOf(u) != Restarting || !u.Ran || u.Result != "exit-code 1" {
		t.Errorf("kubelet: %+v", u)
	}
	rest := []string{`a\nb "c"`, "== host", "|x"}
	want := map[string][]string{kubelet: append([]string{"of kubelet"}, rest...), containerd: append([]string{"of containerd"}, rest...)}
	if diff := cmp.Diff(want, h.Journals); diff != "" {
		t.Error(diff)
	}
	if len(h.Hung) > 0 || len(h.Components) != 4 {
		t.Errorf("hung %q, components %v", h.Hung, h.Components)
	}
}

// A journal that hangs is named, it is not asked again, and what it said before that is told.
func TestAJournalThatHangs(t *testing.T) {
	h := onThisMachine(t, map[string]string{
		"systemctl": ailing, "journalctl": "echo begun",
		"timeout": `shift 3; "$@"; case $1 in journalctl) exit 124 ;; esac`,
	})
	want := map[string][]string{kubelet: {"begun"}, containerd: nil}
	if diff := cmp.Diff(want, h.Journals); diff != "" {
		t.Error(diff)
	}
	if len(h.Hung) != 1 || !strings.HasPrefix(h.Hung[0], "journalctl -u kubelet ") {
		t.Errorf("hung %q", h.Hung)
	}
}

// A log that is taken away while the host is asked, or a link that leads nowhere, keeps nothing else from being told. One in
// which nothing stands yet began when it was made.
func TestLogsWithoutALine(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "1.log")
	made := time.Now().Add(-5 * time.Minute)
	if err := errors.Join(os.WriteFile(empty, nil, 0o600), os.Chtimes(empty, made, made)); err != nil {
		t.Fatal(err)
	}
	h := onThisMachine(t, map[string]string{"systemctl": ailing, "ls": `case "$*" in */kube-system_etcd-*) printf '%s\n' ` + empty + ` /nowhere/0.log ;; esac`})
	etcd := h.Components["etcd"]
	if len(h.Components) != 4 || len(etcd.Logs) != 1 {
		t.Fatalf("components %v, etcd %+v", h.Components, etcd)
	}
	if ago := etcd.Logs[0].Began; ago < 5*time.Minute || ago > 10*time.Minute || etcd.Logs[0].Ended != ago {
		t.Errorf("it began %s ago, and ended %s ago", ago, etcd.Logs[0].Ended)
	}
}
