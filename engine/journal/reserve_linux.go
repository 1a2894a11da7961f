package journal

import (
	"errors"
	"os"
	"syscall"
)

// room is what is kept free after the last record: outcomes, settlements and the end of a run are under 1 KiB each.
const room = 256 << 10

const keepSize = 0x1 // FALLOC_FL_KEEP_SIZE of fallocate(2)

// reserve asks the file system for the blocks that the next records will need, without growing the file.
func reserve(f *os.File, size int64) error {
	err := syscall.Fallocate(int(f.Fd()), keepSize, size, room)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return err
	}
	return nil // a file system without fallocate has no reserve
}
