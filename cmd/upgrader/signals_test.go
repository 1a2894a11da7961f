package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestASignalEndsWhatHeedsNothing proves that a command which is deep in its work, or waits for what does not come, is
// left behind soon after a signal, and that one which heeds its context may say why it ends.
func TestASignalEndsWhatHeedsNothing(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		synctest.Test(t, func(t *testing.T) {
			signals, released := make(chan os.Signal, 1), make(chan struct{})
			c := &calls{signals: signals}
			signals <- sig
			began := time.Now()
			err := c.attend(t.Context(), func(context.Context) error { <-released; return nil })
			if !errors.Is(err, errInterrupted) || time.Since(began) > time.Second || !c.any() {
				t.Errorf("%s: %v after %s", sig, err, time.Since(began))
			}
			close(released)

			signals <- sig
			reason := errors.New("reason")
			if err := c.attend(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return reason }); !errors.Is(err, reason) {
				t.Errorf("%s: %v", sig, err)
			}
		})
	}
}

// TestASignalEndsWhatComputes proves the same of a command that never lets go of its processor, as one that lays out a
// huge plan.
func TestASignalEndsWhatComputes(t *testing.T) {
	signals := make(chan os.Signal, 1)
	var begun, stop atomic.Bool
	defer stop.Store(true)
	go func() {
		for !begun.Load() {
			time.Sleep(time.Millisecond)
		}
		signals <- syscall.SIGTERM
	}()
	err := (&calls{signals: signals}).attend(t.Context(), func(context.Context) error {
		for begun.Store(true); !stop.Load(); {
		}
		return nil
	})
	if !errors.Is(err, errInterrupted) {
		t.Error(err)
	}
}

// TestWhoListensIsLeftAlone proves that a run gets the signals instead of being ended, but for the end of its terminal,
// which is none.
func TestWhoListensIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal, 3)
		c := &calls{signals: signals}
		err := c.attend(t.Context(), func(ctx context.Context) error {
			c.outliveTerminal()
			heard, done := c.listen()
			signals <- syscall.SIGHUP
			signals <- syscall.SIGINT
			if sig := <-heard; sig != syscall.SIGINT {
				t.Errorf("heard %s", sig)
			}
			time.Sleep(time.Hour)
			if err := ctx.Err(); err != nil {
				t.Error(err)
			}
			done()
			signals <- syscall.SIGTERM
			<-ctx.Done()
			return context.Cause(ctx)
		})
		if !errors.Is(err, errInterrupted) {
			t.Error(err)
		}
	})
}

// TestWhoListensIsLeftBehindToo proves that one who listens and does not end is left behind within a second of SIGTERM, or
// of the second of any signal, but not of the same one that comes twice.
func TestWhoListensIsLeftBehindToo(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		synctest.Test(t, func(t *testing.T) {
			signals, listens, released := make(chan os.Signal, 3), make(chan struct{}), make(chan struct{})
			c := &calls{signals: signals}
			var last time.Time
			go func() {
				<-listens
				if sig == syscall.SIGINT {
					signals <- sig
					signals <- sig // timeout(1) sends it to the group too
					time.Sleep(time.Hour)
				}
				last = time.Now()
				signals <- sig
			}()
			err := c.attend(t.Context(), func(context.Context) error {
				_, done := c.listen()
				defer done()
				close(listens)
				<-released
				return nil
			})
			if took := time.Since(last); !errors.Is(err, errInterrupted) || last.IsZero() || took > time.Second {
				t.Errorf("%s: %v after %s", sig, err, took)
			}
			close(released)
		})
	}
}

// TestSIGTERMDetaches proves that a supervisor need not send SIGKILL while a change is under way: what runs on the host
// goes on, and the run is there to be resumed.
func TestSIGTERMDetaches(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a pretend cluster")
	}
	plan := fileWith(t, "plan.yaml", "apiVersion: upgrader.dev/v1\nkind: Plan\nname: long\nsteps:\n  - {uses: ssh.run, hosts: all, with: {run: echo begun; sleep 100000000}}\n")
	signals, state := make(chan os.Signal, 1), t.TempDir()
	go func() {
		for {
			time.Sleep(20 * time.Millisecond)
			logs, _ := filepath.Glob(filepath.Join(state, "runs", "*", "logs", "*", "*"))
			for _, log := range logs {
				if data, _ := os.ReadFile(log); strings.Contains(string(data), "begun") {
					signals <- syscall.SIGTERM
					return
				}
			}
		}
	}()
	var errs bytes.Buffer
	code := run(t.Context(), signals, []string{"run", plan, "--sandbox", "--workers", "1", "--control-planes", "1", "--yes", "--state-dir", state}, strings.NewReader(""), io.Discard, &errs, map[string]string{"HOME": t.TempDir()})
	if code != exitInterrupted || !strings.Contains(errs.String(), "detached") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

