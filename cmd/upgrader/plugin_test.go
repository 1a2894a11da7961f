package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hangs is a credential plugin that starts another program and waits for it for ever; both write down who they are.
func hangs(t *testing.T) (command, pids string) {
	t.Helper()
	dir := t.TempDir()
	command, pids = filepath.Join(dir, "hangs"), filepath.Join(dir, "pids")
	script := "#!/bin/sh\ntrap '' TERM\nsleep 1000 &\necho $$ $! >" + pids + ".new\nmv " + pids + ".new " + pids + "\nwait\nsleep 1000\n"
	if err := os.WriteFile(command, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return command, pids
}

// ended waits until the processes of a plugin are gone.
func ended(t *testing.T, pids string) {
	t.Helper()
	data, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range strings.Fields(string(data)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) && !dead(pid); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("process %d of the plugin is still there", pid)
			}
		}
	}
}

// dead says whether a process has ended and only nobody has asked for its end.
func dead(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// A plugin that hangs is ended with all that it has started, when its time is over or when nobody wants it any more, and
// the error names it.
func TestAPluginThatHangsIsEnded(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, tt := range []struct {
		within time.Duration
		says   string
	}{
		{time.Second, "gave no answer within 1s, and was ended"},
		{time.Hour, "nobody wants it"},
	} {
		command, pids := hangs(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		if tt.within == time.Hour {
			go func() {
				for ctx.Err() == nil {
					if _, err := os.Stat(pids); err == nil {
						cancel(errors.New("nobody wants it"))
					}
				}
			}()
		}
		err := runPlugin(ctx, tt.within, []string{command}, null, &bytes.Buffer{}, os.Stderr)
		if err == nil || !strings.Contains(err.Error(), command) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("got %v", err)
		}
		ended(t, pids)
	}
}

// What a plugin says is passed on, and so is that it failed.
func TestAPluginThatAnswers(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var out bytes.Buffer
	if err := runPlugin(t.Context(), time.Minute, []string{"sh", "-c", "echo said; sleep 5 2>/dev/null & exit 0"}, null, &out, os.Stderr); err != nil || out.String() != "said\n" {
		t.Errorf("%q, %v", &out, err)
	}
	if err := runPlugin(t.Context(), time.Minute, []string{"false"}, null, &out, os.Stderr); err == nil || !strings.Contains(err.Error(), "credential plugin false of the kubeconfig: exit status 1") {
		t.Errorf("got %v", err)
	}
}

// A plugin that prints without end is ended: client-go would keep all of it in memory.
func TestAPluginThatPrintsWithoutEndIsEnded(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var out bytes.Buffer
	err = runPlugin(t.Context(), time.Minute, []string{"/bin/sh", "-c", "head -c 100000000 /dev/zero"}, null, &out, null)
	if err == nil || !strings.Contains(err.Error(), "more than 1 MiB") || out.Len() > 1<<20 {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
}
