package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"upgrader.dev/upgrader/engine"
)

// onEveryDoor runs a test against the small server, and against OpenSSH's where it is installed. cut loses the
// connection from the host's side, as a killed sshd does.
func onEveryDoor(t *testing.T, test func(t *testing.T, r rig)) {
	t.Run("small", func(t *testing.T) {
		d, s := startSmall(t, tools(t, map[string]string{"sudo": `[ "$1" = -n ] && shift; exec "$@"`}))
		test(t, newRig(t, d, s.cut))
	})
	t.Run("openssh", func(t *testing.T) {
		d := startOpenSSH(t, "")
		test(t, newRig(t, d, func() {
			// sshd forks one process per connection; it has one more child for the session's user.
			out, _ := exec.Command("pgrep", "-P", strconv.Itoa(d.pid)).Output()
			for _, pid := range strings.Fields(string(out)) {
				_ = exec.Command("kill", "-9", pid).Run()
			}
		}))
	})
}

// A rig is a host to test with.
type rig struct {
	door
	state string
	cut   func()
	fleet *Fleet
	host  Host
}

func newRig(t *testing.T, d door, cut func()) rig {
	t.Helper()
	r := rig{door: d, cut: cut, state: filepath.Join(d.dir, "state")}
	r.fleet, r.host = r.controller(t)
	return r
}

// controller is another process that works on the same host.
func (r rig) controller(t *testing.T) (*Fleet, Host) {
	t.Helper()
	f := NewFleet(Config{Inventory: r.inventory(), StateDir: r.state, Warn: func(s string) { t.Log(s) }, outputCap: 1 << 20})
	t.Cleanup(func() { _ = f.Close() })
	h, err := f.Host("w1")
	if err != nil {
		t.Fatal(err)
	}
	return f, h
}

// file is a path in the rig's own directory, and a function that reads it, empty if it is not there.
func (r rig) file(name string) (string, func() string) {
	path := filepath.Join(r.dir, name)
	return path, func() string {
		b, _ := os.ReadFile(path)
		return string(b)
	}
}

// record leaves on the host what remains of a job that ended at that time, or has not ended.
func (r rig) record(t *testing.T, id string, at time.Time, ended bool) {
	t.Helper()
	job := filepath.Join(r.state, "jobs", id)
	if err := os.MkdirAll(filepath.Dir(job), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, job+".out", "much\n")
	write(t, job+".claim", "running\n")
	if ended {
		write(t, job+".claim", "0\n")
		write(t, job+".done", "")
	}
	_ = os.Chtimes(job+".out", at, at)
}

func ticket(id string, epoch int64, out *safeBuffer) engine.Ticket {
	t := engine.Ticket{ID: id, Epoch: epoch, Learn: func(engine.Facts) {}, Out: out}
	if out == nil {
		t.Out = &safeBuffer{}
	}
	return t
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestJobRunsOncePerTicket(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		counter, ran := r.file("counter")
		job := Job{Name: "count", Script: Script{Text: `echo one; echo run >>"$C"; echo two >&2; exit 7`, Env: map[string]string{"C": counter}}}
		for range 2 {
			var out safeBuffer
			err := r.host.Do(t.Context(), ticket("t-1", 1, &out), job)
			exit, ok := errors.AsType[*ExitError](err)
			if !ok || exit.Code != 7 || exit.Tail != "one\ntwo" || exit.Host != "w1" {
				t.Errorf("Do = %v", err)
			}
			if out.String() != "one\ntwo\n" {
				t.Errorf("output %q", out.String())
			}
		}
		if ran() != "run\n" {
			t.Errorf("the job ran %d times", strings.Count(ran(), "run"))
		}
	})
}

func TestTwoControllersStartOneJob(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		counter, ran := r.file("counter")
		job := Job{Name: "count", Script: Script{Text: `echo run >>"$C"; sleep 0.2; echo done`, Env: map[string]string{"C": counter}}}
		var wg sync.WaitGroup
		for range 6 {
			_, h := r.controller(t)
			wg.Go(func() {
				var out safeBuffer
				if err := h.Do(t.Context(), ticket("t-1", 1, &out), job); err != nil || out.String() != "done\n" {
					t.Errorf("Do = %v, output %q", err, out.String())
				}
			})
		}
		wg.Wait()
		if ran() != "run\n" {
			t.Errorf("the job ran %d times", strings.Count(ran(), "run"))
		}
	})
}

