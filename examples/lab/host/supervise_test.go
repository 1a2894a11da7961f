//go:build linux

package host

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

// A wait status carries the signal that ended a process in its low bits, and the exit status above them.
const (
	byHangUp    = syscall.WaitStatus(syscall.SIGHUP)
	byInterrupt = syscall.WaitStatus(syscall.SIGINT)
	byKill      = syscall.WaitStatus(syscall.SIGKILL)
	byExit      = syscall.WaitStatus(1 << 8)
)

func TestWhatTheEndOfPid1Means(t *testing.T) {
	for _, c := range []struct {
		e       ending
		reboots bool
		want    string
	}{
		{ending{status: byHangUp, begun: true}, true, "reboots"},
		{ending{status: byInterrupt, begun: true}, false, "powered off"},
		{ending{status: byKill, begun: true}, false, "killed"},
		{ending{status: byExit, begun: true}, false, "systemd ended with status 1"},
		{ending{status: byHangUp}, false, "did not boot: it was killed while it booted"},
		{ending{err: errors.New("no disk")}, false, "did not boot: no disk"},
	} {
		if c.e.reboots() != c.reboots || c.e.String() != c.want {
			t.Errorf("%+v: got %v, %q; want %v, %q", c.e, c.e.reboots(), c.e, c.reboots, c.want)
		}
	}
}

// ended is a supervisor whose host has just ended, in a directory where none can boot.
func ended(t *testing.T, doomed, again, off bool, e ending) (*supervisor, chan string) {
	t.Helper()
	answer := make(chan string, 1)
	s := &supervisor{dir: t.TempDir(), life: &life{doomed: doomed}, again: again, off: off, booting: []chan<- string{answer}}
	s.hasEnded(e)
	return s, answer
}

func TestWhatTheSupervisorDoes(t *testing.T) {
	rebooted := ending{status: byHangUp, begun: true}
	for name, c := range map[string]struct {
		doomed, again, off bool
		e                  ending
		boots              bool
		answer             string
	}{
		"a reboot":                              {e: rebooted, boots: true},
		"a reboot, killed before its end":       {doomed: true, e: rebooted, answer: "error it went off again: reboots"},
		"a reboot while switched off":           {doomed: true, off: true, e: rebooted, answer: "error it went off again: reboots"},
		"a power off":                           {e: ending{status: byInterrupt, begun: true}, answer: "error it went off again: powered off"},
		"killed, and booted before its end":     {doomed: true, again: true, e: ending{status: byKill, begun: true}, boots: true},
		"killed by somebody":                    {e: ending{status: byKill, begun: true}, answer: "error it went off again: killed"},
		"a boot that fails":                     {e: ending{err: errors.New("no\ndisk")}, answer: "error no disk"},
		"booted again before, and switched off": {doomed: true, again: true, off: true, e: ending{}, answer: "error " + errKilled.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			s, answer := ended(t, c.doomed, c.again, c.off, c.e)
			if (s.life != nil) != c.boots {
				t.Errorf("boots: %v, want %v", s.life != nil, c.boots)
			}
			if c.boots {
				<-s.life.ended // there is no configuration to boot
				return
			}
			if got := <-answer; got != c.answer {
				t.Errorf("answers %q, want %q", got, c.answer)
			}
		})
	}
}

func TestRequests(t *testing.T) {
	requests := make(chan request)
	h := &Host{Config: worker(), Dir: t.TempDir() + strings.Repeat("/a-long-name-of-a-directory", 8)}
	if err := os.MkdirAll(h.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ask(t.Context(), "pid"); !errors.Is(err, errSilent) {
		t.Errorf("nobody listens, but: %v", err)
	}
	hangUp, err := listen(h.Dir, requests)
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp()
	go func() {
		s := &supervisor{dir: h.Dir, life: &life{pid: 42}}
		for range 2 {
			s.handle(<-requests)
		}
	}()
	if answer, err := h.ask(t.Context(), "pid"); answer != "42" || err != nil {
		t.Errorf("got %q, %v", answer, err)
	}
	if _, err := h.ask(t.Context(), "dance"); err == nil || !strings.Contains(err.Error(), `no "dance"`) {
		t.Errorf("got %v", err)
	}
}

func TestOneSupervisorForEachHost(t *testing.T) {
	dir := t.TempDir()
	lock, err := tryLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tryLock(dir); !errors.Is(err, errHeld) {
		t.Errorf("got %v", err)
	}
	if err := Supervise(dir); err != nil {
		t.Errorf("a second supervisor should leave: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if again, err := waitForLock(t.Context(), dir); err != nil || again.Close() != nil {
		t.Errorf("got %v", err)
	}
}

func TestAHostThatIsOff(t *testing.T) {
	h := &Host{Config: worker(), Dir: t.TempDir()}
	if h.Running() {
		t.Error("runs")
	}
	if err := h.Command(t.Context(), "true").Run(); err == nil || !strings.Contains(err.Error(), "`lab boot w1`") {
		t.Errorf("got %v", err)
	}
	if err := h.Boot(); err == nil || !strings.Contains(err.Error(), "`lab up`") {
		t.Errorf("got %v", err)
	}
}

func TestInitIsForPid1(t *testing.T) {
	if err := Init(t.TempDir()); err == nil || !strings.Contains(err.Error(), "lab up") {
		t.Errorf("got %v", err)
	}
}
