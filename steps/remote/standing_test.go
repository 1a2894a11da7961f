package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// shells is how many shells the connection of a host has open, idle ones.
func shells(t *testing.T, h Host) int {
	t.Helper()
	way, err := h.(*host).trunk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := way.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.idle)
}

// One shell answers one question after the other, and nothing that a question does to its surroundings lasts: not a
// directory, a variable, an option, a function or an exit.
func TestQuestionsShareAShellAndNothingElse(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		var first string
		for _, text := range []string{
			`echo $PPID`, `cd /tmp; X=1; umask 0; set +eu; f() { echo f; }; echo $PPID`, `exit 0`, `pwd >&2; umask >&2; echo "${X-unset}" >&2; f 2>/dev/null || echo $PPID`,
		} {
			got, err := r.host.Query(t.Context(), Script{Text: text})
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			switch pid := got.Stdout; {
			case pid == "":
			case first == "":
				first = pid
			case pid != first:
				t.Errorf("%q ran elsewhere: %q and %q", text, pid, first)
			}
			if got.Stderr != "" && got.Stderr != "/\n0077\nunset\n" {
				t.Errorf("something lasted: %q", got.Stderr)
			}
		}
		if n := shells(t, r.host); n != 1 {
			t.Errorf("%d shells are open", n)
		}
	})
}

// Shells for different rights make room for each other where a host allows one session.
func TestShellsMakeRoom(t *testing.T) {
	d := startOpenSSH(t, "MaxSessions 1")
	f := NewFleet(Config{Inventory: d.inventory()})
	defer f.Close()
	h, err := f.Host("w1")
	if err != nil {
		t.Fatal(err)
	}
	way, err := h.(*host).trunk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := way.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		var out safeBuffer
		c := call{command: []string{"/bin/sh", "exec /bin/sh"}[i%2], mark: newMark(), stdout: &out, stderr: &out}
		c.program = f.sh.program(c.mark, "", "echo here")
		if e := l.run(t.Context(), c); e.err != nil || !strings.Contains(out.String(), "here") {
			t.Fatalf("%d: %+v, %q", i, e, out.String())
		}
	}
}

// A question whose asker has left takes its shell with it: the next one gets another, and no answer but its own.
func TestAnInterruptedShellIsNotAskedAgain(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		if _, err := r.host.Query(t.Context(), Script{Text: "true"}); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*2*time.Millisecond)
				defer cancel()
				_, _ = r.host.Query(ctx, Script{Text: "sleep 0.02; echo late"})
			})
			all.Go(func() {
				want := fmt.Sprintf("answer %d\n", i)
				if got, err := r.host.Query(t.Context(), Script{Text: "echo answer $N", Env: map[string]string{"N": fmt.Sprint(i)}}); err != nil || got.Stdout != want {
					t.Errorf("%+v, %v, want %q", got, err, want)
				}
			})
		}
		all.Wait()
	})
}

// A shell that dies while it stands idle is no reason for a question to fail.
func TestADeadShellIsReplaced(t *testing.T) {
	r := atSmall(t)
	got, err := r.host.Query(t.Context(), Script{Text: `echo $$`})
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("kill", "-9", strings.TrimSpace(got.Stdout)).Run(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := r.host.Query(t.Context(), Script{Text: "true"}); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.host.Query(t.Context(), Script{Text: `kill -9 $$`}); err == nil {
		t.Error("a question that killed its shell was answered")
	}
}

// A program that opens a quote and never closes it is an error after a moment, and not a silence without end.
func TestAProgramWithoutEndIsAnError(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		for _, text := range []string{`echo "no end`, "cat <<X\n"} {
			_, err := r.host.Query(t.Context(), Script{Text: text})
			if exit, ok := errors.AsType[*ExitError](err); !ok || exit.Code == 0 {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

// The shell's own word is found wherever the network cuts it, and nothing of it reaches the answer.
func TestFrameInPieces(t *testing.T) {
	mark := newMark()
	text := "out" + mark[:5] + "put" + mark + " done 42\n"
	for size := 1; size <= len(text); size++ {
		var out bytes.Buffer
		f := newFrame(mark, &out)
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			_, _ = f.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		code, err := f.status()
		if !f.over() || code != 42 || err != nil || out.String() != "out"+mark[:5]+"put" {
			t.Fatalf("in pieces of %d: %d, %v, %q", size, code, err, out.String())
		}
	}
}
