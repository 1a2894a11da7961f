package machine

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

// TestSessions proves the door: authentication, exit status, standard streams, several sessions on one connection, a
// keepalive that is answered, and the limit of sessions.
func TestSessions(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial()
	if a := on(c, "cat; echo err >&2; exit 7", "in"); a.out != "in" || a.err != "err\n" || a.code != 7 {
		t.Errorf("streams: %+v", a)
	}
	if _, _, err := c.SendRequest("keepalive@openssh.com", true, nil); err != nil {
		t.Errorf("a keepalive was not answered: %v", err)
	}
	var open []*ssh.Session
	for range maxSessions {
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, s)
	}
	if _, err := c.NewSession(); err == nil {
		t.Error("an eleventh session was opened")
	}
	for _, s := range open {
		_ = s.Close()
	}
	c = r.dial() // the sessions of the other connection end in their own time
	if a := on(c, "kill -9 $$", ""); a.failure == nil || !strings.Contains(a.failure.Error(), "KILL") {
		t.Errorf("a killed command ended with %+v, want the signal", a)
	}
	other := newRig(t, nil)
	_, err := ssh.Dial("tcp", r.Addr().String(), &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(other.key)}, HostKeyCallback: ssh.FixedHostKey(r.HostKey())})
	if err == nil {
		t.Error("a stranger's key was let in")
	}
}

