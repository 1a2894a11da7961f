//go:build !linux

package journal

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"upgrader.dev/upgrader/engine/private"
)

// lock takes the journal for this process, or says that it is taken. Who only asks (InUse) has to take it too.
func lock(f *os.File) error { return flock(f) }

// InUse says whether a process holds the journal in dir.
func InUse(dir string) bool {
	f, err := private.OpenFile(filepath.Join(dir, Name), os.O_RDWR)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(flock(f), ErrLocked)
}

func flock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}
