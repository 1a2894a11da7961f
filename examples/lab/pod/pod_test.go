//go:build linux

package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestVersion(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"-v"}, &out); err != nil || !strings.Contains(out.String(), version) {
		t.Errorf("got %q, %v", out.String(), err)
	}
	if err := run(t.Context(), []string{"nonsense"}, &out); err == nil {
		t.Error("nonsense is no error")
	}
}

func TestPauseEndsWhenTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, nil, io.Discard) }()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it goes on")
	}
}

func TestReap(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stat := "/proc/" + strconv.Itoa(cmd.Process.Pid)
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		reap()
		if _, err := os.Stat(stat); err != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a zombie is left")
		}
	}
}

// Told to stop, it goes on answering for as long as endpoints may still lead to it, and then ends without an error.
func TestServeLingers(t *testing.T) {
	const linger = 300 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, []string{"serve", "-listen", "127.0.0.1:0", "-linger", linger.String()}, out) }()
	lines := bufio.NewScanner(in)
	lines.Scan()
	_, address, _ := strings.Cut(lines.Text(), " serves on ")
	go func() { _, _ = io.Copy(io.Discard, in) }()

	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	answers := func(path string) {
		t.Helper()
		if got := get(t, "http://"+address+path); got != host+"\n" {
			t.Errorf("%s answers %q", path, got)
		}
	}
	answers("/")
	answers("/healthz")
	cancel()
	told := time.Now()
	answers("/")
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(told); took < linger {
		t.Errorf("it was gone after %s", took)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, r.Status, err)
	}
	return string(body)
}
