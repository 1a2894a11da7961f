package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"upgrader.dev/upgrader/engine"
)

// atSmall is a host behind the small server, whose sudo asks nothing.
func atSmall(t *testing.T) rig {
	t.Helper()
	d, s := startSmall(t, tools(t, map[string]string{"sudo": `[ "$1" = -n ] && shift; exec "$@"`}))
	return newRig(t, d, s.cut)
}

// other is a controller whose host finds these commands first, and keeps its state there.
func (r rig) other(t *testing.T, state, bin, booted string) (*Fleet, Host) {
	t.Helper()
	f := NewFleet(Config{Inventory: r.inventory(), StateDir: state, path: bin + ":" + defaultPath, booted: booted})
	t.Cleanup(func() { _ = f.Close() })
	h, err := f.Host("w1")
	if err != nil {
		t.Fatal(err)
	}
	return f, h
}

// smallDisk is a file system with little room, for a state directory. Only root can make one.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// A job that fills the disk and succeeds is never said to have failed: its exit status waits for room.
func TestAFullDiskDoesNotTurnSuccessIntoFailure(t *testing.T) {
	disk, r := smallDisk(t, "size=256k"), atSmall(t)
	_, h := r.other(t, filepath.Join(disk, "state"), "/none", "")
	go func() {
		time.Sleep(500 * time.Millisecond) // by then it is full, most likely
		_ = os.Remove(filepath.Join(disk, "fill"))
	}()
	if err := h.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "fill", Script: Script{
		Text: `dd if=/dev/zero of="$D/fill" bs=4k 2>/dev/null || true`, Env: map[string]string{"D": disk}}}); err != nil {
		t.Errorf("Do = %v", err)
	}
}

