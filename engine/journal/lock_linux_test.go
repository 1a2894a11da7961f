package journal

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Neither asking, which the right to read is enough for, nor an Open that is refused takes the lock from its writer.
func TestTheLockStaysWithItsWriter(t *testing.T) {
	dir := t.TempDir()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := os.Chmod(filepath.Join(dir, Name), 0o400); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if !InUse(dir) {
			t.Fatal("InUse is false while the journal is open")
		}
	}
	if !InUse(dir) {
		t.Error("asking gave the lock away")
	}
	if err := os.Chmod(filepath.Join(dir, Name), 0o600); err != nil { // only root opens it otherwise
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("opened beside its writer: %v", err)
	}
	if !InUse(dir) {
		t.Error("an Open that was refused gave the lock away")
	}
}

// A program from before the lock that can be asked for took flock(2) alone. Neither lets the other in.
func TestAnOlderProgramAndThisOneExcludeEachOther(t *testing.T) {
	dir := t.TempDir()
	older, err := os.OpenFile(filepath.Join(dir, Name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer older.Close()
	if err := syscall.Flock(int(older.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("opened beside an older program: %v", err)
	}
	if err := syscall.Flock(int(older.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := syscall.Flock(int(older.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("an older program could take it too: %v", err)
	}
}

// A program from before it asks whether a journal is in use by taking it for a moment. That is no writer.
func TestWhoAsksIsNoWriter(t *testing.T) {
	dir := t.TempDir()
	asks, err := os.OpenFile(filepath.Join(dir, Name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(asks.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(30*time.Millisecond, func() { _ = asks.Close() })
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
}

// Where a kernel or a file system has no open file description locks, flock(2) does their work.
func TestWithoutFileDescriptionLocks(t *testing.T) {
	for _, errno := range []error{unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP, unix.ENOLCK} {
		none := func(uintptr, int, *unix.Flock_t) error { return errno }
		dir := t.TempDir()
		var files [2]*os.File
		for i := range files {
			f, err := os.OpenFile(filepath.Join(dir, Name), os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			files[i] = f
		}
		if inUseBy(dir, none) {
			t.Errorf("%v: nobody holds it", errno)
		}
		if err := lockBy(files[0], none); err != nil {
			t.Errorf("%v: %v", errno, err)
		}
		if err := lockBy(files[1], none); !errors.Is(err, ErrLocked) {
			t.Errorf("%v: locked twice: %v", errno, err)
		}
		if !inUseBy(dir, none) {
			t.Errorf("%v: InUse is false while it is locked", errno)
		}
	}
}
