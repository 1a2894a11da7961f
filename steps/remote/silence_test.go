package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
)

// hurried is a fleet that is soon tired of waiting for some parts of a call, and its only host.
func (d door) hurried(t *testing.T, sudo string, l limits) (*Fleet, Host) {
	t.Helper()
	inv := d.inventory()
	inv.SSH.Sudo = sudo
	patient := limits{session: time.Minute, begin: time.Minute, query: time.Minute}
	for _, part := range []struct{ of, want *time.Duration }{{&patient.session, &l.session}, {&patient.begin, &l.begin}, {&patient.query, &l.query}} {
		if *part.want != 0 {
			*part.of = *part.want
		}
	}
	f := NewFleet(Config{Inventory: inv, StateDir: filepath.Join(d.dir, "state"), limits: patient})
	t.Cleanup(func() { _ = f.Close() })
	h, err := f.Host("w1")
	if err != nil {
		t.Fatal(err)
	}
	return f, h
}

// withHangingSudo is a host whose sudo lets nobody in until the gate is opened.
func withHangingSudo(t *testing.T) (door, *smallServer, func()) {
	gate := filepath.Join(t.TempDir(), "gate")
	open := func() { write(t, gate, "") }
	d, s := startSmall(t, tools(t, map[string]string{"sudo": fmt.Sprintf(`[ "$1" = -n ] || printf "Verification code: " >&2; while [ ! -e %s ]; do sleep 0.1; done; [ "$1" = -n ] && shift; exec "$@"`, gate)}))
	t.Cleanup(open) // nobody else ends it
	return d, s, open
}