// A job that prints faster than anybody can look does not fill its disk with that, is not cut short, and says how it ended.
// Where its disk is full of other things it goes on as well, though there is no room for the last word.
func TestOutputDoesNotFillASmallDisk(t *testing.T) {
	for _, c := range []struct{ name, disk, text, end string }{
		{"64 MiB", "size=64m", `yes 'of many lines' | head -c 2000000000`, "\n98\nlast"},
		{"1 MiB", "size=1m", `yes 'of many lines' | head -c 100000000`, "\n98\nlast"},
		{"full", "size=4m", `dd if=/dev/zero of="$D/fill" bs=64k 2>/dev/null || true; yes | head -c 2000000000; rm -f "$D/fill"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk, r := smallDisk(t, c.disk), atSmall(t)
			_, h := r.other(t, filepath.Join(disk, "state"), "/none", "")
			err := h.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "loud", Script: Script{
				Text: c.text + `; i=0; while [ $i -lt 99 ]; do echo $i; i=$((i+1)); done; echo last; exit 6`, Env: map[string]string{"D": disk}}})
			exit, ok := errors.AsType[*ExitError](err)
			if !ok || exit.Code != 6 || !strings.HasSuffix(exit.Tail, c.end) {
				t.Errorf("Do = %.2000v", err)
			}
			var free syscall.Statfs_t
			if err := syscall.Statfs(disk, &free); err != nil || free.Bavail < free.Blocks/3 {
				t.Errorf("%d of %d blocks are left (%v)", free.Bavail, free.Blocks, err)
			}
		})
	}
}

// What is shortened shows no part of a secret, which nobody would know for one: neither where the job prints faster than
// anybody can look, nor where the disk has no room for what is kept.
func TestShortenedOutputShowsNoPartOfASecret(t *testing.T) {
	secret := strings.Repeat("0123456789", 8)
	for name, fill := range map[string]string{"with room": "0", "no room to work": "665", "no room": "900"} {
		t.Run(name, func(t *testing.T) {
			r, dir := atSmall(t), hostDir(t)
			if fill != "0" {
				dir = smallDisk(t, "size=1m")
			}
			f, h := r.other(t, filepath.Join(dir, "state"), "/none", "")
			f.sh.cap = 1 << 20
			var out safeBuffer
			err := h.Do(t.Context(), ticket("t-1", 1, &out), Job{Name: "loud", Script: Script{
				Text: `dd if=/dev/zero of="$D/fill" bs=1k count="$N" 2>/dev/null; yes "word $S" | head -n 1000000; rm -f "$D/fill"; exit 6`,
				Env:  map[string]string{"D": dir, "N": fill}, Secret: map[string]string{"S": secret}}})
			exit, ok := errors.AsType[*ExitError](err)
			if !ok || exit.Code != 6 || !strings.Contains(out.String(), "dropped") {
				t.Errorf("Do = %v, %.200q", err, out.String())
			}
			for _, line := range strings.Split(out.String(), "\n") {
				if strings.Contains(line, "234567") {
					t.Fatalf("part of a secret: %q", line)
				}
			}
		})
	}
}

// What reads a job's output is not what the job lives by, nor the other way round: it may be killed, the job may leave a
// daemon that never closes its output, and that may go on.
func TestAPipeHoldsNobody(t *testing.T) {
	disk, r := smallDisk(t, "size=64m"), atSmall(t)
	_, h := r.other(t, filepath.Join(disk, "state"), "/none", "")
	beats := filepath.Join(disk, "beats")
	const reader = `sleep 0.3; me=$(exec sh -c 'echo $PPID'); reader=$(pgrep -P $$ | grep -vx $me); `
	for id, c := range map[string]struct{ text, last string }{
		"t-dd":     {reader + `killed=$(pgrep -P $reader dd); kill -9 $killed; while kill -0 $killed 2>/dev/null; do sleep 0.02; done; echo after; sleep 0.3; echo last`, "after\nlast\n"},
		"t-reader": {reader + `pkill -KILL -P $reader; kill -9 $reader; sleep 0.3; echo after; sleep 0.3; echo last`, ""},
		"t-daemon": {`(while echo beat && echo beat >>"$B"; do sleep 0.1; done) & echo last`, ""},
	} {
		t.Run(id, func(t *testing.T) {
			began := time.Now()
			err := h.Do(t.Context(), ticket(id, 1, nil), Job{Name: id, Script: Script{Text: c.text, Env: map[string]string{"B": beats}}})
			if took := time.Since(began); err != nil || took > 20*time.Second {
				t.Errorf("Do = %v after %s", err, took)
			}
			out, _ := os.ReadFile(filepath.Join(disk, "state/jobs", id+".out"))
			if !strings.HasSuffix(string(out), c.last) {
				t.Errorf("printed %q", out)
			}
		})
	}
	size := func() int64 { info, _ := os.Stat(beats); return info.Size() }
	eventually(t, "the daemon goes on", func(was int64) func() bool { return func() bool { return size() > was+50 } }(size()))
}

// A disk with no room for a job says so, at once, and nothing is in doubt: nothing was begun.
func TestAFullDiskIsNamed(t *testing.T) {
	disk, r := smallDisk(t, "size=256k,nr_inodes=8"), atSmall(t)
	f, h := r.other(t, filepath.Join(disk, "state"), "/none", "")
	if _, err := h.Run(t.Context(), ticket("t-0", 1, nil), Script{Text: "true"}); err != nil {
		t.Fatal(err)
	}
	for i := 0; os.WriteFile(filepath.Join(disk, fmt.Sprint(i)), nil, 0o600) == nil; i++ {
	}
	err := h.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "x", Script: Script{Text: "true"}})
	if err == nil || isDoubt(err) || !strings.Contains(err.Error(), "No space left on device") {
		t.Errorf("Do = %v", err)
	}
	if s, err := f.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-1", 1, nil)); err == nil || !strings.Contains(err.Error(), "No space left on device") {
		t.Errorf("Settle = %+v, %v", s, err)
	}
}

// Of a job whose record vanished from the host, as by a reboot of one that keeps it in memory, it is not said that it
// never started.
func TestAVanishedRecordIsNotNeverStarted(t *testing.T) {
	r := atSmall(t)
	counter, ran := r.file("counter")
	gate, _ := r.file("gate")
	var out safeBuffer
	ended := make(chan error, 1)
	go func() {
		ended <- r.host.Do(t.Context(), ticket("t-1", 1, &out), Job{Name: "x", Script: Script{
			Text: `echo run >>"$C"; echo begun; while [ ! -e "$G" ]; do sleep 0.02; done; echo ended >>"$C"`, Env: map[string]string{"C": counter, "G": gate}}})
	}()
	eventually(t, "it is followed", func() bool { return out.String() != "" && ran() != "" })
	eventually(t, "the record is removed", func() bool { return os.RemoveAll(r.state) == nil })
	if err := <-ended; !isDoubt(err) {
		t.Errorf("Do = %v", err)
	}
	if s, err := r.fleet.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-1", 1, nil)); err != nil || s.Fate != engine.Cut {
		t.Errorf("Settle = %+v, %v", s, err)
	}
	write(t, gate, "")
	eventually(t, "it ends", func() bool { return strings.Contains(ran(), "ended") })
}

// Of a job that ended long ago, with many since, it is not said that it never started.
func TestAnOldJobIsNotNeverStarted(t *testing.T) {
	r := atSmall(t)
	if err := r.host.Do(t.Context(), ticket("t-old", 1, nil), Job{Name: "x", Script: Script{Text: "true"}}); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		r.record(t, fmt.Sprintf("since-%d", i), time.Now().Add(time.Hour), true)
	}
	if err := r.host.Do(t.Context(), ticket("t-new", 1, nil), Job{Name: "x", Script: Script{Text: "true"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is pruned", func() bool { _, err := os.Stat(filepath.Join(r.state, "jobs/t-old.out")); return err != nil })
	if s, err := r.fleet.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-old", 1, nil)); err != nil || s.Fate != engine.Ended || s.Err != nil {
		t.Errorf("Settle = %+v, %v", s, err)
	}
}

// A job that was placed before a newer controller came does not begin after it, however slow the host.
func TestAPlacedJobMeetsTheFenceAgain(t *testing.T) {
	r := atSmall(t)
	gate, _ := r.file("gate")
	reached, slow := r.file("reached")
	counter, ran := r.file("counter")
	setsid, err := exec.LookPath("setsid")
	if err != nil {
		t.Fatal(err)
	}
	bin := tools(t, map[string]string{"setsid": fmt.Sprintf(`echo >%s; while [ ! -e %s ]; do sleep 0.02; done; exec %s "$@"`, reached, gate, setsid)})
	_, old := r.other(t, r.state, bin, "")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- old.Do(ctx, ticket("t-1", 1, nil), Job{Name: "stale", Script: Script{Text: `echo stale >>"$C"`, Env: map[string]string{"C": counter}}})
	}()
	eventually(t, "the host is slow", func() bool { return slow() != "" })
	_, newer := r.controller(t)
	if _, err := newer.Run(t.Context(), ticket("t-2", 2, nil), Script{Text: `echo new >>"$C"`, Env: map[string]string{"C": counter}}); err != nil {
		t.Fatal(err)
	}
	write(t, gate, "")
	if s, err := r.fleet.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-1", 2, nil)); err != nil || s.Fate != engine.NeverStarted {
		t.Errorf("Settle = %+v, %v", s, err)
	}
	cancel()
	<-ended
	if ran() != "new\n" {
		t.Errorf("epoch 1 acted after epoch 2: %q", ran())
	}
}

// Nor does one after an epoch that is no number for a shell: what cannot be compared is newer.
func TestAPlacedJobMeetsAnEpochBeyondNumbers(t *testing.T) {
	setsid, err := exec.LookPath("setsid")
	if err != nil {
		t.Fatal(err)
	}
	for _, epoch := range []string{"9223372036854775808", "99999999999999999999999", "six", ""} {
		r := atSmall(t)
		counter, ran := r.file("counter")
		bin := tools(t, map[string]string{"setsid": fmt.Sprintf(`echo %s >%s/epoch; exec %s "$@"`, epoch, r.state, setsid)})
		_, h := r.other(t, r.state, bin, "")
		err := h.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "stale", Script: Script{Text: `echo stale >>"$C"`, Env: map[string]string{"C": counter}}})
		if err == nil || isDoubt(err) || ran() != "" {
			t.Errorf("epoch %q: Do = %v, and it ran: %q", epoch, err, ran())
		}
	}
}

// deaf is an agent that lists keys and never signs, as one that waits for a touch.
type deaf struct {
	agent.Agent
	end <-chan struct{}
}

func (d deaf) Sign(ssh.PublicKey, []byte) (*ssh.Signature, error) {
	<-d.end
	return nil, agent.ErrExtensionUnsupported
}

func (d deaf) SignWithFlags(key ssh.PublicKey, data []byte, _ agent.SignatureFlags) (*ssh.Signature, error) {
	return d.Sign(key, data)
}

func (deaf) Extension(string, []byte) ([]byte, error) { return nil, agent.ErrExtensionUnsupported }

// An agent that does not answer is waited for no longer than a host.
func TestAnAgentThatDoesNotSignIsGivenUp(t *testing.T) {
	r := atSmall(t)
	data, err := os.ReadFile(r.identity)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParseRawPrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(r.dir, "agent"))
	if err != nil {
		t.Fatal(err)
	}
	end, served := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = agent.ServeAgent(deaf{ring, end}, c)
			_ = c.Close()
		}
	}()
	defer func() { _ = l.Close(); close(end); <-served }()
	t.Setenv("SSH_AUTH_SOCK", l.Addr().String())
	t.Setenv("HOME", t.TempDir())
	inv := r.inventory()
	inv.SSH.IdentityFile, inv.SSH.ConnectTimeout = "", 300*time.Millisecond
	f := NewFleet(Config{Inventory: inv, StateDir: r.state})
	defer f.Close()
	h, err := f.Host("w1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := h.Query(ctx, Script{Text: "true"}); err == nil { // or it hangs, and the test with it
		t.Error("it logged in without a signature")
	}
}

// What remains of a job that has ended is no reason to signal processes that were given its number since.
func TestStopLeavesForeignProcessesAlone(t *testing.T) {
	r := atSmall(t)
	foreign := exec.Command("sleep", "60")
	foreign.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := foreign.Start(); err != nil {
		t.Fatal(err)
	}
	dead := make(chan error, 1)
	go func() { dead <- foreign.Wait() }()
	if err := r.host.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "x", Script: Script{Text: "true"}}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(r.state, "jobs/t-1.claim"), fmt.Sprintf("0\npid %d\n", foreign.Process.Pid))
	eventually(t, "nothing of the job is left", func() bool {
		return exec.Command("flock", "-n", filepath.Join(r.state, "jobs/t-1.out"), "true").Run() == nil
	})
	if err := r.host.(*host).stop(ticket("t-1", 1, nil)); err != nil {
		t.Error(err)
	}
	select {
	case err := <-dead:
		t.Errorf("a process that is none of the job's was ended: %v", err)
	case <-time.After(300 * time.Millisecond):
		_ = foreign.Process.Kill()
		<-dead
	}
}

// Secrets of a job that could not be started do not stay on the host.
func TestSecretsOfAJobThatNeverRanGo(t *testing.T) {
	r := atSmall(t)
	bin := tools(t, map[string]string{"systemd-run": "echo 'Failed to start transient service unit' >&2; exit 1"})
	_, h := r.other(t, r.state, bin, t.TempDir())
	err := h.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "x", Script: Script{Text: "true", Secret: map[string]string{"PW": "hunter2secret"}}})
	if err == nil || !strings.Contains(err.Error(), "Failed to start") {
		t.Errorf("Do = %v", err)
	}
	if out, _ := exec.Command("grep", "-rl", "hunter2secret", r.state).Output(); len(out) > 0 {
		t.Errorf("the secret is still in %s", out)
	}
}

// A text that no shell can read says why, at once.
func TestASyntaxErrorIsTold(t *testing.T) {
	err := atSmall(t).host.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "x", Script: Script{Text: "if true; then echo hi"}})
	if err == nil || isDoubt(err) || !strings.Contains(strings.ToLower(err.Error()), "syntax error") {
		t.Errorf("Do = %v", err)
	}
}

// What a shell complains of is the reason, and no output of the job, however early it is seen: the job never began.
func TestASyntaxErrorIsNoOutput(t *testing.T) {
	r := atSmall(t)
	bin := tools(t, map[string]string{
		"systemd-run": `while [ "$1" != /bin/sh ]; do shift; done; setsid "$@" </dev/null >/dev/null 2>&1 || :`, // it has complained before we look
		"systemctl":   "echo inactive",
	})
	_, h := r.other(t, r.state, bin, t.TempDir())
	out := &safeBuffer{}
	err := h.Do(t.Context(), ticket("t-1", 1, out), Job{Name: "x", Script: Script{Text: "if true; then echo hi"}})
	if err == nil || !strings.Contains(strings.ToLower(err.Error()), "syntax error") || out.String() != "" {
		t.Errorf("Do = %v, and as output %q", err, out.String())
	}
}

// While systemd says that the unit is at work, the job is not cut, although its processes closed what they inherited.
func TestAUnitThatIsActiveIsNotCut(t *testing.T) {
	r := atSmall(t)
	beat, ran := r.file("beat")
	claim := filepath.Join(r.state, "jobs/t-1.claim")
	bin := tools(t, map[string]string{
		"flock":       `exit 0`,
		"systemd-run": `while [ "$1" != /bin/sh ]; do shift; done; setsid "$@" </dev/null >/dev/null 2>&1 &`,
		"systemctl":   fmt.Sprintf(`if [ ! -s %[1]s ] || kill -0 "$(sed -n 's/^pid //p' %[1]s)"; then echo active; else echo inactive; fi`, claim),
	})
	_, h := r.other(t, r.state, bin, t.TempDir())
	ended := make(chan error, 1)
	go func() { // nobody holds the lock, as if the processes of the job had closed it
		ended <- h.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "apt", Script: Script{
			Text: `for i in 1 2 3 4 5 6 7 8 9 10; do echo beat >>"$B"; sleep 0.1; done; exit 3`, Env: map[string]string{"B": beat}}})
	}()
	err := <-ended
	if exit, ok := errors.AsType[*ExitError](err); !ok || exit.Code != 3 || strings.Count(ran(), "beat") != 10 {
		t.Errorf("Do = %v after %q", err, ran())
	}
}

// What a login shell prints before a command is no part of the command's answer.
func TestTheLoginShellsWordsAreNoAnswer(t *testing.T) {
	d, s := startSmall(t, tools(t, map[string]string{"sudo": `echo LoadState=not-found; [ "$1" = -n ] && shift; exec "$@"`}))
	if got, err := newRig(t, d, s.cut).host.Query(t.Context(), Script{Text: "echo answer"}); err != nil || got.Stdout != "answer\n" {
		t.Errorf("%q, %v", got.Stdout, err)
	}
}

// A host that begins a message and never ends it does not fill this machine's memory.
func TestAMessageWithoutEndIsDropped(t *testing.T) {
	f := &follower{out: &safeBuffer{}}
	w := f.session("m")
	_, _ = w.Write([]byte("\nm at 0"))
	for range 1024 {
		_, _ = w.Write(make([]byte, 32<<10))
	}
	if len(f.held) > 1<<20 {
		t.Errorf("%d bytes are kept", len(f.held))
	}
}
