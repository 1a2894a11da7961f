//go:build linux

package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sampleParts is one part, which also does what the test says.
func sampleParts(c Cache, key string, do func(ctx context.Context, j *job) error) []part {
	product := c.path("bin", "x", "program")
	return []part{{name: "x 1", key: key, products: []string{product}, make: func(ctx context.Context, j *job) error {
		out := filepath.Join(j.tmp, "out")
		return errors.Join(writeFile(filepath.Join(out, "program"), []byte(key)), do(ctx, j), j.publish(out, c.path("bin", "x")))
	}}}
}

func nothing(context.Context, *job) error { return nil }

func TestOnlyWhatChangedIsMade(t *testing.T) {
	c := Cache{t.TempDir()}
	var show strings.Builder
	parts := sampleParts(c, "a", nothing)
	if len(stale(c, parts)) != 1 {
		t.Fatal("an empty cache lacks nothing")
	}
	if err := makeParts(t.Context(), c, source{}, parts, &show); err != nil {
		t.Fatal(err)
	}
	if len(stale(c, parts)) != 0 {
		t.Error("what was made is still to be made")
	}
	again := sampleParts(c, "b", nothing)
	if len(stale(c, again)) != 1 {
		t.Error("another key changes nothing")
	}
	if err := makeParts(t.Context(), c, source{}, again, &show); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(c.path("bin", "x", "program")); err != nil || string(data) != "b" {
		t.Errorf("it was not replaced: %q, %v", data, err)
	}
	if err := os.Remove(c.path("bin", "x", "program")); err != nil {
		t.Fatal(err)
	}
	if len(stale(c, again)) != 1 {
		t.Error("a product that is gone is not missed")
	}
	if left, err := os.ReadDir(c.path("tmp")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFailureShowsTheEndOfItsLog(t *testing.T) {
	c := Cache{t.TempDir()}
	var show strings.Builder
	parts := sampleParts(c, "a", func(ctx context.Context, j *job) error {
		return j.run(ctx, command{argv: []string{"sh", "-c", "seq 100 130; exit 3"}})
	})
	err := makeParts(t.Context(), c, source{}, parts, &show)
	if err == nil || !strings.Contains(err.Error(), c.log("x 1")) || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("the error does not say what and where: %v", err)
	}
	if out := show.String(); strings.Contains(out, "\n110\n") || !strings.Contains(out, "\n111\n") || !strings.Contains(out, "\n130\n") {
		t.Errorf("not the last 20 lines:\n%s", out)
	}
	if len(stale(c, parts)) != 1 {
		t.Error("what failed counts as made")
	}
}

// Interrupting a build ends grandchildren too, and soon.
func TestInterrupt(t *testing.T) {
	c := Cache{t.TempDir()}
	pidFile := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
			if data, err := os.ReadFile(pidFile); err == nil && strings.HasSuffix(string(data), "\n") {
				cancel(errors.New("ctrl-c"))
			}
		}
	}()
	began := time.Now()
	var show strings.Builder
	err := makeParts(ctx, c, source{}, sampleParts(c, "a", func(ctx context.Context, j *job) error {
		return j.run(ctx, command{argv: []string{"sh", "-c", "sh -c 'echo $$ > " + pidFile + "; exec sleep 60'; true"}})
	}), &show)
	if err == nil || !strings.Contains(err.Error(), "ctrl-c") || time.Since(began) > 8*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); alive(strings.TrimSpace(string(pid))); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %s outlives the build", pid)
		}
	}
}

// alive is false of zombies, which nobody may have waited for yet.
func alive(pid string) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestSecondBuildWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache", "lock")
	unlock, err := lock(t.Context(), path, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	var show strings.Builder
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, path, &show); err == nil || strings.Count(show.String(), "waiting for another build") != 1 {
		t.Errorf("the second got in, or did not say that it waits: %v, %q", err, show.String())
	}
	unlock()
	if unlock, err = lock(t.Context(), path, &show); err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestMissingTellsAllAtOnce(t *testing.T) {
	if err := missing(func(string) bool { return true }); err != nil {
		t.Errorf("nothing is missing, yet: %v", err)
	}
	err := missing(func(command string) bool { return command == "go" || command == "dpkg-deb" })
	want := "building the lab needs debootstrap, apt-ftparchive, gpg, gpgconf: run `apt-get install debootstrap apt-utils gnupg`"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
