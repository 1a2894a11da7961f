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
	"sync/atomic"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
)

func TestSudo(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	bin := tools(t, map[string]string{"sudo": sudoAsks("right-password", log)})
	t.Setenv("GOOD", "right-password")
	t.Setenv("BAD", "wrong-password")
	for _, c := range []struct{ how, says, typed string }{
		{"env:GOOD", "", "right-password\n"},
		{"cmd:echo right-password", "", "right-password\n"},
		{"env:BAD", "sudo did not accept the password from env:BAD", "wrong-password\n"},
		{"env:MISSING", "set the environment variable MISSING", ""},
		{"auto", "say in the inventory where the password is", ""},
		{"never", "", ""},
	} {
		_ = os.Remove(log)
		d, _ := startSmall(t, bin)
		inv := d.inventory()
		inv.SSH.Sudo = c.how
		f := NewFleet(Config{Inventory: inv})
		h, _ := f.Host("w1")
		got, err := h.Query(t.Context(), Script{Text: "read -r line || true; echo \"got $line\""})
		if c.says == "" && (err != nil || got.Stdout != "got \n") {
			t.Errorf("%s: %+v, %v", c.how, got, err)
		}
		if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", c.how, err, c.says)
		}
		if typed, _ := os.ReadFile(log); string(typed) != c.typed {
			t.Errorf("%s: sudo read %q, want %q", c.how, typed, c.typed)
		}
		_ = f.Close()
	}
}

// Whose number is 0 is root, whatever the name, and needs no sudo.
func TestRootByAnotherName(t *testing.T) {
	t.Setenv("UNUSED", "a password that nobody asks for")
	for _, sudo := range []string{"auto", "env:UNUSED"} {
		d, _ := startSmall(t, tools(t, map[string]string{"id": "echo 0", "sudo": "echo 'admin is not in the sudoers file' >&2; exit 1"}))
		_, h := d.hurried(t, sudo, limits{})
		if got, err := h.Query(t.Context(), Script{Text: "echo here"}); err != nil || got.Stdout != "here\n" {
			t.Errorf("%s: %+v, %v", sudo, got, err)
		}
	}
}

func TestUnsafeStateDirectory(t *testing.T) {
	d, _ := startSmall(t, "")
	for name, prepare := range map[string]func(dir string) error{
		"a link":          func(dir string) error { return os.Symlink(t.TempDir(), dir) },
		"open to others":  func(dir string) error { return os.Mkdir(dir, 0o755) },
		"not a directory": func(dir string) error { return os.WriteFile(dir, nil, 0o700) },
	} {
		dir := filepath.Join(t.TempDir(), "state")
		if err := prepare(dir); err != nil {
			t.Fatal(err)
		}
		inv := d.inventory()
		inv.SSH.Sudo = "never"
		f := NewFleet(Config{Inventory: inv, StateDir: dir})
		h, _ := f.Host("w1")
		touched := filepath.Join(d.dir, "touched")
		s := Script{Text: `echo x >"$F"`, Env: map[string]string{"F": touched}}
		_, runErr := h.Run(t.Context(), ticket("t-1", 1, nil), s)
		doErr := h.Do(t.Context(), ticket("t-2", 1, nil), Job{Script: s})
		for _, err := range []error{runErr, doErr} {
			if err == nil || !strings.Contains(err.Error(), "mode 0700") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := os.Stat(touched); err == nil {
			t.Errorf("%s: it was used", name)
		}
		_ = f.Close()
	}
}

// systemd is stood in for by scripts: the real one is not everywhere that tests run.
func TestJobsAreUnitsWhereSystemdIs(t *testing.T) {
	for _, c := range []struct {
		name, systemdRun string
		says             string
	}{
		{"it starts", `echo "$@" >>"$0.log"; while [ "$1" != /bin/sh ]; do shift; done; setsid "$@" </dev/null >/dev/null 2>&1 &`, ""},
		{"it refuses", `echo 'Failed to start transient service unit: no room' >&2; exit 1`, "could not be started, and never will be: Failed to start transient service unit: no room"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, _ := startSmall(t, "")
			bin := tools(t, map[string]string{"systemd-run": c.systemdRun})
			inv := d.inventory()
			inv.SSH.Sudo = "never"
			f := NewFleet(Config{Inventory: inv, StateDir: filepath.Join(d.dir, "state"), path: bin + ":" + defaultPath, booted: bin})
			defer f.Close()
			h, _ := f.Host("w1")
			var out safeBuffer
			err := h.Do(t.Context(), ticket("t-1", 1, &out), Job{Name: "unit", Script: Script{Text: "echo hello"}})
			if c.says != "" {
				if err == nil || isDoubt(err) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("Do = %v", err)
				}
				s, err := f.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-1", 1, nil))
				if err != nil || s.Fate != engine.NeverStarted {
					t.Errorf("Settle = %+v, %v", s, err)
				}
				return
			}
			log, _ := os.ReadFile(filepath.Join(bin, "systemd-run.log"))
			if err != nil || out.String() != "hello\n" || !strings.Contains(string(log), "--unit=upgrader-t-1 -p Type=exec") {
				t.Errorf("Do = %v, output %q, systemd-run %s", err, out.String(), log)
			}
		})
	}
}

