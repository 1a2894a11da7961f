//go:build linux

package host

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A program that ends at once is stopped all the same, one with other arguments or another name is not, and whoever waits
// for one that never comes can be called off.
func TestFreeze(t *testing.T) {
	dir := ownFileSystem(t)
	short, other := filepath.Join(dir, "short"), filepath.Join(dir, "other")
	for _, program := range []string{short, other} {
		copyProgram(t, "sleep", program)
	}
	w := Work{Program: "short", Args: regexp.MustCompile(`short 0\.0$|short 0\.0 `)}
	for range 20 {
		gate := opened(t, dir)
		frozen, failed := make(chan int, 1), make(chan error, 1)
		go func() {
			pid, err := gate.next(t.Context(), w)
			frozen <- pid
			failed <- err
		}()
		for _, quick := range [][]string{{short, "0.00"}, {other, "0.0"}} {
			if err := command(t.Context(), quick...).Run(); err != nil {
				t.Fatal(err)
			}
		}
		cmd := command(t.Context(), short, "0.0")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if pid, err := <-frozen, <-failed; err != nil || pid != cmd.Process.Pid || !stops(t.Context(), pid) {
			t.Fatalf("frozen is %d (%v), want %d", pid, err, cmd.Process.Pid)
		}
		if err := syscall.Kill(cmd.Process.Pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// A process is given its time before it is stopped, and one that has ended by then is not it.
func TestFreezeLater(t *testing.T) {
	dir := ownFileSystem(t)
	program := filepath.Join(dir, "work")
	copyProgram(t, "sleep", program)
	gate := opened(t, dir)
	var working sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer working.Wait()
	defer stop()
	for _, long := range []string{"0", "30"} {
		working.Go(func() { _ = command(ctx, program, long).Run() })
	}
	pid, err := gate.next(ctx, Work{Program: "work", Args: regexp.MustCompile(`work`), After: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	words, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil || !bytes.Contains(words, []byte("30")) {
		t.Errorf("frozen is %q (%v)", words, err)
	}
}

func TestFreezeCalledOff(t *testing.T) {
	dir := ownFileSystem(t)
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, enough)
	defer cancel()
	if pid, err := opened(t, dir).next(ctx, Work{Program: "never", Args: regexp.MustCompile("")}); !errors.Is(err, enough) {
		t.Errorf("frozen is %d (%v)", pid, err)
	}
}

// command runs a program by way of a shell: a process that starts a program itself stands still until it has begun, and so
// would the gate in it.
func command(ctx context.Context, words ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "sh", append([]string{"-c", `exec "$@"`, "sh"}, words...)...)
}

func opened(t *testing.T, dir string) *gate {
	t.Helper()
	g, err := openGate(dir)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// ownFileSystem is one whose programs nobody else runs.
func ownFileSystem(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("only root mounts: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func copyProgram(t *testing.T, name, to string) {
	t.Helper()
	from, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
}