func TestLostConnectionIsNothingToTheJob(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		counter, ran := r.file("counter")
		gate, _ := r.file("gate")
		job := Job{Name: "long", Script: Script{
			Text: `echo run >>"$C"; i=0; while [ ! -e "$G" ]; do i=$((i+1)); echo "line $i"; sleep 0.02; done; echo end`,
			Env:  map[string]string{"C": counter, "G": gate},
		}}
		var out safeBuffer
		ended := make(chan error, 1)
		go func() { ended <- r.host.Do(t.Context(), ticket("t-1", 1, &out), job) }()
		for cut := range 3 {
			seen := len(out.String())
			eventually(t, "more output", func() bool { return len(out.String()) > seen && ran() != "" })
			r.cut()
			t.Logf("cut %d at %d bytes", cut, len(out.String()))
		}
		seen := len(out.String())
		eventually(t, "output after the last cut", func() bool { return len(out.String()) > seen })
		write(t, gate, "")
		if err := <-ended; err != nil {
			t.Fatalf("Do = %v", err)
		}
		if ran() != "run\n" {
			t.Errorf("the job ran %d times", strings.Count(ran(), "run"))
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		for i, l := range lines[:len(lines)-1] {
			if l != fmt.Sprintf("line %d", i+1) {
				t.Fatalf("line %d of the output is %q: bytes were lost or doubled", i+1, l)
			}
		}
	})
}

func TestSettleAfterACrash(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		counter, ran := r.file("counter")
		gate, _ := r.file("gate")
		ctx, crash := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- r.host.Do(ctx, ticket("t-1", 1, nil), Job{Name: "long", Script: Script{
				Text: `echo run >>"$C"; echo begun; while [ ! -e "$G" ]; do sleep 0.02; done; echo ended; exit 5`,
				Env:  map[string]string{"C": counter, "G": gate},
			}})
		}()
		eventually(t, "the job runs", func() bool { return ran() != "" })
		crash()
		if err := <-ended; !isDoubt(err) || !errors.Is(err, context.Canceled) {
			t.Errorf("Do = %v, want in doubt because of the context", err)
		}
		_ = r.fleet.Close()

		next, _ := r.controller(t)
		var out safeBuffer
		type answer struct {
			s   engine.Settlement
			err error
		}
		settled := make(chan answer, 1)
		go func() {
			s, err := next.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-1", 2, &out))
			settled <- answer{s, err}
		}()
		eventually(t, "it is attached", func() bool { return strings.Contains(out.String(), "begun") })
		write(t, gate, "")
		got := <-settled
		exit, ok := errors.AsType[*ExitError](got.s.Err)
		if got.err != nil || got.s.Fate != engine.Ended || !ok || exit.Code != 5 || out.String() != "begun\nended\n" {
			t.Errorf("Settle = %+v, %v, output %q", got.s, got.err, out.String())
		}
		if ran() != "run\n" {
			t.Errorf("the job ran %d times", strings.Count(ran(), "run"))
		}
	})
}

func isDoubt(err error) bool {
	_, ok := errors.AsType[*engine.InDoubtError](err)
	return ok
}

func TestSettleOfWhatNeverStartedLastsForEver(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		for range 2 {
			s, err := r.fleet.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-1", 1, nil))
			if err != nil || s.Fate != engine.NeverStarted {
				t.Fatalf("Settle = %+v, %v", s, err)
			}
		}
		counter, ran := r.file("counter")
		err := r.host.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "late", Script: Script{Text: `echo run >>"$C"`, Env: map[string]string{"C": counter}}})
		if err == nil || isDoubt(err) || !strings.Contains(err.Error(), "given up") || ran() != "" {
			t.Errorf("a late launch: %v; it ran: %q", err, ran())
		}
	})
}

