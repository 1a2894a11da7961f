package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"upgrader.dev/upgrader/engine/private"
)

// A fcntl is fcntl(2) about locks.
type fcntl func(fd uintptr, cmd int, lock *unix.Flock_t) error

// lock takes the journal for this process, or says that it is taken. The lock that counts is one that can be asked for
// without being taken (an open file description lock); flock(2) keeps out programs from before it was, and everybody
// where a kernel or a file system has no other.
func lock(f *os.File) error { return lockBy(f, unix.FcntlFlock) }

func lockBy(f *os.File, ask fcntl) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
		err = ask(f.Fd(), unix.F_OFD_SETLK, &whole)
		if hasNone(err) {
			return nil
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EACCES) {
		return ErrLocked
	}
	if err != nil {
		return fmt.Errorf("locking the journal: %w", err)
	}
	return nil
}

// InUse says whether a process holds the journal in dir. Asking takes nothing, so it keeps nobody out; but where there is
// only flock(2), it takes that for a moment.
func InUse(dir string) bool { return inUseBy(dir, unix.FcntlFlock) }

func inUseBy(dir string, ask fcntl) bool {
	f, err := private.Open(filepath.Join(dir, Name))
	if err != nil {
		return false
	}
	defer f.Close()
	held := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err = ask(f.Fd(), unix.F_OFD_GETLK, &held)
	if hasNone(err) {
		return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
	}
	return err == nil && held.Type != unix.F_UNLCK
}

// hasNone says whether an error means that there are no open file description locks here: before Linux 3.15, in some
// sandboxes and on some network file systems.
func hasNone(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOLCK)
}