// What old jobs put out goes. How they ended stays, or else their tickets would count as never started.
func TestOldJobsLeaveOnlyTheirEnd(t *testing.T) {
	d, s := startSmall(t, "")
	r := newRig(t, d, s.cut)
	inv := d.inventory()
	inv.SSH.Sudo = "never"
	f := NewFleet(Config{Inventory: inv, StateDir: r.state})
	defer f.Close()
	h, _ := f.Host("w1")
	for i := range 205 {
		r.record(t, fmt.Sprintf("old-%d", i), time.Now().Add(-time.Hour), i != 3) // one has not ended
	}
	if err := h.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "new", Script: Script{Text: "true"}}); err != nil {
		t.Fatal(err)
	}
	left := func(file string) int {
		files, _ := filepath.Glob(filepath.Join(r.state, "jobs", "*"+file))
		return len(files)
	}
	eventually(t, "what old jobs put out is removed", func() bool { return left(".out") <= 201 }) // the newest 200, and one that has not ended
	if n := left(".claim"); n != 206 {
		t.Errorf("%d of 206 jobs left how they ended", n)
	}
}

// A connection that goes silent, without an end, is given up after three keepalives, and the next one is made by itself.
func TestSilentConnectionIsGivenUp(t *testing.T) {
	d, _ := startSmall(t, "")
	inv := d.inventory()
	inv.SSH.Sudo, inv.SSH.Keepalive = "never", 200*time.Millisecond
	var silent atomic.Pointer[stalled]
	f := NewFleet(Config{Inventory: inv, StateDir: filepath.Join(d.dir, "state"), Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		s := &stalled{Conn: c, closed: make(chan struct{})}
		silent.Store(s)
		return s, nil
	}})
	defer f.Close()
	h, _ := f.Host("w1")
	if _, err := h.Query(t.Context(), Script{Text: "true"}); err != nil {
		t.Fatal(err)
	}
	silent.Load().on.Store(true)
	began := time.Now()
	if _, err := h.Run(t.Context(), ticket("t-1", 1, nil), Script{Text: "true"}); err == nil {
		t.Error("a command on a silent connection succeeded")
	}
	if took := time.Since(began); took > 30*time.Second { // by itself, it would be silent for good
		t.Errorf("it took %s to notice", took)
	}
	if _, err := h.Query(t.Context(), Script{Text: "true"}); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// stalled is a connection that, once on, swallows everything and says nothing.
type stalled struct {
	net.Conn
	on     atomic.Bool
	once   sync.Once
	closed chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if s.on.Load() {
		<-s.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (s *stalled) Write(p []byte) (int, error) {
	if s.on.Load() {
		return len(p), nil
	}
	return s.Conn.Write(p)
}

func (s *stalled) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Conn.Close()
}

func TestUnreachableIsTransient(t *testing.T) {
	d, _ := startSmall(t, "")
	d.addr = freeAddress(t)
	inv := d.inventory()
	f := NewFleet(Config{Inventory: inv})
	defer f.Close()
	h, _ := f.Host("w1")
	_, qErr := h.Query(t.Context(), Script{Text: "true"})
	_, rErr := h.Run(t.Context(), ticket("t-1", 1, nil), Script{Text: "true"})
	dErr := h.Do(t.Context(), ticket("t-1", 1, nil), Job{})
	for _, err := range []error{qErr, rErr, dErr} {
		if _, ok := errors.AsType[*engine.TransientError](err); !ok || isDoubt(err) {
			t.Errorf("%v is not transient", err)
		}
	}
}

func TestContextEndsWaiting(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := r.host.Query(ctx, Script{Text: "sleep 30"})
		if !errors.Is(err, context.DeadlineExceeded) || isDoubt(err) {
			t.Errorf("Query = %v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err = r.host.Run(ctx, ticket("t-1", 1, nil), Script{Text: "sleep 30"}); !errors.Is(err, context.DeadlineExceeded) || !isDoubt(err) {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestDryRunWritesNothing(t *testing.T) {
	d, s := startSmall(t, "")
	f := NewFleet(Config{Inventory: d.inventory()})
	defer f.Close()
	h, err := f.ReadOnly().Host("w1")
	if err != nil {
		t.Fatal(err)
	}
	_, runErr := h.Run(t.Context(), ticket("t-1", 1, nil), Script{Text: "true"})
	doErr := h.Do(t.Context(), ticket("t-1", 1, nil), Job{})
	if !errors.Is(runErr, engine.ErrReadOnly) || !errors.Is(doErr, engine.ErrReadOnly) || s.logins() != 0 {
		t.Errorf("Run = %v, Do = %v, %d logins", runErr, doErr, s.logins())
	}
	if _, err := h.Query(t.Context(), Script{Text: "true", AsUser: true}); err != nil {
		t.Errorf("Query = %v", err)
	}
}

// sshd allows ten sessions per connection by default, a hardened one fewer. Neither is an error.
func TestManyAtOnce(t *testing.T) {
	for _, limit := range []string{"", "MaxSessions 2"} {
		d := startOpenSSH(t, limit)
		f := NewFleet(Config{Inventory: d.inventory()})
		h, _ := f.Host("w1")
		var wg sync.WaitGroup
		for range 25 {
			wg.Go(func() {
				if got, err := h.Query(t.Context(), Script{Text: "echo x"}); err != nil || got.Stdout != "x\n" {
					t.Errorf("%q: %+v, %v", limit, got, err)
				}
			})
		}
		wg.Wait()
		_ = f.Close()
	}
}