func TestKilledJobIsCut(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		pids, read := r.file("pids")
		ended := make(chan error, 1)
		go func() {
			ended <- r.host.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "victim", Script: Script{
				Text: `echo $$ >"$P"; while :; do sleep 0.05; done`, Env: map[string]string{"P": pids},
			}})
		}()
		eventually(t, "the job runs", func() bool { return strings.TrimSpace(read()) != "" })
		claim := filepath.Join(r.state, "jobs/t-1.claim")
		told, _ := os.ReadFile(claim)
		_, rest, _ := strings.Cut(string(told), "\npid ")
		group, _, _ := strings.Cut(rest, "\n")
		if err := exec.Command("kill", "-9", "--", "-"+group).Run(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !isDoubt(err) || !strings.Contains(err.Error(), "killed") {
			t.Errorf("Do = %v", err)
		}
		s, err := r.fleet.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-1", 1, nil))
		if err != nil || s.Fate != engine.Cut {
			t.Errorf("Settle = %+v, %v", s, err)
		}
		write(t, claim, "running\nboot 00000000-0000-0000-0000-000000000000\n")
		s, err = r.fleet.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-1", 1, nil))
		if err != nil || s.Fate != engine.Cut || !strings.Contains(s.Err.Error(), "rebooted") {
			t.Errorf("after a reboot: Settle = %+v, %v", s, err)
		}
	})
}

func TestOlderEpochIsFenced(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		if _, err := r.host.Run(t.Context(), ticket("t-1", 5, nil), Script{Text: "true"}); err != nil {
			t.Fatal(err)
		}
		mark, ran := r.file("mark")
		touch := Script{Text: `echo x >"$M"`, Env: map[string]string{"M": mark}}
		_, runErr := r.host.Run(t.Context(), ticket("t-2", 4, nil), touch)
		doErr := r.host.Do(t.Context(), ticket("t-3", 4, nil), Job{Name: "stale", Script: touch})
		_, settleErr := r.fleet.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-4", 4, nil))
		for _, err := range []error{runErr, doErr, settleErr} {
			if !errors.Is(err, engine.ErrFenced) || !strings.Contains(err.Error(), "epoch 5") {
				t.Errorf("got %v, want ErrFenced", err)
			}
		}
		if ran() != "" {
			t.Error("a stale controller wrote")
		}
		if _, err := r.host.Run(t.Context(), ticket("t-5", 5, nil), touch); err != nil || ran() == "" {
			t.Errorf("the newest controller: %v", err)
		}
	})
}

// An epoch that a shell cannot count to was not written by this program, and is newer than any.
func TestAnEpochBeyondNumbersIsFenced(t *testing.T) {
	r := atSmall(t)
	if _, err := r.host.Run(t.Context(), ticket("t-1", 5, nil), Script{Text: "true"}); err != nil {
		t.Fatal(err)
	}
	for _, epoch := range []string{"9223372036854775808", "99999999999999999999999"} {
		write(t, filepath.Join(r.state, "epoch"), epoch+"\n")
		_, runErr := r.host.Run(t.Context(), ticket("t-2", 5, nil), Script{Text: "true"})
		doErr := r.host.Do(t.Context(), ticket("t-3", 5, nil), Job{Name: "stale", Script: Script{Text: "true"}})
		_, settleErr := r.fleet.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-4", 5, nil))
		for _, err := range []error{runErr, doErr, settleErr} {
			if !errors.Is(err, engine.ErrFenced) || !strings.Contains(err.Error(), epoch) {
				t.Errorf("got %v, want ErrFenced", err)
			}
		}
	}
}

func TestSafeJobIsStoppedAndOthersGoOn(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		for _, safe := range []bool{true, false} {
			id := fmt.Sprintf("t-%v", safe)
			beat, read := r.file("beat-" + id)
			gate, _ := r.file("gate-" + id)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- r.host.Do(ctx, ticket(id, 1, nil), Job{Name: "beat", Safe: safe, Script: Script{
					Text: `while [ ! -e "$G" ]; do echo beat >>"$B"; sleep 0.02; done`, Env: map[string]string{"B": beat, "G": gate},
				}})
			}()
			eventually(t, "the job runs", func() bool { return read() != "" })
			cancel()
			if err := <-ended; !isDoubt(err) {
				t.Errorf("safe %v: Do = %v", safe, err)
			}
			if !safe {
				write(t, gate, "")
			}
			s, err := r.fleet.Settle(t.Context(), engine.Target{Name: "w1"}, ticket(id, 1, nil))
			want := map[bool]engine.Fate{true: engine.Cut, false: engine.Ended}[safe]
			if err != nil || s.Fate != want {
				t.Errorf("safe %v: Settle = %+v, %v, want %s", safe, s, err, want)
			}
		}
	})
}
