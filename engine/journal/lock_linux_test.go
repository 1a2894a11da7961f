package journal

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Neither asking, which the right to read is enough for, nor an Open that is refused takes the lock from its writer.
func TestTheLockStaysWithItsWriter(t *testing.T) {
	dir := t.TempDir()
	j, _, err := Open(dir)
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
	if _, _, err := Open(dir); !errors.Is(err, ErrLocked) {
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
	if _, _, err := Open(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("opened beside an older program: %v", err)
	}
	if err := syscall.Flock(int(older.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	j, _, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := syscall.Flock(int(older.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("an older program could take it too: %v", err)
	}
}