// A host that hangs is given up with what it hangs in, whichever part of a call that is, and nothing of it is in doubt but
// what may have been done.
func TestWhatHangsIsNamed(t *testing.T) {
	for _, c := range []struct {
		name  string
		mute  bool
		sudo  string
		limit limits
		text  string
		says  string
	}{
		{"it starts no shell", true, "never", limits{session: 300 * time.Millisecond}, "true", "sshd, told to start a shell, has not answered for 300ms"},
		{"sudo waits", false, "auto", limits{begin: 300 * time.Millisecond}, "true", "sudo has not answered for 300ms"},
		{"sudo asks for something else", false, "cmd:echo ask", limits{begin: 3 * time.Second}, "true", `sudo has not answered for 3s; its last word was "Verification code:"`},
		{"a program waits", false, "never", limits{query: 300 * time.Millisecond}, "echo df; sleep 1000", `what it was asked has not answered for 300ms; its last word was "df"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, s, _ := withHangingSudo(t)
			s.mute = c.mute
			_, h := d.hurried(t, c.sudo, c.limit)
			_, err := h.Query(t.Context(), Script{Text: c.text})
			if _, transient := errors.AsType[*engine.TransientError](err); !transient || !strings.Contains(err.Error(), "w1: "+c.says) {
				t.Errorf("Query = %v, want %q", err, c.says)
			}
		})
	}
}

// A host that takes a connection and never says a word is given up as well, and named: it may be the jump host.
func TestAHostThatNeverSpeaksIsGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // the kernel takes connections for it
	d, _ := startSmall(t, "")
	for _, c := range []struct{ host, jump, says string }{
		{l.Addr().String(), "", "no answer within 300ms; its port takes connections, but its sshd lets nobody in"},
		{d.addr, "admin@" + l.Addr().String(), "no answer within 300ms; there is no connection to its jump host"},
	} {
		d.addr = c.host
		inv := d.inventory()
		inv.SSH.ConnectTimeout, inv.SSH.ProxyJump = 300*time.Millisecond, c.jump
		f := NewFleet(Config{Inventory: inv})
		defer f.Close()
		h, err := f.Host("w1")
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Query(t.Context(), Script{Text: "true"})
		if _, transient := errors.AsType[*engine.TransientError](err); !transient || !strings.Contains(err.Error(), c.says) {
			t.Errorf("Query = %v, want %q", err, c.says)
		}
	}
}

// Whoever waits for a machine to say who it is while it hangs has waited long enough when the first one has.
func TestAHangingMachineIsAskedOnceWhoItIs(t *testing.T) {
	d, s, _ := withHangingSudo(t)
	f, h := d.hurried(t, "auto", limits{begin: 3 * time.Second})
	f.recognise = (&gatekeeper{}).recognise
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if _, err := h.Query(t.Context(), Script{Text: "true"}); !Hangs(err) || !strings.Contains(err.Error(), "w1: sudo has not answered for 3s") {
				t.Errorf("Query = %v", err)
			}
		})
	}
	all.Wait()
	if n := s.sessions(); n != 1 {
		t.Errorf("%d sessions were begun", n)
	}
}

// Who stops waiting for a session says nothing of the connection, which others go on with.
func TestWhoStopsWaitingLeavesTheConnection(t *testing.T) {
	d, s := startSmall(t, "")
	_, h := d.hurried(t, "never", limits{})
	if _, err := h.Query(t.Context(), Script{Text: "true"}); err != nil {
		t.Fatal(err)
	}
	way, _ := h.(*host).trunk(t.Context())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		if _, _, err := way.now.session(over, func() bool { return false }); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if _, err := h.Query(t.Context(), Script{Text: "true"}); err != nil || s.logins() != 1 {
		t.Errorf("Query = %v after %d logins", err, s.logins())
	}
}

// A change that sudo keeps waiting may still be made.
func TestAChangeThatHangsIsInDoubt(t *testing.T) {
	d, _, _ := withHangingSudo(t)
	_, h := d.hurried(t, "auto", limits{begin: 300 * time.Millisecond})
	if _, err := h.Run(t.Context(), ticket("t-1", 1, nil), Script{Text: "true"}); !isDoubt(err) || !strings.Contains(err.Error(), "sudo has not answered") {
		t.Errorf("Run = %v", err)
	}
}

// A connection on which a host does not answer is not used again.
func TestAnotherConnectionIsMadeWhereOneHangs(t *testing.T) {
	d, s, gate := withHangingSudo(t)
	_, h := d.hurried(t, "auto", limits{begin: 300 * time.Millisecond})
	if _, err := h.Query(t.Context(), Script{Text: "true"}); err == nil {
		t.Error("sudo did not hang")
	}
	gate()
	h.(*host).fleet.limits.begin = time.Minute
	if _, err := h.Query(t.Context(), Script{Text: "true"}); err != nil || s.logins() != 2 {
		t.Errorf("Query = %v after %d logins", err, s.logins())
	}
}

// running says whether a process whose number is in a file is there.
func running(t *testing.T, file string) bool {
	t.Helper()
	data, _ := os.ReadFile(file)
	var pid int
	if _, err := fmt.Sscan(string(data), &pid); err != nil {
		return false
	}
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return syscall.Kill(pid, 0) == nil && !strings.Contains(string(stat), ") Z ")
}

// What was given up ends on the host too, whether it heeds a signal or not, and whether its asker has said so, or was cut off.
func TestWhatIsGivenUpEndsOnTheHost(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		for name, text := range map[string]string{"one that heeds": "", "one that heeds nothing": "trap '' TERM HUP PIPE; "} {
			pid := filepath.Join(r.dir, name)
			hang := func(h Host, pid string) error {
				_, err := h.Query(t.Context(), Script{Text: text + `sleep 1000 & echo $! >"$F.new"; mv "$F.new" "$F"; wait; sleep 1000`, Env: map[string]string{"F": pid}})
				return err
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				_, h := r.hurried(t, "auto", limits{query: time.Second})
				if err := hang(h, pid); !Hangs(err) {
					t.Error(err)
				}
				eventually(t, "it ends", func() bool { return !running(t, pid) })
			})
			t.Run(name+", cut", func(t *testing.T) {
				t.Parallel()
				f, h := r.hurried(t, "auto", limits{})
				asked := make(chan error, 1)
				go func() { asked <- hang(h, pid+" cut") }()
				eventually(t, "it runs", func() bool { return running(t, pid+" cut") })
				_ = f.Close()
				<-asked
				eventually(t, "it ends", func() bool { return !running(t, pid+" cut") })
			})
		}
	})
}

// A change that has begun may go on for ten seconds after its asker has left: it is made, or not begun, but not cut in half.
func TestAChangeIsFinishedWhereNobodyListens(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		counter, ran := r.file("counter")
		_, h := r.hurried(t, "auto", limits{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := h.Run(ctx, ticket("t-1", 1, nil), Script{Text: `echo begun >>"$C"; sleep 3; echo made >>"$C"`, Env: map[string]string{"C": counter}})
			done <- err
		}()
		eventually(t, "it begins", func() bool { return ran() != "" })
		cancel()
		if err := <-done; !isDoubt(err) {
			t.Errorf("Run = %v", err)
		}
		eventually(t, "it is made", func() bool { return ran() == "begun\nmade\n" })
	})
}

// Questions that hang do not use up the sessions that a host allows.
func TestHungQuestionsLeaveRoom(t *testing.T) {
	d := startOpenSSH(t, "MaxSessions 2")
	f, h := d.hurried(t, "auto", limits{query: 300 * time.Millisecond})
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if _, err := h.Query(t.Context(), Script{Text: "trap '' TERM; sleep 1000; sleep 1000"}); err == nil {
				t.Error("it did not hang")
			}
		})
	}
	all.Wait()
	f.limits.query = time.Minute
	if got, err := h.Query(t.Context(), Script{Text: "echo here"}); err != nil || got.Stdout != "here\n" {
		t.Errorf("%+v, %v", got, err)
	}
}

// The command of a secret that does not end holds nobody up: neither who has stopped waiting for it, nor the end of all.
func TestASecretThatDoesNotComeHoldsNobodyUp(t *testing.T) {
	d, _ := startSmall(t, "")
	pid := filepath.Join(d.dir, "pid")
	f, h := d.hurried(t, "cmd:sleep 1000 & echo $! >"+pid+"; wait", limits{})
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		_, err := h.Query(ctx, Script{Text: "true"})
		asked <- err
	}()
	eventually(t, "the command runs", func() bool { return running(t, pid) })
	defer func() { // it has left its shell
		data, _ := os.ReadFile(pid)
		var n int
		_, _ = fmt.Sscan(string(data), &n)
		_ = syscall.Kill(n, syscall.SIGKILL)
	}()
	cancel()
	closed := make(chan error, 1)
	go func() { closed <- f.Close() }()
	for what, c := range map[string]chan error{"the question": asked, "Close": closed} {
		select {
		case <-c:
		case <-time.After(20 * time.Second):
			t.Errorf("%s goes on", what)
		}
	}
}
