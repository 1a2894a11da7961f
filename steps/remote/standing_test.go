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
		c := call{command: []string{plainShell, "exec " + plainShell}[i%2], mark: newMark(), stdout: &out, stderr: &out}
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

// What a script of the plan leaves behind prints into no other script's answer.
func TestWhatAForeignScriptLeavesBehindIsNotHeard(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		gate, _ := r.file("gate")
		printed, late := r.file("printed")
		if _, err := r.host.Query(t.Context(), Script{Foreign: true, Env: map[string]string{"G": gate, "P": printed},
			Text: `set +e; trap '' PIPE; { while [ ! -e "$G" ]; do sleep 0.02; done; echo late; echo late >&2; echo yes >"$P"; } &`}); err != nil {
			t.Fatal(err)
		}
		got, err := r.host.Query(t.Context(), Script{Env: map[string]string{"G": gate, "P": printed},
			Text: `echo one; echo >"$G"; while [ ! -e "$P" ]; do sleep 0.02; done; echo two`})
		if err != nil || got.Stdout != "one\ntwo\n" || got.Stderr != "" || late() == "" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// A host that takes the order for a shell and never answers it is waited for no longer than its asker wants.
func TestAShellThatNeverComesIsGivenUp(t *testing.T) {
	d, s := startSmall(t, "")
	s.mute = true
	f := NewFleet(Config{Inventory: d.inventory()})
	defer f.Close()
	h, err := f.Host("w1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	answered := make(chan error, 1)
	go func() {
		_, err := h.Query(ctx, Script{Text: "true", AsUser: true})
		answered <- err
	}()
	select {
	case err := <-answered:
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errUnheard) {
			t.Errorf("Query = %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the question outlives its asker")
		s.cut()
		<-answered
	}
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
			_, err := r.host.Query(t.Context(), Script{Text: text, Foreign: true})
			if exit, ok := errors.AsType[*ExitError](err); !ok || exit.Code == 0 {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

// A host that says that a program has ended, and then talks on without a line's end, fills no memory.
func TestAnEndWithoutEndIsBounded(t *testing.T) {
	mark := newMark()
	var out bytes.Buffer
	f := newFrame(mark, &out)
	_, _ = f.Write([]byte(mark + " done"))
	for range 100 {
		_, _ = f.Write(bytes.Repeat([]byte("1"), lineCap/4))
	}
	if _, err := f.status(); !f.over() || !errors.Is(err, errLost) || len(f.held) > 0 || len(f.word) > lineCap || out.Len() > 0 {
		t.Errorf("over %v, %d bytes held, a status of %d bytes, %d bytes of output", f.over(), len(f.held), len(f.word), out.Len())
	}
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
