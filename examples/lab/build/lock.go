//go:build linux

package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockRetry is how often a build looks whether the other one has finished.
const lockRetry = 200 * time.Millisecond

// lock keeps other builds away from the cache, after waiting for the one that is at work. The kernel gives the lock back
// if the process dies.
func lock(ctx context.Context, path string, show io.Writer) (unlock func(), err error) {
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("making the cache: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the cache: %w", err)
	}
	if err := await(ctx, f, show); err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return func() { _ = f.Close() }, nil // gives the lock back
}

func await(ctx context.Context, f *os.File, show io.Writer) error {
	tick := time.NewTicker(lockRetry)
	defer tick.Stop()
	for told := false; ; told = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		if !told {
			fmt.Fprintf(show, "waiting for another build of %s to finish\n", filepath.Dir(f.Name()))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for another build of %s: %w", filepath.Dir(f.Name()), context.Cause(ctx))
		}
	}
}