// TestASignalEndsEveryCommand proves it of the program, at a cluster that takes connections and never answers, and before
// a reader who never reads.
func TestASignalEndsEveryCommand(t *testing.T) {
	kubeconfig, called := silentCluster(t)
	state := t.TempDir()
	for _, args := range [][]string{
		{"preflight", "../../plans/1.27-to-1.28.yaml", "--kubeconfig", kubeconfig},
		{"run", "../../plans/1.27-to-1.28.yaml", "--dry-run", "--kubeconfig", kubeconfig},
		{"run", "../../plans/1.27-to-1.28.yaml", "--yes", "--kubeconfig", kubeconfig},
		{"doctor", "--kubeconfig", kubeconfig},
		{"unlock", "--kubeconfig", kubeconfig},
		{"init", "--kubeconfig", kubeconfig},
	} {
		signals := make(chan os.Signal, 1)
		go func() {
			<-called
			signals <- syscall.SIGTERM
		}()
		if code := run(t.Context(), signals, append(args, "--state-dir", state), strings.NewReader(""), io.Discard, io.Discard, map[string]string{"HOME": t.TempDir()}); code != exitInterrupted {
			t.Errorf("%s: exit code %d", args, code)
		}
	}
	reader, full := fullPipe(t)
	defer reader.Close()
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	if code := run(t.Context(), signals, []string{"explain"}, strings.NewReader(""), full, full, nil); code != exitInterrupted {
		t.Errorf("explain, to a reader who does not read: exit code %d", code)
	}
}

// TestASignalEndsWhatNobodyReads proves that a reader who does not read holds a program no longer than a second once it
// was told to end: what it had to say to them included.
func TestASignalEndsWhatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals, released := make(chan os.Signal, 1), make(chan struct{})
		defer close(released)
		full := writerFunc(func(p []byte) (int, error) { <-released; return len(p), nil })
		signals <- syscall.SIGTERM
		began := time.Now()
		code := run(t.Context(), signals, []string{"version"}, strings.NewReader(""), full, full, nil)
		if took := time.Since(began); code != exitInterrupted || took > time.Second {
			t.Errorf("exit code %d after %s", code, took)
		}
	})
}

// silentCluster is an API server that takes connections and says nothing, and a channel that tells of each.
func silentCluster(t *testing.T) (kubeconfig string, called <-chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	calls := make(chan struct{}, 100)
	go func() {
		for {
			if _, err := listener.Accept(); err != nil {
				return
			}
			calls <- struct{}{}
		}
	}()
	return kubeconfigFor(t, "http://"+listener.Addr().String()), calls
}

// TestNobodyHasToReadARun proves that a run whose reader has stopped reading goes on, and that Ctrl-C ends it.
func TestNobodyHasToReadARun(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a pretend cluster")
	}
	reader, out := fullPipe(t)
	defer reader.Close()
	plan := fileWith(t, "plan.yaml", "apiVersion: upgrader.dev/v1\nkind: Plan\nname: wordy\nsteps:\n  - {uses: ssh.run, hosts: all, with: {run: touch /tmp/ran, unless: test -e /tmp/ran}}\n  - {uses: wait, with: {for: 1h}}\n")
	signals, state := make(chan os.Signal, 1), t.TempDir()
	go func() {
		for {
			time.Sleep(20 * time.Millisecond)
			journals, _ := filepath.Glob(filepath.Join(state, "runs", "*", "journal.jsonl"))
			if len(journals) != 1 {
				continue
			}
			if data, _ := os.ReadFile(journals[0]); strings.Contains(string(data), `"node":"wait"`) {
				signals <- syscall.SIGINT
				return
			}
		}
	}()
	code := run(t.Context(), signals, []string{"run", plan, "--sandbox", "--workers", "2", "--control-planes", "1", "--yes", "--output", "json", "--state-dir", state}, strings.NewReader(""), out, io.Discard, map[string]string{"HOME": t.TempDir()})
	if code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
}

// fullPipe is a pipe whose reader stopped long ago.
func fullPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = writer.Write(make([]byte, 512))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if err := writer.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	return reader, writer
}