// TestAnsweredBeforeTheEnd proves that a session's request is answered before its command's end closes the channel, however
// short the command: a client that missed the answer would take its connection for lost.
func TestAnsweredBeforeTheEnd(t *testing.T) {
	c := newRig(t, nil).dial()
	var all sync.WaitGroup
	for range maxSessions / 2 {
		all.Go(func() {
			for range 200 {
				if a := on(c, ":", ""); a.failure != nil {
					t.Errorf("a command that ends at once: %v", a.failure)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestSudo proves the three kinds of login that are not root's.
func TestSudo(t *testing.T) {
	for _, tc := range []struct {
		name          string
		password      string
		refused       bool
		command, in   string
		code          int
		out, complain string
	}{
		{"root unasked", "", false, "sudo -n /bin/sh", "id -un; echo $HOME $SUDO_USER", 0, "root\n/root admin\n", ""},
		{"quiet, but asked", "s3cret", false, "sudo -n /bin/sh", "id -un", 1, "", "sudo: a password is required\n"},
		{"right password", "s3cret", false, "sudo -k -S -p PROMPT /bin/sh -c 'exec /bin/sh'", "s3cret\nid -un", 0, "root\n", "PROMPT"},
		{"wrong password", "s3cret", false, "sudo -S -p PROMPT /bin/sh", "no\nno\nno\nid -un", 1, "", "PROMPTSorry, try again.\nPROMPTSorry, try again.\nPROMPTSorry, try again.\nsudo: 3 incorrect password attempts\n"},
		{"no sudoer", "s3cret", true, "sudo -S -p P /bin/sh", "s3cret\nid -un", 1, "", "Padmin is not in the sudoers file.\n"},
		{"no terminal", "s3cret", false, "sudo true", "", 1, "", "a terminal is required"},
		{"a user's rights", "", false, "echo x >/etc/motd; apt-get update; id -un", "", 0, "admin\n", "permission denied"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Login, c.SudoPassword, c.SudoRefused = "admin", tc.password, tc.refused })
			a := on(r.dial(), tc.command, tc.in)
			if a.code != tc.code || a.out != tc.out || !strings.Contains(a.err, tc.complain) {
				t.Errorf("got %+v\nwant status %d, %q, complaint %q", a, tc.code, tc.out, tc.complain)
			}
			if l := r.effects.list(); len(l) > 0 {
				t.Errorf("effects: %q", l)
			}
		})
	}
}

const startJob = `mkdir -p /var/lib/upgrader/jobs/j1
systemd-run --quiet --unit=upgrader-j1 -p Type=exec -p RemainAfterExit=yes -p StandardOutput=append:/var/lib/upgrader/jobs/j1/out /bin/sh -c '
echo begun; sleep 2; apt-mark unhold kubeadm >/dev/null; echo done; echo $$? >/var/lib/upgrader/jobs/j1/rc'`

// TestJobSurvives proves that a transient unit outlives its connection and a restart of sshd, and that its effects carry
// its ticket.
func TestJobSurvives(t *testing.T) {
	r := newRig(t, nil)
	if a := r.sh(startJob); a.code != 0 {
		t.Fatal(a.err)
	}
	r.DropConnections()
	r.RestartSSHD()
	eventually(t, "the exit status of the job", func() bool { return strings.Contains(r.sh("cat /var/lib/upgrader/jobs/j1/rc 2>/dev/null").out, "0") })
	a := r.sh("cat /var/lib/upgrader/jobs/j1/out; systemctl show upgrader-j1 -p LoadState -p ActiveState -p Result -p ExecMainStatus")
	if want := "begun\ndone\nResult=success\nExecMainStatus=0\nLoadState=loaded\nActiveState=active\n"; a.out != want {
		t.Errorf("got %q, want %q", a.out, want)
	}
	want := []Effect{
		{"cp1", EffectJobStart, "upgrader-j1.service: ", "j1"}, {"cp1", EffectHold, "unhold kubeadm", "j1"}, {"cp1", EffectJobEnd, "upgrader-j1.service: exit status 0", "j1"},
	}
	eventually(t, "three effects", func() bool { return len(r.effects.list()) == len(want) })
	for i, e := range r.effects.all {
		e.Detail, _, _ = strings.Cut(e.Detail, "/bin/sh")
		if e != want[i] {
			t.Errorf("effect %d is %+v, want %+v", i, e, want[i])
		}
	}
}

// TestJobNames proves that a unit's name is taken as long as it is loaded, that of many starts one wins, and what a unit
// that does not exist looks like.
func TestJobNames(t *testing.T) {
	r := newRig(t, nil)
	a := r.sh(`for i in 1 2 3 4 5 6 7 8; do ( systemd-run --unit=u1 -r sleep 0.1 2>/dev/null && echo won ) & done; wait`)
	if a.out != "won\n" {
		t.Errorf("of eight starts %q", a.out)
	}
	a = r.sh("systemd-run --unit=u1 true")
	if a.code != 1 || !strings.Contains(a.err, "Unit u1.service was already loaded or has a fragment file.") {
		t.Errorf("a second start: %+v", a)
	}
	a = r.sh("systemctl show nothing -p LoadState -p Result -p ExecMainStatus; systemctl is-active nothing")
	if a.out != "Result=success\nExecMainStatus=0\nLoadState=not-found\ninactive\n" {
		t.Errorf("a missing unit: %q", a.out)
	}
	a = r.sh("systemd-run -q --unit=u2 true; sleep 1; systemctl show -p LoadState --value u2; systemd-run -q --unit=u3 false; sleep 1; systemctl is-active u3; systemctl reset-failed u3; systemctl show -p LoadState --value u3")
	if a.out != "not-found\nfailed\nnot-found\n" {
		t.Errorf("units that ended: %q", a.out)
	}
}

// TestReboot proves that a reboot cuts jobs, changes the boot ID, empties /run and /tmp, and keeps the rest.
func TestReboot(t *testing.T) {
	r := newRig(t, nil)
	before := r.sh("cat /proc/sys/kernel/random/boot_id; : >/run/x; : >/tmp/x; : >/var/lib/x").out
	if a := r.sh(strings.Replace(startJob, "sleep 2", "sleep 1000", 1)); a.code != 0 {
		t.Fatal(a.err)
	}
	c := r.dial()
	ended := make(chan answer, 1)
	go func() { ended <- on(c, "sleep 1000", "") }()
	on(r.dial(), "systemctl reboot", "") // how it ends is a matter of luck
	if a := <-ended; a.failure == nil {
		t.Errorf("the session ended with %+v, want a lost connection", a)
	}
	var after string
	eventually(t, "a new boot ID", func() bool { after = r.sh("cat /proc/sys/kernel/random/boot_id").out; return after != before })
	a := r.sh("ls /run/x /tmp/x 2>/dev/null; ls /var/lib/x; cat /var/lib/upgrader/jobs/j1/out; ls /var/lib/upgrader/jobs/j1/rc 2>/dev/null; systemctl show -p LoadState --value upgrader-j1; systemctl is-active kubelet")
	if want := "/var/lib/x\nbegun\nnot-found\nactive\n"; a.out != want {
		t.Errorf("after the reboot: %q, want %q", a.out, want)
	}
	if boot := r.world.boots["cp1"] + "\n"; boot != after {
		t.Errorf("the kubelet told the world boot ID %q, want %q", boot, after)
	}
	if !slices.Contains(r.effects.list(), "reboot: rebooted") {
		t.Errorf("effects: %q", r.effects.list())
	}
}

// TestPower proves that a machine without power answers nobody and comes back.
func TestPower(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial()
	r.PowerOff()
	if a := on(c, "true", ""); a.failure == nil {
		t.Error("a machine without power answered")
	}
	if _, err := ssh.Dial("tcp", r.Addr().String(), &ssh.ClientConfig{User: "root", HostKeyCallback: ssh.InsecureIgnoreHostKey()}); err == nil {
		t.Error("a machine without power took a connection")
	}
	if _, there := r.world.KubeletVersions()["cp1"]; there {
		t.Error("the kubelet of a machine without power runs")
	}
	r.PowerOn()
	if a := r.sh("hostname"); a.out != "cp1\n" {
		t.Errorf("after power on: %+v", a)
	}
}

// TestLostConnection proves that a silent command goes on when its connection is lost, and one that prints ends (as
// sshd's children do).
func TestLostConnection(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial()
	go on(c, "/bin/sh", "sleep 2; : >/var/lib/silent")
	go on(c, "/bin/sh", "while :; do echo x; sleep 0.2; echo x >>/var/lib/started; done")
	eventually(t, "the loud one to start", func() bool { return r.sh("ls /var/lib/started 2>/dev/null").out != "" })
	r.DropConnections()
	eventually(t, "the silent one to finish", func() bool { return r.sh("ls /var/lib/silent 2>/dev/null").out != "" })
	eventually(t, "the loud one to die", func() bool {
		a := r.sh("wc -l </var/lib/started; sleep 2; wc -l </var/lib/started")
		before, after, _ := strings.Cut(a.out, "\n")
		return before == strings.TrimSpace(after)
	})
}

// TestStall proves that a stalled connection is silent and then goes on as if nothing had been.
func TestStall(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial()
	on(c, "true", "")
	began := time.Now()
	r.Stall(200 * time.Millisecond)
	if a := on(c, "echo back", ""); a.out != "back\n" || time.Since(began) < 150*time.Millisecond {
		t.Errorf("after %v: %+v", time.Since(began), a)
	}
}

// TestMany proves that hundreds of machines fit into one process, and that a script is quick.
func TestMany(t *testing.T) {
	if testing.Short() {
		t.Skip("500 machines")
	}
	world := newWorld("1.27.16")
	for i := range 500 {
		m, err := Start(Config{Name: fmt.Sprintf("w%d", i), Version: "1.27.16", World: world})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
	}
}

// BenchmarkScript measures a script of thirty commands over one connection.
func BenchmarkScript(b *testing.B) {
	r := newRig(b, nil)
	c := r.dial()
	script := strings.Repeat("cat /etc/hostname | grep -q cp1\nx=$(stat -c %s /etc/hostname)\nmkdir -p /tmp/a/b\n", 10)
	for b.Loop() {
		if a := on(c, "/bin/sh", script); a.code != 0 || a.failure != nil {
			b.Fatal(a)
		}
	}
}
